"""What the E rules say at their edges: what was not seen accuses nobody, and what is damaged is told."""

import numpy as np
import pytest

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, Interrupt, MotionResponse, ServerError
from spatius_sim.protocol.room_packet import PacketFlag
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.room_story import join_rooms
from spatius_sim.tests.rules.egress.hand_made import RoomDialogue
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Joined,
    KitStalled,
    Opened,
    Provocation,
    Provoked,
    Published,
    Undecodable,
    WaitEnded,
)
from spatius_sim.trace.room_events import (
    KeyFrameSeen,
    LeftRoom,
    PacketSeen,
    PlaybackTold,
    SoundHeard,
    ViewerJoined,
)

LOUD = (np.ones(3200, "<i2") * 9000).tobytes()
SILENT = bytes(6400)
"""A fifth of a second each: five keyframes."""


def spoken(pcm: bytes = LOUD) -> RoomDialogue:
    dialogue = RoomDialogue()
    dialogue.sends(AudioInput("a", pcm, True))
    return dialogue


def verdicts(dialogue: RoomDialogue) -> dict[str, Verdict]:
    return {name: found.verdict for name, found in judge(dialogue.trace()).items()}


def test_a_conversation_without_any_event_of_a_room_breaks_what_was_waited_for() -> None:
    dialogue = spoken()
    dialogue.kit(WaitEnded(Awaited.TURN, False))
    found = verdicts(dialogue)
    assert found["E-SOUND"] is found["E-COUNT"] is found["E-PLAYBACK"] is Verdict.FAILED
    assert judge(dialogue.trace())["E-SOUND"].broken[0].actual == "0 bursts, 0.0 s"


def test_what_is_published_and_cannot_be_read_is_no_motion() -> None:
    dialogue = spoken()
    before = verdicts(dialogue)
    dialogue.room(Published("room", b"\xff", Undecodable("no message")))
    assert verdicts(dialogue) == before
    (session,) = join_rooms(dialogue.trace())
    assert session.speeches[0].motion == []


def test_who_saw_the_attributes_of_the_avatar_tells_its_joining() -> None:
    dialogue = RoomDialogue()
    dialogue.room(Joined("room", "avatar", "lk.publish_on_behalf=agent"))
    dialogue.room(Joined("room", "avatar"))
    (session,) = join_rooms(dialogue.trace())
    assert session.joined is not None
    assert session.joined.content == Joined("room", "avatar", "lk.publish_on_behalf=agent")


def test_silence_has_no_mark_to_be_heard() -> None:
    dialogue = spoken(SILENT)
    dialogue.kit(WaitEnded(Awaited.TURN, False))
    assert verdicts(dialogue)["E-SOUND"] is Verdict.UNEXERCISED


def test_a_request_too_short_for_a_keyframe_has_no_marks() -> None:
    dialogue = spoken(LOUD[:200])
    dialogue.kit(WaitEnded(Awaited.TURN, True))
    found = verdicts(dialogue)
    assert found["E-COUNT"] is Verdict.PASSED
    assert found["E-MARKS"] is Verdict.UNEXERCISED


def test_damaged_packets_are_no_keyframes() -> None:
    dialogue = spoken()
    dialogue.room(PacketSeen("avatar", b"\x01"))
    room = join_rooms(dialogue.trace())[0]
    assert room.packets[0].fault == "a packet has 5 bytes at least, this has 1"
    assert room.split_into_conversations() == []


@pytest.mark.parametrize("message", [b"\xff", encode(ServerError())])
def test_a_keyframe_that_is_no_motion_is_another_one(message: bytes) -> None:
    dialogue = spoken(LOUD[:1280])
    made = MotionResponse("c", "a", True, np.zeros((1, WIDTH), np.float32))
    dialogue.room(Published("room", encode(made), made))
    dialogue.shows(PacketFlag.START | PacketFlag.END, 0, message)
    dialogue.kit(WaitEnded(Awaited.TURN, True))
    assert verdicts(dialogue)["E-VERBATIM"] is Verdict.FAILED


def test_motion_of_an_unknown_request_is_nobodys() -> None:
    dialogue = spoken()
    stray = MotionResponse("c", "stray", True, np.zeros((1, WIDTH), np.float32))
    dialogue.room(Published("room", encode(stray), stray))
    dialogue.hears(MotionResponse("c", "stray", True, np.zeros((0, WIDTH), np.float32)))
    dialogue.hears(MotionResponse("c", "a", False, np.ones((1, WIDTH), np.float32)))
    dialogue.sends(Interrupt("stray"))
    room = join_rooms(dialogue.trace())[0]
    assert room.speeches[0].motion == []
    assert room.speeches[0].interrupted is None


def test_a_second_interrupt_changes_nothing() -> None:
    dialogue = spoken()
    first = dialogue.sends(Interrupt("a"))
    dialogue.sends(Interrupt("a"))
    interrupted = join_rooms(dialogue.trace())[0].speeches[0].interrupted
    assert interrupted is not None
    assert interrupted.seq == first


def test_an_interrupt_that_nobody_answers_is_told() -> None:
    dialogue = spoken()
    for told in (PlaybackTold("avatar", "lk.playback_started", "{}"), PlaybackTold("avatar", "other", "{}")):
        dialogue.room(told)
    dialogue.sends(Interrupt("a"))
    dialogue.kit(WaitEnded(Awaited.SILENCE, True))
    broken = judge(dialogue.trace())["E-INTERRUPT"].broken
    assert broken[0].actual == "told nothing"


