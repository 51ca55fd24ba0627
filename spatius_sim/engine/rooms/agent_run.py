"""Judges an agent on the published LiveKit plugin together with our server, in a real LiveKit room."""

import asyncio
import os
import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from uuid import uuid4

from spatius_sim import __version__
from spatius_sim.engine.rooms.room_run import LiveKitPlace
from spatius_sim.mock_server.server import MotionServer
from spatius_sim.net.kit_stalls import lag_marked
from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.protocol.messages import ConfigureSession, LiveKitEgress
from spatius_sim.rules.findings import Judgement
from spatius_sim.rules.room_catalogue import judge_rooms
from spatius_sim.trace.events import Awaited, Event, Joined, Lane, Received, TraceHeader, WaitEnded
from spatius_sim.trace.room_events import PlaybackTold

AGENT_SECONDS = 120.0
LEAVE_SECONDS = 2.0
OF_AGENTS = frozenset({"E-LIMIT", "E-REFUSED", "E-INTERRUPT", "E-VERBATIM"})
"""Rules whose situation an agent need not bring up."""

_SESSION = "upstream-1"
"""The first session at our server: the agent's."""

_FINISHED = "lk.playback_finished"


async def judge_agent(command: str, place: LiveKitPlace) -> dict[str, Judgement]:
    """Run the agent until it ends, with our server and a new room in its environment, and return the
    judgement of every E rule. Raises UnreachableError if it opens no session with an egress in time,
    UsageError if it cannot be started or the extra `livekit` is not installed."""
    try:
        from spatius_sim.net.room.room_watcher import LiveRoomWatch
    except ImportError as error:
        missing = f"real LiveKit rooms need more packages ({error}): pip install 'spatius-sim[livekit]'"
        raise UsageError(missing) from error
    recorder = LiveRecorder()
    recorder.start(TraceHeader("room", "", 0, f"the agent {command}", __version__))
    room = LiveKitEgress(place.url, room_name=f"spatius-sim-{uuid4().hex[:12]}")
    watch = LiveRoomWatch(
        recorder, place.key, place.secret, place.container, lambda: _publisher_in(recorder.events)
    )
    async with (
        MotionServer(port=0, livekit=True, container=place.container, sink=recorder) as server,
        watch.watching(_SESSION, room),
        lag_marked(recorder),
    ):
        # In PCM the speech can be compared with what is heard.
        environment = {"SPATIUS_AUDIO_FORMAT": "pcm_s16le", "LIVEKIT_ROOM": room.room_name}
        environment |= server.relay_environment("any-key-will-do")
        environment |= {"LIVEKIT_URL": place.url, "LIVEKIT_API_KEY": place.key}
        ending = await _run(command, environment | {"LIVEKIT_API_SECRET": place.secret})
        await asyncio.sleep(LEAVE_SECONDS)
    trace = recorder.finish()
    if not _publisher_in(trace.events):
        # Otherwise its code says nothing: LiveKit's library sometimes aborts when its process ends (tried).
        text = f"the agent opened no session with an egress at our server; {ending}"
        raise UnreachableError(text)
    return judge_rooms(replace(trace, events=with_waits(trace.events)))


def with_waits(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return these events, with the waits that the agent itself ended: it waited for its avatar, for the end
    of each playback, and for its own end."""
    whole: list[Event] = []

    def add(like: Event, what_for: Awaited) -> None:
        """Add the end of a wait after an event."""
        whole.append(Event(0, like.at_ns, Lane.KIT, _SESSION, WaitEnded(what_for, True)))

    for event in events:
        whole.append(event)
        match event.what:
            case Joined():
                add(event, Awaited.ROOM)
            case PlaybackTold(_, method, _) if method == _FINISHED:
                add(event, Awaited.TURN)
    add(whole[-1], Awaited.ROOM)
    add(whole[-1], Awaited.HANG_UP)
    return tuple(replace(event, seq=number) for number, event in enumerate(whole))


def _publisher_in(events: Iterable[Event]) -> str:
    """Return the publisher that the agent's configuration names; "" if there is none yet."""
    for event in events:
        match event.what:
            case Received(value=ConfigureSession(livekit_egress=LiveKitEgress(publisher_id=publisher))):
                return publisher
    return ""


async def _run(command: str, environment: dict[str, str]) -> str:
    """Run a command until it ends, AGENT_SECONDS at most, and return in words how it ended. Raises UsageError
    if it cannot be started."""
    try:
        words = shlex.split(command)
        process = await asyncio.create_subprocess_exec(
            *words, env=os.environ | environment, stdout=asyncio.subprocess.DEVNULL
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"--agent-cmd {command!r} cannot be started: {error}") from error
    try:
        async with asyncio.timeout(AGENT_SECONDS):
            code = await process.wait()
    except TimeoutError:
        return f"it did not end within {AGENT_SECONDS:g} s"
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return f"it ended with the code {code}"
