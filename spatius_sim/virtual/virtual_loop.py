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
MAX_WAITING = 1_000_000
"""How many calls may wait for their turn at one instant."""

START_OF_TIME = 1_760_000_000.0
"""The unix time, in seconds, at which every virtual clock starts."""


class VirtualTimeError(SpatiusSimError):
    """What runs in virtual time never comes to its end, or raised an exception. The text names the host."""


class _Jump:
    """Stands in for the selector of an event loop: no socket is ever ready, and a wait moves the clock."""

    def __init__(self, wait: Callable[[float | None], None]) -> None:
        self._wait = wait

    def select(self, timeout: float | None) -> list[Any]:
        """Let `timeout` seconds pass at once; None means that nothing is left to wait for."""
        self._wait(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An asyncio loop in virtual time: `time()` is in seconds, begins at 0, and jumps to the next timer when
    there is nothing to do.

    `run` raises VirtualTimeError if every task waits for ever, if time no longer passes, if a piece of work
    takes more than MAX_STEPS, or if a host raises. The error names the host that was active last or most.
    """

    def __init__(self) -> None:
        """Begin at 0 s of virtual time, with nothing to do."""
        super().__init__()
        self._now = 0.0
        self._selector = _Jump(self._pass_time)
        self._steps = self._steps_at_this_instant = 0
        self._activity: Counter[str] = Counter()
        self._failure: VirtualTimeError | None = None
        self.set_exception_handler(self._keep_failure)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def time_ns(self) -> int:
        """Return the virtual time in nanoseconds."""
        return round(self._now * 1e9)

    def unix_time(self) -> float:
        """Return the unix time in seconds that hosts in virtual time believe it is."""
        return START_OF_TIME + self._now

    def run(self, work: Coroutine[Any, Any, T], seconds: float | None) -> T:
        """Run `work` and return its result; raises TimeoutError if it takes longer than `seconds` of virtual
        time (None: the work bounds itself)."""
        self._begin_work()
        try:
            return self.run_until_complete(asyncio.wait_for(work, seconds))
        except VirtualTimeError:
            self._abandon_work()
            raise

    def stop(self) -> None:
        """Let no call wait any more, cancel all tasks, and close the loop. Called from within a run, as
        asyncio does, it only ends that run."""
        if self.is_running():
            super().stop()
        else:
            self._abandon_work()
            self.close()

    def _begin_work(self) -> None:
        self._steps = self._steps_at_this_instant = 0
        self._activity.clear()
        self._failure = None

    def _abandon_work(self) -> None:
        """Drop all calls that wait, and cancel all tasks."""
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
        """Remember that a host of this name is active, for the error that may name it."""
        self._activity[host] += 1

    def _pass_time(self, timeout: float | None) -> None:
        """Jump to the next timer, `timeout` seconds from now (None: no timer is set). Raises VirtualTimeError
        if every task waits and no timer is set, or if the tasks run on and on while time stands still."""
        if self._failure is not None:
            raise self._failure
        if timeout is None:
            raise VirtualTimeError("every host waits, and nothing will ever happen")
        self._steps += 1
        self._steps_at_this_instant += 1
        if timeout > 0:
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
            self._steps_at_this_instant = 0
        if self._steps_at_this_instant > MAX_STEPS_AT_ONE_INSTANT or len(self._ready) > MAX_WAITING:  # type: ignore[attr-defined]
            raise VirtualTimeError(f"time stands still: {self._most_active()} is active again and again")
        if self._steps > MAX_STEPS:
            raise VirtualTimeError(f"it never ends: {self._most_active()} is active again and again")

    def _most_active(self) -> str:
        return self._activity.most_common(1)[0][0] if self._activity else "a host"

    def _keep_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Keep an exception that a host raised; the run ends with it."""
        error = context.get("exception")
        self._failure = self._failure or (
            error if isinstance(error, VirtualTimeError) else VirtualTimeError(f"a host raised {error!r}")
        )

    # What an asyncio loop with sockets would do, and this one has no use for.

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: no socket is ever ready."""

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Raise VirtualTimeError: what a thread does takes real time."""
        raise VirtualTimeError("a thread was asked for, and virtual time has none")

    def _write_to_self(self) -> None:
        """Do nothing: no other thread wakes this loop."""
