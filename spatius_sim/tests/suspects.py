"""Those on whom the judge is judged: subjects that are wrong in one named way, and honest ones."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis.strategies import SearchStrategy, nothing

from spatius_sim.engine.run_profiles import profile_named
from spatius_sim.engine.search_failing_plan import DrawnPlans
from spatius_sim.engine.trial.judge_rules import Trial, cut_down_relay_plans
from spatius_sim.files.wire_file import find_wire
from spatius_sim.miniatures.client.honest_clients import HONEST_CLIENTS
from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES
from spatius_sim.miniatures.client.wrong_in_strict_sync import STRICT_MINIATURES
from spatius_sim.miniatures.relay.far_reaching import FAR_REACHING_MINIATURES
from spatius_sim.miniatures.relay.honest_relays import (
    ENDS_BY_SILENCE,
    HONEST_RELAYS,
    CountsWhatWorked,
    GreetsLate,
    MarksAudioLast,
    MarksAudioOfClipsLast,
    MarksWhatItStops,
    OneRoomForAll,
    OneRoomForClips,
    PassesOnTheRest,
    PlaysAllClipsInOneSession,
    PlaysClipsAtPace,
    SendsLater,
    ServesTurnsInOrder,
    SpeaksAgain,
    SpeaksInSentences,
    SpeaksSentencesAtOnce,
    StopsAfterAMoment,
)
from spatius_sim.miniatures.relay.seldom_wrong import MEAN_MINIATURES
from spatius_sim.miniatures.relay.wrong_in_mid_turn import MID_TURN_MINIATURES
from spatius_sim.miniatures.relay.wrong_in_slow_turns import SLOW_TURN_MINIATURES
from spatius_sim.miniatures.relay.wrong_relays import RELAY_MINIATURES
from spatius_sim.miniatures.relay.wrong_with_clips import CLIP_MINIATURES
from spatius_sim.miniatures.room.honest_rooms import HONEST_ROOMS
from spatius_sim.miniatures.room.serve_room import serve_room
from spatius_sim.miniatures.room.wrong_rooms import ROOM_MINIATURES
from spatius_sim.miniatures.server.left_servers import MakesMotionInOneQueue
from spatius_sim.miniatures.server.limited_servers import LimitsSessions, LimitsUpgrades
from spatius_sim.miniatures.server.opus_servers import (
    CountsPreSkip,
    HangsUpOnDamagedOpus,
    SkipsDamagedOpus,
    TakesOpus,
)
from spatius_sim.miniatures.server.plain_server import (
    EndsIdleSessions,
    IgnoresSilence,
    PlainServer,
    RefusesLongClips,
    RefusesWhatItDoesNotKnow,
    SignalsPlayout,
    TakesOneAtATime,
    TakesReqIdsOnce,
    TakesTokensOnce,
    TellsWherePlaybackStands,
    WorksInRealTime,
)
from spatius_sim.miniatures.server.serve_server import MiniatureServer, VirtualMiniatureServer
from spatius_sim.miniatures.server.wrong_servers import SERVER_MINIATURES
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.model.server.access_control import AccessControl
from spatius_sim.model.server.session import ServerSession
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.subjects.relay.start_turns import CLIENT_AUDIO_START
from spatius_sim.subjects.server_access import ServerInMemory
from spatius_sim.subjects.server_sessions import ServerAddress
from spatius_sim.subjects.server_subject import ServerSubject
from spatius_sim.subjects.subject_base import Patience, Subject, WorkLoop, canary_key
from spatius_sim.tests.model.relay.dialogue import MakeRelay
from spatius_sim.tests.running_miniature import Talkative, miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_room import VirtualRoom
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, DATA_PACKETS

ENDS_BY_SILENCE_WIRE = Path(__file__).parent / "wires" / "ends_by_silence.yaml"
DROPS_LATE_MOTION_WIRE = Path(__file__).parent / "wires" / "drops_late_motion.yaml"
_OPENING_SECONDS = 10.0
_SHRINK_SECONDS = 60.0
"""Far more than the attempts take in virtual time."""
_NO_PLANS: SearchStrategy[Any] = nothing()
_DRAWN_PLANS: DrawnPlans[Any] = {}
"""The plans that any hearing in this process has drawn. The trials of one seed draw the same plans, which
costs a third of a client's run."""
_WIRE = "json-envelope"
"""The wire of a relay that names none."""
NOWHERE = "http://127.0.0.1:9"
"""The address of a server in virtual time, which nobody connects to. On this machine its clock is ours."""


