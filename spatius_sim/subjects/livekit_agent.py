"""Runs an agent on the published LiveKit plugin together with our Motion Server, in a real LiveKit room."""

import asyncio
import os
import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from spatius_sim import __version__
from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.record_kit_stalls import record_kit_stalls
from spatius_sim.plans.plan_token import token_of
from spatius_sim.plans.room_plan import RoomPlan
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.protocol.messages import ConfigureSession, LiveKitEgress
from spatius_sim.subjects.livekit_server import LiveKitAccess, import_room_watcher
from spatius_sim.trace.events import Awaited, Event, Joined, Lane, Received, Trace, TraceHeader, WaitEnded
from spatius_sim.trace.room_events import PlaybackTold
from spatius_sim.wires.optional_features import ROOM_CHOICE

AGENT_SECONDS = 120.0
LEAVE_SECONDS = 2.0
_LATE_VIEWER_SECONDS = 0.5
_LOOK_SECONDS = 0.05
_SESSION = "upstream-1"
"""The first session at our server: the agent's."""

_FINISHED = "lk.playback_finished"


class AgentSubject:
    """An agent behind a command, which ends by itself. `seed` is that of our Motion Server's motion; `lacks`
    are the features that the agent is declared to lack; `api_key` is what it is given for our server."""

    kind = "room"
    wire = ""
    cut_a_wait_short = False

    def __init__(
        self,
        command: str,
        livekit: LiveKitAccess,
        recorder: RealTimeRecorder,
        api_key: str,
        *,
        seed: int = 0,
        lacks: tuple[str, ...] = (),
    ) -> None:
        """Prepare to run the LiveKit agent under test by its command line `command`, in a room of the LiveKit
        server `livekit`. Nothing is started yet. `api_key` is given to the agent for our Motion Server, whose
        motion depends on `seed`. `lacks` names features that the agent lacks."""
        self.target = command
        self._livekit, self._recorder = livekit, recorder
        self._api_key, self._seed = api_key, seed
        # The agent names its room itself, so the kit cannot choose a room that refuses the agent.
        self._lacks = tuple(dict.fromkeys((*lacks, ROOM_CHOICE)))
        self._room_watcher = import_room_watcher()

    async def attach(self) -> None:
        """Do nothing: the agent is started for each run."""

    async def detach(self) -> None:
        """Do nothing: the agent is ended with each run."""

    async def run(self, plan: RoomPlan, *, patient: bool = False) -> Trace:
        """Run the LiveKit agent until it ends, with our Motion Server and a new room in its environment, and
        return the trace. Raises UnreachableError if the agent opens no session with an egress in time,
        UsageError if its command cannot be started."""
        recorder, livekit = self._recorder, self._livekit
        recorder.start(
            TraceHeader(
                self.kind, "", self._seed, str(plan), __version__, self._lacks, plan_token=token_of(plan)
            )
        )
        room = LiveKitEgress(livekit.url, room_name=livekit.new_name())
        watch = self._room_watcher.LiveRoomWatch(
            recorder, livekit.key, livekit.secret, lambda: _find_publisher_name(recorder.events)
        )
        try:
            async with (
                MotionServer(port=0, seed=self._seed, livekit=True, sink=recorder) as server,
                watch.watching(_SESSION, room),
                record_kit_stalls(recorder),
            ):
                # In PCM the speech can be compared with what is heard.
                environment = {"SPATIUS_AUDIO_FORMAT": "pcm_s16le", "LIVEKIT_ROOM": room.room_name}
                environment |= server.relay_environment(self._api_key)
                environment |= livekit.environment_variables
                late_viewer = asyncio.create_task(self._let_late_viewer_join(watch))
                try:
                    ending = await _run_agent(self.target, environment)
                finally:
                    late_viewer.cancel()
                await asyncio.sleep(LEAVE_SECONDS)
        finally:
            trace = recorder.finish()
        if not _find_publisher_name(trace.events):
            # Otherwise its code says nothing: LiveKit's library sometimes aborts at its end (tried).
            raise UnreachableError(f"the agent opened no session with an egress at our server; {ending}")
        return replace(trace, events=add_ends_of_waits(trace.events))

    async def _let_late_viewer_join(self, watch: Any) -> None:
        """Wait until somebody has joined the LiveKit room: the avatar of the LiveKit agent. Then wait a
        moment more, and let another viewer join. `watch` watches the room. Do nothing more if the viewer
        cannot join."""
        while not any(isinstance(event.content, Joined) for event in self._recorder.events):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        await asyncio.sleep(_LATE_VIEWER_SECONDS)
        with suppress(UnreachableError):
            await watch.join_late()


def add_ends_of_waits(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the recorded events of a LiveKit agent, with the event `WaitEnded` added after each thing that
    an agent waits for: its avatar in the room, the end of each playback, and its own end. Nobody has recorded
    these ends, because the kit itself does not wait while an agent runs."""
    events_with_ends: list[Event] = []

    def add_end_of_wait(before: Event, awaited: Awaited) -> None:
        """Add the end of a wait after this event, at the same time."""
        events_with_ends.append(Event(0, before.at_ns, Lane.KIT, _SESSION, WaitEnded(awaited, complete=True)))

    for event in events:
        events_with_ends.append(event)
        match event.content:
            case Joined():
                add_end_of_wait(event, Awaited.ROOM)
            case PlaybackTold(_, method, _) if method == _FINISHED:
                add_end_of_wait(event, Awaited.TURN)
    add_end_of_wait(events_with_ends[-1], Awaited.ROOM)
    add_end_of_wait(events_with_ends[-1], Awaited.HANG_UP)
    return tuple(replace(event, seq=number) for number, event in enumerate(events_with_ends))


def _find_publisher_name(events: Iterable[Event]) -> str:
    """Return who publishes the avatar in the room: the name that the LiveKit agent gave when it configured
    its session. "" if these events hold no configuration with a room yet."""
    for event in events:
        match event.content:
            case Received(value=ConfigureSession(livekit_egress=LiveKitEgress(publisher_id=publisher_name))):
                return publisher_name
    return ""


async def _run_agent(command: str, environment: dict[str, str]) -> str:
    """Run the command of a LiveKit agent, with these environment variables beside those of this process.
    Wait until the agent ends, or kill it after AGENT_SECONDS, and return in words how it ended. Raises
    UsageError if the command cannot be started."""
    try:
        arguments = shlex.split(command)
        process = await asyncio.create_subprocess_exec(
            *arguments, env=os.environ | environment, stdout=asyncio.subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"--agent-cmd {command!r} cannot be started: {error}") from error
    try:
        async with asyncio.timeout(AGENT_SECONDS):
            exit_code = await process.wait()
    except TimeoutError:
        return f"it did not end within {AGENT_SECONDS:g} s"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return f"it ended with the code {exit_code}"
