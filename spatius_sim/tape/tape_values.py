"""What a tape holds, as values: headers, events without secrets, and the pieces that a frame is made of."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from spatius_sim.trace.events import FALLBACK_WAIT, Lane
from spatius_sim.trace.speech_fingerprint import SpeechFingerprint, make_noise

VERSION = 1


@dataclass(frozen=True, slots=True)
class TapeHeader:
    """The head of a tape. `what` was recorded: `suite`, `proxy`, `import` ... `recorded_unix_ms` is the time
    0 of its events. `rates` are in Hz, if they are known beforehand. `redactions` name what was taken out:
    `secrets` (always), `names`, `speech`. `note` says whether the tape was cut, merged or repaired."""

    what: str
    recorded_unix_ms: int = 0
    kit_version: str = ""
    seed: int = 0
    rates: tuple[int, ...] = ()
    redactions: tuple[str, ...] = ("secrets", "names", "speech")
    note: str = ""

    @property
    def has_speech(self) -> bool:
        """Whether the tape holds speech."""
        return "speech" not in self.redactions


@dataclass(frozen=True, slots=True)
class TapedRun:
    """The head of a run: the events that follow belong to this run. Subject, wire, seed, plan and the plan's
    token are those of a trace's header.

    `halves` says what the recorder could see: `both`, `upstream` or `downstream`; `lacks` names the
    features that the subject declared it lacks, with spaces between them; `fallback_wait` is in seconds;
    `declaration` is the YAML that describes a wire of a team's own."""

    subject: str
    wire: str = ""
    seed: int = 0
    plan: str = ""
    kit_version: str = ""
    halves: str = "both"
    lacks: str = ""
    fallback_wait: float = FALLBACK_WAIT
    declaration: str = ""
    plan_token: str = ""


class TapedPiece(NamedTuple):
    """Bytes that may occur again, or the fingerprint of speech that was taken out. `base64` says that the
    frame, a text, contains these bytes in base64."""

    content: bytes | SpeechFingerprint
    base64: bool = False

    def as_bytes(self) -> bytes:
        """Return the bytes that this piece has in the taped frame, in base64 if the frame has it so. Speech
        that was removed from the tape becomes noise of the same length and loudness."""
        content = make_noise(self.content) if isinstance(self.content, SpeechFingerprint) else self.content
        return b64encode(content) if self.base64 else content


ContentPart = str | bytes | TapedPiece


class Content(NamedTuple):
    """A frame or a piece of audio: its parts, one after another. `text` says that the frame is a text."""

    text: bool
    parts: tuple[ContentPart, ...]

    def join_parts(self) -> str | bytes:
        """Join the parts of a frame or of audio on a tape. Return the whole: a str if the frame is a text,
        else bytes. Speech that was removed from the tape becomes noise of the same length and loudness."""
        if not self.text and len(self.parts) == 1 and isinstance(self.parts[0], bytes):
            return self.parts[0]
        parts = (part.as_bytes() if isinstance(part, TapedPiece) else part for part in self.parts)
        whole = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
        return whole.decode(errors="replace") if self.text else whole


class TapedEvent(NamedTuple):
    """One event without secrets. `kind` is the name of its class. Its `fields` are plain values; frames and
    audio are Content. If a frame was taken out, the field `reason` says why it was not understood."""

    at_ns: int
    lane: Lane
    connection: str
    kind: str
    fields: Mapping[str, Any]


Record = TapedRun | TapedEvent
