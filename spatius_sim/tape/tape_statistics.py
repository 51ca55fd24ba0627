"""Shows tapes to people as figures."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.tape.reader import read_header
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


def count_tape_contents(path: Path) -> Statistics:
    """Read a tape, and return its figures: how many runs, events, bytes, seconds of speech and so on it
    holds. Raises UsageError if the file is not a tape."""
    figures = Statistics(read_header(path), path.stat().st_size)
    for trace in read_traces(path):
        figures.runs += 1
        _count_contents_of_run(figures, trace)
    return figures


def _count_contents_of_run(figures: Statistics, trace: Trace) -> None:
    """Count what one run of a tape holds, and add it to `figures`, the statistics of the whole tape. The
    seconds are the time of the latest event, and the payloads are those that Motion Server sent."""
    rate_by_connection: dict[str, int] = {}
    connections = {(event.lane, event.connection) for event in trace.events if event.connection}
    figures.connections += len(connections)
    for event in trace.events:
        figures.kinds[type(event.content).__name__] += 1
        figures.seconds = max(figures.seconds, event.at_ns / 1e9)
        if not isinstance(event.content, Sent | Received):
            continue
        figures.frame_bytes += len(event.content.raw)
        match event.content.value:
            case ConfigureSession(sample_rate=rate):
                rate_by_connection[event.connection] = rate
            case AudioInput(audio=audio) if rate_by_connection.get(event.connection):
                rate = rate_by_connection[event.connection]
                figures.speech_seconds[rate] += len(audio) / BYTES_PER_SAMPLE / rate  # type: ignore[assignment]
            case MotionResponse(keyframes=keyframes) if event.lane is Lane.UPSTREAM:
                figures.payloads += 1
                figures.keyframes += len(keyframes)
