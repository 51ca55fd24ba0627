"""The trace: all that happened in one run, in one order, so that pure checks can judge it.

Secrets never enter a trace: an API key or a session token stands in it as a reference such as `token#2`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from spatius_sim.protocol.messages import Message
from spatius_sim.trace.decoder_events import DecoderEvent
from spatius_sim.trace.room_events import RoomEvent
from spatius_sim.wires.events import ClientAction, RelayEvent
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest


class Lane(StrEnum):
    """Where an event happened."""

    KIT = "kit"
    """What the kit did on purpose, and what it knows."""
    CONSOLE = "console"
    UPSTREAM = "upstream"
    """Between the relay (or another Server SDK user) and Motion Server."""
    DOWNSTREAM = "downstream"
    """Between the relay and its client."""
    EGRESS = "egress"
    """Between Motion Server and the room of a session with an egress."""
    DECODER = "decoder"
    CLIENT = "client"
    """Between the kit and a client under test: the testee protocol."""


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Stands for a frame that is not a message of the protocol; `reason` says why."""

    reason: str


Value = Message | Undecodable | RelayEvent | ClientAction | TesteeRequest | TesteeAnswer


@dataclass(frozen=True, slots=True)
class TokenRequested:
    """A session token was requested. `now` and `expire_at` are unix seconds; `expire_at` is None if the body
    named no time. `key` and `token` are references of the API key and of the issued token; `token` is "" if
    no token was issued. `status` is the HTTP status of the answer, 0 if a fault kept the answer back."""

    key: str
    expire_at: int | None
    now: float
    status: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A WebSocket was opened; the fields are filled in upstream only. `token` is the token's reference."""

    token: str = ""
    app_id: str = ""
    avatar_id: str = ""


LEFT_BEFORE_ANSWER = "its client left before the answer"
"""Why an upgrade got no answer, if nobody waited for the answer any more."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An upgrade was refused with this HTTP `status`, 0 if there was no answer: a fault kept it back, or the
    client had left (`reason` is LEFT_BEFORE_ANSWER). `token`, `app_id` and `avatar_id` are "" if they are
    not known."""

    status: int
    reason: str
    token: str = ""
    app_id: str = ""
    avatar_id: str = ""


@dataclass(frozen=True, slots=True)
class Closed:
    """A WebSocket was closed, by the kit or by its peer; code 1006 if no closing frame came."""

    by_kit: bool
    code: int
    reason: str = ""


@dataclass(slots=True, unsafe_hash=True)
class Sent:
    """The kit sent a frame. `answers` is the req_id of the request that the frame answers, "" if it answers
    none. (A recorded payload carries another req_id itself.)"""

    raw: str | bytes
    value: Value = field(compare=False)
    answers: str = ""


