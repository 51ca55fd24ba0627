"""The room's side of a session with an egress: what the session made is played there, tick by tick."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from spatius_sim.model.room.room_faults import RoomFault
from spatius_sim.model.room.room_playback import (
    TICK_SECONDS,
    RoomOutput,
    RoomPlayback,
    TellFinished,
    TellStarted,
)
from spatius_sim.model.scenario.fault_events import make_fault_event
from spatius_sim.model.scenario.scenario import FaultAction, RoomTrouble
from spatius_sim.model.server.capabilities import PLAYBACK_CONTROL, PLAYBACK_STATE
from spatius_sim.model.server.commands import Inject, PlayInRoom, Publish, Send, ServerCommand, SetTimer
from spatius_sim.model.server.egress_configuration import Room
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import MotionResponse, Pause, PlaybackNews, PlaybackPhase, Resume
from spatius_sim.trace.read_frames import read_upstream

ROOM_TIMER = "room"

PLAYBACK_STARTED = "lk.playback_started"
PLAYBACK_FINISHED = "lk.playback_finished"
"""The RPCs to the agent (plugin)."""

_MAX_LAG_SECONDS = 1.0
"""Ticks that are later than this are not made up for: the machine slept."""

_NO_KEYFRAMES = np.zeros((0, WIDTH), np.float32)


@dataclass(slots=True)
class EgressPlayback:
    """Plays one session in its room. `always_ticks`: also in idle time, for a room in which somebody watches;
    else one idle packet stands for all of them. `capabilities`: what the session has confirmed."""

    connection_id: str
    room: Room
    playback: RoomPlayback
    always_ticks: bool = False
    capabilities: tuple[str, ...] = ()
    _next_tick: float | None = None
    _rested: bool = False

    def follow(self, commands: list[ServerCommand], now: float) -> list[ServerCommand]:
        """Give the motion that these commands publish to the playback in the session's room. Return the
        commands, and after them the timer of the playback's next tick."""
        for command in commands:
            if isinstance(command, Publish):
                value = read_upstream(command.raw)
                if isinstance(value, MotionResponse):
                    self.playback.add_motion(command.req_id, value.keyframes, end=value.end)
        return [*commands, *self.wake(now)]

    def wake(self, now: float) -> list[ServerCommand]:
        """Start the ticks of the egress's playback, if the room has something to play: return the timer of
        the next tick. Return an empty list if this timer runs already, or if nothing is to play."""
        if self._next_tick is not None or (self._rested and not self.playback.playing):
            return []
        self._next_tick = now + TICK_SECONDS
        return [SetTimer(ROOM_TIMER, TICK_SECONDS)]

    def tick(self, now: float) -> list[ServerCommand]:
        """Return what the egress plays in its room in the next 40 ms, and the timer of the tick after it."""
        commands = self.carry_out(self.playback.tick())
        due = (self._next_tick or now) + TICK_SECONDS
        self._next_tick = None
        resting = not self.playback.playing
        if not (resting and self._rested) or self.always_ticks:
            self._next_tick = due if now - due < _MAX_LAG_SECONDS else now
            commands.append(SetTimer(ROOM_TIMER, max(0.0, self._next_tick - now)))
        self._rested = resting
        return commands

    def interrupt(self, req_id: str) -> list[ServerCommand]:
        """Cut a request off in the room."""
        return self.carry_out(self.playback.interrupt(req_id))

    def pause_or_resume(self, message: Pause | Resume, now: float) -> list[ServerCommand]:
        """Pause or resume the playback of a request in the egress's room, if the session has confirmed that
        it can do so. Return the command that sends a message about the state of the playback, and the timer
        of the next tick."""
        paused = isinstance(message, Pause)
        req_id, phase = message.req_id, PlaybackPhase.UNKNOWN
        if PLAYBACK_CONTROL in self.capabilities and self.playback.pause(req_id, paused=paused):
            phase = PlaybackPhase.PAUSED if paused else PlaybackPhase.PLAYING
        return [*self._playback_news(req_id, phase, self.playback.position(req_id)), *self.wake(now)]

    def carry_out(self, outputs: list[RoomOutput]) -> list[ServerCommand]:
        """Return the commands that carry out these outputs of the egress's playback in the room. If the agent
        takes no RPC, each report goes on the socket, as a response without keyframes; there is none for the
        end of an interrupted request."""
        if not outputs:
            return []
        commands: list[ServerCommand] = [PlayInRoom(self.room.name, tuple(outputs))]
        for output in outputs:
            match output:
                case TellStarted(req_id):
                    commands += self._playback_news(req_id, PlaybackPhase.PLAYING, 0.0)
                case TellFinished(req_id, position, interrupted, reason):
                    phase = PlaybackPhase.INTERRUPTED if interrupted else PlaybackPhase.ENDED
                    commands += self._playback_news(req_id, phase, position, reason)
        if not self.room.agent:
            for output in outputs:
                match output:
                    case TellStarted(req_id):
                        commands.append(self._empty_response(req_id, end=False))
                    case TellFinished(req_id, _, False):
                        commands.append(self._empty_response(req_id, end=True))
        return commands

    def _playback_news(
        self, req_id: str, phase: PlaybackPhase, position: float, reason: str = ""
    ) -> list[ServerCommand]:
        """Return the commands that tell the relay how far the playback of a request in the room is:
        `position` in seconds. Return none if the session did not confirm that it tells this."""
        if PLAYBACK_STATE not in self.capabilities:
            return []
        news = PlaybackNews(self.connection_id, req_id, phase, round(position * 1000), reason)
        return [Send(encode(news), req_id)]

    def _empty_response(self, req_id: str, *, end: bool) -> Send:
        """Return a response without keyframes, which reports the egress's playback of a request to an
        agent."""
        return Send(encode(MotionResponse(self.connection_id, req_id, end, _NO_KEYFRAMES)), req_id)


def rpc_for_agent(output: RoomOutput) -> tuple[str, str] | None:
    """Return the RPC (method and payload) that tells the agent of an egress this news of the playback in the
    room: that it started or finished (plugin). None if the agent is not told of this output."""
    match output:
        case TellStarted():
            return PLAYBACK_STARTED, "{}"
        case TellFinished(_, position, interrupted):
            report = {"playback_position": position, "interrupted": interrupted}
            return PLAYBACK_FINISHED, json.dumps(report)
    return None


def choose_room_faults(steps: Iterable[FaultAction]) -> tuple[frozenset[RoomFault], list[ServerCommand]]:
    """Return those faults of a scenario that disturb the egress's playback in its room, and the commands that
    record these faults in the trace."""
    troubles = [step for step in steps if isinstance(step, RoomTrouble)]
    return frozenset(RoomFault(step.fault) for step in troubles), [
        Inject(make_fault_event(step)) for step in troubles
    ]
