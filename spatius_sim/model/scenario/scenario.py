"""Scenarios as values: when something is to go wrong, and what.

A scenario is a list of faults. `When` names a moment in the life of a connection, `What` what happens
then. Which of them go together is the table ALLOWED; Fault and When refuse everything else.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from spatius_sim.protocol.close_codes import UNSENDABLE_CODES
from spatius_sim.protocol.errors import UsageError

MOST_SECONDS = 86_400.0
"""Nothing in a scenario waits longer than a day."""

MOST_BYTES = 16 * 1_048_576
"""The largest payload that a scenario may ask for: sixteen times what the Python SDK takes."""


class Moment(StrEnum):
    """When a fault may happen."""

    TOKEN = "token"
    UPGRADE = "upgrade"
    CONFIGURE = "configure"
    """Instead of, or to, the ServerConfirmSession."""
    OPEN = "open"
    """So many seconds after the confirmation."""
    AUDIO = "audio"
    """After so many seconds of audio, or so many messages of it, on one connection."""
    RESPONSE = "response"
    """The k-th response of each request, or every one."""
    INTERRUPT = "interrupt"
    SILENCE = "silence"
    """After so many seconds in which no audio came, once for each connection."""


@dataclass(frozen=True, slots=True)
class When:
    """A moment, and for whom. `seconds` belongs to open, audio and silence, `messages` to audio,
    `number` (from 1; 0 is every one) to response. `avatar`, `app` ("" is any), `connection` and, for audio
    and response, `request` (the n-th since the scenario began, from 1; 0 is any) narrow it down; for token,
    `connection` counts token requests. Audio is counted on its connection, or in the request that is named.
    `probability` is drawn from the seed each time the moment comes."""

    at: Moment
    seconds: float | None = None
    messages: int = 0
    number: int = 0
    probability: float = 1.0
    avatar: str = ""
    app: str = ""
    connection: int = 0
    request: int = 0

    def __post_init__(self) -> None:
        timed = self.at in (Moment.OPEN, Moment.AUDIO, Moment.SILENCE)
        if self.seconds is not None and not timed:
            raise UsageError(f"seconds does not go with at: {self.at}")
        if self.messages and self.at is not Moment.AUDIO:
            raise UsageError(f"messages does not go with at: {self.at}")
        if self.number and self.at is not Moment.RESPONSE:
            raise UsageError(f"number does not go with at: {self.at}")
        if self.request and self.at not in (Moment.AUDIO, Moment.RESPONSE):
            raise UsageError(f"request does not go with at: {self.at}")
        if self.avatar and self.at is Moment.TOKEN:
            raise UsageError("avatar does not go with at: token, a token request names none")
        if timed and (self.seconds is None) == (not self.messages):
            wanted = "seconds or messages" if self.at is Moment.AUDIO else "seconds"
            raise UsageError(f"at: {self.at} needs {wanted}")
        _require_within("seconds", self.seconds or 0.0, 0.0, MOST_SECONDS)
        _require_within("probability", self.probability, 0.0, 1.0)
        for name in ("messages", "number", "connection", "request"):
            _require_within(name, getattr(self, name), 0, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with this HTTP status and body; an empty `message` and `body` give an empty body."""

    status: int
    message: str = ""
    """Put in the console's or the ingress's own JSON shape; `{avatar}` at an upgrade is the avatar's id."""
    body: str = ""
    """Sent as it stands."""

    def __post_init__(self) -> None:
        _require_within("status", self.status, 200, 599)
        if self.message and self.body:
            raise UsageError("message and body exclude each other")


