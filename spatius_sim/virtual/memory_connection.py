"""Connections in memory: two ends (the two sides of the connection), and a link between them."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NO_CODE, NORMAL_CLOSE
from spatius_sim.virtual.virtual_loop import VirtualLoop

Frame = str | bytes

PROTOCOL_ERROR_CODE = 1002

_CLOSE_SECONDS = 2.0
"""How long a closing handshake in memory may take, as over sockets."""


@dataclass(frozen=True, slots=True)
class Link:
    """How a connection carries frames one way. A frame takes `delay_seconds`. At most `capacity_bytes` are on
    their way or unread at a time; what is sent beyond that waits at its sender."""

    delay_seconds: float = 0.0
    capacity_bytes: int = 4 * 1_048_576
    compute_arrival: Callable[[float, int], float] | None = None
    """From the time at which a frame is sent, and its size in bytes, computes when the frame arrives. Times
    are in seconds on the loop's clock; infinity means never. If it is None, `delay_seconds` decides. Frames
    keep their order: it never returns less than before."""


IDEAL = Link()
NARROW = Link(capacity_bytes=128 * 1024)
"""A link that buffers little, so that a sender soon notices that its peer reads nothing."""


@dataclass(frozen=True, slots=True)
class _CloseMark:
    """Marks the end of a connection in memory: it travels on the link after the last frame."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class _BrokenFrame:
    """Bytes on a connection in memory that are not a WebSocket frame."""


_Item = Frame | _CloseMark | _BrokenFrame


class MemoryEnd:
    """One end of a connection in memory. Its owner sets `on_frame` and `on_end`; both are called from the
    loop, in the order in which the peer acted. `on_end` is called once, however the connection ends.

    `on_writable` is called when frames that waited at this end have left."""

    def __init__(self, link: Link) -> None:
        """Make one end of a connection in memory, not joined to the other end yet. The frames that this end
        sends travel over `link`. Raises RuntimeError if the running event loop is not a VirtualLoop."""
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualLoop):
            raise RuntimeError("a connection in memory needs a virtual loop")
        self._loop = loop
        self._link = link
        self.peer: MemoryEnd = self
        self.on_frame: Callable[[Frame], None] = _ignore_frame
        self.on_end: Callable[[int, str], None] = _ignore_end
        self.on_writable: Callable[[], None] = _do_nothing
        self.ended = False
        self.close_code = 0
        self._is_closing = False
        self._is_paused = False
        self._waiting_items: deque[_Item] = deque()
        """Sent by this end, but beyond the link's capacity."""
        self._arriving_items: deque[_Item] = deque()
        """On its way to this end."""
        self._unread_items: deque[_Item] = deque()
        """Arrived at this end while it reads nothing."""
        self._byte_count_on_link = 0
        """How many bytes are on their way to this end, or unread by it."""
        self.unsent_byte_count = 0
        """How many bytes wait at this end because the link is full."""

    @property
    def open(self) -> bool:
        """Whether this end can still send frames."""
        return not (self.ended or self._is_closing)

    def send(self, frame: Frame) -> None:
        """Send a frame to the other end of the connection. If the link is full, the frame waits here. If the
        connection is closed, do nothing."""
        if self.ended or self._is_closing:
            return
        if self._waiting_items or self.peer._byte_count_on_link >= self._link.capacity_bytes:
            self._waiting_items.append(frame)
            self.unsent_byte_count += len(frame)
        else:
            self._put_on_link(frame)

    def close(self, code: int = NORMAL_CLOSE, reason: str = "") -> None:
        """Close the connection by a closing handshake: a close mark follows the frames, so that the other
        side reads all of them first. If `code` is 0, send no close code. If the connection is closed already,
        do nothing."""
        if self.ended or self._is_closing:
            return
        self._is_closing = True
        self.close_code = code or NO_CODE
        close_mark = _CloseMark(code or NO_CODE, reason)
        if self._waiting_items:
            self._waiting_items.append(close_mark)
        else:
            self._put_on_link(close_mark)

    def reset(self) -> None:
        """End the connection at once, for both ends. Frames that have not been read are lost."""
        self._end_once(ABNORMAL_CLOSE, "")
        peer = self.peer
        peer._arriving_items.clear()
        peer._waiting_items.clear()
        self._loop.call_soon(peer._end_once, ABNORMAL_CLOSE, "")

    def break_off(self) -> None:
        """Break the connection off without a closing handshake. The other side still receives the frames that
        were sent before; then a close mark with the code ABNORMAL_CLOSE arrives there. If the connection is
        over at this side already, do nothing."""
        if not self.ended:
            self._is_closing = True
            self._put_on_link(_CloseMark(ABNORMAL_CLOSE, ""))
            self._loop.call_soon(self._end_once, ABNORMAL_CLOSE, "")

    def break_protocol(self) -> None:
        """Send the other end bytes that are not a WebSocket frame, so that it closes the connection with a
        protocol error (RFC 6455, 7.1.7). If this end cannot send any more, do nothing."""
        if self.open:
            self._put_on_link(_BrokenFrame())

    def pause(self) -> None:
        """Leave frames that arrive at this end unread from now on."""
        self._is_paused = True

    def resume(self) -> None:
        """Read at this end again: first the frames that arrived during the pause."""
        self._is_paused = False
        while self._unread_items and not self._is_paused:
            self._handle_item(self._unread_items.popleft())

    def _put_on_link(self, item: _Item) -> None:
        """Put an item (a frame or a close mark) on its way to the other side. The link decides when it
        arrives there, or that it never arrives."""
        peer, link = self.peer, self._link
        frame_size = len(item) if isinstance(item, str | bytes) else 0
        peer._byte_count_on_link += frame_size
        peer._arriving_items.append(item)
        if link.compute_arrival is not None:
            arrives_at = link.compute_arrival(self._loop.time(), frame_size)
            if arrives_at < inf:
                self._loop.call_at(arrives_at, peer._take_next_arrival)
        elif link.delay_seconds:
            self._loop.call_later(link.delay_seconds, peer._take_next_arrival)
        else:
            self._loop.schedule_arrival(peer._take_next_arrival)

    def _take_next_arrival(self) -> None:
        """Take the next item (a frame or a close mark) that arrives at this side of the connection. Handle
        it, or keep it unread while this side is paused. Do nothing if the connection was reset before."""
        if not self._arriving_items:
            return
        item = self._arriving_items.popleft()
        if self._is_paused or self._unread_items:
            self._unread_items.append(item)
        else:
            self._handle_item(item)

    def _handle_item(self, item: _Item) -> None:
        """Handle an item that has arrived at this side of the connection. Pass a frame on to `on_frame`, and
        let the other side send what waited for room on the link. When a close mark arrives, the connection is
        over. After a broken frame, close it with the code of a protocol error."""
        if self.ended:
            return
        if isinstance(item, _CloseMark):
            if item.code != ABNORMAL_CLOSE:
                self._loop.call_soon(self.peer._end_once, item.code, item.reason)
            self._end_once(item.code, item.reason)
            return
        if isinstance(item, _BrokenFrame):
            self.close(PROTOCOL_ERROR_CODE)
            self._end_once(PROTOCOL_ERROR_CODE, "")
            return
        self._byte_count_on_link -= len(item)
        if self.peer._waiting_items:
            self.peer._send_waiting_items()
        self.on_frame(item)

    def _send_waiting_items(self) -> None:
        """Send the items that wait at this side of the connection (frames, then perhaps a close mark), as
        long as the link has room for them. If none waits any more, let the event loop call `on_writable`."""
        while self._waiting_items and self.peer._byte_count_on_link < self._link.capacity_bytes:
            item = self._waiting_items.popleft()
            if isinstance(item, str | bytes):
                self.unsent_byte_count -= len(item)
            self._put_on_link(item)
        if not self._waiting_items:
            self._loop.call_soon(self.on_writable)

    def _end_once(self, code: int, reason: str) -> None:
        """End the connection at this end, and tell its owner by `on_end`. Frames that wait or are unread are
        dropped. If this end has ended already, do nothing."""
        if self.ended:
            return
        self.ended = True
        self.close_code = self.close_code or code
        self._waiting_items.clear()
        self._unread_items.clear()
        self.unsent_byte_count = 0
        self.on_end(self.close_code, reason)


