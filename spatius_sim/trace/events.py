"""The trace: all that happened in one run, in one order, so that pure checks can judge it.

Secrets never enter a trace: an API key or a session token stands in it as a reference such as `token#2`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from spatius_sim.protocol.messages import Message
from spatius_sim.trace.decoder_events import DecoderEvent
from spatius_sim.wires.events import ClientAction, RelayEvent
from spatius_sim.wires.testee import TesteeAnswer, TesteeRequest


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
    """A frame is no message of the protocol, for this reason."""

    reason: str


Value = Message | Undecodable | RelayEvent | ClientAction | TesteeRequest | TesteeAnswer


@dataclass(frozen=True, slots=True)
class TokenRequested:
    """Somebody asked for a token. `now` and `expire_at` are unix seconds; `expire_at` is None if the body
    named none. `token` is the reference of the token that was issued, "" if none was. `status` is 0 if a
    fault kept the answer back."""

    key: str
    expire_at: int | None
    now: float
    status: int
    token: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A WebSocket was opened. Upstream: with which token, for which app and avatar."""

    token: str = ""
    app_id: str = ""
    avatar_id: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """An upgrade was refused with that HTTP status, 0 if a fault kept the answer back. `app_id` and
    `avatar_id` are "" if they are not known."""

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


@dataclass(frozen=True, slots=True)
class Sent:
    """The kit sent a frame; `answers` is the req_id that a recorded payload of another id answers."""

    raw: str | bytes
    value: Value = field(compare=False)
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """The kit received a frame. A frame may carry several events: each is recorded, numbered by `part`."""

    raw: str | bytes
    value: Value = field(compare=False)
    part: int = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """A session's egress joined a room."""

    room: str
    publisher: str


@dataclass(frozen=True, slots=True)
class Published:
    """Audio or motion went to a room, as the envelope that carries it."""

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
    """What the kit gives a subject time for. The values are stable ids; `describe_wait` in words.py has the
    words."""

    TURN = "turn"
    """Both halves of a turn."""
    HANDSHAKE = "handshake"
    """The answer to the first message."""
    SILENCE = "silence"
    """The second in which motion of an interrupted request may still come."""
    HANG_UP = "hang-up"
    """The upstream sessions of a client that hung up, to be closed."""


@dataclass(frozen=True, slots=True)
class WaitEnded:
    """The kit stopped waiting on a connection: what it waited for had come (`complete`), or time was up
    without a sign of life. A wait for silence is complete when its time has passed. `turn` is the number of
    the turn, if that was waited for. Absence can be judged only if a wait for it ended."""

    what_for: Awaited
    complete: bool
    turn: int = 0


class Provocation(StrEnum):
    """What the kit does on purpose, like a Server SDK or a client that errs or waits. The values are stable
    ids; `describe_provocation` in words.py has the words."""

    WRONG_KEY = "wrong-key"
    MISSING_KEY = "missing-key"
    INVENTED_TOKEN = "invented-token"
    MISSING_TOKEN = "missing-token"
    UNKNOWN_AVATAR = "unknown-avatar"
    EXPIRED_TOKEN = "expired-token"
    OUTLIVED_TOKEN = "outlived-token"
    WRONG_MESSAGE = "wrong-message"
    TEXT = "text"
    UNDECODABLE = "undecodable"
    UNSUPPORTED_RATE = "unsupported-rate"
    RUBBISH = "rubbish"
    UNREAD = "unread"
    READ_ON = "read-on"


@dataclass(frozen=True, slots=True)
class Provoked:
    """The kit is about to do this on purpose on that connection."""

    intent: Provocation


@dataclass(frozen=True, slots=True)
class KitStalled:
    """The kit itself was late: for so many seconds up to here it did nothing. What happened meanwhile is
    written down after this event."""

    seconds: float


class Excuse(StrEnum):
    """What a fault excuses a relay from, in the turn into which it falls."""

    NOTHING = "nothing"
    """The relay bears the fault: the turn is judged like any other."""
    LATENESS = "lateness"
    """Motion may come later by the fault's delay. The delays of one turn count together: if they are too
    long, each excuses as much as a failure."""
    FAILURE = "failure"
    """Motion Server has failed: motion of the turn may be missing."""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that the kit caused on purpose. `kind` is a stable id: what a scenario file calls the fault, or
    another key of words.FAULTS. `delay` is in seconds, at most. `detail` is for people alone: nothing is
    decided by it. `describe_fault` in words.py makes the sentence."""

    kind: str
    excuses: Excuse
    delay: float = 0.0
    detail: str = ""


SERVER_DIES = Injected("server-dies", Excuse.FAILURE)
"""Motion Server cuts all its connections off, as if it crashed."""


@dataclass(frozen=True, slots=True)
class SecretKnown:
    """The kit knows a secret that must not come down. `kind` is its reference; it has `length` characters."""

    kind: str
    length: int


@dataclass(frozen=True, slots=True)
class SecretSeen:
    """A known secret was found in something that the client was sent."""

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
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: `seq` counts from 0, `at_ns` is monotonic and taken at the socket, `connection` names the
    connection that it belongs to ("" for the kit's own)."""

    seq: int
    at_ns: int
    lane: Lane
    connection: str
    what: EventKind


FALLBACK_WAIT = 15.0
"""Seconds that a relay has to fall back to audio alone, if nobody says otherwise (ASSUMED)."""


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """Says what was judged (`relay`, `server`, `client`), over which wire ("" for none), and from which seed.
    `plan` is the plan in words, for people; `plan_token` is the same plan as `--plan` takes it, "" if nothing
    was planned. `lacks` names the features that the subject declares it lacks: rules that need one are
    NOT_APPLICABLE.

    `halves` says what could be seen: `both`, or `upstream` or `downstream` alone. `speech` says whether audio
    is what was spoken, and not noise of its length and loudness. `fallback_wait`: the seconds that a relay
    has to fall back to audio alone. `declaration`: the YAML that describes the wire, "" for one that is built
    in.
    """

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
    """A complete run: a run that broke off is no trace."""

    header: TraceHeader
    events: tuple[Event, ...]

    def on_lane(self, lane: Lane) -> Iterator[Event]:
        """Yield the events of one lane, in order."""
        return (event for event in self.events if event.lane is lane)
