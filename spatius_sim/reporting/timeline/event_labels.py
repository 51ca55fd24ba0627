"""Says what a time-line shows of one event: the words, the direction, and how to draw it."""

from dataclasses import dataclass, replace

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.close_codes import NO_CODE
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Interrupt,
    MotionResponse,
    Pause,
    PlaybackNews,
    Resume,
    ServerError,
)
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.trace.decoder_events import AudioOnlyEntered, MotionDiscarded, StateChanged
from spatius_sim.trace.event_text import describe_fault, describe_provocation, describe_wait
from spatius_sim.trace.events import (
    Closed,
    Event,
    Injected,
    Joined,
    KitStalled,
    Lane,
    Opened,
    Provoked,
    Published,
    Received,
    Refused,
    SecretKnown,
    SecretSeen,
    Sent,
    TokenRequested,
    TurnStarted,
    Undecodable,
    WaitEnded,
)
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.room_events import LeftRoom, PlaybackTold
from spatius_sim.wires.events import (
    Audio,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    NotUnderstood,
    PlayClip,
    Ready,
    Say,
    Speak,
    SpeakEnd,
    Start,
    Unclear,
)

_HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class EventLabel:
    """What a time-line shows of one event. `upward`: whether the event went towards Motion Server; None if it
    stayed on one lane. A `minor` event is drawn only if it is evidence."""

    kind: MarkKind
    words: str
    upward: bool | None = None
    minor: bool = False


def label_event(event: Event, *, kit_is_client: bool = False) -> EventLabel | None:
    """Return the label that a time-line shows for an event; None if no time-line shows the event.
    `kit_is_client`: whether the kit is the client of Motion Server; else it is Motion Server."""
    match event.content:
        case Sent(_, value) | Received(_, value):
            return _label_frame(value, event)
        case Opened():
            return EventLabel(MarkKind.CONNECTION, "opens a connection", upward=True)
        case Refused(0, reason):
            return EventLabel(MarkKind.FAULT, f"does not answer the upgrade: {reason}", upward=False)
        case Refused(status, reason):
            return EventLabel(MarkKind.FAULT, f"refuses the connection: HTTP {status} {reason}", upward=False)
        case Closed(by_kit, code):
            kit_is_above = event.lane is Lane.UPSTREAM and not kit_is_client
            from_above = by_kit == kit_is_above
            closes = "closes the connection" + (" without a code" if code == NO_CODE else f": {code}")
            return EventLabel(MarkKind.CONNECTION, closes, upward=not from_above)
        case TokenRequested(status=status):
            kind = MarkKind.CONNECTION if status == _HTTP_OK else MarkKind.FAULT
            answer = "and gets it" if status == _HTTP_OK else f"and gets HTTP {status}"
            return EventLabel(kind, f"asks for a session token {answer}", upward=True)
        case TurnStarted(turn, pcm, rate):
            return EventLabel(
                MarkKind.KIT, f"turn {turn + 1} begins: {_length_in_words(pcm, rate)} of speech"
            )
        case WaitEnded() as wait:
            return EventLabel(MarkKind.KIT, describe_wait(wait))
        case Provoked(intent):
            return EventLabel(MarkKind.KIT, f"the kit does on purpose: {describe_provocation(intent)}")
        case Injected() as fault:
            return EventLabel(MarkKind.FAULT, f"the kit makes it fail: {describe_fault(fault)}")
        case KitStalled(seconds):
            return EventLabel(MarkKind.KIT, f"the kit itself was late by {seconds:.2f} s")
        case SecretKnown(kind, length):
            return EventLabel(
                MarkKind.KIT, f"a secret is looked for: {kind}, {length} characters", minor=True
            )
        case SecretSeen(kind, place):
            return EventLabel(MarkKind.FAULT, f"the {kind} was seen {place}")
        case Joined(room):
            return EventLabel(MarkKind.CONNECTION, f"joins the room {room}")
        case Published(room, _, value):
            frame_words = _label_frame(value, event)
            return replace(frame_words, words=f"in the room {room}: {frame_words.words}", upward=True)
        case PlaybackTold(_, method, payload):
            return EventLabel(MarkKind.KIT, f"tells the agent {method} {payload}")
        case LeftRoom(room):
            return EventLabel(MarkKind.CONNECTION, f"leaves the room {room}")
        case MotionDiscarded(reason=reason):
            return EventLabel(MarkKind.FAULT, f"motion is discarded: {reason}")
        case AudioOnlyEntered():
            return EventLabel(MarkKind.FAULT, "falls to audio-only")
        case StateChanged(state):
            return EventLabel(MarkKind.KIT, f"is {state}")
    return None


