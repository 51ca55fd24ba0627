"""A client's WebSocket to a relay, over a real socket."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from spatius_sim.net.client.refuse_redirects import connect_directly, redirect_target
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.wires.events import Frame

LARGEST_FRAME = 16 * 1_048_576
_CLOSE_SECONDS = 2.0
_NARROW_SEGMENT, _NARROW_BUFFER = 1400, 8192
"""TCP segment size and receive buffer of a narrow link, in bytes. On an ordinary link between two programs on
one machine, the kernel buffers 4 MB before a sender notices that nobody reads. On a narrow link the kernel
buffers some 100 kB, and 1 MB after much data has passed."""

_BROKEN_FRAME = b"\xf7\x80\x00\x00\x00\x00"
"""The beginning of a WebSocket frame with all reserved bits set and a reserved opcode (RFC 6455, 5.2)."""

SEND_SECONDS = 20.0
"""How long a relay may read nothing while we send. Some relays answer from their reading task: such a relay
reads nothing while its client reads nothing, and later goes on."""


async def dial_websocket(
    address: RelayAddress,
    seconds: float,
    on_frame: Callable[[Frame], None],
    on_end: Callable[[int], None],
) -> "RelaySocket":
    """Connect a client to a relay by WebSocket. `on_frame` is called with each frame that the relay sends,
    and `on_end` once with the close code. A `narrow` address gets a socket with small buffers.

    Raises UnreachableError if the relay does not accept the connection within `seconds`, or redirects the
    client."""
    try:
        connection = await connect_directly(
            address.url,
            sock=await _connect_with_small_buffers(address.url) if address.narrow else None,
            additional_headers=address.headers,
            subprotocols=[Subprotocol(name) for name in address.subprotocols] or None,
            ssl=address.tls or (True if address.url.startswith("wss:") else None),
            max_size=LARGEST_FRAME,
            open_timeout=seconds,
            close_timeout=_CLOSE_SECONDS,
            compression=None,
            proxy=None,
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        target = redirect_target(error)
        redirects = f"it redirects to {target}, and is judged only where it is named" if target else ""
        fault = f"{address.url_without_secrets} cannot be reached: {redirects or error}"
        raise UnreachableError(fault) from error
    return RelaySocket(connection, address, on_frame, on_end)


class RelaySocket:
    """An open WebSocket to a relay. It receives frames until it is closed or stopped."""

    def __init__(
        self,
        connection: ClientConnection,
        address: RelayAddress,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[int], None],
    ) -> None:
        """Begin to receive the relay's frames on this WebSocket. `on_frame` is called with each frame, and
        `on_end` once with the close code."""
        self._connection, self._address = connection, address
        self._on_frame, self._on_end = on_frame, on_end
        self._reading = asyncio.Event()
        self._reading.set()
        self._listening = asyncio.create_task(self._receive_frames())

    @property
    def answer_headers(self) -> str:
        """The headers of the relay's answer to the WebSocket upgrade, one in each line."""
        response = self._connection.response
        pairs = response.headers.raw_items() if response is not None else ()
        return "\n".join(f"{name}: {value}" for name, value in pairs)

    async def send(self, frame: Frame) -> None:
        """Send a frame to the relay; do nothing if the connection is closed. Raises UnreachableError if the
        relay reads nothing for SEND_SECONDS."""
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._connection.send(frame)
        except ConnectionClosed:
            return
        except TimeoutError:
            self.abort()
            url = self._address.url_without_secrets
            fault = f"{url} reads nothing of what its client sends, for {SEND_SECONDS:.0f} s"
            raise UnreachableError(fault) from None

    def break_protocol(self) -> None:
        """Send the relay bytes that are no WebSocket frame."""
        self._connection.transport.write(_BROKEN_FRAME)

    def pause(self) -> None:
        """Read nothing from the relay from now on, so that its frames fill the kernel's buffers. The library
        would else read some frames ahead, of any size."""
        self._reading.clear()
        self._connection.transport.pause_reading()

    def resume(self) -> None:
        """Read the relay's frames again, first those that arrived during the pause."""
        self._connection.transport.resume_reading()
        self._reading.set()

    async def close(self) -> None:
        """Close the WebSocket by the closing handshake, or by force if the relay does not answer in time. A
        pause ends, because nobody would read the answer."""
        self.resume()
        await self._connection.close()

    def abort(self) -> None:
        """Cut the TCP connection to the relay."""
        self._connection.transport.abort()

    async def stop(self) -> None:
        """Stop listening to the relay."""
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening

    async def _receive_frames(self) -> None:
        """Give each frame of the relay to `on_frame` until the WebSocket is closed, and then its close code
        to `on_end`."""
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._connection:
                await self._reading.wait()
                self._on_frame(frame)
        self._on_end(self._connection.close_code or ABNORMAL_CLOSE)


async def _connect_with_small_buffers(url: str) -> socket.socket:
    """Connect a TCP socket to the relay's host, for a WebSocket whose client reads slowly, and return the
    socket. Its buffers are small, so that the relay soon notices."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    loop = asyncio.get_running_loop()
    family, kind, protocol_number, _, address = (
        await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    )[0]
    tcp_socket = socket.socket(family, kind, protocol_number)
    try:
        tcp_socket.setblocking(False)
        tcp_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT)
        tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BUFFER)
        await loop.sock_connect(tcp_socket, address)
    except BaseException:
        tcp_socket.close()
        raise
    return tcp_socket
