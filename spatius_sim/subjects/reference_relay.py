"""The reference relay: a relay that a team may copy.

Clients speak json-envelope over WebSocket; Motion Server is reached through the published Server SDK
(`spatius`). Each turn has its own upstream session, and interrupting a turn closes its session. So no motion
of an earlier turn can reach a later turn.

Copy it freely. It needs `spatius` and `websockets`, nothing else of this project. `python -m
spatius_sim.subjects.reference_relay` serves the relay. These environment variables configure it: the
SPATIUS_... variables that `spatius-sim serve` prints, and PORT (8765 if it is not set)."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import wave
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any

import spatius
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

spatius.configure_telemetry("")

SAMPLE_RATE = 16000
CLIP_CHUNK_BYTES = 3200
SILENCE_SECONDS = 5.0
"""How long Motion Server may be silent while it owes motion: at real-time pace, its segments lie four seconds
apart."""

LARGEST_CLIENT_MESSAGE = 1_048_576
MAX_MESSAGES_WAITING = 1000


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Where Motion Server is, and the key and ids that we give it. The API key never goes to a client."""

    console_endpoint: str
    ingress_endpoint: str
    api_key: str
    app_id: str
    avatar_id: str
    clips: Path | None = None


class ReferenceTurn:
    """Sends one utterance to Motion Server, and passes the motion or the failure to the client."""

    def __init__(self, client: "ReferenceClient", turn_id: str) -> None:
        """Begin a turn of this client of the relay: start a task that opens a session with Motion Server for
        this turn alone. `turn_id` is told to the client in each message of the turn."""
        self._client = client
        self._turn_id = turn_id
        self._audio: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()
        self._motion_ended = asyncio.Event()
        self._payload_count = 0
        self._task = asyncio.create_task(self._run_turn())

    def speak(self, pcm: bytes, *, end: bool = False) -> None:
        """Send audio of this turn to the relay's client at once, and queue the same audio for Motion Server.
        The client gets the audio first, so that its conversation exists before any motion comes."""
        self._client.tell("avatar_audio", audio=_to_base64(pcm), isLast=end, turnId=self._turn_id)
        self._audio.put_nowait((pcm, end))

    async def cancel(self) -> None:
        """Cancel this turn of a client of the relay: close its session with Motion Server, and wait until the
        session is closed. The client gets nothing more of this turn."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run_turn(self) -> None:
        """Open an upstream session, send the turn's audio to Motion Server, and wait until the motion ends.
        Tell the client of the relay if Motion Server fails."""
        settings = self._client.settings
        session = spatius.new_avatar_session(
            console_endpoint_url=settings.console_endpoint,
            ingress_endpoint_url=settings.ingress_endpoint,
            api_key=settings.api_key,
            app_id=settings.app_id,
            avatar_id=self._client.avatar_id,
            sample_rate=SAMPLE_RATE,
            transport_frames=self._send_motion_to_client,
            on_error=lambda error: self._tell_failure(str(error)),
            on_close=lambda: self._tell_failure("Motion Server closed the session"),
        )
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                await session.init()
                await session.start()
            end = False
            while not end:
                pcm, end = await self._audio.get()
                await session.send_audio(pcm, end=end)
            await self._wait_for_motion_end()
        except TimeoutError:
            self._tell_failure("Motion Server went silent")
        except (spatius.AvatarSDKError, spatius.SessionTokenError, ValueError) as error:
            self._tell_failure(str(error))
        finally:
            self._motion_ended.set()  # If we close the session ourselves, on_close is not a failure.
            await session.close()

    async def _wait_for_motion_end(self) -> None:
        """Wait until Motion Server has sent all motion of this turn, or the turn has failed. Raises
        TimeoutError if no more motion comes for SILENCE_SECONDS."""
        # Each wait is over after SILENCE_SECONDS; if no payload came meanwhile, no other wait begins.
        payload_count_before = -1
        while payload_count_before < self._payload_count and not self._motion_ended.is_set():
            payload_count_before = self._payload_count
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._motion_ended.wait(), SILENCE_SECONDS)
        if not self._motion_ended.is_set():
            raise TimeoutError

    def _send_motion_to_client(self, payload: bytes, last: bool) -> None:
        """Send a payload of motion, which has come from Motion Server, to the client of the reference relay.
        Do nothing if the motion of this turn has ended or failed before. `last`: this payload ends the
        motion."""
        if self._motion_ended.is_set():
            return
        self._payload_count += 1
        self._client.tell("avatar_frames", frames=[_to_base64(payload)], isLast=last, turnId=self._turn_id)
        if last:
            self._motion_ended.set()

    def _tell_failure(self, reason: str) -> None:
        """Tell the client of the reference relay why no more motion will come in this turn. Do nothing if the
        motion has ended or failed before: the SDK may report one failure twice, through on_error and
        on_close."""
        if not self._motion_ended.is_set():
            self._motion_ended.set()
            self._client.tell("error", message=f"motion failed: {reason}", turnId=self._turn_id)


class ReferenceClient:
    """The reference relay's side of the connection to one client, from the client's first message to its
    last."""

    def __init__(self, socket: ServerConnection, settings: RelaySettings) -> None:
        """Make the relay's side of the connection to one client. The client has just connected by this
        socket, and has sent nothing yet."""
        self.settings = settings
        self.avatar_id = settings.avatar_id
        self._socket = socket
        self._outbox: asyncio.Queue[str] = asyncio.Queue()
        self._turn_ids = (f"turn-{number}" for number in count(1))
        self._turn: ReferenceTurn | None = None
        self._listening = False
        self._clip_playing: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Serve one client of the relay: greet the client, and handle its messages until it leaves. Then
        cancel its turn."""
        sending = asyncio.create_task(self._send_outbox())
        try:
            self._greet_client()
            async for frame in self._socket:
                await self._handle_frame(frame)
        except ConnectionClosed:
            pass
        finally:
            await self._cancel_turn()
            sending.cancel()

    def tell(self, message_type: str, **fields: Any) -> None:
        """Queue a JSON message, with this type and these fields, to be sent to the client of the relay. If
        MAX_MESSAGES_WAITING messages wait already, cut the client's connection instead."""
        if self._outbox.qsize() >= MAX_MESSAGES_WAITING:
            self._socket.transport.abort()
        else:
            self._outbox.put_nowait(json.dumps({"type": message_type, **fields}))

    async def _send_outbox(self) -> None:
        """Send each queued message to the relay's client, until the connection is closed."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                await self._socket.send(await self._outbox.get())

    def _greet_client(self) -> None:
        """Send the client of the relay its first message, `ready`, with the session id, the avatar and the
        sample rates in Hz."""
        avatar = {
            "appId": self.settings.app_id,
            "avatarId": self.avatar_id,
            "outputSampleRate": SAMPLE_RATE,
            "inputSampleRate": SAMPLE_RATE,
        }
        self.tell("ready", sessionId=str(self._socket.id), avatar=avatar)

    async def _handle_frame(self, frame: str | bytes) -> None:
        """Do what a message of the relay's client asks. If the message cannot be read, answer with an
        error."""
        try:
            message = json.loads(frame)
            kind = message["type"]
            audio = b64decode(message.get("audio", ""), validate=True)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self.tell("error", message=f"not understood: {error}")
            return
        match kind:
            case "mic_audio":
                if not self._listening:
                    await self._begin_turn()
                    self._listening = True
                self._speak(audio)
            case "mic_end":
                if self._listening:
                    self._listening = False
                    self._speak(b"", end=True)
            case "play_sample":
                await self._begin_turn()
                self._clip_playing = asyncio.create_task(self._play_clip(str(message.get("clip", ""))))
            case "interrupt":
                await self._cancel_turn()
                self.tell("interrupt", reason="asked by the client")
            case "set_avatar":
                self.avatar_id = str(message.get("avatarId") or self.settings.avatar_id)
            case "ping":
                self.tell("pong")
            case _:
                self.tell("error", message=f"not understood: type {kind!r}")

    async def _begin_turn(self) -> None:
        """End the turn of the relay's client that runs, if there is one, and start a new turn."""
        await self._cancel_turn()
        self._turn = ReferenceTurn(self, next(self._turn_ids))

    async def _cancel_turn(self) -> None:
        """Cancel the client's turn that is going on, and the clip that is played for it, if there are any.
        The client of the relay gets no message about this."""
        turn, self._turn, self._listening = self._turn, None, False
        if self._clip_playing is not None:
            self._clip_playing.cancel()
        if turn is not None:
            await turn.cancel()

    def _speak(self, pcm: bytes, *, end: bool = False) -> None:
        """Give audio to the turn that runs; do nothing if none runs."""
        if self._turn is not None:
            self._turn.speak(pcm, end=end)

    async def _play_clip(self, clip_name: str) -> None:
        """Speak the clip with this name, as if the relay's client had spoken it. If there is no clip with
        this name, tell the client an error and cancel the turn."""
        clip_path = next((path for path in _list_clips(self.settings) if path.stem == clip_name), None)
        if clip_path is None:
            self.tell("error", message=f"no clip is named {clip_name!r}")
            await self._cancel_turn()
            return
        pcm = _read_clip(clip_path)
        for offset in range(0, len(pcm), CLIP_CHUNK_BYTES):
            self._speak(pcm[offset : offset + CLIP_CHUNK_BYTES])
            await asyncio.sleep(0)
        self._speak(b"", end=True)


