"""A client of an HTTP backend that answers a whole turn as one document."""

import asyncio
import contextlib
from urllib.parse import urlsplit

import aiohttp

from spatius_sim.net.client.relay_socket import LARGEST_FRAME
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.trace.events import Closed, Lane, Opened
from spatius_sim.wires.events import ClientAction, Frame, Note, Speak, SpeakEnd

_ANSWER_SECONDS = 60.0
_TEXT_CONTENT_TYPES = ("application/json", "text/")


class HttpRelayClient(RelayClient):
    """A RelayClient for an http:// address: it posts each turn when complete, and reads the answer.

    HTTP has no session: opening and closing happen only on the client's side."""

    _collected_speech = b""
    _posting: asyncio.Task[None] | None = None

    async def _connect(self) -> None:
        """Check that the HTTP backend can be reached, by a TCP connection that is closed at once, and record
        this as the opening of the client's connection. Raises UnreachableError if the backend takes no TCP
        connection in time."""
        url_parts = urlsplit(self._address.url)
        port = url_parts.port or (443 if url_parts.scheme == "https" else 80)
        try:
            async with asyncio.timeout(self._open_seconds):
                _, writer = await asyncio.open_connection(url_parts.hostname, port)
        except (OSError, TimeoutError) as error:
            raise UnreachableError(
                f"{self._address.url_without_secrets} cannot be reached: {error}"
            ) from error
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self._recorder.emit(Lane.DOWNSTREAM, self.name, Opened(self._address.token_reference))

    async def __aexit__(self, *error: object) -> None:
        """Hang up at the end of `async with`."""
        await self.hang_up()

    async def do(self, action: ClientAction) -> None:
        """Carry out a client's action at the HTTP backend. Audio is only collected; the end of the speech
        posts all of it at once. A note (a message outside of turns, such as a ping) leaves the collected
        audio as it is. Any other action drops it."""
        match action:
            case Note():
                await super().do(action)
                return
            case Speak(pcm, last=False):
                self._collected_speech += pcm
                return
            case Speak(pcm, last=True):
                action = Speak(self._collected_speech + pcm, last=True)
            case SpeakEnd():
                action = Speak(self._collected_speech, last=True)
        self._collected_speech = b""
        await super().do(action)

    async def send(self, frame: Frame) -> None:
        """Start to post a frame to the HTTP backend, and do not wait for the answer. If the request for the
        previous frame still waits for its answer, cancel that request."""
        await self._cancel_posting()
        self.closed.clear()
        self._recorder.record_sent(Lane.DOWNSTREAM, self.name, frame)
        self._posting = asyncio.create_task(self._post_frame(frame))

    async def hang_up(self) -> None:
        """Leave the HTTP backend, and cancel the request if its answer has not come."""
        await self._cancel_posting()
        if self._record_leaving(NORMAL_CLOSE):
            self.closed.set()

    def cut_connection(self) -> None:
        """Leave the HTTP backend at once: cancel the request that waits for its answer, if there is one, and
        do not wait until the request has ended."""
        if self._posting is not None:
            self._posting.cancel()
        if self._record_leaving(ABNORMAL_CLOSE):
            self.closed.set()

    def stop_reading(self) -> None:
        """Do nothing: an answer is always read whole."""

    def resume_reading(self) -> None:
        """Do nothing: an answer is always read whole."""

    def break_protocol(self) -> None:
        """Do nothing: this client has no WebSocket whose protocol it could break."""

    async def _cancel_posting(self) -> None:
        """Cancel the HTTP request that waits for its answer, if there is one, and wait until it has ended."""
        if self._posting is not None:
            self._posting.cancel()
            await asyncio.gather(self._posting, return_exceptions=True)

    async def _post_frame(self, frame: Frame) -> None:
        """Post a frame to the HTTP backend, search the answer for secrets, record the answer, and queue its
        events. If the request fails, record that the connection has closed."""
        content_type = "application/json" if isinstance(frame, str) else "application/octet-stream"
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        headers = dict(self._address.headers) | {"Content-Type": content_type}
        body = frame.encode() if isinstance(frame, str) else frame
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.post(
                    self._address.url,
                    data=body,
                    headers=headers,
                    ssl=self._address.tls or True,
                    allow_redirects=False,
                ) as answer,
            ):
                raw = await answer.content.read(LARGEST_FRAME)
                while len(raw) < LARGEST_FRAME and (more := await answer.content.read(LARGEST_FRAME)):
                    raw += more
                header_lines = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
                is_text = answer.content_type.startswith(_TEXT_CONTENT_TYPES)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            self._recorder.emit(Lane.DOWNSTREAM, self.name, Closed(by_kit=False, code=ABNORMAL_CLOSE))
            self.closed.set()
            return
        self._recorder.record_leaked_secrets(Lane.DOWNSTREAM, self.name, header_lines, "in a header")
        document: Frame = raw.decode(errors="replace") if is_text else raw
        self._recorder.record_received(Lane.DOWNSTREAM, self.name, document)
        for event in self._wire.read_relay_frame(document):
            self.relay_events.put_nowait(event)
