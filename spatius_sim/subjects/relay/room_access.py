"""The way to a relay that publishes by itself in a LiveKit room, around one of the known wires."""

import time
from collections.abc import Callable
from enum import StrEnum

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.protocol.errors import UsageError
from spatius_sim.subjects.livekit_server import LiveKitAccess
from spatius_sim.subjects.relay.kit_client import ClientConnection
from spatius_sim.wires.events import Frame


class Carrier(StrEnum):
    """What carries the frames of a wire in a room."""

    PACKETS = "packets"
    STREAMS = "streams"


def read_room_target(target: str) -> tuple[Carrier, str] | None:
    """Read a target such as `packets:my-room`, by which the user names a relay in a LiveKit room. Return what
    carries the relay's frames (packets or streams), and the name of the room. None if the target is of
    another form. Raises UsageError if the name of the room is missing or not printable."""
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
        """Prepare to connect clients to a relay in the LiveKit room named `room`. `carrier` says in what the
        frames travel: data packets or byte streams. Nothing is connected yet."""
        from spatius_sim.net.room.data_connection import dial_room

        self._livekit, self._carrier, self._room, self._dial = livekit, carrier, room, dial_room
        self.data_packets = carrier is Carrier.PACKETS

    def unix_time(self) -> float:
        """Return this machine's unix time in seconds."""
        return time.time()

    async def dial(
        self,
        address: RelayAddress,
        open_seconds: float,
        on_frame: Callable[[Frame], None],
        on_close: Callable[[int], None],
    ) -> ClientConnection:
        """Join the relay's LiveKit room as a client, wait until the relay is in the room, and return the
        connection. `on_frame` is called with each frame that the relay sends, and `on_close` when the relay
        has left. Raises UnreachableError if the relay does not come within `open_seconds`."""
        livekit = self._livekit
        return await self._dial(
            livekit.url,
            livekit.key,
            livekit.secret,
            self._room,
            open_seconds,
            on_frame,
            on_close,
            streams=self._carrier is Carrier.STREAMS,
        )

    async def search_answer(
        self, address: RelayAddress, path: str, recorder: RealTimeRecorder, client: str
    ) -> bool:
        """Return False: a relay in a room answers no HTTP."""
        return False
