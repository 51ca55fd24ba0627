"""Waits until the events that a recorder holds show something, or until the subject is silent for too
long."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.trace.events import Event, Lane, Received
from spatius_sim.wires.events import Failed, Note, NotUnderstood


class MessageWatch:
    """Looks for one message among those that a connection receives after this watch was made."""

    def __init__(self, recorder: LiveRecorder, connection: str, wanted: Callable[[object], bool]) -> None:
        self._recorder, self._connection, self._wanted = recorder, connection, wanted
        self._next = len(recorder.events)
        self._found = False

    def has_come(self) -> bool:
        """Whether the message has been received by now."""
        events = self._recorder.events
        while self._next < len(events) and not self._found:
            event = events[self._next]
            self._next += 1
            if event.connection == self._connection and isinstance(event.what, Received):
                self._found = self._wanted(event.what.value)
        return self._found


LONGEST_TURN_SECONDS = 60.0
"""A turn that lasts longer than its speech by this much counts as endless, even if the subject still
sends."""

_GLANCE_SECONDS = 0.05
_ROOM_FOR_SLOWNESS = 3.0


@dataclass(slots=True)
class AdaptiveTimeout:
    """How long the kit waits for a subject, in seconds, before what has not come counts as missing.

    A wait takes `seconds` at first. After `patient_waits` waits in which nothing came, the subject is not
    slow but silent: the next runs wait three times as long as the subject ever took, and at least `least`.
    All waits of one run have one length. What a shortened wait shows is a suspicion: a patient run confirms
    it."""

    seconds: float
    least: float = 1.0
    patient_waits: int = 3
    longest: float = 0.0
    in_vain: int = 0
    now: float = field(init=False)
    """The length of a wait in this run."""
    cut_short: bool = field(init=False, default=False)
    """Whether a wait of this run ended without success before all its `seconds` were over."""

    def __post_init__(self) -> None:
        self.now = self.seconds

    def begin_run(self, *, patient: bool) -> None:
        """Fix the length of the waits of one run: all the `seconds` if the run is `patient`."""
        self.cut_short = False
        self.now = self.seconds
        if not patient and self.in_vain >= self.patient_waits:
            self.now = min(self.seconds, max(self.least, _ROOM_FOR_SLOWNESS * self.longest))

    def ended_in_vain(self) -> None:
        """Remember that a wait ended and nothing had come."""
        self.in_vain += 1
        self.cut_short = self.cut_short or self.now < self.seconds

    def note_response_time(self, seconds: float) -> None:
        """Remember how many seconds the subject took to show life."""
        self.longest = max(self.longest, seconds)


def _is_never_gone() -> bool:
    return False


async def wait_until(
    recorder: LiveRecorder,
    over: Callable[[], bool],
    settling: AdaptiveTimeout,
    gone: Callable[[], bool] = _is_never_gone,
    grace: float = 0.0,
    spoken: float = 0.0,
) -> bool:
    """Wait until `over` is true, and return whether it became true.

    The wait ends early if the subject is `gone`, or if it is silent for longer than the timeout and `grace`
    seconds more. The subject may have `spoken` seconds of speech to play. Audio, motion and whatever happens
    upstream are signs of life; status messages and messages about a failure are none.
    """
    started = time.monotonic()
    silent = 0.0
    seen_events = len(recorder.events)
    while not over():
        if any(map(_is_sign_of_life, recorder.events[seen_events:])):
            settling.note_response_time(silent)
            silent = 0.0
        seen_events = len(recorder.events)
        began = time.monotonic()
        left = min(settling.now + grace - silent, started + LONGEST_TURN_SECONDS + spoken - began)
        if gone() or recorder.flooded or left <= 0:
            settling.ended_in_vain()
            return over()
        recorder.changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(recorder.changed.wait(), min(left, _GLANCE_SECONDS))
        silent += silence_within(time.monotonic() - began)
    return True


def silence_within(seconds: float) -> float:
    """Return how much of a glance of this many seconds counts as silence of the subject. If the kit itself
    was late, the machine may have held up both: the later the kit was, the less counts."""
    return seconds if seconds <= _GLANCE_SECONDS else _GLANCE_SECONDS**2 / seconds


def _is_sign_of_life(event: Event) -> bool:
    if event.lane is Lane.DOWNSTREAM and isinstance(event.what, Received):
        return not isinstance(event.what.value, Note | NotUnderstood | Failed)
    return event.lane in (Lane.UPSTREAM, Lane.CONSOLE, Lane.EGRESS)


def chunks(pcm: bytes, size: int) -> list[bytes]:
    """Split audio into pieces of `size` bytes."""
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