async def serve_relay(settings: RelaySettings, *, host: str, port: int) -> Server:
    """Start to serve clients of the reference relay at `ws://host:port/ws/agent`, and return the server,
    which runs until it is closed. Plain HTTP requests at the same port are answered, too."""

    async def serve_client(socket: ServerConnection) -> None:
        await ReferenceClient(socket, settings).serve()

    def answer_http(socket: ServerConnection, request: Request) -> Response | None:
        """Return the reference relay's answer to a plain HTTP request: its health, the clips that it can
        play, or 404. Return None for the path of clients, so that the WebSocket upgrade goes on."""
        match request.path.partition("?")[0]:
            case "/ws/agent":
                return None
            case "/healthz":
                return socket.respond(HTTPStatus.OK, '{"status":"ok"}\n')
            case "/api/config":
                clips = [{"name": path.stem, "clip": path.stem} for path in _list_clips(settings)]
                return socket.respond(HTTPStatus.OK, json.dumps({"clips": clips}) + "\n")
        return socket.respond(HTTPStatus.NOT_FOUND, "clients connect at /ws/agent\n")

    return await serve(serve_client, host, port, process_request=answer_http, max_size=LARGEST_CLIENT_MESSAGE)


def _list_clips(settings: RelaySettings) -> list[Path]:
    """Return the WAV files in the folder of clips, sorted; an empty list if no folder is set."""
    return sorted(settings.clips.glob("*.wav")) if settings.clips else []


