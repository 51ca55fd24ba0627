"""A relay that the kit starts itself: its output is read, and it ends with all its children."""

import asyncio
import shlex
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections import deque
from collections.abc import Mapping

from spatius_sim.net.guarded_process import GuardedProcess
from spatius_sim.protocol.errors import UsageError

_LINES_KEPT = 50
_LINES_SHOWN = 5
_LONGEST_LINE = 4096
_PIECE = 65536
_GRACE_SECONDS = 5.0


class RelayProcess:
    """`command` is a shell-like line that no shell sees. Its output is read to its end, so that it never
    blocks, and the last lines of it are kept."""

    def __init__(self, command: str, environment: Mapping[str, str]) -> None:
        self.command, self._environment = command, dict(environment)
        self._guarded: GuardedProcess | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)
        self.read_bytes = 0

    async def start(self) -> None:
        """Start it where it does not run; raises UsageError where the system cannot."""
        if self._guarded is not None and self._guarded.process.returncode is None:
            return
        await self.stop()
        self._said.clear()
        try:
            self._guarded = await GuardedProcess.start(
                shlex.split(self.command),
                grace=_GRACE_SECONDS,
                stdin=DEVNULL,
                stderr=STDOUT,
                environment=self._environment,
            )
        except (OSError, ValueError) as error:
            raise UsageError(f"--target-cmd {self.command!r} cannot be started: {error}") from error
        self._reading = asyncio.create_task(self._read(self._guarded.process))

    async def obituary(self, grace: float = 0.0) -> str:
        """How it ended and its last lines; "" where it runs still after so many seconds: who finds its port
        closed may be faster than the news of its end."""
        if self._guarded is None:
            return ""
        await self._guarded.wait(grace)
        code = self._guarded.process.returncode
        if code is None:
            return ""
        if self._reading is not None:
            # What is out of our reach may hold its output open when it has ended.
            await asyncio.wait([self._reading], timeout=1.0)
        said = self.last_output() or "nothing"
        return f"{self.command!r} ended with code {code}; its last output: {said}"

    def last_output(self) -> str:
        """Its last lines, without what is indented: the frames of a stack trace, which hide the error."""
        told = [line for line in self._said if not line[0].isspace()] or list(self._said)
        return " | ".join(told[-_LINES_SHOWN:])

    async def stop(self) -> None:
        """End it and all its children, politely at first."""
        guarded, self._guarded = self._guarded, None
        if guarded is None:
            return
        await guarded.end()
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=1.0)
            self._reading.cancel()

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        begun = ""
        while piece := await process.stdout.read(_PIECE):
            self.read_bytes += len(piece)
            *lines, begun = (begun + piece.decode(errors="replace")).split("\n")
            self._said.extend(line[:_LONGEST_LINE].rstrip() for line in lines if line.strip())
            begun = begun[:_LONGEST_LINE]
        if begun.strip():
            self._said.append(begun)
