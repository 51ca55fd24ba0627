"""Joins intent, req_id, conversation and delivery into turns. No rule joins by itself.

What went up is tied to the turn that asked for it by the audio itself (every turn's audio is unique), and
by time where a relay changed it. What came down is tied to what was sent by its bytes, and by position
where bytes repeat.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from spatius_sim.dialects.events import Audio, InterruptTurn, Motion, Ready
from spatius_sim.model.told_faults import LONGEST_EXCUSED_DELAY, delay_of, is_harmless
from spatius_sim.model.trace import (
    Closed,
    Event,
    Injected,
    Intended,
    Intent,
    Lane,
    Received,
    Sent,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    Interrupt,
    MotionResponse,
    ServerError,
)
from spatius_sim.rules.heard import heard

_FINGERPRINT_BYTES = 1600
_TOO_SHORT_TO_TELL = 32

CUT_OFF = 1006
"""The code of a connection that ended without a closing handshake."""


@dataclass(slots=True)
class SentPayload:
    """A payload as Motion Server sent it, and where it arrived."""

    seq: int
    raw: bytes
    response: MotionResponse
    request: "Request"
    deliveries: list["Delivery"] = field(default_factory=list)


@dataclass(slots=True)
class Request:
    """All that shared one req_id on one upstream connection."""

    connection: str
    req_id: str
    first_seq: int
    configured: ConfigureSession
    audio: bytearray = field(default_factory=bytearray)
    ends: list[int] = field(default_factory=list)
    payloads: list[SentPayload] = field(default_factory=list)
    broken_off: bool = False
    interrupted_seq: int | None = None
    turn: "Turn | None" = None

    @property
    def sample_rate(self) -> int:
        """In Hz; 0 where nothing was configured."""
        return self.configured.sample_rate


@dataclass(slots=True)
class Delivery:
    """A payload as it arrived at a client."""

    seq: int
    client: str
    raw: bytes
    conversation: "Conversation | None"
    sent: SentPayload | None = None
    doubled: bool = False


@dataclass(slots=True)
class Conversation:
    """One round of audio at one client, by the client's own reckoning, and the motion that joined it."""

    client: str
    first_seq: int
    audio: bytearray = field(default_factory=bytearray)
    first_audio_seq: int | None = None
    last_audio_seq: int | None = None
    marks: list[int] = field(default_factory=list)
    turn: "Turn | None" = None


@dataclass(slots=True)
class Turn:
    """One planned utterance of one client. `since_seq` is where the wait for the client's turn before ended,
    `until_seq` where its next turn begins; `faults` fell in between `since_seq` and the end of its wait, and
    `failures` are those among them that excuse a relay."""

    client: str
    number: int
    since_seq: int
    started_seq: int
    until_seq: int
    pcm: bytes
    sample_rate: int
    waited_seq: int | None = None
    clean: bool = False
    faults: list[Event] = field(default_factory=list)
    failures: list[Event] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    swallowed_by: Conversation | None = None
    """The conversation of an earlier turn in which this turn's audio went on, unseparated."""

    @property
    def name(self) -> str:
        """The turn in words."""
        return f"turn {self.number + 1} of {self.client}"

    @property
    def payloads(self) -> list[SentPayload]:
        """What Motion Server sent for it, in order."""
        sent = [payload for request in self.requests for payload in request.payloads]
        return sorted(sent, key=lambda payload: payload.seq)


@dataclass(slots=True)
class Story:
    """A trace, joined."""

    trace: Trace
    turns: list[Turn]
    requests: list[Request]
    conversations: list[Conversation]
    deliveries: list[Delivery]
    output_rates: dict[str, int]

    @property
    def upstream_unseen(self) -> bool:
        """Whether the downstream half alone was there to see."""
        return self.trace.header.halves == "downstream"

    def arrived_during(self, turn: Turn) -> list[Delivery]:
        """The motion that the turn's client got before its next turn."""
        return [
            delivery
            for delivery in self.deliveries
            if delivery.client == turn.client and turn.started_seq < delivery.seq < turn.until_seq
        ]

    @property
    def clean_turns(self) -> list[Turn]:
        """Turns with at least one keyframe of audio, no fault, no hang-up and no bad client before their end,
        waited for to it."""
        return [turn for turn in self.turns if turn.clean]


def join(trace: Trace) -> Story:
    """The trace as turns."""
    turns = _planned_turns(trace)
    requests = _requests(trace)
    conversations, deliveries, rates = _conversations(trace)
    for request in requests:
        request.turn = _by_audio(bytes(request.audio), turns)
    _tie_conversations(conversations, turns)
    _tie_deliveries(requests, deliveries)
    _tie_requests(requests, turns)
    _tell_clean(trace, turns)
    return Story(trace, turns, requests, conversations, deliveries, rates)


