"""A client of a relay: speaks a wire, and records all that it hears. Its connection may be a real socket or
one in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Protocol, Self

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.client.relay_socket import open_relay_websocket
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.trace.events import Closed, Lane, Opened
from spatius_sim.trace.room_events import DataSeen
from spatius_sim.wires import Wire
from spatius_sim.wires.events import ClientAction, Frame, NotUnderstood, RelayEvent, Start


class ClientConnection(Protocol):
    """A client's open connection to a relay."""

    @property
    def answer_headers(self) -> str:
        """The headers of the relay's answer to the upgrade, one in each line."""

    async def send(self, frame: Frame) -> None:
        """Send a frame; nothing happens on a connection that is over. Raises UnreachableError if the relay
        reads nothing any more."""

    def break_protocol(self) -> None:
        """Send bytes that are no WebSocket frame."""

    def pause(self) -> None:
        """Leave unread what comes from now on."""

    def resume(self) -> None:
        """Read again, first the frames that arrived meanwhile."""

    async def close(self) -> None:
        """Close by the closing handshake."""

    def abort(self) -> None:
        """Cut the connection."""

    async def stop(self) -> None:
        """Listen no more."""


Dial = Callable[
    [RelayAddress, float, Callable[[Frame], None], Callable[[int], None]], Awaitable[ClientConnection]
]
"""Connects to a relay within so many seconds, or raises UnreachableError. The two functions are called with
each frame that comes, and once with the close code."""


class RelayClient:
    """A connection to a relay, open inside `async with RelayClient(...) as client:`.

    Opening raises UnreachableError if the relay does not take the connection within `open_seconds`. The trace
    calls the client `name`. Each frame that arrives is recorded, and its events wait in `relay_events`.
    `dial` connects: over a real socket, unless another function is given. With `data_packets` the sizes of
    frames are recorded, because each is a data packet of a room."""

    def __init__(
        self,
        address: RelayAddress,
        wire: Wire,
        recorder: RealTimeRecorder,
        name: str,
        open_seconds: float = 10.0,
        dial: Dial = open_relay_websocket,
        *,
        data_packets: bool = False,
    ) -> None:
        """Prepare a client of a relay under test; `async with` connects it, by calling `dial`, within
        `open_seconds`. It speaks the message format `wire`, and is recorded as `name`. `data_packets`: each
        frame is a data packet of a room, whose size is recorded."""
        self._data_packets = data_packets
        self._address, self._wire, self._recorder = address, wire, recorder
        self.name = name
        self._open_seconds, self._dial = open_seconds, dial
        self._connection: ClientConnection | None = None
        self._has_left = False
        self.relay_events: asyncio.Queue[RelayEvent] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Connect the kit's client to the relay. Raises UnreachableError if the relay does not take the
        connection."""
        await self._connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close this client's connection to the relay, if it was ever opened."""
        if self._connection is not None:
            await self.hang_up()
            await self._connection.stop()

    @property
    def was_hung_up_on(self) -> bool:
        """Whether the relay, and not this client, ended the connection."""
        return self.closed.is_set() and not self._has_left

    async def _connect(self) -> None:
        """Connect this client to the relay, record the opening, and search the headers of the relay's answer
        for secrets. Frames that come meanwhile are kept, and recorded after the opening. Raises
        UnreachableError if the relay does not take the connection."""
        early_frames: list[Frame] = []
        self._on_frame: Callable[[Frame], None] = early_frames.append
        self._connection = await self._dial(
            self._address, self._open_seconds, lambda frame: self._on_frame(frame), self._finish
        )
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Opened(self._address.token_reference))
        headers = self._connection.answer_headers
        if headers:
            self._recorder.record_leaked_secrets(Lane.DOWNSTREAM, self.name, headers, "in a header")
        self._on_frame = self._take_frame
        for frame in early_frames:
            self._take_frame(frame)

    async def reconnect(self) -> None:
        """Close the connection, and connect this client to the relay again, under the same name. Raises
        UnreachableError if the relay does not take the new connection."""
        await self.__aexit__(None, None, None)
        self.closed.clear()
        self._has_left = False
        await self._connect()

    async def start(self, sample_rate: int, wait_seconds: float) -> RelayEvent | None:
        """Send the relay the start message (nothing, if the message format has none), and wait at most
        `wait_seconds` for an event. Return the first event that is understood. If there is none until the
        time is up or the relay hangs up, return the first event that is not understood, or None if nothing
        came. The events are taken out of `relay_events`."""
        await self.do(Start(sample_rate))
        not_understood: NotUnderstood | None = None
        closing = asyncio.create_task(self.closed.wait())
        try:
            async with asyncio.timeout(wait_seconds):
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

    async def do(self, action: ClientAction) -> None:
        """Send a client's action to the relay, as frames of the wire; do nothing on a connection that the
        relay has closed."""
        for frame in self._wire.write_client_action(action):
            await self.send(frame)

    async def send(self, frame: Frame) -> None:
        """Record a frame and send it to the relay, whatever the frame may mean. Do nothing if the connection
        is closed or was never opened. Raises UnreachableError if the relay reads nothing any more."""
        if self._connection is None or self.closed.is_set():
            return
        self._recorder.record_sent(Lane.DOWNSTREAM, self.name, frame)
        await self._connection.send(frame)

    def break_protocol(self) -> None:
        """Send bytes that are no WebSocket frame."""
        if self._connection is not None and not self.closed.is_set():
            self._connection.break_protocol()

    def stop_reading(self) -> None:
        """Stop reading: leave unread what comes from now on."""
        if self._connection is not None:
            self._connection.pause()

    def resume_reading(self) -> None:
        """Read again, first the frames that arrived meanwhile."""
        if self._connection is not None:
            self._connection.resume()

    async def hang_up(self) -> None:
        """Leave by the closing handshake."""
        if self._connection is not None and self._record_leaving(NORMAL_CLOSE):
            await self._connection.close()

    def cut_connection(self) -> None:
        """Leave without a closing handshake: cut the connection."""
        if self._connection is not None and self._record_leaving(ABNORMAL_CLOSE):
            self._connection.abort()

    def _record_leaving(self, close_code: int) -> bool:
        """Record that this client closes its connection to the relay with this code, and return True: the
        caller must close it now. If the connection was closed before, record nothing and return False. In
        both cases, resume the reading if it was stopped."""
        self.resume_reading()
        if self._has_left or self.closed.is_set():
            return False
        self._has_left = True
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=True, code=close_code))
        return True

    def _take_frame(self, frame: Frame) -> None:
        """Record a frame that has come from the relay, and put the events that it holds into `relay_events`.
        If frames are data packets of a room, record the frame's size, too. If the recorder is full, because
        the relay floods the client, cut the connection, and keep no more."""
        if self._recorder.flooded:
            return
        if self._data_packets:
            size = len(frame.encode() if isinstance(frame, str) else frame)
            self._recorder.emit(Lane.DOWNSTREAM, self.name, DataSeen("relay", size))
        relay_events = self._recorder.record_relay_frame(self.name, frame, self._wire)
        if self._recorder.flooded:
            assert self._connection is not None
            self._connection.abort()
            return
        for relay_event in relay_events:
            self.relay_events.put_nowait(relay_event)

    def _finish(self, code: int) -> None:
        """Record that the relay ended the connection with this code, unless the kit's client had left."""
        if not self._has_left:
            self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=False, code=code))
        self.closed.set()
