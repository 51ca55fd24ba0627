"""The room's side of a session with an egress: what the session made is played there, tick by tick."""

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
"""The name of the timer for the next tick of the playback."""

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
    _next_tick_at: float | None = None
    _was_idle: bool = False

    def play_published_motion(self, commands: list[ServerCommand], now: float) -> list[ServerCommand]:
        """Play in the room the motion that these commands of a session publish there. Return the commands,
        and after them the timer of the playback's next tick if the ticks must be started."""
        for command in commands:
            if isinstance(command, Publish):
                value = read_upstream(command.raw)
                if isinstance(value, MotionResponse):
                    self.playback.add_motion(command.req_id, value.keyframes, end=value.end)
        return [*commands, *self.start_ticks(now)]

    def start_ticks(self, now: float) -> list[ServerCommand]:
        """Start the ticks of the playback in the egress's room, and return the timer of the first tick.
        Return an empty list if the timer of a tick runs already, or if the ticks have stopped and nothing is
        to be played. `now` is in monotonic seconds."""
        if self._next_tick_at is not None or (self._was_idle and not self.playback.playing):
            return []
        self._next_tick_at = now + TICK_SECONDS
        return [SetTimer(ROOM_TIMER, TICK_SECONDS)]

    def play_tick(self, now: float) -> list[ServerCommand]:
        """Return the commands that play one tick (40 ms) of the session in its room, and the timer of the
        next tick. If nothing was playing in this tick and the last, the ticks stop: there is no timer, unless
        `always_ticks` is set. If the ticks are a second late or more, go on from now."""
        commands = self._make_commands(self.playback.tick())
        next_tick_at = (self._next_tick_at or now) + TICK_SECONDS
        self._next_tick_at = None
        is_idle = not self.playback.playing
        if not (is_idle and self._was_idle) or self.always_ticks:
            is_late = now - next_tick_at >= _MAX_LAG_SECONDS
            self._next_tick_at = now if is_late else next_tick_at
            commands.append(SetTimer(ROOM_TIMER, max(0.0, self._next_tick_at - now)))
        self._was_idle = is_idle
        return commands

    def interrupt(self, req_id: str) -> list[ServerCommand]:
        """Cut a request off in the room."""
        return self._make_commands(self.playback.interrupt(req_id))

    def pause_or_resume(self, message: Pause | Resume, now: float) -> list[ServerCommand]:
        """Pause or resume the playback of a request in the session's room, if the session has confirmed that
        it can. Return the command that reports the new state to the relay; UNKNOWN if nothing was paused or
        resumed. If the ticks of 40 ms have stopped and there is something to play, the timer that starts them
        follows."""
        paused = isinstance(message, Pause)
        req_id, phase = message.req_id, PlaybackPhase.UNKNOWN
        if PLAYBACK_CONTROL in self.capabilities and self.playback.set_paused(req_id, paused=paused):
            phase = PlaybackPhase.PAUSED if paused else PlaybackPhase.PLAYING
        return [*self._report_playback(req_id, phase, self.playback.position(req_id)), *self.start_ticks(now)]

    def _make_commands(self, outputs: list[RoomOutput]) -> list[ServerCommand]:
        """Return the commands that play these outputs of the session in its room, and report to the relay
        when a request's playback begins and is over. If the egress configuration names no agent, also send a
        response without keyframes at the beginning and at the end, but not at the end of an interrupted
        request."""
        if not outputs:
            return []
        commands: list[ServerCommand] = [PlayInRoom(self.room.name, tuple(outputs))]
        for output in outputs:
            match output:
                case TellStarted(req_id):
                    commands += self._report_playback(req_id, PlaybackPhase.PLAYING, 0.0)
                case TellFinished(req_id, position, interrupted, reason):
                    phase = PlaybackPhase.INTERRUPTED if interrupted else PlaybackPhase.ENDED
                    commands += self._report_playback(req_id, phase, position, reason)
        if not self.room.agent_id:
            for output in outputs:
                match output:
                    case TellStarted(req_id):
                        commands.append(self._empty_response(req_id, end=False))
                    case TellFinished(req_id, _, False):
                        commands.append(self._empty_response(req_id, end=True))
        return commands

    def _report_playback(
        self, req_id: str, phase: PlaybackPhase, position: float, reason: str = ""
    ) -> list[ServerCommand]:
        """Return the command that tells the relay how the session plays a request in its room: `phase` is the
        state, and `position` says how many seconds were played. Return an empty list if the session has not
        confirmed that it reports this."""
        if PLAYBACK_STATE not in self.capabilities:
            return []
        news = PlaybackNews(self.connection_id, req_id, phase, round(position * 1000), reason)
        return [Send(encode(news), req_id)]

    def _empty_response(self, req_id: str, *, end: bool) -> Send:
        """Return a response without keyframes: it reports that the playback of a request in the egress's room
        has begun or, with `end`, is over."""
        return Send(encode(MotionResponse(self.connection_id, req_id, end, _NO_KEYFRAMES)), req_id)


def select_room_faults(actions: Iterable[FaultAction]) -> tuple[frozenset[RoomFault], list[ServerCommand]]:
    """Select, from the fault actions of a scenario, those that disturb how a session plays in its room. Such
    an action (RoomTrouble) holds the name of a RoomFault. Return these faults, and the commands that record
    the actions in the trace."""
    room_actions = [action for action in actions if isinstance(action, RoomTrouble)]
    room_faults = frozenset(RoomFault(action.fault) for action in room_actions)
    return room_faults, [Inject(make_fault_event(action)) for action in room_actions]