def _label_frame(value: object, event: Event) -> EventLabel:
    """Return the label for a frame (one message on a connection); `value` is what was read from the frame."""
    match value:
        case Speak(pcm):
            words = f"{len(pcm):,} bytes of audio to be spoken"
            return EventLabel(MarkKind.AUDIO, words, upward=True, minor=True)
        case SpeakEnd():
            return EventLabel(MarkKind.END, "the audio to be spoken is complete", upward=True)
        case Audio(pcm, last, turn_id):
            words = f"{len(pcm):,} bytes of audio{_say_turn_id(turn_id)}{', marked as the last' * last}"
            if not pcm:
                words = ("the end mark of the audio" if last else "no audio") + _say_turn_id(turn_id)
            kind = MarkKind.END if last and not pcm else MarkKind.AUDIO
            return EventLabel(kind, words, upward=False, minor=not last)
        case Motion(payloads, last, turn_id):
            return _label_motion(payloads, last, turn_id)
        case AudioInput(req_id, audio, end):
            words = f"{len(audio):,} bytes of audio of {req_id}{', the end' * end}"
            if not audio:
                words = f"{'the end mark' if end else 'no audio'} of {req_id}"
            kind = MarkKind.END if end and not audio else MarkKind.AUDIO
            return EventLabel(kind, words, upward=True, minor=not end)
        case MotionResponse(req_id=req_id):
            words = f"motion of {req_id}: {_count_keyframes(value)}{', the end' * value.end}"
            return EventLabel(MarkKind.MOTION, words, upward=False)
        case ConfigureSession(sample_rate=rate):
            return EventLabel(MarkKind.MESSAGE, f"configures {rate:,} Hz", upward=True)
        case ConfirmSession():
            return EventLabel(MarkKind.MESSAGE, "confirms the session", upward=False)
        case Interrupt(req_id):
            return EventLabel(MarkKind.MESSAGE, f"interrupts {req_id}", upward=True)
        case Pause(req_id):
            return EventLabel(MarkKind.MESSAGE, f"pauses {req_id}", upward=True)
        case Resume(req_id):
            return EventLabel(MarkKind.MESSAGE, f"lets {req_id} go on", upward=True)
        case PlaybackNews(req_id=req_id, phase=phase, played_ms=played_ms):
            words = f"tells of {req_id}: phase {phase}, {played_ms:,} ms played"
            return EventLabel(MarkKind.MESSAGE, words, upward=False)
        case ServerError(code=code, message=message):
            return EventLabel(MarkKind.FAULT, f"error {code}: {message}", upward=False)
        case Start(rate):
            return EventLabel(MarkKind.MESSAGE, f"asks to begin, with audio at {rate:,} Hz", upward=True)
        case PlayClip(asked) | Say(asked):
            return EventLabel(MarkKind.MESSAGE, f"asks for the speech {asked!r}", upward=True)
        case Interrupted(reason):
            return EventLabel(MarkKind.MESSAGE, f"says that the turn was interrupted: {reason}", upward=False)
        case InterruptTurn():
            return EventLabel(MarkKind.MESSAGE, "interrupts", upward=True)
        case Ready():
            return EventLabel(MarkKind.MESSAGE, "greets", upward=False)
        case Failed(message):
            return EventLabel(MarkKind.FAULT, f"says that it failed: {message}", upward=False)
        case NotUnderstood(reason) | Undecodable(reason) | Unclear(reason):
            return EventLabel(MarkKind.FAULT, f"not understood: {reason}", _goes_upward(event))
        case Note(kind):
            return EventLabel(MarkKind.MESSAGE, kind, _goes_upward(event), minor=True)
    return EventLabel(MarkKind.MESSAGE, type(value).__name__, _goes_upward(event))


def _label_motion(payloads: tuple[bytes, ...], last: bool, turn_id: str) -> EventLabel:
    """Return the label for motion from a relay to a client. It names the req_ids, the number of keyframes in
    each payload, the turn id if there is one, and whether the motion is marked as the last. An empty list of
    motion, and payloads that cannot be decoded, are labelled as that."""
    suffix = _say_turn_id(turn_id) + ", marked as the last" * last
    if not payloads:
        return EventLabel(MarkKind.END, f"an empty list of motion{suffix}", upward=False)
    messages = [message for message in map(read_upstream, payloads) if isinstance(message, MotionResponse)]
    req_ids = ", ".join(dict.fromkeys(message.req_id for message in messages))
    if not messages:
        size = sum(map(len, payloads))
        return EventLabel(
            MarkKind.MOTION, f"{size:,} bytes that no client can decode as motion{suffix}", False
        )
    keyframes = " + ".join(_count_keyframes(message) for message in messages)
    return EventLabel(MarkKind.MOTION, f"motion of {req_ids}: {keyframes}{suffix}", upward=False)


def _say_turn_id(turn_id: str) -> str:
    """Return the words for the turn id that a relay gave; "" if it gave none."""
    return f" under the id {turn_id}" if turn_id else ""


def _goes_upward(event: Event) -> bool:
    """Return whether a frame went towards Motion Server: the kit sent it as a client, or received it as
    Motion Server."""
    return isinstance(event.content, Sent) == (event.lane is Lane.DOWNSTREAM)


def _count_keyframes(message: MotionResponse) -> str:
    """Return the number of keyframes in words."""
    number = len(message.keyframes)
    return "1 keyframe" if number == 1 else f"{number} keyframes"


def _length_in_words(pcm: bytes, rate: int) -> str:
    """Return how long this audio is, in words: in seconds, or in bytes if the sample rate is 0."""
    return f"{len(pcm) / BYTES_PER_SAMPLE / rate:.2f} s" if rate else f"{len(pcm):,} bytes"
