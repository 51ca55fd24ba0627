"""A small Server SDK of our own: asks for a token, connects to a Motion Server, sends and receives."""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

import aiohttp
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from spatius_sim.net.client.refuse_redirects import connect_directly
from spatius_sim.net.reset_connection import reset_connection
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.protocol.codec import MAX_AUDIO_MESSAGE_BYTES
from spatius_sim.protocol.console_api import HttpAnswer, UpgradeRefusedError, session_token_in
from spatius_sim.protocol.errors import UnreachableError

_TIMEOUT_SECONDS = 10.0


async def ask_for_token(console_endpoint: str, api_key: str, expire_at: int) -> HttpAnswer:
    """Ask the Console API for a session token that expires at `expire_at` (unix seconds), as a Server SDK
    does. Return the HTTP answer, whatever its status.

    If `api_key` is "", no X-Api-Key is sent. Raises UnreachableError if no answer comes."""
    headers = {"X-Api-Key": api_key} if api_key else {}
    url = f"{console_endpoint.rstrip('/')}/session-tokens"
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(url, headers=headers, json={"expireAt": expire_at}, allow_redirects=False) as answer,
        ):
            return HttpAnswer(answer.status, await answer.text(errors="replace"))
    except aiohttp.ClientConnectorError as error:
        raise UnreachableError(f"{console_endpoint} did not answer: {error.os_error}") from error
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise UnreachableError(f"{console_endpoint} did not answer: {error or 'too late'}") from error


class UpstreamClient:
    """One session of our small Server SDK with a Motion Server, open inside `async with`.

    If `token` is None, the session asks for a token that expires at `expire_at` (unix seconds). The
    credentials go into headers or, if `token_in_query`, into the query. Opening raises UpgradeRefusedError if
    the upgrade is refused, and UnreachableError if the token is refused or no answer comes."""

    def __init__(
        self,
        console_endpoint: str,
        ingress_endpoint: str,
        *,
        api_key: str,
        app_id: str,
        avatar_id: str,
        expire_at: int = 0,
        token: str | None = None,
        token_in_query: bool = False,
    ) -> None:
        """Prepare one session of the kit's own small Server SDK with a Motion Server; `async with` connects.
        The endpoints are the URLs of the server's Console API and of its WebSocket ingress. If `token` is
        None, a session token that expires at `expire_at` (unix seconds) is requested first. With
        `token_in_query`, the credentials are sent in the URL, not in headers."""
        self._console = console_endpoint.rstrip("/")
        self._ingress = ingress_endpoint.rstrip("/")
        self._api_key, self._app_id, self._avatar_id = api_key, app_id, avatar_id
        self._expire_at = expire_at
        self._session_token, self._token_in_query = token, token_in_query
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        """Connect to Motion Server by WebSocket, as the Server SDK does; ask for a session token before, if
        none was given. Raises UpgradeRefusedError if Motion Server refuses the upgrade, and UnreachableError
        if the token is refused or no answer comes."""
        token = await self._fetch_token() if self._session_token is None else self._session_token
        headers = {"X-App-ID": self._app_id, "X-Session-Key": token}
        query_credentials = {"appId": self._app_id, "sessionKey": token}
        query = urlencode({"id": self._avatar_id} | (query_credentials if self._token_in_query else {}))
        try:
            self._socket = await connect_directly(
                f"{self._ingress}/websocket?{query}",
                additional_headers={} if self._token_in_query else headers,
                # The caller must see also a message that is too large for an SDK, to report it.
                max_size=MAX_AUDIO_MESSAGE_BYTES,
                open_timeout=_TIMEOUT_SECONDS,
                compression=None,
                proxy=None,
            )
        except InvalidStatus as error:
            body = error.response.body.decode(errors="replace").strip()
            raise UpgradeRefusedError(HttpAnswer(error.response.status_code, body)) from error
        except (OSError, TimeoutError, ConnectionClosed, ValueError) as error:
            raise UnreachableError(f"{self._ingress} did not answer: {error}") from error
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the WebSocket to Motion Server at the end of `async with`, with or without an error."""
        await self.close()

    async def send(self, frame: str | bytes) -> None:
        """Send one WebSocket frame to Motion Server, as its Server SDK does. Do nothing if the connection is
        not open."""
        if self._socket is not None:
            try:
                await self._socket.send(frame)
            except ConnectionClosed:
                return

    async def close(self) -> None:
        """Close the session with Motion Server, if it is open."""
        if self._socket is not None:
            await self._socket.close()

    async def reset(self) -> None:
        """Reset the connection to Motion Server, if it is open. The server sees no closing handshake."""
        if self._socket is not None:
            reset_connection(self._socket.transport)

    async def frames(self) -> AsyncIterator[str | bytes]:
        """Yield the WebSocket frames that Motion Server sends, until either side closes the connection. Yield
        nothing if the connection was never opened."""
        if self._socket is not None:
            try:
                async for frame in self._socket:
                    yield frame
            except ConnectionClosed:
                return

    @property
    def close_code(self) -> int:
        """The code with which the session was closed; 1006 if there was no closing frame."""
        return (self._socket.close_code if self._socket else None) or ABNORMAL_CLOSE

    async def _fetch_token(self) -> str:
        """Ask the Console API for a session token, as a Server SDK does before it connects to Motion Server,
        and return the token. Raises UnreachableError if no answer comes, or if the answer has no token."""
        answer = await ask_for_token(self._console, self._api_key, self._expire_at)
        if answer.status != 200:
            raise UnreachableError(f"the token was refused: HTTP {answer.status} {answer.body}")
        token = session_token_in(answer)
        if not token:
            raise UnreachableError(f"{self._console} answered without a sessionToken")
        return token
