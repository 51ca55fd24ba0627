"""json-envelope: the wire of the vendor's Backend Mode demo (protocol.md section 4).

Frames are JSON texts, with binary as base64. Generation 1 has `turnId`, generation 2 dropped it. Both are
read, and `turnId` is written if a turn has an id.
"""

import json
from typing import Any, assert_never

from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Frame,
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
from spatius_sim.wires.json_fields import (
    NotUnderstoodError,
    base64_bytes,
    base64_text,
    json_object,
    optional_flag,
    optional_text,
    read_rate,
)
from spatius_sim.wires.read_frames_once import remember_results

_NAME = "json-envelope"
_TYPES_OF_RELAY_NOTES = frozenset({"status", "agent_ready", "transcript", "agent_event", "pong"})
_TYPES_OF_CLIENT_NOTES = frozenset({"ping", "set_avatar", "start_agent"})


class JsonEnvelope:
    """The json-envelope wire."""

    name = _NAME
    lacks: frozenset[str] = frozenset()
    greets = True
    speech_pause = 0.0
    http_paths = ("/api/config", "/healthz")
    declaration = ""

    def read_relay_frame(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Decode a frame that a relay sent in the json-envelope format, and return its event in a tuple. A
        bad frame gives NotUnderstood, with the reason; no error is raised."""
        try:
            return (_read_event(json_object(frame, _NAME)),)
        except NotUnderstoodError as error:
            return (NotUnderstood(str(error)),)

    def write_relay_event(self, event: RelayEvent) -> tuple[str, ...]:
        """Return the text frame by which a relay says `event`."""
        return (_write_event(event),)

    def read_client_frame(self, frame: Frame) -> ClientAction:
        """Decode a frame that a client sent in the json-envelope format, and return the action that the
        client asks for. A bad frame gives Unclear, with the reason; no error is raised."""
        return _read_action(frame)

    def write_client_action(self, action: ClientAction) -> tuple[str, ...]:
        """Encode an action of a client as text frames in the json-envelope format. The last piece of audio
        gives two frames (one if the piece is empty), Start gives none, any other action gives one. For
        Unclear, which no relay understands, the frame is the text of its `reason`."""
        match action:
            case Start():
                return ()
            case Speak(pcm, last):
                # Base64 needs no escapes, so the JSON encoder need not read it.
                speech = f'{{"type": "mic_audio", "audio": "{base64_text(pcm)}"}}'
                end = self.write_client_action(SpeakEnd()) if last else ()
                return (speech, *end) if pcm or not last else end
            case SpeakEnd():
                return (json.dumps({"type": "mic_end"}),)
            case PlayClip(clip):
                return (json.dumps({"type": "play_sample", "clip": clip}),)
            case Say(words):
                return (json.dumps({"type": "text", "text": words}),)
            case InterruptTurn():
                return (json.dumps({"type": "interrupt"}),)
            case Note(kind):
                return (json.dumps({"type": kind}),)
            case Unclear(reason):
                return (reason,)
            case _:
                assert_never(action)


def _write_event(event: RelayEvent) -> str:
    """Return the text frame for this event of a relay in the json-envelope format. The reason of
    NotUnderstood is sent as it is."""
    match event:
        case Ready(session_id, output_rate, input_rate):
            avatar = {"outputSampleRate": output_rate, "inputSampleRate": input_rate}
            return json.dumps({"type": "ready", "sessionId": session_id, "avatar": avatar})
        case Audio(pcm, last, turn_id):
            # Base64 needs no escapes, so the JSON encoder need not read it.
            other_fields = json.dumps({"isLast": last} | _turn_field(turn_id))
            return f'{{"type": "avatar_audio", "audio": "{base64_text(pcm)}", {other_fields[1:]}'
        case Motion(payloads, last, turn_id):
            frames = [base64_text(payload) for payload in payloads]
            motion = {"type": "avatar_frames", "frames": frames, "isLast": last}
            return json.dumps(motion | _turn_field(turn_id))
        case Interrupted(reason):
            return json.dumps({"type": "interrupt", "reason": reason})
        case Failed(message):
            return json.dumps({"type": "error", "message": message})
        case Note(kind):
            return json.dumps({"type": kind})
        case NotUnderstood(reason):
            return reason
        case _:
            assert_never(event)


def _read_event(message: dict[str, Any]) -> RelayEvent:
    """Return the event in a json-envelope message of a relay. Raises NotUnderstoodError if the type of the
    message is unknown, or if a field is bad."""
    match message.get("type"):
        case "ready":
            avatar = message.get("avatar")
            rates = avatar if isinstance(avatar, dict) else {}
            return Ready(
                optional_text(message, "sessionId"),
                read_rate(rates.get("outputSampleRate")),
                read_rate(rates.get("inputSampleRate")),
            )
        case "avatar_audio":
            pcm = base64_bytes(message.get("audio"), "audio")
            return Audio(pcm, optional_flag(message, "isLast"), optional_text(message, "turnId"))
        case "avatar_frames":
            frames = message.get("frames")
            if not isinstance(frames, list):
                raise NotUnderstoodError("avatar_frames.frames is not a list")
            payloads = tuple(base64_bytes(frame, "frames") for frame in frames)
            return Motion(payloads, optional_flag(message, "isLast"), optional_text(message, "turnId"))
        case "interrupt":
            return Interrupted(optional_text(message, "reason"))
        case "error":
            return Failed(optional_text(message, "message"))
        case str(message_type) if message_type in _TYPES_OF_RELAY_NOTES:
            return Note(message_type)
        case other_type:
            raise NotUnderstoodError(f"type {other_type!r} is not one of a json-envelope relay's")


@remember_results
def _read_action(frame: Frame) -> ClientAction:
    """Decode a frame of a json-envelope client, and return the action that the client asks for. A bad frame
    gives Unclear, with the reason."""
    try:
        return _read_action_message(json_object(frame, _NAME))
    except NotUnderstoodError as error:
        return Unclear(str(error))


def _read_action_message(message: dict[str, Any]) -> ClientAction:
    """Return the action that a json-envelope message of a client asks for. Raises NotUnderstoodError if the
    type of the message is unknown, or if a field is bad."""
    match message.get("type"):
        case "mic_audio":
            return Speak(base64_bytes(message.get("audio"), "audio"))
        case "mic_end":
            return SpeakEnd()
        case "play_sample":
            return PlayClip(optional_text(message, "clip"))
        case "text" | "text_query":
            return Say(optional_text(message, "text"))
        case "interrupt":
            return InterruptTurn()
        case str(message_type) if message_type in _TYPES_OF_CLIENT_NOTES:
            return Note(message_type)
        case other_type:
            raise NotUnderstoodError(f"type {other_type!r} is not one of a json-envelope client's")


def _turn_field(turn_id: str) -> dict[str, str]:
    """Return the field that names the turn; no field if the turn has no id."""
    return {"turnId": turn_id} if turn_id else {}
