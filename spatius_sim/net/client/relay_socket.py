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


async def open_relay_websocket(
    address: RelayAddress,
    timeout_seconds: float,
    on_frame: Callable[[Frame], None],
    on_end: Callable[[int], None],
) -> "RelaySocket":
    """Open a WebSocket from a client to a relay, and return it. `on_frame` is called with each frame that the
    relay sends, and `on_end` once with the close code. If the address is `narrow`, the socket has small
    buffers.

    Raises UnreachableError if the relay does not accept the connection within `timeout_seconds`, or redirects
    the client."""
    try:
        connection = await connect_directly(
            address.url,
            sock=await _connect_with_small_buffers(address.url) if address.narrow else None,
            additional_headers=address.headers,
            subprotocols=[Subprotocol(name) for name in address.subprotocols] or None,
            ssl=address.tls or (True if address.url.startswith("wss:") else None),
            max_size=LARGEST_FRAME,
            open_timeout=timeout_seconds,
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
        """Begin to receive the frames that a relay sends on this WebSocket. `on_frame` is called with each
        frame, and `on_end` once with the close code."""
        self._connection, self._address = connection, address
        self._on_frame, self._on_end = on_frame, on_end
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._receive_task = asyncio.create_task(self._receive_frames())

    @property
    def answer_headers(self) -> str:
        """The HTTP headers of the relay's answer to the WebSocket upgrade, one in each line; "" if there was
        no answer."""
        response = self._connection.response
        headers = response.headers.raw_items() if response is not None else ()
        return "\n".join(f"{name}: {value}" for name, value in headers)

    async def send(self, frame: Frame) -> None:
        """Send a frame to the relay; do nothing if the connection is closed. If the relay reads nothing for
        SEND_SECONDS, cut the connection and raise UnreachableError."""
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
        self._may_read.clear()
        self._connection.transport.pause_reading()

    def resume(self) -> None:
        """Read the relay's frames again, first those that arrived during the pause."""
        self._connection.transport.resume_reading()
        self._may_read.set()

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
        self._receive_task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._receive_task

    async def _receive_frames(self) -> None:
        """Call `on_frame` with each frame of the relay until the WebSocket is closed, then `on_end` with the
        close code. While reading is paused, wait. The code is 1006 if there was no closing frame."""
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._connection:
                await self._may_read.wait()
                self._on_frame(frame)
        self._on_end(self._connection.close_code or ABNORMAL_CLOSE)


async def _connect_with_small_buffers(url: str) -> socket.socket:
    """Open a TCP connection to the host and port of the relay's URL, with small buffers, and return the
    socket. So the relay notices soon when its client does not read."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    loop = asyncio.get_running_loop()
    family, socket_type, protocol_number, _, address = (
        await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    )[0]
    tcp_socket = socket.socket(family, socket_type, protocol_number)
    try:
        tcp_socket.setblocking(False)
        tcp_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT)
        tcp_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BUFFER)
        await loop.sock_connect(tcp_socket, address)
    except BaseException:
        tcp_socket.close()
        raise
    return tcp_socket
