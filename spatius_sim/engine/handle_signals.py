"""Lets SIGTERM and SIGHUP end a command as Ctrl-C does."""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

_AS_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Remembers whether a signal asked this process to end. `INTERRUPTION` is the only object of this
    class."""

    def __init__(self) -> None:
        self._requested = False

    def listen(self, *more_signals: signal.Signals) -> Callable[[], None]:
        """Let the first SIGTERM or SIGHUP raise KeyboardInterrupt, so that a command ends what it started and
        exits with 2. Return a function that puts the earlier signal handlers back.

        Later signals do nothing: `timeout` sends two, and the second must not disturb the end. The signals in
        `more_signals`, such as SIGINT, are handled in the same way. A signal that other code handles, or that
        is ignored (as under nohup), stays so. Outside the main thread, no handler is changed."""
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        default_handlers = (signal.SIG_DFL, signal.default_int_handler)
        handlers = {number: signal.getsignal(number) for number in (*_AS_CTRL_C, *more_signals)}
        replaced = {number: handler for number, handler in handlers.items() if handler in default_handlers}
        for number in replaced:
            signal.signal(number, self._interrupt)

        def stop_listening() -> None:
            """Put the earlier handlers of the signals back, and forget that a signal came."""
            for number, handler in replaced.items():
                signal.signal(number, handler)
            self._requested = False

        return stop_listening

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has interrupted this process before: other code may have
        caught the first KeyboardInterrupt as an error of its own."""
        if self._requested:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal: raise KeyboardInterrupt, but ignore a SIGTERM or SIGHUP that comes after the
        first signal."""
        if self._requested and number in _AS_CTRL_C:
            return
        self._requested = True
        raise KeyboardInterrupt


INTERRUPTION = Interruption()


def end_requested() -> asyncio.Future[bool]:
    """Return a future that is done when the user interrupts the command by Ctrl-C, SIGTERM or SIGHUP. An
    ignored SIGHUP stays ignored. This sets signal handlers, so call it before the command says that it is
    ready."""
    requested = asyncio.Event()
    for number in (signal.SIGINT, *_AS_CTRL_C):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, requested.set)
    return asyncio.ensure_future(requested.wait())
