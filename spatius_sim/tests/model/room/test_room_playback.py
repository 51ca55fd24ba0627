"""Speech is played in real time, one packet for each keyframe, and an interrupt cuts it off."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.model.room.room_faults import RoomFault
from spatius_sim.model.room.room_playback import (
    EXPLICIT,
    LONGEST_PAUSE_TICKS,
    MOTION_PATIENCE_TICKS,
    PAUSE_TIMEOUT,
    LeaveRoom,
    PlaySound,
    RoomOutput,
    RoomPlayback,
    ShowPacket,
    TellFinished,
    TellStarted,
    make_agent_rpc,
)
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.keyframes import WIDTH, Keyframes
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, read_packet

RATE = 16000
TICK_BYTES = 1280


def motion(count: int) -> Keyframes:
    return np.arange(count * WIDTH, dtype=np.float32).reshape(count, WIDTH)


def packets(outputs: list[RoomOutput]) -> list[RoomPacket]:
    return [read_packet(output.packet) for output in outputs if isinstance(output, ShowPacket)]


def sound(outputs: list[RoomOutput]) -> bytes:
    return b"".join(output.pcm for output in outputs if isinstance(output, PlaySound))


def news(outputs: list[RoomOutput]) -> list[RoomOutput]:
    return [output for output in outputs if isinstance(output, TellStarted | TellFinished | LeaveRoom)]


def play(playback: RoomPlayback, ticks: int = 400) -> list[RoomOutput]:
    outputs: list[RoomOutput] = []
    for _ in range(ticks):
        if not playback.playing:
            break
        outputs += playback.tick()
    return outputs


def speak(
    playback: RoomPlayback, req_id: str = "a", keyframes: int = 5, more_bytes: int = 0
) -> tuple[bytes, Keyframes]:
    pcm = bytes(range(256)) * (keyframes * TICK_BYTES // 256) + bytes(more_bytes)
    playback.add_audio(req_id, pcm, end=True)
    playback.add_motion(req_id, motion(keyframes), end=True)
    return pcm, motion(keyframes)


def test_idle_time_gives_an_idle_packet_in_every_tick() -> None:
    playback = RoomPlayback("c", RATE)
    [packet] = packets(playback.tick())
    assert (packet.flags, packet.frame_seq) == (PacketFlag.IDLE, None)
    assert not playback.playing


@given(
    keyframes=st.integers(1, 12),
    more_bytes=st.integers(0, TICK_BYTES // 2 - 1).map(lambda samples: samples * 2),
    compress=st.booleans(),
)
def test_a_conversation_is_played_whole(keyframes: int, more_bytes: int, compress: bool) -> None:
    playback = RoomPlayback("c", RATE, compress=compress)
    pcm, rows = speak(playback, "a", keyframes, more_bytes)
    outputs = play(playback)
    assert sound(outputs) == pcm
    first, *shown, last = packets(outputs)
    assert first.flags & PacketFlag.TRANSITION
    assert last.flags & PacketFlag.TRANSITION_END
    assert [packet.frame_seq for packet in shown] == list(range(keyframes))
    marks = [packet.flags & ~PacketFlag.ZLIB for packet in shown]
    assert marks[0] & PacketFlag.START
    assert marks[-1] & PacketFlag.END
    assert not any(marks[1:-1])
    messages = [decode(packet.message) for packet in shown]
    responses = [message for message in messages if isinstance(message, MotionResponse)]
    assert [response.req_id for response in responses] == ["a"] * keyframes
    played = np.concatenate([response.keyframes for response in responses])
    assert np.array_equal(played, rows)
    assert news(outputs) == [TellStarted("a"), TellFinished("a", len(pcm) / 2 / RATE, False)]
    assert playback.held_bytes == 0


def test_conversations_are_played_one_after_the_other() -> None:
    playback = RoomPlayback("c", RATE)
    speak(playback, "a", 2)
    speak(playback, "b", 2)
    told = news(play(playback))
    assert told == [
        TellStarted("a"),
        TellFinished("a", 0.08, False),
        TellStarted("b"),
        TellFinished("b", 0.08, False),
    ]


def test_an_interrupt_cuts_sound_and_motion_off_and_says_where() -> None:
    playback = RoomPlayback("c", RATE)
    speak(playback, "a", 100)
    for _ in range(11):
        playback.tick()
    assert playback.interrupt("a") == [TellFinished("a", 0.4, True, EXPLICIT)]
    [back] = packets(play(playback))
    assert back.flags == PacketFlag.TRANSITION_END
    assert packets(playback.tick())[0].flags == PacketFlag.IDLE
    assert playback.interrupt("a") == []


def test_what_was_not_begun_is_interrupted_at_zero() -> None:
    playback = RoomPlayback("c", RATE)
    playback.add_audio("a", b"ab", end=False)
    assert playback.interrupt("a") == [TellFinished("a", 0.0, True, EXPLICIT)]
    assert not playback.playing


def test_a_paused_conversation_stands_still_and_goes_on_from_there() -> None:
    playback = RoomPlayback("c", RATE)
    pcm, _ = speak(playback, "a", 10)
    before = [output for _ in range(6) for output in playback.tick()]
    assert playback.set_paused("a", paused=True)
    assert playback.position("a") == 0.2
    assert [playback.tick() for _ in range(100)] == [[]] * 100
    assert (playback.position("a"), playback.playing) == (0.2, True)
    assert playback.set_paused("a", paused=False)
    after = play(playback)
    assert sound(before + after) == pcm
    assert [packet.frame_seq for packet in packets(before + after)[1:-1]] == list(range(10))
    assert news(after) == [TellFinished("a", 0.4, False)]
    assert not playback.set_paused("a", paused=True)
    assert playback.position("a") == 0.0


def test_a_pause_that_is_held_too_long_is_an_interrupt() -> None:
    playback = RoomPlayback("c", RATE)
    speak(playback, "a", 10)
    for _ in range(6):
        playback.tick()
    playback.set_paused("a", paused=True)
    outputs = [output for _ in range(LONGEST_PAUSE_TICKS + 1) for output in playback.tick()]
    assert outputs == [TellFinished("a", 0.2, True, PAUSE_TIMEOUT)]


def test_sound_and_motion_wait_for_each_other() -> None:
    playback = RoomPlayback("c", RATE)
    playback.add_motion("a", motion(3), end=True)
    assert packets(playback.tick())[0].flags == PacketFlag.IDLE
    playback.add_audio("a", bytes(2 * TICK_BYTES), end=False)
    assert packets(playback.tick())[0].flags == PacketFlag.TRANSITION
    assert [len(packets(playback.tick())) for _ in range(3)] == [1, 1, 0]
    playback.add_audio("a", bytes(TICK_BYTES), end=True)
    assert packets(playback.tick())[0].flags == PacketFlag.END


def test_the_last_keyframe_known_waits_until_it_is_known_whether_it_is_the_last() -> None:
    playback = RoomPlayback("c", RATE)
    playback.add_audio("a", bytes(4 * TICK_BYTES), end=True)
    playback.add_motion("a", motion(2), end=False)
    playback.tick()
    assert packets(playback.tick())[0].flags == PacketFlag.START
    assert playback.tick() == []
    playback.add_motion("a", motion(0), end=True)
    assert packets(playback.tick())[0].flags == PacketFlag.END


def test_sound_whose_motion_never_comes_plays_alone_in_the_end() -> None:
    playback = RoomPlayback("c", RATE)
    playback.add_audio("a", bytes(2 * TICK_BYTES), end=True)
    outputs = [output for _ in range(MOTION_PATIENCE_TICKS + 1) for output in playback.tick()]
    assert sound(outputs) == bytes(2 * TICK_BYTES)
    assert news(outputs)[-1] == TellFinished("a", 0.08, False)


def test_a_failed_request_plays_what_has_come_of_it() -> None:
    playback = RoomPlayback("c", RATE)
    playback.add_audio("a", bytes(TICK_BYTES), end=False)
    assert playback.end_input("a") == playback.end_input("unknown") == []
    assert news(play(playback))[-1] == TellFinished("a", 0.04, False)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (RoomFault.MUTE, [TellStarted("a"), TellFinished("a", 1.2, False)]),
        (RoomFault.NO_MOTION, [TellStarted("a"), TellFinished("a", 1.2, False)]),
        (RoomFault.NO_END, [TellStarted("a"), TellFinished("a", 1.2, False)]),
        (RoomFault.NO_FINISHED, [TellStarted("a")]),
        (RoomFault.FINISHED_EARLY, [TellStarted("a"), TellFinished("a", 0.0, False)]),
        (RoomFault.LEAVE_MID_TURN, [TellStarted("a"), LeaveRoom()]),
        (RoomFault.IGNORE_INTERRUPT, [TellStarted("a"), TellFinished("a", 1.2, False)]),
    ],
)
def test_a_fault_goes_wrong_as_it_says(fault: RoomFault, told: list[RoomOutput]) -> None:
    playback = RoomPlayback("c", RATE, [fault])
    pcm, rows = speak(playback, "a", 30)
    outputs = playback.tick()
    interrupted = playback.interrupt("a") if fault is RoomFault.IGNORE_INTERRUPT else []
    outputs += play(playback)
    assert interrupted == []
    assert news(outputs) == told
    keyframes = [packet for packet in packets(outputs) if packet.frame_seq is not None]
    if fault is RoomFault.LEAVE_MID_TURN:
        assert len(keyframes) == 25
        assert playback.tick() == []
        return
    assert (sound(outputs) == pcm) is (fault is not RoomFault.MUTE)
    assert (len(keyframes) == len(rows)) is (fault is not RoomFault.NO_MOTION)
    ends = [packet for packet in keyframes if packet.flags & PacketFlag.END]
    assert len(ends) == (0 if fault in (RoomFault.NO_END, RoomFault.NO_MOTION) else 1)


def test_the_words_to_the_agent_are_those_of_the_plugin() -> None:
    assert make_agent_rpc(TellStarted("a")) == ("lk.playback_started", "{}")
    method, payload = make_agent_rpc(TellFinished("a", 0.5, True)) or ("", "")
    assert method == "lk.playback_finished"
    assert payload == '{"playback_position": 0.5, "interrupted": true}'
    assert make_agent_rpc(LeaveRoom()) is None
