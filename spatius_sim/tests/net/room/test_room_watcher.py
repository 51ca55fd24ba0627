"""Our egress, judged in a real room by the commands that users type: what is broken there is named, and
nothing else."""

import asyncio
import shlex
import sys
import time
from pathlib import Path

import pytest

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer
from spatius_sim.tests.net.room.verifying import assert_no_credentials, run_verify, verdicts_in

pytestmark = pytest.mark.filterwarnings("default")

ALWAYS = ("E-REFUSED", "E-JOIN", "E-LEAVE", "E-TRACKS")
"""Rules that lost frames do not touch."""


@pytest.mark.parametrize(
    ("container", "scenario", "failed"),
    [("h264-sei", "none", set()), ("vp8", "egress-mute", {"E-SOUND"})],
)
async def test_an_egress_is_judged_in_a_real_room(
    livekit: LiveKitServer, tmp_path: Path, container: str, scenario: str, failed: set[str]
) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    async with MotionServer(livekit=True, container=container, scenario=scenario) as server:
        url = server.console_endpoint.removesuffix("/v1/console")
        arguments = [f"--server={url}", f"--room={livekit.url.replace('://', f'://{KEY}:{SECRET}@')}"]
        arguments += ["--report-dir=reports", "--save-tape=run.tape"]
        code, output = await asyncio.to_thread(run_verify, tmp_path, livekit, arguments)
    verdicts = verdicts_in(tmp_path)
    assert_no_credentials(tmp_path)
    # A loaded machine loses frames, and then says that nothing is sure; it never accuses.
    assert {name for name, verdict in verdicts.items() if verdict == "FAILED"} <= failed, output
    assert all(verdicts[name] != "PASSED" for name in failed)
    assert {name: verdicts[name] for name in ALWAYS} == dict.fromkeys(ALWAYS, "PASSED"), output
    assert verdicts["E-VERBATIM"] == "NOT_APPLICABLE"
    honest_codes = (ExitCode.PASSED, ExitCode.RULE_FAILED, ExitCode.UNREACHABLE, ExitCode.NOT_EXERCISED)
    assert code in honest_codes, output


async def test_a_room_that_lets_nobody_in_is_told_without_a_token(
    livekit: LiveKitServer, tmp_path: Path
) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    from spatius_sim.net.room.video_viewer import VideoViewer

    async with MotionServer(livekit=True) as server:
        url = server.console_endpoint.removesuffix("/v1/console")
        arguments = [f"--server={url}", f"--room={livekit.url}", "--rule=E-JOIN"]
        wrong = "another-secret-of-thirty-two-letters"
        code, output = await asyncio.to_thread(run_verify, tmp_path, livekit, arguments, wrong)
    assert code == ExitCode.UNREACHABLE
    assert "cannot be joined: look at key and secret" in " ".join(output.split())
    token = livekit.token("r", "viewer", time.time()) + "x"
    with pytest.raises(UnreachableError, match="viewer cannot join") as refused:
        await VideoViewer(lambda container, frame: None).join(livekit.url, token)
    assert token not in str(refused.value)


def test_the_example_agent_passes_with_our_server(livekit: LiveKitServer, tmp_path: Path) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    pytest.importorskip("livekit.plugins.spatius", reason="livekit-plugins-spatius is not installed")
    example = Path(__file__).parents[4] / "conformance" / "examples" / "livekit_agent" / "agent.py"
    command = shlex.join([sys.executable, str(example)])
    _, output = run_verify(tmp_path, livekit, [f"--agent-cmd={command}"], budget=45)
    verdicts = verdicts_in(tmp_path)
    assert "FAILED" not in verdicts.values(), output
    for rule_id in ("E-JOIN", "E-LEAVE", "E-TRACKS"):
        assert verdicts[rule_id] in ("PASSED", "INCONCLUSIVE"), output
    assert verdicts["E-REFUSED"] == "NOT_APPLICABLE"


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("no-such-program-here", ExitCode.USAGE, "cannot be started"),
        ("'unclosed", ExitCode.USAGE, "cannot be started"),
        (
            shlex.join([sys.executable, "-c", "raise SystemExit(3)"]),
            ExitCode.UNREACHABLE,
            "ended with the code 3",
        ),
    ],
)
def test_an_agent_that_never_speaks_is_told(
    livekit: LiveKitServer, tmp_path: Path, command: str, code: ExitCode, text: str
) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    found, output = run_verify(tmp_path, livekit, [f"--agent-cmd={command}"])
    assert found == code, output
    assert text in " ".join(output.split())
