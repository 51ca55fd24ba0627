"""Every wrong egress is named by its own rule and by no other, and an honest one by none."""

from dataclasses import replace

import pytest

from spatius_sim.miniatures.room.honest_rooms import HONEST_ROOMS
from spatius_sim.miniatures.room.serve_room import serve_room
from spatius_sim.miniatures.room.wrong_rooms import (
    ROOM_MINIATURES,
    ChangingPackets,
    LosesKeyframes,
    PlaysSoundLate,
)
from spatius_sim.plans.room_plan import AT_ANOTHER_RATE, RoomPlan
from spatius_sim.plans.room_plan import TWO_TURNS_AND_AN_INTERRUPT as PLAN
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.rules.rule import Level, Provenance
from spatius_sim.trace.events import Event, KitStalled, Lane
from spatius_sim.trace.room_events import MediaLost, TrackKind
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_room import VirtualRoom

_LONGEST_SECONDS = 600.0


def judged(room: type[VirtualRoom], scenario: str = "", plan: RoomPlan = PLAN) -> dict[str, Judgement]:
    """Judge our server with rooms of this kind, while it plays a scenario."""
    loop = VirtualLoop()
    try:
        return judge(loop.run(serve_room(loop, room, scenario).run(plan), _LONGEST_SECONDS))
    finally:
        loop.stop()


WRONG = [(rule_id, wrong) for rule_id, wrongs in ROOM_MINIATURES.items() for wrong in wrongs]


@pytest.mark.parametrize(
    ("rule_id", "wrong"), WRONG, ids=lambda value: value if isinstance(value, str) else value.__name__
)
def test_a_wrong_egress_is_named_by_its_own_rule_alone(rule_id: str, wrong: type[VirtualRoom] | str) -> None:
    judgements = judged(VirtualRoom, wrong) if isinstance(wrong, str) else judged(wrong)
    failed = {name: j.broken[0] for name, j in judgements.items() if j.verdict is Verdict.FAILED}
    consequences = {name for name, broken in failed.items() if set(broken.follows_from) & set(failed)}
    assert set(failed) - consequences == {rule_id}, failed
    assert failed[rule_id].expected
    assert failed[rule_id].actual


@pytest.mark.parametrize("room", HONEST_ROOMS)
def test_an_honest_egress_passes_every_rule(room: type[VirtualRoom]) -> None:
    verdicts = {name: judgement.verdict for name, judgement in judged(room).items()}
    assert verdicts == dict.fromkeys(verdicts, Verdict.PASSED)


def test_another_sample_rate_says_the_same() -> None:
    verdicts = {
        name: judgement.verdict for name, judgement in judged(VirtualRoom, plan=AT_ANOTHER_RATE).items()
    }
    assert verdicts.pop("E-REFUSED") is Verdict.UNEXERCISED
    assert set(verdicts.values()) == {Verdict.PASSED}


def test_every_rule_has_a_miniature_and_only_documents_bind() -> None:
    rules = rules_for("room")
    assert set(ROOM_MINIATURES) == {rule.id for rule in rules}
    for rule in rules:
        assert rule.level.value in rule.sentence
        assert rule.provenance is not Provenance.ASSUMED or rule.level is not Level.MUST


def lossy_room(*lost_frames: set[int]) -> type[VirtualRoom]:
    """A room whose network loses these keyframes of its first, second and third conversation."""

    class LossyRoom(ChangingPackets):
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


@pytest.mark.parametrize(
    ("rule_id", "wrong"),
    [
        ("E-SYNC", PlaysSoundLate),
        ("E-SOUND", ROOM_MINIATURES["E-SOUND"][-1]),
        ("E-PLAYBACK", ROOM_MINIATURES["E-PLAYBACK"][-1]),
        ("E-INTERRUPT", ROOM_MINIATURES["E-INTERRUPT"][-1]),
    ],
)
def test_a_kit_that_is_late_itself_says_nothing_of_milliseconds(
    rule_id: str, wrong: type[VirtualRoom]
) -> None:
    loop = VirtualLoop()
    try:
        trace = loop.run(serve_room(loop, wrong).run(PLAN), _LONGEST_SECONDS)
    finally:
        loop.stop()
    last = trace.events[-1]
    late = Event(last.seq + 1, last.at_ns, Lane.KIT, "", KitStalled(0.1))
    judgements = judge(replace(trace, events=(*trace.events, late)))
    assert judgements[rule_id].verdict is Verdict.INCONCLUSIVE
    assert judgements[rule_id].reason.startswith("the kit itself was late by 0.1 s: expected")
    # Nothing is lost by a tenth of a second.
    assert judgements["E-COUNT"].verdict is Verdict.PASSED


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
