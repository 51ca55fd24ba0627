"""What a declared wire can say, beyond the wires that are built in."""

import msgpack
import pytest

from spatius_sim.files.wire_file import parse_wire, read_shipped_wire
from spatius_sim.wires.declared.wire import Declared
from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
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
    END_MARKS,
    ERRORS,
    INTERRUPTS,
    MOTION_END,
    PCM,
    SEVERAL_TURNS,
    SPEECH_END,
    STREAMING,
    TURN_IDS,
)

UNLIKE = "no message of this wire looks like this:"
CLIENT = "client:\n  - {when: {type: say}, speech: {pcm: pcm}}\n"


def wire(relay: str, client: str = CLIENT, top: str = "") -> Declared:
    return parse_wire(f"about: a test\n{top}relay:\n{relay}{client}".encode(), "test.yaml", "test")


def garbage(told: tuple[RelayEvent, ...]) -> str:
    [event] = told
    assert isinstance(event, NotUnderstood)
    return event.reason


# One frame, several things.


def test_a_document_holds_a_whole_turn() -> None:
    document = read_shipped_wire("http-document")
    told = document.read_relay_frame(
        '{"sample_rate": 16000, "audio_base64": "cGNt", "animation_messages_base64": ["Zmly", "c2Vj"]}'
    )
    assert told == (Audio(b"pcm", last=True), Motion((b"fir", b"sec"), last=True))
    assert document.lacks == {STREAMING, TURN_IDS, INTERRUPTS}
    assert document.read_relay_frame('{"error": "no credits"}') == (Failed("no credits"),)
    assert garbage(document.read_relay_frame('{"detail": "Not Found"}')) == (
        "no message of this wire looks like this: {detail: Not Found}"
    )


def test_what_is_not_in_a_message_of_several_meanings_was_not_said() -> None:
    chunks = read_shipped_wire("messagepack")
    pack = msgpack.packb
    assert chunks.read_relay_frame(pack({"op": 2, "pcm": b"pcm", "motion": b"fir", "turn": 7})) == (
        Audio(b"pcm", turn_id="7"),
        Motion((b"fir",), turn_id="7"),
    )
    assert chunks.read_relay_frame(pack({"op": 2, "motion": b"fir", "pcm": None})) == (Motion((b"fir",)),)
    assert "op: 2" in garbage(chunks.read_relay_frame(pack({"op": 2})))


# MessagePack.


