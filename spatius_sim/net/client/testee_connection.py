"""Reaches a testee: as a process over stdio, or over a WebSocket that the testee opens to us.

A testee is the program that connects a client under test to the kit."""

import asyncio
import shlex
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from contextlib import suppress
from typing import Protocol
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from spatius_sim.net.start_guarded_process import GuardedProcess
from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError, UsageError
from spatius_sim.trace.secrets_in_commands import command_without_secrets

_LARGEST_LINE = 16 * 1_048_576
_LINES_KEPT = 20
_EXIT_SECONDS = 1.0
_CHECK_SECONDS = 0.25
"""How often to check that a silent testee still runs."""


class TesteeError(SpatiusSimError):
    """The testee did not answer, ended, or sent no valid answer, so its client cannot be judged."""


class Testee(Protocol):
    """A connection to a testee, which answers each line of ours with one line."""

    async def open(self, timeout_seconds: float) -> None:
        """Start the testee, or wait until it connects. Raises UnreachableError if this fails within
        `timeout_seconds`."""

    async def ask(self, line: str, timeout_seconds: float) -> str | bytes:
        """Send a line to the testee and return its answer. Raises TesteeError if no answer comes within
        `timeout_seconds`."""

    def last_output(self) -> str:
        """Return the testee's last output, for people to read."""

    def last_errors(self) -> str:
        """Return the last lines that the testee wrote to its stderr; "" if it has none."""

    async def close(self) -> None:
        """End the testee and its children, or the connection to it."""


class StdioTestee:
    """Reaches a testee that is a command: it reads requests on its standard input and answers on its standard
    output."""

    def __init__(self, command: str) -> None:
        """Keep the command of the testee, the program that connects a client under test to this kit. `open`
        starts it."""
        self._command = command
        self._guarded: GuardedProcess | None = None
        self._last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._last_stderr_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._stderr_task: asyncio.Task[None] | None = None

    async def open(self, timeout_seconds: float) -> None:
        """Start the testee's command, to talk with it over its stdin and stdout. `timeout_seconds` is not
        used. Raises UnreachableError if the command is empty or cannot be started."""
        try:
            words = shlex.split(self._command)
            if not words:
                raise UnreachableError("--client names no command")
            self._guarded = await GuardedProcess.start(
                words, grace=0, stdin=PIPE, stderr=PIPE, limit=_LARGEST_LINE
            )
        except (OSError, ValueError) as error:
            raise UnreachableError(
                f"{command_without_secrets(self._command)!r} cannot be started: {error}"
            ) from error
        self._stderr_task = asyncio.create_task(self._keep_stderr(self._guarded.process))

    async def ask(self, line: str, timeout_seconds: float) -> str | bytes:
        """Write a line to the testee's command and return the line that it answers.

        Raises TesteeError if the command ends, answers nothing within `timeout_seconds`, or writes more than
        16 MiB without an end of line."""
        assert self._guarded is not None
        process = self._guarded.process
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = time.monotonic() + timeout_seconds
        try:
            process.stdin.write(line.encode() + b"\n")
            answer = None
            while answer is None:
                try:
                    async with asyncio.timeout(min(_CHECK_SECONDS, timeout_seconds)):
                        await process.stdin.drain()
                        answer = await process.stdout.readline()
                except TimeoutError:
                    # A process out of our reach may hold the stdout open after the testee has ended.
                    if process.returncode is not None:
                        answer = b""
                    elif time.monotonic() >= deadline:
                        raise TesteeError(f"it did not answer for {timeout_seconds:g} s") from None
        except ValueError:
            raise TesteeError(f"it wrote more than {_LARGEST_LINE} bytes without an end of line") from None
        except ConnectionError:
            answer = b""
        if not answer.endswith(b"\n"):
            await self._guarded.wait(_EXIT_SECONDS)
            raise TesteeError(f"it ended with code {process.returncode}")
        self._last_lines.append(answer.decode(errors="replace").rstrip())
        return answer

    def last_output(self) -> str:
        """Return the last lines that the testee wrote to its stdout and stderr."""
        return "\n".join(self._last_lines)

    def last_errors(self) -> str:
        """Return the last lines that the testee wrote to its stderr."""
        return "\n".join(self._last_stderr_lines)

    async def close(self) -> None:
        """End the testee's command: close its stdin, wait a second for its end, and then kill it with all its
        children. Do nothing if no command was started."""
        guarded, self._guarded = self._guarded, None
        if guarded is None:
            return
        if guarded.process.stdin is not None:
            guarded.process.stdin.close()
        await guarded.wait(_EXIT_SECONDS)
        await guarded.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_SECONDS):
                await self._read_rest_of_output(guarded.process)

    async def _read_rest_of_output(self, process: Process) -> None:
        """Read what is left in the stdout and stderr of the testee's process after its end, so that both
        pipes are closed."""
        assert process.stdout is not None
        assert self._stderr_task is not None
        await process.stdout.read()
        await self._stderr_task
        await asyncio.sleep(0)  # Let the event loop close the pipes.

    async def _keep_stderr(self, process: Process) -> None:
        """Read the stderr of the testee's process until it is closed. Keep the last lines twice: alone, and
        among the lines of stdout and stderr together. Stop early if a line is too long."""
        assert process.stderr is not None
        with suppress(ValueError):
            async for line in process.stderr:
                self._last_lines.append(line.decode(errors="replace").rstrip())
                self._last_stderr_lines.append(self._last_lines[-1])


