"""Our egress, judged in a real room by the commands that users type: what is broken there is named, and
nothing else."""

import asyncio
import shlex
import sys
import time
from pathlib import Path

import pytest

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.plans.plan_token import token_of
from spatius_sim.plans.room_plan import RoomPlan, RoomTurn
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, LiveKitServer
from spatius_sim.tests.net.room.real_room import BY_LOAD
from spatius_sim.tests.net.room.verifying import assert_no_credentials, run_verify, verdicts_in

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("default")]

ONE_TURN = RoomPlan((RoomTurn(1600),))
A_TURN_AND_A_REFUSAL = RoomPlan((RoomTurn(1200),), refuses=True)


@pytest.mark.parametrize(
    ("container", "scenario", "rule_id", "plan"),
    [
        ("h264-sei", "none", "E-REFUSED", A_TURN_AND_A_REFUSAL),
        ("h264-sei", "none", "E-LEAVE", ONE_TURN),
        ("vp8", "none", "E-TRACKS", ONE_TURN),
        ("vp8", "egress-mute", "E-SOUND", ONE_TURN),
    ],
)
async def test_an_egress_is_judged_in_a_real_room(
    livekit: LiveKitServer, tmp_path: Path, container: str, scenario: str, rule_id: str, plan: RoomPlan
) -> None:
    pytest.importorskip("aiortc", reason="aiortc is not installed")
    async with MotionServer(livekit=True, container=container, scenario=scenario) as server:
        url = server.console_endpoint.removesuffix("/v1/console")
        arguments = [f"--server={url}", f"--room={livekit.url.replace('://', f'://{KEY}:{SECRET}@')}"]
        arguments += [f"--rule={rule_id}", f"--plan={token_of(plan)}"]
        arguments += ["--report-dir=reports", "--save-tape=run.tape"]
        code, output = await asyncio.to_thread(run_verify, tmp_path, livekit, arguments)
    verdict = verdicts_in(tmp_path)[rule_id]
    assert_no_credentials(tmp_path)
    if scenario == "none":
        # These rules are such that lost frames do not touch them.
        assert (verdict, code) == ("PASSED", ExitCode.PASSED), output
    else:
        # A loaded machine loses sound, and then says that nothing is sure; it never passes a fault.
        assert verdict in ("FAILED", "INCONCLUSIVE"), output
        assert code in (ExitCode.RULE_FAILED, ExitCode.UNREACHABLE, ExitCode.NOT_EXERCISED), output


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
    # What a loaded machine breaks would be repeated; elsewhere it is judged.
    rules = [f"--rule={rule.id}" for rule in rules_for("room") if rule.id not in BY_LOAD]
    _, output = run_verify(tmp_path, livekit, [f"--agent-cmd={command}", *rules])
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