@dataclass(slots=True, unsafe_hash=True)
class Received:
    """The kit received a frame. If the frame carries several values, each is recorded as an event of its own;
    `part` numbers them from 0."""

    raw: str | bytes
    value: Value = field(compare=False)
    part: int = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """A session's egress joined a room. `attributes` are its participant's, as lines of `key=value`."""

    room: str
    publisher: str
    attributes: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """Motion Server handed audio or motion over to a room, which plays it; `raw` is the envelope."""

    room: str
    raw: bytes
    value: Value = field(compare=False)


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The kit began turn number `turn` (0, 1, ...) of this client; `pcm` is all that is to be spoken."""

    turn: int
    pcm: bytes
    sample_rate: int


class Awaited(StrEnum):
    """What the kit waits for. The values are stable ids; `describe_wait` in event_text.py has the words."""

    TURN = "turn"
    """Both halves of a turn."""
    HANDSHAKE = "handshake"
    """The answer to the first message."""
    SILENCE = "silence"
    """The second in which motion of an interrupted request may still come."""
    CLOSE = "close"
    """The close of a connection whose handshake was refused."""
    HANG_UP = "hang-up"
    """The upstream sessions of a client that hung up, to be closed."""
    ROOM = "room"
    """The avatar of an egress, to join its room."""
    LIFE = "life"
    """A sign of life of a subject that had completed a turn before: any part of a new turn."""


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """The kit stopped waiting on a connection. `complete` says whether the awaited thing came; if not, the
    time was up. A wait for silence is complete when its time has passed. `turn` is the number of the turn, if
    the kit waited for a turn. A rule may judge that something is missing only after such an event."""

    what_for: Awaited
    complete: bool
    turn: int = 0


class Provocation(StrEnum):
    """What the kit does on purpose to provoke a subject: it plays a Server SDK or a client that makes a
    mistake, waits, or takes the rarer of two ways. The values are stable ids; `describe_provocation` in
    event_text.py has the words."""

    WRONG_KEY = "wrong-key"
    MISSING_KEY = "missing-key"
    INVENTED_TOKEN = "invented-token"
    MISSING_TOKEN = "missing-token"
    UNKNOWN_AVATAR = "unknown-avatar"
    EXPIRED_TOKEN = "expired-token"
    USED_TOKEN = "used-token"
    OUTLIVED_TOKEN = "outlived-token"
    TOKEN_IN_QUERY = "query-token"
    WRONG_MESSAGE = "wrong-message"
    TEXT = "text"
    UNDECODABLE = "undecodable"
    UNSUPPORTED_RATE = "unsupported-rate"
    DAMAGED_OPUS = "damaged-opus"
    LONG_CLIP = "long-clip"
    ROOM_REFUSES = "room-refuses"
    RUBBISH = "rubbish"
    UNREAD = "unread"
    READ_ON = "read-on"


@dataclass(frozen=True, slots=True)
class Provoked:
    """The kit is about to do something on purpose on a connection, to provoke the subject."""

    intent: Provocation


@dataclass(frozen=True, slots=True)
class KitStalled:
    """The kit itself was late: it did nothing for the last `seconds` seconds. What happened in this time is
    recorded after this event."""

    seconds: float


class Excuse(StrEnum):
    """What a fault excuses a relay from, in the turn into which it falls."""

    NOTHING = "nothing"
    """The relay must cope with the fault: the turn is judged like any other."""
    LATENESS = "lateness"
    """Motion may come later by the fault's delay. The delays of one turn count together: if they are too
    long, each excuses as much as a failure."""
    FAILURE = "failure"
    """Motion Server has failed: motion of the turn may be missing."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that the kit caused on purpose. `kind` is a stable id: the fault's name in a scenario file, or
    a key of WORDS_BY_FAULT in event_text.py. `delay` is the longest delay in seconds. `detail` is a text for
    people; no program decides anything by it. `describe_fault` in event_text.py makes the sentence."""

    kind: str
    excuses: Excuse
    delay: float = 0.0
    detail: str = ""


SERVER_DIES = Injected("server-dies", Excuse.FAILURE)
"""Motion Server cuts all its connections, as if it crashed."""


@dataclass(frozen=True, slots=True)
class SecretKnown:
    """The kit knows a secret that must not be sent to the client. `kind` is the secret's reference, and
    `length` its number of characters."""

    kind: str
    length: int


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """A known secret was found in what the client was sent. `kind` is the secret's reference; `place` says
    where it was found, and in which encoding."""

    kind: str
    place: str


EventKind = (
    TokenRequested
    | Opened
    | Refused
    | Closed
    | Sent
    | Received
    | Joined
    | Published
    | TurnStarted
    | WaitEnded
    | Provoked
    | KitStalled
    | Injected
    | SecretKnown
    | SecretSeen
    | DecoderEvent
    | RoomEvent
)


@dataclass(slots=True, unsafe_hash=True)
class Event:
    """One event: `seq` counts from 0, `at_ns` is monotonic and taken at the socket, `connection` names the
    connection that it belongs to ("" for the kit's own).

    Do not change an Event, a Sent or a Received after it is made. The classes are not frozen, because a
    frozen instance takes five times as long to make, and each frame makes two."""

    seq: int
    at_ns: int
    lane: Lane
    connection: str
    content: EventKind


FALLBACK_WAIT = 15.0
"""Seconds that a relay has to fall back to audio alone, unless the user sets another time (ASSUMED)."""


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """Says how a run was made. `subject` is what was judged (`relay`, `server`, `client`); `wire` is "" if
    there is none. `plan` is the plan in words, for people; `plan_token` is the same plan as `--plan` takes
    it, "" if nothing was planned. `lacks` names the features that the subject declares to lack: rules that
    need such a feature are NOT_APPLICABLE.

    `halves` says what the kit could see: `both`, or only `upstream` or `downstream`. `speech` says whether
    the audio is the real speech; if not, it is noise of the same length and loudness. `fallback_wait` is the
    seconds that a relay has to fall back to audio alone. `declaration` is the YAML that describes the wire,
    "" for a built-in wire."""

    subject: str
    wire: str
    seed: int
    plan: str
    kit_version: str
    lacks: tuple[str, ...] = ()
    halves: str = "both"
    speech: bool = True
    fallback_wait: float = FALLBACK_WAIT
    declaration: str = ""
    plan_token: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """All events of one run that came to its end."""

    header: TraceHeader
    events: tuple[Event, ...]

    def on_lane(self, lane: Lane) -> Iterator[Event]:
        """Return an iterator over the trace's events of one lane, in order."""
        return (event for event in self.events if event.lane is lane)
