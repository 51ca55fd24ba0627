"""Starts a process that ends with all its children when we end it, or when we end ourselves in whatever
way."""

import asyncio
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from spatius_sim.net import process_guard

_GUARD = str(Path(process_guard.__file__))
_MOST_BYTES = 4096
_LIMIT = 65536


class GuardedProcess:
    """A command that runs under a guard (see process_guard.py), in a session of its own. `process` bears the
    command's streams and exit code."""

    def __init__(self, process: Process, line: socket.socket) -> None:
        self.process, self._line = process, line

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        grace: float,
        stdin: int,
        stderr: int,
        environment: Mapping[str, str] | None = None,
        limit: int = _LIMIT,
    ) -> "GuardedProcess":
        """Start the command. When it is ended, it has `grace` seconds between the polite request and the
        kill; 0 kills it at once. Raises OSError or ValueError if it cannot be started."""
        ours, guards = socket.socketpair()
        try:
            ours.setblocking(False)
            with guards:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", _GUARD, str(guards.fileno()), str(grace)),
                    *command,
                    stdin=stdin,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=stderr,
                    env=environment,
                    limit=limit,
                    start_new_session=True,
                    pass_fds=(guards.fileno(),),
                )
            report = await asyncio.get_running_loop().sock_recv(ours, _MOST_BYTES)
            if report != process_guard.STARTED:
                await process.communicate()
                raise OSError(report.decode(errors="replace") or "its guard ended")
        except BaseException:
            ours.close()
            raise
        return cls(process, ours)

    async def wait(self, seconds: float) -> None:
        """Wait until the command has ended, for at most `seconds`."""
        if self.process.returncode is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.process.wait(), seconds)

    async def end(self) -> None:
        """End the command and all its children, if any of them still runs."""
        self._line.close()
        await self.process.wait()