def _planned_turns(trace: Trace) -> list[Turn]:
    turns: dict[tuple[str, int], Turn] = {}
    latest: dict[str, Turn] = {}
    end = len(trace.events)
    for event in trace.on(Lane.KIT):
        match event.what:
            case TurnStarted(number, pcm, rate):
                before = latest.get(event.connection)
                since = -1
                if before is not None:
                    before.until_seq = event.seq
                    since = before.started_seq if before.waited_seq is None else before.waited_seq
                turn = Turn(event.connection, number, since, event.seq, end, pcm, rate)
                latest[event.connection] = turns[event.connection, number] = turn
            case WaitEnded(number) if (event.connection, number) in turns:
                turns[event.connection, number].waited_seq = event.seq
    return list(turns.values())


_NOT_CONFIGURED = ConfigureSession(0)


def _requests(trace: Trace) -> list[Request]:
    requests: dict[tuple[str, str], Request] = {}
    configured: dict[str, ConfigureSession] = {}
    for event in trace.on(Lane.UPSTREAM):
        message = event.what.value if isinstance(event.what, Sent | Received) else None
        match message:
            case ConfigureSession():
                configured.setdefault(event.connection, message)
            case AudioInput(req_id, audio, end):
                key = (event.connection, req_id)
                if key not in requests:
                    session = configured.get(event.connection, _NOT_CONFIGURED)
                    requests[key] = Request(event.connection, req_id, event.seq, session)
                requests[key].audio += audio
                if end:
                    requests[key].ends.append(event.seq)
            case MotionResponse(req_id=req_id):
                answered = event.what.answers if isinstance(event.what, Sent) else ""
                owner = requests.get((event.connection, answered or req_id))
                if owner is not None:
                    owner.payloads.append(SentPayload(event.seq, _raw(event), message, owner))
            case Interrupt(req_id) if (event.connection, req_id) in requests:
                interrupted = requests[event.connection, req_id]
                interrupted.broken_off, interrupted.interrupted_seq = True, event.seq
            case ServerError(req_id=req_id):
                for request in _under_way(requests, event.connection):
                    request.broken_off = request.broken_off or req_id in ("", request.req_id)
        if isinstance(event.what, Closed) and event.what.by_kit:
            for request in _under_way(requests, event.connection):
                request.broken_off = request.broken_off or not request.ends
    return list(requests.values())


def _under_way(requests: dict[tuple[str, str], Request], connection: str) -> list[Request]:
    """The requests of a connection that have not been answered to their end."""
    return [
        request
        for (name, _), request in requests.items()
        if name == connection
        and not (request.ends and any(payload.response.end for payload in request.payloads))
    ]


def _raw(event: Event) -> bytes:
    raw = event.what.raw if isinstance(event.what, Sent | Received) else b""
    return raw if isinstance(raw, bytes) else raw.encode()


def _conversations(trace: Trace) -> tuple[list[Conversation], list[Delivery], dict[str, int]]:
    conversations: list[Conversation] = []
    deliveries: list[Delivery] = []
    rates: dict[str, int] = {}
    current: dict[str, Conversation] = {}
    by_turn_id: dict[tuple[str, str], Conversation] = {}
    for event, said in heard(trace):
        client = event.connection
        match said:
            case Ready(output_sample_rate=rate) if rate:
                rates[client] = rate
            case Audio(pcm, last, turn_id):
                key = (client, turn_id)
                conversation = by_turn_id.get(key) if turn_id else current.get(client)
                # The audio after an end mark starts a new round; a further mark alone does not.
                if conversation is None or (conversation.marks and pcm and not turn_id):
                    conversation = Conversation(client, event.seq)
                    conversations.append(conversation)
                current[client] = by_turn_id[key] = conversation
                conversation.audio += pcm
                if pcm:
                    conversation.last_audio_seq = event.seq
                    if conversation.first_audio_seq is None:
                        conversation.first_audio_seq = event.seq
                if last:
                    conversation.marks.append(event.seq)
            case Motion(payloads, _, turn_id):
                # A wire that labels only one of the two halves leaves the client its current conversation.
                labelled = turn_id and (client, "") not in by_turn_id
                joined = by_turn_id.get((client, turn_id)) if labelled else current.get(client)
                deliveries.extend(Delivery(event.seq, client, raw, joined) for raw in payloads)
    return conversations, deliveries, rates


def _tie_deliveries(requests: list[Request], deliveries: list[Delivery]) -> None:
    """Each delivery to a payload of the same bytes that was sent before and that this client has not had
    yet: of its own turn and its conversation's rather than of another, and the earliest of these."""
    by_bytes: dict[bytes, list[SentPayload]] = defaultdict(list)
    sent = (payload for request in requests for payload in request.payloads)
    for payload in sorted(sent, key=lambda payload: payload.seq):
        by_bytes[payload.raw].append(payload)
    had: set[tuple[str, int]] = set()
    for delivery in deliveries:
        client = delivery.client
        alike = [payload for payload in by_bytes[delivery.raw] if payload.seq < delivery.seq]
        if not alike:
            continue
        fresh = [payload for payload in alike if (client, id(payload)) not in had]
        candidates = fresh or reversed(alike)
        delivery.sent = min(candidates, key=partial(_distance, delivery))
        delivery.doubled = not fresh
        delivery.sent.deliveries.append(delivery)
        had.add((client, id(delivery.sent)))


