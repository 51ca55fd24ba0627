"""Scenarios as values: when something is to go wrong, and what.

A scenario is a list of faults. `When` says at which moment of a connection a fault happens, and a FaultAction
what happens. ALLOWED_ACTIONS says which actions are possible at which moment; Fault refuses all others.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from spatius_sim.model.room.room_faults import RoomFault
from spatius_sim.protocol.close_codes import UNSENDABLE_CODES
from spatius_sim.protocol.errors import UsageError

MAX_SECONDS = 86_400.0
"""The longest wait in a scenario: a day."""

MAX_BYTES = 16 * 1_048_576
"""The largest payload that a scenario may ask for: sixteen times what the Python SDK takes."""

_LONGEST_CLOSE_REASON = 123
"""Bytes of a reason in a closing frame (RFC 6455, 5.5)."""


class Moment(StrEnum):
    """When a fault may happen."""

    TOKEN = "token"
    UPGRADE = "upgrade"
    CONFIGURE = "configure"
    """At the ServerConfirmSession, which the fault changes or replaces."""
    OPEN = "open"
    """A number of seconds after the confirmation."""
    AUDIO = "audio"
    """After a number of seconds of audio, or of messages of audio, on one connection."""
    RESPONSE = "response"
    """At the k-th response of each request, or at every response."""
    INTERRUPT = "interrupt"
    SILENCE = "silence"
    """After a number of seconds without audio, once for each connection."""
    ROOM = "room"
    """When an egress joins its room: what it does wrong there from then on."""


@dataclass(frozen=True, slots=True)
class When:
    """The moment at which a fault happens, and the connections and requests for which it happens.

    The moment: `seconds` goes with open, audio and silence; `messages` goes with audio; `number` goes with
    response (from 1; 0 means every response). Audio is counted on the whole connection, or in `request`.

    The connections and requests: `avatar` and `app` ("" means any), and `connection` (from 1; 0 means any;
    for token it counts token requests). `request` goes with audio and response: the n-th since the scenario
    began (0 means any). With upgrade it means every upgrade after the audio of the n-th request has begun to
    come. `probability`: how likely the fault is each time that the moment comes; the seed
    decides."""

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
        """Raise UsageError if the settings of this `When` (the moment of a scenario's fault) contradict each
        other: a setting is not possible at the moment `at`, is missing, or is out of range."""
        may_have_seconds = self.at in (Moment.OPEN, Moment.AUDIO, Moment.SILENCE)
        if self.seconds is not None and not may_have_seconds:
            raise UsageError(f"seconds does not go with at: {self.at}")
        if self.messages and self.at is not Moment.AUDIO:
            raise UsageError(f"messages does not go with at: {self.at}")
        if self.number and self.at is not Moment.RESPONSE:
            raise UsageError(f"number does not go with at: {self.at}")
        if self.request and self.at not in (Moment.AUDIO, Moment.RESPONSE, Moment.UPGRADE):
            raise UsageError(f"request does not go with at: {self.at}")
        if self.avatar and self.at is Moment.TOKEN:
            raise UsageError("avatar does not go with at: token, a token request names none")
        if may_have_seconds and (self.seconds is None) == (not self.messages):
            needed_settings = "seconds or messages" if self.at is Moment.AUDIO else "seconds"
            raise UsageError(f"at: {self.at} needs {needed_settings}")
        _require_within("seconds", self.seconds or 0.0, 0.0, MAX_SECONDS)
        _require_within("probability", self.probability, 0.0, 1.0)
        for name in ("messages", "number", "connection", "request"):
            _require_within(name, getattr(self, name), 0, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with this HTTP status and body; an empty `message` and `body` give an empty body."""

    status: int
    message: str = ""
    """The text of the error, in the JSON form of the console or the ingress. At an upgrade `{avatar}` in it
    is replaced by the avatar's id."""
    body: str = ""
    """The whole body, sent unchanged."""

    def __post_init__(self) -> None:
        """Raise UsageError if `status` is not between 200 and 599, or if both `message` and `body` are
        given."""
        _require_within("status", self.status, 200, 599)
        if self.message and self.body:
            raise UsageError("message and body exclude each other")


@dataclass(frozen=True, slots=True)
class SendError:
    """Send a ServerError. At the handshake it refuses the session; later it ends the current request."""

    code: int
    message: str

    def __post_init__(self) -> None:
        """Raise UsageError for a code of a ServerError that has more than 32 bits."""
        _require_within("code", self.code, -(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class CloseWith:
    """Close the connection with a closing frame with this code; 0 sends a closing frame without a code."""

    code: int = 0
    reason: str = ""

    def __post_init__(self) -> None:
        """Raise UsageError if the close code of this scenario action must not be sent in a WebSocket closing
        frame, or if the reason is too long for one. Code 0 is possible: it means a frame without a code."""
        is_in_range = self.code == 0 or 1000 <= self.code <= 4999
        if not is_in_range or self.code in UNSENDABLE_CODES:
            raise UsageError(f"code {self.code} cannot be sent: 0, or 1000 to 4999 without 1004-1006, 1015")
        if len(self.reason.encode()) > _LONGEST_CLOSE_REASON:
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
        """Raise UsageError for a delay or a jitter that a scenario must not have."""
        _require_within("seconds", self.seconds, 0.0, MAX_SECONDS)
        _require_within("jitter", self.jitter, 0.0, MAX_SECONDS)


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing from now on, and stay connected."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Do not send this response."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Send this response twice."""


@dataclass(frozen=True, slots=True)
class Reorder:
    """Send the following response of the request before this one."""


@dataclass(frozen=True, slots=True)
class EmptyMotion:
    """Send the response without its keyframes."""


@dataclass(frozen=True, slots=True)
class OtherReqId:
    """Send the response with this req_id instead of its own."""

    id: str


@dataclass(frozen=True, slots=True)
class OtherConnectionId:
    """Send the response, or the confirmation, with this connection_id instead of its own; "" empties it."""

    id: str


@dataclass(frozen=True, slots=True)
class SendGarbage:
    """Send a binary message of `bytes` bytes that no protobuf parser accepts, instead of what was due."""

    bytes: int = 64

    def __post_init__(self) -> None:
        """Raise UsageError for a size that a payload of a scenario must not have."""
        _require_within("bytes", self.bytes, 1, MAX_BYTES)


@dataclass(frozen=True, slots=True)
class Text:
    """Send a text message instead of what was due."""

    text: str


@dataclass(frozen=True, slots=True)
class WrongType:
    """Send a well-formed envelope of a type that no server sends, instead of what was due."""


@dataclass(frozen=True, slots=True)
class TruncatedFrame:
    """Send half a WebSocket frame, then end the TCP connection."""


@dataclass(frozen=True, slots=True)
class GrowTo:
    """Send the message grown to `bytes` bytes with an unknown field; a larger message stays as it is."""

    bytes: int

    def __post_init__(self) -> None:
        """Raise UsageError for a size that a message of a scenario must not have."""
        _require_within("bytes", self.bytes, 1, MAX_BYTES)


@dataclass(frozen=True, slots=True)
class UnknownFields:
    """Send the message with more protobuf fields, which no document names, in the envelope and inside it."""


@dataclass(frozen=True, slots=True)
class RoomTrouble:
    """Let the egress fail in its room in this way, a name of RoomFault."""

    fault: str

    def __post_init__(self) -> None:
        """Raise UsageError if no RoomFault has this name."""
        if self.fault not in list(RoomFault):
            raise UsageError(f"egress: {self.fault!r} is none of {', '.join(RoomFault)}")


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
    | RoomTrouble
)

ACTION_BY_NAME: dict[str, type[FaultAction]] = {
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
    "egress": RoomTrouble,
}
"""The FaultAction for each name in a scenario file."""

NAME_BY_ACTION: dict[type[FaultAction], str] = {kind: name for name, kind in ACTION_BY_NAME.items()}
"""The stable id of each FaultAction: plans and traces use the same names as scenario files."""

_HTTP = frozenset({Refuse, Delay, Stall, Reset})
_SOCKET = frozenset({SendError, CloseWith, Reset, Delay, Stall, SendGarbage, Text, WrongType, TruncatedFrame})
_MESSAGE = _SOCKET | {OtherConnectionId, GrowTo, UnknownFields}

ALLOWED_ACTIONS: dict[Moment, frozenset[type[FaultAction]]] = {
    Moment.TOKEN: _HTTP,
    Moment.UPGRADE: _HTTP,
    Moment.CONFIGURE: _MESSAGE,
    Moment.OPEN: _SOCKET,
    Moment.AUDIO: _SOCKET,
    Moment.RESPONSE: _MESSAGE | {Drop, Duplicate, Reorder, EmptyMotion, OtherReqId},
    Moment.INTERRUPT: _SOCKET,
    Moment.SILENCE: _SOCKET,
    Moment.ROOM: frozenset({RoomTrouble}),
}
"""The FaultActions that are possible at each moment."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a scenario: at the moment `when`, the actions `what` happen, in this order."""

    when: When
    what: tuple[FaultAction, ...]

    def __post_init__(self) -> None:
        """Raise UsageError if this fault of a scenario has no action, or an action that is not possible at
        the moment of the fault."""
        if not self.what:
            raise UsageError("a fault needs something that happens")
        moment, allowed = self.when.at, ALLOWED_ACTIONS[self.when.at]
        for action in self.what:
            if type(action) not in allowed:
                allowed_names = ", ".join(name for name, kind in ACTION_BY_NAME.items() if kind in allowed)
                name = NAME_BY_ACTION[type(action)]
                raise UsageError(f"{name} does not go with at: {moment}, which takes {allowed_names}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A list of faults with a name; `about` says in one line what goes wrong."""

    name: str
    about: str
    faults: tuple[Fault, ...] = ()


NO_FAULTS = Scenario("none", "Nothing goes wrong.")


def _require_within(name: str, value: float, least: float, most: float) -> None:
    """Raise UsageError unless a value of a scenario lies between `least` and `most`; `name` is its name in
    the file."""
    if not (math.isfinite(value) and least <= value <= most):
        raise UsageError(f"{name} must lie between {least} and {most}, not at {value}")
