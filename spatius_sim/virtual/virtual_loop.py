"""An event loop whose clock jumps to the next timer, so that no wait takes real time."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from spatius_sim.protocol.errors import SpatiusSimError

T = TypeVar("T")

MAX_STEPS = 5_000_000
"""How many steps one piece of work may take. The longest plan takes a hundredth of them."""

MAX_STEPS_AT_ONE_INSTANT = 1_000_000
MAX_WAITING_CALLS = 1_000_000
"""How many calls may wait for their turn at one instant."""

START_OF_TIME = 1_760_000_000.0
"""The unix time, in seconds, at which every virtual clock starts."""


class VirtualTimeError(SpatiusSimError):
    """What runs in virtual time never comes to its end, or raised an exception. The text names the host."""


class _ClockSelector:
    """Stands in for the selector of the virtual loop: no socket is ever ready, and a wait moves the clock."""

    def __init__(self, move_clock: Callable[[float | None], None]) -> None:
        """Keep `move_clock`, which moves the virtual clock by a number of seconds (None: no timer is set)."""
        self._move_clock = move_clock

    def select(self, timeout: float | None) -> list[Any]:
        """Let virtual time pass at once, without a real wait, and return an empty list: no socket is ever
        ready. `timeout` is in seconds; None means that no timer is set."""
        self._move_clock(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An asyncio loop in virtual time: `time()` is in seconds, begins at 0, and jumps to the next timer when
    there is nothing to do.

    `run` raises VirtualTimeError if every task waits for ever, if time no longer passes, if a piece of work
    takes more than MAX_STEPS, or if a host raises. The error names the host that was active last or most.
    """

    def __init__(self) -> None:
        """Begin the virtual loop at 0 s, with nothing to do."""
        super().__init__()
        self._now_seconds = 0.0
        self._selector = _ClockSelector(self._pass_time)
        self._step_count = self._step_count_at_this_instant = 0
        self._arrivals: list[Callable[[], None]] = []
        """The arrivals of frames at connections that were scheduled last, each as a function that takes the
        frame; they wait as one call, `_arrivals_handle`."""
        self._arrivals_handle: asyncio.Handle | None = None
        self._activity_by_host: Counter[str] = Counter()
        self._failure: VirtualTimeError | None = None
        self.set_exception_handler(self._keep_failure)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_seconds

    def time_ns(self) -> int:
        """Return the virtual time in nanoseconds."""
        return round(self._now_seconds * 1e9)

    def schedule_arrival(self, arrive: Callable[[], None]) -> None:
        """Let the virtual loop call `arrive` soon, as `call_soon` does. Arrivals that are scheduled one right
        after the other share one call of the loop, which saves most of the loop's time."""
        ready = self._ready  # type: ignore[attr-defined]
        if ready and ready[-1] is self._arrivals_handle:
            self._arrivals.append(arrive)
        else:
            self._arrivals = [arrive]
            self._arrivals_handle = self.call_soon(_call_all, self._arrivals)

    def unix_time(self) -> float:
        """Return the unix time in seconds that hosts in this virtual loop believe it is."""
        return START_OF_TIME + self._now_seconds

    def run(self, coroutine: Coroutine[Any, Any, T], timeout_seconds: float | None) -> T:
        """Run a coroutine in virtual time, and return its result. Raises TimeoutError if it takes longer than
        `timeout_seconds` of virtual time (None: no limit). Raises VirtualTimeError if it can never end, or if
        a host (a program in virtual time) fails."""
        self._begin_work()
        try:
            return self.run_until_complete(asyncio.wait_for(coroutine, timeout_seconds))
        except VirtualTimeError:
            self._abandon_work()
            raise

    def stop(self) -> None:
        """Drop all calls that wait, cancel all tasks, and close the virtual loop. If the loop is running,
        only end the current run: this is what asyncio itself wants when it calls this method."""
        if self.is_running():
            super().stop()
        else:
            self._abandon_work()
            self.close()

    def _begin_work(self) -> None:
        """Before a run of the virtual loop, forget the steps, activity and failure of the last run."""
        self._step_count = self._step_count_at_this_instant = 0
        self._activity_by_host.clear()
        self._failure = None

    def _abandon_work(self) -> None:
        """Drop all calls that wait in the virtual loop, cancel all its tasks, and run until they have ended.
        A task that still waits for something that never comes is no error here."""
        self._ready.clear()  # type: ignore[attr-defined]
        self._scheduled.clear()  # type: ignore[attr-defined]
        self._begin_work()
        tasks = asyncio.all_tasks(self)
        for task in tasks:
            task.cancel()
        if tasks:
            with contextlib.suppress(VirtualTimeError):
                self.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))

    def note_activity(self, host: str) -> None:
        """Count one more activity of the host with this name. (A VirtualTimeError names the most active
        host.)"""
        self._activity_by_host[host] += 1

    def _pass_time(self, timeout: float | None) -> None:
        """Move the virtual clock to the next timer, `timeout` seconds from now; 0 means that calls are ready
        now. Raises VirtualTimeError in four cases: a host (a program in virtual time) has failed, no timer is
        set (None), too many calls come at the same virtual time (it stands still), or the run takes too many
        steps (it never ends)."""
        if self._failure is not None:
            raise self._failure
        if timeout is None:
            raise VirtualTimeError("every host waits, and nothing will ever happen")
        self._step_count += 1
        self._step_count_at_this_instant += 1
        if timeout > 0:
            self._now_seconds = max(self._now_seconds, self._scheduled[0].when())  # type: ignore[attr-defined]
            self._step_count_at_this_instant = 0
        waiting_count = len(self._ready) + len(self._arrivals)  # type: ignore[attr-defined]
        if self._step_count_at_this_instant > MAX_STEPS_AT_ONE_INSTANT or waiting_count > MAX_WAITING_CALLS:
            raise VirtualTimeError(f"time stands still: {self._most_active()} is active again and again")
        if self._step_count > MAX_STEPS:
            raise VirtualTimeError(f"it never ends: {self._most_active()} is active again and again")

    def _most_active(self) -> str:
        """Return the name of the host that was most active in the virtual loop."""
        return self._activity_by_host.most_common(1)[0][0] if self._activity_by_host else "a host"

    def _keep_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep the first exception that a host (a program in virtual time) raised: the run will end with it.
        asyncio calls this method, with the exception in `context`."""
        error = context.get("exception")
        self._failure = self._failure or (
            error if isinstance(error, VirtualTimeError) else VirtualTimeError(f"a host raised {error!r}")
        )

    # What an asyncio loop with sockets would do, and this one has no use for.

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: no socket is ever ready in virtual time."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Raise VirtualTimeError: what a thread does takes real time."""
        raise VirtualTimeError("a thread was asked for, and virtual time has none")

    def _write_to_self(self) -> None:
        """Do nothing: no other thread wakes the virtual loop."""


def _call_all(arrivals: list[Callable[[], None]]) -> None:
    """Call each function, by which a frame arrives in virtual time, and empty the list."""
    for arrive in arrivals:
        arrive()
    arrivals.clear()
