"""A client of a relay: speaks a wire, and records all that it hears."""

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
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.trace.events import Closed, Lane, Opened
from spatius_sim.trace.logins import shown_url
from spatius_sim.wires import Wire
from spatius_sim.wires.events import ClientAction, NotUnderstood, RelayEvent, Start

LARGEST_FRAME = 16 * 1_048_576
_CLOSE_SECONDS = 2.0
_NARROW_SEGMENT, _NARROW_BUFFER = 1400, 8192
"""Bytes. Between two programs on one machine the kernel holds 4 MB before a sender notices that nobody reads.
On a narrow link it holds some 100 kB, and 1 MB once much has passed."""

_BROKEN_FRAME = b"\xf7\x80\x00\x00\x00\x00"
"""The begin of a frame with reserved bits and a reserved opcode."""

SEND_SECONDS = 20.0
"""How long a relay may take nothing. A relay that answers from within its reader takes nothing while its
client reads nothing, but later goes on."""


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """Where a relay's clients connect, and what they bring: headers with the relay's own login, the
    subprotocols that they speak, and the certificates that they trust."""

    url: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    subprotocols: tuple[str, ...] = ()
    tls: ssl.SSLContext | None = None
    bears: str = ""
    """The reference of the Spatius session token among the headers; "" if there is none."""
    narrow: bool = False
    """Whether the link buffers little, so that a sender soon notices that nobody reads."""

    @property
    def url_without_secrets(self) -> str:
        """The URL without its secrets, so that it may be shown."""
        return shown_url(self.url)


def with_credentials(address: RelayAddress, app_id: str, token: str) -> RelayAddress:
    """Add Spatius credentials to an address, in the places where a Motion Server looks for them."""
    headers = (*address.headers, ("X-App-ID", app_id), ("X-Session-Key", token))
    joined = "&" if "?" in address.url else "?"
    url = f"{address.url}{joined}{urlencode({'appId': app_id, 'sessionKey': token})}"
    return replace(address, url=url, headers=headers, bears="the client's own token")


class RelayClient:
    """`async with RelayClient(...) as client:` is connected; raises UnreachableError if the relay does
    not take the connection within `open_seconds`.

    `name` is the client's name in the trace. `recorder` is told of each frame that arrives; its events wait
    in `heard`.
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
        self._left = False
        self.heard: asyncio.Queue[RelayEvent] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    @property
    def was_hung_up_on(self) -> bool:
        """Whether the relay, and not this client, ended the connection."""
        return self.closed.is_set() and not self._left

    async def _connect(self) -> None:
        """Open the socket, search the answer's headers for secrets, and begin to listen."""
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
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Opened(self._address.bears))
        response = self._socket.response
        if response is not None:
            headers = "\n".join(f"{name}: {value}" for name, value in response.headers.raw_items())
            self._recorder.search_secrets(Lane.DOWNSTREAM, self.name, headers, "in a header")
        self._listening = asyncio.create_task(self._listen())

    async def renew(self) -> None:
        """Leave, and connect anew under the same name; raises UnreachableError if the relay does not take
        it."""
        await self.__aexit__(None, None, None)
        self.closed.clear()
        self._left = False
        await self._connect()

    async def start(self, sample_rate: int, seconds: float) -> RelayEvent | None:
        """Send what the wire sends first, and return the first event of the relay that the wire knows. If
        none comes within `seconds`, or the relay hangs up, return its first unknown event, or None if it said
        nothing."""
        await self.do(Start(sample_rate))
        unknown: NotUnderstood | None = None
        closing = asyncio.create_task(self.closed.wait())
        try:
            async with asyncio.timeout(seconds):
                while not self.closed.is_set() or not self.heard.empty():
                    hearing = asyncio.create_task(self.heard.get())
                    await asyncio.wait({hearing, closing}, return_when=asyncio.FIRST_COMPLETED)
                    if not hearing.done():
                        hearing.cancel()
                    elif not isinstance(heard := hearing.result(), NotUnderstood):
                        return heard
                    else:
                        unknown = unknown or heard
        except TimeoutError:
            hearing.cancel()
        finally:
            closing.cancel()
        return unknown

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._socket is None or self._listening is None:
            return
        await self.hang_up()
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening

    async def do(self, action: ClientAction) -> None:
        """Send an action; nothing happens on a connection that the relay has closed."""
        for frame in self._wire.write_client(action):
            await self.send(frame)

    async def send(self, frame: str | bytes) -> None:
        """Send a frame, whatever it may mean; nothing happens on a connection that the relay has closed.
        Raises UnreachableError if the relay takes nothing for SEND_SECONDS."""
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
        """Stop reading: leave unread what comes from now on."""
        self._reading.clear()

    def read_on(self) -> None:
        """Read again, first what has come meanwhile."""
        self._reading.set()

    async def hang_up(self) -> None:
        """Leave by the closing handshake."""
        if self._socket is not None and not self._leave(1000):
            await self._socket.close()

    def vanish(self) -> None:
        """Leave without a closing handshake: cut the TCP connection."""
        if self._socket is not None and not self._leave(ABNORMAL_CLOSE):
            self._socket.transport.abort()

    def _leave(self, code: int) -> bool:
        """Record that this client leaves, unless the connection was over already; return whether it was."""
        self._reading.set()
        if self._left or self.closed.is_set():
            return True
        self._left = True
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=True, code=code))
        return False

    async def _listen(self) -> None:
        """Record what arrives and queue its events, until the connection is over."""
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                await self._reading.wait()
                self._recorder.record_received(Lane.DOWNSTREAM, self.name, frame)
                if self._recorder.flooded:
                    self._socket.transport.abort()
                    break
                for event in self._wire.read_relay(frame):
                    self.heard.put_nowait(event)
        if not self._left:
            code = self._socket.close_code or ABNORMAL_CLOSE
            self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=False, code=code))
        self.closed.set()


async def _open_narrow_link(url: str) -> socket.socket:
    """Open a TCP connection to the URL's host that buffers little."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    loop = asyncio.get_running_loop()
    family, kind, number, _, address = (
        await loop.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    )[0]
    link = socket.socket(family, kind, number)
    try:
        link.setblocking(False)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _NARROW_SEGMENT)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW_BUFFER)
        await loop.sock_connect(link, address)
    except BaseException:
        link.close()
        raise
    return link
