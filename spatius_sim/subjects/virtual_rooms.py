"""Watches rooms in virtual time: what our server plays there is what is seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.trace.events import EventKind, Lane
from spatius_sim.trace.recorder import NullSink
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer


class RoomWindow(NullSink):
    """A sink for a virtual Motion Server: it passes on what happens in rooms, under the name of the session
    that the kit is in."""

    def __init__(self, recorder: LiveRecorder) -> None:
        super().__init__()
        self._recorder = recorder
        self.name = ""

    def emit(self, lane: Lane, connection: str, what: EventKind) -> None:
        """Pass on an event of a room."""
        if lane is Lane.EGRESS and self.name:
            self._recorder.emit(lane, self.name, what)


class VirtualRoomWatch:
    """Watches the rooms of one virtual server through its window."""

    def __init__(self, window: RoomWindow, server: VirtualMotionServer) -> None:
        self._window, self._server = window, server

    @asynccontextmanager
    async def watching(self, name: str, egress: LiveKitEgress) -> AsyncIterator[None]:
        """Pass the events of the room on under this name while the context is open."""
        self._window.name = name
        yield
        self._window.name = ""

    async def join_late(self) -> None:
        """Let another viewer join now."""
        if self._server.rooms:
            self._server.rooms[-1].watch("late-viewer")