class EndsBySilence(PlainRelay):
    """Finds out by silence when a client has said all."""

    policy = ENDS_BY_SILENCE


@dataclass(frozen=True)
class Suspect:
    """A subject of that kind whose brain breaks `rule_id`, or no rule if that is "".

    `policy` names the policy of an honest relay in HONEST_RELAYS, and `scenario` what goes wrong in a room by
    a shipped scenario; that is then the suspect's name, too.
    """

    kind: str
    brain: type[Any]
    rule_id: str = ""
    wire: str = _WIRE
    talkative: bool = False
    policy: str = ""
    scenario: str = ""

    @property
    def name(self) -> str:
        """Return what tables call it."""
        wire = "" if self.wire == _WIRE else f" on {Path(self.wire).stem}"
        name = self.policy or self.scenario or self.brain.__name__
        return f"{name}{wire}{', talkative' if self.talkative else ''}"

    @property
    def lacks(self) -> frozenset[str]:
        """Return the features that its wire cannot carry, or that it declares to lack itself."""
        declared = frozenset[str](getattr(self.brain, "lacks", ()))
        if self.kind != "relay":
            return declared
        no_packets = set() if getattr(self.brain, "in_data_packets", False) else {DATA_PACKETS}
        no_choice = {CLIENT_CHOOSES_SPEECH} if self.plays_clips else set()
        return declared | find_wire(self.wire).lacks | no_packets | no_choice

    @property
    def plays_clips(self) -> bool:
        """Return whether it is a relay that chooses what is spoken."""
        policy = HONEST_RELAYS.get(self.policy) or getattr(self.brain, "policy", None)
        return bool(policy and policy.clip)


def _wrong(kind: str, miniatures: Mapping[str, Sequence[type[Any]]]) -> list[Suspect]:
    """Return the miniatures of a kind; one whose fault shows on one wire alone names this wire."""
    return [
        Suspect(kind, brain, rule_id, wire=getattr(brain, "wire", _WIRE))
        for rule_id, brains in miniatures.items()
        for brain in brains
    ]


def _wrong_rooms() -> list[Suspect]:
    """Return the miniatures of a room: rooms, and scenarios of our own server."""
    return [
        Suspect("room", VirtualRoom, rule_id, scenario=wrong)
        if isinstance(wrong, str)
        else Suspect("room", wrong, rule_id)
        for rule_id, wrongs in ROOM_MINIATURES.items()
        for wrong in wrongs
    ]


WRONG = [
    *_wrong("relay", RELAY_MINIATURES),
    *_wrong("relay", MEAN_MINIATURES),
    *_wrong("relay", FAR_REACHING_MINIATURES),
    *_wrong("relay", CLIP_MINIATURES),
    *_wrong("relay", MID_TURN_MINIATURES),
    *_wrong("relay", SLOW_TURN_MINIATURES),
    *_wrong("server", SERVER_MINIATURES),
    *_wrong("client", CLIENT_MINIATURES),
    *_wrong("client", STRICT_MINIATURES),
    *_wrong_rooms(),
]

