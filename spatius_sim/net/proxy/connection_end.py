"""One TCP connection of a proxy. HTTP is read message by message; later all bytes are passed on at once."""

import asyncio
from collections.abc import Callable, Iterable

from spatius_sim.net.proxy.http_bodies import BodyFraming
from spatius_sim.net.proxy.http_heads import (
    END_OF_HEAD,
    LARGEST_HEAD,
    Head,
    may_begin_request,
    may_begin_response,
    parse_request_head,
    parse_response_head,
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
_FULL_BUFFER, _SLOW_PEER = "buffer", "peer"
"""The reasons for which this module pauses reading: the buffer is full, or the peer of the other connection
reads too slowly."""


class ConnectionEnd(asyncio.BufferedProtocol):
    """One end of a proxied exchange: the connection of the relay to the proxy, or the connection of the proxy
    to the upstream.

    `on_connected` is called when the connection is open, and `on_lost` when it is gone. `other_end` is the
    other connection of the exchange, once bytes pass both ways. `was_reset` says whether the connection ended
    with an error, and `has_sent` whether anything was sent on it since the proxy last set it to False."""

    def __init__(self) -> None:
        """Make a connection of the proxy that is not connected yet: one end of a proxied exchange. Asyncio
        calls `connection_made` when it is connected."""
        self.transport: asyncio.Transport = asyncio.Transport()
        self.on_connected: Callable[[], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.other_end: ConnectionEnd | None = None
        self.lost = asyncio.Event()
        self.was_reset = False
        self.has_sent = False
        self._on_data: Callable[[bytes], None] | None = None
        self._buffer = bytearray()
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._pause_reasons: set[str] = set()

    @property
    def unread_bytes(self) -> int:
        """How many bytes have arrived on this connection of the proxy and are not yet read."""
        return len(self._buffer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of this connection of the proxy, and call `on_connected` if it is set. Asyncio
        calls this when the connection is open."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.on_connected is not None:
            self.on_connected()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections of the proxy share. The transport calls this."""
        return _SHARED_BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Take the `nbytes` bytes that came on this connection of the proxy: hand them to a callback if one
        is set, otherwise buffer them. If too many bytes are buffered, pause reading. The transport calls
        this."""
        data = bytes(_SHARED_BUFFER[:nbytes])
        if self._on_data is not None:
            self._on_data(data)
            return
        self._buffer += data
        self._changed.set()
        if len(self._buffer) > _MAX_BUFFERED:
            self.pause_reading_for(_FULL_BUFFER)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that this connection of the proxy has ended: wake all tasks that wait for it, and call
        `on_lost` if it is set. `error` is None if the connection was closed normally. Asyncio calls this."""
        self.was_reset = error is not None
        self.lost.set()
        self._changed.set()
        self._writable.set()
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        """Stop writing to this connection of the proxy, because its peer reads too slowly: tasks that send
        here wait, and nothing is read from the other connection of the exchange. The transport calls this."""
        self._writable.clear()
        if self.other_end is not None:
            self.other_end.pause_reading_for(_SLOW_PEER)

    def resume_writing(self) -> None:
        """Write to this connection of the proxy again, because its peer reads again: tasks that wait to send
        here go on. The other connection of the exchange is read again, if it has no other reason to pause.
        The transport calls this."""
        self._writable.set()
        if self.other_end is not None:
            self.other_end.resume_reading_for(_SLOW_PEER)

    def pause_reading_for(self, reason: str) -> None:
        """Pause reading from this connection of the proxy, for this reason, until `resume_reading_for` is
        called with the same reason."""
        self._pause_reasons.add(reason)
        self.transport.pause_reading()

    def resume_reading_for(self, reason: str) -> None:
        """Forget this reason for which reading from the connection of the proxy was paused. If no other
        reason is left, and the connection is not lost, read from it again."""
        self._pause_reasons.discard(reason)
        if not self._pause_reasons and not self.lost.is_set():
            self.transport.resume_reading()

    async def read_request_head(self) -> Head | None:
        """Wait until the head of an HTTP request (its first line and headers) has come on this connection of
        the proxy, and return it; None if the connection ends before.

        Raises RemoteProtocolError as soon as the bytes cannot be a request."""
        raw = await self._take_head(may_begin_request)
        return None if raw is None else parse_request_head(raw)

    async def read_response_head(self) -> Head | None:
        """Wait until the head of an HTTP response (its status line and headers) has come on this connection
        of the proxy, and return it; None if the connection ends before.

        Raises RemoteProtocolError as soon as the bytes cannot be a response."""
        raw = await self._take_head(may_begin_response)
        return None if raw is None else parse_response_head(raw)

    async def send(self, data: bytes) -> None:
        """Write bytes to this connection of the proxy, unless it is lost. Then let other tasks run, and wait
        while the peer reads too slowly."""
        if not self.lost.is_set():
            self.transport.write(data)
        self.has_sent = True
        await asyncio.sleep(0)
        await self._writable.wait()

    async def pass_on_body(
        self, framing: BodyFraming, destination: "ConnectionEnd", head: bytes = b""
    ) -> bytes:
        """Pass the body of an HTTP message on to another connection while it comes, and return its beginning,
        as much as is recorded. `framing` finds where the body ends.

        If `head` is given, head and body are held back until the body is complete, or larger than
        _LARGEST_HELD, or has taken _HOLDING_SECONDS: until then the proxy can still refuse the message.
        Raises RemoteProtocolError for a body that breaks HTTP."""
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
                await destination.send(bytes(held_back))
                held_back.clear()
                head = b""
        if held_back and (framing.ended or framing.until_close):
            await destination.send(bytes(held_back))
        return bytes(recorded)

    def call_with_bytes(self, on_data: Callable[[bytes], None]) -> None:
        """Call `on_data` from now on with all bytes that come on this connection of the proxy, first with
        those that are buffered. If reading was paused because the buffer was full, read again."""
        self._on_data = on_data
        if self._buffer:
            buffered, self._buffer = bytes(self._buffer), bytearray()
            on_data(buffered)
        self.resume_reading_for(_FULL_BUFFER)

    def finish_sending(self) -> None:
        """Close the sending side of this connection of the proxy, and throw away all bytes that still come.
        If the transport cannot close one side alone, close both.

        The peer may still be sending a request: if the whole connection were closed then, the peer could lose
        the answer."""
        self.call_with_bytes(lambda data: None)
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
        """Wait for a complete HTTP head on this connection of the proxy, and take it out of the buffer.
        Return it without the empty line at its end; None if the connection ends before.

        `may_begin` says whether these first bytes can begin such a head. Raises RemoteProtocolError if they
        cannot, or if the head is too large."""
        searched_bytes = 0
        overlap = len(END_OF_HEAD) - 1
        while (head_bytes := self._buffer.find(END_OF_HEAD, max(0, searched_bytes - overlap))) < 0:
            searched_bytes = len(self._buffer)
            self._check_head(searched_bytes, may_begin)
            if not await self._wait_for_more():
                return None
        self._check_head(head_bytes, may_begin)
        head = bytes(self._buffer[:head_bytes])
        del self._buffer[: head_bytes + len(END_OF_HEAD)]
        return head

    def _check_head(self, head_bytes: int, may_begin: Callable[[bytes], bool]) -> None:
        """Check the HTTP head, complete or not, that has come on this connection of the proxy. Raise
        RemoteProtocolError if its first bytes cannot begin a head (`may_begin` decides), or if its
        `head_bytes` are more than allowed."""
        if not may_begin(bytes(self._buffer[:_BYTES_TO_CHECK])):
            raise RemoteProtocolError("this is not HTTP/1.1")
        if head_bytes > LARGEST_HEAD:
            raise RemoteProtocolError("an HTTP head without an end")

    async def _wait_for_more(self) -> bool:
        """Wait until more bytes come on this connection of the proxy, or until it ends. If reading was paused
        because the buffer was full, read again. Return False if the connection has ended before the call, or
        ends with an empty buffer; otherwise True."""
        if self.lost.is_set():
            return False
        self._changed.clear()
        self.resume_reading_for(_FULL_BUFFER)
        await self._changed.wait()
        return bool(self._buffer) or not self.lost.is_set()


async def wait_until_gone(connections: Iterable[ConnectionEnd], timeout_seconds: float) -> None:
    """Wait until all these connections of the proxy have ended, but at most `timeout_seconds`. Nothing is
    raised if some are still open then."""
    waits = [asyncio.ensure_future(connection.lost.wait()) for connection in connections]
    try:
        if waits:
            await asyncio.wait(waits, timeout=timeout_seconds)
    finally:
        for wait in waits:
            wait.cancel()


async def close_all(connections: list[ConnectionEnd], timeout_seconds: float) -> None:
    """Close these connections of the proxy when everything is written, and wait until they have ended. Abort
    those that are still open after `timeout_seconds`, because their peers do not read."""
    for connection in connections:
        connection.transport.close()
    try:
        await wait_until_gone(connections, timeout_seconds)
    finally:
        for connection in connections:
            if not connection.lost.is_set():
                connection.transport.abort()
