"""Traces as files: what was written is read back, and nothing short or damaged passes for a trace."""

from pathlib import Path

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.dialects.events import Audio, Speak
from spatius_sim.dialects.json_envelope import JsonEnvelope
from spatius_sim.model.decoder_events import (
    DiscardReason,
    MotionDiscarded,
    PlaybackState,
    StateChanged,
    StateReason,
)
from spatius_sim.model.trace import (
    Closed,
    Event,
    Joined,
    Lane,
    Opened,
    Published,
    Received,
    Sent,
    TokenRequested,
    Trace,
    TraceHeader,
    TurnStarted,
    What,
    read_frame,
)
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.tape.trace_file import read_trace, write_trace

WIRE = JsonEnvelope()
UP = encode(AudioInput("request-1", b"ab", True))
DOWN = WIRE.write_relay(Audio(b"ab", True, "turn-1"))
ASKED = WIRE.write_client(Speak(b"ab"))


def received(lane: Lane, raw: str | bytes) -> Received:
    return Received(raw, read_frame(lane, raw, sent=False, dialect=WIRE))


WHATS: list[tuple[Lane, What]] = [
    (Lane.KIT, TurnStarted(0, b"ab", 16000)),
    (Lane.CONSOLE, TokenRequested("key#1", None, 1.5, 400)),
    (Lane.UPSTREAM, Opened("token#1", "app", "avatar")),
    (Lane.UPSTREAM, received(Lane.UPSTREAM, UP)),
    (Lane.DOWNSTREAM, received(Lane.DOWNSTREAM, DOWN)),
    (Lane.DOWNSTREAM, Sent(ASKED, Speak(b"ab"))),
    (Lane.DOWNSTREAM, Closed(False, 1006, "gone")),
    (Lane.EGRESS, Joined("room", "publisher")),
    (Lane.EGRESS, Published("room", UP, AudioInput("request-1", b"ab", True))),
    (Lane.DECODER, MotionDiscarded("conversation-1", DiscardReason.MISMATCHED_ID)),
    (Lane.DECODER, StateChanged(PlaybackState.IDLE, StateReason.PLAYBACK_END)),
]


def trace_of(whats: list[tuple[Lane, What]]) -> Trace:
    events = tuple(Event(i, i * 10, lane, "c", what) for i, (lane, what) in enumerate(whats))
    return Trace(TraceHeader("relay", "json-envelope", 7, "a plan", "0"), events)


@given(st.lists(st.sampled_from(WHATS)))
def test_any_trace_is_read_back_as_it_was_written(whats: list[tuple[Lane, What]]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new" / "a.trace"
        write_trace(path, trace_of(whats))
        back = read_trace(path)
    assert back == trace_of(whats)
    values = [getattr(event.what, "value", None) for event in back.events]
    assert values == [getattr(what, "value", None) for _, what in whats]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "a.trace"
    write_trace(path, trace_of(WHATS))
    return path


def test_a_trace_cut_off_anywhere_is_an_error(written: Path) -> None:
    whole = written.read_bytes()
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        with pytest.raises(UsageError, match=r"a\.trace: "):
            read_trace(written)


def test_a_flipped_byte_is_an_error(written: Path) -> None:
    whole = written.read_bytes()
    for place in range(len(whole)):
        written.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UsageError, match=r"a\.trace: "):
            read_trace(written)


def test_another_format_and_another_file_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_bytes(msgpack.packb(["header", "spatius-sim trace", 2, {}]))
    with pytest.raises(UsageError, match="format 2"):
        read_trace(path)
    path.write_bytes(msgpack.packb(["header", "something else", 1, {}]))
    with pytest.raises(UsageError, match="no trace"):
        read_trace(path)
    with pytest.raises(UsageError, match="No such file"):
        read_trace(tmp_path / "missing")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where a folder should be")
    with pytest.raises(UsageError, match="cannot be written"):
        write_trace(tmp_path / "reports" / "a.trace", trace_of([]))