@dataclass(frozen=True, slots=True)
class SendError:
    """A ServerError. At the handshake it refuses the session; later it ends the current request."""

    code: int
    message: str

    def __post_init__(self) -> None:
        _require_within("code", self.code, -(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class CloseWith:
    """A closing handshake with this code; 0 sends a closing frame without one."""

    code: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        sendable = self.code == 0 or 1000 <= self.code <= 4999
        if not sendable or self.code in UNSENDABLE_CODES:
            raise UsageError(f"code {self.code} cannot be sent: 0, or 1000 to 4999 without 1004-1006, 1015")
        if len(self.reason.encode()) > 123:
            raise UsageError("reason is longer than the 123 bytes that a closing frame holds")


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the TCP connection."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold back all that follows for `seconds`, and up to `jitter` seconds more, drawn from the seed."""

    seconds: float
    jitter: float = 0.0

    def __post_init__(self) -> None:
        _require_within("seconds", self.seconds, 0.0, MOST_SECONDS)
        _require_within("jitter", self.jitter, 0.0, MOST_SECONDS)


@dataclass(frozen=True, slots=True)
class Stall:
    """Say nothing from here on, and stay connected."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Leave this response out."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Send this response twice."""


@dataclass(frozen=True, slots=True)
class Reorder:
    """Send the following response of the request before this one."""


@dataclass(frozen=True, slots=True)
class EmptyMotion:
    """The response without its keyframes."""


@dataclass(frozen=True, slots=True)
class OtherReqId:
    """The response under this req_id."""

    id: str


@dataclass(frozen=True, slots=True)
class OtherConnectionId:
    """The response, or the confirmation, with this connection_id; "" is an empty one."""

    id: str


@dataclass(frozen=True, slots=True)
class SendGarbage:
    """A binary message of so many bytes that no protobuf parser accepts, instead of what was due."""

    bytes: int = 64

    def __post_init__(self) -> None:
        _require_within("bytes", self.bytes, 1, MOST_BYTES)


@dataclass(frozen=True, slots=True)
class Text:
    """A text message instead of what was due."""

    text: str


@dataclass(frozen=True, slots=True)
class WrongType:
    """A well-formed envelope of a type that no server sends, instead of what was due."""


@dataclass(frozen=True, slots=True)
class TruncatedFrame:
    """Half a WebSocket frame, then the end of the TCP connection."""


@dataclass(frozen=True, slots=True)
class GrowTo:
    """The message, grown to so many bytes with an unknown field; one that is larger stays as it is."""

    bytes: int

    def __post_init__(self) -> None:
        _require_within("bytes", self.bytes, 1, MOST_BYTES)


@dataclass(frozen=True, slots=True)
class UnknownFields:
    """The message with protobuf fields that no document names, on the envelope and inside it."""


FaultAction = (
    Refuse
    | SendError
    | CloseWith
    | Reset
    | Delay
    | Stall
    | Drop
    | Duplicate
    | Reorder
    | EmptyMotion
    | OtherReqId
    | OtherConnectionId
    | SendGarbage
    | Text
    | WrongType
    | TruncatedFrame
    | GrowTo
    | UnknownFields
)

NAMES: dict[str, type[FaultAction]] = {
    "refuse": Refuse,
    "error": SendError,
    "close": CloseWith,
    "reset": Reset,
    "delay": Delay,
    "stall": Stall,
    "drop": Drop,
    "duplicate": Duplicate,
    "reorder": Reorder,
    "empty-motion": EmptyMotion,
    "other-req-id": OtherReqId,
    "other-connection-id": OtherConnectionId,
    "garbage": SendGarbage,
    "text": Text,
    "wrong-type": WrongType,
    "truncated-frame": TruncatedFrame,
    "size": GrowTo,
    "unknown-fields": UnknownFields,
}
"""What a scenario file calls each of them."""

IDS: dict[type[FaultAction], str] = {kind: name for name, kind in NAMES.items()}
"""The stable id of each of them: plans and traces name them like scenario files."""

_HTTP = frozenset({Refuse, Delay, Stall, Reset})
_SOCKET = frozenset({SendError, CloseWith, Reset, Delay, Stall, SendGarbage, Text, WrongType, TruncatedFrame})
_MESSAGE = _SOCKET | {OtherConnectionId, GrowTo, UnknownFields}

ALLOWED: dict[Moment, frozenset[type[FaultAction]]] = {
    Moment.TOKEN: _HTTP,
    Moment.UPGRADE: _HTTP,
    Moment.CONFIGURE: _MESSAGE,
    Moment.OPEN: _SOCKET,
    Moment.AUDIO: _SOCKET,
    Moment.RESPONSE: _MESSAGE | {Drop, Duplicate, Reorder, EmptyMotion, OtherReqId},
    Moment.INTERRUPT: _SOCKET,
    Moment.SILENCE: _SOCKET,
}
"""What may happen when."""


@dataclass(frozen=True, slots=True)
class Fault:
    """At that moment, these things in this order."""

    when: When
    what: tuple[FaultAction, ...]

    def __post_init__(self) -> None:
        if not self.what:
            raise UsageError("a fault needs something that happens")
        for step in self.what:
            if type(step) not in ALLOWED[self.when.at]:
                allowed = ", ".join(name for name, kind in NAMES.items() if kind in ALLOWED[self.when.at])
                raise UsageError(
                    f"{IDS[type(step)]} does not go with at: {self.when.at}, which takes {allowed}"
                )


@dataclass(frozen=True, slots=True)
class Scenario:
    """Faults under a name; `about` says in one line what they show."""

    name: str
    about: str
    faults: tuple[Fault, ...] = ()


NO_FAULTS = Scenario("none", "Nothing goes wrong.")


def _require_within(name: str, value: float, least: float, most: float) -> None:
    if not (math.isfinite(value) and least <= value <= most):
        raise UsageError(f"{name} must lie between {least} and {most}, not at {value}")
