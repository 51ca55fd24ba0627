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

from spatius_sim.net.ports_and_hosts import LOOPBACK
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
        """Prepare to hand encoded video frames to `on_frame`."""
        self._on_frame, self._is_watched = on_frame, is_watched
        self._ended = queue.SimpleQueue[None]()

    def put(self, item: Any) -> None:
        """Give an encoded video frame to `on_frame`, if its track is watched, its codec known and its size
        allowed. None as `item` marks the end."""
        if item is None:
            self._ended.put(None)
        elif self._is_watched() and item[0].name in _CONTAINERS and len(item[1].data) <= MAX_FRAME_BYTES:
            self._on_frame(_CONTAINERS[item[0].name], item[1].data)

    def get(self) -> Any:
        """Let aiortc's decoder wait until the video has ended."""
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
        """Prepare a viewer of a room's video, as yet without a connection. `on_frame` is called with each
        encoded frame of the participants for whom `is_watched` is true, `on_loss` with the number of packets
        that the network has lost."""
        self._on_frame, self._on_loss = on_frame, on_loss
        self._is_watched, self._owners = is_watched, dict[str, str]()
        self._lost_packets = 0
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer.on("track", self._tap_video_track)
        self._tasks: list[asyncio.Task[None]] = []
        self._offers: asyncio.Queue[str] = asyncio.Queue()
        self._candidates: list[str] = []
        self._connected = asyncio.Event()
        self._peer.on("connectionstatechange", self._note_connection)
        self._joined = asyncio.Event()

    async def join(self, url: str, token: str) -> None:
        """Join the room of this token as a viewer of its video. Raises UnreachableError, without the token in
        its text, if that fails or takes too long."""
        query = urlencode(
            {"access_token": token, "auto_subscribe": "1", "protocol": _PROTOCOL_VERSION, "sdk": "python"}
        )
        self._http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                self._socket = await self._http.ws_connect(f"{url.rstrip('/')}/rtc?{query}")
                coroutines = (
                    self._follow_server(),
                    self._answer_offers(),
                    self._send_pings(),
                    self._watch_losses(),
                )
                self._tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
                await self._joined.wait()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await self.leave()
            raise UnreachableError(f"the viewer cannot join the room: {type(error).__name__}") from None

    async def leave(self) -> None:
        """Stop viewing the video of the room, and close the viewer's connection to the room."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._peer.close()
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    async def _watch_losses(self) -> None:
        """Check every half second how many packets of the video the network has lost."""
        while True:
            await asyncio.sleep(LOOK_FOR_LOSSES_SECONDS)
            await self.look_for_losses()

    async def look_for_losses(self) -> None:
        """Ask the video connection how many video packets the network has lost. If more are lost than at the
        last call, call `on_loss` with the number of packets lost since then."""
        lost = 0
        for transceiver in self._peer.getTransceivers():
            if transceiver.kind == "video":
                reports = (await transceiver.receiver.getStats()).values()
                lost += sum(getattr(report, "packetsLost", 0) for report in reports)
        if lost > self._lost_packets:
            self._on_loss(lost - self._lost_packets)
        self._lost_packets = max(lost, self._lost_packets)

    def _note_owners(self, participants: Iterable[Any]) -> None:
        """Note which participant of the room owns which track."""
        for participant in participants:
            for track in participant.tracks:
                self._owners[track.sid] = participant.identity

    def _is_of_watched(self, track_id: str) -> bool:
        """Return whether a track belongs to a participant whose video is viewed."""
        return self._is_watched(self._owners.get(track_id, ""))

    def _tap_video_track(self, track: Any) -> None:
        """Take the frames of a new video track before aiortc decodes them; ignore sound tracks."""
        if track.kind != "video":
            return
        for transceiver in self._peer.getTransceivers():
            if transceiver.receiver.track is track:
                # The receiver has no public door for encoded frames.
                tap = _FrameTap(self._on_frame, partial(self._is_of_watched, track.id))
                setattr(transceiver.receiver, _DECODER_QUEUE, tap)

    async def _follow_server(self) -> None:
        """Carry out the messages of the room's server, until the viewer's socket is closed. A message that
        cannot be read is skipped."""
        assert self._socket is not None
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                response = protocol.SignalResponse()
                with suppress(Exception):
                    response.ParseFromString(message.data)
                await self._carry_out(response)

    async def _carry_out(self, response: Any) -> None:
        """Carry out one message of the room's server to the viewer: note tracks and that the viewer has
        joined, and queue offers and addresses."""
        match response.WhichOneof("message"):
            case "join":
                self._note_owners(response.join.other_participants)
                self._joined.set()
            case "update":
                self._note_owners(response.update.participants)
            case "offer":
                self._offers.put_nowait(response.offer.sdp)
            case "trickle" if response.trickle.target == _TARGET_SUBSCRIBER:
                self._candidates.append(response.trickle.candidateInit)
                if self._peer.remoteDescription is not None:
                    await self._add_candidates()

    async def _answer_offers(self) -> None:
        """Answer the SDP offers of the room's server, one after the other. aiortc never receives video tracks
        that are offered while a connection is being made, so each answer waits until the previous connection
        is made."""
        while True:
            await self._answer_offer(await self._offers.get())
            await self._add_candidates()
            with suppress(TimeoutError):
                async with asyncio.timeout(JOIN_SECONDS):
                    await self._connected.wait()

    def _note_connection(self) -> None:
        """Note that the viewer's WebRTC connection is made."""
        if self._peer.connectionState == "connected":
            self._connected.set()

    async def _answer_offer(self, sdp: str) -> None:
        """Accept the video tracks that the room's server offers. On this machine only the address 127.0.0.1
        is used."""
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        with mock.patch("aioice.ice.get_host_addresses", return_value=[LOOPBACK]):
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        request = protocol.SignalRequest()
        request.answer.type, request.answer.sdp = "answer", self._peer.localDescription.sdp
        await self._send(request)

    async def _add_candidates(self) -> None:
        """Add the network addresses of the room's server that have arrived to the viewer's WebRTC
        connection."""
        while self._candidates:
            await self._add_candidate(self._candidates.pop(0))

    async def _add_candidate(self, text: str) -> None:
        """Add one network address of the room's server to the viewer's WebRTC connection; ignore an address
        that cannot be read."""
        with suppress(ValueError, KeyError, AssertionError, IndexError):
            description = json.loads(text)
            candidate = candidate_from_sdp(description["candidate"].split(":", 1)[1])
            candidate.sdpMid, candidate.sdpMLineIndex = (
                description.get("sdpMid"),
                description.get("sdpMLineIndex"),
            )
            await self._peer.addIceCandidate(candidate)

    async def _send_pings(self) -> None:
        """Tell the room's server every 5 seconds that the viewer of the video is still there."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            request = protocol.SignalRequest()
            request.ping = 1
            await self._send(request)

    async def _send(self, request: Any) -> None:
        """Send one message to the room's server, if the viewer's socket is open."""
        if self._socket is not None and not self._socket.closed:
            await self._socket.send_bytes(request.SerializeToString())
