"""How the kit's clients reach a relay: over sockets, or in virtual time."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol

from spatius_sim.net.client.find_leaked_secrets import search_answer
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.client.relay_socket import RelaySocket, open_relay_websocket
from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.rules.egress.data_packet_size import LARGEST_DATA_BYTES
from spatius_sim.subjects.relay.kit_client import ClientConnection
from spatius_sim.virtual.memory_connection import IDEAL, NARROW, Link, MemoryEnd
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_relay import VirtualRelay
from spatius_sim.wires.events import Frame

_CLOSE_SECONDS = 2.0
"""How long a closing handshake in memory may take, as over sockets."""


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
        seconds: float,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[int], None],
    ) -> ClientConnection:
        """Give a client access to the relay under test: connect both. Call `on_frame` with each frame that
        the relay sends, and `on_end` once with the close code. Raises UnreachableError if there is no
        connection within `seconds`."""

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Ask the relay for an HTTP path, search its answer for secrets, and record those that are found.
        Return whether an answer came."""


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
        seconds: float,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[int], None],
    ) -> RelaySocket:
        """Connect a client to the relay over sockets: open a WebSocket at `address` within `seconds` seconds.
        `on_frame` is called with each frame of the relay, `on_end` with the close code. Raises
        UnreachableError if that fails."""
        return await open_relay_websocket(address, seconds, on_frame, on_end)

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Ask the relay under test for an HTTP path over a real socket, and search the relay's answer for
        secrets. Record the secrets that are found, and return whether an answer came."""
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
        """Prepare the access of the kit's clients to a relay in virtual time. `down` is the network link from
        the relay to each client, and `up` the link from the client to the relay; None means that both links
        are alike."""
        self._loop, self._relay, self._down, self._up = loop, relay, down, up
        self.data_packets = data_packets

    def unix_time(self) -> float:
        """Return the unix time in seconds on the virtual clock."""
        return self._loop.unix_time()

    async def dial(
        self,
        address: RelayAddress,
        seconds: float,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[int], None],
    ) -> "MemoryConnection":
        """Connect a client to the relay in virtual time, both in memory and at once: this relay refuses
        nobody. Call `on_frame` with each frame of the relay, and `on_end` with the close code. If the wire
        uses the `data_packets` of a room, frames that are too large for one packet are lost."""
        token = dict(address.headers).get("X-Session-Key", "")
        end = self._relay.accept(token, NARROW if address.narrow else self._down, self._up)

        def take_packet(frame: Frame) -> None:
            """Take a frame that fits into a data packet."""
            if len(frame) <= LARGEST_DATA_BYTES:
                on_frame(frame)

        return MemoryConnection(end, take_packet if self.data_packets else on_frame, on_end)

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Return False: a relay in virtual time answers no HTTP."""
        return False


class MemoryConnection:
    """A client's connection to a relay in virtual time, in memory."""

    answer_headers = ""

    def __init__(
        self, end: MemoryEnd, on_frame: Callable[[Frame], None], on_end: Callable[[int], None]
    ) -> None:
        """Give one of the kit's clients access to a relay in memory, at `end`, the client's end of the
        connection. `on_frame` is called with each frame that the relay sends, and `on_end` once with the
        close code."""
        self._end, self._on_end = end, on_end
        self._over = asyncio.Event()
        end.on_frame, end.on_end = on_frame, self._finish
        self.break_protocol = end.break_protocol
        self.pause, self.resume, self.abort = end.pause, end.resume, end.reset

    async def send(self, frame: Frame) -> None:
        """Send a frame; nothing happens on a connection that is over."""
        self._end.send(frame)

    async def close(self) -> None:
        """Close the client's connection in memory to the relay: do the closing handshake, and wait until the
        relay knows of the close."""
        self._end.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), _CLOSE_SECONDS)

    async def stop(self) -> None:
        """Do nothing: a connection in memory needs no task that listens."""

    def _finish(self, code: int, reason: str) -> None:
        """Note that the connection to the relay is over, and call `on_end` with the close code."""
        self._over.set()
        self._on_end(code)
