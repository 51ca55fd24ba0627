"""Watches the video of a LiveKit room over aiortc: encoded frames, as the browser's adapter sees them.

aiortc decodes what comes; here its decoder is never reached, because the frames are taken before it.
"""

import asyncio
import json
import queue
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp
from livekit.protocol import rtc as protocol

from spatius_sim.net.free_ports import LOOPBACK
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.video_container import Container

JOIN_SECONDS = 10.0
LOOK_FOR_LOSSES_SECONDS = 0.5
"""How often a viewer looks how many packets the network lost."""
MAX_FRAME_BYTES = 1_048_576
"""A larger frame is not looked at."""

OnFrame = Callable[[Container, bytes], None]
"""Is called with each encoded frame, and with the container of motion that its codec has."""

_CONTAINERS = {"H264": Container.H264_SEI, "VP8": Container.VP8}
_PING_SECONDS = 5.0
_PROTOCOL_VERSION = 15
_DECODER_QUEUE = "_RTCRtpReceiver__decoder_queue"
_TARGET_SUBSCRIBER = protocol.SignalTarget.SUBSCRIBER


class _FrameTap:
    """Stands in the place of the queue between aiortc's receiver and its decoder: it hands encoded frames
    over, and lets the decoder wait for nothing."""

    def __init__(self, on_frame: OnFrame, is_watched: Callable[[], bool]) -> None:
        self._on_frame, self._is_watched = on_frame, is_watched
        self._ended = queue.SimpleQueue[None]()

    def put(self, item: Any) -> None:
        """Take a frame, or None at the end."""
        if item is None:
            self._ended.put(None)
        elif self._is_watched() and item[0].name in _CONTAINERS and len(item[1].data) <= MAX_FRAME_BYTES:
            self._on_frame(_CONTAINERS[item[0].name], item[1].data)

    def get(self) -> Any:
        """Wait for the end."""
        return self._ended.get()


