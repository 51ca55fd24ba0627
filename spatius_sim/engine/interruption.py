"""How a command is ended from outside: SIGTERM and SIGHUP do what Ctrl-C does."""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType

_AS_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Whether the user, or whoever runs the command, wants this process to end. There is one, as there is one
    process."""

    def __init__(self) -> None:
        self._asked = False

    def listen(self, *also: signal.Signals) -> Callable[[], None]:
        """Let the first SIGTERM or SIGHUP raise KeyboardInterrupt in the main thread, so that a command ends
        what it started and exits with 2; returns what undoes it. Those after it do nothing: `timeout` sends
        two, and the second must not disturb the end. `also` SIGINT: it is remembered then, too. What another
        handles already, or ignores as under nohup, stays so."""
        if threading.current_thread() is not threading.main_thread():
            return lambda: None
        usual = (signal.SIG_DFL, signal.default_int_handler)
        found = {number: signal.getsignal(number) for number in (*_AS_CTRL_C, *also)}
        ours = {number: handler for number, handler in found.items() if handler in usual}
        for number in ours:
            signal.signal(number, self._interrupt)

        def undo() -> None:
            for number, handler in ours.items():
                signal.signal(number, handler)
            self._asked = False

        return undo

    def check(self) -> None:
        """Raise KeyboardInterrupt if one was raised before: it may have come amid code of others that took it
        for an error of its own."""
        if self._asked:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number in _AS_CTRL_C:
            return
        self._asked = True
        raise KeyboardInterrupt


INTERRUPTION = Interruption()


def end_requested() -> asyncio.Future[bool]:
    """Done when the user ends the command by Ctrl-C, SIGTERM or, unless it is ignored, SIGHUP; to be asked
    for before the command says that it is ready."""
    told = asyncio.Event()
    for number in (signal.SIGINT, *_AS_CTRL_C):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, told.set)
    return asyncio.ensure_future(told.wait())
