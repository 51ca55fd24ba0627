"""Tapes for people: a readable dialogue, and the figures of a tape."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

from spatius_sim.dialects.events import Audio, Motion, Speak
from spatius_sim.model.trace import Event, Lane, Received, Sent, Trace, TurnStarted, read_upstream
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.tape.contents import TapeHeader
from spatius_sim.tape.reader import header_of
from spatius_sim.tape.taping import read_traces

_LONGEST_TEXT = 160


def dialogue(path: Path) -> Iterator[str]:
    """A tape as lines: when, where, who to whom, what."""
    for number, trace in enumerate(read_traces(path), 1):
        header = trace.header
        wire = f" over {header.wire}" if header.wire else ""
        yield f"run {number}: {header.subject}{wire}, seed {header.seed}: {header.plan or 'no plan'}"
        yield from (line_of(event) for event in trace.events)


def line_of(event: Event) -> str:
    """One event in one line."""
    return f"{event.at_ns / 1e9:10.3f}  {event.lane:10}  {event.connection:12}  {_said(event)}"


def _said(event: Event) -> str:
    match event.what:
        case Sent(raw, value):
            return f"<- {_frame(raw, value)}"
        case Received(raw, value):
            return f"-> {_frame(raw, value)}"
        case TurnStarted(turn, pcm, rate):
            return f"turn {turn} starts: {_seconds(pcm, rate)}"
        case other:
            named = ", ".join(f"{f.name}={_short(repr(getattr(other, f.name)))}" for f in fields(other))
            return f"{type(other).__name__}({named})"


def _frame(raw: str | bytes, value: object) -> str:
    match value:
        case AudioInput(req_id, audio, end):
            return f"audio of {req_id}: {len(audio)} bytes{', end' * end}"
        case MotionResponse():
            faulty = f", {value.shape_fault}" if value.shape_fault else ""
            return f"motion of {value.req_id}: {len(value.keyframes)} keyframes{', end' * value.end}{faulty}"
        case Audio(pcm, last, turn_id):
            return f"audio{_of(turn_id)}: {len(pcm)} bytes{', last' * last}"
        case Motion(payloads, last, turn_id):
            inside = ", ".join(_frame(payload, read_upstream(payload)) for payload in payloads)
            return f"motion{_of(turn_id)} [{inside}]{', last' * last}"
        case Speak(pcm):
            return f"speaks: {len(pcm)} bytes"
        case other:
            return f"{_short(repr(other))} ({len(raw)} bytes)"


def _of(turn_id: str) -> str:
    return f" of {turn_id}" if turn_id else ""


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + " ..."


def _seconds(pcm: bytes, rate: int) -> str:
    return f"{len(pcm) / BYTES_PER_SAMPLE / rate:.2f} s of speech" if rate else f"{len(pcm)} bytes of speech"


@dataclass(slots=True)
class Statistics:
    """The figures of a tape. Seconds of audio that went up, by rate in Hz."""

    header: TapeHeader
    file_bytes: int
    runs: int = 0
    seconds: float = 0.0
    kinds: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    speech_seconds: Counter[int] = field(default_factory=Counter)
    payloads: int = 0
    keyframes: int = 0
    frame_bytes: int = 0


def statistics(path: Path) -> Statistics:
    """The figures of a tape; raises UsageError for what is none."""
    found = Statistics(header_of(path), path.stat().st_size)
    for trace in read_traces(path):
        found.runs += 1
        _count(found, trace)
    return found


def _count(found: Statistics, trace: Trace) -> None:
    rates: dict[str, int] = {}
    found.connections += len({(e.lane, e.connection) for e in trace.events if e.connection})
    for event in trace.events:
        found.kinds[type(event.what).__name__] += 1
        found.seconds = max(found.seconds, event.at_ns / 1e9)
        if not isinstance(event.what, Sent | Received):
            continue
        found.frame_bytes += len(event.what.raw)
        match event.what.value:
            case ConfigureSession(sample_rate=rate):
                rates[event.connection] = rate
            case AudioInput(audio=audio) if rates.get(event.connection):
                rate = rates[event.connection]
                found.speech_seconds[rate] += len(audio) / BYTES_PER_SAMPLE / rate  # type: ignore[assignment]
            case MotionResponse(keyframes=keyframes) if event.lane is Lane.UPSTREAM:
                found.payloads += 1
                found.keyframes += len(keyframes)
