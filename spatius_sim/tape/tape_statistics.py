"""Shows tapes to people as figures."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.tape.reader import header_of
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.trace.events import Lane, Received, Sent, Trace


@dataclass(slots=True)
class Statistics:
    """The figures of a tape. `speech_seconds`: seconds of audio that went up, by sample rate in Hz."""

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
    """Describe a tape in figures: count what it holds. Raises UsageError if the file is not a tape."""
    figures = Statistics(header_of(path), path.stat().st_size)
    for trace in read_traces(path):
        figures.runs += 1
        _count_run(figures, trace)
    return figures


def _count_run(figures: Statistics, trace: Trace) -> None:
    """Count what one run of a tape holds, such as its events, bytes and seconds of speech, and add it to the
    statistics of the tape."""
    rates: dict[str, int] = {}
    figures.connections += len({(event.lane, event.connection) for event in trace.events if event.connection})
    for event in trace.events:
        figures.kinds[type(event.content).__name__] += 1
        figures.seconds = max(figures.seconds, event.at_ns / 1e9)
        if not isinstance(event.content, Sent | Received):
            continue
        figures.frame_bytes += len(event.content.raw)
        match event.content.value:
            case ConfigureSession(sample_rate=rate):
                rates[event.connection] = rate
            case AudioInput(audio=audio) if rates.get(event.connection):
                rate = rates[event.connection]
                figures.speech_seconds[rate] += len(audio) / BYTES_PER_SAMPLE / rate  # type: ignore[assignment]
            case MotionResponse(keyframes=keyframes) if event.lane is Lane.UPSTREAM:
                figures.payloads += 1
                figures.keyframes += len(keyframes)
