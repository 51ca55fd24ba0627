"""The published LiveKit plugin, unchanged, lives its whole life against our server in a real room."""

import asyncio
import socket
from pathlib import Path

import pytest

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.tests.net.room.livekit_server import LiveKitServer

pytestmark = pytest.mark.filterwarnings("default")

HEARD_SECONDS = 1.0


def listening_addresses(pid: int) -> set[str]:
    """Return the addresses on which a process listens or is bound, TCP and UDP, IPv4 and IPv6."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    addresses = set()
    for table in ("tcp", "udp", "tcp6", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            raw, state, inode = bytes.fromhex(fields[1].split(":")[0]), fields[3], fields[9]
            if inode in inodes and state in ("0A", "07"):
                words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
                addresses.add(socket.inet_ntop(socket.AF_INET if len(words) == 4 else socket.AF_INET6, words))
    return addresses


async def until_left(server: MotionServer, room: str) -> None:
    async with asyncio.timeout(5):
        while server.rooms.by_name[room].publishers:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def test_the_room_server_listens_on_loopback_alone(livekit: LiveKitServer) -> None:
    addresses = listening_addresses(livekit.pid)
    assert addresses
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}


async def test_the_plugin_speaks_is_interrupted_and_leaves(livekit: LiveKitServer) -> None:
    pytest.importorskip("livekit.plugins.spatius", reason="livekit-plugins-spatius is not installed")
    from spatius_sim.tests.net.room.agent import live_agent

    async with MotionServer(livekit=True) as server:
        async with live_agent(livekit, server, "room-1") as agent:
            assert server.rooms.by_name["room-1"].publishers == ["spatius-avatar-agent"]
            async with asyncio.timeout(15):
                await agent.say("A short sentence.", HEARD_SECONDS).wait_for_playout()
            assert agent.finished == [(HEARD_SECONDS, False)]
            story = agent.say("A long story.", 20.0)
            await until_played(server, "playing")
            story.interrupt()
            async with asyncio.timeout(15):
                await story.wait_for_playout()
            position, interrupted = agent.finished[-1]
            assert interrupted
            # Position 0 would say that the plugin has given up waiting for the answer.
            assert 0 < position < 20
            short, *rest = agent.transcript()
            assert short == ("A short sentence.", False)
            # The agent notes what it has transcribed until then: on a busy machine that may be no word.
            assert all(was_interrupted for _, was_interrupted in rest)
            played = [request.playback for request in server.rooms.by_name["room-1"].requests.values()]
            assert played == ["finished", "interrupted"]
        await until_left(server, "room-1")


async def until_played(server: MotionServer, playback: str) -> None:
    """Wait until half a second of the newest request was played."""
    async with asyncio.timeout(10):
        requests = server.rooms.by_name["room-1"].requests
        while not any(one.playback == playback for one in requests.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)


async def test_without_real_rooms_the_user_is_told_once() -> None:
    from spatius_sim.net.server.socket_motion_server import SIMULATED_ROOM
    from spatius_sim.protocol.messages import ConfigureSession, EgressType, LiveKitEgress
    from spatius_sim.tests.net.talk import talk

    notes: list[str] = []
    livekit = LiveKitEgress("ws://127.0.0.1:9", "key", "secret", room_name="r", publisher_id="p")
    asked = ConfigureSession(16000, egress_type=EgressType.LIVEKIT, livekit_egress=livekit)
    async with MotionServer(on_note=notes.append) as server:
        for _ in range(2):
            async with talk(server, asked) as session:
                await session.hear()
    assert notes == [SIMULATED_ROOM]
