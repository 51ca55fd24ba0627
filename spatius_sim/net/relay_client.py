"""A client of a relay: it speaks a wire, and writes down all that it hears."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from spatius_sim.dialects import Dialect
from spatius_sim.dialects.events import ClientAction, RelayEvent
from spatius_sim.model.trace import Closed, Lane, Opened
from spatius_sim.net.recorder import Recorder
from spatius_sim.protocol.errors import UnreachableError

_LARGEST_FRAME = 16 * 1_048_576
_CLOSE_SECONDS = 2.0
_ABNORMAL_CLOSE = 1006


class RelayClient:
    """`async with RelayClient(...) as client:` is connected; raises UnreachableError where the relay does
    not take the connection within `open_seconds`.

    `name` is what the trace calls the client. What arrives is told to `recorder`, and waits in `heard`.
    """

    def __init__(
        self, url: str, dialect: Dialect, recorder: Recorder, name: str, open_seconds: float = 10.0
    ) -> None:
        self._url, self._dialect, self._recorder = url, dialect, recorder
        self._name = name
        self._open_seconds = open_seconds
        self._socket: ClientConnection | None = None
        self._listening: asyncio.Task[None] | None = None
        self.heard: asyncio.Queue[RelayEvent] = asyncio.Queue()
        self.closed = asyncio.Event()

    async def __aenter__(self) -> Self:
        try:
            self._socket = await connect(
                self._url,
                max_size=_LARGEST_FRAME,
                open_timeout=self._open_seconds,
                close_timeout=_CLOSE_SECONDS,
                compression=None,
                proxy=None,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise UnreachableError(f"{self._url} cannot be reached: {error}") from error
        self._recorder.emit(Lane.DOWNSTREAM, self._name, Opened())
        response = self._socket.response
        if response is not None:
            headers = "\n".join(f"{name}: {value}" for name, value in response.headers.raw_items())
            self._recorder.searched(Lane.DOWNSTREAM, self._name, headers, "in a header")
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._socket is None or self._listening is None:
            return
        if not self.closed.is_set():
            self._recorder.emit(Lane.DOWNSTREAM, self._name, Closed(by_kit=True, code=1000))
        await self._socket.close()
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening

    async def do(self, action: ClientAction) -> None:
        """Send an action; nothing happens on a connection that the relay has closed."""
        for frame in self._dialect.write_client(action):
            if self._socket is None or self.closed.is_set():
                return
            self._recorder.sent(Lane.DOWNSTREAM, self._name, frame)
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(frame)

    async def _listen(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            async for frame in self._socket:
                self._recorder.received(Lane.DOWNSTREAM, self._name, frame)
                for event in self._dialect.read_relay(frame):
                    self.heard.put_nowait(event)
        code = self._socket.close_code or _ABNORMAL_CLOSE
        self._recorder.emit(Lane.DOWNSTREAM, self._name, Closed(by_kit=False, code=code))
        self.closed.set()
