"""The way to a relay that publishes by itself in a LiveKit room, around one of the known wires."""

import time
from collections.abc import Callable
from enum import StrEnum

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.protocol.errors import UsageError
from spatius_sim.subjects.livekit_server import LiveKitAccess
from spatius_sim.subjects.relay.kit_client import ClientConnection
from spatius_sim.wires.events import Frame


class Carrier(StrEnum):
    """What carries the frames of a wire in a room."""

    PACKETS = "packets"
    STREAMS = "streams"


def read_room_target(target: str) -> tuple[Carrier, str] | None:
    """Return how a relay that publishes in a LiveKit room is reached: the carrier of its frames and the name
    of the room, read from a target such as `packets:my-room`. None if the target names no room. Raises
    UsageError if the name of the room is missing."""
    carrier, colon, room = target.partition(":")
    if not colon or carrier not in list(Carrier):
        return None
    if not room or not room.isprintable():
        raise UsageError(f"--target {carrier}: the name of a room is needed after {carrier}:")
    return Carrier(carrier), room


class RelayInRoom:
    """A room of a LiveKit server, in which each client of the kit is a participant."""

    in_room = True

    def __init__(self, livekit: LiveKitAccess, carrier: Carrier, room: str) -> None:
        """Prepare the access to a relay that publishes in this room of a LiveKit server; `carrier` says in
        what (data packets or text streams) the frames travel. Nothing is connected yet."""
        from spatius_sim.net.room.data_connection import dial_room

        self._livekit, self._carrier, self._room, self._dial = livekit, carrier, room, dial_room
        self.data_packets = carrier is Carrier.PACKETS

    def unix_time(self) -> float:
        """Return this machine's unix time in seconds."""
        return time.time()

    async def dial(
        self,
        address: RelayAddress,
        seconds: float,
        on_frame: Callable[[Frame], None],
        on_end: Callable[[int], None],
    ) -> ClientConnection:
        """Join the relay's LiveKit room as a client of the kit, and wait until the relay is in the room, for
        `seconds` at most. Call `on_frame` with each message of the relay, and `on_end` when the relay has
        left. Raises UnreachableError if the relay does not come in time."""
        livekit = self._livekit
        return await self._dial(
            livekit.url,
            livekit.key,
            livekit.secret,
            self._room,
            seconds,
            on_frame,
            on_end,
            streams=self._carrier is Carrier.STREAMS,
        )

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Return False: a relay in a room answers no HTTP."""
        return False
