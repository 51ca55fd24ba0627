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

    def join(self, room: str, publisher: str) -> None:
        """Add a publisher to a simulated room. If there is no room of this name, make it, and forget the
        oldest room if there are too many."""
        if room not in self.by_name:
            _forget_oldest(self.by_name, MAX_ROOMS)
            self.by_name[room] = RoomState()
        self.by_name[room].publishers.append(publisher)

    def leave(self, room: str, publisher: str) -> None:
        """Remove a publisher from a simulated room; do nothing if the room or the publisher is unknown."""
        state = self.by_name.get(room)
        if state is not None and publisher in state.publishers:
            state.publishers.remove(publisher)

    def publish(self, room: str, req_id: str, value: Message | Undecodable) -> None:
        """Count audio or motion of a request that a simulated room received. Any other message was spoiled on
        purpose and adds nothing; nor does a room that is unknown."""
        state = self.by_name.get(room)
        if state is None:
            return
        if req_id not in state.requests:
            _forget_oldest(state.requests, MAX_REQUESTS)
            state.requests[req_id] = RoomRequest()
        request = state.requests[req_id]
        match value:
            case AudioInput():
                request.audio_bytes += len(value.audio)
                request.audio_ended = request.audio_ended or value.end
            case MotionResponse():
                request.keyframes += len(value.keyframes)
                request.motion_ended = request.motion_ended or value.end
            case _:
                pass

    def play(self, room: str, outputs: Iterable[RoomOutput]) -> None:
        """Note in a simulated room which of its requests begin to play, are finished or are interrupted."""
        requests = self.by_name[room].requests if room in self.by_name else {}
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
    """Remove the oldest room or request if there are `most` entries or more."""
    if len(entries) >= most:
        del entries[next(iter(entries))]
