"""Our egress, judged in a real room over aiortc: what is broken there is named, and nothing else."""

import time

import pytest

from spatius_sim.engine.room_run import LiveKitPlace, judge_room
from spatius_sim.mock_server.server import MotionServer
from spatius_sim.model.scenario.meaningful_ids import APP_ID, AVATAR_ID
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.video_container import Container
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.server import ServerAddress
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer

pytestmark = pytest.mark.filterwarnings("default")


def address_of(server: MotionServer) -> ServerAddress:
    return ServerAddress(
        server.console_endpoint, server.ingress_endpoint, "any-key-will-do", APP_ID, AVATAR_ID
    )


@pytest.mark.parametrize(
    ("container", "scenario", "failed"),
    [("h264-sei", "none", set()), ("vp8", "egress-mute", {"E-SOUND"})],
)
async def test_an_egress_is_judged_in_a_real_room(
    livekit: LiveKitServer, container: str, scenario: str, failed: set[str]
) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    place = LiveKitPlace(livekit.url, KEY, SECRET, Container(container))
    async with MotionServer(livekit=True, container=container, scenario=scenario) as server:
        judgements = await judge_room(address_of(server), place)
    # A loaded machine loses frames, and then says that nothing is sure; it never accuses.
    assert {name for name, found in judgements.items() if found.verdict is Verdict.FAILED} <= failed
    assert all(judgements[name].verdict is not Verdict.PASSED for name in failed)
    assert judgements["E-JOIN"].verdict is judgements["E-TRACKS"].verdict is Verdict.PASSED
    assert judgements["E-REFUSED"].verdict is judgements["E-LEAVE"].verdict is Verdict.PASSED


async def test_a_room_that_lets_nobody_in_is_told_without_a_token(livekit: LiveKitServer) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    from spatius_sim.net.room.viewer import VideoViewer

    place = LiveKitPlace(livekit.url, KEY, "another-secret-of-thirty-two-letters")
    nowhere = ServerAddress("http://127.0.0.1:9", "ws://127.0.0.1:9", "key")
    with pytest.raises(UnreachableError, match="look at key and secret"):
        await judge_room(nowhere, place)
    token = livekit.token("r", "viewer", time.time()) + "x"
    with pytest.raises(UnreachableError, match="viewer cannot join") as refused:
        await VideoViewer(lambda frame: None).join(livekit.url, token)
    assert token not in str(refused.value)
