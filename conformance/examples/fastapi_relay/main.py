"""A Backend Mode relay on FastAPI and the Python Server SDK, as small as one can be that breaks no rule.

    pip install fastapi 'uvicorn[standard]' spatius
    uvicorn main:app --port 8765

Clients speak the vendor's JSON wire at /ws/agent: mic_audio, mic_end, interrupt and ping go in; ready,
avatar_audio, avatar_frames, interrupt and error come out. Each turn has a Server SDK session of its own,
so that nothing of an earlier turn can come out of it.
"""

import asyncio
import contextlib
import json
import os
from base64 import b64decode, b64encode
from itertools import count

import spatius
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

spatius.configure_telemetry("")
SAMPLE_RATE = 16000
MOTION_SECONDS = 10.0

app = FastAPI()


@app.websocket("/ws/agent")
async def agent(socket: WebSocket) -> None:
    await socket.accept()
    client = Client(socket)
    sending = asyncio.create_task(client.send_outbox())
    try:
        client.greet()
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            await client.take(message.get("text") or "")
    finally:
        await client.drop_turn()
        sending.cancel()


class Client:
    """One client. Everything that it is told goes through one queue, and so keeps its order."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._numbers = count(1)
        self._turn: Turn | None = None
        self._listening = False

    async def send_outbox(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await self._socket.send_text(await self._outbox.get())

    def tell(self, kind: str, **fields: object) -> None:
        self._outbox.put_nowait(json.dumps({"type": kind, **fields}))

    def greet(self) -> None:
        avatar = {
            "appId": os.environ["SPATIUS_APP_ID"],
            "avatarId": os.environ["SPATIUS_AVATAR_ID"],
            "outputSampleRate": SAMPLE_RATE,
            "inputSampleRate": SAMPLE_RATE,
        }
        self.tell("ready", sessionId=str(id(self)), avatar=avatar)

    async def take(self, text: str) -> None:
        try:
            message = json.loads(text)
            kind, pcm = message["type"], b64decode(message.get("audio", ""), validate=True)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            self.tell("error", message=f"not understood: {error}")
            return
        if kind == "mic_audio":
            if not self._listening:  # New audio starts a new turn, and cuts off what is still playing.
                await self.drop_turn()
                self._turn, self._listening = Turn(self, f"turn-{next(self._numbers)}"), True
            self._turn.speak(pcm)
        elif kind == "mic_end":
            if self._listening:
                self._listening = False
                self._turn.speak(b"", end=True)
        elif kind == "interrupt":
            await self.drop_turn()
            self.tell("interrupt", reason="asked by the client")
        elif kind == "ping":
            self.tell("pong")
        else:
            self.tell("error", message=f"not understood: {kind!r}")

    async def drop_turn(self) -> None:
        turn, self._turn, self._listening = self._turn, None, False
        if turn is not None:
            await turn.drop()


class Turn:
    """One utterance: its audio goes to the client and up to Motion Server, and its motion comes down."""

    def __init__(self, client: Client, turn_id: str) -> None:
        self._client, self._id = client, turn_id
        self._audio: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._over = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def speak(self, pcm: bytes, end: bool = False) -> None:
        # First to the client: no motion may come before the audio that it belongs to.
        audio = b64encode(pcm).decode()
        self._client.tell("avatar_audio", audio=audio, isLast=end, turnId=self._id)
        self._audio.put_nowait((pcm, end))

    async def drop(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        session = spatius.new_avatar_session(
            console_endpoint_url=os.environ["SPATIUS_CONSOLE_ENDPOINT"],
            ingress_endpoint_url=os.environ["SPATIUS_INGRESS_ENDPOINT"],
            api_key=os.environ["SPATIUS_API_KEY"],
            app_id=os.environ["SPATIUS_APP_ID"],
            avatar_id=os.environ["SPATIUS_AVATAR_ID"],
            sample_rate=SAMPLE_RATE,
            transport_frames=self._on_motion,
            on_error=lambda error: self._fail(str(error)),
            on_close=lambda: self._fail(
                "Motion Server closed the session"
            ),  # A close with 1000 is not an error.
        )
        try:
            await session.init()
            await session.start()
            end = False
            while not end:
                pcm, end = await self._audio.get()
                await session.send_audio(pcm, end=end)
            await asyncio.wait_for(self._over.wait(), MOTION_SECONDS)
        except (spatius.AvatarSDKError, spatius.SessionTokenError, ValueError, TimeoutError) as error:
            self._fail(str(error) or "Motion Server went silent")
        finally:
            self._over.set()
            await session.close()

    def _on_motion(self, payload: bytes, last: bool) -> None:
        if not self._over.is_set():
            frames = [b64encode(payload).decode()]  # One whole envelope, untouched.
            self._client.tell("avatar_frames", frames=frames, isLast=last, turnId=self._id)
            if last:
                self._over.set()

    def _fail(self, reason: str) -> None:
        """The client goes on with audio alone when it hears this."""
        if not self._over.is_set():
            self._over.set()
            self._client.tell("error", message=f"motion failed: {reason}", turnId=self._id)
