"""json-envelope: both generations are read, what is written is read back, and reading never raises."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from spatius_sim.wires.json_envelope import JsonEnvelope

WIRE = JsonEnvelope()

RELAY_NOTES = ["status", "agent_ready", "transcript", "agent_event", "pong"]
CLIENT_NOTES = ["ping", "set_avatar", "start_agent"]
RELAY_TYPES = ["ready", "avatar_audio", "avatar_frames", "interrupt", "error", *RELAY_NOTES]
CLIENT_TYPES = ["mic_audio", "mic_end", "play_sample", "interrupt", *CLIENT_NOTES]
FIELDS = ["sessionId", "avatar", "audio", "frames", "isLast", "turnId", "reason", "message", "clip"]

texts = st.text()
rates = st.integers(0, 2**31)
relay_events: st.SearchStrategy[RelayEvent] = st.one_of(
    st.builds(Ready, texts, rates, rates),
    st.builds(Audio, st.binary(), st.booleans(), texts),
    st.builds(Motion, st.lists(st.binary(), max_size=4).map(tuple), st.booleans(), texts),
    st.builds(Interrupted, texts),
    st.builds(Failed, texts),
    st.builds(Note, st.sampled_from(RELAY_NOTES)),
)
client_actions: st.SearchStrategy[ClientAction] = st.one_of(
    st.builds(Speak, st.binary()),
    st.builds(Say, texts),
    st.just(SpeakEnd()),
    st.builds(PlayClip, texts),
    st.just(InterruptTurn()),
    st.builds(Note, st.sampled_from(CLIENT_NOTES)),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
rate_holders = st.fixed_dictionaries({}, optional={"outputSampleRate": values, "inputSampleRate": values})
almost_messages = st.fixed_dictionaries(
    {"type": st.sampled_from(RELAY_TYPES + CLIENT_TYPES) | values},
    optional=dict.fromkeys(FIELDS, values) | {"avatar": values | rate_holders},
)
any_frames: st.SearchStrategy[str | bytes] = st.one_of(
    st.text(st.characters()),
    st.binary(),
    values.map(json.dumps),
    almost_messages.map(json.dumps),
)


def shortly(value: str | bytes) -> str:
    """A test id that stays readable for a frame of 100,000 brackets."""
    return ascii(value)[:60]


READY = Ready("s", 24000, 16000)
FROM_A_RELAY: list[tuple[str, RelayEvent]] = [
    (
        '{"type":"ready","sessionId":"s","avatar":{"appId":"a","avatarId":"v","region":"us-west",'
        '"outputSampleRate":24000,"inputSampleRate":16000}}',
        READY,
    ),
    ('{"type":"ready"}', Ready()),
    ('{"type":"ready","sessionId":null,"avatar":null}', Ready()),
    ('{"type":"ready","avatar":{"outputSampleRate":"24000","inputSampleRate":true}}', Ready()),
    ('{"type":"ready","avatar":{"outputSampleRate":-1,"inputSampleRate":1.5}}', Ready()),
    ('{"type":"avatar_audio","audio":"cGNt","isLast":false,"turnId":"t"}', Audio(b"pcm", False, "t")),
    ('{"type":"avatar_audio","audio":"cGNt","isLast":false}', Audio(b"pcm")),
    ('{"type":"avatar_audio","audio":"cGNt","isLast":false,"turnId":null}', Audio(b"pcm")),
    ('{"type":"avatar_audio","audio":"cGNt"}', Audio(b"pcm")),
    ('{"type":"avatar_audio","audio":"","isLast":true,"turnId":"t"}', Audio(b"", True, "t")),
    ('{"type":"avatar_audio","audio":"","isLast":true}', Audio(b"", True)),
    (
        '{"type":"avatar_frames","frames":["Zmly","c3Q="],"isLast":true,"turnId":"t"}',
        Motion((b"fir", b"st"), True, "t"),
    ),
    ('{"type":"avatar_frames","frames":["Zmly"],"isLast":false}', Motion((b"fir",))),
    ('{"type":"avatar_frames","frames":["Zmly"],"turnId":null}', Motion((b"fir",))),
    ('{"type":"avatar_frames","frames":[],"isLast":true}', Motion((), True)),
    ('{"type":"interrupt","reason":"barge-in"}', Interrupted("barge-in")),
    ('{"type":"interrupt"}', Interrupted()),
    ('{"type":"error","message":"no credits"}', Failed("no credits")),
    ('{"type":"error"}', Failed("")),
    ('{"type":"status","message":"connected"}', Note("status")),
    ('{"type":"agent_ready"}', Note("agent_ready")),
    ('{"type":"transcript","role":"user","text":"hi"}', Note("transcript")),
    ('{"type":"agent_event","event":"speaking"}', Note("agent_event")),
    ('{"type":"pong"}', Note("pong")),
]
FROM_A_CLIENT: list[tuple[str, ClientAction]] = [
    ('{"type":"mic_audio","audio":"cGNt"}', Speak(b"pcm")),
    ('{"type":"mic_end"}', SpeakEnd()),
    ('{"type":"play_sample","clip":"hello.pcm"}', PlayClip("hello.pcm")),
    ('{"type":"interrupt"}', InterruptTurn()),
    ('{"type":"ping"}', Note("ping")),
    ('{"type":"set_avatar","avatarId":"v"}', Note("set_avatar")),
    ('{"type":"start_agent","language":"en"}', Note("start_agent")),
    ('{"type":"text","text":"hi"}', Say("hi")),
    ('{"type":"text_query","text":"hi"}', Say("hi")),
]

# What neither side understands, and how its reason begins.
NO_MESSAGE: list[tuple[str | bytes, str]] = [
    (b'{"type":"interrupt"}', "a binary frame; json-envelope has text frames only"),
    (b"\xff\x00", "a binary frame; json-envelope has text frames only"),
    ("", "not JSON: "),
    ("hello", "not JSON: "),
    ('{"type":', "not JSON: "),
    ('\ufeff{"type":"interrupt"}', "not JSON: "),
    ("[" * 100_000, "not JSON: "),
    ('{"type":' * 100_000, "not JSON: "),
    ('{"type":' + "1" * 5000 + "}", "not JSON: "),
    ("null", "not a JSON object"),
    ("[]", "not a JSON object"),
    ('"interrupt"', "not a JSON object"),
    ("{}", "type None is not one of a json-envelope "),
    ('{"type":null}', "type None is not one of a json-envelope "),
    ('{"type":1e999}', "type inf is not one of a json-envelope "),
    ('{"type":["interrupt"]}', "type ['interrupt'] is not one of a json-envelope "),
    ('{"type":' + "[" * 500 + "]" * 500 + "}", "type [[["),
    ('{"type":"Interrupt"}', "type 'Interrupt' is not one of a json-envelope "),
]
NO_RELAY_EVENT = [
    ('{"type":"mic_end"}', "type 'mic_end' is not one of a json-envelope relay's"),
    ('{"type":"ready","sessionId":7}', "sessionId is not text"),
    ('{"type":"avatar_audio"}', "audio is missing or null"),
    ('{"type":"avatar_audio","audio":null}', "audio is missing or null"),
    ('{"type":"avatar_audio","audio":["cGNt"]}', "audio is not base64 text"),
    ('{"type":"avatar_audio","audio":"p"}', "audio is not base64: "),
    ('{"type":"avatar_audio","audio":"cG Nt"}', "audio is not base64: "),
    ('{"type":"avatar_audio","audio":"cGN"}', "audio is not base64: "),
    ('{"type":"avatar_audio","audio":"\\u00e9"}', "audio is not base64: "),
    ('{"type":"avatar_audio","audio":"\\ud800"}', "audio is not base64: "),
    ('{"type":"avatar_audio","audio":"cGNt","isLast":1}', "isLast is neither true nor false"),
    ('{"type":"avatar_audio","audio":"cGNt","isLast":"true"}', "isLast is neither true nor false"),
    ('{"type":"avatar_audio","audio":"cGNt","turnId":7}', "turnId is not text"),
    ('{"type":"avatar_frames"}', "avatar_frames.frames is not a list"),
    ('{"type":"avatar_frames","frames":"Zmly"}', "avatar_frames.frames is not a list"),
    ('{"type":"avatar_frames","frames":{"0":"Zmly"}}', "avatar_frames.frames is not a list"),
    ('{"type":"avatar_frames","frames":["Zmly",null]}', "frames is missing or null"),
    ('{"type":"avatar_frames","frames":["?"]}', "frames is not base64: "),
    ('{"type":"avatar_frames","frames":[],"isLast":[]}', "isLast is neither true nor false"),
    ('{"type":"avatar_frames","frames":[],"turnId":{}}', "turnId is not text"),
    ('{"type":"interrupt","reason":1}', "reason is not text"),
    ('{"type":"error","message":{}}', "message is not text"),
]
NO_CLIENT_ACTION = [
    ('{"type":"avatar_audio","audio":""}', "type 'avatar_audio' is not one of a json-envelope client's"),
    ('{"type":"mic_audio"}', "audio is missing or null"),
    ('{"type":"mic_audio","audio":1}', "audio is not base64 text"),
    ('{"type":"mic_audio","audio":"!"}', "audio is not base64: "),
    ('{"type":"play_sample","clip":["hello.pcm"]}', "clip is not text"),
]


@settings(deadline=None, max_examples=300)
@given(relay_events)
def test_a_client_reads_what_a_relay_writes(event: RelayEvent) -> None:
    [frame] = WIRE.write_relay_event(event)
    assert WIRE.read_relay_frame(frame) == (event,)


@settings(deadline=None, max_examples=300)
@given(client_actions)
def test_a_relay_reads_what_a_client_writes(action: ClientAction) -> None:
    [frame] = WIRE.write_client_action(action)
    assert WIRE.read_client_frame(frame) == action


@pytest.mark.parametrize(("frame", "event"), FROM_A_RELAY)
def test_a_client_reads_a_relay_of_either_generation(frame: str, event: RelayEvent) -> None:
    assert WIRE.read_relay_frame(frame) == (event,)


@pytest.mark.parametrize(("frame", "action"), FROM_A_CLIENT)
def test_a_relay_reads_a_client_of_either_generation(frame: str, action: ClientAction) -> None:
    assert WIRE.read_client_frame(frame) == action


@pytest.mark.parametrize(("frame", "reason"), [*NO_MESSAGE, *NO_RELAY_EVENT], ids=shortly)
def test_what_a_client_cannot_read_is_garbage(frame: str | bytes, reason: str) -> None:
    [event] = WIRE.read_relay_frame(frame)
    assert isinstance(event, NotUnderstood)
    assert event.reason.startswith(reason)


@pytest.mark.parametrize(("frame", "reason"), [*NO_MESSAGE, *NO_CLIENT_ACTION], ids=shortly)
def test_what_a_relay_cannot_read_is_unclear(frame: str | bytes, reason: str) -> None:
    action = WIRE.read_client_frame(frame)
    assert isinstance(action, Unclear)
    assert action.reason.startswith(reason)


@settings(deadline=None, max_examples=500)
@given(any_frames)
def test_reading_never_raises(frame: str | bytes) -> None:
    assert [isinstance(event, RelayEvent) for event in WIRE.read_relay_frame(frame)] == [True]
    assert isinstance(WIRE.read_client_frame(frame), ClientAction)


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (
            READY,
            {
                "type": "ready",
                "sessionId": "s",
                "avatar": {"outputSampleRate": 24000, "inputSampleRate": 16000},
            },
        ),
        (
            Audio(b"pcm", turn_id="t"),
            {"type": "avatar_audio", "audio": "cGNt", "isLast": False, "turnId": "t"},
        ),
        (Audio(b"", last=True), {"type": "avatar_audio", "audio": "", "isLast": True}),
        (
            Motion((b"fir",), turn_id="t"),
            {"type": "avatar_frames", "frames": ["Zmly"], "isLast": False, "turnId": "t"},
        ),
        (Motion((b"fir",), last=True), {"type": "avatar_frames", "frames": ["Zmly"], "isLast": True}),
        (Interrupted("barge-in"), {"type": "interrupt", "reason": "barge-in"}),
        (Failed("no credits"), {"type": "error", "message": "no credits"}),
        (Note("pong"), {"type": "pong"}),
    ],
)
def test_a_relay_writes_the_vendor_s_fields(event: RelayEvent, message: dict[str, object]) -> None:
    assert list(map(json.loads, WIRE.write_relay_event(event))) == [message]


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (Speak(b"pcm"), {"type": "mic_audio", "audio": "cGNt"}),
        (SpeakEnd(), {"type": "mic_end"}),
        (PlayClip("hello.pcm"), {"type": "play_sample", "clip": "hello.pcm"}),
        (Say("hi"), {"type": "text", "text": "hi"}),
        (InterruptTurn(), {"type": "interrupt"}),
        (Note("ping"), {"type": "ping"}),
    ],
)
def test_a_client_writes_the_vendor_s_fields(action: ClientAction, message: dict[str, object]) -> None:
    assert list(map(json.loads, WIRE.write_client_action(action))) == [message]


def test_the_last_speech_is_two_messages_and_a_start_none() -> None:
    assert WIRE.write_client_action(Speak(b"pcm", last=True)) == (
        *WIRE.write_client_action(Speak(b"pcm")),
        *WIRE.write_client_action(SpeakEnd()),
    )
    assert WIRE.write_client_action(Start(16000)) == ()


def test_garbage_is_written_as_it_is_and_read_as_garbage() -> None:
    assert WIRE.write_relay_event(NotUnderstood("not a message")) == ("not a message",)
    assert isinstance(WIRE.read_relay_frame("not a message")[0], NotUnderstood)


def test_the_unclear_is_written_as_it_is_and_read_as_unclear() -> None:
    assert WIRE.write_client_action(Unclear("not a message")) == ("not a message",)
    assert isinstance(WIRE.read_client_frame("not a message"), Unclear)


def test_the_wire_says_its_name() -> None:
    assert WIRE.name == "json-envelope"
