"""The client decoder against each fact of protocol.md section 3, as dialogues."""

from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import Interrupt, MotionResponse
from spatius_sim.trace.decoder_events import (
    AudioOnlyEntered,
    ConversationStarted,
    DecoderEvent,
    DiscardReason,
    MotionDiscarded,
    MotionTaken,
    PlaybackState,
    StarvationMode,
    StateChanged,
    StateReason,
)

RATE = 16000
MS = 1_000_000
KEYFRAME_NS = 40 * MS
SECOND = 1000 * MS
PCM = bytes(2 * RATE)
"""A second of audio."""

PLAYING = StateChanged(PlaybackState.PLAYING, StateReason.USER_ACTION)
RESUMED = PLAYING
PAUSED = StateChanged(PlaybackState.PAUSED, StateReason.USER_ACTION)
STOPPED = StateChanged(PlaybackState.IDLE, StateReason.USER_ACTION)
PLAYED = StateChanged(PlaybackState.IDLE, StateReason.PLAYBACK_END)


def new_decoder(now_ns: int = 0) -> ClientDecoder:
    numbers = count(1)
    return ClientDecoder(RATE, lambda: f"c{next(numbers)}", now_ns)


def speaking(end: bool = False) -> ClientDecoder:
    """A decoder that has had a second of audio for conversation c1, and told of it."""
    decoder = new_decoder()
    decoder.yield_audio_data(PCM, end)
    decoder.take_events()
    return decoder


def payload(*shades: float, req_id: str = "any") -> bytes:
    """Motion with a keyframe of each shade."""
    keyframes = np.repeat(np.array(shades, np.float32)[:, None], WIDTH, axis=1)
    return encode(MotionResponse("connection", req_id, False, keyframes))


def shade_of(decoder: ClientDecoder) -> float | None:
    """The shade of the keyframe that is on the face."""
    row = decoder.current_keyframe
    return None if row is None else float(row[0])


def discarded(reason: DiscardReason, conversation_id: str = "c1") -> MotionDiscarded:
    return MotionDiscarded(conversation_id, reason)


def played_on(decoder: ClientDecoder) -> list[DecoderEvent]:
    """What happens when the second of audio is marked as ended and runs out."""
    decoder.yield_audio_data(b"", end=True)
    decoder.advance(SECOND)
    return decoder.take_events()


# Conversations and their ids.


def test_the_first_audio_starts_a_conversation() -> None:
    decoder = new_decoder()
    assert decoder.yield_audio_data(PCM) == "c1"
    assert decoder.take_events() == [ConversationStarted("c1"), PLAYING]


def test_every_chunk_of_a_conversation_has_its_id() -> None:
    decoder = new_decoder()
    ids = [decoder.yield_audio_data(PCM), decoder.yield_audio_data(b""), decoder.yield_audio_data(PCM, True)]
    assert ids == ["c1", "c1", "c1"]


def test_audio_behind_the_end_mark_starts_a_new_conversation() -> None:
    decoder = speaking(end=True)
    assert decoder.yield_audio_data(PCM) == "c2"
    assert decoder.take_events() == [ConversationStarted("c2")]


@pytest.mark.parametrize("end", [True, False])
def test_an_empty_chunk_behind_the_end_mark_starts_nothing(end: bool) -> None:
    decoder = speaking(end=True)
    assert decoder.yield_audio_data(b"", end) == "c1"
    assert decoder.take_events() == []


def test_an_empty_chunk_after_the_end_of_playback_starts_nothing() -> None:
    decoder = speaking(end=True)
    decoder.advance(SECOND)
    decoder.take_events()
    assert decoder.yield_audio_data(b"", end=True) == "c1"
    assert decoder.take_events() == []
    assert decoder.state is PlaybackState.IDLE


def test_a_new_conversation_cuts_off_what_is_still_playing() -> None:
    decoder = speaking(end=True)
    decoder.yield_frames_data([payload(*range(25))], "c1")
    decoder.advance(400 * MS)
    decoder.yield_audio_data(PCM)
    assert decoder.played_seconds == 0
    assert decoder.current_keyframe is None
    assert decoder.state is PlaybackState.PLAYING


def test_audio_after_an_interrupt_starts_a_new_conversation() -> None:
    decoder = speaking()
    decoder.interrupt()
    assert decoder.yield_audio_data(PCM) == "c2"


def test_audio_after_the_end_of_playback_starts_a_new_conversation() -> None:
    decoder = speaking(end=True)
    decoder.advance(SECOND)
    assert decoder.yield_audio_data(PCM) == "c2"