class MemoryConnection:
    """A client's connection to a relay in virtual time, in memory."""

    answer_headers = ""

    def __init__(
        self, client_end: MemoryEnd, on_frame: Callable[[Frame], None], on_close: Callable[[int], None]
    ) -> None:
        """Wrap `client_end`, the client's end of an open connection in memory to a relay. `on_frame` is
        called with each frame that the relay sends, and `on_close` once with the close code."""
        self._client_end, self._on_close = client_end, on_close
        self._is_closed = asyncio.Event()
        client_end.on_frame, client_end.on_end = on_frame, self._finish
        self.break_protocol = client_end.break_protocol
        self.pause, self.resume, self.abort = client_end.pause, client_end.resume, client_end.reset

    async def send(self, frame: Frame) -> None:
        """Send a frame; nothing happens on a connection that is over."""
        self._client_end.send(frame)

    async def close(self) -> None:
        """Close the client's connection in memory to the relay by the closing handshake. Wait until the
        handshake is done, for 2 s at most."""
        self._client_end.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_closed.wait(), _CLOSE_SECONDS)

    async def stop(self) -> None:
        """Do nothing: a connection in memory needs no task that listens."""

    def _finish(self, code: int, reason: str) -> None:
        """Note that the connection to the relay is over, and call `on_close` with the close code."""
        self._is_closed.set()
        self._on_close(code)


def open_connection(link: Link = IDEAL, link_back: Link | None = None) -> tuple[MemoryEnd, MemoryEnd]:
    """Open a connection in memory, and return its two ends. `link` carries what the first end sends, and
    `link_back` what the second end sends. If `link_back` is None, both ways are alike."""
    first_end, second_end = MemoryEnd(link), MemoryEnd(link_back or link)
    first_end.peer, second_end.peer = second_end, first_end
    return first_end, second_end


def _ignore_frame(frame: Frame) -> None:
    """Ignore a frame."""


def _ignore_end(code: int, reason: str) -> None:
    """Ignore the end of a connection in memory."""


def _do_nothing() -> None:
    """Do nothing: the owner of this end wants no call when frames have left."""
