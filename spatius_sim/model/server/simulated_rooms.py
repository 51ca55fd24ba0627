"""Keeps the rooms that egress sessions publish to: who is in a room, and how much of each request has
come."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from spatius_sim.model.room.room_playback import RoomOutput, TellFinished, TellStarted
from spatius_sim.protocol.messages import AudioInput, Message, MotionResponse
from spatius_sim.trace.events import Undecodable

T = TypeVar("T")

MAX_ROOMS = 128
MAX_REQUESTS = 128
"""At most so many rooms, and so many requests of a room, are kept; the oldest are forgotten."""


@dataclass(slots=True)
class RoomRequest:
    """How much a room received of one request: bytes of audio (in the format in which it was sent to Motion
    Server), keyframes, and both end marks. `playback` is `waiting`, `playing`, `finished` or `interrupted`,
    and `position` says how many seconds were played when it was over."""

    audio_bytes: int = 0
    audio_ended: bool = False
    keyframes: int = 0
    motion_ended: bool = False
    playback: str = "waiting"
    position: float = 0.0


@dataclass(slots=True)
class RoomState:
    """One room, and the `publishers` that are in it now."""

    publishers: list[str] = field(default_factory=list)
    requests: dict[str, RoomRequest] = field(default_factory=dict)


@dataclass(slots=True)
class SimulatedRooms:
    """All rooms by name."""

    by_name: dict[str, RoomState] = field(default_factory=dict)

    def join(self, room_name: str, publisher_id: str) -> None:
        """Add a publisher to the simulated room of this name. If there is no such room, make it first; if
        there are too many rooms then, forget the oldest."""
        if room_name not in self.by_name:
            _forget_oldest(self.by_name, MAX_ROOMS)
            self.by_name[room_name] = RoomState()
        self.by_name[room_name].publishers.append(publisher_id)

    def leave(self, room_name: str, publisher_id: str) -> None:
        """Remove a publisher from a simulated room; do nothing if the room or the publisher is unknown."""
        room = self.by_name.get(room_name)
        if room is not None and publisher_id in room.publishers:
            room.publishers.remove(publisher_id)

    def count_message(self, room_name: str, req_id: str, message: Message | Undecodable) -> None:
        """Count the audio or motion in a message that Motion Server published for a request in a simulated
        room. Do nothing if the room is unknown. In a message whose bytes a fault has changed there may be
        neither: then nothing is counted, but the room knows the request."""
        room = self.by_name.get(room_name)
        if room is None:
            return
        if req_id not in room.requests:
            _forget_oldest(room.requests, MAX_REQUESTS)
            room.requests[req_id] = RoomRequest()
        request = room.requests[req_id]
        match message:
            case AudioInput():
                request.audio_bytes += len(message.audio)
                request.audio_ended = request.audio_ended or message.end
            case MotionResponse():
                request.keyframes += len(message.keyframes)
                request.motion_ended = request.motion_ended or message.end
            case _:
                pass

    def note_playback(self, room_name: str, outputs: Iterable[RoomOutput]) -> None:
        """Note for the requests of a simulated room that their playback has started, was finished or was
        interrupted, if one of these outputs says so. Do nothing if the room is unknown."""
        requests = self.by_name[room_name].requests if room_name in self.by_name else {}
        for output in outputs:
            match output:
                case TellStarted(req_id) if req_id in requests:
                    requests[req_id].playback = "playing"
                case TellFinished(req_id, position, interrupted) if req_id in requests:
                    requests[req_id].playback = "interrupted" if interrupted else "finished"
                    requests[req_id].position = position

    def clear(self) -> None:
        """Forget all rooms."""
        self.by_name.clear()


def _forget_oldest(entries: dict[str, T], most: int) -> None:
    """If there are `most` rooms or requests, or more, remove the oldest."""
    if len(entries) >= most:
        del entries[next(iter(entries))]
