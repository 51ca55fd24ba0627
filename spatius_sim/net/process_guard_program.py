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
_ENDED_STATES = "ZX"
"""The states of zombies and of dead processes in /proc."""

_MAX_BYTES = 4096


class _GuardedCommand:
    """The command's process, and every process that descends from it."""

    def __init__(self, command: list[str]) -> None:
        """Start the guarded command in a process session of its own."""
        self._process = subprocess.Popen(command, start_new_session=True)
        self.code: int | None = None

    def collect_exit_codes(self) -> None:
        """Collect the exit codes of all children of the guard that have ended, adopted orphans too. Store the
        guarded command's exit code in `code`."""
        with suppress(ChildProcessError):
            while (ended_child := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                pid, status = ended_child
                if pid == self._process.pid:
                    self.code = self._process.returncode = os.waitstatus_to_exitcode(status)

    def ask_to_end(self) -> None:
        """Ask the process group of the guarded command to end (SIGTERM)."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the guarded command and all its descendants, again and again until no process is left, for at
        most 2 seconds."""
        deadline = time.monotonic() + _KILL_SECONDS
        while True:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            descendants = list(_list_descendants(os.getpid()))
            for pid in descendants:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self.collect_exit_codes()
            if (self.code is not None and not descendants) or time.monotonic() > deadline:
                return
            time.sleep(_KILL_AGAIN_SECONDS)


def main(socket_number: str, grace: str, *command: str) -> int:
    """Guard a command: start it and wait until it ends, or until the program that started the guard closes
    the socket to the guard (number `socket_number`). Then ask the command to end, wait `grace` seconds for
    that, and kill all processes that the command has left.

    Returns the command's exit code, -N if the signal N ended the command, or 1 if the command cannot be
    started."""
    starter = socket.socket(fileno=int(socket_number))
    _adopt_orphans()
    signals_in, signals_out = socket.socketpair()
    for wakeup_socket in (signals_in, signals_out):
        wakeup_socket.setblocking(False)
    signal.set_wakeup_fd(signals_out.fileno())
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    try:
        guarded = _GuardedCommand(list(command))
    except (OSError, ValueError) as error:
        starter.send(str(error).encode()[:_MAX_BYTES])
        return 1
    with suppress(OSError):
        starter.send(STARTED)
    _replace_streams_by_dev_null()
    _wait_for_end(guarded, starter, signals_in, None)
    if guarded.code is None and float(grace):
        guarded.ask_to_end()
        _wait_for_end(guarded, None, signals_in, float(grace))
    guarded.kill()
    return guarded.code or 0


def _wait_for_end(
    guarded: _GuardedCommand, starter: socket.socket | None, signals_in: socket.socket, seconds: float | None
) -> None:
    """Let the process guard wait until the guarded command has ended, or until `seconds` have passed (None:
    no limit).

    `starter` is the socket to the program that started the guard. If it is given, the wait also ends when
    that program closes the socket, or when the guard receives SIGTERM."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while guarded.code is None:
        seconds_left = None if deadline is None else max(0.0, deadline - time.monotonic())
        sockets = [signals_in] if starter is None else [signals_in, starter]
        ready, _, _ = select.select(sockets, [], [], seconds_left)
        signals = signals_in.recv(_MAX_BYTES) if signals_in in ready else b""
        guarded.collect_exit_codes()
        if not ready or starter in ready or (starter is not None and signal.SIGTERM in signals):
            return


def _list_descendants(ancestor: int) -> Iterator[int]:
    """Yield the ids of all processes that descend from `ancestor` and still run, so that the guard can end
    them; children come first. Yields nothing on systems without /proc."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # PID (COMMAND) STATE PARENT ...: the command may hold brackets itself.
            _, _, after_command = stat.read_text(errors="replace").rpartition(")")
            state, parent = after_command.split()[:2]
            if state not in _ENDED_STATES:
                children.setdefault(int(parent), []).append(int(stat.parent.name))
    found = [ancestor]
    for pid in found:
        found += children.get(pid, [])
    yield from found[1:]


def _adopt_orphans() -> None:
    """Let the guard become the parent of orphaned descendants, if the system can do so (on Linux only)."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _replace_streams_by_dev_null() -> None:
    """Replace the guard's own stdin, stdout and stderr by /dev/null, because the guard shares them with the
    guarded command. Otherwise they would stay open after the command has closed them, and whoever reads the
    command's output would wait for ever."""
    dev_null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(dev_null, stream)


def _end_like_command(code: int) -> None:
    """End the guard with the exit code of the guarded command, or by the signal that ended the command.

    No second core file is written."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)


if __name__ == "__main__":
    _end_like_command(main(*sys.argv[1:]))