def test_the_current_id_is_that_of_the_open_conversation() -> None:
    decoder = new_decoder()
    assert decoder.get_current_conversation_id() is None
    decoder.yield_audio_data(PCM)
    assert decoder.get_current_conversation_id() == "c1"
    decoder.interrupt()
    assert decoder.get_current_conversation_id() is None


def test_there_is_no_current_id_after_the_end_of_playback() -> None:
    decoder = speaking(end=True)
    decoder.advance(SECOND)
    assert decoder.get_current_conversation_id() is None


# Motion that matches, and motion that does not.


def test_matching_motion_is_taken() -> None:
    decoder = speaking()
    decoder.yield_frames_data([payload(1, 2), payload(3)], "c1")
    assert decoder.take_events() == [MotionTaken("c1", 2), MotionTaken("c1", 1)]


def test_the_argument_decides_and_not_the_payloads_own_id() -> None:
    decoder = speaking()
    decoder.yield_frames_data([payload(1, req_id="c2")], "c1")
    decoder.yield_frames_data([payload(2, req_id="c1")], "c2")
    assert decoder.take_events() == [MotionTaken("c1", 1), discarded(DiscardReason.MISMATCHED_ID, "c2")]


@pytest.mark.parametrize("wrong", ["c2", "", "C1"])
def test_mismatched_motion_changes_nothing(wrong: str) -> None:
    decoder = speaking()
    decoder.yield_frames_data([payload(1), payload(2)], wrong)
    assert decoder.take_events() == [discarded(DiscardReason.MISMATCHED_ID, wrong)] * 2
    assert decoder.current_keyframe is None
    assert not decoder.audio_only


def test_motion_before_any_audio_is_discarded() -> None:
    decoder = new_decoder()
    decoder.yield_frames_data([payload(1)], "c1")
    assert decoder.take_events() == [discarded(DiscardReason.NO_CONVERSATION)]
    decoder.yield_audio_data(PCM)
    assert decoder.current_keyframe is None


def test_late_motion_of_a_conversation_that_was_cut_off_is_discarded() -> None:
    decoder = speaking(end=True)
    decoder.yield_audio_data(PCM)
    decoder.take_events()
    decoder.yield_frames_data([payload(1)], "c1")
    assert decoder.take_events() == [discarded(DiscardReason.MISMATCHED_ID)]


# Empty motion.


@pytest.mark.parametrize("empty", [None, [], ()], ids=["no list", "list", "tuple"])
def test_empty_motion_makes_a_conversation_audio_only(empty: list[bytes] | None) -> None:
    decoder = speaking()
    decoder.yield_frames_data([payload(1)], "c1")
    decoder.take_events()
    decoder.yield_frames_data(empty, "c1")
    assert decoder.take_events() == [AudioOnlyEntered("c1")]
    assert decoder.audio_only
    assert decoder.current_keyframe is None


def test_audio_only_sticks() -> None:
    decoder = speaking()
    decoder.yield_frames_data([], "c1")
    decoder.take_events()
    decoder.yield_frames_data([payload(1)], "c1")
    decoder.yield_frames_data([], "c1")
    decoder.yield_frames_data(None, "c1")
    assert decoder.take_events() == [discarded(DiscardReason.AUDIO_ONLY)]
    assert decoder.current_keyframe is None


def test_audio_only_plays_its_audio_to_the_end() -> None:
    decoder = speaking()
    decoder.yield_frames_data([], "c1")
    decoder.take_events()
    assert played_on(decoder) == [PLAYED]


def test_the_next_conversation_has_motion_again() -> None:
    decoder = speaking(end=True)
    decoder.yield_frames_data([], "c1")
    decoder.yield_audio_data(PCM)
    assert not decoder.audio_only
    decoder.yield_frames_data([payload(7)], "c2")
    assert shade_of(decoder) == 7


@pytest.mark.parametrize("empty", [None, []])
def test_empty_motion_with_a_foreign_id_switches_nothing(empty: list[bytes] | None) -> None:
    decoder = speaking()
    decoder.yield_frames_data(empty, "c2")
    assert decoder.take_events() == []
    assert not decoder.audio_only


def test_empty_motion_before_any_audio_switches_nothing() -> None:
    decoder = new_decoder()
    decoder.yield_frames_data([], "c1")
    decoder.yield_audio_data(PCM)
    assert not decoder.audio_only


# Abnormal motion.


