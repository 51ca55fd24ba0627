"""The recorder reads a session's frames when the trace is looked at, and the trace is the same."""

from base64 import b64encode
from itertools import count

import pytest

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Interrupt,
    ServerError,
)
from spatius_sim.trace.events import (
    Closed,
    Event,
    Excuse,
    Injected,
    Lane,
    Opened,
    Received,
    SecretKnown,
    SecretSeen,
    Sent,
    TokenRequested,
    TraceHeader,
)
from spatius_sim.trace.recorder import NullSink, Recorder
from spatius_sim.wires.events import Speak
from spatius_sim.wires.json_envelope import JsonEnvelope

HEADER = TraceHeader("relay", "", 0, "", "0")
AUDIO, ERROR = AudioInput("r", b"\1\2"), ServerError("c", "r", 3, "no")
SECRET = "a-token-of-some-length"


def shaken(recorder: Recorder) -> None:
    """A session after its handshake."""
    recorder.emit(Lane.UPSTREAM, "u", Opened())
    recorder.record_received(Lane.UPSTREAM, "u", encode(ConfigureSession(16000)))
    recorder.record_sent(Lane.UPSTREAM, "u", encode(ConfirmSession("c")))


def spoken(recorder: Recorder) -> None:
    """What a session says then, with an event of the kit in between."""
    recorder.record_received(Lane.UPSTREAM, "u", encode(AUDIO))
    recorder.emit(Lane.KIT, "", Injected("a fault", Excuse.FAILURE))
    recorder.record_sent(Lane.UPSTREAM, "u", encode(ERROR), "r")
    recorder.record_received(Lane.UPSTREAM, "u", "text")


def test_a_trace_is_the_same_whether_it_is_read_at_once_or_late() -> None:
    told: list[Event] = []
    traces = []
    for on_event in (None, told.append):
        recorder = Recorder(clock_ns=count(1000, 10).__next__, on_event=on_event)
        recorder.start(HEADER)
        shaken(recorder)
        spoken(recorder)
        assert recorder.last_event_at_ns["u"] == 1060
        traces.append(recorder.finish())
    assert traces[0] == traces[1]
    assert traces[0].events == tuple(told)
    assert [event.seq for event in told] == list(range(7))
    assert [event.at_ns for event in told] == list(range(1000, 1070, 10))
    match [event.content for event in traces[0].events[3:]]:
        case [Received(_, audio), Injected("a fault"), Sent(_, error, "r"), Received("text", _)]:
            assert (audio, error) == (AUDIO, ERROR)
        case other:
            raise AssertionError(other)


def test_a_trace_can_be_looked_at_while_it_grows() -> None:
    recorder = Recorder(count().__next__)
    recorder.start(HEADER)
    shaken(recorder)
    seen = []
    for _ in range(3):
        recorder.record_received(Lane.UPSTREAM, "u", encode(AUDIO))
        seen.append(len(recorder.events))
    assert seen == [4, 5, 6]
    assert [event.seq for event in recorder.finish().events] == list(range(6))


def test_nothing_is_written_down_between_two_traces() -> None:
    recorder = Recorder(count().__next__)
    shaken(recorder)
    spoken(recorder)
    assert recorder.events == []
    recorder.secret_reference("key", SECRET)
    recorder.start(HEADER)
    events = recorder.finish().events
    assert [type(event.content) for event in events] == [SecretKnown, Opened, Received, Sent]
    assert [event.seq for event in events] == list(range(4))


def test_a_trace_names_only_the_tokens_that_occur_in_it() -> None:
    recorder = Recorder(count().__next__, wire=JsonEnvelope())
    for number in range(9):
        recorder.secret_reference("token", f"{SECRET}-{number}")
    recorder.start(HEADER)
    recorder.secret_reference("token", f"{SECRET}-3")
    recorder.record_received(Lane.DOWNSTREAM, "c", f'{{"type":"{SECRET}-5"}}')
    recorder.secret_reference("token", f"{SECRET}-3")
    events = [event.content for event in recorder.finish().events]
    named = [what.kind for what in events if isinstance(what, SecretKnown)]
    assert named == ["token#4", "token#6"]
    seen = next(number for number, what in enumerate(events) if isinstance(what, SecretSeen))
    assert isinstance(events[seen - 1], SecretKnown)


def test_frames_that_are_read_late_hold_no_secret() -> None:
    recorder = Recorder(count().__next__)
    recorder.start(HEADER)
    recorder.secret_reference("token", SECRET)
    shaken(recorder)
    recorder.record_received(Lane.UPSTREAM, "u", encode(Interrupt(SECRET)))
    recorder.record_sent(Lane.UPSTREAM, "u", encode(ServerError("c", "r", 3, SECRET)))
    assert SECRET not in str(recorder.finish())


def test_a_later_configuration_tells_its_secrets_before_anything_else_is_written_down() -> None:
    recorder = Recorder(count().__next__)
    recorder.start(HEADER)
    shaken(recorder)
    again = ConfigureSession(16000, agora_egress=AgoraEgress("channel", SECRET))
    recorder.record_received(Lane.UPSTREAM, "u", encode(again))
    recorder.emit(Lane.UPSTREAM, "u", Closed(True, 4001, f"{SECRET} is not good"))
    trace = recorder.finish()
    assert SECRET not in str(trace)
    assert not [event for event in trace.events if isinstance(event.content, SecretKnown)]


