"""What the Motion Server needs of a real room: somebody who joins it and publishes there."""

from collections.abc import Callable, Sequence
from typing import Protocol

from spatius_sim.model.room.room_playback import RoomOutput
from spatius_sim.model.server.egress_configuration import EgressFault
from spatius_sim.protocol.messages import LiveKitEgress


class EgressPublisher(Protocol):
    """Publishes the egress of one session in a real room."""

    async def join(self) -> EgressFault | None:
        """Join the room and publish the tracks. Return None, or the fault that makes this impossible, without
        any credential in its text."""

    def play(self, outputs: Sequence[RoomOutput]) -> None:
        """Publish these outputs of the playback now, in their order."""

    async def leave(self) -> None:
        """Leave the room and stop publishing."""


NewPublisher = Callable[[LiveKitEgress, int, Callable[[], None]], EgressPublisher]
"""A function that makes a publisher from the configuration, the rate of the sound in Hz, and what is to be
called if the room is lost."""
