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
    proxy_targets,
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
        """Prepare a recording proxy before `upstream`, the targets to which it passes everything on; `async
        with` begins to listen. `on_event` is called with each recorded event. Raises UsageError if a target
        is missing in `upstream`."""
        self.port, self.host = port, host
        self._targets = proxy_targets(upstream)
        self._recorder = ProxyRecorder(on_event)
        self._lookup = NameLookup()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0

    async def unreachable_targets(self) -> list[str]:
        """Try a connection to each target of the proxy, and return a text for each host that accepts no
        connection: its name, and why."""
        faults = await asyncio.gather(*(self._find_fault(target) for target in self._targets))
        return sorted({fault for fault in faults if fault})

    async def _find_fault(self, target: ProxyTarget) -> str:
        """Try whether the proxy can reach this target: connect and close. Return why there is no connection,
        or "" if it works."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                end = await connect_to_target(target, self._lookup)
        except (OSError, TimeoutError) as error:
            return describe_unreachable(target, error)
        end.close_after_writing()
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
        """Let the proxy listen on its port. Raises UsageError if the port cannot be used."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._make_end, self.host, self.port)
        except OSError as error:
            raise explain_port_error(error, self.port, self.host) from error
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all connections of the proxy; then spend up to _CATCHING_UP_SECONDS on decoding the bytes
        that are recorded but not decoded yet."""
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._recorder.catch_up(_CATCHING_UP_SECONDS)

    def _make_end(self) -> ConnectionEnd:
        """Return the end for a new connection to the proxy. When the connection is open, a task serves it."""
        end = ConnectionEnd()

        def start_serving() -> None:
            """Start the task that serves the new connection to the proxy."""
            connection = ProxiedConnection(self._targets, self._recorder, end, self._lookup, self._new_name)
            task = asyncio.create_task(connection.run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        end.on_connected = start_serving
        return end

    def _new_name(self) -> str:
        """Return the name of the next session that the proxy records: upstream-1, upstream-2 and so on."""
        self._connections += 1
        return f"upstream-{self._connections}"