@pytest.mark.parametrize("junk", [b"\xff\xff", encode(Interrupt("req"))], ids=["junk", "another message"])
def test_abnormal_motion_is_discarded_and_the_audio_plays_on(junk: bytes) -> None:
    decoder = speaking()
    decoder.yield_frames_data([junk, payload(1)], "c1")
    assert decoder.take_events() == [discarded(DiscardReason.UNDECODABLE), MotionTaken("c1", 1)]
    assert played_on(decoder) == [PLAYED]


def test_unknown_fields_are_tolerated() -> None:
    decoder = speaking()
    unknown_field_15 = b"\x7a\x03new"
    decoder.yield_frames_data([payload(4) + unknown_field_15], "c1")
    assert shade_of(decoder) == 4


# Interrupt, pause and resume.


def test_an_interrupt_clears_audio_and_motion() -> None:
    decoder = speaking()
    decoder.yield_frames_data([payload(1)], "c1")
    decoder.advance(400 * MS)
    decoder.take_events()
    decoder.interrupt()
    assert decoder.take_events() == [STOPPED]
    assert (decoder.played_seconds, decoder.current_keyframe, decoder.audio_only) == (0, None, False)


def test_late_motion_after_an_interrupt_is_discarded() -> None:
    decoder = speaking()
    decoder.interrupt()
    decoder.take_events()
    decoder.yield_frames_data([payload(1)], "c1")
    decoder.yield_audio_data(PCM)
    decoder.yield_frames_data([payload(1)], "c1")
    assert decoder.take_events() == [
        discarded(DiscardReason.INTERRUPTED),
        ConversationStarted("c2"),
        PLAYING,
        discarded(DiscardReason.INTERRUPTED),
    ]
    assert decoder.discards == {DiscardReason.INTERRUPTED: 2}


def test_an_interrupt_while_paused_leads_to_idle() -> None:
    decoder = speaking()
    decoder.pause()
    decoder.interrupt()
    assert decoder.take_events() == [PAUSED, STOPPED]


def test_pause_and_resume_lose_nothing() -> None:
    decoder = speaking(end=True)
    decoder.yield_frames_data([payload(*range(25))], "c1")
    decoder.take_events()
    decoder.advance(400 * MS)
    decoder.pause()
    decoder.advance(5 * SECOND)
    assert (decoder.played_seconds, shade_of(decoder)) == (0.4, 10)
    decoder.resume()
    decoder.advance(5 * SECOND + 599 * MS)
    assert decoder.take_events() == [PAUSED, RESUMED]
    decoder.advance(5 * SECOND + 600 * MS)
    assert decoder.take_events() == [PLAYED]


def test_motion_that_comes_while_paused_is_kept() -> None:
    decoder = speaking()
    decoder.pause()
    decoder.yield_frames_data([payload(3)], "c1")
    decoder.resume()
    assert shade_of(decoder) == 3


@pytest.mark.parametrize("call", ["pause", "resume", "interrupt"])
def test_nothing_changes_an_idle_decoder_but_audio(call: str) -> None:
    decoder = new_decoder()
    getattr(decoder, call)()
    decoder.advance(SECOND)
    assert decoder.take_events() == []
    assert decoder.state is PlaybackState.IDLE


# The clock.


def test_playback_ends_when_the_audio_has_been_played() -> None:
    decoder = speaking(end=True)
    decoder.advance(SECOND - 1)
    assert decoder.take_events() == []
    decoder.advance(SECOND)
    assert decoder.take_events() == [PLAYED]
    assert decoder.state is PlaybackState.IDLE


def test_without_an_end_mark_the_state_does_not_come_back_to_idle() -> None:
    decoder = speaking()
    decoder.advance(11 * SECOND)
    assert decoder.state is PlaybackState.PLAYING
    assert decoder.played_seconds == 1


def test_an_end_mark_that_comes_late_ends_playback() -> None:
    decoder = speaking()
    decoder.advance(2 * SECOND)
    decoder.yield_audio_data(b"", end=True)
    decoder.advance(2 * SECOND)
    assert decoder.take_events() == [PLAYED]


def test_the_clock_starts_anywhere() -> None:
    decoder = new_decoder(now_ns=7 * SECOND)
    decoder.yield_audio_data(PCM)
    decoder.advance(7 * SECOND + 500 * MS)
    assert decoder.played_seconds == 0.5


def test_time_without_audio_is_not_made_up_for() -> None:
    decoder = speaking()
    decoder.advance(3 * SECOND)
    decoder.yield_audio_data(PCM)
    decoder.advance(3 * SECOND + 250 * MS)
    assert decoder.played_seconds == 1.25


