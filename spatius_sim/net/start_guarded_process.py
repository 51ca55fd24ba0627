"""Starts a process that ends, with all its children, when we end it or when this program ends."""

import asyncio
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spatius_sim.net import process_guard_program

_GUARD = str(Path(process_guard_program.__file__))
_LONGEST_REPORT = 4096
_LONGEST_LINE = 65536


class GuardedProcess:
    """A command that runs under a guard (see process_guard_program.py), in its own process session.

    `process` has the streams and the exit code of the command."""

    def __init__(self, process: Process, guard_socket: socket.socket) -> None:
        """Keep a started command and the socket to its guard. (`start` makes both.)"""
        self.process, self._guard_socket = process, guard_socket

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        grace: float,
        stdin: int,
        stderr: int,
        environment: Mapping[str, str] | None = None,
        limit: int = _LONGEST_LINE,
    ) -> "GuardedProcess":
        """Start a command under a process guard, and return the guarded process.

        `end` later asks the command to end, and kills it after `grace` seconds (0: at once). Raises OSError
        or ValueError if the command cannot be started."""
        our_end, guard_end = socket.socketpair()
        try:
            our_end.setblocking(False)
            with guard_end:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", _GUARD, str(guard_end.fileno()), str(grace)),
                    *command,
                    stdin=stdin,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    limit=limit,
                    start_new_session=True,
                    pass_fds=(guard_end.fileno(),),
                )
            report = await asyncio.get_running_loop().sock_recv(our_end, _LONGEST_REPORT)
            if report != process_guard_program.STARTED:
                await process.communicate()
                raise OSError(report.decode(errors="replace") or "its guard ended")
        except BaseException:
            our_end.close()
            raise
        return cls(process, our_end)

    async def wait(self, seconds: float) -> None:
        """Wait until the guarded command has ended, but at most so many seconds."""
        if self.process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), seconds)

    async def end(self) -> None:
        """Let the process guard end the command and all its children, and wait until that is done."""
        self._guard_socket.close()
        await self.process.wait()
