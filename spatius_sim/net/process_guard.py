"""`process_guard.py LINE GRACE COMMAND...`: runs a command, and ends it with all its children.

The guard is a program of its own, because it has to outlive whoever started it. LINE is the descriptor of a
socket: the guard writes `+` when the command runs, or why it cannot run. When the other end of the socket is
closed, as it also is when the process that holds it dies, the guard ends the command: politely, and after
GRACE seconds by force (0: at once). The children of a command that ends by itself are ended as well. The
guard's exit code is the command's.

On Linux orphans become children of the guard, so that it finds daemons and processes in sessions of their
own. Elsewhere it finds only the process group of the command. Out of reach are processes of another user, and
those that a service starts when it is asked, such as containers.
"""

import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

STARTED = b"+"

_KILL_SECONDS = 2.0
_KILL_AGAIN_SECONDS = 0.01
_PR_SET_CHILD_SUBREAPER = 36
_MOST_BYTES = 4096


class _Family:
    """The command's process, and every process that descends from it."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, start_new_session=True)
        self.code: int | None = None

    def reap(self) -> None:
        """Reap the children that have ended, adopted orphans too, and note the command's exit code."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                if ended[0] == self._process.pid:
                    self.code = self._process.returncode = os.waitstatus_to_exitcode(ended[1])

    def ask(self) -> None:
        """Ask the command's process group to end."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the command, all its descendants and what they start meanwhile, for at most two seconds."""
        deadline = time.monotonic() + _KILL_SECONDS
        while True:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            left = list(_descendants(os.getpid()))
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self.reap()
            if (self.code is not None and not left) or time.monotonic() > deadline:
                return
            time.sleep(_KILL_AGAIN_SECONDS)


def main(line_number: str, grace: str, *command: str) -> int:
    """Guard the command until it ends or the line is closed; returns its exit code, -N after the signal N."""
    line = socket.socket(fileno=int(line_number))
    _adopt_orphans()
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        family = _Family(list(command))
    except (OSError, ValueError) as error:
        line.send(str(error).encode()[:_MOST_BYTES])
        return 1
    with suppress(OSError):
        line.send(STARTED)
    _let_go_of_streams()
    _wait_for_end(family, line, woken, None)
    if family.code is None and float(grace):
        family.ask()
        _wait_for_end(family, None, woken, float(grace))
    family.kill()
    return family.code or 0


def _wait_for_end(
    family: _Family, line: socket.socket | None, woken: socket.socket, seconds: float | None
) -> None:
    """Wait until the command has ended, the line is closed, the guard is told to end, or time is up."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while family.code is None:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        watched = [woken] if line is None else [woken, line]
        ready, _, _ = select.select(watched, [], [], left)
        signals = woken.recv(_MOST_BYTES) if woken in ready else b""
        family.reap()
        if not ready or line in ready or (line is not None and signal.SIGTERM in signals):
            return


def _descendants(ancestor: int) -> Iterator[int]:
    """Yield the running descendants of a process, as /proc lists them; none on systems without /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            state, parent = stat.read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state not in "ZX":
                children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = [ancestor]
    for pid in found:
        found += children.get(pid, [])
    yield from found[1:]


def _adopt_orphans() -> None:
    """Let orphaned descendants become children of this process, if the system can do so."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _let_go_of_streams() -> None:
    """Close our copies of the command's streams, so that their readers see when the command closes its
    own."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)


def _end_as(code: int) -> None:
    """End this process as the command ended: by the same signal, but without a second core file."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    _end_as(main(*sys.argv[1:]))
