"""Judges the egress of a Motion Server in a real LiveKit room."""

import time
from dataclasses import dataclass
from uuid import uuid4

from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.protocol.video_container import Container
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.room_catalogue import ROOM_RULES, judge_rooms
from spatius_sim.rules.rule import Level
from spatius_sim.subjects.room_visit import RoomPlan, RoomVisit
from spatius_sim.subjects.server_access import ServerOverSockets
from spatius_sim.subjects.server_subject import ServerAddress

_PUBLISHER = "sim-avatar"

UNSEEN_RULES = frozenset({"E-VERBATIM", "E-LIMIT"})
"""Rules whose situation a visit cannot bring up: the kit does not see what the server made, and the server
sends no data packets."""


@dataclass(frozen=True, slots=True)
class LiveKitPlace:
    """A LiveKit server at `url`, with the key and the secret by which tokens for it are made."""

    url: str
    key: str
    secret: str
    container: Container = Container.H264_SEI

    def __post_init__(self) -> None:
        """Raise UsageError if a value is missing, or if the URL is none of LiveKit's."""
        for name, value in (("URL", self.url), ("API_KEY", self.key), ("API_SECRET", self.secret)):
            if not value:
                option = name.lower().removeprefix("api_")
                raise UsageError(f"a real room is needed: --livekit-{option} or LIVEKIT_{name}")
        if not self.url.startswith(("ws://", "wss://")):
            raise UsageError("--livekit-url: a URL that begins with ws:// or wss:// is needed")


async def judge_room(address: ServerAddress, place: LiveKitPlace) -> dict[str, Judgement]:
    """Visit the Motion Server once with an egress into a new room, and return the judgement of every E rule.
    Raises UnreachableError if the server or the room cannot be reached, UsageError if the extra `livekit` is
    not installed."""
    try:
        import spatius_sim.net.room.room_watcher  # noqa: F401
    except ImportError as error:
        missing = f"real LiveKit rooms need more packages ({error}): pip install 'spatius-sim[livekit]'"
        raise UsageError(missing) from error
    first = await _visit_once(address, place)
    if all(judgement.verdict is not Verdict.FAILED for judgement in first.values()):
        return first
    # Networks lose packets: what is seen once may be their fault, and is told as such.
    return confirm(first, await _visit_once(address, place))


def confirm(first: dict[str, Judgement], second: dict[str, Judgement]) -> dict[str, Judgement]:
    """Return the judgements of two visits: a rule failed if it failed in both. If it failed in one of them
    only, that is INCONCLUSIVE."""
    confirmed = {}
    for rule_id, judgement in first.items():
        other = second[rule_id]
        failed_once = Verdict.FAILED in (judgement.verdict, other.verdict)
        if failed_once and judgement.verdict is not other.verdict:
            broken = (judgement.broken + other.broken)[0]
            reason = f"seen once in two visits: expected {broken.expected}; found {broken.actual}"
            confirmed[rule_id] = Judgement(rule_id, Verdict.INCONCLUSIVE, reason=reason)
        else:
            confirmed[rule_id] = other
    return confirmed


async def _visit_once(address: ServerAddress, place: LiveKitPlace) -> dict[str, Judgement]:
    """Visit the Motion Server once, with a new room."""
    from spatius_sim.net.room.room_watcher import AGENT, LiveRoomWatch, refusing

    recorder = LiveRecorder()
    room = f"spatius-sim-{uuid4().hex[:12]}"
    grant = RoomGrant(room, _PUBLISHER, "agent", can_subscribe=False)
    egress = LiveKitEgress(
        place.url,
        api_token=make_livekit_token(place.key, place.secret, grant, time.time()),
        room_name=room,
        publisher_id=_PUBLISHER,
        extra_attributes=(("lk.publish_on_behalf", AGENT), ("livekit_agent_identity", AGENT)),
    )
    watch = LiveRoomWatch(recorder, place.key, place.secret, place.container)
    access = ServerOverSockets(address.console, address.ingress)
    ids = address.app_id, address.avatar_id
    visit = RoomVisit(access, watch, recorder, address.api_key, ids)
    return judge_rooms(await visit.run(RoomPlan(egress, refusing(egress))))


def exit_code_of(judgements: dict[str, Judgement], may_stay_open: frozenset[str] = UNSEEN_RULES) -> ExitCode:
    """Return what the process says: failed if a rule failed, not exercised if a MUST rule stayed open that
    is none of `may_stay_open`."""
    verdicts = {rule_id: judgement.verdict for rule_id, judgement in judgements.items()}
    if Verdict.FAILED in verdicts.values():
        return ExitCode.RULE_FAILED
    still_open = [
        rule_id
        for rule_id, verdict in verdicts.items()
        if verdict is not Verdict.PASSED
        and ROOM_RULES[rule_id].level is Level.MUST
        and rule_id not in may_stay_open
    ]
    return ExitCode.NOT_EXERCISED if still_open else ExitCode.PASSED
