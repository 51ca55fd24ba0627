"""Files that declare a wire: what is wrong in one is told with file, line and key."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.files.find_resources import resource
from spatius_sim.files.wire_file import find_wire, parse_wire, read_shipped_wire, read_wire, wire_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires import published_wire
from spatius_sim.wires.events import Motion
from spatius_sim.wires.optional_features import SPEECH_END

GOOD = """about: ours
relay:
  - when: {type: motion}
    motion: {payloads: data}
client:
  - when: {type: audio}
    speech: {pcm: data}
"""


def error_of(text: str) -> str:
    with pytest.raises(UsageError) as refused:
        parse_wire(text.encode(), "our.yaml", "our")
    return str(refused.value)


MISTAKES = [
    ("", "our.yaml:1: the file is empty: about, relay and client are needed"),
    ("[]", "our.yaml:1: the wire must be a mapping"),
    ("about: x\n", "our.yaml:1: relay is missing"),
    (
        GOOD.replace("about: ours", "abuot: ours"),
        "our.yaml:1: 'abuot' is unknown here: about, answer, audio,",
    ),
    (GOOD.replace("about: ours", "about: ours\nabout: x"), "our.yaml:2: about stands here twice"),
    (GOOD.replace("about: ours", "about: &a ours\nform: *a"), "our.yaml:2: aliases are not taken"),
    (GOOD + "turns: two\n", "our.yaml:8: turns: 'two' is none of many, one"),
    (GOOD + "ends: never\n", "our.yaml:8: ends: 'never' is none of marks, closing"),
    (GOOD + "answer: twice\n", "our.yaml:8: answer: 'twice' is none of stream, document"),
    (GOOD + "audio: mp3\n", "our.yaml:8: audio: 'mp3' is none of pcm, ogg"),
    (
        GOOD + "form: xml\n",
        "our.yaml:8: form: 'xml' is none of json, binary-json, msgpack; bytes have a layout",
    ),
    (GOOD + "http: /healthz\n", "our.yaml:8: http must be a list"),
    (GOOD + "http: [healthz]\n", "our.yaml:8: http: 'healthz' is not a path: it begins with /"),
    (GOOD + "http: [SING /healthz]\n", "our.yaml:8: http: 'SING /healthz' is not a path: it begins with /"),
    (
        GOOD.replace("    motion: {payloads: data}", "    note:"),
        "our.yaml:3: relay: no message carries motion",
    ),
    ("about: x\nrelay: []\nclient: []\n", "our.yaml:2: relay: no message stands here"),
    (
        "about: x\nclient: []\nrelay:\n" + "  - note:\n" * 65,
        "our.yaml:4: relay: more than 64 messages",
    ),
    (GOOD.replace("motion: {", "moton: {"), "our.yaml:4: 'moton' is unknown here: audio, failed, form,"),
    (
        GOOD.replace("    motion: {payloads: data}\n", ""),
        "our.yaml:3: what it means is missing: ready, audio,",
    ),
    (
        GOOD.replace("payloads: data", "payload: data, payloads: data"),
        "our.yaml:4: motion: payload or payloads",
    ),
    (GOOD.replace("payloads: data", "last: end"), "our.yaml:4: motion: payload or payloads is missing"),
    (
        GOOD.replace("payloads: data", "pcm: data"),
        "our.yaml:4: 'pcm' is unknown here: last, payload, payloads",
    ),
    (GOOD.replace("payloads: data", "payloads: a..b"), "our.yaml:4: motion.payloads: 'a..b' is not a place"),
    (GOOD.replace("payloads: data", "payloads: [a]"), "our.yaml:4: motion.payloads must be a text"),
    (GOOD.replace("payloads: data", "payloads: a.b.c.d.e.f.g.h.i"), "our.yaml:4: motion.payloads: "),
    (GOOD.replace("{type: motion}", "{type: []}"), "our.yaml:3: when.type: no constant stands here"),
    (GOOD.replace("{type: motion}", "{type: [[a]]}"), "our.yaml:3: when.type must be a text"),
    (GOOD.replace("{type: motion}", "motion"), "our.yaml:3: when must be a mapping"),
    (GOOD + "    interrupt:\n", "our.yaml:6: a client's message means one thing, not speech and interrupt"),
    (
        GOOD.replace("when: {type: motion}", "form: json\n    layout: [payload]"),
        "our.yaml:4: layout: a message has a form or a layout",
    ),
]
LAYOUTS = [
    ("[]", "layout: 1 to 32 parts are needed"),
    ("[" + "flags, " * 40 + "payload]", "layout: 1 to 32 parts are needed"),
    ("[byte 1, payload]", "layout: 'byte 1' is none of: bytes 0x.., flags, flags last=0x.., skip N,"),
    ("[bytes 0x1, payload]", "layout: 'bytes 0x1' is none of: "),
    ("[skip 0, payload]", "layout: 'skip 0' is none of: "),
    ("[skip 5000, payload]", "layout: 'skip 5000' is none of: "),
    ("[turn u64be, payload]", "layout: 'turn u64be' is none of: "),
    ("[flags end=0x01, payload]", "layout: 'flags end=0x01' is none of: "),
    ("[payload, flags]", "layout: payload without a length takes all that is left: put it last"),
    ("[count u8, payload]", "layout: 'payload' cannot stand after a count or a length"),
    ("[count u8, length u8, payload, flags]", "layout: 'payload' cannot stand after a count or a length"),
    ("[count u8, length u8, pcm]", "layout: 'pcm' cannot stand after a count or a length"),
    ("[length u8, flags, payload]", "layout: 'flags' cannot stand after a count or a length"),
    ("[length u8, length u8, payload]", "layout: 'length u8' cannot stand after a count or a length"),
    ("[payload u8]", "layout: 'payload u8' is none of: "),
    ("[bytes 0x01, length u8]", "layout: a count or a length is last: what it counts is missing"),
    ("[length u8, payload, payload]", "layout: a body stands here twice"),
    ("[pcm]", "motion: payload or payloads is missing"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    assert error_of(text).startswith(message)


@pytest.mark.parametrize(("layout", "message"), LAYOUTS)
def test_a_mistake_in_a_layout_is_told_with_its_place(layout: str, message: str) -> None:
    text = f"about: x\nrelay:\n  - layout: {layout}\n    motion:\nclient:\n  - say: {{words: w}}\n"
    line, _, said = error_of(text).removeprefix("our.yaml:").partition(": ")
    assert line in ("3", "4")
    assert said.startswith(message)


def test_what_stands_in_json_needs_json_in_the_layout() -> None:
    text = "about: x\nrelay:\n  - layout: [payload]\n    motion: {last: end}\nclient:\n  - say: {words: w}\n"
    assert error_of(text) == "our.yaml:4: motion.last: the layout has no json that it could stand in"


def test_a_good_file_is_a_wire_of_its_name(tmp_path: Path) -> None:
    path = tmp_path / "our.yaml"
    path.write_text(GOOD)
    wire = find_wire(str(path))
    assert (wire.name, wire.declaration) == ("our", GOOD)
    with pytest.raises(UsageError, match=r"missing.yaml: No such file"):
        read_wire(tmp_path / "missing.yaml")


def test_wires_are_found_by_name() -> None:
    assert find_wire("json-envelope") is published_wire("json-envelope")
    assert find_wire("http-document").declaration
    for unknown in ("no-such-wire", "", "../x"):
        with pytest.raises(UsageError, match="no wire is named"):
            find_wire(unknown)
        with pytest.raises(UsageError, match="no wire is named"):
            read_shipped_wire(unknown)


@pytest.mark.parametrize("name", wire_names())
def test_every_shipped_file_says_what_it_is_about(name: str) -> None:
    assert read_shipped_wire(name).declares.about


def test_the_wire_of_the_document_is_one() -> None:
    page = resource("conformance") / "docs" / "wires.md"
    if not page.is_file():
        pytest.skip("the documents lie in a clone")
    declaration = page.read_text().partition("```yaml\n")[2].partition("```")[0]
    wire = parse_wire(declaration.encode(), "wires.md", "documented")
    assert wire.read_relay_frame(b"\x02\x01\0\0\0\x01\0\0\0\x03fir") == (Motion((b"fir",), last=True),)
    assert wire.lacks == {"errors"}


@settings(deadline=None, max_examples=300)
@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD)), st.sampled_from([*"{}[]:,-\n '\"&*#!|>%@`", "null", "\t", "  "]))
    ),
    st.integers(0, len(GOOD)),
)
def test_no_file_raises_anything_else(changes: list[tuple[int, str]], cut: int) -> None:
    text = GOOD[:cut]
    for place, inserted in changes:
        text = text[:place] + inserted + text[place:]
    said = "our.yaml:"
    try:
        parse_wire(text.encode(), "our.yaml", "our")
    except UsageError as error:
        said = str(error)
    assert said.startswith("our.yaml:")


@pytest.mark.parametrize("words", ["silence", "silence 0", "silence -1", "silence 11", "noise 1", "0.5"])
def test_how_silence_ends_speech_is_said_in_seconds(words: str) -> None:
    assert error_of(f"{GOOD}speech-ends: {words}\n").partition(": ")[2].startswith("speech-ends: ")


def test_a_wire_without_an_end_of_speech_has_a_pause() -> None:
    declared = parse_wire(f"{GOOD}speech-ends: silence 0.5\n".encode(), "our.yaml", "our")
    assert (declared.speech_pause, SPEECH_END in declared.lacks) == (0.5, True)
    undeclared = parse_wire(GOOD.encode(), "our.yaml", "our")
    assert (undeclared.speech_pause, SPEECH_END in undeclared.lacks) == (1.0, True)
    ended = parse_wire(f"{GOOD}  - when: {{type: stop}}\n    last-speech:\n".encode(), "our.yaml", "our")
    assert (ended.speech_pause, SPEECH_END in ended.lacks) == (0.0, False)
