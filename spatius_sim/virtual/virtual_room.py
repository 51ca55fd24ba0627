"""A room in virtual time: what is played in it is what a viewer sees and hears, without any network."""

from collections.abc import Sequence
from typing import ClassVar

from spatius_sim.model.room.room_playback import LeaveRoom, PlaySound, RoomOutput, ShowPacket, make_agent_rpc
from spatius_sim.model.server.egress_configuration import EgressFault
from spatius_sim.model.server.session import ServerSession
from spatius_sim.trace.events import Joined, Lane
from spatius_sim.trace.recorder import Sink
from spatius_sim.trace.room_events import (
    KeyFrameSeen,
    LeftRoom,
    PacketSeen,
    PlaybackTold,
    RoomEvent,
    SoundHeard,
    TrackKind,
    TrackSeen,
    ViewerJoined,
)
from spatius_sim.virtual.virtual_loop import VirtualLoop


class VirtualRoom:
    """The room of one session, and its one publisher. Everything in it is recorded. If `answers`, it is like
    a real room: its session waits for `refusal` before it confirms."""

    answers: ClassVar[bool] = False

    def __init__(
        self,
        loop: VirtualLoop,
        sink: Sink,
        connection: str,
        room: str,
        publisher: str,
        session: ServerSession,
    ) -> None:
        """Make the virtual room of one session of Motion Server. Its publisher is the session, under the
        identity `publisher`. What happens in the room is recorded in `sink`, as events of `connection`."""
        self._loop = loop
        self._sink, self._connection, self._session = sink, connection, session
        self._room_name, self._publisher = room, publisher
        self._publisher_is_inside = False
        self._viewers_without_key_frame: list[str] = []

    def watch(self, viewer: str) -> None:
        """Let a viewer begin to watch the virtual room: the next frame is a key frame for this viewer."""
        self._emit(ViewerJoined(viewer))
        self._viewers_without_key_frame.append(viewer)

    def refusal(self) -> EgressFault | None:
        """Return why this room does not let its publisher in; None if it does."""
        return None

    def join(self) -> None:
        """Let the publisher join the virtual room, with a camera track and a microphone track, and record
        that."""
        self._publisher_is_inside = True
        livekit = self._session.room.livekit if self._session.room is not None else None
        attributes = livekit.extra_attributes if livekit is not None else ()
        attribute_lines = "\n".join(f"{key}={value}" for key, value in attributes)
        self._emit(Joined(self._room_name, self._publisher, attribute_lines))
        for kind in (TrackKind.CAMERA, TrackKind.MICROPHONE):
            self._emit(TrackSeen(self._publisher, kind))

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        """Play these outputs of the session in the virtual room, and record what people in the room see and
        hear: motion packets, sound, and that the publisher leaves. If the room has an agent, also record what
        it is told about the playback."""
        for output in outputs:
            match output:
                case ShowPacket(packet):
                    self.show_key_frame()
                    self._emit(PacketSeen(self._publisher, packet))
                case PlaySound(pcm):
                    self._emit(SoundHeard(self._publisher, pcm, self._session.audio_rate))
                case LeaveRoom():
                    self.leave()
            rpc = make_agent_rpc(output)
            if rpc is not None and self._session.room is not None and self._session.room.agent_id:
                self._emit(PlaybackTold(self._publisher, *rpc))

    def leave(self) -> None:
        """Let the publisher leave the virtual room, and record that. If it is not there any more, do
        nothing."""
        if self._publisher_is_inside:
            self._publisher_is_inside = False
            self._emit(LeftRoom(self._room_name, self._publisher))

    def show_key_frame(self) -> None:
        """Record that each viewer who has not seen a key frame (a complete video frame) yet sees one now."""
        for viewer in self._viewers_without_key_frame:
            self._emit(KeyFrameSeen(viewer))
        self._viewers_without_key_frame.clear()

    def _emit(self, event: Joined | RoomEvent) -> None:
        """Record an event of the virtual room."""
        self._sink.emit(Lane.EGRESS, self._connection, event)
