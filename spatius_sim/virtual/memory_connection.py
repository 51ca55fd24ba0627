"""Connections in memory: two ends, and a link between them."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NO_CODE, NORMAL_CLOSE
from spatius_sim.virtual.virtual_loop import VirtualLoop

Frame = str | bytes

PROTOCOL_ERROR = 1002


@dataclass(frozen=True, slots=True)
class Link:
    """How a connection carries frames. `delay` is in seconds and one way. `capacity` is how many bytes are
    on their way or unread at most; what is sent beyond it waits at its sender."""

    delay: float = 0.0
    capacity: int = 4 * 1_048_576
    arrival: Callable[[float, int], float] | None = None
    """Returns when a frame of so many bytes arrives that is sent at this time (both in seconds on the loop's
    clock); infinity if never. If it is None, `delay` decides. Frames keep their order: it never returns less
    than before."""


IDEAL = Link()
NARROW = Link(capacity=128 * 1024)
"""A link that buffers little, so that a sender soon notices that its peer reads nothing."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """The end of a connection in memory: it travels on the link after the last frame."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class _Garbage:
    """Bytes on a connection in memory that are not a WebSocket frame."""


_Item = Frame | _Ending | _Garbage


class MemoryEnd:
    """One end of a connection in memory. Its owner sets `on_frame` and `on_end`; both are called from the
    loop, in the order in which the peer acted. `on_end` is called once, however the connection ends.

    `on_writable` is called when frames that waited at this end have left."""

    def __init__(self, link: Link) -> None:
        """Make one end of a connection in memory, not yet joined to the other end; frames that this end sends
        go over `link`. Raises RuntimeError if the running loop is not a virtual one."""
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
        self._closing = False
        self._paused = False
        self._waiting: deque[_Item] = deque()
        """Sent by this end, but beyond the link's capacity."""
        self._arriving: deque[_Item] = deque()
        """On its way to this end."""
        self._unread: deque[_Item] = deque()
        """Arrived at this end while it reads nothing."""
        self._held_bytes = 0
        """How many bytes are on their way to this end, or unread by it."""
        self.unsent_bytes = 0
        """How many bytes wait at this end because the link is full."""

    @property
    def open(self) -> bool:
        """Whether this end can still send frames."""
        return not (self.ended or self._closing)

    def send(self, frame: Frame) -> None:
        """Send a frame to the other end of the connection in memory; the frame waits here if the link is
        full. Do nothing if the connection is closed."""
        if self.ended or self._closing:
            return
        if self._waiting or self.peer._held_bytes >= self._link.capacity:
            self._waiting.append(frame)
            self.unsent_bytes += len(frame)
        else:
            self._put_on_link(frame)

    def close(self, code: int = NORMAL_CLOSE, reason: str = "") -> None:
        """Close the connection in memory by a closing handshake: the other end reads all frames first. If
        `code` is 0, no code is sent. Do nothing if the connection is closed already."""
        if self.ended or self._closing:
            return
        self._closing = True
        self.close_code = code or NO_CODE
        ending = _Ending(code or NO_CODE, reason)
        if self._waiting:
            self._waiting.append(ending)
        else:
            self._put_on_link(ending)

    def reset(self) -> None:
        """End the connection in memory at once, for both ends: frames on their way are lost."""
        self._finish(ABNORMAL_CLOSE, "")
        peer = self.peer
        peer._arriving.clear()
        peer._waiting.clear()
        self._loop.call_soon(peer._finish, ABNORMAL_CLOSE, "")

    def break_off(self) -> None:
        """End the connection in memory without a closing handshake: the other end sees the end after it has
        received the frames that were sent before. Do nothing if this end has ended already."""
        if not self.ended:
            self._closing = True
            self._put_on_link(_Ending(ABNORMAL_CLOSE, ""))
            self._loop.call_soon(self._finish, ABNORMAL_CLOSE, "")

    def break_protocol(self) -> None:
        """Send the other end bytes that are not a WebSocket frame, so that it closes the connection (RFC
        6455, 7.1.7)."""
        if self.open:
            self._put_on_link(_Garbage())

    def pause(self) -> None:
        """Leave frames that arrive at this end unread from now on."""
        self._paused = True

    def resume(self) -> None:
        """Read at this end again, first the frames that arrived during the pause."""
        self._paused = False
        while self._unread and not self._paused:
            self._read(self._unread.popleft())

    def _put_on_link(self, item: _Item) -> None:
        """Send a frame, or the end of the connection, on its way: it arrives at the other end when the link
        says so, or never."""
        peer, link = self.peer, self._link
        frame_bytes = len(item) if isinstance(item, str | bytes) else 0
        peer._held_bytes += frame_bytes
        peer._arriving.append(item)
        if link.arrival is not None:
            arrives_at = link.arrival(self._loop.time(), frame_bytes)
            if arrives_at < inf:
                self._loop.call_at(arrives_at, peer._take_arriving_frame)
        elif link.delay:
            self._loop.call_later(link.delay, peer._take_arriving_frame)
        else:
            self._loop.put_off_arrival(peer._take_arriving_frame)

    def _take_arriving_frame(self) -> None:
        """Take the next frame or close that arrives at this end of the connection in memory (a link keeps the
        order): read it, or leave it unread while this end is paused."""
        if not self._arriving:
            return
        item = self._arriving.popleft()
        if self._paused or self._unread:
            self._unread.append(item)
        else:
            self._read(item)

    def _read(self, item: _Item) -> None:
        """Take what has arrived at this end of the connection: give a frame to the owner of this end, or end
        the connection here. Then the other end sends the frames that waited for room on the link."""
        if self.ended:
            return
        if isinstance(item, _Ending):
            if item.code != ABNORMAL_CLOSE:
                self._loop.call_soon(self.peer._finish, item.code, item.reason)
            self._finish(item.code, item.reason)
            return
        if isinstance(item, _Garbage):
            self.close(PROTOCOL_ERROR)
            self._finish(PROTOCOL_ERROR, "")
            return
        self._held_bytes -= len(item)
        if self.peer._waiting:
            self.peer._send_waiting()
        self.on_frame(item)

    def _send_waiting(self) -> None:
        """Send the frames that wait at this end of the connection in memory, as long as the link has room for
        them. If no frame waits any more, let the event loop call `on_writable`."""
        while self._waiting and self.peer._held_bytes < self._link.capacity:
            item = self._waiting.popleft()
            if isinstance(item, str | bytes):
                self.unsent_bytes -= len(item)
            self._put_on_link(item)
        if not self._waiting:
            self._loop.call_soon(self.on_writable)

    def _finish(self, code: int, reason: str) -> None:
        """Mark this end of the connection as ended, and tell its owner once, with the close code."""
        if self.ended:
            return
        self.ended = True
        self.close_code = self.close_code or code
        self._waiting.clear()
        self._unread.clear()
        self.unsent_bytes = 0
        self.on_end(self.close_code, reason)


def open_connection(link: Link = IDEAL, back: Link | None = None) -> tuple[MemoryEnd, MemoryEnd]:
    """Open a connection in memory, and return its two ends. `link` carries what the first end sends, and
    `back` what the second end sends; None: both ways are alike."""
    first_end, second_end = MemoryEnd(link), MemoryEnd(back or link)
    first_end.peer, second_end.peer = second_end, first_end
    return first_end, second_end


def _ignore_frame(frame: Frame) -> None:
    """Ignore a frame."""


def _ignore_end(code: int, reason: str) -> None:
    """Ignore the end of a connection in memory."""


def _do_nothing() -> None:
    """Do nothing: the owner of this end wants no call when frames have left."""