def test_messagepack_has_binary_as_it_is() -> None:
    chunks = read_shipped_wire("messagepack")
    assert chunks.lacks == {SEVERAL_TURNS, END_MARKS, MOTION_END, INTERRUPTS}
    [frame] = chunks.write_client_action(Speak(b"pcm"))
    assert isinstance(frame, bytes)
    assert msgpack.unpackb(frame) == {"op": 2, "pcm": b"pcm"}
    assert chunks.read_client_frame(frame) == Speak(b"pcm")
    assert [chunks.read_client_frame(frame) for frame in chunks.write_client_action(SpeakEnd())] == [
        SpeakEnd()
    ]
    told = chunks.read_relay_frame(msgpack.packb({"op": 1, "id": "s", "format": {"rate": 24000}}))
    assert told == (Ready("s", 24000, 24000),)
    assert chunks.read_relay_frame(msgpack.packb({"op": 2, "motion": "Zmly"})) == (Motion((b"fir",)),)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("{}", "no message of this wire is a text frame"),
        (b"", "not MessagePack: "),
        (b"\xc1", "not MessagePack: "),
        (b"\x82\xa1a", "not MessagePack: "),
        (b"\x93\x01\x02\x03", "not a MessagePack map"),
        (b"\x81\x01\x02", "not MessagePack: "),
        (b"\x80\x80", "not MessagePack: "),
        (b"\x81\xa1t\xd6\xff\0\0\0\0", "not MessagePack: "),
        (b"\x91" * 100_000, "not MessagePack: "),
        (b"\xdd\xff\xff\xff\xff", "not MessagePack: "),
        (b"\xdd\x00\x09\xff\xff" + b"\x91\x91\x91\xc0" * 655_359, "not MessagePack: more than"),
        (b"\x80", "no message of this wire looks like this: {}"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_messagepack_of_the_wire(frame: str | bytes, reason: str) -> None:
    assert garbage(read_shipped_wire("messagepack").read_relay_frame(frame)).startswith(reason)


# JSON in binary frames, constants, marks of their own.


def test_constants_are_of_their_type_and_may_lie_deep() -> None:
    said = wire(
        "  - {when: {head.kind: 3, head.final: true}, last-motion: {payloads: m}}\n"
        "  - {when: {head.kind: 3}, motion: {payloads: m}}\n"
        "  - {when: {head.kind: '3'}, note: }\n",
        top="form: binary-json\n",
    )
    assert said.read_relay_frame(b'{"head":{"kind":3},"m":["Zmly"]}') == (Motion((b"fir",)),)
    assert said.read_relay_frame(b'{"head":{"kind":3,"final":true},"m":["Zmly"]}') == (
        Motion((b"fir",), True),
    )
    assert said.read_relay_frame(b'{"head":{"kind":3,"final":true}}') == (Motion((), True),)
    assert said.read_relay_frame(b'{"head":{"kind":"3"}}') == (Note("3"),)
    assert "head: dict" in garbage(said.read_relay_frame(b'{"head":{"kind":true}}'))
    assert "head: int" not in garbage(said.read_relay_frame(b'{"head":3}'))
    assert garbage(said.read_relay_frame("{}")) == "no message of this wire is a text frame"
    assert said.write_relay_event(Motion((b"fir",), last=True)) == (
        b'{"head": {"kind": 3, "final": true}, "m": ["Zmly"]}',
    )
    assert said.lacks == {AUDIO, TURN_IDS, ERRORS, INTERRUPTS, SPEECH_END}


def test_end_marks_may_be_messages_of_their_own() -> None:
    said = wire(
        "  - {when: {type: a}, audio: {pcm: a}}\n"
        "  - {when: {type: a-end}, last-audio: {turn: t}}\n"
        "  - {when: {type: m}, motion: {payload: m, turn: t}}\n"
        "  - {when: {type: m-end}, last-motion: }\n"
        "  - {when: {type: done}, last-audio: , last-motion: }\n"
        "  - {when: {type: no}, interrupted: }\n"
    )
    assert said.write_relay_event(Audio(b"pcm", True, "t")) == (
        '{"type": "a", "a": "cGNt"}',
        '{"type": "a-end", "t": "t"}',
    )
    assert said.write_relay_event(Audio(b"", True)) == ('{"type": "a-end"}',)
    assert said.write_relay_event(Motion((b"fir", b"sec"), True, "t")) == (
        '{"type": "m", "m": "Zmly", "t": "t"}',
        '{"type": "m", "m": "c2Vj", "t": "t"}',
        '{"type": "m-end"}',
    )
    assert said.write_relay_event(Motion((), True)) == ('{"type": "m-end"}',)
    assert said.write_relay_event(Motion((), False)) == ()
    assert said.read_relay_frame('{"type":"done"}') == (Audio(b"", True), Motion((), True))
    assert said.read_relay_frame('{"type":"no"}') == (Interrupted(),)
    assert said.write_relay_event(Interrupted("asked")) == ('{"type": "no"}',)
    assert said.write_relay_event(Ready("s")) == said.write_relay_event(Note("pong")) == ()


def test_motion_that_cannot_be_marked_is_not_marked_by_an_empty_list() -> None:
    said = wire("  - motion: {payloads: m}\n")
    assert said.write_relay_event(Motion((), last=True)) == ()
    assert said.write_relay_event(Motion(())) == ('{"m": []}',)
    assert MOTION_END in said.lacks


def test_the_first_message_that_fits_is_meant() -> None:
    said = wire("  - motion: {payloads: m}\n  - failed: {message: e}\n  - note:\n")
    assert said.read_relay_frame('{"m": [], "e": "no"}') == (Motion(()),)
    assert said.read_relay_frame('{"e": "no"}') == (Failed("no"),)
    assert said.read_relay_frame("{}") == (Note("other"),)


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ('{"type":"a","pcm":7}', "pcm is not base64 text"),
        ('{"type":"a"}', "pcm is missing or null"),
        ('{"type":"a","pcm":"","last":1}', "last is neither true nor false"),
        ('{"type":"a","pcm":"","turn":true}', "turn is neither a text nor a number"),
        ('{"type":"m","m":"Zmly"}', "payloads is not a list"),
        ('{"type":"m","m":[1]}', "payloads is not base64 text"),
        ('{"type":"r","s":1}', "session is not text"),
        (
            '{"type":"x","a":[],"b":"' + "x" * 50 + '"}',
            "no message of this wire looks like this: {type: x, a: list, b: str}",
        ),
        (
            "{" + ",".join(f'"{n}":{n}' for n in range(9)) + "}",
            "no message of this wire looks like this: {0: 0, 1: 1,",
        ),
    ],
)
def test_a_message_that_is_not_as_declared_is_garbage(frame: str, reason: str) -> None:
    said = wire(
        "  - {when: {type: a}, audio: {pcm: pcm, last: last, turn: turn}}\n"
        "  - {when: {type: m}, motion: {payloads: m}}\n"
        "  - {when: {type: r}, ready: {session: s}}\n"
    )
    assert garbage(said.read_relay_frame(frame)).startswith(reason)


# Layouts of bytes.


def test_a_header_in_json_and_bytes_behind_it() -> None:
    said = wire(
        "  - {layout: [length u16be, json, payload], when: {kind: motion}, motion: {last: final, turn: t}}\n"
        "  - {layout: [length u16be, json, pcm], when: {kind: audio}, audio: {last: final}}\n"
    )
    frame = b'\x00\x2b{"kind": "motion", "final": true, "t": "t"}fir'
    assert said.read_relay_frame(frame) == (Motion((b"fir",), True, "t"),)
    assert said.write_relay_event(Motion((b"fir",), True, "t")) == (frame,)
    assert said.read_relay_frame(b'\x00\x11{"kind": "audio"}pcm') == (Audio(b"pcm"),)
    assert "ends too early" in garbage(said.read_relay_frame(b"\xff\xff{}"))