class VideoViewer:
    """Subscribes to the video of a room. `on_frame` is called with each encoded frame, `on_loss` with the
    number of RTP packets that the network lost since the last look. Only the tracks of participants that
    `is_watched` names are looked at."""

    def __init__(
        self,
        on_frame: OnFrame,
        on_loss: Callable[[int], None] = lambda packets: None,
        is_watched: Callable[[str], bool] = lambda identity: True,
    ) -> None:
        """Begin without a connection to the room."""
        self._on_frame, self._on_loss = on_frame, on_loss
        self._is_watched, self._owners = is_watched, dict[str, str]()
        self._lost_packets = 0
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("track", self._track_came)
        self._tasks: list[asyncio.Task[None]] = []
        self._offers: asyncio.Queue[str] = asyncio.Queue()
        self._candidates: list[str] = []
        self._connected = asyncio.Event()
        self._peer.on("connectionstatechange", self._note_connection)
        self._joined = asyncio.Event()

    async def join(self, url: str, token: str) -> None:
        """Join the room of this token. Raises UnreachableError, without the token in its text."""
        query = urlencode(
            {"access_token": token, "auto_subscribe": "1", "protocol": _PROTOCOL_VERSION, "sdk": "python"}
        )
        self._http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                self._socket = await self._http.ws_connect(f"{url.rstrip('/')}/rtc?{query}")
                work = (self._listen(), self._negotiate(), self._ping(), self._watch_losses())
                self._tasks = [asyncio.create_task(one) for one in work]
                await self._joined.wait()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await self.leave()
            raise UnreachableError(f"the viewer cannot join the room: {type(error).__name__}") from None

    async def leave(self) -> None:
        """Leave the room."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._peer.close()
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    async def _watch_losses(self) -> None:
        """Look now and then how many packets the network lost."""
        while True:
            await asyncio.sleep(LOOK_FOR_LOSSES_SECONDS)
            await self.look_for_losses()

    async def look_for_losses(self) -> None:
        """Tell how many packets the network lost since the last look, if it lost any."""
        lost = 0
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind == "video":
                found = (await transceiver.receiver.getStats()).values()
                lost += sum(getattr(one, "packetsLost", 0) for one in found)
        if lost > self._lost_packets:
            self._on_loss(lost - self._lost_packets)
        self._lost_packets = max(lost, self._lost_packets)

    def _note_tracks(self, participants: Iterable[Any]) -> None:
        """Note whose the tracks are."""
        for participant in participants:
            for track in participant.tracks:
                self._owners[track.sid] = participant.identity

    def _is_of_watched(self, track_id: str) -> bool:
        """Whether a track belongs to whom we watch."""
        return self._is_watched(self._owners.get(track_id, ""))

    def _track_came(self, track: Any) -> None:
        """Take the frames of a video track before they are decoded; leave sound alone."""
        if track.kind != "video":
            return
        for transceiver in self._peer.getTransceivers():
            if transceiver.receiver.track is track:
                # The receiver has no public door for encoded frames.
                tap = _FrameTap(self._on_frame, partial(self._is_of_watched, track.id))
                setattr(transceiver.receiver, _DECODER_QUEUE, tap)

    async def _listen(self) -> None:
        """Answer what the room's server says, until the socket is closed."""
        assert self._socket is not None
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                response = protocol.SignalResponse()
                with suppress(Exception):
                    response.ParseFromString(message.data)
                await self._answer(response)

    async def _answer(self, response: Any) -> None:
        """Do what one message asks for."""
        match response.WhichOneof("message"):
            case "join":
                self._note_tracks(response.join.other_participants)
                self._joined.set()
            case "update":
                self._note_tracks(response.update.participants)
            case "offer":
                self._offers.put_nowait(response.offer.sdp)
            case "trickle" if response.trickle.target == _TARGET_SUBSCRIBER:
                self._candidates.append(response.trickle.candidateInit)
                if self._peer.remoteDescription is not None:
                    await self._add_candidates()

    async def _negotiate(self) -> None:
        """Answer the SDP offers of the room's server, one after the other. aiortc never receives tracks that
        are offered while the connection is being made, so each answer waits until the connection of the offer
        before is made."""
        while True:
            await self._answer_offer(await self._offers.get())
            await self._add_candidates()
            with suppress(TimeoutError):
                async with asyncio.timeout(JOIN_SECONDS):
                    await self._connected.wait()

    def _note_connection(self) -> None:
        """Note that the connection stands."""
        if self._peer.connectionState == "connected":
            self._connected.set()

    async def _answer_offer(self, sdp: str) -> None:
        """Accept what is offered. On this machine no other address than 127.0.0.1 is used."""
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        with mock.patch("aioice.ice.get_host_addresses", return_value=[LOOPBACK]):
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        request = protocol.SignalRequest()
        request.answer.type, request.answer.sdp = "answer", self._peer.localDescription.sdp
        await self._send(request)

    async def _add_candidates(self) -> None:
        """Add the addresses of the server that have arrived."""
        while self._candidates:
            await self._add_candidate(self._candidates.pop(0))

    async def _add_candidate(self, text: str) -> None:
        """Add an address of the server; one that cannot be read is left out."""
        with suppress(ValueError, KeyError, AssertionError, IndexError):
            init = json.loads(text)
            candidate = candidate_from_sdp(init["candidate"].split(":", 1)[1])
            candidate.sdpMid, candidate.sdpMLineIndex = init.get("sdpMid"), init.get("sdpMLineIndex")
            await self._peer.addIceCandidate(candidate)

    async def _ping(self) -> None:
        """Say now and then that we are alive."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            request = protocol.SignalRequest()
            request.ping = 1
            await self._send(request)

    async def _send(self, request: Any) -> None:
        """Send one message."""
        if self._socket is not None and not self._socket.closed:
            await self._socket.send_bytes(request.SerializeToString())
