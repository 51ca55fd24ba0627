"""Makes a time-line from a trace: the plain values that a picture needs, and no more than fit into one."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioFormat, ConfigureSession, MotionResponse
from spatius_sim.reporting.timeline.client_dialogue import words_for_call
from spatius_sim.reporting.timeline.event_labels import EventWords, words_for
from spatius_sim.reporting.timeline.timeline import Curve, CurveKind, Mark, MarkKind, Timeline, choose_marks
from spatius_sim.trace.event_text import describe_wait
from spatius_sim.trace.events import Awaited, Event, Lane, Received, Sent, Trace, TurnStarted, WaitEnded
from spatius_sim.wires.events import Motion
from spatius_sim.wires.testee import TesteeAnswer, TesteeRequest

CLIENT, RELAY, SERVER, ROOM, KIT = "client", "relay", "Motion Server", "room", "kit"

MAX_MARKS = 120
_MAX_POINTS_OF_A_LANE = 240
_MAX_POINTS_OF_A_BLOCK = {CurveKind.AUDIO: 12, CurveKind.MOTION: 24}
_USUAL_RATE = 16000
_OWED = (Awaited.TURN, Awaited.HANDSHAKE, Awaited.LIFE)
"""What a subject sends: for the other things the kit only waits."""
_RATE_OF_OPUS = 0
"""Stands for the sample rate of Ogg Opus, whose samples cannot be read here."""
_LOUDEST_SAMPLE = 32768
_LONE_BLOCK_SECONDS = 0.004
"""The width of a block that has no neighbour in its stream."""
_MAX_BLOCKS_OF_A_LANE = 60

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class _Step:
    """One event on the time-line: `at` seconds from the start, from lane `source` to lane `target`. Audio or
    motion of the event is drawn on `media_lane`; `rate` is the sample rate in Hz."""

    at: float
    seq: int
    source: str
    target: str
    media_lane: str
    words: EventWords
    rate: int


@dataclass(slots=True)
class _Block:
    """A piece of audio or motion that came at one moment and plays for `seconds`. `stream` is its request or
    turn."""

    at: float
    stream: str
    seconds: float
    values: Values


def timeline_of(trace: Trace, guilty: Collection[int]) -> Timeline | None:
    """Return the time-line of a trace; None if there is nothing to draw. `guilty` are the sequence numbers of
    the evidence."""
    if trace.header.subject == "client":
        lanes: list[str] = [KIT, CLIENT]
        steps, clock = list(_make_call_steps(trace)), "of the client's clock"
    else:
        lanes = list_lanes(trace)
        steps, clock = list(_make_steps(trace, lanes)), "since the scenario began"
        # A relay under test is not alone with us: what earlier scenarios left is not part of this one.
        steps = [step for step in steps if step.at >= 0 or step.seq in guilty]
    if not steps:
        return None
    marks = [
        _make_mark(step, step.seq in guilty) for step in steps if not step.words.minor or step.seq in guilty
    ]
    marks += _find_ghosts(trace, steps, guilty, lanes)
    chosen = choose_marks(marks, MAX_MARKS)
    return Timeline(tuple(lanes), chosen, tuple(_make_curves(steps)), len(marks) - len(chosen), clock)


def scenario_start_ns(trace: Trace) -> int:
    """Return when the scenario of a run began: at the first event of a client, or at the first event at all
    if there is none. Sessions that an earlier scenario left may have events before it."""
    by_client = [
        event.at_ns
        for event in trace.events
        if event.lane is Lane.DOWNSTREAM or isinstance(event.what, TurnStarted)
    ]
    return min(by_client or [event.at_ns for event in trace.events], default=0)


def _find_ghosts(
    trace: Trace, steps: Sequence[_Step], guilty: Collection[int], lanes: Sequence[str]
) -> list[Mark]:
    """Return a mark for each thing that was owed and never came, at the evidence that shows it: a payload
    that no client was sent, and an answer for which the kit waited in vain."""
    delivered = {raw for event in trace.on_lane(Lane.DOWNSTREAM) for raw in _payloads_in(event)}
    clients = [lane for lane in lanes if lane not in (RELAY, SERVER, ROOM, KIT, CLIENT)]
    ghosts = []
    for step in steps:
        what = trace.events[step.seq].what if step.seq in guilty else None
        kept_back = isinstance(getattr(what, "value", None), MotionResponse) and RELAY in lanes
        if kept_back and getattr(what, "raw", b"") not in delivered and len(clients) == 1:
            words = "owed, and never came: this payload at the client"
            ghosts.append(_make_ghost(step, RELAY, clients[0], words))
        elif isinstance(what, WaitEnded) and not what.complete and what.what_for in _OWED:
            target = step.source if step.source in clients else lanes[0]
            source = RELAY if target in clients else lanes[-1]
            words = f"owed, and never came: {describe_wait(what)}"
            ghosts.append(_make_ghost(step, source, target, words))
    return ghosts


def _make_ghost(step: _Step, source: str, target: str, words: str) -> Mark:
    """Return the mark of what was owed at the time of a step."""
    return Mark(round(step.at, 6), step.seq, source, target, MarkKind.GHOST, words)


def _payloads_in(event: Event) -> tuple[bytes, ...]:
    """Return the payloads that an event brought to a client."""
    value = getattr(event.what, "value", None)
    return value.payloads if isinstance(value, Motion) else ()


def list_lanes(trace: Trace) -> list[str]:
    """Return the names of the lanes, from the client to Motion Server."""
    client_of_server = KIT if trace.header.subject == "server" else RELAY
    clients = sorted({event.connection for event in trace.on_lane(Lane.DOWNSTREAM)})
    room = [ROOM] if any(trace.on_lane(Lane.EGRESS)) else []
    return [*clients, client_of_server, SERVER, *room]


def _make_steps(trace: Trace, lanes: Sequence[str]) -> Iterator[_Step]:
    """Yield a step for each event that a time-line shows."""
    client_of_server = KIT if KIT in lanes else RELAY
    rates: dict[str, int] = {}
    start_ns = scenario_start_ns(trace)
    for event in trace.events:
        learn_rate(event, rates)
        words = words_for(event)
        if words is None:
            continue
        client_side, server_side = lanes_of(event, lanes, client_of_server)
        source, target = (server_side, client_side) if words.upward is False else (client_side, server_side)
        target = "" if words.upward is None else target
        at = (event.at_ns - start_ns) / 1e9
        media_lane = SERVER if event.lane is Lane.UPSTREAM else target
        rate = rates.get(event.connection, _USUAL_RATE)
        yield _Step(at, event.seq, source, target, media_lane, words, rate)


def lanes_of(event: Event, lanes: Sequence[str], client_of_server: str) -> tuple[str, str]:
    """Return the two lanes of an event; the lane nearer to the client comes first. The second lane is "" for
    an event on one lane."""
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
    """Write into `rates` the sample rate of a connection, if this event says it."""
    match event.what:
        case TurnStarted(sample_rate=rate) if rate > 0:
            rates[event.connection] = rate
        case Sent(_, ConfigureSession() as session) | Received(_, ConfigureSession() as session):
            pcm = session.audio_format == AudioFormat.PCM_S16LE
            rates[event.connection] = max(0, session.sample_rate) if pcm else _RATE_OF_OPUS


def _make_call_steps(trace: Trace) -> Iterator[_Step]:
    """Yield a step for each call to a client and each answer, at the time of the clock that the kit sets."""
    elapsed_ms = 0
    rate = _USUAL_RATE
    for event in trace.on_lane(Lane.CLIENT):
        value = getattr(event.what, "value", None)
        at = elapsed_ms / 1000
        if isinstance(value, TesteeRequest):
            rate = value.sample_rate or rate
            elapsed_ms += value.ms if value.do == "advance" else 0
        if isinstance(value, TesteeRequest | TesteeAnswer):
            words = words_for_call(value)
            source, target = (KIT, CLIENT) if isinstance(value, TesteeRequest) else (CLIENT, KIT)
            yield _Step(at, event.seq, source, target, CLIENT, words, rate)


def _make_mark(step: _Step, guilty: bool) -> Mark:
    """Return the mark of a step. `guilty`: whether the event is evidence."""
    kind, words = step.words.kind, step.words.words
    return Mark(round(step.at, 6), step.seq, step.source, step.target, kind, words, guilty)


def _make_curves(steps: Sequence[_Step]) -> Iterator[Curve]:
    """Yield the curves of audio and motion on each lane."""
    blocks: dict[tuple[str, CurveKind], list[_Block]] = defaultdict(list)
    for step in steps:
        if len(step.words.pcm) >= BYTES_PER_SAMPLE and step.rate:
            pcm = step.words.pcm[: len(step.words.pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
            samples = np.abs(np.frombuffer(pcm, "<i2").astype(np.float32)) / _LOUDEST_SAMPLE
            _add_block(blocks[step.media_lane, CurveKind.AUDIO], step, len(samples) / step.rate, samples)
        if step.words.jaw is not None and len(step.words.jaw):
            jaw = np.nan_to_num(step.words.jaw, posinf=0.0, neginf=0.0)
            _add_block(blocks[step.media_lane, CurveKind.MOTION], step, len(jaw) / KEYFRAMES_PER_SECOND, jaw)
    for (lane, kind), lane_blocks in blocks.items():
        drawn = _join_blocks(lane_blocks)
        if not drawn:
            continue  # Payloads without keyframes.
        points = max(2, min(_MAX_POINTS_OF_A_BLOCK[kind], _MAX_POINTS_OF_A_LANE // len(drawn)))
        yield from _draw_blocks(lane, kind, drawn, points)


def _add_block(blocks: list[_Block], step: _Step, seconds: float, values: Values) -> None:
    """Add audio or motion as a block, or to the last block if that came at the same moment in the same
    stream."""
    last = blocks[-1] if blocks else None
    if last is not None and last.at == step.at and last.stream == step.words.stream:
        last.seconds, last.values = last.seconds + seconds, np.concatenate([last.values, values])
    else:
        blocks.append(_Block(step.at, step.words.stream, seconds, values))


def _join_blocks(blocks: Sequence[_Block]) -> list[_Block]:
    """Return fewer, longer blocks: neighbours of one stream are joined, so that an eye can tell the blocks
    apart."""
    group_size = -(-len(blocks) // _MAX_BLOCKS_OF_A_LANE)  # Rounded up.
    joined: list[_Block] = []
    for _, stream_blocks in groupby(blocks, key=lambda block: block.stream):
        stream = list(stream_blocks)
        for start in range(0, len(stream), group_size):
            group = stream[start : start + group_size]
            values = np.concatenate([block.values for block in group])
            joined.append(_Block(group[0].at, group[0].stream, sum(b.seconds for b in group), values))
    return joined


def _draw_blocks(lane: str, kind: CurveKind, blocks: Sequence[_Block], points: int) -> Iterator[Curve]:
    """Yield a curve for each block. Audio and motion come faster than they play, so a curve ends where the
    next block of the stream begins. The last curve is as long as the one before."""
    reach = _LONE_BLOCK_SECONDS
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        last = following is None or following.stream != block.stream
        if following is not None and not last:
            reach = following.at - block.at
        until = round(block.at + min(block.seconds, reach), 6)
        values = tuple(round(float(value), 4) for value in _thin_out(block.values, points, kind))
        yield Curve(lane, kind, round(block.at, 6), until, values)
        reach = _LONE_BLOCK_SECONDS if last else reach


def _thin_out(values: Values, points: int, kind: CurveKind) -> Values:
    """Return at most `points` values: of audio the loudest value of each part, of motion evenly spaced
    values."""
    if len(values) <= points:
        return values
    borders = np.linspace(0, len(values), points, endpoint=False).astype(int)
    if kind is CurveKind.AUDIO:
        return np.asarray(np.maximum.reduceat(values, borders))
    return np.asarray(values[borders])
