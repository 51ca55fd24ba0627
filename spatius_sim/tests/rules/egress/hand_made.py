"""Traces of a room, written by hand."""

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import ConfigureSession, ConfirmSession, EgressType, LiveKitEgress, Message
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, write_packet
from spatius_sim.trace.events import Event, EventKind, Joined, Lane, Received, Sent, Trace, TraceHeader
from spatius_sim.trace.room_events import PacketSeen, TrackKind, TrackSeen

SESSION = "room-session"
EGRESS = LiveKitEgress("wss://r", "key", "secret", room_name="room", publisher_id="avatar")
TICK_NS = 40_000_000


class RoomDialogue:
    """A trace in the making; every event comes 40 ms after the one before."""

    def __init__(self, *, joins: bool = True, confirms: bool = True, egress: LiveKitEgress = EGRESS) -> None:
        self._events: list[Event] = []
        asked = ConfigureSession(16_000, egress_type=EgressType.LIVEKIT, livekit_egress=egress)
        self.sends(asked)
        if confirms:
            self.hears(ConfirmSession("c"))
        if joins:
            self.room(Joined("room", "avatar"))
            self.room(TrackSeen("avatar", TrackKind.CAMERA))
            self.room(TrackSeen("avatar", TrackKind.MICROPHONE))

    def _add(self, lane: Lane, what: EventKind, connection: str = SESSION) -> int:
        number = len(self._events)
        self._events.append(Event(number, number * TICK_NS, lane, connection, what))
        return number

    def sends(self, message: Message) -> int:
        """The kit sends a message."""
        return self._add(Lane.UPSTREAM, Sent(encode(message), message))

    def hears(self, message: Message) -> int:
        """The server sends a message."""
        return self._add(Lane.UPSTREAM, Received(encode(message), message))

    def upstream(self, what: EventKind) -> int:
        """Something else happens on the session."""
        return self._add(Lane.UPSTREAM, what)

    def kit(self, what: EventKind, connection: str = SESSION) -> int:
        """The kit notes something."""
        return self._add(Lane.KIT, what, connection)

    def room(self, what: EventKind) -> int:
        """Something happens in the room."""
        return self._add(Lane.EGRESS, what)

    def shows(self, flags: PacketFlag, frame_seq: int | None = None, message: bytes = b"m") -> int:
        """A packet is shown."""
        raw = write_packet(RoomPacket(flags, frame_seq, message))
        return self.room(PacketSeen("avatar", raw))

    def trace(self) -> Trace:
        """The trace so far."""
        return Trace(TraceHeader("room", "", 0, "", ""), tuple(self._events))
