"""Connects the kit's clients to a relay: over sockets, or in virtual time."""

import time
from collections.abc import Callable
from typing import Protocol

from spatius_sim.net.client.find_leaked_secrets import search_answer
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.client.relay_socket import RelaySocket, open_relay_websocket
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.rules.egress.data_packet_size import LARGEST_DATA_BYTES
from spatius_sim.subjects.relay.kit_client import ClientConnection
from spatius_sim.virtual.memory_connection import IDEAL, NARROW, Link, MemoryConnection
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_relay import VirtualRelay
from spatius_sim.wires.events import Frame


class RelayAccess(Protocol):
    """The way to a relay, and the clock that its clients see."""

    @property
    def data_packets(self) -> bool:
        """Whether each frame travels as one data packet of a room."""

    @property
    def in_room(self) -> bool:
        """Whether the relay is in a real room."""

    def unix_time(self) -> float:
        """Return the unix time in seconds."""

    async def dial(
        self,
        address: RelayAddress,
        open_seconds: float,
        on_frame: Callable[[Frame], None],
        on_close: Callable[[int], None],
    ) -> ClientConnection:
        """Connect a client to the relay at `address`, and return the connection. `on_frame` is called with
        each frame that the relay sends, and `on_close` once with the close code. Raises UnreachableError if
        there is no connection within `open_seconds`."""

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Send an HTTP request for `path` to the relay, search the answer for secrets, and record those that
        are found as leaked to `client`. Return whether an answer came, so that it is worth asking again."""


class RelayOverSockets:
    """Real sockets, and this machine's clock."""

    data_packets = False
    in_room = False

    def unix_time(self) -> float:
        """Return this machine's unix time in seconds."""
        return time.time()

    async def dial(
        self,
        address: RelayAddress,
        open_seconds: float,
        on_frame: Callable[[Frame], None],
        on_close: Callable[[int], None],
    ) -> RelaySocket:
        """Connect a client to the relay by a WebSocket at `address`, and return the connection. `on_frame` is
        called with each frame that the relay sends, and `on_close` once with the close code. Raises
        UnreachableError if there is no connection within `open_seconds`."""
        return await open_relay_websocket(address, open_seconds, on_frame, on_close)

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Send an HTTP request for `path` to the relay over a real socket, search the answer for secrets, and
        record those that are found as leaked to `client`. Return whether an answer came, so that it is worth
        asking again."""
        return await search_answer(address, path, recorder, client)


class RelayInMemory:
    """A relay in virtual time, over these links. The URL of an address is not used, and there is no HTTP.
    With `data_packets` frames come as data packets of a room, and those that are too large are lost."""

    in_room = False

    def __init__(
        self,
        loop: VirtualLoop,
        relay: VirtualRelay,
        down: Link = IDEAL,
        up: Link | None = None,
        *,
        data_packets: bool = False,
    ) -> None:
        """Prepare to connect clients to a relay in memory, in the virtual time of `loop`. `down` is the
        network link from the relay to each client, and `up` the link back; None: `up` is like `down`.
        `data_packets`: each frame must fit into one data packet of a room, or is lost."""
        self._loop, self._relay, self._down, self._up = loop, relay, down, up
        self.data_packets = data_packets

    def unix_time(self) -> float:
        """Return the unix time in seconds on the virtual clock."""
        return self._loop.unix_time()

    async def dial(
        self,
        address: RelayAddress,
        open_seconds: float,
        on_frame: Callable[[Frame], None],
        on_close: Callable[[int], None],
    ) -> MemoryConnection:
        """Connect a client to the relay in memory, and return the connection at once: this relay refuses
        nobody. `on_frame` is called with each frame that the relay sends, and `on_close` once with the close
        code. If frames travel as data packets of a room, frames that are too large for one packet are lost.
        If the address is `narrow`, the link to the client holds little data, so the relay soon has to wait if
        the client reads nothing."""
        token = dict(address.headers).get("X-Session-Key", "")
        client_end = self._relay.accept(token, NARROW if address.narrow else self._down, self._up)

        def take_packet(frame: Frame) -> None:
            """Take a frame that fits into a data packet."""
            if len(frame) <= LARGEST_DATA_BYTES:
                on_frame(frame)

        return MemoryConnection(client_end, take_packet if self.data_packets else on_frame, on_close)

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Return False: a relay in virtual time answers no HTTP."""
        return False
