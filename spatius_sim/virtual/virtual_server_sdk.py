"""A Server SDK in virtual time: asks for a token, opens sessions, sends and receives."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Protocol

from spatius_sim.protocol.console_api import HttpAnswer, RequestRefusedError, UpgradeRefusedError
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.virtual.memory_connection import Frame, MemoryEnd

_TIMEOUT_SECONDS = 10.0
"""How long an answer may take, as over sockets."""


class NoAnswerError(Exception):
    """A request gets no answer: its connection was reset."""


class Server(Protocol):
    """A Motion Server in virtual time."""

    async def ask_for_token(self, api_key: str, body: bytes) -> HttpAnswer:
        """Answer a token request. Raises NoAnswerError."""

    async def upgrade(
        self, app_id: str, session_key: str, avatar_id: str, *, in_query: bool = False
    ) -> MemoryEnd:
        """Open a session, and return the client's end. The credentials come in headers, or `in_query`. Raises
        RequestRefusedError and NoAnswerError."""


async def ask_for_token(server: Server, api_key: str, expire_at: int) -> HttpAnswer:
    """Ask a Motion Server in virtual time for a session token, as a Server SDK does, and return its HTTP
    answer. The token is to expire at `expire_at` (unix time in seconds). Raises UnreachableError if no answer
    comes in time."""
    body = json.dumps({"expireAt": expire_at}).encode()
    try:
        return await asyncio.wait_for(server.ask_for_token(api_key, body), _TIMEOUT_SECONDS)
    except (NoAnswerError, TimeoutError) as error:
        raise UnreachableError("Motion Server did not answer the token request") from error


async def open_session(
    server: Server, app_id: str, token: str, avatar_id: str, *, in_query: bool = False
) -> MemoryEnd:
    """Open a session with a Motion Server in virtual time, as a Server SDK does, and return the client's end
    of the connection. The credentials are sent in headers, or `in_query`. Raises UpgradeRefusedError if the
    server refuses (for example the token), and UnreachableError if no answer comes in time."""
    try:
        upgrade = server.upgrade(app_id, token, avatar_id, in_query=in_query)
        return await asyncio.wait_for(upgrade, _TIMEOUT_SECONDS)
    except RequestRefusedError as refused:
        raise UpgradeRefusedError(refused.answer) from refused
    except (NoAnswerError, TimeoutError) as error:
        raise UnreachableError("Motion Server did not answer the upgrade") from error


class VirtualSession:
    """One open session of a Server SDK with the virtual Motion Server, as its client sees it."""

    def __init__(self, end: MemoryEnd) -> None:
        """Begin a session of the virtual Server SDK. `end` is the client's side of its connection: frames
        that arrive there are kept for the method `frames`, and None after them when the connection is
        over."""
        self._end = end
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        end.on_frame = self._frames.put_nowait
        end.on_end = lambda code, reason: self._frames.put_nowait(None)

    async def send(self, raw: Frame) -> None:
        """Send one envelope to the virtual Motion Server; do nothing if the connection is closed."""
        self._end.send(raw)

    async def close(self) -> None:
        """Close the session with the virtual Motion Server."""
        self._end.close()

    async def reset(self) -> None:
        """End the connection to the virtual Motion Server without a closing handshake."""
        self._end.reset()

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield the frames that the virtual Motion Server sends, until the connection is over."""
        while (frame := await self._frames.get()) is not None:
            yield frame

    @property
    def close_code(self) -> int:
        """The code with which this virtual session was closed."""
        return self._end.close_code
