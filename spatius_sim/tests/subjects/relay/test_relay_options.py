"""Relays that the kit starts itself, and relays with a login, a subprotocol and certificates of their own."""

import asyncio
import contextlib
import os
import shlex
import ssl
import sys
from http import HTTPStatus
from pathlib import Path

import pytest
import trustme
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from spatius_sim.engine.hide_option_secrets import options_for_shell
from spatius_sim.engine.run_settings import Settings
from spatius_sim.mock_server.run_in_thread import RunningMotionServer
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.client.relay_process import RelayProcess
from spatius_sim.net.ports_and_hosts import LOOPBACK, free_port
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.subjects.relay.relay_options import RelayStart
from spatius_sim.tests.engine.test_exit_codes import ONE_TURN, RELAY, Ran, fronts, judge, relay
from spatius_sim.wires import published_wire

TARGET = "ws://127.0.0.1:{port}"
SECONDS = 20.0

FORKS = """
import os, pathlib, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
print("a line of output", flush=True)
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "stubborn" else signal.SIG_DFL)
time.sleep(600 if sys.argv[2] != "dies" else 0)
sys.exit(7)
"""


def start_relay(front: str, folder: Path, command: str, *arguments: str) -> Ran:
    rule = ("--rule", "R-AUDIO-FIRST", ONE_TURN)
    return judge(front, folder, TARGET, "--target-cmd", command, *rule, *arguments)


@fronts
def test_a_relay_is_started_judged_and_ended(front: str, tmp_path: Path) -> None:
    ran = start_relay(front, tmp_path, shlex.join([sys.executable, str(RELAY), "{port}"]))
    assert ran.code == 0, ran.output
    assert ran.rules == {"R-AUDIO-FIRST": "PASSED"}