@pytest.mark.parametrize("text", ["the-key-0123456789", "x" * 10 + "the-key-0123456789"])
def test_a_trace_names_the_secret_and_never_holds_it(text: str) -> None:
    recorder = Recorder(count().__next__, wire=JsonEnvelope())
    recorder.secret_reference("key", "the-key-0123456789")
    recorder.start(TraceHeader("relay", "json-envelope", 0, "", ""))
    recorder.record_received(Lane.DOWNSTREAM, "client-1", text)
    trace = recorder.finish()
    assert [type(event.content) for event in trace.events] == [SecretKnown, SecretSeen, Received]
    assert "the-key" not in repr(trace)


def test_a_trace_that_was_not_started_cannot_be_finished() -> None:
    with pytest.raises(RuntimeError, match="no trace was started"):
        Recorder(count().__next__).finish()


def test_a_secret_is_told_once_and_has_one_name() -> None:
    recorder = Recorder(count().__next__)
    recorder.start(HEADER)
    assert recorder.secret_reference("token", SECRET) == recorder.secret_reference("token", SECRET) != ""
    assert recorder.secret_reference("token", "") == ""
    assert [type(event.content) for event in recorder.finish().events] == [SecretKnown]


def test_only_what_comes_to_a_client_is_searched_for_its_finding() -> None:
    recorder = Recorder(count().__next__)
    recorder.start(HEADER)
    recorder.secret_reference("token", SECRET)
    assert recorder.record_leaked_secrets(Lane.UPSTREAM, "u", SECRET, "in a header") == SECRET
    assert SECRET not in str(recorder.record_leaked_secrets(Lane.DOWNSTREAM, "c", SECRET, "in a header"))
    found = [event.connection for event in recorder.finish().events if isinstance(event.content, SecretSeen)]
    assert found == ["c"]


def test_a_frame_to_a_client_holds_no_secret() -> None:
    recorder = Recorder(count().__next__)
    recorder.start(HEADER)
    recorder.secret_reference("token", SECRET)
    recorder.record_sent(Lane.DOWNSTREAM, "c", SECRET.encode())
    assert SECRET not in str(recorder.finish())


class Declared(JsonEnvelope):
    """A wire that a team has declared, and that can hold a login in each message."""

    declaration = "a YAML"


def test_speech_on_a_declared_wire_is_searched_for_secrets() -> None:
    recorder = Recorder(count().__next__, wire=Declared())
    recorder.start(HEADER)
    recorder.secret_reference("token", SECRET)
    recorder.record_sent(Lane.DOWNSTREAM, "c", f'{{"type": "mic_audio", "audio": "", "login": "{SECRET}"}}')
    (_, event) = recorder.finish().events
    assert isinstance(event.content, Sent)
    assert isinstance(event.content.value, Speak)
    assert SECRET not in str(event)


@pytest.mark.parametrize(("wire", "stars"), [(JsonEnvelope(), False), (Declared(), True)])
def test_speech_that_happens_to_spell_a_secret_stays_as_it_is_unless_its_wire_is_declared(
    wire: JsonEnvelope, stars: bool
) -> None:
    pcm = bytes(range(24))
    recorder = Recorder(count().__next__, wire=wire)
    recorder.secret_reference("token", b64encode(pcm).decode())
    recorder.start(HEADER)
    [frame] = wire.write_client_action(Speak(pcm))
    recorder.record_sent(Lane.DOWNSTREAM, "c", frame)
    [event] = recorder.finish().events
    assert isinstance(event.content, Sent)
    assert (event.content.raw != frame) is stars
    assert (event.content.value != Speak(pcm)) is stars


def test_a_trace_that_is_flooded_takes_nothing_more() -> None:
    recorder = Recorder(count().__next__, max_events=2)
    recorder.start(HEADER)
    shaken(recorder)
    assert recorder.flooded
    assert len(recorder.finish().events) == 2


@pytest.mark.parametrize(("max_events", "max_bytes"), [(5, 100_000), (100, 5000)])
def test_a_trace_that_frames_flood_takes_nothing_more(max_events: int, max_bytes: int) -> None:
    recorder = Recorder(count().__next__, max_events=max_events, max_bytes=max_bytes)
    recorder.start(HEADER)
    shaken(recorder)
    for _ in range(3):
        assert not recorder.flooded
        recorder.record_received(Lane.UPSTREAM, "u", encode(AudioInput("r", bytes(2000))))
    assert recorder.flooded
    assert len(recorder.finish().events) == 5


def test_an_open_session_stands_at_the_head_of_the_next_trace_with_its_token() -> None:
    recorder = Recorder(count().__next__)
    recorder.start(HEADER)
    token = recorder.secret_reference("token", SECRET)
    recorder.emit(Lane.CONSOLE, "", TokenRequested("", None, 0.0, 401, ""))
    recorder.emit(Lane.CONSOLE, "", TokenRequested("", 60, 0.0, 200, token))
    recorder.emit(Lane.UPSTREAM, "u", Opened(token))
    recorder.finish()
    recorder.start(HEADER)
    events = recorder.finish().events
    assert [type(event.content) for event in events] == [SecretKnown, TokenRequested, Opened]


def test_a_sink_that_writes_nothing_down_knows_secrets_all_the_same() -> None:
    sink = NullSink()
    sink.emit(Lane.UPSTREAM, "u", Opened())
    sink.record_sent(Lane.UPSTREAM, "u", "text")
    sink.record_received(Lane.UPSTREAM, "u", "text")
    assert sink.secret_reference("token", SECRET)
    assert SECRET not in sink.secrets.redact_text(f"it says {SECRET}")
