"""A Server SDK of our own, as small as can be: it asks for a token, connects, sends and receives."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES
from spatius_sim.protocol.errors import UnreachableError

_TIMEOUT_SECONDS = 10.0


class UpstreamClient:
    """One session with a Motion Server. `async with` asks for a token that expires at `expire_at` (unix
    seconds) and opens the WebSocket; raises UnreachableError where either is refused or not answered."""

    def __init__(
        self,
        console_endpoint: str,
        ingress_endpoint: str,
        *,
        api_key: str,
        app_id: str,
        avatar_id: str,
        expire_at: int,
    ) -> None:
        self._console = console_endpoint.rstrip("/")
        self._ingress = ingress_endpoint.rstrip("/")
        self._api_key, self._app_id, self._avatar_id = api_key, app_id, avatar_id
        self._expire_at = expire_at
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        token = await self._token()
        query = urlencode({"id": self._avatar_id})
        try:
            self._socket = await connect(
                f"{self._ingress}/websocket?{query}",
                additional_headers={"X-App-ID": self._app_id, "X-Session-Key": token},
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=_TIMEOUT_SECONDS,
                compression=None,
                proxy=None,
            )
        except InvalidStatus as error:
            body = error.response.body.decode(errors="replace").strip()
            raise UnreachableError(
                f"the upgrade was refused: HTTP {error.response.status_code} {body}"
            ) from error
        except (OSError, TimeoutError, ConnectionClosed, ValueError) as error:
            raise UnreachableError(f"{self._ingress} did not answer: {error}") from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def send(self, raw: bytes) -> None:
        """Send one envelope; nothing happens on a connection that is gone."""
        if self._socket is not None:
            try:
                await self._socket.send(raw)
            except ConnectionClosed:
                return

    async def close(self) -> None:
        """Close the session."""
        if self._socket is not None:
            await self._socket.close()

    async def frames(self) -> AsyncIterator[str | bytes]:
        """What the server sends, until it or we close."""
        if self._socket is not None:
            try:
                async for frame in self._socket:
                    yield frame
            except ConnectionClosed:
                return

    @property
    def close_code(self) -> int:
        """The code with which the session was closed; 1006 where there was no closing frame."""
        return (self._socket.close_code if self._socket else None) or 1006

    async def _token(self) -> str:
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(
                    f"{self._console}/session-tokens",
                    headers={"X-Api-Key": self._api_key},
                    json={"expireAt": self._expire_at},
                ) as answer,
            ):
                text = await answer.text()
                if answer.status != 200:
                    raise UnreachableError(f"the token was refused: HTTP {answer.status} {text}")
                return str((await answer.json())["sessionToken"])
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError) as error:
            raise UnreachableError(f"{self._console} did not answer: {error}") from error
