"""A client of an HTTP backend that answers a whole turn as one document."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import aiohttp

from spatius_sim.net.client.relay import LARGEST_FRAME, RelayClient
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.trace.events import Closed, Lane, Opened
from spatius_sim.wires.events import ClientAction, Frame, Speak, SpeakEnd

_ANSWER_SECONDS = 60.0
_TEXTUAL = ("application/json", "text/")


class DocumentClient(RelayClient):
    """A RelayClient for an http:// address: it posts what it says in a turn once the turn is whole, and hears
    the answer. HTTP knows no session: opening and closing exist only on the client's side."""

    _speech = b""
    _posting: asyncio.Task[None] | None = None

    async def _connect(self) -> None:
        """Look whether the backend takes connections at all; raises UnreachableError if not."""
        parts = urlsplit(self._address.url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._open_seconds):
                _, writer = await asyncio.open_connection(parts.hostname, port)
        except (OSError, TimeoutError) as error:
            raise UnreachableError(
                f"{self._address.url_without_secrets} cannot be reached: {error}"
            ) from error
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Opened(self._address.bears))

    async def __aexit__(self, *error: object) -> None:
        await self.hang_up()

    async def do(self, action: ClientAction) -> None:
        """Send an action; audio is kept until it is complete."""
        match action:
            case Speak(pcm, False):
                self._speech += pcm
                return
            case Speak(pcm, True):
                action = Speak(self._speech + pcm, last=True)
            case SpeakEnd():
                action = Speak(self._speech, last=True)
        self._speech = b""
        await super().do(action)

    async def send(self, frame: Frame) -> None:
        """Post a frame; the answer to the one before is no longer waited for."""
        await self._give_up_posting()
        self.closed.clear()
        self._recorder.record_sent(Lane.DOWNSTREAM, self.name, frame)
        self._posting = asyncio.create_task(self._post(frame))

    async def hang_up(self) -> None:
        """Leave, whether the answer has come or not."""
        await self._give_up_posting()
        if not self._leave(NORMAL_CLOSE):
            self.closed.set()

    def vanish(self) -> None:
        """Leave without waiting for the request to be cancelled: it has no closing handshake."""
        if self._posting is not None:
            self._posting.cancel()
        if not self._leave(ABNORMAL_CLOSE):
            self.closed.set()

    def stop_reading(self) -> None:
        """Do nothing: an answer is always read whole."""

    def read_on(self) -> None:
        """Do nothing: an answer is always read whole."""

    def break_protocol(self) -> None:
        """Do nothing: there is no WebSocket whose protocol could be broken."""

    async def _give_up_posting(self) -> None:
        if self._posting is not None:
            self._posting.cancel()
            await asyncio.gather(self._posting, return_exceptions=True)

    async def _post(self, frame: Frame) -> None:
        """Post a frame, search the answer for secrets, and hear it; a failure closes the client."""
        kind = "application/json" if isinstance(frame, str) else "application/octet-stream"
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        headers = dict(self._address.headers) | {"Content-Type": kind}
        body = frame.encode() if isinstance(frame, str) else frame
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(
                    self._address.url, data=body, headers=headers, ssl=self._address.tls or True
                ) as answer,
            ):
                body_read = await answer.content.read(LARGEST_FRAME)
                while len(body_read) < LARGEST_FRAME and (more := await answer.content.read(LARGEST_FRAME)):
                    body_read += more
                lines = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
                textual = answer.content_type.startswith(_TEXTUAL)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=False, code=ABNORMAL_CLOSE))
            self.closed.set()
            return
        self._recorder.search_secrets(Lane.DOWNSTREAM, self.name, lines, "in a header")
        document: Frame = body_read.decode(errors="replace") if textual else body_read
        self._recorder.record_received(Lane.DOWNSTREAM, self.name, document)
        for event in self._wire.read_relay(document):
            self.heard.put_nowait(event)
