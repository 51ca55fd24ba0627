"""The wire that a team declares: reads and writes its frames as its declaration says."""

from dataclasses import dataclass, field
from typing import assert_never

from spatius_sim.wires.declared.declaration import (
    CLIENT_MEANINGS,
    RELAY_MEANINGS,
    Declaration,
    has_meaning,
    places_of,
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

_UNDECLARED_PAUSE = 1.0


@dataclass(frozen=True)
class Declared:
    """The wire that a declaration describes."""

    name: str
    declares: Declaration = field(repr=False)

    @property
    def lacks(self) -> frozenset[str]:
        """The features that the declared wire lacks: those that its file names, and those for which it has no
        message."""
        relay, client = self.declares.relay, self.declares.client
        available = {
            AUDIO: has_meaning(relay, "audio") or has_meaning(relay, "last-audio"),
            MOTION_END: has_meaning(relay, "last-motion") or "last" in places_of(relay, "motion"),
            TURN_IDS: any("turn" in places_of(relay, kind) for kind in ("audio", "last-audio", "motion")),
            ERRORS: has_meaning(relay, "failed"),
            INTERRUPTS: has_meaning(client, "interrupt"),
        }
        available[MOTION_END] |= self._turns_come_whole
        says_speech = has_meaning(client, "speech") and not self._turns_come_whole
        says_end = has_meaning(client, "last-speech") or "last" in places_of(client, "speech")
        available[SPEECH_END] = says_end or not says_speech
        return self.declares.lacks | {feature for feature, present in available.items() if not present}

    @property
    def greets(self) -> bool:
        """Whether the relay has a message that means `ready`."""
        return has_meaning(self.declares.relay, "ready")

    @property
    def speech_pause(self) -> float:
        """The seconds of silence after which the relay takes its client's speech for ended, as the
        declaration of the wire says. If nothing declared ends speech, one second (ASSUMED); if a message ends
        speech, 0."""
        undeclared = _UNDECLARED_PAUSE if SPEECH_END in self.lacks else 0.0
        return self.declares.speech_pause or undeclared

    @property
    def http_paths(self) -> tuple[str, ...]:
        """The declared paths for GET requests."""
        return self.declares.http_paths

    @property
    def declaration(self) -> str:
        """The text of the declaring file."""
        return self.declares.text

    def read_relay(self, frame: Frame) -> tuple[RelayEvent, ...]:
        """Read a frame of the declared wire that the relay sent, and return its relay events. A bad frame
        becomes NotUnderstood; no error is raised."""
        try:
            return tuple(
                make_relay_event(kind, fields, self._turns_come_whole)
                for kind, fields in read_meanings(self.declares.relay, frame, RELAY_MEANINGS)
            )
        except NotUnderstoodError as fault:
            return (NotUnderstood(str(fault)),)

    def write_relay(self, event: RelayEvent) -> tuple[Frame, ...]:
        """Return the frames of the declared wire by which a relay says `event`; an empty tuple if no message
        has this meaning."""
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
            case Note(kind):
                return write_note(messages, kind)
            case NotUnderstood(reason):
                return (reason,)
            case _:
                assert_never(event)

    def read_client(self, frame: Frame) -> ClientAction:
        """Return what a client of this declared wire asks for by a frame: the first meaning that the frame
        can have. A frame that fits no declared message becomes Unclear; no error is raised."""
        try:
            kind, fields = next(iter(read_meanings(self.declares.client, frame, CLIENT_MEANINGS)))
            return make_client_action(kind, fields, self._turns_come_whole)
        except NotUnderstoodError as fault:
            return Unclear(str(fault))

    def write_client(self, action: ClientAction) -> tuple[Frame, ...]:
        """Write an action of a client as frames of the declared wire, and return the frames. Return an empty
        tuple if the declaration has no message for this action."""
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
            case Note(kind):
                return write_note(messages, kind)
            case Unclear(reason):
                return (reason,)
            case _:
                assert_never(action)

    @property
    def _turns_come_whole(self) -> bool:
        """Whether one message holds the whole turn."""
        return STREAMING in self.declares.lacks
