"""One TCP connection of a proxy: first read piece by piece, later passed on as it comes."""

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

_MOST_BUFFERED = 1_048_576
_READ_INTO = memoryview(bytearray(256 * 1024))
"""The buffer of all connections: what is read into it is taken out at once."""
_LONGEST_STEP = 64 * 1024
"""The most bytes of a body that are read before other connections have their turn."""
_LARGEST_TOLD_BODY = 64 * 1024
"""The most bytes of a body that are recorded."""
_LARGEST_HELD = 64 * 1024
_HOLDING_SECONDS = 1.0
"""Up to which size, and for how long, a body is held back until it is whole."""
_BEGIN = 32
_LEAVING_SECONDS = 5.0
"""How long a peer may take to read the rest, when we leave."""


class End(asyncio.BufferedProtocol):
    """One end of a proxied exchange: the connection of the relay or of the upstream. `on_made` is called when
    the connection is there, `on_lost` when it is gone; `said` is set once something was sent on it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport = asyncio.Transport()
        self.on_made: Callable[[], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.other: End | None = None
        self.lost = asyncio.Event()
        self.reset = False
        self.said = False
        self._on_data: Callable[[bytes], None] | None = None
        self._buffer = bytearray()
        self._news = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._holds: set[str] = set()

    @property
    def waiting(self) -> int:
        """How many bytes have come and were not taken yet."""
        return len(self._buffer)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport, which calls this, and tell `on_made`."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.on_made is not None:
            self.on_made()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the shared buffer. The transport calls this."""
        return _READ_INTO

    def buffer_updated(self, nbytes: int) -> None:
        """Take the bytes that came: pass them on, or keep them. The transport calls this."""
        data = bytes(_READ_INTO[:nbytes])
        if self._on_data is not None:
            self._on_data(data)
            return
        self._buffer += data
        self._news.set()
        if len(self._buffer) > _MOST_BUFFERED:
            self.hold("buffer")

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end of the connection, and wake all who wait for it. The transport calls this."""
        self.reset = error is not None
        self.lost.set()
        self._news.set()
        self._writable.set()
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        """Hold the other end, because this peer does not read. The transport calls this."""
        self._writable.clear()
        if self.other is not None:
            self.other.hold("peer")

    def resume_writing(self) -> None:
        """Release the other end, because this peer reads again. The transport calls this."""
        self._writable.set()
        if self.other is not None:
            self.other.release("peer")

    def hold(self, reason: str) -> None:
        """Stop reading for this reason."""
        self._holds.add(reason)
        self.transport.pause_reading()

    def release(self, reason: str) -> None:
        """Drop this reason to stop reading, and read on if no other is left."""
        self._holds.discard(reason)
        if not self._holds and not self.lost.is_set():
            self.transport.resume_reading()

    async def request(self) -> Head | None:
        """Wait for the head of a request; None if the connection ends before. Raises RemoteProtocolError
        as soon as what came cannot be a request."""
        raw = await self._take_head(may_begin_request)
        return None if raw is None else read_request(raw)

    async def answer(self) -> Head | None:
        """Wait for the head of an answer; None if the connection ends before. Raises RemoteProtocolError as
        soon as what came cannot be an answer."""
        raw = await self._take_head(may_begin_answer)
        return None if raw is None else read_answer(raw)

    async def send(self, data: bytes) -> None:
        """Write, let others have their turn, and wait while the peer does not read."""
        if not self.lost.is_set():
            self.transport.write(data)
        self.said = True
        await asyncio.sleep(0)
        await self._writable.wait()

    async def body(self, framing: BodyFraming, to: "End", head: bytes = b"") -> bytes:
        """Pass a body on to the end `to` while it comes; returns its beginning, as much as is recorded. If
        there is a `head`, the head and the body are held back until the body is whole, large or slow, so that
        a body against the protocol can still be refused. Raises RemoteProtocolError for such a body."""
        seen, held = bytearray(), bytearray(head)
        until = asyncio.get_running_loop().time() + _HOLDING_SECONDS
        while not framing.ended:
            try:
                async with asyncio.timeout_at(until if held else None):
                    if not self._buffer and not await self._wait_for_more():
                        break
            except TimeoutError:
                pass
            piece = bytes(self._buffer[:_LONGEST_STEP])
            piece = piece[: framing.feed(piece)]
            del self._buffer[: len(piece)]
            seen += piece[: _LARGEST_TOLD_BODY - len(seen)]
            held += piece
            if not head or len(held) > _LARGEST_HELD or asyncio.get_running_loop().time() >= until:
                await to.send(bytes(held))
                held.clear()
                head = b""
        if held and (framing.ended or framing.until_close):
            await to.send(bytes(held))
        return bytes(seen)

    def hand_on(self, on_data: Callable[[bytes], None]) -> None:
        """Give everything from now on to `on_data`, and first what is there already."""
        self._on_data = on_data
        if self._buffer:
            waiting, self._buffer = bytes(self._buffer), bytearray()
            on_data(waiting)
        self.release("buffer")

    def end_saying(self) -> None:
        """Send no more, and throw away what still comes. Closing while a request still comes in could lose
        the answer on its way."""
        self.hand_on(lambda data: None)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def leave(self) -> None:
        """Close the connection once all is written; a peer that does not read is cut off."""
        self.transport.close()
        asyncio.get_running_loop().call_later(_LEAVING_SECONDS, self.transport.abort)

    async def _take_head(self, may_begin: Callable[[bytes], bool]) -> bytes | None:
        """Wait for a whole head and take it out of the buffer; None if the connection ends before."""
        looked_at = 0
        while (end := self._buffer.find(END_OF_HEAD, max(0, looked_at - 3))) < 0:
            looked_at = len(self._buffer)
            self._check_head(looked_at, may_begin)
            if not await self._wait_for_more():
                return None
        self._check_head(end, may_begin)
        raw = bytes(self._buffer[:end])
        del self._buffer[: end + len(END_OF_HEAD)]
        return raw

    def _check_head(self, size: int, may_begin: Callable[[bytes], bool]) -> None:
        if not may_begin(bytes(self._buffer[:_BEGIN])):
            raise RemoteProtocolError("this is no HTTP/1.1")
        if size > LARGEST_HEAD:
            raise RemoteProtocolError("an HTTP head without an end")

    async def _wait_for_more(self) -> bool:
        """Wait for more bytes; return whether any came, or may still come."""
        if self.lost.is_set():
            return False
        self._news.clear()
        self.release("buffer")
        await self._news.wait()
        return bool(self._buffer) or not self.lost.is_set()


async def wait_until_gone(ends: Iterable[End], seconds: float) -> None:
    """Wait until these connections are gone, for at most `seconds`."""
    waits = [asyncio.ensure_future(end.lost.wait()) for end in ends]
    try:
        if waits:
            await asyncio.wait(waits, timeout=seconds)
    finally:
        for wait in waits:
            wait.cancel()


async def close_all(ends: list[End], seconds: float) -> None:
    """Close connections; those whose peers have not read everything after `seconds` are cut off."""
    for end in ends:
        end.transport.close()
    try:
        await wait_until_gone(ends, seconds)
    finally:
        for end in ends:
            if not end.lost.is_set():
                end.transport.abort()
