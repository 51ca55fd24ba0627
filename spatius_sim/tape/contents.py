"""What a tape holds, as values: headers, events without secrets, and the pieces that a frame is made of."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from spatius_sim.trace.events import FALLBACK_WAIT, Lane
from spatius_sim.trace.speech_mark import SpeechMark, stand_in

VERSION = 1


@dataclass(frozen=True, slots=True)
class TapeHeader:
    """What was recorded (`suite`, `proxy`, `import` ...), when (unix milliseconds at time 0 of its events),
    by which version from which seed, at which rates in Hz as far as they are known beforehand, and what was
    taken out (`secrets` always; `names`, `speech`). `note` says what else became of it."""

    what: str
    recorded_unix_ms: int = 0
    kit_version: str = ""
    seed: int = 0
    rates: tuple[int, ...] = ()
    redactions: tuple[str, ...] = ("secrets", "names", "speech")
    note: str = ""

    @property
    def has_speech(self) -> bool:
        """Whether speech was kept."""
        return "speech" not in self.redactions


@dataclass(frozen=True, slots=True)
class TapedRun:
    """The events that follow belong to one run. Subject, wire, seed, plan and the plan's token are those of a
    trace's header.
    `halves` says what the recorder could see: `both`, `upstream` or `downstream`; `lacks` names, apart by
    spaces, the features that the subject declared it lacks; `fallback_wait` is in seconds,
    `declaration` the YAML that describes a wire of a team's own."""

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
    """Bytes that may occur again (`content`), or speech that was taken out; `base64` where they stand in a
    text."""

    content: bytes | SpeechMark
    base64: bool = False

    def as_bytes(self) -> bytes:
        """As it stands in the frame."""
        content = stand_in(self.content) if isinstance(self.content, SpeechMark) else self.content
        return b64encode(content) if self.base64 else content


ContentPart = str | bytes | TapedPiece


class Content(NamedTuple):
    """A frame or a piece of audio: its parts behind each other."""

    text: bool
    parts: tuple[ContentPart, ...]

    def join_parts(self) -> str | bytes:
        """The whole; where speech was taken out, noise of its length and loudness stands in."""
        if not self.text and len(self.parts) == 1 and isinstance(self.parts[0], bytes):
            return self.parts[0]
        whole = b"".join(
            part.as_bytes()
            if isinstance(part, TapedPiece)
            else part.encode()
            if isinstance(part, str)
            else part
            for part in self.parts
        )
        return whole.decode(errors="replace") if self.text else whole


class TapedEvent(NamedTuple):
    """One event without secrets. `kind` is the name of its class; its fields are plain values, but frames
    and audio are Content. `reason`: why its frame could not be understood, where the frame was taken out."""

    at_ns: int
    lane: Lane
    connection: str
    kind: str
    fields: Mapping[str, Any]


Record = TapedRun | TapedEvent
