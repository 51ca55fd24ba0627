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

    began: float
    heard: list[tuple[float, float]] = field(default_factory=list)
    """When audio came, and how many seconds had come by then."""
    keyframes: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)
    """For each response: seconds after its audio had come, and how early that audio came."""

    def add_response(self, at: float, keyframes: int) -> None:
        """Take a response that Motion Server sent at this time, in seconds: add its keyframes to those of the
        request, and note how long after the audio for these keyframes the response came."""
        self.keyframes += keyframes
        end = self.keyframes / KEYFRAMES_PER_SECOND
        # A segment is whole when a sample beyond its end has arrived, or the end mark.
        arrivals_beyond_end = (heard for heard, seconds in self.heard if seconds > end + _ROUNDING)
        complete_at = next(arrivals_beyond_end, self.heard[-1][0] if self.heard[-1][1] >= end else None)
        if complete_at is not None and keyframes:
            self.waits.append((max(0.0, at - complete_at), self.began + end - complete_at))


def fit_pace(path: Path) -> FittedPace:
    """Fit a pace to the answers of Motion Server on a tape, and return it: how late the first motion of a
    request comes, how much this varies, and how early later motion comes. Raises UsageError if the file is
    not a tape, or if fewer than three requests on it were answered."""
    requests = [request for trace in read_traces(path) for request in _read_requests(trace) if request.waits]
    if len(requests) < _MIN_REQUESTS:
        raise UsageError(
            f"{path}: {len(requests)} requests were answered; {_MIN_REQUESTS} are needed to fit a pace: "
            "record more turns"
        )
    first_waits = [request.waits[0][0] for request in requests]
    latency, slowest = (float(share) for share in np.quantile(first_waits, _FAST_AND_SLOW))
    jitter = slowest - latency
    leads = [
        early - wait
        for request in requests
        for wait, early in request.waits[1:]
        if wait > latency + jitter + _TOLERANCE
    ]
    lead = max(0.0, median(leads)) if leads else -1.0
    return FittedPace(round(latency, 3), round(jitter, 3), round(lead, 3), len(requests))


def _read_requests(trace: Trace) -> Iterable[_Request]:
    """Return the requests in a trace by which the pace of Motion Server can be fitted: those with audio, each
    with the times at which its responses came."""
    rates: dict[str, int] = {}
    requests: dict[tuple[str, str], _Request] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        if not isinstance(event.content, Sent | Received):
            continue
        at_seconds = event.at_ns / 1e9
        match event.content.value:
            case ConfigureSession(sample_rate=rate):
                rates[event.connection] = rate
            case AudioInput(req_id, audio) if rates.get(event.connection):
                request = requests.setdefault((event.connection, req_id), _Request(at_seconds))
                before = request.heard[-1][1] if request.heard else 0.0
                seconds = len(audio) / BYTES_PER_SAMPLE / rates[event.connection]
                request.heard.append((at_seconds, before + seconds))
            case MotionResponse(req_id=req_id, keyframes=keyframes):
                answered = (event.content.answers if isinstance(event.content, Sent) else "") or req_id
                if (event.connection, answered) in requests:
                    requests[event.connection, answered].add_response(at_seconds, len(keyframes))
    return requests.values()
