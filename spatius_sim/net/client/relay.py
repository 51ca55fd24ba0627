"""A client of a relay: speaks a wire, and records everything that it sends and receives."""

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.trace.events import Closed, Lane, Opened
from spatius_sim.trace.logins import shown_url
from spatius_sim.wires import Wire
from spatius_sim.wires.events import ClientAction, NotUnderstood, RelayEvent, Start

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


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where clients of a relay connect, and what they send and trust.

    They send `headers`, such as the relay's own login, and offer `subprotocols`. `tls` holds the certificates
    that they trust."""

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    token_reference: str = ""
    """The trace's name for the Spatius session token among the headers; "" if there is none."""
    narrow: bool = False
    """Whether the connection buffers little data: then a relay soon notices that its client does not read."""

    @property
    def url_without_secrets(self) -> str:
        """The URL with its secrets removed, for messages."""
        return shown_url(self.url)


def with_credentials(address: RelayAddress, app_id: str, token: str) -> RelayAddress:
    """Return the address with Spatius credentials in the headers and in the query.

    A Motion Server looks for credentials in these two places."""
    headers = (*address.headers, ("X-App-ID", app_id), ("X-Session-Key", token))
    separator = "&" if "?" in address.url else "?"
    url = f"{address.url}{separator}{urlencode({'appId': app_id, 'sessionKey': token})}"
    return replace(address, url=url, headers=headers, token_reference="the client's own token")


