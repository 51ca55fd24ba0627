"""Makes a time-line from a trace: the plain values that a picture needs, and no more than fit into one."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from spatius_sim.protocol.messages import AudioFormat, ConfigureSession, MotionResponse
from spatius_sim.reporting.timeline.client_dialogue import words_for_call
from spatius_sim.reporting.timeline.event_labels import EventWords, words_for
from spatius_sim.reporting.timeline.timeline import Mark, MarkKind, Timeline, choose_marks
from spatius_sim.rules.findings import Owed
from spatius_sim.trace.event_text import describe_wait
from spatius_sim.trace.events import Awaited, Event, Lane, Received, Sent, Trace, TurnStarted, WaitEnded
from spatius_sim.wires.events import Motion
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest

CLIENT, RELAY, SERVER, ROOM, KIT = "client", "relay", "Motion Server", "room", "kit"

MAX_MARKS = 120
_AWAITED_ANSWERS = (Awaited.TURN, Awaited.HANDSHAKE, Awaited.LIFE)
"""What a subject sends: for the other things the kit only waits."""
_RATE_OF_OPUS = 0
"""Stands for the sample rate of Ogg Opus, whose samples cannot be read here."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One event on the time-line: `at` seconds from the start, from lane `source` to lane `target`."""

    at: float
    seq: int
    source: str
    target: str
    words: EventWords


def timeline_of(trace: Trace, guilty: Collection[int], owed: Collection[Owed] = ()) -> Timeline | None:
    """Build the time-line of a trace; return None if there is nothing to draw. `guilty` are the sequence
    numbers of the events that are evidence, and `owed` is what a rule says never came."""
    if trace.header.subject == "client":
        lanes: list[str] = [KIT, CLIENT]
        steps, clock = list(_make_call_steps(trace)), "of the client's clock"
    else:
        lanes = list_lanes(trace)
        steps, clock = list(_make_steps(trace, lanes)), "since the scenario began"
        # A relay under test is not alone with us: what earlier scenarios left is no part of this one.
        steps = [step for step in steps if step.at >= 0 or step.seq in guilty]
    if not steps:
        return None
    marks = [
        _make_mark(step, step.seq in guilty) for step in steps if not step.words.minor or step.seq in guilty
    ]
    ghosts = [_draw_owed(trace, one, lanes) for one in owed]
    marks += ghosts or _find_ghosts(trace, steps, guilty, lanes)
    chosen = choose_marks(marks, MAX_MARKS)
    return Timeline(tuple(lanes), chosen, len(marks) - len(chosen), clock)


def scenario_start_ns(trace: Trace) -> int:
    """Return the time at which the scenario of a run began: second 0 of the time-line. This is the first
    event at a client, or the first event of the trace if no client is in it. Sessions that an earlier
    scenario left open may have earlier events."""
    by_client = [
        event.at_ns
        for event in trace.events
        if event.lane is Lane.DOWNSTREAM or isinstance(event.content, TurnStarted)
    ]
    return min(by_client or [event.at_ns for event in trace.events], default=0)


def _find_ghosts(
    trace: Trace, steps: Sequence[_Step], guilty: Collection[int], lanes: Sequence[str]
) -> list[Mark]:
    """Find the ghosts of a time-line: the messages that should have come and never came. Return a mark for
    each. A ghost is a payload that the relay gave to no client, or an answer for which our kit waited in
    vain."""
    delivered = {raw for event in trace.on_lane(Lane.DOWNSTREAM) for raw in _payloads_in(event)}
    clients = [lane for lane in lanes if lane not in (RELAY, SERVER, ROOM, KIT, CLIENT)]
    ghosts = []
    for step in steps:
        content = trace.events[step.seq].content if step.seq in guilty else None
        kept_back = isinstance(getattr(content, "value", None), MotionResponse) and RELAY in lanes
        if kept_back and getattr(content, "raw", b"") not in delivered and len(clients) == 1:
            words = "owed, and never came: this payload at the client"
            ghosts.append(_make_ghost(step, RELAY, clients[0], words))
        elif isinstance(content, WaitEnded) and not content.complete and content.what_for in _AWAITED_ANSWERS:
            target = step.source if step.source in clients else lanes[0]
            source = RELAY if target in clients else lanes[-1]
            words = f"owed, and never came: {describe_wait(content)}"
            ghosts.append(_make_ghost(step, source, target, words))
    return ghosts