def _read_clip(path: Path) -> bytes:
    """Return the samples of a WAV file."""
    with wave.open(str(path), "rb") as clip:
        return clip.readframes(clip.getnframes())


def _to_base64(binary: bytes) -> str:
    return b64encode(binary).decode("ascii")


def _read_settings(environment: Mapping[str, str]) -> RelaySettings:
    """Return the relay's settings, read from environment variables. If a variable is missing, exit the
    program with a message that names it."""
    try:
        return RelaySettings(
            console_endpoint=environment["SPATIUS_CONSOLE_ENDPOINT"],
            ingress_endpoint=environment["SPATIUS_INGRESS_ENDPOINT"],
            api_key=environment["SPATIUS_API_KEY"],
            app_id=environment["SPATIUS_APP_ID"],
            avatar_id=environment["SPATIUS_AVATAR_ID"],
        )
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set: `spatius-sim serve` prints what a relay needs")


async def _serve_until_signal(settings: RelaySettings, port: int) -> None:
    """Serve clients of the reference relay on 127.0.0.1, as a program of its own, until it receives SIGINT or
    SIGTERM."""
    signal_received = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal_number, signal_received.set)
    async with await serve_relay(settings, host="127.0.0.1", port=port):
        await signal_received.wait()


if __name__ == "__main__":
    asyncio.run(_serve_until_signal(_read_settings(os.environ), int(os.environ.get("PORT", "8765"))))
