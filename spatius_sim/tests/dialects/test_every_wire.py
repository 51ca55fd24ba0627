"""What holds on every wire."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.dialects import Dialect, dialect_named, dialect_names
from spatius_sim.dialects.events import (
    Audio,
    ClientAction,
    Garbage,
    InterruptTurn,
    Motion,
    PlayClip,
    Ready,
    RelayEvent,
    Say,
    Speak,
    SpeakEnd,
    Start,
    Unclear,
)
from spatius_sim.dialects.features import (
    AUDIO,
    CLIENT_AUDIO,
    END_MARKS,
    INTERRUPTS,
    MOTION_END,
    SEVERAL_TURNS,
    STREAMING,
    TURN_IDS,
    WIRE_FEATURES,
)
from spatius_sim.tests.dialects.frames import any_frames

WIRES = [dialect_named(name) for name in dialect_names()]
every_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)

payloads = st.lists(st.binary(max_size=20), max_size=4).map(tuple)


@every_wire
@settings(deadline=None, max_examples=100)
@given(pcm=st.binary(), last=st.booleans(), listed=payloads)
def test_a_client_reads_what_a_relay_writes(
    wire: Dialect, pcm: bytes, last: bool, listed: tuple[bytes, ...]
) -> None:
    written = [
        frame for event in (Audio(pcm, last), Motion(listed, last)) for frame in wire.write_relay(event)
    ]
    read = [event for frame in written for event in wire.read_relay(frame)]
    expected: list[RelayEvent] = [] if AUDIO in wire.lacks else [Audio(pcm, last)]
    expected.append(Motion(listed, last and MOTION_END not in wire.lacks))
    assert read == expected


@every_wire
@settings(deadline=None, max_examples=100)
@given(pcm=st.binary(), last=st.booleans())
def test_a_relay_reads_what_a_client_writes(wire: Dialect, pcm: bytes, last: bool) -> None:
    read = [wire.read_client(frame) for frame in wire.write_client(Speak(pcm, last))]
    assert read in ([Speak(pcm, last)], [Speak(pcm), SpeakEnd()])


@every_wire
@settings(deadline=None, max_examples=300)
@given(frame=any_frames)
def test_reading_never_raises(wire: Dialect, frame: str | bytes) -> None:
    told = wire.read_relay(frame)
    assert told
    assert all(isinstance(event, RelayEvent) for event in told)
    assert isinstance(wire.read_client(frame), ClientAction)


LARGE: list[str | bytes] = [
    "[" * 8_000_000,
    '{"type":"motion","data":[' + '"",' * 4_000_000 + '""]}',
    '{"type":"avatar_frames","frames":[' + "{}," * 4_000_000 + "{}]}",
    b"\x02\x00" + b"\0" * 8_000_000,
    b"\x03\x00" + b"{}," * 4_000_000,
    b"\xff" * 16_000_000,
    "A" * 16_000_000,
]


@every_wire
@pytest.mark.parametrize("frame", LARGE, ids=lambda frame: ascii(frame[:30]))
def test_a_large_frame_is_refused_and_not_unfolded(wire: Dialect, frame: str | bytes) -> None:
    [event] = wire.read_relay(frame)
    assert isinstance(event, Garbage)
    assert isinstance(wire.read_client(frame), Unclear | Speak)


@every_wire
def test_what_is_no_message_is_written_as_it_is(wire: Dialect) -> None:
    assert wire.write_relay(Garbage("not a message")) == ("not a message",)
    assert wire.write_client(Unclear("not a message")) == ("not a message",)
    assert isinstance(wire.read_relay("not a message")[0], Garbage)
    assert isinstance(wire.read_client("not a message"), Unclear)


@every_wire
def test_what_a_wire_lacks_it_cannot_say(wire: Dialect) -> None:
    assert wire.lacks <= {feature.name for feature in WIRE_FEATURES}
    [motion] = wire.write_relay(Motion((b"fir",), last=True, turn_id="t"))
    assert wire.read_relay(motion) == (
        Motion((b"fir",), MOTION_END not in wire.lacks, "" if TURN_IDS in wire.lacks else "t"),
    )
    assert bool(wire.write_client(InterruptTurn())) == (INTERRUPTS not in wire.lacks)
    assert bool(wire.write_relay(Audio(b"pcm"))) == (AUDIO not in wire.lacks)
    assert bool(wire.write_relay(Ready("s", 16000, 16000))) == wire.greets


def test_what_the_published_wires_lack() -> None:
    lacks = {
        wire.name: wire.lacks & {AUDIO, SEVERAL_TURNS, STREAMING, END_MARKS, CLIENT_AUDIO} for wire in WIRES
    }
    assert lacks == {
        "json-envelope": frozenset(),
        "binary-header": frozenset({AUDIO, SEVERAL_TURNS}),
        "typed-json": frozenset(),
    }
    starts = {wire.name for wire in WIRES if wire.write_client(Start(16000))}
    assert starts == {"binary-header"}
    chosen = {wire.name for wire in WIRES if wire.write_client(PlayClip("c")) and wire.write_client(Say("w"))}
    assert chosen == {"json-envelope"}


@every_wire
def test_a_built_in_wire_needs_no_declaration(wire: Dialect) -> None:
    assert wire.declaration == ""
    assert all(path.startswith("/") for path in wire.http_paths)