class SocketTestee:
    """Listens on a WebSocket address for testees that connect, and talks to one testee at a time."""

    def __init__(self, url: str) -> None:
        """Keep the WebSocket address `url` at which testees shall connect; without a port it is port 80.
        `listen` begins to listen there. A testee is a program that connects a client under test to this
        kit."""
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", 80 if parts.port is None else parts.port
        self._server: Server | None = None
        self._new_connections: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._socket: ServerConnection | None = None
        self._last_message = ""

    async def listen(self) -> int:
        """Listen at the WebSocket address where testees connect, unless the kit listens already. Return the
        port number.

        Raises UsageError if the kit cannot listen there."""
        if self._server is None:
            try:
                self._server = await serve(self._accept, self._host, self._port, max_size=_LARGEST_LINE)
            except OSError as error:
                place = f"{self._host}:{self._port}"
                raise UsageError(f"the kit cannot listen at {place}: {error.strerror}") from error
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def open(self, timeout_seconds: float) -> None:
        """Listen at the WebSocket address, and wait until a testee connects. Raises UnreachableError if none
        connects within `timeout_seconds`."""
        port = await self.listen()
        try:
            self._socket = await asyncio.wait_for(self._new_connections.get(), timeout_seconds)
        except TimeoutError:
            place = f"ws://{self._host}:{port}"
            raise UnreachableError(f"no client connected to {place} within {timeout_seconds:g} s") from None

    async def ask(self, line: str, timeout_seconds: float) -> str | bytes:
        """Send a line to the testee by WebSocket and return its answer. Raises TesteeError if no answer comes
        within `timeout_seconds`, or if the connection is closed."""
        assert self._socket is not None
        try:
            await self._socket.send(line)
            answer = await asyncio.wait_for(self._socket.recv(), timeout_seconds)
        except TimeoutError:
            raise TesteeError(f"it did not answer for {timeout_seconds:g} s") from None
        except ConnectionClosed as error:
            raise TesteeError(f"its connection was closed: {error}") from None
        self._last_message = answer if isinstance(answer, str) else answer.decode(errors="replace")
        return answer

    def last_output(self) -> str:
        """Return the last message that the testee sent."""
        return self._last_message

    def last_errors(self) -> str:
        """Return "": a testee at the other end of a WebSocket writes its stderr elsewhere."""
        return ""

    async def close(self) -> None:
        """Close the connection to the testee, and keep listening for the next testee."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def stop(self) -> None:
        """Stop listening at the WebSocket address where testees connect, so that it is free again. Do nothing
        if the kit does not listen."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, socket: ServerConnection) -> None:
        """Hand the WebSocket of a new testee to `open`, and keep the WebSocket until it is closed."""
        await self._new_connections.put(socket)
        await socket.wait_closed()
