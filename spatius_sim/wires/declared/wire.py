"""The wire that a team declares: reads and writes its frames as its declaration says."""

from dataclasses import dataclass, field
from typing import assert_never

from spatius_sim.wires.declared.declaration import (
    CLIENT_MEANINGS,
    RELAY_MEANINGS,
    Declaration,
    field_places_of,
    has_meaning,
)
from spatius_sim.wires.declared.read_declared import make_client_action, make_relay_event, read_meanings
from spatius_sim.wires.declared.write_declared import write_audio, write_meaning, write_motion, write_note
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
from spatius_sim.wires.json_fields import NotUnderstoodError
from spatius_sim.wires.optional_features import (
    AUDIO,
    ERRORS,
    INTERRUPTS,
    MOTION_END,
    SPEECH_END,
    STREAMING,
    TURN_IDS,
)

_ASSUMED_PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Declared:
    """The wire that a declaration describes."""

    name: str
    declares: Declaration = field(repr=False)

    @property
    def lacks(self) -> frozenset[str]:
        """The names of the features that this declared wire (the message format of a team) lacks: those that
        its file lists as lacking, and those for which it declares no message."""
        relay, client = self.declares.relay, self.declares.client
        is_available_by_feature = {
            AUDIO: has_meaning(relay, "audio") or has_meaning(relay, "last-audio"),
            MOTION_END: has_meaning(relay, "last-motion") or "last" in field_places_of(relay, "motion"),
            TURN_IDS: any(
                "turn" in field_places_of(relay, meaning_name)
                for meaning_name in ("audio", "last-audio", "motion")
            ),
            ERRORS: has_meaning(relay, "failed"),
            INTERRUPTS: has_meaning(client, "interrupt"),
        }
        is_available_by_feature[MOTION_END] |= self._message_holds_whole_turn
        has_speech_pieces = has_meaning(client, "speech") and not self._message_holds_whole_turn
        has_speech_end = has_meaning(client, "last-speech") or "last" in field_places_of(client, "speech")
        is_available_by_feature[SPEECH_END] = has_speech_end or not has_speech_pieces
        return self.declares.lacks | {
            feature for feature, is_available in is_available_by_feature.items() if not is_available
        }

    @property
    def greets(self) -> bool:
        """Whether the relay has a message that means `ready`."""
        return has_meaning(self.declares.relay, "ready")

    @property
    def speech_pause(self) -> float:
        """The seconds of silence after which the relay takes its client's speech for complete. The file of
        this declared wire names them. If it does not: 0 if a message marks the end of speech, otherwise one
        second (ASSUMED)."""
        default_pause = _ASSUMED_PAUSE_SECONDS if SPEECH_END in self.lacks else 0.0
        return self.declares.speech_pause or default_pause

    @property
    def http_paths(self) -> tuple[str, ...]:
        """The declared paths for GET requests."""
        return self.declares.http_paths

    @property
    def declaration(self) -> str:
        """The text of the declaring file."""
        return self.declares.text

    def read_relay_frame(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Decode a frame that a relay sent on this declared wire (the message format of a team), and return
        its events. A bad frame gives NotUnderstood, with the reason; no error is raised."""
        try:
            return tuple(
                make_relay_event(meaning_name, fields, self._message_holds_whole_turn)
                for meaning_name, fields in read_meanings(self.declares.relay, frame, RELAY_MEANINGS)
            )
        except NotUnderstoodError as error:
            return (NotUnderstood(str(error)),)

    def write_relay_event(self, event: RelayEvent) -> tuple[Frame, ...]:
        """Encode an event of a relay as frames of this declared wire (the message format of a team). Return
        an empty tuple if the wire declares no message for the event. The reason of NotUnderstood is sent as
        it is."""
        messages = self.declares.relay
        match event:
            case Ready(session_id, output_rate, input_rate):
                rates = {"output-rate": output_rate, "input-rate": input_rate}
                return write_meaning(messages, "ready", {"session": session_id} | rates)
            case Audio(pcm, last, turn_id):
                return write_audio(messages, "audio", pcm, last, turn_id)
            case Motion(payloads, last, turn_id):
                return write_motion(messages, payloads, last, turn_id)
            case Interrupted(reason):
                return write_meaning(messages, "interrupted", {"reason": reason})
            case Failed(message):
                return write_meaning(messages, "failed", {"message": message})
            case Note(note_name):
                return write_note(messages, note_name)
            case NotUnderstood(reason):
                return (reason,)
            case _:
                assert_never(event)

    def read_client_frame(self, frame: Frame) -> ClientAction:
        """Decode a frame that a client sent on this declared wire (the message format of a team), and return
        the action that the client asks for. If the frame has several meanings, only the first counts. A bad
        frame gives Unclear, with the reason; no error is raised."""
        try:
            meaning_name, fields = next(iter(read_meanings(self.declares.client, frame, CLIENT_MEANINGS)))
            return make_client_action(meaning_name, fields, self._message_holds_whole_turn)
        except NotUnderstoodError as error:
            return Unclear(str(error))

    def write_client_action(self, action: ClientAction) -> tuple[Frame, ...]:
        """Encode an action of a client as frames of this declared wire (the message format of a team). Return
        an empty tuple if the wire declares no message for the action. For Unclear, which no relay
        understands, the frame is the text of its `reason`."""
        messages = self.declares.client
        match action:
            case Start(sample_rate, avatar_id):
                return write_meaning(messages, "start", {"rate": sample_rate, "avatar": avatar_id})
            case Speak(pcm, last):
                return write_audio(messages, "speech", pcm, last, "")
            case SpeakEnd():
                return write_audio(messages, "speech", b"", last=True, turn_id="")
            case PlayClip(clip):
                return write_meaning(messages, "play-clip", {"clip": clip})
            case Say(words):
                return write_meaning(messages, "say", {"words": words})
            case InterruptTurn():
                return write_meaning(messages, "interrupt", {})
            case Note(note_name):
                return write_note(messages, note_name)
            case Unclear(reason):
                return (reason,)
            case _:
                assert_never(action)

    @property
    def _message_holds_whole_turn(self) -> bool:
        """Whether one message holds the whole turn."""
        return STREAMING in self.declares.lacks
