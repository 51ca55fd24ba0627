"""Waits until the recorded events show what was expected, or until the subject is silent for too long."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.trace.events import Event, Lane, Opened, Received
from spatius_sim.wires.events import Failed, Note, NotUnderstood

TIMER_TOLERANCE_SECONDS = 1e-6
"""Seconds. A wait for less than this is over: a timer may ring early by the resolution of its clock."""


def loop_time() -> float:
    """Return the time of the running event loop in seconds: monotonic time, or virtual time."""
    return asyncio.get_running_loop().time()


def loop_time_ns() -> int:
    """Return the time of the running event loop in nanoseconds."""
    return round(loop_time() * 1e9)


class MessageWatch:
    """Waits for one message, among those that a connection receives from now on."""

    def __init__(
        self, recorder: RealTimeRecorder, connection: str, is_wanted: Callable[[object], bool]
    ) -> None:
        """Begin to wait for a message that the connection named `connection` receives. Only events that are
        recorded from now on count. `is_wanted` returns whether a message is the awaited one."""
        self._recorder, self._connection, self._is_wanted = recorder, connection, is_wanted
        self._next_index = len(recorder.events)
        self._has_arrived = False

    def has_arrived(self) -> bool:
        """Return whether the awaited message has been recorded. Each call looks only at the events that are
        new since the last call."""
        events = self._recorder.events
        while self._next_index < len(events) and not self._has_arrived:
            event = events[self._next_index]
            self._next_index += 1
            if event.connection == self._connection and isinstance(event.content, Received):
                self._has_arrived = self._is_wanted(event.content.value)
        return self._has_arrived


LONGEST_TURN_SECONDS = 60.0
"""If a turn lasts this much longer than its speech, the kit stops waiting, even if messages still
come."""

_STEP_SECONDS = 0.05
_TIMES_THE_LONGEST_RESPONSE = 3.0


@dataclass(slots=True)
class AdaptiveTimeout:
    """How long the kit waits for a subject, in seconds, before what has not come counts as missing.

    A wait takes `full_seconds` at first. After `patient_waits` waits without success, later runs wait for a
    shorter time: three times the longest response time so far, but at least `least_seconds`. All waits of one
    run have the same length. A fault seen after a shortened wait must be confirmed by a patient run."""

    full_seconds: float
    least_seconds: float = 1.0
    patient_waits: int = 3
    longest_wait: float = LONGEST_TURN_SECONDS
    """How long a whole wait may take, in seconds, even if messages still come."""
    longest_response: float = 0.0
    """The longest response time so far, in seconds."""
    waits_in_vain: int = 0
    """How many waits ended without success."""
    fulfilled: bool = False
    """Whether in any wait all has come that the kit waited for."""
    current_seconds: float = field(init=False)
    """The length of a wait in this run."""
    cut_short: bool = field(init=False, default=False)
    """Whether a wait of this run was shorter than `full_seconds` and ended without success."""

    def __post_init__(self) -> None:
        """Begin with the whole length of a wait."""
        self.current_seconds = self.full_seconds

    @property
    def is_shortened(self) -> bool:
        """Whether the kit waits for a shorter time in this run than at first."""
        return self.current_seconds < self.full_seconds

    def begin_run(self, *, patient: bool) -> None:
        """Set how long the kit waits for the subject in the run that begins (`current_seconds`): the full
        time in a `patient` run. In any other run the waits are shorter if enough earlier waits ended without
        success: three times the longest response time, but at least `least_seconds`."""
        self.cut_short = False
        self.current_seconds = self.full_seconds
        if not patient and self.waits_in_vain >= self.patient_waits:
            shorter_seconds = max(self.least_seconds, _TIMES_THE_LONGEST_RESPONSE * self.longest_response)
            self.current_seconds = min(self.full_seconds, shorter_seconds)

    def note_wait_in_vain(self, *, cut_short: bool = False) -> None:
        """Count a wait that ended without success. Note also whether the wait was shortened: by this timeout,
        or by its caller (`cut_short`)."""
        self.waits_in_vain += 1
        self.cut_short = self.cut_short or cut_short or self.is_shortened

    def note_response_time(self, seconds: float) -> None:
        """Remember a response time, in seconds, if it is the longest so far."""
        self.longest_response = max(self.longest_response, seconds)


def shows_subject_works(event: Event) -> bool:
    """Return whether an event shows that the subject still works, so that the kit goes on waiting. True for
    any event between the subject and Motion Server, or in a room. Also true for a message that the subject
    sent to its client, except status messages, reports of a failure, and messages that are not understood."""
    if event.lane is Lane.DOWNSTREAM and isinstance(event.content, Received):
        return not isinstance(event.content.value, Note | NotUnderstood | Failed)
    return event.lane in (Lane.UPSTREAM, Lane.CONSOLE, Lane.EGRESS)


def is_never_true() -> bool:
    """Return False, as a condition of a wait that only silence ends, or of a subject that is never gone."""
    return False


async def wait_until(
    recorder: RealTimeRecorder,
    is_over: Callable[[], bool],
    silence_limit: AdaptiveTimeout,
    gone: Callable[[], bool] = is_never_true,
    grace: float = 0.0,
    slowed_by: float = 0.0,
    spoken: float = 0.0,
    is_sign: Callable[[Event], bool] = shows_subject_works,
) -> bool:
    """Wait until `is_over` returns true, and return whether it did.

    The wait ends early if the subject is `gone`, or is silent for longer than `silence_limit`, `grace` and
    `slowed_by` seconds together; `slowed_by` is how long faults delay our own Motion Server. The whole wait
    may last longer by `spoken`, the seconds of speech that the subject may have to play. `is_sign` tells
    which events end a silence. Response times, and a wait without success, are noted in `silence_limit`."""
    started = loop_time()
    silent_seconds = 0.0
    next_event = len(recorder.events)
    while not is_over():
        signs = [event for event in recorder.events[next_event:] if is_sign(event)]
        if any(isinstance(event.content, Received | Opened) for event in signs):
            # What our Motion Server was late by on purpose is no response time of the subject.
            silence_limit.note_response_time(max(0.0, silent_seconds - slowed_by))
        if signs:
            silent_seconds = 0.0
        next_event = len(recorder.events)
        step_started = loop_time()
        seconds_left = min(
            silence_limit.current_seconds + grace + slowed_by - silent_seconds,
            started + silence_limit.longest_wait + spoken - step_started,
        )
        if gone() or recorder.flooded or seconds_left <= TIMER_TOLERANCE_SECONDS:
            silence_limit.note_wait_in_vain()
            return is_over()
        recorder.changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(recorder.changed.wait(), min(seconds_left, _STEP_SECONDS))
        silent_seconds += silence_within(loop_time() - step_started)
    return True


def silence_within(seconds: float) -> float:
    """Return how many of the seconds that one step of a wait took count as silence of the subject. If the
    step took longer than planned, the machine may have delayed the subject too: the longer the step took, the
    less of it counts."""
    return seconds if seconds <= _STEP_SECONDS else _STEP_SECONDS**2 / seconds


def chunks(pcm: bytes, size: int) -> list[bytes]:
    """Return the audio, split into chunks of `size` bytes; the last chunk may be shorter."""
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
