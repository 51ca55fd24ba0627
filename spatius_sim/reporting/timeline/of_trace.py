"""A trace as a time-line: the plain values that a picture of it needs, and no more of them than fit."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioFormat, ConfigureSession
from spatius_sim.reporting.timeline.client_dialogue import call_said
from spatius_sim.reporting.timeline.event_words import EventWords, said
from spatius_sim.reporting.timeline.timeline import Curve, CurveKind, Mark, MarkKind, Timeline
from spatius_sim.trace.events import Event, Lane, Received, Sent, Trace, TurnStarted
from spatius_sim.wires.testee import TesteeAnswer, TesteeRequest

CLIENT, RELAY, SERVER, ROOM, KIT = "client", "relay", "Motion Server", "room", "kit"

_MOST_MARKS = 120
_POINTS_OF_A_LANE = 240
_MOST_POINTS = {CurveKind.AUDIO: 12, CurveKind.MOTION: 24}
_USUAL_RATE = 16000
_NO_SAMPLES = 0
"""The rate of audio whose samples cannot be seen: Ogg Opus."""
_LOUDEST = 32768
_ALONE_SECONDS = 0.004
_BLOCKS_OF_A_LANE = 60

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class _Step:
    """One event, placed: `at` seconds from the start, between two lanes; its audio or motion is shown on
    `shown`, `rate` in Hz."""

    at: float
    seq: int
    source: str
    target: str
    shown: str
    said: EventWords
    rate: int


@dataclass(slots=True)
class _Block:
    """A piece of audio or motion that came at one moment and plays for so many `seconds`."""

    at: float
    stream: str
    seconds: float
    values: Values


def timeline_of(trace: Trace, guilty: Collection[int]) -> Timeline | None:
    """The time-line of a trace; `guilty` are the sequence numbers of the evidence. None where nothing is to
    be drawn."""
    if trace.header.subject == "client":
        lanes: list[str] = [KIT, CLIENT]
        steps, clock = list(_calls(trace)), "of the client's clock"
    else:
        lanes = _lanes(trace)
        steps, clock = list(_steps(trace, lanes)), "since the run began"
    if not steps:
        return None
    marks = [_mark(step, step.seq in guilty) for step in steps if not step.said.minor or step.seq in guilty]
    shown = _that_fit(marks)
    return Timeline(tuple(lanes), shown, tuple(_curves(steps)), len(marks) - len(shown), clock)


def _lanes(trace: Trace) -> list[str]:
    """From the client to Motion Server."""
    asker = KIT if trace.header.subject == "server" else RELAY
    clients = sorted({event.connection for event in trace.on(Lane.DOWNSTREAM)})
    room = [ROOM] if any(trace.on(Lane.EGRESS)) else []
    return [*clients, asker, SERVER, *room]


def _steps(trace: Trace, lanes: Sequence[str]) -> Iterator[_Step]:
    asker = KIT if KIT in lanes else RELAY
    rates: dict[str, int] = {}
    for event in trace.events:
        _learn_rate(event, rates)
        one = said(event)
        if one is None:
            continue
        lower, upper = _ends(event, lanes, asker)
        source, target = (upper, lower) if one.upward is False else (lower, upper)
        target = "" if one.upward is None else target
        at = (event.at_ns - trace.events[0].at_ns) / 1e9
        shown = SERVER if event.lane is Lane.UPSTREAM else target
        yield _Step(at, event.seq, source, target, shown, one, rates.get(event.connection, _USUAL_RATE))


def _ends(event: Event, lanes: Sequence[str], asker: str) -> tuple[str, str]:
    """The lanes between which it happened, the one nearer to the client first."""
    match event.lane:
        case Lane.DOWNSTREAM:
            return event.connection, RELAY
        case Lane.EGRESS:
            return SERVER, ROOM
        case Lane.KIT | Lane.DECODER:
            own = KIT if KIT in lanes else SERVER
            return (event.connection if event.connection in lanes else own), ""
    return asker, SERVER


def _learn_rate(event: Event, rates: dict[str, int]) -> None:
    match event.what:
        case TurnStarted(sample_rate=rate) if rate > 0:
            rates[event.connection] = rate
        case Sent(_, ConfigureSession() as session) | Received(_, ConfigureSession() as session):
            pcm = session.audio_format == AudioFormat.PCM_S16LE
            rates[event.connection] = max(0, session.sample_rate) if pcm else _NO_SAMPLES


def _calls(trace: Trace) -> Iterator[_Step]:
    """A client's calls, at the time of the clock that the kit sets."""
    elapsed_ms = 0
    rate = _USUAL_RATE
    for event in trace.on(Lane.CLIENT):
        value = getattr(event.what, "value", None)
        at = elapsed_ms / 1000
        if isinstance(value, TesteeRequest):
            rate = value.sample_rate or rate
            elapsed_ms += value.ms if value.do == "advance" else 0
        if isinstance(value, TesteeRequest | TesteeAnswer):
            one = call_said(value)
            source, target = (KIT, CLIENT) if isinstance(value, TesteeRequest) else (CLIENT, KIT)
            yield _Step(at, event.seq, source, target, CLIENT, one, rate)