def _distance(delivery: Delivery, payload: SentPayload) -> tuple[bool, bool]:
    turn = payload.request.turn
    joined = delivery.conversation.turn if delivery.conversation else None
    return turn is None or turn.client != delivery.client, turn is None or turn is not joined


def _tie_requests(requests: list[Request], turns: list[Turn]) -> None:
    for request in requests:
        if request.turn is None:
            receivers = {d.client for payload in request.payloads for d in payload.deliveries}
            of_receivers = [turn for turn in turns if turn.client in receivers]
            own = [turn for turn in turns if turn.client == request.connection]
            seq = request.first_seq
            request.turn = _latest(seq, own) or _latest(seq, of_receivers) or _latest(seq, turns)
        if request.turn is not None:
            request.turn.requests.append(request)


def _tie_conversations(conversations: list[Conversation], turns: list[Turn]) -> None:
    for conversation in conversations:
        own = [turn for turn in turns if turn.client == conversation.client]
        others = [turn for turn in turns if turn.client != conversation.client]
        audio = bytes(conversation.audio)
        turn = _by_audio(audio, own) or _by_audio(audio, others)
        turn = turn or _latest(conversation.first_seq, own)
        if turn is not None:
            conversation.turn = turn
            if turn.client == conversation.client:
                turn.conversations.append(conversation)
    for turn in turns:
        if not turn.conversations:
            turn.swallowed_by = next(
                (c for c in conversations if c.client == turn.client and _piece(turn.pcm) in c.audio),
                None,
            )


def _by_audio(audio: bytes, turns: Iterable[Turn]) -> Turn | None:
    """The one turn that a piece from the middle of this audio was taken from."""
    if len(audio) < _TOO_SHORT_TO_TELL:
        return None
    piece = _piece(audio)
    found = [turn for turn in turns if piece in turn.pcm]
    return found[0] if len(found) == 1 else None


def _piece(audio: bytes) -> bytes:
    middle = len(audio) // 2 // 2 * 2
    return audio[max(0, middle - _FINGERPRINT_BYTES // 2) : middle + _FINGERPRINT_BYTES // 2]


def _latest(seq: int, turns: list[Turn]) -> Turn | None:
    begun = [turn for turn in turns if turn.started_seq < seq]
    return max(begun, key=lambda turn: turn.started_seq, default=None)


_BAD_MANNERS = (Intended(Intent.RUBBISH), Intended(Intent.UNREAD))


def _bad_manners(trace: Trace) -> int:
    """Where the first client misbehaves: from there on R-BADINPUT and R-SLOWCLIENT judge all turns."""
    misbehaved = (
        event.seq
        for event in trace.events
        if event.what in _BAD_MANNERS
        or (event.lane is Lane.DOWNSTREAM and event.what == Closed(by_kit=True, code=CUT_OFF))
    )
    return next(misbehaved, len(trace.events))


def _tell_clean(trace: Trace, turns: list[Turn]) -> None:
    bad_manners = _bad_manners(trace)
    injected = [event for event in trace.on(Lane.KIT) if isinstance(event.what, Injected)]
    for turn in turns:
        disturbances = [
            *_hung_up_or_interrupted(trace, turn.client),
            *(r.interrupted_seq for r in turn.requests if r.interrupted_seq is not None),
        ]
        end = turn.until_seq if turn.waited_seq is None else turn.waited_seq
        turn.faults = [event for event in injected if turn.since_seq < event.seq < end]
        turn.failures = failures_among(turn.faults)
        turn.clean = (
            turn.sample_rate > 0
            and keyframe_count(len(turn.pcm) // BYTES_PER_SAMPLE, turn.sample_rate) > 0
            and turn.waited_seq is not None
            and turn.waited_seq < bad_manners
            and not turn.failures
            and not any(turn.started_seq < seq < end for seq in disturbances)
        )


def failures_among(faults: list[Event]) -> list[Event]:
    """Those that excuse a relay. Delays do together, when they are too long."""
    told = [(event, event.what.fault) for event in faults if isinstance(event.what, Injected)]
    too_slow = sum(delay_of(fault) for _, fault in told) > LONGEST_EXCUSED_DELAY
    return [event for event, fault in told if not is_harmless(fault) or (too_slow and delay_of(fault))]


def _hung_up_or_interrupted(trace: Trace, client: str) -> list[int]:
    """Where the kit, as this client, interrupted or hung up."""
    return [
        event.seq
        for event in trace.on(Lane.DOWNSTREAM)
        if event.connection == client
        and (
            (isinstance(event.what, Closed) and event.what.by_kit)
            or (isinstance(event.what, Sent) and isinstance(event.what.value, InterruptTurn))
        )
    ]
