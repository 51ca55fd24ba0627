"""Finds messages to Motion Server that it cannot decode, in the turns of a relay."""

from typing import NamedTuple

from spatius_sim.story.turn_story import Story, Turn
from spatius_sim.trace.events import Lane, Received, Undecodable


class GarbledMessage(NamedTuple):
    """A message that Motion Server could not decode: its event, its size in bytes, and what is wrong."""

    seq: int
    size: int
    reason: str


def find_garbled_message(story: Story, turn: Turn) -> GarbledMessage | None:
    """Return the first message of the relay that Motion Server could not decode, in a session that carried
    audio of this turn, and while the turn lasted. None if there is no such message."""
    connections = {request.connection for request in turn.requests}
    for event in story.trace.on_lane(Lane.UPSTREAM) if connections else ():
        match event.content:
            case Received(value=Undecodable(reason=reason), raw=raw) if (
                event.connection in connections and turn.started_seq < event.seq < turn.until_seq
            ):
                return GarbledMessage(event.seq, len(raw), reason)
    return None
