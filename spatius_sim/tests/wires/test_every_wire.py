"""What holds on every wire."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.files.wire_file import read_shipped_wire, wire_names
from spatius_sim.tests.wires.frames import any_frames
from spatius_sim.wires import Wire, published_wire, published_wire_names
from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    InterruptTurn,
    Motion,
    NotUnderstood,
    PlayClip,
    Ready,
    RelayEvent,
    Say,
    Speak,
    SpeakEnd,
    Start,
    Unclear,
)
from spatius_sim.wires.optional_features import (
    AUDIO,
    CLIENT_CHOOSES_SPEECH,
    END_MARKS,
    ERRORS,
    INTERRUPTS,
    MOTION_END,
    SEVERAL_TURNS,
    STREAMING,
    TURN_IDS,
    WIRE_FEATURES,
)

WIRES = [published_wire(name) for name in published_wire_names()]
DECLARED = [read_shipped_wire(name) for name in wire_names()]
built_in = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
every_wire = pytest.mark.parametrize(
    "wire", [*WIRES, *DECLARED], ids=lambda w: f"{type(w).__name__}-{w.name}"
)

every_wire_with_speech = pytest.mark.parametrize(
    "wire", [wire for wire in (*WIRES, *DECLARED) if wire.write_client_action(Speak(b"ab", last=True))]
)

payloads = st.lists(st.binary(max_size=20), max_size=4).map(tuple)


@built_in
@settings(deadline=None, max_examples=100)
@given(pcm=st.binary(), last=st.booleans(), listed=payloads)
def test_a_client_reads_what_a_relay_writes(
    wire: Wire, pcm: bytes, last: bool, listed: tuple[bytes, ...]
) -> None:
    written = [
        frame for event in (Audio(pcm, last), Motion(listed, last)) for frame in wire.write_relay_event(event)
    ]
    read = [event for frame in written for event in wire.read_relay_frame(frame)]
    expected: list[RelayEvent] = [] if AUDIO in wire.lacks else [Audio(pcm, last)]
    marks = MOTION_END not in wire.lacks
    expected += [Motion(listed, last and marks)] if listed or marks or not last else []
    assert read == expected


@every_wire_with_speech
@settings(deadline=None, max_examples=100)
@given(pcm=st.binary(min_size=1), last=st.booleans())
def test_a_relay_reads_what_a_client_writes(wire: Wire, pcm: bytes, last: bool) -> None:
    read = [wire.read_client_frame(frame) for frame in wire.write_client_action(Speak(pcm, last))]
    whole = b"".join(action.pcm for action in read if isinstance(action, Speak))
    ends = [action for action in read if action == SpeakEnd() or (isinstance(action, Speak) and action.last)]
    assert whole == pcm
    assert len(ends) == (last or STREAMING in wire.lacks)


@every_wire
@settings(deadline=None, max_examples=300)
@given(frame=any_frames)
def test_reading_never_raises(wire: Wire, frame: str | bytes) -> None:
    told = wire.read_relay_frame(frame)
    assert told
    assert all(isinstance(event, RelayEvent) for event in told)
    assert isinstance(wire.read_client_frame(frame), ClientAction)


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
@pytest.mark.parametrize("frame", LARGE, ids=lambda frame: ascii(frame[:5]))
def test_a_large_frame_is_refused_and_not_unfolded(wire: Wire, frame: str | bytes) -> None:
    [event] = wire.read_relay_frame(frame)
    assert isinstance(event, NotUnderstood) or (isinstance(event, Motion) and event.payloads == (frame[2:],))
    assert isinstance(wire.read_client_frame(frame), ClientAction)


@every_wire
def test_what_is_no_message_is_written_as_it_is(wire: Wire) -> None:
    assert wire.write_relay_event(NotUnderstood("not a message")) == ("not a message",)
    assert wire.write_client_action(Unclear("not a message")) == ("not a message",)
    assert isinstance(wire.read_relay_frame("not a message")[0], NotUnderstood)
    assert isinstance(wire.read_client_frame("not a message"), Unclear)


@every_wire
def test_what_a_wire_lacks_it_cannot_say(wire: Wire) -> None:
    assert wire.lacks <= {feature.name for feature in WIRE_FEATURES}
    [motion] = wire.write_relay_event(Motion((b"fir",), last=True, turn_id="7"))
    assert wire.read_relay_frame(motion) == (
        Motion((b"fir",), MOTION_END not in wire.lacks, "" if TURN_IDS in wire.lacks else "7"),
    )
    assert bool(wire.write_client_action(InterruptTurn())) == (INTERRUPTS not in wire.lacks)
    assert bool(wire.write_relay_event(Audio(b"pcm", last=True))) == (AUDIO not in wire.lacks)
    assert bool(wire.write_relay_event(Failed("no credits"))) == (ERRORS not in wire.lacks)
    assert bool(wire.write_relay_event(Ready("s", 16000, 16000))) == wire.greets


def test_what_the_published_wires_lack() -> None:
    lacks = {
        wire.name: wire.lacks & {AUDIO, SEVERAL_TURNS, STREAMING, END_MARKS, CLIENT_CHOOSES_SPEECH}
        for wire in WIRES
    }
    assert lacks == {
        "json-envelope": frozenset(),
        "binary-header": frozenset({AUDIO, SEVERAL_TURNS}),
        "typed-json": frozenset(),
    }
    starts = {wire.name for wire in WIRES if wire.write_client_action(Start(16000))}
    assert starts == {"binary-header"}
    chosen = {
        wire.name
        for wire in WIRES
        if wire.write_client_action(PlayClip("c")) and wire.write_client_action(Say("w"))
    }
    assert chosen == {"json-envelope"}


@built_in
def test_a_built_in_wire_needs_no_declaration(wire: Wire) -> None:
    assert wire.declaration == ""
    assert all(path.startswith("/") for path in wire.http_paths)
