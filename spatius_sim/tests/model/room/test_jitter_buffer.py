"""The client shows keyframes in order, one in each slot of 40 ms, and comes back to idle."""

from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.model.room.jitter_buffer import (
    BUFFER_FRAMES,
    STALLED_SECONDS,
    TRANSITION_IN_FRAMES,
    TRANSITION_OUT_FRAMES,
    JitterBuffer,
    Scene,
    ShownFrame,
)
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket

IDLE = RoomPacket(PacketFlag.IDLE)
BACK = RoomPacket(PacketFlag.TRANSITION_END)


def keyframe(seq: int, last: int = -1) -> RoomPacket:
    flags = PacketFlag.START if seq == 0 else PacketFlag(0)
    return RoomPacket(flags | PacketFlag.END if seq == last else flags, seq)


def shown(buffer: JitterBuffer, slots: int) -> list[ShownFrame]:
    return [buffer.show_next_frame() for _ in range(slots)]


def test_two_frames_fill_the_buffer_and_speech_fades_in() -> None:
    buffer = JitterBuffer()
    buffer.take_packet(IDLE)
    assert buffer.show_next_frame() == ShownFrame(Scene.IDLE)
    buffer.take_packet(keyframe(0))
    assert buffer.show_next_frame() == ShownFrame(Scene.HELD)
    frames = []
    for seq in range(1, 12):
        buffer.take_packet(keyframe(seq))
        frames.append(buffer.show_next_frame())
    assert [frame.frame_seq for frame in frames] == list(range(11))
    assert frames[0].blend == 1 / TRANSITION_IN_FRAMES
    assert frames[TRANSITION_IN_FRAMES - 1].blend == frames[-1].blend == 1


def test_after_the_last_keyframe_the_way_back_takes_forty_frames() -> None:
    buffer = JitterBuffer()
    for seq in range(3):
        buffer.take_packet(keyframe(seq, last=2))
    scenes = [frame.scene for frame in shown(buffer, 3 + TRANSITION_OUT_FRAMES + 1)]
    assert scenes == [Scene.SPEECH] * 3 + [Scene.RETURN] * TRANSITION_OUT_FRAMES + [Scene.IDLE]


def test_a_transition_back_ends_what_has_no_end() -> None:
    buffer = JitterBuffer()
    buffer.take_packet(keyframe(0))
    buffer.take_packet(BACK)
    assert [frame.scene for frame in shown(buffer, 2)] == [Scene.SPEECH, Scene.RETURN]
    for seq in range(2):
        buffer.take_packet(keyframe(seq))
    shown(buffer, 2)
    buffer.take_packet(BACK)
    assert buffer.show_next_frame().scene is Scene.RETURN


@given(st.permutations(range(BUFFER_FRAMES)))
def test_frames_in_any_order_are_shown_in_theirs(order: list[int]) -> None:
    buffer = JitterBuffer()
    buffer.take_packet(keyframe(0))
    for seq in order:
        if seq:
            buffer.take_packet(keyframe(seq))
    assert [frame.frame_seq for frame in shown(buffer, BUFFER_FRAMES)] == list(range(BUFFER_FRAMES))


def test_late_doubled_and_too_many_frames_are_counted() -> None:
    buffer = JitterBuffer()
    buffer.take_packet(keyframe(7))
    assert buffer.late == 1
    buffer.take_packet(keyframe(0))
    buffer.take_packet(keyframe(2))
    buffer.take_packet(keyframe(2))
    assert buffer.doubled == 1
    shown(buffer, 2)
    buffer.take_packet(keyframe(1))
    assert buffer.late == 2
    for seq in range(3, 9):
        buffer.take_packet(keyframe(seq))
    assert buffer.dropped == 2


def test_a_late_frame_holds_the_last_one_and_five_silent_seconds_end_it() -> None:
    buffer = JitterBuffer()
    buffer.take_packet(keyframe(0))
    buffer.take_packet(keyframe(1))
    slots = int(STALLED_SECONDS / 0.04) + 1
    frames = shown(buffer, slots)
    assert frames[2] == ShownFrame(Scene.HELD, 1, 2 / TRANSITION_IN_FRAMES)
    assert (frames[-2].scene, frames[-1].scene) == (Scene.HELD, Scene.IDLE)
