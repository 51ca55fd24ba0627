"""`process_guard.py LINE GRACE COMMAND...`: runs a command, and ends it with all its children.

The guard is a program of its own, because it has to outlive whoever started it. LINE is the descriptor of a
socket: the guard writes `+` when the command runs, or why it cannot run. When the other end of the socket is
closed, as it also is when the process that holds it dies, the guard ends the command: politely, and after
GRACE seconds by force (0: at once). The children of a command that ends by itself are ended as well. The
guard's exit code is the command's.

The program that was started only waits: a child of it is the guard. So the guard goes on if the program is
killed: asyncio kills a process that it is just starting, if the start is cancelled.

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
        self.exit_code: int | None = None

    def collect_exit_codes(self) -> None:
        """Collect the exit codes of all children of the guard that have ended, adopted orphans too, so that
        no zombies stay. Keep the exit code of the guarded command in `exit_code`."""
        with suppress(ChildProcessError):
            while (ended_child := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                pid, status = ended_child
                if pid == self._process.pid:
                    self.exit_code = self._process.returncode = os.waitstatus_to_exitcode(status)

    def ask_to_end(self) -> None:
        """Ask the process group of the guarded command to end (SIGTERM)."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Kill the guarded command and all processes that descend from the guard. Repeat this until no
        process is left, but for at most 2 seconds."""
        deadline = time.monotonic() + _KILL_SECONDS
        while True:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            descendants = list(_list_descendants(os.getpid()))
            for pid in descendants:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self.collect_exit_codes()
            if (self.exit_code is not None and not descendants) or time.monotonic() > deadline:
                return
            time.sleep(_KILL_AGAIN_SECONDS)


def main(socket_number: str, grace_seconds: str, *command: str) -> int:
    """Guard a command: start it and wait until it ends. If the guard (this process) first receives SIGTERM,
    or if its starter first closes the socket between starter and guard (descriptor `socket_number`), ask the
    command to end and wait `grace_seconds`. At last kill all processes that the command has left.

    Return the exit code of the command; -N if signal N ended it, 1 if it cannot be started."""
    starter_socket = socket.socket(fileno=int(socket_number))
    _adopt_orphans()
    signal_receiver, signal_sender = socket.socketpair()
    for signal_socket in (signal_receiver, signal_sender):
        signal_socket.setblocking(False)
    signal.set_wakeup_fd(signal_sender.fileno())
    for signal_number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(signal_number, lambda *_: None)
    try:
        guarded = _GuardedCommand(list(command))
    except (OSError, ValueError) as error:
        starter_socket.send(str(error).encode()[:_MAX_BYTES])
        return 1
    with suppress(OSError):
        starter_socket.send(STARTED)
    _replace_streams_by_dev_null()
    _wait_for_end(guarded, starter_socket, signal_receiver, None)
    if guarded.exit_code is None and float(grace_seconds):
        guarded.ask_to_end()
        _wait_for_end(guarded, None, signal_receiver, float(grace_seconds))
    guarded.kill()
    return guarded.exit_code or 0


def _guard_in_child(socket_number: str, grace_seconds: str, *command: str) -> int:
    """Let a child process with a session of its own guard a command (`main`), and return the child's exit
    code, -N if signal N ended it. A SIGTERM is passed on to the child."""
    child_pid = os.fork()
    if not child_pid:
        os.setsid()
        _end_like_command(main(socket_number, grace_seconds, *command))
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child_pid, signal.SIGTERM))
    os.close(int(socket_number))
    _replace_streams_by_dev_null()
    _, status = os.waitpid(child_pid, 0)
    return os.waitstatus_to_exitcode(status)


def _wait_for_end(
    guarded: _GuardedCommand,
    starter_socket: socket.socket | None,
    signal_receiver: socket.socket,
    timeout_seconds: float | None,
) -> None:
    """Wait until the guarded command has ended, but for at most `timeout_seconds` (None: no limit).
    `signal_receiver` is the socket that becomes readable when the guard receives a signal.

    `starter_socket` leads to the program that started the guard. If it is given, the wait also ends when that
    program closes the socket, or when the guard receives SIGTERM."""
    deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    while guarded.exit_code is None:
        seconds_left = None if deadline is None else max(0.0, deadline - time.monotonic())
        sockets = [signal_receiver] if starter_socket is None else [signal_receiver, starter_socket]
        ready, _, _ = select.select(sockets, [], [], seconds_left)
        signals = signal_receiver.recv(_MAX_BYTES) if signal_receiver in ready else b""
        guarded.collect_exit_codes()
        if not ready or starter_socket in ready or (starter_socket is not None and signal.SIGTERM in signals):
            return


def _list_descendants(ancestor_pid: int) -> Iterator[int]:
    """Yield the process ids of all running descendants of this process, so that the guard can end them: its
    children first, then their children, and so on. Yield nothing on systems without /proc."""
    children_by_parent: dict[int, list[int]] = {}
    for stat_file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            # PID (COMMAND) STATE PARENT ...: the command may hold brackets itself.
            _, _, after_command = stat_file.read_text(errors="replace").rpartition(")")
            state, parent = after_command.split()[:2]
            if state not in _ENDED_STATES:
                children_by_parent.setdefault(int(parent), []).append(int(stat_file.parent.name))
    pids = [ancestor_pid]
    for pid in pids:
        pids += children_by_parent.get(pid, [])
    yield from pids[1:]


def _adopt_orphans() -> None:
    """Let the guard become the parent of its descendants whose own parent ends, so that it still finds them.
    Only Linux can do this; elsewhere do nothing."""
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _replace_streams_by_dev_null() -> None:
    """Replace the guard's own stdin, stdout and stderr by /dev/null. The guard shares them with the guarded
    command, and would keep them open after the command has closed them. Then a reader of the command's output
    would wait for ever."""
    dev_null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(dev_null, descriptor)


def _end_like_command(exit_code: int) -> None:
    """End this process, the guard, as the command that it guarded has ended: with its exit code or, if that
    is negative, by the signal -`exit_code`. The signal writes no second core file."""
    if exit_code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError):
            signal.signal(-exit_code, signal.SIG_DFL)
        os.kill(os.getpid(), -exit_code)
    sys.exit(exit_code)


if __name__ == "__main__":
    _end_like_command(_guard_in_child(*sys.argv[1:]))
