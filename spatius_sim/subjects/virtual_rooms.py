"""Watches rooms in virtual time: what our server plays there is what is seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from spatius_sim.model.scenario.faults_by_id import UNAUTHORIZED_ROOM
from spatius_sim.model.scenario.scenario import NO_FAULTS, Scenario
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.protocol.messages import LiveKitEgress
from spatius_sim.subjects.room_subject import RoomSubject
from spatius_sim.subjects.server_access import ServerInMemory
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.trace.events import EventKind, Lane
from spatius_sim.trace.known_secrets import KnownSecrets
from spatius_sim.trace.recorder import NullSink
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_room import VirtualRoom


class RoomEventSink(NullSink):
    """A sink for a virtual Motion Server: it passes on what happens in rooms, under the name of the session
    that the kit is in."""

    def __init__(self, recorder: RealTimeRecorder) -> None:
        """Begin to pass events of virtual rooms on to this recorder, as soon as the session has a name."""
        super().__init__()
        self._recorder = recorder
        self.session_name = ""

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Pass an event of a virtual room on to the recorder, under the name of the session; drop all other
        events."""
        if lane is Lane.EGRESS and self.session_name:
            self._recorder.emit(lane, self.session_name, content)


class VirtualRoomWatch:
    """Watches the rooms of one virtual server, whose events come into a RoomEventSink."""

    def __init__(self, event_sink: RoomEventSink, server: VirtualMotionServer) -> None:
        self._event_sink, self._server = event_sink, server

    @asynccontextmanager
    async def watching(self, session_name: str, egress: LiveKitEgress) -> AsyncIterator[None]:
        """While the context is open, record what happens in all rooms of the virtual Motion Server, as events
        of the session `session_name`. `egress` is not needed here; the watch of a real room needs it."""
        self._event_sink.session_name = session_name
        yield
        self._event_sink.session_name = ""

    async def join_late(self) -> None:
        """Let another viewer join now."""
        if self._server.rooms:
            self._server.rooms[-1].watch("late-viewer")


_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhdmF0YXIiLCJ2aWRlbyI6eyJyb29tSm9pbiI6dHJ1ZX19.c2lnbmF0dXJl"
"""Lets its bearer, `avatar`, join any room of our server; a real one has its signature checked."""

VIRTUAL_ROOM = LiveKitEgress(
    "wss://room.invalid",
    api_token=_TOKEN,
    room_name="room",
    publisher_id="avatar",
    extra_attributes=(("lk.publish_on_behalf", "agent"), ("livekit_agent_identity", "agent")),
)
REFUSING_ROOM = replace(VIRTUAL_ROOM, room_name=f"{UNAUTHORIZED_ROOM}-1")


def make_virtual_room_subject(
    loop: VirtualLoop,
    target: str,
    seed: int,
    new_room: type[VirtualRoom] = VirtualRoom,
    scenario: Scenario = NO_FAULTS,
    rooms: tuple[LiveKitEgress, LiveKitEgress] = (VIRTUAL_ROOM, REFUSING_ROOM),
    secrets: KnownSecrets | None = None,
) -> RoomSubject:
    """Make a subject for the rules about rooms: our own Motion Server in virtual time, whose sessions speak
    in virtual rooms of the class `new_room`. `target` is the subject's name in reports, and `seed` makes its
    runs repeatable. The server plays `scenario` (its faults) from the beginning in each run. `rooms` are the
    room to speak in, and a room that refuses its publisher. `secrets` are hidden in the recorded events."""
    recorder = RealTimeRecorder(clock_ns=loop.time_ns, secrets=secrets or KnownSecrets())
    event_sink = RoomEventSink(recorder)
    server = VirtualMotionServer(loop, seed, event_sink, room_class=new_room)
    watch = VirtualRoomWatch(event_sink, server)
    access = ServerInMemory(loop, server)

    def begin_run() -> tuple[LiveKitEgress, LiveKitEgress]:
        """Begin the scenario, and return the virtual rooms of the run that begins."""
        server.play(scenario)
        return rooms

    return RoomSubject(target, access, watch, recorder, begin_run, canary_key(seed), seed=seed)
