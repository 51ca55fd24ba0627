"""Our egress, judged in a real room over aiortc: what is broken there is named, and nothing else."""

import shlex
import sys
import time
from pathlib import Path

import pytest

from spatius_sim.engine.rooms.agent_run import judge_agent
from spatius_sim.engine.rooms.room_run import LiveKitPlace, judge_room
from spatius_sim.mock_server.server import MotionServer
from spatius_sim.model.scenario.meaningful_ids import APP_ID, AVATAR_ID
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.protocol.video_container import Container
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.server_subject import ServerAddress
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


async def test_the_example_agent_passes_with_our_server(livekit: LiveKitServer) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    pytest.importorskip("livekit.plugins.spatius", reason="livekit-plugins-spatius is not installed")
    example = Path(__file__).parents[4] / "conformance" / "examples" / "livekit_agent" / "agent.py"
    place = LiveKitPlace(livekit.url, KEY, SECRET)
    # On a loaded machine WebRTC loses frames, and a join may come late: what is broken is broken again.
    always_failed: set[str] | None = None
    for _ in range(3):
        judgements = await judge_agent(shlex.join([sys.executable, str(example)]), place)
        failed = {name for name, found in judgements.items() if found.verdict is Verdict.FAILED}
        always_failed = failed if always_failed is None else always_failed & failed
        if not always_failed:
            break
    assert not always_failed
    for rule_id in ("E-JOIN", "E-LEAVE", "E-TRACKS"):
        assert judgements[rule_id].verdict in (Verdict.PASSED, Verdict.INCONCLUSIVE)


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        ("no-such-program-here", UsageError, "cannot be started"),
        ("'unclosed", UsageError, "cannot be started"),
        (
            shlex.join([sys.executable, "-c", "raise SystemExit(3)"]),
            UnreachableError,
            "ended with the code 3",
        ),
    ],
)
async def test_an_agent_that_never_speaks_is_told(
    livekit: LiveKitServer, command: str, error: type[Exception], text: str
) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    with pytest.raises(error, match=text):
        await judge_agent(command, LiveKitPlace(livekit.url, KEY, SECRET))
