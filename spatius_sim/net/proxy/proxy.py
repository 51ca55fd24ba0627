"""A recording proxy between a relay and Motion Server: bytes pass unchanged, and are recorded as events.

The proxy serves Console API and ingress on one port of 127.0.0.1. It replaces only the target and the Host of
a request, because they name the server. WebSocket frames and bodies pass even if they cannot be understood.
HTTP that two readers could understand in different ways is refused: with 400 if the relay sent it, and with
502 if the upstream sent it.
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from spatius_sim.net.ports_and_hosts import LOOPBACK, explain_port_error, host_for_urls
from spatius_sim.net.proxy.connection_end import ConnectionEnd
from spatius_sim.net.proxy.name_lookup import NameLookup
from spatius_sim.net.proxy.proxy_connection import ProxiedConnection
from spatius_sim.net.proxy.proxy_recorder import ProxyRecorder
from spatius_sim.net.proxy.proxy_target import (
    CONNECT_SECONDS,
    ProxyTarget,
    connect_to_target,
    describe_unreachable,
    read_proxy_targets,
)
from spatius_sim.protocol.console_api import (
    CONSOLE_ROOT,
    INGRESS_ROOT,
)
from spatius_sim.trace.events import Event

_CATCHING_UP_SECONDS = 0.5
"""How long the proxy, when it ends, still reads bytes that have passed."""


class RecordingProxy:
    """`async with RecordingProxy(...) as proxy:` serves until the block ends.

    `on_event` is called for each event. `port` 0 takes a free port; `host` is the address to listen at.
    Raises UsageError if the port cannot be used."""

    def __init__(
        self,
        upstream: tuple[str, ...],
        on_event: Callable[[Event], None],
        *,
        port: int = 0,
        host: str = LOOPBACK,
    ) -> None:
        """Prepare a proxy that passes everything on to the servers at `upstream`, and records it. `async
        with` begins to listen.

        `upstream` holds one base URL, or two URLs: that of the Console API and that of the ingress (the
        WebSocket server). Raises UsageError if only one of these two is given."""
        self.port, self.host = port, host
        self._targets = read_proxy_targets(upstream)
        self._recorder = ProxyRecorder(on_event)
        self._name_lookup = NameLookup()
        self._server: asyncio.Server | None = None
        self._serving_tasks: set[asyncio.Task[None]] = set()
        self._session_count = 0

    async def unreachable_targets(self) -> list[str]:
        """Try a connection to each target of the proxy, and return a text for each host that accepts no
        connection: its name, and why."""
        reasons = await asyncio.gather(*(self._explain_unreachable(target) for target in self._targets))
        return sorted({reason for reason in reasons if reason})

    async def _explain_unreachable(self, target: ProxyTarget) -> str:
        """Connect to this target of the proxy, and close the connection again. Return why that failed, or ""
        if it worked."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                connection = await connect_to_target(target, self._name_lookup)
        except (OSError, TimeoutError) as error:
            return describe_unreachable(target, error)
        connection.close_after_writing()
        return ""

    @property
    def console_endpoint(self) -> str:
        """The URL of the proxy that a Server SDK takes as its console endpoint."""
        return f"http://{host_for_urls(self.host)}:{self.port}{CONSOLE_ROOT}"

    @property
    def ingress_endpoint(self) -> str:
        """The URL of the proxy that a Server SDK takes as its ingress endpoint."""
        return f"ws://{host_for_urls(self.host)}:{self.port}{INGRESS_ROOT}"

    async def __aenter__(self) -> Self:
        """Begin to listen on the proxy's port, and set `port` to the port that is really used. Raises
        UsageError if the port cannot be used."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._make_relay_end, self.host, self.port)
        except OSError as error:
            raise explain_port_error(error, self.port, self.host) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening, and end all connections of the proxy. Then record the bytes that have passed but
        are not decoded yet, for at most _CATCHING_UP_SECONDS."""
        if self._server is not None:
            self._server.close()
        serving_tasks = list(self._serving_tasks)
        for task in serving_tasks:
            task.cancel()
        await asyncio.gather(*serving_tasks, return_exceptions=True)
        self._recorder.record_waiting_items(_CATCHING_UP_SECONDS)

    def _make_relay_end(self) -> ConnectionEnd:
        """Return the asyncio protocol for a relay's new connection to the proxy. As soon as the connection is
        open, a task serves it."""
        relay_end = ConnectionEnd()

        def start_serving() -> None:
            """Start a task that serves the relay's new connection to the proxy, and keep it until it is
            done."""
            proxied_connection = ProxiedConnection(
                self._targets, self._recorder, relay_end, self._name_lookup, self._next_session_name
            )
            serving_task = asyncio.create_task(proxied_connection.run())
            self._serving_tasks.add(serving_task)
            serving_task.add_done_callback(self._serving_tasks.discard)

        relay_end.on_connected = start_serving
        return relay_end

    def _next_session_name(self) -> str:
        """Return the name of the next session that the proxy records: upstream-1, upstream-2 and so on."""
        self._session_count += 1
        return f"upstream-{self._session_count}"
