"""An agent on the published LiveKit plugin, unchanged: it says what a test tells it."""

import asyncio
import math
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.plugins import spatius
from spatius import configure_telemetry

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer

RATE = 24_000
_FRAME_SAMPLES = RATE // 50


async def tone(seconds: float) -> AsyncIterator[rtc.AudioFrame]:
    """Yield a tone of 440 Hz, 20 ms at a time, faster than it is heard."""
    for start in range(0, int(seconds * RATE), _FRAME_SAMPLES):
        levels = (
            int(12_000 * math.sin(2 * math.pi * 440 * (start + index) / RATE))
            for index in range(_FRAME_SAMPLES)
        )
        pcm = struct.pack(f"<{_FRAME_SAMPLES}h", *levels)
        yield rtc.AudioFrame(pcm, RATE, 1, _FRAME_SAMPLES)
        await asyncio.sleep(0)


@dataclass(slots=True)
class LiveAgent:
    """An agent whose avatar is in the room. `finished`: positions and interruptions, as the plugin was
    told."""

    session: Any
    avatar: Any
    room: rtc.Room
    finished: list[tuple[float, bool]] = field(default_factory=list)

    def say(self, text: str, seconds: float) -> Any:
        """Begin to speak a tone of this length, and return the handle of the speech."""
        return self.session.say(text, audio=tone(seconds))

    def transcript(self) -> list[tuple[str, bool]]:
        """Return what was said, and whether it was interrupted."""
        items = [item for item in self.session.history.items if item.type == "message"]
        return [(item.text_content or "", item.interrupted) for item in items]


@asynccontextmanager
async def live_agent(
    livekit: LiveKitServer, server: MotionServer, room_name: str
) -> AsyncIterator[LiveAgent]:
    """Run an agent with the plugin while the block runs."""
    configure_telemetry("")
    room = rtc.Room()
    await room.connect(livekit.url, livekit.token(room_name, "agent", time.time()))
    session: Any = AgentSession()
    avatar: Any = spatius.AvatarSession(
        api_key="any-key-will-do",
        app_id=APP_ID,
        avatar_id=AVATAR_ID,
        region="us-west",
        console_endpoint_url=server.console_endpoint,
        ingress_endpoint_url=server.ingress_endpoint,
        sample_rate=RATE,
    )
    try:
        await avatar.start(
            session, room, livekit_url=livekit.url, livekit_api_key=KEY, livekit_api_secret=SECRET
        )
        await session.start(Agent(instructions="none"), room=room)
        agent = LiveAgent(session, avatar, room)
        avatar._audio.on(
            "playback_finished",
            lambda told: agent.finished.append((told.playback_position, told.interrupted)),
        )
        yield agent
    finally:
        await session.aclose()
        await avatar.aclose()
        await room.disconnect()
