"""How a client under test is reached: as a process over stdio, or over a WebSocket that it opens to us."""

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

from spatius_sim.net.guarded_process import GuardedProcess
from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError, UsageError

_LARGEST_LINE = 16 * 1_048_576
_LINES_KEPT = 20
_EXIT_SECONDS = 1.0
_LOOK_SECONDS = 0.25
"""How often to look whether a testee that says nothing is still there."""


class TesteeError(SpatiusSimError):
    """The testee hung, ended, or said what is no answer: nothing can be said of its client."""


class Testee(Protocol):
    """Something that answers lines."""

    async def open(self, seconds: float) -> None:
        """Start it, or wait for it; raises UnreachableError."""

    async def ask(self, line: str, seconds: float) -> str | bytes:
        """Its answer; raises TesteeError where none comes in that time."""

    def last_output(self) -> str:
        """What it said last, for a person."""

    async def close(self) -> None:
        """End it, and everything that it started."""


class StdioTestee:
    """A command that answers on its standard output what it reads on its standard input."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._guarded: GuardedProcess | None = None
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)
        self._listening: asyncio.Task[None] | None = None

    async def open(self, seconds: float) -> None:
        """Start the command; raises UnreachableError where it cannot be started."""
        try:
            words = shlex.split(self._command)
            if not words:
                raise UnreachableError("--client names no command")
            self._guarded = await GuardedProcess.start(
                words, grace=0, stdin=PIPE, stderr=PIPE, limit=_LARGEST_LINE
            )
        except (OSError, ValueError) as error:
            raise UnreachableError(f"{self._command!r} cannot be started: {error}") from error
        self._listening = asyncio.create_task(self._listen(self._guarded.process))

    async def ask(self, line: str, seconds: float) -> str | bytes:
        """Write the line, read one back."""
        assert self._guarded is not None
        process = self._guarded.process
        assert process.stdin is not None
        assert process.stdout is not None
        deadline = time.monotonic() + seconds
        try:
            process.stdin.write(line.encode() + b"\n")
            answer = None
            while answer is None:
                try:
                    async with asyncio.timeout(min(_LOOK_SECONDS, seconds)):
                        await process.stdin.drain()
                        answer = await process.stdout.readline()
                except TimeoutError:
                    # What is out of our reach may hold its stdout open when it has ended.
                    if process.returncode is not None:
                        answer = b""
                    elif time.monotonic() >= deadline:
                        raise TesteeError(f"it did not answer for {seconds:g} s") from None
        except ValueError:
            raise TesteeError(f"it wrote more than {_LARGEST_LINE} bytes without an end of line") from None
        except ConnectionError:
            answer = b""
        if not answer.endswith(b"\n"):
            await self._guarded.wait(_EXIT_SECONDS)
            raise TesteeError(f"it ended with code {process.returncode}")
        self._said.append(answer.decode(errors="replace").rstrip())
        return answer

    def last_output(self) -> str:
        """Its last lines, of stdout and stderr."""
        return "\n".join(self._said)

    async def close(self) -> None:
        """Close its stdin, and after a second kill it and all its children."""
        guarded, self._guarded = self._guarded, None
        if guarded is None:
            return
        if guarded.process.stdin is not None:
            guarded.process.stdin.close()
        await guarded.wait(_EXIT_SECONDS)
        await guarded.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_SECONDS):
                await self._read_out(guarded.process)

    async def _read_out(self, process: Process) -> None:
        """Read both pipes to their end, so that nothing of the process stays open."""
        assert process.stdout is not None
        assert self._listening is not None
        await process.stdout.read()
        await self._listening
        await asyncio.sleep(0)

    async def _listen(self, process: Process) -> None:
        assert process.stderr is not None
        with suppress(ValueError):
            async for line in process.stderr:
                self._said.append(line.decode(errors="replace").rstrip())


class SocketTestee:
    """We listen, the testee connects; one at a time."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", 80 if parts.port is None else parts.port
        self._server: Server | None = None
        self._come: asyncio.Queue[ServerConnection] = asyncio.Queue()
        self._socket: ServerConnection | None = None
        self._said = ""

    async def listen(self) -> int:
        """Bind the address, and return the port; raises UsageError where it cannot be had."""
        if self._server is None:
            try:
                self._server = await serve(self._welcome, self._host, self._port, max_size=_LARGEST_LINE)
            except OSError as error:
                place = f"{self._host}:{self._port}"
                raise UsageError(f"the kit cannot listen at {place}: {error.strerror}") from error
        return int(next(iter(self._server.sockets)).getsockname()[1])

    async def open(self, seconds: float) -> None:
        """Wait for a testee; raises UnreachableError when none connects in time."""
        port = await self.listen()
        try:
            self._socket = await asyncio.wait_for(self._come.get(), seconds)
        except TimeoutError:
            place = f"ws://{self._host}:{port}"
            raise UnreachableError(f"no client connected to {place} within {seconds:g} s") from None

    async def ask(self, line: str, seconds: float) -> str | bytes:
        """Send the line, receive one."""
        assert self._socket is not None
        try:
            await self._socket.send(line)
            answer = await asyncio.wait_for(self._socket.recv(), seconds)
        except TimeoutError:
            raise TesteeError(f"it did not answer for {seconds:g} s") from None
        except ConnectionClosed as error:
            raise TesteeError(f"its connection was closed: {error}") from None
        self._said = answer if isinstance(answer, str) else answer.decode(errors="replace")
        return answer

    def last_output(self) -> str:
        """Its last message."""
        return self._said

    async def close(self) -> None:
        """Close its connection; the address stays ours."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    async def stop(self) -> None:
        """Give the address up."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _welcome(self, socket: ServerConnection) -> None:
        await self._come.put(socket)
        await socket.wait_closed()