class RelayClient:
    """A connection to a relay, open inside `async with RelayClient(...) as client:`.

    Opening raises UnreachableError if the relay does not take the connection within `open_seconds`. The trace
    calls the client `name`. Each frame that arrives is recorded, and its events wait in `relay_events`.
    """

    def __init__(
        self,
        address: RelayAddress,
        wire: Wire,
        recorder: LiveRecorder,
        name: str,
        open_seconds: float = 10.0,
    ) -> None:
        self._address, self._wire, self._recorder = address, wire, recorder
        self.name = name
        self._open_seconds = open_seconds
        self._socket: ClientConnection | None = None
        self._listening: asyncio.Task[None] | None = None
        self._reading = asyncio.Event()
        self._reading.set()
        self._has_left = False
        self.relay_events: asyncio.Queue[RelayEvent] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    @property
    def was_hung_up_on(self) -> bool:
        """Whether the relay, and not this client, ended the connection."""
        return self.closed.is_set() and not self._has_left

    async def _connect(self) -> None:
        """Open the WebSocket, search the headers of the answer for secrets, and start to listen.

        Raises UnreachableError if the relay does not take the connection."""
        try:
            self._socket = await connect(
                self._address.url,
                sock=await _open_narrow_link(self._address.url) if self._address.narrow else None,
                additional_headers=self._address.headers,
                subprotocols=[Subprotocol(name) for name in self._address.subprotocols] or None,
                ssl=self._address.tls or (True if self._address.url.startswith("wss:") else None),
                max_size=LARGEST_FRAME,
                open_timeout=self._open_seconds,
                close_timeout=_CLOSE_SECONDS,
                compression=None,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise UnreachableError(
                f"{self._address.url_without_secrets} cannot be reached: {error}"
            ) from error
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Opened(self._address.token_reference))
        response = self._socket.response
        if response is not None:
            headers = "\n".join(f"{name}: {value}" for name, value in response.headers.raw_items())
            self._recorder.search_secrets(Lane.DOWNSTREAM, self.name, headers, "in a header")
        self._listening = asyncio.create_task(self._listen())

    async def renew(self) -> None:
        """Hang up, and connect again under the same name.

        Raises UnreachableError if the relay does not take the connection."""
        await self.__aexit__(None, None, None)
        self.closed.clear()
        self._has_left = False
        await self._connect()

    async def start(self, sample_rate: int, seconds: float) -> RelayEvent | None:
        """Send the wire's start message, and return the first event of the relay that the wire understands.

        If no such event comes within `seconds`, or the relay hangs up, return the first event that the wire
        does not understand, or None. Takes the events from `relay_events`."""
        await self.do(Start(sample_rate))
        not_understood: NotUnderstood | None = None
        closing = asyncio.create_task(self.closed.wait())
        try:
            async with asyncio.timeout(seconds):
                while not self.closed.is_set() or not self.relay_events.empty():
                    receiving = asyncio.create_task(self.relay_events.get())
                    await asyncio.wait({receiving, closing}, return_when=asyncio.FIRST_COMPLETED)
                    if not receiving.done():
                        receiving.cancel()
                    elif not isinstance(relay_event := receiving.result(), NotUnderstood):
                        return relay_event
                    else:
                        not_understood = not_understood or relay_event
        except TimeoutError:
            receiving.cancel()
        finally:
            closing.cancel()
        return not_understood

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up, and stop listening."""
        if self._socket is None or self._listening is None:
            return
        await self.hang_up()
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening

    async def do(self, action: ClientAction) -> None:
        """Send an action in the wire's frames, or do nothing if the connection is closed."""
        for frame in self._wire.write_client(action):
            await self.send(frame)

    async def send(self, frame: str | bytes) -> None:
        """Record and send any frame, or do nothing if the connection is closed.

        If the relay reads nothing for SEND_SECONDS, cut the connection and raise UnreachableError."""
        if self._socket is None or self.closed.is_set():
            return
        self._recorder.record_sent(Lane.DOWNSTREAM, self.name, frame)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._socket.send(frame)
        except ConnectionClosed:
            return
        except TimeoutError:
            self._socket.transport.abort()
            url = self._address.url_without_secrets
            fault = f"{url} reads nothing of what its client sends, for {SEND_SECONDS:.0f} s"
            raise UnreachableError(fault) from None

    def break_protocol(self) -> None:
        """Send bytes that are no WebSocket frame."""
        if self._socket is not None and not self.closed.is_set():
            self._socket.transport.write(_BROKEN_FRAME)

    def stop_reading(self) -> None:
        """Stop reading: everything that comes from now on waits."""
        self._reading.clear()

    def read_on(self) -> None:
        """Read again, and first everything that has waited."""
        self._reading.set()

    async def hang_up(self) -> None:
        """Leave with a WebSocket closing handshake."""
        if self._socket is not None and not self._leave(NORMAL_CLOSE):
            await self._socket.close()

    def vanish(self) -> None:
        """Leave without a closing handshake: cut the TCP connection."""
        if self._socket is not None and not self._leave(ABNORMAL_CLOSE):
            self._socket.transport.abort()

    def _leave(self, code: int) -> bool:
        """Return whether the connection was already over; if not, record that this client leaves.

        Lets the listener read on, so that it can end."""
        self._reading.set()
        if self._has_left or self.closed.is_set():
            return True
        self._has_left = True
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=True, code=code))
        return False

    async def _listen(self) -> None:
        """Record each frame that arrives and queue its events, until the connection is over.

        Cut the connection if the relay sends more than the recorder keeps."""
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                await self._reading.wait()
                self._recorder.record_received(Lane.DOWNSTREAM, self.name, frame)
                if self._recorder.flooded:
                    self._socket.transport.abort()
                    break
                for event in self._wire.read_relay(frame):
                    self.relay_events.put_nowait(event)
        if not self._has_left:
            code = self._socket.close_code or ABNORMAL_CLOSE
            self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=False, code=code))
        self.closed.set()


async def _open_narrow_link(url: str) -> socket.socket:
    """Open a TCP connection to the URL's host with small segments and a small receive buffer."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    loop = asyncio.get_running_loop()
    first_result, *_ = await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    family, socket_type, protocol, _, address = first_result
    link = socket.socket(family, socket_type, protocol)
    try:
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BUFFER)
        await loop.sock_connect(link, address)
    except BaseException:
        link.close()
        raise
    return link
