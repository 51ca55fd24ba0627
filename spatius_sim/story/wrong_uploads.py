"""Finds what a relay sent up in place of a turn's own audio: garbled messages, or old speech."""

from typing import NamedTuple

from spatius_sim.story.turn_story import Story, Turn, UpstreamRequest
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


def is_spoken_late(request: UpstreamRequest, turn: Turn) -> bool:
    """Return whether this request carries the audio of an earlier turn than this one of the same client, and
    yet began after this turn. Return False if the audio does not show the turn of the request."""
    turn_of_audio = request.turn
    return (
        turn_of_audio is not None
        and request.found_by_audio
        and turn_of_audio.client == turn.client
        and turn_of_audio.number < turn.number
        and request.first_seq > turn.started_seq
    )


def find_old_speech(story: Story, turn: Turn) -> UpstreamRequest | None:
    """Return the first request with old speech: it began in this turn, and carries the audio of an earlier
    turn of the same client. Return None if there is none, or if the turn has a request of its own."""
    if turn.requests or turn.waited_seq is None:
        return None
    requests = (
        request
        for request in story.requests
        if is_spoken_late(request, turn) and request.first_seq < turn.waited_seq
    )
    return next(requests, None)
