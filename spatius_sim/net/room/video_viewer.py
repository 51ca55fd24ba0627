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

_CONTAINER_BY_CODEC = {"H264": Container.H264_SEI, "VP8": Container.VP8}
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
        """Take an item that aiortc wants to give its decoder: a codec with an encoded video frame, or None at
        the end of the video. Give the frame to `on_frame` if its track is watched, its codec is known, and it
        is not too large."""
        if item is None:
            self._ended.put(None)
            return
        codec, frame = item
        if self._is_watched() and codec.name in _CONTAINER_BY_CODEC and len(frame.data) <= MAX_FRAME_BYTES:
            self._on_frame(_CONTAINER_BY_CODEC[codec.name], frame.data)

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
        """Prepare a viewer of a room's video, without a connection as yet. `on_frame` is called with each
        encoded frame, but only of participants for whose identity `is_watched` is true. `on_loss` is called
        with the number of video packets that the network has lost since the call before."""
        self._on_frame, self._on_loss = on_frame, on_loss
        self._is_watched, self._identity_by_track = is_watched, dict[str, str]()
        self._lost_packets = 0
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._peer_connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peer_connection.on("track", self._tap_video_track)
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting_offers: asyncio.Queue[str] = asyncio.Queue()
        self._waiting_candidates: list[str] = []
        self._connected = asyncio.Event()
        self._peer_connection.on("connectionstatechange", self._note_connection_state)
        self._joined = asyncio.Event()

    async def join(self, url: str, token: str) -> None:
        """Join a LiveKit room as a viewer of its video: connect to the server at `url` with this token, and
        wait until it confirms. Raises UnreachableError, without the token in its text, if that fails or takes
        too long."""
        url_query = urlencode(
            {"access_token": token, "auto_subscribe": "1", "protocol": _PROTOCOL_VERSION, "sdk": "python"}
        )
        self._http = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                self._socket = await self._http.ws_connect(f"{url.rstrip('/')}/rtc?{url_query}")
                background_coroutines = (
                    self._read_server_messages(),
                    self._answer_offers(),
                    self._send_pings(),
                    self._report_losses_regularly(),
                )
                self._tasks = [asyncio.create_task(coroutine) for coroutine in background_coroutines]
                await self._joined.wait()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            await self.leave()
            raise UnreachableError(f"the viewer cannot join the room: {type(error).__name__}") from None

    async def leave(self) -> None:
        """Stop viewing the room's video: cancel the viewer's tasks, and close its connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._peer_connection.close()
        if self._socket is not None:
            await self._socket.close()
        if self._http is not None:
            await self._http.close()

    async def _report_losses_regularly(self) -> None:
        """Check every half second how many packets of the video the network has lost."""
        while True:
            await asyncio.sleep(LOOK_FOR_LOSSES_SECONDS)
            await self.report_new_losses()

    async def report_new_losses(self) -> None:
        """Ask the video connection how many packets the network has lost. If there are more than at the last
        call, call `on_loss` with the number of new losses."""
        lost_count = 0
        for transceiver in self._peer_connection.getTransceivers():
            if transceiver.kind == "video":
                reports = (await transceiver.receiver.getStats()).values()
                lost_count += sum(getattr(report, "packetsLost", 0) for report in reports)
        if lost_count > self._lost_packets:
            self._on_loss(lost_count - self._lost_packets)
        self._lost_packets = max(lost_count, self._lost_packets)

    def _note_track_owners(self, participants: Iterable[Any]) -> None:
        """Note which participant of the room owns which track."""
        for participant in participants:
            for track in participant.tracks:
                self._identity_by_track[track.sid] = participant.identity

    def _is_track_watched(self, track_id: str) -> bool:
        """Return whether a track belongs to a participant whose video is viewed."""
        return self._is_watched(self._identity_by_track.get(track_id, ""))

    def _tap_video_track(self, track: Any) -> None:
        """If this is a new video track, replace the queue before its decoder by a tap: an object that takes
        the encoded frames out of the stream, so that aiortc decodes none. Ignore other tracks."""
        if track.kind != "video":
            return
        for transceiver in self._peer_connection.getTransceivers():
            if transceiver.receiver.track is track:
                # The receiver has no public method that gives out encoded frames.
                tap = _FrameTap(self._on_frame, partial(self._is_track_watched, track.id))
                setattr(transceiver.receiver, _DECODER_QUEUE, tap)

    async def _read_server_messages(self) -> None:
        """Read and handle the messages of the room's server until the viewer's socket is closed. A message
        that cannot be read has no effect."""
        assert self._socket is not None
        async for message in self._socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                response = protocol.SignalResponse()
                with suppress(Exception):
                    response.ParseFromString(message.data)
                await self._handle_message(response)

    async def _handle_message(self, response: Any) -> None:
        """Handle one message of the room's server to the viewer. "join" and "update" tell who owns which
        track. "offer" and "trickle" bring SDP offers and network addresses, which are kept until they are
        used."""
        match response.WhichOneof("message"):
            case "join":
                self._note_track_owners(response.join.other_participants)
                self._joined.set()
            case "update":
                self._note_track_owners(response.update.participants)
            case "offer":
                self._waiting_offers.put_nowait(response.offer.sdp)
            case "trickle" if response.trickle.target == _TARGET_SUBSCRIBER:
                self._waiting_candidates.append(response.trickle.candidateInit)
                if self._peer_connection.remoteDescription is not None:
                    await self._add_waiting_candidates()

    async def _answer_offers(self) -> None:
        """Answer the SDP offers of the room's server, one after the other, until cancelled. After each
        answer, wait until its connection is made: aiortc would not receive video tracks that are offered
        before that."""
        while True:
            await self._answer_offer(await self._waiting_offers.get())
            await self._add_waiting_candidates()
            with suppress(TimeoutError):
                async with asyncio.timeout(JOIN_SECONDS):
                    await self._connected.wait()

    def _note_connection_state(self) -> None:
        """Note that the viewer's WebRTC connection is made."""
        if self._peer_connection.connectionState == "connected":
            self._connected.set()

    async def _answer_offer(self, sdp: str) -> None:
        """Accept the SDP offer of the room's server, and send it our answer. The answer names only the
        address 127.0.0.1 of this machine."""
        await self._peer_connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        # aiortc has no option that chooses the addresses in the answer.
        with mock.patch("aioice.ice.get_host_addresses", return_value=[LOOPBACK]):
            await self._peer_connection.setLocalDescription(await self._peer_connection.createAnswer())
        request = protocol.SignalRequest()
        request.answer.type, request.answer.sdp = "answer", self._peer_connection.localDescription.sdp
        await self._send(request)

    async def _add_waiting_candidates(self) -> None:
        """Add the network addresses of the room's server that have arrived to the viewer's WebRTC
        connection."""
        while self._waiting_candidates:
            await self._add_candidate(self._waiting_candidates.pop(0))

    async def _add_candidate(self, candidate_json: str) -> None:
        """Add a network address of the room's server (an ICE candidate) to the viewer's WebRTC connection.
        Ignore an address that cannot be read."""
        with suppress(ValueError, KeyError, AssertionError, IndexError):
            candidate_fields = json.loads(candidate_json)
            candidate = candidate_from_sdp(candidate_fields["candidate"].split(":", 1)[1])
            candidate.sdpMid, candidate.sdpMLineIndex = (
                candidate_fields.get("sdpMid"),
                candidate_fields.get("sdpMLineIndex"),
            )
            await self._peer_connection.addIceCandidate(candidate)

    async def _send_pings(self) -> None:
        """Send the room's server a ping every 5 seconds, so that it keeps the viewer in the room. Run until
        cancelled."""
        while True:
            await asyncio.sleep(_PING_SECONDS)
            request = protocol.SignalRequest()
            request.ping = 1
            await self._send(request)

    async def _send(self, request: Any) -> None:
        """Send one message to the room's server, if the viewer's socket is open."""
        if self._socket is not None and not self._socket.closed:
            await self._socket.send_bytes(request.SerializeToString())
