"""Watches real LiveKit rooms as the agent of an egress and as a viewer, and records what happens there."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc

from spatius_sim.model.server.egress_playback import PLAYBACK_FINISHED, PLAYBACK_STARTED
from spatius_sim.net.room.quiet_log import hide_tokens_in_log
from spatius_sim.net.room.video_viewer import LOOK_FOR_LOSSES_SECONDS, VideoViewer
from spatius_sim.protocol.errors import RemoteProtocolError, UnreachableError
from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.protocol.video_container import Container, is_key_frame, take_packets
from spatius_sim.trace.events import Joined, Lane
from spatius_sim.trace.recorder import Sink
from spatius_sim.trace.room_events import (
    KeyFrameSeen,
    LeftRoom,
    MediaLost,
    PacketSeen,
    PlaybackTold,
    RoomEvent,
    SoundHeard,
    TrackKind,
    TrackSeen,
    ViewerJoined,
)

AGENT, VIEWER, LATE_VIEWER = "sim-agent", "sim-viewer", "late-viewer"
_OURS = (AGENT, VIEWER, LATE_VIEWER)
_HEARD_HZ = 16_000
_HEARD_SAMPLES = 640
_ATTRIBUTES_SECONDS = 0.5
"""A participant may show its attributes so much later than itself."""

_KINDS = {
    rtc.TrackSource.SOURCE_CAMERA: TrackKind.CAMERA,
    rtc.TrackSource.SOURCE_MICROPHONE: TrackKind.MICROPHONE,
}
MAX_PAYLOAD = 1_000
"""The most characters of an RPC that are recorded."""


class LiveRoomWatch:
    """Watches the rooms of one LiveKit server, with tokens made from `key` and `secret`. `publisher` returns
    whom to watch; None: everybody but us."""

    def __init__(
        self,
        sink: Sink,
        key: str,
        secret: str,
        publisher: Callable[[], str] | None = None,
    ) -> None:
        """Prepare to watch; no room is watched yet. `sink` records what is seen and heard."""
        hide_tokens_in_log()
        self._publisher = publisher
        self._sink, self._key, self._secret = sink, key, secret
        self._name, self._room_name, self._url = "", "", ""
        self._first = ""
        self._late: VideoViewer | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def watching(self, name: str, egress: LiveKitEgress) -> AsyncIterator[None]:
        """Watch the room of this egress while the context is open; events belong to session `name`. Raises
        UnreachableError if the room cannot be joined."""
        self._name, self._room_name, self._url = name, egress.room_name, egress.url
        self._first = ""
        agent, viewer = rtc.Room(), VideoViewer(self._frame_came, self._frames_lost, self._is_watched)
        self._listen_to(agent)
        try:
            try:
                await agent.connect(egress.url, self._token(AGENT))
            except rtc.ConnectError:
                # The text holds the token.
                raise UnreachableError(
                    f"the room at {egress.url} cannot be joined: look at key and secret"
                ) from None
            for method in (PLAYBACK_STARTED, PLAYBACK_FINISHED):
                agent.local_participant.register_rpc_method(method, self._rpc_came(method))
            await viewer.join(egress.url, self._token(VIEWER))
            yield
            await viewer.look_for_losses()
        finally:
            for task in list(self._tasks):
                task.cancel()
            for watching in (viewer, self._late):
                if watching is not None:
                    await watching.leave()
            self._late = None
            await agent.disconnect()

    async def join_late(self) -> None:
        """Let another viewer join now."""
        seen = False

        def look(container: Container, frame: bytes) -> None:
            """Record the first key frame."""
            nonlocal seen
            if not seen and is_key_frame(container, frame):
                seen = True
                self._emit(KeyFrameSeen(LATE_VIEWER))

        self._late = VideoViewer(look, is_watched=self._is_watched)
        self._emit(ViewerJoined(LATE_VIEWER))
        await self._late.join(self._url, self._token(LATE_VIEWER))

    def _is_watched(self, identity: str) -> bool:
        """Whether this participant is the one to watch: if nobody is named, the first that joins. All others
        are strangers."""
        if self._publisher is not None:
            return bool(identity) and identity == self._publisher()
        if not self._first and identity and identity not in _OURS:
            self._first = identity
        return bool(identity) and identity == self._first

    def _listen_to(self, agent: rtc.Room) -> None:
        """Record participants, tracks and sound."""
        agent.on("participant_connected", lambda who: self._start(self._note_joined(who)))
        agent.on("participant_disconnected", self._note_left)
        agent.on("track_published", self._note_track)
        agent.on("track_subscribed", self._note_sound)

    async def _note_joined(self, who: Any) -> None:
        """Record that somebody joined, dated back to when he came."""
        await asyncio.sleep(_ATTRIBUTES_SECONDS)
        if not self._is_watched(who.identity):
            return
        lines = "\n".join(f"{key}={value}" for key, value in who.attributes.items())
        self._emit(Joined(self._room_name, who.identity, lines))

    def _note_left(self, who: Any) -> None:
        """Record that somebody left."""
        if self._is_watched(who.identity):
            self._emit(LeftRoom(self._room_name, who.identity))

    def _note_track(self, publication: Any, who: Any) -> None:
        """Record a track."""
        if self._is_watched(who.identity):
            self._emit(TrackSeen(who.identity, _KINDS.get(publication.source, TrackKind.OTHER)))

    def _note_sound(self, track: Any, publication: Any, who: Any) -> None:
        """Listen to a track of sound."""
        if self._is_watched(who.identity) and track.kind == rtc.TrackKind.KIND_AUDIO:
            self._start(self._hear(track, who.identity))
            self._start(self._watch_losses(track))

    async def _hear(self, track: Any, identity: str) -> None:
        """Record sound, 40 ms at a time."""
        stream = rtc.AudioStream(track, sample_rate=_HEARD_HZ, num_channels=1)
        pcm = bytearray()
        async for heard in stream:
            pcm += bytes(heard.frame.data)
            while len(pcm) >= 2 * _HEARD_SAMPLES:
                self._emit(SoundHeard(identity, bytes(pcm[: 2 * _HEARD_SAMPLES]), _HEARD_HZ))
                del pcm[: 2 * _HEARD_SAMPLES]

    async def _watch_losses(self, track: Any) -> None:
        """Record now and then how many packets of a track of sound the network lost."""
        known = 0
        while True:
            await asyncio.sleep(LOOK_FOR_LOSSES_SECONDS)
            try:
                stats = await track.get_stats()
            except Exception:  # The track is gone; the library has no class of its own for that.
                return
            lost = sum(one.inbound_rtp.received.packets_lost for one in stats)
            if lost > known:
                self._emit(MediaLost(TrackKind.MICROPHONE, lost - known))
            known = max(lost, known)

    def _frames_lost(self, packets: int) -> None:
        """Record that the network lost packets of the video."""
        self._emit(MediaLost(TrackKind.CAMERA, packets))

    def _frame_came(self, container: Container, frame: bytes) -> None:
        """Record the packets of a video frame."""
        try:
            packets = take_packets(container, frame)
        except RemoteProtocolError:
            packets = [frame[:MAX_PAYLOAD]]
        for packet in packets:
            self._emit(PacketSeen(VIEWER, packet))

    def _rpc_came(self, method: str) -> Any:
        """Return what answers an RPC."""

        async def answer(call: Any) -> str:
            """Record the RPC, unless it comes from a stranger."""
            if self._is_watched(call.caller_identity):
                self._emit(PlaybackTold(call.caller_identity, method, call.payload[:MAX_PAYLOAD]))
            return "ok"

        return answer

    def _token(self, identity: str) -> str:
        """Return a token for one of us, who publishes nothing."""
        grant = RoomGrant(self._room_name, identity, can_publish=False)
        return make_livekit_token(self._key, self._secret, grant, time.time())

    def _emit(self, what: Joined | RoomEvent) -> None:
        """Record an event."""
        self._sink.emit(Lane.EGRESS, self._name, what)

    def _start(self, work: Any) -> None:
        """Start a task, and keep it until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