HONEST = [
    *(Suspect("relay", PlainRelay, policy=name) for name in HONEST_RELAYS),
    Suspect("relay", EndsBySilence, wire=str(ENDS_BY_SILENCE_WIRE)),
    *(Suspect("relay", PlainRelay, wire=wire) for wire in ("binary-header", "typed-json", "messagepack")),
    Suspect("relay", PlainRelay, talkative=True),
    Suspect("relay", GreetsLate),
    Suspect("relay", CountsWhatWorked),
    Suspect("relay", SendsLater),
    Suspect("relay", ServesTurnsInOrder),
    Suspect("relay", SpeaksInSentences),
    Suspect("relay", SpeaksSentencesAtOnce),
    Suspect("relay", SpeaksAgain),
    Suspect("relay", PassesOnTheRest),
    Suspect("relay", OneRoomForAll),
    Suspect("relay", OneRoomForClips),
    Suspect("relay", StopsAfterAMoment),
    Suspect("relay", MarksWhatItStops),
    Suspect("relay", MarksAudioLast),
    Suspect("relay", MarksAudioLast, wire=str(DROPS_LATE_MOTION_WIRE)),
    Suspect("relay", MarksAudioOfClipsLast, wire="typed-json-voice"),
    Suspect("relay", PlaysClipsAtPace),
    Suspect("relay", PlaysAllClipsInOneSession),
    *(
        Suspect("server", brain)
        for brain in (
            PlainServer,
            SignalsPlayout,
            IgnoresSilence,
            TakesOneAtATime,
            TakesTokensOnce,
            TakesReqIdsOnce,
            LimitsSessions,
            LimitsUpgrades,
            TakesOpus,
            SkipsDamagedOpus,
            HangsUpOnDamagedOpus,
            CountsPreSkip,
            WorksInRealTime,
            MakesMotionInOneQueue,
            RefusesLongClips,
            RefusesWhatItDoesNotKnow,
            TellsWherePlaybackStands,
            EndsIdleSessions,
            ServerSession,
        )
    ),
    Suspect("client", ClientDecoder),
    *(Suspect("client", brain) for brain in HONEST_CLIENTS),
    *(Suspect("room", room) for room in HONEST_ROOMS),
]


@asynccontextmanager
async def attached(suspect: Suspect, seed: int) -> AsyncIterator[Subject[Any]]:
    """Attach the suspect while the block runs, in virtual time if the loop is virtual, or over sockets."""
    match suspect.kind:
        case "relay":
            speaks = Talkative() if suspect.talkative else None
            policy = HONEST_RELAYS.get(suspect.policy)
            make: MakeRelay = partial(PlainRelay, policy=policy) if policy else suspect.brain
            turn = "clip:hello" if suspect.plays_clips else CLIENT_AUDIO_START
            relay = miniature_relay(make, suspect.wire, seed, speaks, turn=turn)
            async with relay as subject:
                yield subject
        case "server":
            async with running_server(suspect.brain, seed) as subject:
                yield subject
        case "room":
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop), "wrong rooms are judged in virtual time"
            yield serve_room(loop, suspect.brain, suspect.scenario, seed)
        case _:
            yield ClientSubject(InProcessTestee(own_client_factory(suspect.brain)), suspect.name, seed)


@asynccontextmanager
async def running_server(brain: type[PlainServer | ServerSession], seed: int) -> AsyncIterator[ServerSubject]:
    """Serve a small Motion Server, or our own (ServerSession), while the block runs."""
    key, numbers = canary_key(seed), count(1)
    loop = asyncio.get_running_loop()
    plain = (
        None if issubclass(brain, ServerSession) else brain(key, lambda: f"connection-{next(numbers)}", seed)
    )
    access = AccessControl(frozenset({key}))
    if isinstance(loop, VirtualLoop):
        virtual = (
            VirtualMiniatureServer(loop, plain) if plain else VirtualMotionServer(loop, seed, access=access)
        )
        place = ServerAddress(NOWHERE, NOWHERE, key, find_lacks=False)
        recorder = RealTimeRecorder(clock_ns=loop.time_ns)
        yield ServerSubject(place, recorder, seed, Patience(), ServerInMemory(loop, virtual))
        return
    async with MiniatureServer(plain) if plain else SocketMotionServer(seed=seed, access=access) as server:
        place = ServerAddress(server.console_endpoint, server.ingress_endpoint, key, find_lacks=False)
        yield ServerSubject(place, RealTimeRecorder(), seed, Patience())


