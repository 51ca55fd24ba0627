"""Our Motion Server, driven in a room of a real LiveKit server, in the process of a test."""

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.subjects.livekit_server import LiveKitAccess
from spatius_sim.subjects.room_subject import RoomSubject
from spatius_sim.subjects.server_access import ServerOverSockets
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer

BY_LOAD = {"E-SYNC", "E-SOUND"}
"""How late a loaded machine shows a frame, and sound that it leaves out, say nothing of the egress. (A run of
the judge repeats such a breach before it accuses; here there is one run.)"""


def subject_in_room(
    livekit: LiveKitServer, server: MotionServer
) -> tuple[RoomSubject, RealTimeRecorder, LiveKitEgress]:
    """Return the server as a subject, what records it, and the room in which its next run plays."""
    from spatius_sim.net.room.room_watcher import LiveRoomWatch

    rooms = LiveKitAccess(livekit.url, KEY, SECRET).configure_new_room()
    recorder = RealTimeRecorder()
    subject = RoomSubject(
        "",
        ServerOverSockets(server.console_endpoint, server.ingress_endpoint),
        LiveRoomWatch(recorder, KEY, SECRET),
        recorder,
        lambda: rooms,
        "any-key-will-do",
    )
    return subject, recorder, rooms[0]


def failed_rules(judgements: dict[str, Judgement]) -> set[str]:
    """Return the rules that were broken, but for those that load breaks."""
    return {name for name, one in judgements.items() if one.verdict is Verdict.FAILED} - BY_LOAD
