"""How the kit reaches a Motion Server under test: over sockets, or in virtual time."""

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from spatius_sim.net.client.own_server_sdk import UpstreamClient, ask_for_token
from spatius_sim.protocol.console_api import HttpAnswer
from spatius_sim.virtual import virtual_server_sdk
from spatius_sim.virtual.virtual_loop import VirtualLoop


class OpenSession(Protocol):
    """An open session with a Motion Server."""

    async def send(self, raw: str | bytes) -> None:
        """Send one frame; nothing happens on a connection that is gone."""

    async def reset(self) -> None:
        """End the connection at once, without a closing handshake; nothing happens if it is gone."""

    def frames(self) -> AsyncIterator[str | bytes]:
        """Yield the frames that the server sends, until the session is over."""

    @property
    def close_code(self) -> int:
        """The code with which the session was closed; 1006 if there was no closing frame."""


class ServerAccess(Protocol):
    """The two doors of a Motion Server: Console API and ingress."""

    def unix_time(self) -> float:
        """Return the unix time in seconds, as the kit sees it."""

    async def ask_for_token(self, api_key: str, expire_at: int) -> HttpAnswer:
        """Ask the Motion Server under test for a token that expires at `expire_at` (unix seconds). If
        `api_key` is "", no key is sent. Raises UnreachableError if no answer comes."""

    def open_session(
        self, token: str, app_id: str, avatar_id: str, *, token_in_query: bool = False
    ) -> AbstractAsyncContextManager[OpenSession]:
        """Open a session with the Motion Server under test, with the credentials in headers or in the query.
        Raises UpgradeRefusedError if the upgrade is refused, UnreachableError if no answer comes."""


class ServerOverSockets:
    """A Motion Server at two URLs."""

    def __init__(self, console: str, ingress: str) -> None:
        """Reach a Motion Server at the URLs of its Console API and its ingress."""
        self._console, self._ingress = console, ingress

    def unix_time(self) -> float:
        """Return this machine's unix time in seconds."""
        return time.time()

    async def ask_for_token(self, api_key: str, expire_at: int) -> HttpAnswer:
        """Ask the Motion Server's Console API for a token, over a socket. Raises UnreachableError if no
        answer comes."""
        return await ask_for_token(self._console, api_key, expire_at)

    def open_session(
        self, token: str, app_id: str, avatar_id: str, *, token_in_query: bool = False
    ) -> UpstreamClient:
        """Return a session with the Motion Server under test, over a socket to its ingress; `async with`
        opens it. The token and the ids are sent in headers or, if `token_in_query`, in the URL. Opening
        raises UpgradeRefusedError if the upgrade is refused, and UnreachableError if no answer comes."""
        return UpstreamClient(
            self._console,
            self._ingress,
            api_key="",
            app_id=app_id,
            avatar_id=avatar_id,
            token=token,
            token_in_query=token_in_query,
        )


class ServerInMemory:
    """A Motion Server in virtual time."""

    def __init__(self, loop: VirtualLoop, server: virtual_server_sdk.Server) -> None:
        """Reach a Motion Server in memory, by the clock of this virtual loop."""
        self._loop, self._server = loop, server

    def unix_time(self) -> float:
        """Return the unix time in seconds on the virtual clock."""
        return self._loop.unix_time()

    async def ask_for_token(self, api_key: str, expire_at: int) -> HttpAnswer:
        """Ask the server for a token. Raises UnreachableError if no answer comes."""
        return await virtual_server_sdk.ask_for_token(self._server, api_key, expire_at)

    @asynccontextmanager
    async def open_session(
        self, token: str, app_id: str, avatar_id: str, *, token_in_query: bool = False
    ) -> AsyncIterator[virtual_server_sdk.VirtualSession]:
        """Open a session with the Motion Server in memory, yield the session, and close it at the end. If
        `token_in_query`, the server takes the token as sent in the query of the URL, not in headers. Raises
        UpgradeRefusedError if the upgrade is refused, and UnreachableError if no answer comes."""
        client_end = await virtual_server_sdk.open_session(
            self._server, app_id, token, avatar_id, in_query=token_in_query
        )
        session = virtual_server_sdk.VirtualSession(client_end)
        try:
            yield session
        finally:
            await session.close()
