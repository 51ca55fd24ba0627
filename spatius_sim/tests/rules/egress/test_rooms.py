"""Every wrong egress is named by its own rule and by no other, and an honest one by none."""

from dataclasses import replace

import pytest

from spatius_sim.files.scenario_file import shipped_scenario
from spatius_sim.miniatures.wrong_rooms import ROOM_MINIATURES, LosesKeyframes, _ChangingPackets
from spatius_sim.model.scenario.scenario import Fault, Moment, Scenario, SendError, When
from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.room_catalogue import ROOM_RULES, judge_rooms
from spatius_sim.rules.rule import Level, Provenance
from spatius_sim.subjects.room_visit import RoomPlan, RoomVisit
from spatius_sim.subjects.server_access import ServerInMemory
from spatius_sim.subjects.virtual_rooms import RoomWindow, VirtualRoomWatch
from spatius_sim.trace.room_events import MediaLost, TrackKind
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_room import VirtualRoom

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhdmF0YXIiLCJ2aWRlbyI6eyJyb29tSm9pbiI6dHJ1ZX19.c2lnbmF0dXJl"
"""Lets its bearer, `avatar`, join any room."""
GOOD = LiveKitEgress(
    "wss://r",
    api_token=TOKEN,
    room_name="room",
    publisher_id="avatar",
    extra_attributes=(("lk.publish_on_behalf", "agent"), ("livekit_agent_identity", "agent")),
)
BAD = replace(GOOD, room_name="unauthorized-1")
_LONGEST_SECONDS = 600.0


def told_at_second_handshake(code: int, text: str) -> Scenario:
    return Scenario("told", "", (Fault(When(Moment.CONFIGURE, connection=2), (SendError(code, text),)),))


def judged(wrong: type[VirtualRoom] | str, egress: LiveKitEgress = GOOD) -> dict[str, Judgement]:
    """Judge our server with this wrong room, or with this scenario."""
    loop = VirtualLoop()
    recorder = LiveRecorder(clock_ns=loop.time_ns)
    window = RoomWindow(recorder)
    room = VirtualRoom if isinstance(wrong, str) else wrong
    server = VirtualMotionServer(loop, 1, window, new_room=room)
    refusing = BAD
    if wrong in ("lets-everybody-in", "tells-its-token", "another-code"):
        refusing = replace(GOOD, room_name="another")
    if wrong == "tells-its-token":
        server.play(told_at_second_handshake(16, f"unauthorized: {TOKEN}"))
    elif wrong == "another-code":
        server.play(told_at_second_handshake(5, "not found"))
    elif isinstance(wrong, str) and wrong.startswith("egress-"):
        server.play(shipped_scenario(wrong))
    visit = RoomVisit(
        ServerInMemory(loop, server), VirtualRoomWatch(window, server), recorder, "any-key-will-do"
    )
    try:
        return judge_rooms(loop.run(visit.run(RoomPlan(egress, refusing)), _LONGEST_SECONDS))
    finally:
        loop.stop()


WRONG = [(rule_id, wrong) for rule_id, wrongs in ROOM_MINIATURES.items() for wrong in wrongs]


@pytest.mark.parametrize(
    ("rule_id", "wrong"), WRONG, ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_a_wrong_egress_is_named_by_its_own_rule_alone(rule_id: str, wrong: type[VirtualRoom] | str) -> None:
    judgements = judged(wrong)
    failed = {name: j.broken[0] for name, j in judgements.items() if j.verdict is Verdict.FAILED}
    assert set(failed) == {rule_id}, failed
    assert failed[rule_id].expected
    assert failed[rule_id].actual


@pytest.mark.parametrize("egress", [GOOD, replace(GOOD, extra_attributes=())], ids=["rpc", "socket"])
def test_an_honest_egress_passes_every_rule(egress: LiveKitEgress) -> None:
    verdicts = {name: judgement.verdict for name, judgement in judged("", egress).items()}
    # Our egress sends no data packet, so nothing can be said of its size.
    assert verdicts.pop("E-LIMIT") is Verdict.UNEXERCISED
    assert set(verdicts.values()) == {Verdict.PASSED}


def test_every_rule_has_a_miniature_and_only_documents_bind() -> None:
    assert set(ROOM_MINIATURES) == set(ROOM_RULES)
    for rule in ROOM_RULES.values():
        assert rule.subject == "room"
        assert rule.level.value in rule.sentence
        assert rule.provenance is not Provenance.ASSUMED or rule.level is not Level.MUST


def lossy_room(*lost_frames: set[int]) -> type[VirtualRoom]:
    """A room whose network loses these keyframes of its first, second and third conversation."""

    class LossyRoom(_ChangingPackets):
        conversation = -1

        def change_packet(self, packet: RoomPacket) -> list[RoomPacket]:
            self.conversation += bool(packet.flags & PacketFlag.START)
            lost = lost_frames[self.conversation] if 0 <= self.conversation < len(lost_frames) else set()
            return [] if packet.frame_seq in lost else [packet]

    return LossyRoom


SCATTERED = [
    ({7}, set(), {11}),
    ({0}, set(), {5}),
    ({49}, set(), {3, 9}),
    ({7}, set(), set()),
    (set(), {0}, {36}),
    (set(range(20)), set(), set(range(10, 20))),
]


@pytest.mark.parametrize("lost_frames", SCATTERED, ids=str)
def test_frames_that_a_network_may_have_lost_accuse_nobody(lost_frames: tuple[set[int], ...]) -> None:
    judgements = judged(lossy_room(*lost_frames))
    assert not [name for name, one in judgements.items() if one.verdict is Verdict.FAILED]
    count = judgements["E-COUNT"]
    assert count.verdict is Verdict.INCONCLUSIVE
    assert "WebRTC may have lost them; a quieter machine can tell" in count.reason
    for rule_id in ("E-ORDER", "E-MARKS", "E-VERBATIM", "E-SYNC"):
        assert judgements[rule_id].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "lost_frames", [({7}, set(), {7}), ({49}, set(), {36}), (set(range(50)), set(), set(range(37)))], ids=str
)
def test_an_egress_that_never_shows_the_same_keyframes_is_told(lost_frames: tuple[set[int], ...]) -> None:
    assert judged(lossy_room(*lost_frames))["E-COUNT"].verdict is Verdict.FAILED


@pytest.mark.parametrize("kind", [TrackKind.CAMERA, TrackKind.MICROPHONE])
def test_after_a_loss_of_the_network_the_same_says_nothing(kind: TrackKind) -> None:
    class OnABadNetwork(LosesKeyframes):
        def change_packet(self, packet: RoomPacket) -> list[RoomPacket]:
            shown = list(super().change_packet(packet))
            if not shown:
                self._emit(MediaLost(kind, 2))
            return shown

    judgements = judged(OnABadNetwork)
    assert not [name for name, one in judgements.items() if one.verdict is Verdict.FAILED]
    expected = f"the network lost 2 packets of the {kind}'s track: expected 50 keyframes, found 49"
    assert judgements["E-COUNT"].reason == f"{expected}; a quieter machine can tell"
