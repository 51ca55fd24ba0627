"""Lets SIGTERM and SIGHUP end a command as Ctrl-C does."""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

_SIGNALS_LIKE_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Remembers whether a signal asked this process to end. `INTERRUPTION` is the only object of this
    class."""

    def __init__(self) -> None:
        self._end_requested = False

    def install_handlers(self, *more_signals: signal.Signals) -> Callable[[], None]:
        """Let SIGTERM, SIGHUP and `more_signals` raise KeyboardInterrupt, so that a command ends what it
        started and exits with 2. Return a function that puts the earlier signal handlers back.

        After the first signal, SIGTERM and SIGHUP do nothing: the command `timeout` sends two signals, and
        the second must not interrupt the clean-up. A signal that other code handles, or that is ignored (as
        under nohup), keeps its handler. Outside the main thread, no handler is changed."""
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        default_handlers = (signal.SIG_DFL, signal.default_int_handler)
        earlier = {number: signal.getsignal(number) for number in (*_SIGNALS_LIKE_CTRL_C, *more_signals)}
        replaced = {number: handler for number, handler in earlier.items() if handler in default_handlers}
        for number in replaced:
            signal.signal(number, self._interrupt)

        def restore_handlers() -> None:
            """Put the earlier handlers of the signals back, and forget that a signal came."""
            for number, handler in replaced.items():
                signal.signal(number, handler)
            self._end_requested = False

        return restore_handlers

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has interrupted this process before: other code may have
        caught the first KeyboardInterrupt as an error of its own."""
        if self._end_requested:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal by raising KeyboardInterrupt. Ignore a SIGTERM or SIGHUP that comes after the first
        signal."""
        if self._end_requested and number in _SIGNALS_LIKE_CTRL_C:
            return
        self._end_requested = True
        raise KeyboardInterrupt


INTERRUPTION = Interruption()


def watch_for_end_request() -> "asyncio.Future[bool]":
    """Return a future that is done when the user asks the command to end, by Ctrl-C, SIGTERM or SIGHUP. An
    ignored SIGHUP stays ignored. The signal handlers are set at once, so call this before the command says
    that it is ready."""
    import asyncio  # Its import takes a fifth of the time of `spatius-sim --help`.

    end_request = asyncio.Event()
    for number in (signal.SIGINT, *_SIGNALS_LIKE_CTRL_C):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, end_request.set)
    return asyncio.ensure_future(end_request.wait())