def test_a_wrong_position_after_an_interrupt_is_told() -> None:
    dialogue = spoken()
    dialogue.sends(Interrupt("a"))
    payload = '{"playback_position": 99, "interrupted": true}'
    dialogue.room(PlaybackTold("avatar", "lk.playback_finished", payload))
    dialogue.kit(WaitEnded(Awaited.SILENCE, True))
    assert judge(dialogue.trace())["E-INTERRUPT"].broken[0].actual == "99.00 s, interrupted"


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "[]",
        "{}",
        '{"playback_position": NaN, "interrupted": true}',
        f'{{"playback_position": 1{"0" * 400}, "interrupted": true}}',
        "[" * 5000,
    ],
)
def test_a_payload_that_says_nothing_is_told(payload: str) -> None:
    dialogue = spoken()
    dialogue.room(PlaybackTold("avatar", "lk.playback_finished", payload))
    dialogue.kit(WaitEnded(Awaited.TURN, True))
    broken = judge(dialogue.trace())["E-PLAYBACK"].broken
    assert broken[0].expected == "a payload with playback_position and interrupted"


def test_a_key_frame_may_come_too_late() -> None:
    dialogue = spoken()
    dialogue.room(ViewerJoined("v"))
    for _ in range(60):
        dialogue.shows(PacketFlag.IDLE)
    dialogue.room(KeyFrameSeen("nobody"))
    dialogue.room(KeyFrameSeen("v"))
    dialogue.room(KeyFrameSeen("v"))
    broken = judge(dialogue.trace())["E-LATE"].broken
    assert broken[0].actual == "it came after 2.5 s"


def test_a_publisher_without_tracks_is_told_if_somebody_spoke() -> None:
    dialogue = RoomDialogue(joins=False)
    dialogue.room(Joined("room", "avatar"))
    assert verdicts(dialogue)["E-TRACKS"] is Verdict.UNEXERCISED
    dialogue.sends(AudioInput("a", LOUD, True))
    assert judge(dialogue.trace())["E-TRACKS"].broken[0].actual == "no track"


def test_without_a_wait_nothing_is_missing() -> None:
    dialogue = RoomDialogue(joins=False)
    dialogue.sends(AudioInput("a", LOUD, True))
    dialogue.kit(WaitEnded(Awaited.HANDSHAKE, True))
    assert set(verdicts(dialogue).values()) == {Verdict.UNEXERCISED}


def test_who_is_still_there_when_nobody_waited_stays_unjudged() -> None:
    dialogue = spoken()
    dialogue.upstream(Opened())
    dialogue.upstream(Closed(True, 1000))
    assert verdicts(dialogue)["E-LEAVE"] is Verdict.UNEXERCISED
    dialogue.kit(WaitEnded(Awaited.HANG_UP, True))
    dialogue.room(LeftRoom("room", "avatar"))
    dialogue.room(LeftRoom("room", "avatar"))
    assert verdicts(dialogue)["E-LEAVE"] is Verdict.PASSED


def test_a_wait_for_a_turn_before_any_speech_says_nothing() -> None:
    dialogue = RoomDialogue()
    for what in (Awaited.TURN, Awaited.SILENCE, Awaited.LIFE):
        dialogue.kit(WaitEnded(what, True))
    assert join_rooms(dialogue.trace())[0].speeches == []


def test_a_room_that_refuses_is_judged_by_its_answer_alone() -> None:
    dialogue = RoomDialogue(joins=False)
    dialogue.kit(Provoked(Provocation.ROOM_REFUSES))
    assert verdicts(dialogue)["E-REFUSED"] is Verdict.FAILED


@pytest.mark.parametrize(("refuses", "rule_id"), [(False, "E-JOIN"), (True, "E-REFUSED")])
@pytest.mark.parametrize("joins", [False, True])
def test_a_configuration_that_is_never_answered(rule_id: str, *, refuses: bool, joins: bool) -> None:
    dialogue = RoomDialogue(joins=joins, confirms=False)
    if refuses:
        dialogue.kit(Provoked(Provocation.ROOM_REFUSES))
    assert verdicts(dialogue)[rule_id] is Verdict.UNEXERCISED
    dialogue.kit(WaitEnded(Awaited.HANDSHAKE, False))
    assert [name for name, verdict in verdicts(dialogue).items() if verdict is Verdict.FAILED] == [rule_id]


def test_what_a_stalled_kit_saw_accuses_nobody() -> None:
    dialogue = spoken()
    dialogue.room(SoundHeard("avatar", SILENT, 16_000))
    dialogue.kit(KitStalled(0.5), connection="")
    dialogue.kit(WaitEnded(Awaited.TURN, True))
    found = verdicts(dialogue)
    assert found["E-SOUND"] is found["E-COUNT"] is Verdict.INCONCLUSIVE
    assert found["E-JOIN"] is Verdict.UNEXERCISED


def test_a_session_without_an_egress_has_no_room() -> None:
    dialogue = RoomDialogue()
    dialogue.sends(ConfigureSession(16_000))
    assert len(join_rooms(dialogue.trace())) == 1
    plain = RoomDialogue.__new__(RoomDialogue)
    plain._events = []
    plain.sends(ConfigureSession(16_000))
    assert join_rooms(plain.trace()) == []