Attach = Callable[[Suspect, int], AbstractAsyncContextManager[Subject[Any]]]
"""How a suspect is attached, from a seed."""


class Hearing:
    """`with Hearing(suspect, seed, folder) as hearing:` judges one suspect over as many plans as the ci
    profile has, in virtual time or over sockets, without cutting down those that fail."""

    def __init__(
        self,
        suspect: Suspect,
        seed: int,
        folder: Path,
        *,
        over_sockets: bool = False,
        attach: Attach = attached,
    ) -> None:
        self._suspect = suspect
        self._loop: WorkLoop = BackgroundLoop() if over_sockets else VirtualLoop()
        self._began = self._loop.time() if isinstance(self._loop, VirtualLoop) else 0.0
        self._attached = attach(suspect, seed)
        profile = profile_named("ci")
        plans = profile.client_plans if suspect.kind == "client" else profile.plans
        subject = self._loop.run(self._attached.__aenter__(), _OPENING_SECONDS)
        self._trial: Trial[Any] = Trial(
            subject, self._loop, seed, folder, plans, shrink_seconds=0.0, drawn_plans=_DRAWN_PLANS
        )
        self._trial.on_suspects = lambda suspects: self.on_suspects()
        if suspect.kind == "client":
            self._trial.find_sure_plans = lambda rule_id: exercise_of(rule_id).sure
        self.on_suspects: Callable[[], None] = lambda: None
        """Is called as soon as a scenario breaks a rule that none has broken before."""

    def __enter__(self) -> "Hearing":
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.run(self._attached.__aexit__(None, None, None), _OPENING_SECONDS)
        self._loop.stop()

    def cut_down_plans(self) -> None:
        """Cut the plans of this relay down that fail, as a run of a user does."""
        cut_down_relay_plans(self._trial)
        self._trial.shrink_seconds = _SHRINK_SECONDS

    def of(self, rule_id: str, *, drawn_too: bool = True) -> RuleOutcome:
        """What is found out by the plans of one rule: by those that always run, and those that are drawn."""
        exercise = exercise_of(rule_id)
        if drawn_too:
            return self._trial.judge(rule_id, *exercise)
        _DRAWN_PLANS[_NO_PLANS, 0, self._trial.seed] = ()
        return self._trial.judge(rule_id, _NO_PLANS, exercise.sure, 0)

    def newly_broken(self, outcome: RuleOutcome) -> list[RuleOutcome]:
        """Outcomes of rules that were judged before, and that scenarios of this `outcome` have changed."""
        return self._trial.update_earlier_outcomes(outcome)

    def of_all_rules(self) -> dict[str, RuleOutcome]:
        """A whole run. A scenario of one rule may break another that was judged before, as in users' runs."""
        outcomes: dict[str, RuleOutcome] = {}
        for rule in rules_for(self._suspect.kind):
            outcome = outcomes[rule.id] = self.of(rule.id)
            outcomes |= {broken.rule_id: broken for broken in self.newly_broken(outcome)}
        return outcomes

    @property
    def seconds(self) -> float:
        """How much virtual time has passed so far; 0 over sockets."""
        return self._loop.time() - self._began if isinstance(self._loop, VirtualLoop) else 0.0

    @property
    def scenarios(self) -> int:
        """How many scenarios were run and judged so far, without repetitions."""
        return len(self._trial.judgements())

    @property
    def accusations(self) -> set[str]:
        """The rules that any scenario so far broke, in a way that follows from no failed rule."""
        return set(self._trial.broken_so_far())
