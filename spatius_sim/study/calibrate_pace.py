"""Fits Motion Server's pace to a tape: how long its responses took after their audio had come."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import numpy as np

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.trace.events import Lane, Received, Sent, Trace

_FAST_AND_SLOW = (0.05, 0.95)
"""The quantiles of the first waits between which the pace varies."""
_MIN_REQUESTS = 3
_ROUNDING = 1e-6
_TOLERANCE = 0.05
"""Seconds that a response may take more than latency and jitter, and still not have been kept back."""


@dataclass(frozen=True, slots=True)
class FittedPace:
    """The pace in seconds, from so many requests. `lead` is -1 if no response was kept back."""

    latency: float
    jitter: float
    lead: float
    requests: int


@dataclass(slots=True)
class _Request:
    """What a tape says of one request: when its audio came, and how long its responses took."""

    began_at: float
    audio_arrivals: list[tuple[float, float]] = field(default_factory=list)
    """When audio came, and how many seconds had come by then."""
    keyframes: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)
    """For each response: seconds after its audio had come, and how many seconds before its playback time that
    audio came, if playback began with the first audio."""

    def add_response(self, at_seconds: float, keyframe_count: int) -> None:
        """Add a response that Motion Server sent at this time, with this number of keyframes. Note how long
        it came after the audio for its keyframes, and how long before its playback time that audio came. Note
        nothing if the response holds no keyframes, or if their audio was not complete."""
        self.keyframes += keyframe_count
        audio_end = self.keyframes / KEYFRAMES_PER_SECOND
        # A segment is whole when a sample beyond its end has arrived, or the end mark.
        arrivals_beyond_end = (
            arrived_at for arrived_at, seconds in self.audio_arrivals if seconds > audio_end + _ROUNDING
        )
        last_arrived_at, all_seconds = self.audio_arrivals[-1]
        complete_at = next(arrivals_beyond_end, last_arrived_at if all_seconds >= audio_end else None)
        if complete_at is not None and keyframe_count:
            self.waits.append((max(0.0, at_seconds - complete_at), self.began_at + audio_end - complete_at))


def fit_pace(path: Path) -> FittedPace:
    """Return the pace at which Motion Server answered on a tape (a recording of its messages), in seconds.
    `latency` is how late a request's first motion comes, and `jitter` how much this varies. `lead` is how
    long before its playback time the motion after the first comes; -1 if no motion was held back.

    Raises UsageError if the file is not a tape, or if fewer than three requests on it were answered."""
    requests = [request for trace in read_traces(path) for request in _read_requests(trace) if request.waits]
    if len(requests) < _MIN_REQUESTS:
        raise UsageError(
            f"{path}: {len(requests)} requests were answered; {_MIN_REQUESTS} are needed to fit a pace: "
            "record more turns"
        )
    first_waits = [request.waits[0][0] for request in requests]
    latency, slowest = (float(seconds) for seconds in np.quantile(first_waits, _FAST_AND_SLOW))
    jitter = slowest - latency
    leads = [
        early_seconds - wait
        for request in requests
        for wait, early_seconds in request.waits[1:]
        if wait > latency + jitter + _TOLERANCE
    ]
    lead = max(0.0, median(leads)) if leads else -1.0
    return FittedPace(round(latency, 3), round(jitter, 3), round(lead, 3), len(requests))


def _read_requests(trace: Trace) -> Iterable[_Request]:
    """Return the requests with audio that a trace holds, to fit the pace of Motion Server. Each has the times
    at which its audio came, and how long its responses took."""
    sample_rates: dict[str, int] = {}
    requests: dict[tuple[str, str], _Request] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        if not isinstance(event.content, Sent | Received):
            continue
        at_seconds = event.at_ns / 1e9
        match event.content.value:
            case ConfigureSession(sample_rate=rate):
                sample_rates[event.connection] = rate
            case AudioInput(req_id, audio) if sample_rates.get(event.connection):
                request = requests.setdefault((event.connection, req_id), _Request(at_seconds))
                seconds_before = request.audio_arrivals[-1][1] if request.audio_arrivals else 0.0
                seconds = len(audio) / BYTES_PER_SAMPLE / sample_rates[event.connection]
                request.audio_arrivals.append((at_seconds, seconds_before + seconds))
            case MotionResponse(req_id=req_id, keyframes=keyframes):
                answered_id = (event.content.answers if isinstance(event.content, Sent) else "") or req_id
                if (event.connection, answered_id) in requests:
                    requests[event.connection, answered_id].add_response(at_seconds, len(keyframes))
    return requests.values()