def _mark(step: _Step, guilty: bool) -> Mark:
    one = step.said
    return Mark(round(step.at, 6), step.seq, step.source, step.target, one.kind, one.words, guilty)


def _that_fit(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks that are drawn: evidence before what lies next to it, before the rest."""
    evidence = [mark.seq for mark in marks if mark.guilty]
    chosen = sorted(
        marks,
        key=lambda mark: (
            not mark.guilty,
            mark.kind not in (MarkKind.FAULT, MarkKind.KIT),
            min((abs(mark.seq - seq) for seq in evidence), default=mark.seq),
        ),
    )
    return tuple(sorted(chosen[:_MOST_MARKS], key=lambda mark: mark.seq))


def _curves(steps: Sequence[_Step]) -> Iterator[Curve]:
    blocks: dict[tuple[str, CurveKind], list[_Block]] = defaultdict(list)
    for step in steps:
        if len(step.said.pcm) >= BYTES_PER_SAMPLE and step.rate:
            pcm = step.said.pcm[: len(step.said.pcm) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE]
            samples = np.abs(np.frombuffer(pcm, "<i2").astype(np.float32)) / _LOUDEST
            _add(blocks[step.shown, CurveKind.AUDIO], step, len(samples) / step.rate, samples)
        if step.said.jaw is not None and len(step.said.jaw):
            jaw = np.nan_to_num(step.said.jaw, posinf=0.0, neginf=0.0)
            _add(blocks[step.shown, CurveKind.MOTION], step, len(jaw) / KEYFRAMES_PER_SECOND, jaw)
    for (lane, kind), of_lane in blocks.items():
        drawn = _fewer(of_lane)
        if not drawn:
            continue  # Payloads without keyframes.
        points = max(2, min(_MOST_POINTS[kind], _POINTS_OF_A_LANE // len(drawn)))
        yield from _placed(lane, kind, drawn, points)


def _add(blocks: list[_Block], step: _Step, seconds: float, values: Values) -> None:
    last = blocks[-1] if blocks else None
    if last is not None and last.at == step.at and last.stream == step.said.stream:
        last.seconds, last.values = last.seconds + seconds, np.concatenate([last.values, values])
    else:
        blocks.append(_Block(step.at, step.said.stream, seconds, values))


def _fewer(blocks: Sequence[_Block]) -> list[_Block]:
    """Neighbours of one stream are joined until no more are left than can be told apart."""
    together = -(-len(blocks) // _BLOCKS_OF_A_LANE)
    joined: list[_Block] = []
    for _, of_stream in groupby(blocks, key=lambda block: block.stream):
        stream = list(of_stream)
        for start in range(0, len(stream), together):
            group = stream[start : start + together]
            values = np.concatenate([block.values for block in group])
            joined.append(_Block(group[0].at, group[0].stream, sum(b.seconds for b in group), values))
    return joined


def _placed(lane: str, kind: CurveKind, blocks: Sequence[_Block], points: int) -> Iterator[Curve]:
    """Media comes faster than it plays: a block reaches to the next of its stream, the last one as far as
    that."""
    reach = _ALONE_SECONDS
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        last = following is None or following.stream != block.stream
        if following is not None and not last:
            reach = following.at - block.at
        until = round(block.at + min(block.seconds, reach), 6)
        values = tuple(round(float(value), 4) for value in _thinned(block.values, points, kind))
        yield Curve(lane, kind, round(block.at, 6), until, values)
        reach = _ALONE_SECONDS if last else reach


def _thinned(values: Values, points: int, kind: CurveKind) -> Values:
    """So many values at most: the loudest of each stretch of audio, every so-manieth of motion."""
    if len(values) <= points:
        return values
    borders = np.linspace(0, len(values), points, endpoint=False).astype(int)
    if kind is CurveKind.AUDIO:
        return np.asarray(np.maximum.reduceat(values, borders))
    return np.asarray(values[borders])
