"""Makes a time-line from a trace: the plain values that a picture needs, and no more than fit into one."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from spatius_sim.protocol.messages import AudioFormat, ConfigureSession, MotionResponse
from spatius_sim.reporting.timeline.client_dialogue import label_call
from spatius_sim.reporting.timeline.event_labels import EventLabel, label_event
from spatius_sim.reporting.timeline.timeline import Mark, MarkKind, Timeline, choose_marks
from spatius_sim.rules.findings import Owed
from spatius_sim.story.frames_and_closes_at_server import is_kit_client_of_server
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
    """One event on the time-line: `at_seconds` from the start, from lane `source` to lane `target`."""

    at_seconds: float
    seq: int
    source: str
    target: str
    label: EventLabel


def build_timeline(
    trace: Trace, evidence_seqs: Collection[int], owed: Collection[Owed] = ()
) -> Timeline | None:
    """Build the time-line of a trace; return None if there is nothing to draw. `evidence_seqs` are the
    numbers of the events that are evidence. `owed` are the messages that a rule says should have come and
    never came."""
    if trace.header.subject == "client":
        lanes: list[str] = [KIT, CLIENT]
        steps, clock = list(_make_call_steps(trace)), "of the client's clock"
    else:
        lanes = list_lanes(trace)
        steps, clock = list(_make_steps(trace, lanes)), "since the scenario began"
        # Leave out late events of earlier scenarios, unless they are evidence.
        steps = [step for step in steps if step.at_seconds >= 0 or step.seq in evidence_seqs]
    if not steps:
        return None
    marks = [
        _make_mark(step, step.seq in evidence_seqs)
        for step in steps
        if not step.label.minor or step.seq in evidence_seqs
    ]
    marks_of_owed = [_make_mark_of_owed(trace, message, lanes) for message in owed]
    marks += marks_of_owed or _find_missing_messages(trace, steps, evidence_seqs, lanes)
    chosen = choose_marks(marks, MAX_MARKS)
    return Timeline(tuple(lanes), chosen, len(marks) - len(chosen), clock)


def find_scenario_start_ns(trace: Trace) -> int:
    """Return the time (ns) at which the scenario of a run began: second 0 of the time-line. This is the first
    event at a client, or the start of the first turn, if that is earlier. If the trace has neither, it is the
    first event of all. Sessions that an earlier scenario left open may have earlier events."""
    by_client = [
        event.at_ns
        for event in trace.events
        if event.lane is Lane.DOWNSTREAM or isinstance(event.content, TurnStarted)
    ]
    return min(by_client or [event.at_ns for event in trace.events], default=0)


def _find_missing_messages(
    trace: Trace, steps: Sequence[_Step], evidence_seqs: Collection[int], lanes: Sequence[str]
) -> list[Mark]:
    """Find the missing messages that a time-line shows: they should have come and never came. Return a mark
    of the kind GHOST for each. Only evidence is looked at: motion that the relay never passed on to its only
    client, and answers for which the kit waited in vain."""
    delivered = {raw for event in trace.on_lane(Lane.DOWNSTREAM) for raw in _list_payloads(event)}
    clients = [lane for lane in lanes if lane not in (RELAY, SERVER, ROOM, KIT, CLIENT)]
    marks = []
    for step in steps:
        content = trace.events[step.seq].content if step.seq in evidence_seqs else None
        is_motion_to_pass_on = isinstance(getattr(content, "value", None), MotionResponse) and RELAY in lanes
        if is_motion_to_pass_on and getattr(content, "raw", b"") not in delivered and len(clients) == 1:
            words = "owed, and never came: this payload at the client"
            marks.append(_make_mark_of_missing(step, RELAY, clients[0], words))
        elif isinstance(content, WaitEnded) and not content.complete and content.what_for in _AWAITED_ANSWERS:
            target = step.source if step.source in clients else lanes[0]
            source = RELAY if target in clients else lanes[-1]
            words = f"owed, and never came: {describe_wait(content)}"
            marks.append(_make_mark_of_missing(step, source, target, words))
    return marks


def _make_mark_of_owed(trace: Trace, owed: Owed, lanes: Sequence[str]) -> Mark:
    """Return the mark (GHOST) of a message that should have come after an event, as a rule says, and that
    never came. `lanes` are the names of the vertical lines of the time-line, such as clients, relay and
    server."""
    at_seconds = (trace.events[owed.after].at_ns - find_scenario_start_ns(trace)) / 1e9
    sender = RELAY if RELAY in lanes else lanes[-1]
    target = owed.client if owed.client in lanes else SERVER
    words = f"owed, and never came: {owed.what}"
    return Mark(round(at_seconds, 6), owed.after, sender, target, MarkKind.GHOST, words)


def _make_mark_of_missing(step: _Step, source_lane: str, target_lane: str, words: str) -> Mark:
    """Return the mark (GHOST) of a message that should have come at the time of this step and never came. It
    is an arrow between these lanes of the time-line, with these words."""
    return Mark(round(step.at_seconds, 6), step.seq, source_lane, target_lane, MarkKind.GHOST, words)


def _list_payloads(event: Event) -> tuple[bytes, ...]:
    """Return the payloads of motion that an event brought to a client; an empty tuple if it brought none."""
    value = getattr(event.content, "value", None)
    return value.payloads if isinstance(value, Motion) else ()


def list_lanes(trace: Trace) -> list[str]:
    """Return the names of the lanes of a time-line of this trace: the vertical lines, one for each that takes
    part. They are the clients, the relay, Motion Server, and the room if there is one. If a server is tested,
    the kit takes the place of the relay. (`Lane` is another thing: it says where a trace saw an event.)"""
    lane_of_servers_client = KIT if trace.header.subject == "server" else RELAY
    client_lanes = sorted({event.connection for event in trace.on_lane(Lane.DOWNSTREAM)})
    room_lane = [ROOM] if any(trace.on_lane(Lane.EGRESS)) else []
    return [*client_lanes, lane_of_servers_client, SERVER, *room_lane]


def _make_steps(trace: Trace, lanes: Sequence[str]) -> Iterator[_Step]:
    """Yield a step of the time-line for each event of the trace that a time-line shows: its time, the two
    lanes, and its label. The label says whether the event went towards Motion Server (`upward`), away from
    it, or happened at one place (None); then the target is ""."""
    lane_of_servers_client = KIT if KIT in lanes else RELAY
    start_ns = find_scenario_start_ns(trace)
    kit_is_client = is_kit_client_of_server(trace)
    for event in trace.events:
        label = label_event(event, kit_is_client=kit_is_client)
        if label is None:
            continue
        client_side, server_side = find_event_lanes(event, lanes, lane_of_servers_client)
        source, target = (server_side, client_side) if label.upward is False else (client_side, server_side)
        target = "" if label.upward is None else target
        at_seconds = (event.at_ns - start_ns) / 1e9
        yield _Step(at_seconds, event.seq, source, target, label)


def find_event_lanes(event: Event, lanes: Sequence[str], lane_of_servers_client: str) -> tuple[str, str]:
    """Return the two lanes of the time-line between which an event is drawn; the lane nearer to the client
    comes first. The second is "" if the event is drawn on one lane. `lane_of_servers_client` is the lane of
    the client that talks to Motion Server: the relay, or the kit."""
    match event.lane:
        case Lane.DOWNSTREAM:
            return event.connection, RELAY
        case Lane.EGRESS:
            return SERVER, ROOM
        case Lane.KIT | Lane.DECODER:
            kit_lane = KIT if KIT in lanes else SERVER
            return (event.connection if event.connection in lanes else kit_lane), ""
    return lane_of_servers_client, SERVER


def note_sample_rate(event: Event, rate_by_connection: dict[str, int]) -> None:
    """Store the sample rate (Hz) of a connection in `rate_by_connection`, if this event of a trace names one.
    A page needs it to show how long audio lasts. Ogg Opus gets the rate 0, because its samples cannot be
    counted here."""
    match event.content:
        case TurnStarted(sample_rate=rate) if rate > 0:
            rate_by_connection[event.connection] = rate
        case Sent(_, ConfigureSession() as session) | Received(_, ConfigureSession() as session):
            pcm = session.audio_format == AudioFormat.PCM_S16LE
            rate_by_connection[event.connection] = max(0, session.sample_rate) if pcm else _RATE_OF_OPUS


def _make_call_steps(trace: Trace) -> Iterator[_Step]:
    """Yield a step of the time-line of a client under test for each call from the kit, and for each answer.
    The time is that of the client's virtual clock: only calls of `advance` move it."""
    elapsed_ms = 0
    for event in trace.on_lane(Lane.CLIENT):
        value = getattr(event.content, "value", None)
        at_seconds = elapsed_ms / 1000
        if isinstance(value, TesteeRequest):
            elapsed_ms += value.ms if value.do == "advance" else 0
        if isinstance(value, TesteeRequest | TesteeAnswer):
            label = label_call(value)
            source, target = (KIT, CLIENT) if isinstance(value, TesteeRequest) else (CLIENT, KIT)
            yield _Step(at_seconds, event.seq, source, target, label)


def _make_mark(step: _Step, is_evidence: bool) -> Mark:
    """Return the mark that draws this step. `is_evidence`: whether its event proves a broken rule."""
    kind, words = step.label.kind, step.label.words
    return Mark(round(step.at_seconds, 6), step.seq, step.source, step.target, kind, words, is_evidence)
