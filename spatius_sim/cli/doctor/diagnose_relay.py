"""Asks a relay a few questions: does it answer, on which wire, does it reach us, what comes back?"""

from dataclasses import dataclass, replace

from spatius_sim.cli.doctor.find_turn_offers import list_offers
from spatius_sim.engine.failure_evidence import describe_first_trouble
from spatius_sim.engine.run_settings import Settings
from spatius_sim.engine.start_run import Run
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, TurnProgress
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.relay.start_turns import CLIENT_AUDIO_START
from spatius_sim.subjects.subject_base import Subject, WorkLoop
from spatius_sim.trace.events import Closed, Lane, Opened, Received, Refused, TokenRequested, Trace
from spatius_sim.trace.secrets_in_messages import texts_without_secrets
from spatius_sim.wires.events import Audio, Interrupted, Motion, NotUnderstood, Ready

_SAMPLES, _CHUNK_BYTES = 8000, 3200
_PLAN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class RelayDiagnosis:
    """What a relay did in a short turn on one wire.

    `unreachable`: why no turn was possible, or "". `understood` and `garbage`: how many messages this wire
    understands, and how many not. `closed`: the code with which the relay hung up. `seen`: what was refused,
    or what the relay itself said of trouble. `last_output`: the last lines of its process, if the kit started
    it. `token_life`: for how many seconds, by our clock, its token was to be valid. `unknown_path`: the first
    method and path that was asked of our Motion Server and does not exist. `turn`: how the turn was started,
    as `--turn` says it, if the client's audio started none; "" else."""

    wire: str
    unreachable: str = ""
    greets: bool = False
    understood: int = 0
    garbage: int = 0
    first_garbage: str = ""
    closed: int = 0
    asked_for_token: bool = False
    token_status: int = 0
    token_life: float | None = None
    refused: str = ""
    reached_us: bool = False
    spoke_up: bool = False
    audio_down: bool = False
    motion_down: bool = False
    interrupts: bool = False
    seen: str = ""
    last_output: str = ""
    unknown_path: str = ""
    turn: str = ""

    @property
    def whole_turn(self) -> bool:
        """Whether audio went up and motion came down."""
        return self.spoke_up and self.motion_down


def diagnose(settings: Settings) -> RelayDiagnosis:
    """Start or reach the relay of these settings, speak a turn, and return the diagnosis: what the relay did.

    If the settings name no wire, find out the wire. If the settings do not say how a turn is started, and no
    turn starts by the client's audio, try the ways that the relay itself offers. Raises UsageError if the
    relay cannot be started, or if an option is wrong."""
    diagnosis, offers = _diagnose_once(settings)
    if settings.turn == CLIENT_AUDIO_START and not diagnosis.whole_turn:
        for turn in offers:
            offered, _ = _diagnose_once(replace(settings, wire=settings.wire or diagnosis.wire, turn=turn))
            if offered.whole_turn:
                return replace(offered, turn=turn)
    return diagnosis


def _diagnose_once(settings: Settings) -> tuple[RelayDiagnosis, list[str]]:
    """Diagnose the relay of these settings by speaking to it, and return the diagnosis. Also return the
    values of `--turn` by which the relay offers to start a turn itself; none if the relay was not reached."""
    run = Run(settings)
    try:
        run.open()
        trial = run.trial_for("relay")
        subject = trial.subject
        diagnosis = ask_subject(subject, trial.loop, settings)
        last_output = subject.last_output if isinstance(subject, RelaySubject) else ""
        offers = [] if diagnosis.unreachable else list_offers(subject.target, subject.wire, settings.wire)
        diagnosis = replace(diagnosis, last_output=last_output, unknown_path=run.unknown_path)
        return texts_without_secrets(diagnosis, run.secrets), offers
    finally:
        run.close()


def ask_subject(subject: Subject[Plan], loop: WorkLoop, settings: Settings) -> RelayDiagnosis:
    """Diagnose a relay (`subject`) by speaking a turn to it. If all motion of the turn comes, interrupt a
    second turn. Return the diagnosis; if the relay is not reached, or is lost, the diagnosis says why."""
    wire = settings.wire
    try:
        loop.run(subject.attach(), None)
        wire = subject.wire
        diagnosis = _diagnosis_from(loop.run(subject.run(_one_turn_plan()), _PLAN_SECONDS))
        if diagnosis.whole_turn:
            interrupted_turn = _one_turn_plan(Cue(2, TurnProgress.NOTHING), Behaviour.INTERRUPT)
            received = _received_values(loop.run(subject.run(interrupted_turn), _PLAN_SECONDS))
            return replace(diagnosis, interrupts=any(isinstance(value, Interrupted) for value in received))
        return diagnosis
    except (UnreachableError, TimeoutError) as error:
        return RelayDiagnosis(wire, unreachable=str(error) or "it kept us waiting too long")


def _one_turn_plan(cue: Cue | None = None, act: Behaviour = Behaviour.GO_ON) -> Plan:
    """Return a plan for the diagnosis: one client with one short turn, which does `act` at this cue."""
    return Plan(((TurnPlan(_SAMPLES, _CHUNK_BYTES, cue or Cue(), act),),))


def _diagnosis_from(trace: Trace) -> RelayDiagnosis:
    """Return the diagnosis of a relay: what it did in the turn of this trace."""
    received = _received_values(trace)
    garbage = [value.reason for value in received if isinstance(value, NotUnderstood)]
    tokens = [
        event.content for event in trace.on_lane(Lane.CONSOLE) if isinstance(event.content, TokenRequested)
    ]
    refusals = [event.content for event in trace.events if isinstance(event.content, Refused)]
    closes = [
        event.content.code
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.content, Closed) and not event.content.by_kit
    ]
    upstream = [event.content for event in trace.on_lane(Lane.UPSTREAM)]
    spoke_up = any(
        isinstance(content, Received) and isinstance(content.value, AudioInput) for content in upstream
    )
    motion_down = any(isinstance(value, Motion) and value.payloads for value in received)
    return RelayDiagnosis(
        trace.header.wire,
        greets=any(isinstance(value, Ready) for value in received),
        understood=sum(isinstance(value, Ready | Audio | Motion) for value in received),
        garbage=len(garbage),
        first_garbage=garbage[0] if garbage else "",
        closed=closes[0] if closes else 0,
        asked_for_token=bool(tokens),
        token_status=tokens[0].status if tokens else 0,
        token_life=_token_life_of(tokens[0]) if tokens else None,
        refused=f"HTTP {refusals[0].status} {refusals[0].reason}" if refusals else "",
        reached_us=any(isinstance(content, Opened) for content in upstream),
        spoke_up=spoke_up,
        audio_down=any(isinstance(value, Audio) and value.pcm for value in received),
        motion_down=motion_down,
        seen=describe_first_trouble(trace),
    )


def _token_life_of(asked: TokenRequested) -> float | None:
    """Return for how many seconds the session token of the relay was to be valid; None if its request does
    not say."""
    return None if asked.expire_at is None else asked.expire_at - asked.now


def _received_values(trace: Trace) -> list[object]:
    """Return the values of all messages that the client received from the relay."""
    return [
        event.content.value for event in trace.on_lane(Lane.DOWNSTREAM) if isinstance(event.content, Received)
    ]