def test_its_own_variables_are_filled_with_ours(tmp_path: Path) -> None:
    wrapper = tmp_path / "wrapper.py"
    wrapper.write_text(
        "import os, sys\n"
        "for name in ('SPATIUS_CONSOLE_ENDPOINT', 'SPATIUS_API_KEY'):\n"
        "    os.environ[name] = os.environ['MY_' + name]\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    command = shlex.join([sys.executable, str(wrapper), str(RELAY), "{port}"])
    mappings = ["MY_SPATIUS_CONSOLE_ENDPOINT={console}", "MY_SPATIUS_API_KEY={api_key}"]
    ran = start_relay("pytest", tmp_path, command, *(f"--target-env={mapping}" for mapping in mappings))
    assert ran.code == 0, ran.output


def test_a_relay_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = "print('no module named fastapi'); exit(3)"
    ran = start_relay("verify", tmp_path, shlex.join([sys.executable, "-c", program]))
    assert ran.code == 6, ran.output
    told = " ".join(ran.output.split())
    assert "ended with code 3; its last output: no module named fastapi" in told


def test_a_command_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    ran = start_relay("verify", tmp_path, "no-such-program --port {port}")
    assert ran.code == 4, ran.output
    assert "cannot be started" in ran.output


def test_a_relay_on_another_motion_server_is_observed(
    motion_server: RunningMotionServer, tmp_path: Path
) -> None:
    port = free_port()
    with relay(port, motion_server.port):
        named = [f"--rule={rule_id}" for rule_id in ("U-TOKEN", "R-MOTION-VERBATIM", "R-CONVERSATION")]
        ran = judge("verify", tmp_path, f"ws://127.0.0.1:{port}", "--lacks=upstream", *named)
    assert ran.code == 0, ran.output
    assert ran.rules == {
        "U-TOKEN": "NOT_APPLICABLE",
        "R-MOTION-VERBATIM": "NOT_APPLICABLE",
        "R-CONVERSATION": "PASSED",
    }


def alive(pid: int) -> bool:
    """Whether it runs, and is more than a name in the table of processes."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("manner", ["polite", "stubborn", "dies"])
def test_it_ends_with_all_its_children(manner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatius_sim.net.client.relay_process._GRACE_SECONDS", 0.2)
    noted = tmp_path / "pid"
    command = shlex.join([sys.executable, "-c", FORKS, str(noted), manner])

    async def live() -> str:
        process = RelayProcess(command, os.environ)
        await process.start()
        async with asyncio.timeout(SECONDS):
            while not process.last_output() or (manner == "dies" and not await process.describe_death()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        obituary = await process.describe_death()
        await process.stop()
        async with asyncio.timeout(SECONDS):
            while alive(int(noted.read_text())):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return obituary

    obituary = asyncio.run(live())
    assert ("ended with code 7; its last output: a line of output" in obituary) == (manner == "dies")


def test_a_relay_that_talks_without_an_end_is_bounded() -> None:
    command = shlex.join([sys.executable, "-c", "import sys\nwhile True: sys.stdout.write('x' * 65536)"])

    async def live() -> int:
        process = RelayProcess(command, os.environ)
        await process.start()
        async with asyncio.timeout(SECONDS):
            while process.output_bytes < 10_000_000:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        await process.stop()
        return len(process.last_output())

    assert asyncio.run(live()) <= 10 * 4096


def test_a_login_and_a_subprotocol_are_brought_along() -> None:
    async def connect(relay_start: RelayStart) -> str:
        def refuse_strangers(connection: ServerConnection, request: Request) -> Response | None:
            if request.headers.get("Authorization") == "Bearer the relay's own":
                return None
            return connection.respond(HTTPStatus.UNAUTHORIZED, "who are you?")

        known = [Subprotocol("avatar.v2")]
        async with serve(_hold, LOOPBACK, 0, process_request=refuse_strangers, subprotocols=known) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            address = relay_start.address(f"ws://{LOOPBACK}:{port}")
            async with RelayClient(address, published_wire("json-envelope"), RealTimeRecorder(), "ann"):
                return str(next(iter(server.connections)).subprotocol)

    headers = ("Authorization: Bearer the relay's own",)
    assert asyncio.run(connect(RelayStart(headers=headers, subprotocols=("avatar.v2",)))) == "avatar.v2"
    with pytest.raises(UnreachableError, match="401"):
        asyncio.run(connect(RelayStart()))


def test_a_relay_is_trusted_by_its_own_certificates(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(LOOPBACK).configure_cert(context)

    async def connect(ca: str) -> None:
        async with serve(_hold, LOOPBACK, 0, ssl=context) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            address = RelayStart(ca=ca).address(f"wss://{LOOPBACK}:{port}")
            async with RelayClient(address, published_wire("json-envelope"), RealTimeRecorder(), "ann"):
                pass

    asyncio.run(connect(str(tmp_path / "ca.pem")))
    with pytest.raises(UnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
        asyncio.run(connect(""))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (RelayStart(command="relay", environment=("NAME",)), "NAME=VALUE is needed"),
        (RelayStart(command="relay", environment=("A={consol}",)), "{consol} stands for nothing"),
        (RelayStart(environment=("A=b",)), "is for the relay that --target-cmd starts"),
        (RelayStart(headers=("Cookie",)), "NAME: VALUE in one line"),
        (RelayStart(headers=("Cookie: a\r\nEvil: b",)), "NAME: VALUE in one line"),
        (RelayStart(subprotocols=("a b",)), "is not a name of a subprotocol"),
        (RelayStart(ca="/nowhere/ca.pem"), "holds no certificates"),
        (RelayStart(ca=__file__), "holds no certificates"),
    ],
)
def test_what_cannot_be_is_a_usage_error(wrong: RelayStart, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        wrong.check_options()
    assert told in str(raised.value)


def test_a_started_relay_needs_a_place() -> None:
    options = Settings(target="ws://127.0.0.1:8765", relay_start=RelayStart(command="relay --port {port}"))
    with pytest.raises(UsageError, match="needs a --target that says where"):
        options.check()


def test_a_login_is_not_printed_with_the_command_that_repeats_a_failure() -> None:
    typed = options_for_shell({"target-cmd": "relay {port}", "target-header": ["Cookie: id=secret"]})
    assert typed == "'--target-cmd=relay {port}' '--target-header=Cookie: ...'"
    assert "secret" not in repr(RelayAddress("ws://x", (("Cookie", "id=secret"),)))


async def _hold(socket: ServerConnection) -> None:
    await socket.wait_closed()


def test_a_relay_that_we_start_reaches_us_past_a_proxy() -> None:
    proxy = {"HTTP_PROXY": "http://proxy.example:3128"}
    assert RelayStart().process_environment(proxy, 1)["NO_PROXY"] == "127.0.0.1,localhost"
    own = RelayStart(environment=("NO_PROXY=",))
    assert own.process_environment(proxy, 1)["NO_PROXY"] == ""
    assert "NO_PROXY" not in RelayStart().process_environment({}, 1)
