"""Traces for the tests of tapes."""

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ServerError
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tests.rules.traces import Dialogue, voice
from spatius_sim.trace.decoder_events import (
    DiscardReason,
    MotionDiscarded,
    PlaybackState,
    StateChanged,
    StateReason,
)
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    EventKind,
    Lane,
    Opened,
    Received,
    Refused,
    Sent,
    TokenRequested,
    Trace,
    TraceHeader,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.trace.read_frames import read_frame
from spatius_sim.wires.events import Audio, Motion, Note, Ready, Speak
from spatius_sim.wires.json_envelope import JsonEnvelope

WIRE = JsonEnvelope()
SPEECH = voice("a sentence", 2000)
MOTION = Dialogue().motion("up", "request", 3, end=True)
KEPT = TapeHeader("suite", 1_760_000_000_000, "0", 7, (16000,), ("secrets",))
CLEANED = TapeHeader("proxy", 1_760_000_000_000, "0", 7)


def received(lane: Lane, raw: str | bytes) -> Received:
    return Received(raw, read_frame(lane, raw, sent_by_kit=False, wire=WIRE))


def sent(lane: Lane, raw: str | bytes, answers: str = "") -> Sent:
    return Sent(raw, read_frame(lane, raw, sent_by_kit=True, wire=WIRE), answers)


WHATS: list[tuple[Lane, EventKind]] = [
    (Lane.KIT, TurnStarted(0, SPEECH, 16000)),
    (Lane.CONSOLE, TokenRequested("key#1", None, 1.5, 400)),
    (Lane.UPSTREAM, Opened("token#1", "talking-app", "grandmother")),
    (Lane.UPSTREAM, Refused(404, '{"message":"Avatar not found: grandmother"}')),
    (Lane.UPSTREAM, received(Lane.UPSTREAM, encode(ConfigureSession(16000)))),
    (Lane.UPSTREAM, received(Lane.UPSTREAM, encode(AudioInput("request", SPEECH, True)))),
    (Lane.UPSTREAM, received(Lane.UPSTREAM, b"\xff" * 300)),
    (Lane.UPSTREAM, received(Lane.UPSTREAM, "a text")),
    (Lane.UPSTREAM, sent(Lane.UPSTREAM, MOTION, "request")),
    (Lane.UPSTREAM, sent(Lane.UPSTREAM, encode(ServerError("id", "request", 4001, "Credits exhausted")))),
    (Lane.DOWNSTREAM, received(Lane.DOWNSTREAM, WIRE.write_relay_event(Ready("session", 16000, 16000))[0])),
    (Lane.DOWNSTREAM, received(Lane.DOWNSTREAM, WIRE.write_relay_event(Audio(SPEECH, False, "turn-1"))[0])),
    (Lane.DOWNSTREAM, received(Lane.DOWNSTREAM, WIRE.write_relay_event(Audio(b"abcd", True, "turn-1"))[0])),
    (
        Lane.DOWNSTREAM,
        received(Lane.DOWNSTREAM, WIRE.write_relay_event(Motion((MOTION, MOTION), True, "t"))[0]),
    ),
    (Lane.DOWNSTREAM, received(Lane.DOWNSTREAM, WIRE.write_relay_event(Note("pong"))[0])),
    (Lane.DOWNSTREAM, received(Lane.DOWNSTREAM, b"\x01binary")),
    (Lane.DOWNSTREAM, received(Lane.DOWNSTREAM, "not JSON " * 100)),
    (Lane.DOWNSTREAM, sent(Lane.DOWNSTREAM, WIRE.write_client_action(Speak(SPEECH))[0])),
    (Lane.DOWNSTREAM, Closed(False, 1006, "gone")),
    (Lane.DECODER, MotionDiscarded("conversation-1", DiscardReason.MISMATCHED_ID)),
    (Lane.DECODER, StateChanged(PlaybackState.IDLE, StateReason.PLAYBACK_END)),
    (Lane.KIT, WaitEnded(Awaited.TURN, True, 0)),
]


def trace_of(whats: list[tuple[Lane, EventKind]], *, speech: bool = True) -> Trace:
    events = tuple(Event(i, i * 10, lane, "c", what) for i, (lane, what) in enumerate(whats))
    return Trace(TraceHeader("relay", "json-envelope", 7, "a plan", "0", speech=speech), events)