def _draw_owed(trace: Trace, owed: Owed, lanes: Sequence[str]) -> Mark:
    """Return the mark of a message that never came (a ghost) for a time-line: a rule says that the message
    was owed after an event. `lanes` are the names of the vertical lines, such as clients, relay and
    server."""
    at_seconds = (trace.events[owed.after].at_ns - scenario_start_ns(trace)) / 1e9
    sender = RELAY if RELAY in lanes else lanes[-1]
    target = owed.client if owed.client in lanes else SERVER
    words = f"owed, and never came: {owed.what}"
    return Mark(round(at_seconds, 6), owed.after, sender, target, MarkKind.GHOST, words)


def _make_ghost(step: _Step, source: str, target: str, words: str) -> Mark:
    """Return the mark of a message that should have come at the time of this step."""
    return Mark(round(step.at, 6), step.seq, source, target, MarkKind.GHOST, words)


def _payloads_in(event: Event) -> tuple[bytes, ...]:
    """Return the payloads of motion that an event of the time-line brought to a client; an empty tuple if it
    brought none."""
    value = getattr(event.content, "value", None)
    return value.payloads if isinstance(value, Motion) else ()


def list_lanes(trace: Trace) -> list[str]:
    """Return the names of the lanes for a time-line of this trace: the clients, the relay (or the kit in its
    place), Motion Server, and a room if there is one."""
    client_of_server = KIT if trace.header.subject == "server" else RELAY
    clients = sorted({event.connection for event in trace.on_lane(Lane.DOWNSTREAM)})
    room = [ROOM] if any(trace.on_lane(Lane.EGRESS)) else []
    return [*clients, client_of_server, SERVER, *room]


def _make_steps(trace: Trace, lanes: Sequence[str]) -> Iterator[_Step]:
    """Yield a step of the time-line (when, from which lane to which, in which words) for each event of the
    trace that a time-line shows."""
    client_of_server = KIT if KIT in lanes else RELAY
    start_ns = scenario_start_ns(trace)
    for event in trace.events:
        words = words_for(event)
        if words is None:
            continue
        client_side, server_side = lanes_of(event, lanes, client_of_server)
        source, target = (server_side, client_side) if words.upward is False else (client_side, server_side)
        target = "" if words.upward is None else target
        at = (event.at_ns - start_ns) / 1e9
        yield _Step(at, event.seq, source, target, words)


def lanes_of(event: Event, lanes: Sequence[str], client_of_server: str) -> tuple[str, str]:
    """Return the two lanes of the time-line between which an event is drawn; the lane nearer to the client
    comes first. The second is "" if the event is drawn on one lane."""
    match event.lane:
        case Lane.DOWNSTREAM:
            return event.connection, RELAY
        case Lane.EGRESS:
            return SERVER, ROOM
        case Lane.KIT | Lane.DECODER:
            kit_lane = KIT if KIT in lanes else SERVER
            return (event.connection if event.connection in lanes else kit_lane), ""
    return client_of_server, SERVER


def learn_rate(event: Event, rates: dict[str, int]) -> None:
    """Keep in `rates` the sample rate (Hz) of a connection, if this event names a sample rate. The time-line
    needs the rate to show how long a piece of audio lasts."""
    match event.content:
        case TurnStarted(sample_rate=rate) if rate > 0:
            rates[event.connection] = rate
        case Sent(_, ConfigureSession() as session) | Received(_, ConfigureSession() as session):
            pcm = session.audio_format == AudioFormat.PCM_S16LE
            rates[event.connection] = max(0, session.sample_rate) if pcm else _RATE_OF_OPUS


def _make_call_steps(trace: Trace) -> Iterator[_Step]:
    """Yield a step of the time-line for each call to a client under test and for each answer, at the time of
    the virtual clock that the kit's calls set."""
    elapsed_ms = 0
    for event in trace.on_lane(Lane.CLIENT):
        value = getattr(event.content, "value", None)
        at = elapsed_ms / 1000
        if isinstance(value, TesteeRequest):
            elapsed_ms += value.ms if value.do == "advance" else 0
        if isinstance(value, TesteeRequest | TesteeAnswer):
            words = words_for_call(value)
            source, target = (KIT, CLIENT) if isinstance(value, TesteeRequest) else (CLIENT, KIT)
            yield _Step(at, event.seq, source, target, words)


def _make_mark(step: _Step, guilty: bool) -> Mark:
    """Return the mark of a step. `guilty`: whether the event is evidence."""
    kind, words = step.words.kind, step.words.words
    return Mark(round(step.at, 6), step.seq, step.source, step.target, kind, words, guilty)
