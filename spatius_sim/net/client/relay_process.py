"""Runs a relay that the kit starts itself: reads its output, and ends it with all its children."""

import asyncio
import shlex
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections import deque
from collections.abc import Mapping

from spatius_sim.net.start_guarded_process import GuardedProcess
from spatius_sim.protocol.errors import UsageError
from spatius_sim.trace.secrets_in_commands import command_without_secrets

_LINES_KEPT = 50
_LINES_SHOWN = 5
_LONGEST_LINE = 4096
_READ_BYTES = 65536
_GRACE_SECONDS = 5.0


class RelayProcess:
    """Runs a command that starts a relay. The command is split into words as in a shell, but run without one.

    All output is read, so that the relay never blocks while it writes. The last lines are kept."""

    def __init__(self, command: str, environment: Mapping[str, str]) -> None:
        """Keep the command line and the environment variables with which `start` starts the process of a
        relay."""
        self.command, self._environment = command, dict(environment)
        self._guarded: GuardedProcess | None = None
        self._reading: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self.output_bytes = 0

    async def start(self) -> None:
        """Start the relay's process, unless it runs already. Raises UsageError if the operating system cannot
        start it."""
        if self._guarded is not None and self._guarded.process.returncode is None:
            return
        await self.stop()
        self._last_lines.clear()
        try:
            self._guarded = await GuardedProcess.start(
                shlex.split(self.command),
                grace=_GRACE_SECONDS,
                stdin=DEVNULL,
                stderr=STDOUT,
                environment=self._environment,
            )
        except (OSError, ValueError) as error:
            raise UsageError(
                f"--target-cmd {command_without_secrets(self.command)!r} cannot be started: {error}"
            ) from error
        self._reading = asyncio.create_task(self._read_output(self._guarded.process))

    async def describe_death(self, grace_seconds: float = 0.0) -> str:
        """Return in words how the relay's process ended, with its last output. Return "" if the process was
        not started, or still runs after `grace_seconds`.

        The grace is for callers that see a closed port before the system reports the end of the process."""
        if self._guarded is None:
            return ""
        await self._guarded.wait(grace_seconds)
        code = self._guarded.process.returncode
        if code is None:
            return ""
        if self._reading is not None:
            # A process out of our reach may hold the output open after the relay has ended.
            await asyncio.wait([self._reading], timeout=1.0)
        output = self.last_output() or "nothing"
        return f"{command_without_secrets(self.command)!r} ended with code {code}; its last output: {output}"

    def last_output(self) -> str:
        """Return the last lines that the relay printed, joined by " | ". Indented lines are left out: in a
        stack trace they hide the error."""
        lines = [line for line in self._last_lines if not line[0].isspace()] or list(self._last_lines)
        return " | ".join(lines[-_LINES_SHOWN:])

    async def stop(self) -> None:
        """Ask the relay's process to end, and kill it if it does not; its children end with it. Do nothing if
        no process was started."""
        guarded, self._guarded = self._guarded, None
        if guarded is None:
            return
        await guarded.end()
        if self._reading is not None:
            await asyncio.wait([self._reading], timeout=1.0)
            self._reading.cancel()

    async def _read_output(self, process: Process) -> None:
        """Read the output of the relay's process until it ends, so that the process never blocks. Count the
        bytes, and keep the last lines; long lines are cut."""
        assert process.stdout is not None
        unfinished_line = ""
        while piece := await process.stdout.read(_READ_BYTES):
            self.output_bytes += len(piece)
            *lines, unfinished_line = (unfinished_line + piece.decode(errors="replace")).split("\n")
            self._last_lines.extend(line[:_LONGEST_LINE].rstrip() for line in lines if line.strip())
            unfinished_line = unfinished_line[:_LONGEST_LINE]
        if unfinished_line.strip():
            self._last_lines.append(unfinished_line)
