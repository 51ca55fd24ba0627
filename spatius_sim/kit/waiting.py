"""Waits for what a recorder writes down."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from spatius_sim.dialects.events import Failed, Garbage, Note
from spatius_sim.model.trace import Event, Lane, Received
from spatius_sim.net.recorder import Recorder


class Watch:
    """Looks for one message in what a connection receives from here on."""

    def __init__(self, recorder: Recorder, connection: str, wanted: Callable[[object], bool]) -> None:
        self._recorder, self._connection, self._wanted = recorder, connection, wanted
        self._next = len(recorder.events)
        self._come = False

    def has_come(self) -> bool:
        """Whether it has been received by now."""
        events = self._recorder.events
        while self._next < len(events) and not self._come:
            event = events[self._next]
            self._next += 1
            if event.connection == self._connection and isinstance(event.what, Received):
                self._come = self._wanted(event.what.value)
        return self._come


LONGEST_TURN_SECONDS = 60.0
"""However lively a subject is, a turn that lasts so much longer than its speech never ends."""

_GLANCE_SECONDS = 0.05
_PATIENT_TURNS = 3
_SHORTEST_SETTLE = 1.0
_ROOM_FOR_SLOWNESS = 3.0


@dataclass(slots=True)
class Settling:
    """How long a subject may be silent before what is missing counts as missing: `seconds` at first. After
    three turns that stayed incomplete it is given three times the longest pause it was ever seen to make,
    and a second at least, for it is not slow but silent."""

    seconds: float
    longest_pause: float = 0.0
    incomplete_turns: int = 0

    @property
    def now(self) -> float:
        """The seconds that hold now."""
        if self.incomplete_turns < _PATIENT_TURNS:
            return self.seconds
        return min(self.seconds, max(_SHORTEST_SETTLE, _ROOM_FOR_SLOWNESS * self.longest_pause))


def _never() -> bool:
    return False


async def wait_until(
    recorder: Recorder,
    over: Callable[[], bool],
    settling: Settling,
    gone: Callable[[], bool] = _never,
    grace: float = 0.0,
    spoken: float = 0.0,
) -> bool:
    """Whether `over` came true before the subject was `gone`, or silent for longer than it may be, and than
    `grace` seconds more; `spoken` is how many seconds of speech it may have to play. Audio, motion
    and what happens upstream are signs of life; status messages and the word that it failed are none."""
    started = time.monotonic()
    silent = 0.0
    seen = len(recorder.events)
    while not over():
        if any(map(_is_sign_of_life, recorder.events[seen:])):
            settling.longest_pause = max(settling.longest_pause, silent)
            silent = 0.0
        seen = len(recorder.events)
        began = time.monotonic()
        left = min(settling.now + grace - silent, started + LONGEST_TURN_SECONDS + spoken - began)
        if gone() or recorder.flooded or left <= 0:
            settling.incomplete_turns += 1
            return over()
        recorder.changed.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(recorder.changed.wait(), min(left, _GLANCE_SECONDS))
        silent += silence_within(time.monotonic() - began)
    return True


def silence_within(seconds: float) -> float:
    """How much of a look that took so long was the silence of the subject. Where the kit itself was late, the
    machine may have held up both: the later it was, the less it knows."""
    return seconds if seconds <= _GLANCE_SECONDS else _GLANCE_SECONDS**2 / seconds


def _is_sign_of_life(event: Event) -> bool:
    if event.lane is Lane.DOWNSTREAM and isinstance(event.what, Received):
        return not isinstance(event.what.value, Note | Garbage | Failed)
    return event.lane in (Lane.UPSTREAM, Lane.CONSOLE, Lane.EGRESS)


def chunks(pcm: bytes, size: int) -> list[bytes]:
    """The audio in pieces of so many bytes."""
    return [pcm[start : start + size] for start in range(0, len(pcm), size)]