def test_numbers_flags_and_gaps() -> None:
    said = wire(
        "  - {layout: [bytes 0xAA01, flags last=0x80, skip 2, turn u32le, length u8, pcm], audio: }\n"
        "  - {layout: [bytes 0xAA02, count u8, length u16le, payload], motion: }\n",
        "client:\n  - {layout: [flags, pcm], speech: }\n",
    )
    frame = bytes.fromhex("aa01 80 0000 05000000 03") + b"pcm"
    assert said.read_relay_frame(frame) == (Audio(b"pcm", True, "5"),)
    assert said.write_relay_event(Audio(b"pcm", True, "5")) == (frame,)
    assert said.write_relay_event(Audio(b"pcm", True, "no number")) == (frame.replace(b"\x05", b"\x00"),)
    assert said.read_relay_frame(bytes.fromhex("aa02 02 0100 66 0000")) == (Motion((b"f", b"")),)
    assert said.write_relay_event(Motion((b"f", b""))) == (bytes.fromhex("aa02 02 0100 66 0000"),)
    assert garbage(said.read_relay_frame(frame + b"?")).startswith("1 bytes are left over")
    assert said.read_client_frame(b"\x00pcm") == Speak(b"pcm")
    assert said.write_client_action(Speak(b"pcm")) == (b"\x00pcm",)
    assert isinstance(said.read_client_frame("pcm"), Unclear)


def test_more_payloads_than_can_be_are_not_looked_for() -> None:
    said = wire("  - {layout: [count u32be, length u8, payload], motion: }\n")
    assert garbage(said.read_relay_frame(b"\xff\xff\xff\xff" + bytes(1000))).endswith(
        "payloads are announced"
    )


def test_a_third_party_sends_a_whole_ogg_stream_and_one_bare_envelope() -> None:
    bare = read_shipped_wire("binary-header-bare")
    assert bare.read_relay_frame(b"\x01\x00OggS...") == (Audio(b"OggS...", last=True),)
    assert bare.read_relay_frame(b"\x02\x00envelope") == (Motion((b"envelope",)),)
    assert bare.read_relay_frame('{"type":"avatar-error","detail":"no"}') == (Failed("no"),)
    assert bare.write_client_action(Start(16000, "a")) == (
        '{"action": "start", "avatar_id": "a", "sample_rate": 16000}',
    )
    assert PCM in bare.lacks


# The client's side.


def test_a_client_asks_as_declared() -> None:
    said = wire(
        "  - motion: {payloads: m}\n",
        "client:\n"
        "  - {when: {do: last}, last-speech: {pcm: pcm}}\n"
        "  - {when: {do: speak}, speech: {pcm: pcm}}\n"
        "  - {when: {do: clip}, play-clip: {clip: name}}\n"
        "  - {when: {do: say}, say: {words: words}}\n"
        "  - {when: {do: begin}, start: {rate: rate}}\n"
        "  - {when: {do: [ping, pong]}, note: }\n"
        "  - {when: {do: stop}, interrupt: }\n",
    )
    actions: list[ClientAction] = [
        Speak(b"pcm"),
        Speak(b"pcm", True),
        PlayClip("c"),
        Say("hello"),
        Start(16000),
        Note("ping"),
        InterruptTurn(),
    ]
    for action in actions:
        [frame] = said.write_client_action(action)
        assert said.read_client_frame(frame) == action
    assert said.write_client_action(SpeakEnd()) == ('{"do": "last", "pcm": ""}',)
    assert said.read_client_frame('{"do": "last"}') == SpeakEnd()
    assert said.write_client_action(Note("unheard of")) == ()
    assert INTERRUPTS not in said.lacks


def test_the_form_that_is_read_best_says_what_is_wrong() -> None:
    said = wire("  - motion: {payloads: m}\n  - {layout: [bytes 0x01, json], ready: {session: s}}\n")
    assert garbage(said.read_relay_frame("hello")).startswith("not JSON: ")
    assert garbage(said.read_relay_frame(b"\x02")) == "02 where 01 is expected"


@pytest.mark.parametrize(
    ("top", "last", "pause"),
    [
        ("speech-ends: silence 0.5\n", "", 0.5),
        ("", "", 1.0),
        ("", "  - {when: {type: over}, last-speech: {pcm: pcm}}\n", 0.0),
    ],
    ids=["as long as declared", "a second if nothing is declared", "none if a message ends speech"],
)
def test_how_long_a_client_is_silent_after_its_speech(top: str, last: str, pause: float) -> None:
    said = wire("  - motion: {payloads: m}\n", CLIENT + last, top)
    assert said.speech_pause == pause
