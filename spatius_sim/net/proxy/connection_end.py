"""One TCP connection of a proxy. HTTP is read message by message; later all bytes are passed on at once."""

import asyncio
from collections.abc import Callable, Iterable

from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import (
    END_OF_HEAD,
    LARGEST_HEAD,
    Head,
    may_begin_answer,
    may_begin_request,
    read_answer,
    read_request,
)
from spatius_sim.protocol.errors import RemoteProtocolError

_MAX_BUFFERED = 1_048_576
_SHARED_BUFFER = memoryview(bytearray(256 * 1024))
"""The buffer that all connections share: bytes that are read into it are copied out at once."""
_LONGEST_STEP = 64 * 1024
"""How many bytes of a body are read at most before other connections have their turn."""
_LARGEST_RECORDED_BODY = 64 * 1024
"""How many bytes of a body are recorded at most."""
_LARGEST_HELD = 64 * 1024
_HOLDING_SECONDS = 1.0
"""Up to which size, and for how long, a body is held back until it is whole."""
_BYTES_TO_CHECK = 32
"""How many first bytes of a message are checked before its head is complete."""
_CLOSING_SECONDS = 5.0
"""How long a peer may take to read the rest when we close its connection."""


class End(asyncio.BufferedProtocol):
    """One end of a proxied exchange: the connection of the relay to the proxy, or the connection of the proxy
    to the upstream.

    `on_connected` is called when the connection is open, and `on_lost` when it is gone. `has_sent` says
    whether anything was sent on it since the proxy last set it to False."""

    def __init__(self) -> None:
        """Make one end of a proxied exchange: a connection of the proxy that is not connected yet. Asyncio
        calls `connection_made` with its transport."""
        self.transport: asyncio.Transport = asyncio.Transport()
        self.on_connected: Callable[[], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.other: End | None = None
        self.lost = asyncio.Event()
        self.reset = False
        self.has_sent = False
        self._on_data: Callable[[bytes], None] | None = None
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._hold_reasons: set[str] = set()

    @property
    def unread_bytes(self) -> int:
        """How many bytes have arrived on this connection of the proxy and are not yet read."""
        return len(self._buffer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of this connection of the proxy, and call `on_connected`. The transport calls
        this."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.on_connected is not None:
            self.on_connected()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections of the proxy share. The transport calls this."""
        return _SHARED_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that came on this connection of the proxy: pass them on, or buffer them. The
        transport calls this.

        If too many bytes are buffered, stop reading."""
        data = bytes(_SHARED_BUFFER[:nbytes])
        if self._on_data is not None:
            self._on_data(data)
            return
        self._buffer += data
        self._changed.set()
        if len(self._buffer) > _MAX_BUFFERED:
            self.hold("buffer")

    def connection_lost(self, error: Exception | None) -> None:
        """Note that this connection of the proxy has ended: wake all tasks that wait for it, and call
        `on_lost`. The transport calls this method."""
        self.reset = error is not None
        self.lost.set()
        self._changed.set()
        self._writable.set()
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        """Stop reading from the other connection of the proxied exchange, because the peer of this connection
        does not read. The transport calls this."""
        self._writable.clear()
        if self.other is not None:
            self.other.hold("peer")

    def resume_writing(self) -> None:
        """Read again from the other connection of the proxied exchange, because the peer of this connection
        reads again. The transport calls this."""
        self._writable.set()
        if self.other is not None:
            self.other.release("peer")

    def hold(self, reason: str) -> None:
        """Stop reading from this connection of the proxy, and remember the reason until it is released."""
        self._hold_reasons.add(reason)
        self.transport.pause_reading()

    def release(self, reason: str) -> None:
        """Drop this reason for not reading from the connection of the proxy. If no other reason is left, and
        the connection is not lost, read from the connection again."""
        self._hold_reasons.discard(reason)
        if not self._hold_reasons and not self.lost.is_set():
            self.transport.resume_reading()

    async def read_request_head(self) -> Head | None:
        """Wait on this connection of the proxy for the head of a request, and return it; None if the
        connection ends before.

        Raises RemoteProtocolError as soon as the bytes cannot be a request."""
        raw = await self._take_head(may_begin_request)
        return None if raw is None else read_request(raw)

    async def read_response_head(self) -> Head | None:
        """Wait on this connection of the proxy for the head of an HTTP response (its status line and
        headers), and return it; None if the connection ends before.

        Raises RemoteProtocolError as soon as the bytes cannot be a response."""
        raw = await self._take_head(may_begin_answer)
        return None if raw is None else read_answer(raw)

    async def send(self, data: bytes) -> None:
        """Write bytes to this connection of the proxy, let other connections have their turn, and wait until
        the peer reads enough. If the connection is lost, write nothing."""
        if not self.lost.is_set():
            self.transport.write(data)
        self.has_sent = True
        await asyncio.sleep(0)
        await self._writable.wait()

    async def pass_body_on(self, framing: BodyFraming, to: "End", head: bytes = b"") -> bytes:
        """Pass the body of an HTTP message on to the end `to` of the proxied exchange while it comes, and
        return the beginning that is recorded.

        If there is a `head`, the head and the body are held back until the body is complete, large or slow:
        until then the proxy can still refuse it. Raises RemoteProtocolError for a body that breaks the
        protocol."""
        recorded, held_back = bytearray(), bytearray(head)
        held_until = asyncio.get_running_loop().time() + _HOLDING_SECONDS
        while not framing.ended:
            try:
                async with asyncio.timeout_at(held_until if held_back else None):
                    if not self._buffer and not await self._wait_for_more():
                        break
            except TimeoutError:
                pass
            piece = bytes(self._buffer[:_LONGEST_STEP])
            piece = piece[: framing.feed(piece)]
            del self._buffer[: len(piece)]
            recorded += piece[: _LARGEST_RECORDED_BODY - len(recorded)]
            held_back += piece
            is_large = len(held_back) > _LARGEST_HELD
            if not head or is_large or asyncio.get_running_loop().time() >= held_until:
                await to.send(bytes(held_back))
                held_back.clear()
                head = b""
        if held_back and (framing.ended or framing.until_close):
            await to.send(bytes(held_back))
        return bytes(recorded)

    def call_for_bytes(self, on_data: Callable[[bytes], None]) -> None:
        """From now on, hand all bytes that come on this connection of the proxy to `on_data`, first those
        that are buffered. The connection is read on, if only the full buffer had held it back."""
        self._on_data = on_data
        if self._buffer:
            buffered, self._buffer = bytes(self._buffer), bytearray()
            on_data(buffered)
        self.release("buffer")

    def finish_sending(self) -> None:
        """Close the sending side of this connection of the proxy, and throw away all bytes that still come.

        If the whole connection were closed while a request still comes, the peer could lose the answer."""
        self.call_for_bytes(lambda data: None)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def close_after_writing(self) -> None:
        """Close this connection of the proxy when everything is written, or abort it if the peer does not
        read in time."""
        self.transport.close()
        asyncio.get_running_loop().call_later(_CLOSING_SECONDS, self.transport.abort)

    async def _take_head(self, may_begin: Callable[[bytes], bool]) -> bytes | None:
        """Wait for a complete HTTP head on this connection of the proxy, take the head out of the buffer, and
        return it without its empty line.

        Returns None if the connection ends before. Raises RemoteProtocolError if the bytes cannot be a head,
        as `may_begin` finds out from the first of them."""
        searched_bytes = 0
        overlap = len(END_OF_HEAD) - 1
        while (end := self._buffer.find(END_OF_HEAD, max(0, searched_bytes - overlap))) < 0:
            searched_bytes = len(self._buffer)
            self._check_head(searched_bytes, may_begin)
            if not await self._wait_for_more():
                return None
        self._check_head(end, may_begin)
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + len(END_OF_HEAD)]
        return raw

    def _check_head(self, size: int, may_begin: Callable[[bytes], bool]) -> None:
        """Raise RemoteProtocolError if the bytes on this connection of the proxy cannot begin an HTTP head
        (`may_begin` says so), or if the head is larger than allowed."""
        if not may_begin(bytes(self._buffer[:_BYTES_TO_CHECK])):
            raise RemoteProtocolError("this is not HTTP/1.1")
        if size > LARGEST_HEAD:
            raise RemoteProtocolError("an HTTP head without an end")

    async def _wait_for_more(self) -> bool:
        """Wait until more bytes come on this connection of the proxy, or until the connection ends. Return
        whether bytes came or may still come."""
        if self.lost.is_set():
            return False
        self._changed.clear()
        self.release("buffer")
        await self._changed.wait()
        return bool(self._buffer) or not self.lost.is_set()


async def wait_until_gone(ends: Iterable[End], seconds: float) -> None:
    """Wait until these connections of the proxy are gone, but at most so many seconds."""
    waits = [asyncio.ensure_future(end.lost.wait()) for end in ends]
    try:
        if waits:
            await asyncio.wait(waits, timeout=seconds)
    finally:
        for wait in waits:
            wait.cancel()


async def close_all(ends: list[End], seconds: float) -> None:
    """Close these connections of the proxy. Abort those whose peers have not read everything after
    `seconds`."""
    for end in ends:
        end.transport.close()
    try:
        await wait_until_gone(ends, seconds)
    finally:
        for end in ends:
            if not end.lost.is_set():
                end.transport.abort()
