"""A LiveKit agent with an avatar on the published plugin, tried against the mock without any cloud.

    spatius-sim verify --room ws://127.0.0.1:7880 --agent-cmd "python agent.py"

It speaks a tone instead of a voice, so it needs no key of any AI service. Everything else is what an agent
does: it waits until it was heard, is interrupted once, and closes.
"""

import asyncio
import math
import os
import struct

import spatius
from livekit import api, rtc
from livekit.agents import Agent, AgentSession
from livekit.plugins.spatius import AvatarSession

RATE = 24_000


async def tone(seconds):
    """Yield a tone of 440 Hz, 20 ms at a time."""
    samples = RATE // 50
    for start in range(0, int(seconds * RATE), samples):
        wave = (int(9000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(start, start + samples))
        yield rtc.AudioFrame(struct.pack(f"<{samples}h", *wave), RATE, 1, samples)
        await asyncio.sleep(0)


def token(room):
    """Return a token that lets the agent into its room."""
    grants = api.VideoGrants(room_join=True, room=room)
    return api.AccessToken().with_identity("agent").with_grants(grants).to_jwt()


async def main():
    # The server SDK would report to its maker otherwise.
    spatius.configure_telemetry("")
    room = rtc.Room()
    await room.connect(os.environ["LIVEKIT_URL"], token(os.environ["LIVEKIT_ROOM"]))
    session, avatar = AgentSession(), AvatarSession(region="us-west", sample_rate=RATE)
    await avatar.start(session, room)
    await session.start(Agent(instructions="Say what you are told."), room=room)

    await session.say("A short sentence.", audio=tone(1.0)).wait_for_playout()
    story = session.say("A long story.", audio=tone(10.0))
    await asyncio.sleep(1.5)
    story.interrupt()
    await story.wait_for_playout()
    await asyncio.sleep(1.0)

    await session.aclose()
    await avatar.aclose()
    await room.disconnect()


asyncio.run(main())