def test_the_clock_cannot_go_back() -> None:
    decoder = speaking()
    decoder.advance(500 * MS)
    with pytest.raises(ValueError, match="cannot go back to 499999999 ns"):
        decoder.advance(500 * MS - 1)
    assert decoder.played_seconds == 0.5


@pytest.mark.parametrize(
    ("at_ns", "keyframe"),
    [(0, 0), (KEYFRAME_NS - 1, 0), (KEYFRAME_NS, 1), (2 * KEYFRAME_NS, 2), (24 * KEYFRAME_NS, 24)],
)
def test_keyframe_k_plays_from_k_25ths_of_a_second_on(at_ns: int, keyframe: int) -> None:
    decoder = speaking()
    decoder.yield_frames_data([payload(0, 1), payload(*range(2, 25))], "c1")
    decoder.advance(at_ns)
    assert shade_of(decoder) == keyframe


def test_where_motion_is_late_it_catches_up() -> None:
    decoder = speaking()
    decoder.yield_frames_data([payload(0)], "c1")
    decoder.advance(10 * KEYFRAME_NS)
    assert decoder.current_keyframe is None
    decoder.yield_frames_data([payload(*range(1, 25))], "c1")
    assert shade_of(decoder) == 10


def test_without_a_conversation_nothing_is_on_the_face() -> None:
    decoder = new_decoder()
    assert (decoder.current_keyframe, decoder.played_seconds, decoder.audio_only) == (None, 0, False)


def test_events_are_told_once() -> None:
    decoder = new_decoder()
    decoder.yield_audio_data(PCM)
    assert len(decoder.take_events()) == 2
    assert decoder.take_events() == []


# Whatever is called, in whatever order.

CHUNKS = st.sampled_from([b"", b"\0", bytes(640), bytes(3201)])
FRAMES = st.none() | st.lists(st.sampled_from([payload(1, 2), payload(), b"\xff"]), max_size=2)
IDS = st.sampled_from(["c1", "c2", "c3", ""])
CALLS = st.one_of(
    st.tuples(st.just("audio"), CHUNKS, st.booleans()),
    st.tuples(st.just("motion"), FRAMES, IDS),
    st.tuples(st.just("advance"), st.integers(0, 200 * MS)),
    st.tuples(st.sampled_from(["interrupt", "pause", "resume"])),
)


@given(st.lists(CALLS, max_size=40))
def test_whatever_is_called_the_decoder_keeps_its_word(calls: list[tuple[object, ...]]) -> None:
    decoder, now_ns = new_decoder(), 0
    yielded: dict[str, int] = {}
    started: list[str] = []
    audio_only = ""
    for call in calls:
        match call:
            case ("audio", bytes(chunk), bool(end)):
                conversation_id = decoder.yield_audio_data(chunk, end)
                yielded[conversation_id] = yielded.get(conversation_id, 0) + len(chunk)
            case ("motion", frames, str(conversation_id)):
                decoder.yield_frames_data(frames, conversation_id)  # type: ignore[arg-type]
            case ("advance", int(passed_ns)):
                now_ns += passed_ns
                decoder.advance(now_ns)
            case (str(name),):
                getattr(decoder, name)()
        current = decoder.get_current_conversation_id()
        for event in decoder.take_events():
            match event:
                case ConversationStarted(new):
                    started.append(new)
                case AudioOnlyEntered(switched):
                    audio_only = switched
                case MotionTaken(taken):
                    assert taken == current != audio_only
        assert decoder.played_seconds <= (yielded[current] / 2 / RATE if current else 0)
        assert decoder.audio_only == (current is not None and current == audio_only)
        assert decoder.state is PlaybackState.IDLE or current is not None
    assert len(set(started)) == len(started)
    assert set(yielded) == set(started)


def test_undecodable_motion_stalls_no_audio_under_strict_sync() -> None:
    decoder = ClientDecoder(RATE, lambda: "c1", mode=StarvationMode.STRICT_SYNC)
    decoder.yield_audio_data(PCM, end=True)
    decoder.yield_frames_data([b"junk"], "c1")
    decoder.advance(SECOND)
    assert not decoder.stalled
    assert decoder.state is PlaybackState.IDLE


def test_a_keyframe_beyond_the_audio_of_an_ended_conversation_is_not_shown() -> None:
    shown: list[float] = []
    decoder = ClientDecoder(RATE, lambda: "c1", render=lambda row: shown.append(float(row[0])))
    decoder.yield_audio_data(PCM, end=True)
    decoder.yield_frames_data([payload(*map(float, range(30)))], "c1")
    decoder.advance(SECOND)
    assert shown == list(map(float, range(25)))
