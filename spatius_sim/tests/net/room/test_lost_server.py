"""A LiveKit server that dies in mid-session: told in one line, and nobody else is disturbed."""

import asyncio
import os
import re
import signal
import time

import pytest

from spatius_sim.protocol.messages import ConfirmSession, MotionResponse, ServerError
from spatius_sim.tests.net.room.livekit_server import LiveKitServer, livekit_server
from spatius_sim.tests.net.room.test_room_publisher import PCM, asks_for, egress
from spatius_sim.tests.net.talk import Talk, talk, utterance
from spatius_sim.tests.serving import serving

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]

LONG_PCM = bytes(32_000 * 30)


async def hear_both_ends(session: Talk) -> None:
    """Hear that a request began and ended, as an agent does that names nobody for the news."""
    began, ended = await session.hear(), await session.hear()
    assert isinstance(began, MotionResponse)
    assert isinstance(ended, MotionResponse)
    assert (began.end, ended.end) == (False, True)


async def test_a_room_server_that_dies_takes_its_sessions_alone_with_it(livekit: LiveKitServer) -> None:
    token = livekit.token("r", "avatar", time.time())
    with serving("--livekit") as server:
        with livekit_server() as dying:
            doomed = asks_for(egress(dying.url, dying.token("r", "avatar", time.time())))
            async with (
                talk(server, doomed) as loser,
                talk(server, asks_for(egress(livekit.url, token))) as other,
            ):
                assert isinstance(await loser.hear(), ConfirmSession)
                assert isinstance(await other.hear(), ConfirmSession)
                await loser.say(*utterance("long", LONG_PCM))
                assert isinstance(await loser.hear(), MotionResponse)
                os.kill(dying.pid, signal.SIGKILL)
                told = asyncio.create_task(loser.hear())
                # The other session goes on while the room of the first is missed.
                await other.say(*utterance("meanwhile", PCM))
                await hear_both_ends(other)
                refused = await told
                assert isinstance(refused, ServerError)
                assert (refused.code, refused.message) == (14, "the egress has lost its room")
                assert await loser.hear() is None
                await other.say(*utterance("afterwards", PCM))
                await hear_both_ends(other)
            # A room on the dead server is refused at once, and one on the living server is joined.
            async with talk(server, doomed) as session:
                refused = await session.hear()
                assert isinstance(refused, ServerError)
                assert refused.code == 14
        again = egress(livekit.url, livekit.token("r", "avatar", time.time()))
        async with talk(server, asks_for(again)) as session:
            assert isinstance(await session.hear(), ConfirmSession)
    # The client library of LiveKit may log an error of its own, if the server dies at a certain moment.
    assert [line for line in server.errors if " livekit::" not in line] == [
        "note: the LiveKit room 'r' is gone: the session that played there ends",
    ]
    assert not re.search("eyJ|secret", "".join([*server.output, *server.errors, refused.message]))
