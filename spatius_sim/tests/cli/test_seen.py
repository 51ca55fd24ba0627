"""What `serve` and `record` say of each turn, and the page and the files that `tape` makes."""

import asyncio
import json
import re
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from websockets.asyncio.client import connect

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.tests.cli.test_tape_commands import GOOD, TIMEOUT, running
from spatius_sim.tests.command_line import run_in_process as run
from spatius_sim.trace.read_frames import read_upstream

TURN = re.compile(r"turn \S+ my-turn: 1\.0 s of audio, first motion after .* s, 1\.0 s of motion, complete")


async def speak(console: str, ingress: str) -> None:
    """One turn of a second."""
    body = json.dumps({"expireAt": int(time.time()) + 60}).encode()
    asked = Request(f"{console}/session-tokens", body, {"X-Api-Key": "any"})
    answer = await asyncio.to_thread(lambda: urlopen(asked, timeout=TIMEOUT).read())
    headers = {"X-App-ID": "app", "X-Session-Key": json.loads(answer)["sessionToken"]}
    url = ingress.replace("http", "ws", 1) if ingress.startswith("http") else ingress
    async with connect(f"{url}/websocket?id=avatar", additional_headers=headers, proxy=None) as socket:
        await socket.send(encode(ConfigureSession(16000)))
        await socket.recv()
        await socket.send(encode(AudioInput("my-turn", bytes(32000), True)))
        async for frame in socket:
            motion = read_upstream(frame)
            if isinstance(motion, MotionResponse) and motion.end:
                break


def endpoints(lines: list[str]) -> list[str]:
    return re.findall(r"(?:http|ws)s?://127\.0\.0\.1:\d+/v[12]/(?:console|driveningress)", "".join(lines))


def test_serve_and_record_say_each_turn_in_one_line(tmp_path: Path) -> None:
    with running("serve", "--port", "0") as (server, ready):
        console, _ = endpoints(ready)
        base = console.removesuffix("/v1/console")
        out = str(tmp_path / "day.tape")
        with running("record", "--upstream", base, "--port", "0", "--out", out) as (proxy, lines):
            asyncio.run(asyncio.wait_for(speak(*endpoints(lines)), TIMEOUT))
            assert proxy.stdout is not None
            assert TURN.match(next(line for line in proxy.stdout if line.startswith("turn ")))
            inspector = re.findall("look inside at (.*/_sim/)", "".join(lines))[0]
            # The proxy's port has nothing but Motion Server.
            proxys = endpoints(lines)[0].removesuffix("/v1/console") + "/_sim/"
            assert proxys != inspector
            with pytest.raises(HTTPError, match="404"):
                urlopen(proxys, timeout=TIMEOUT)
            with urlopen(f"{inspector}page", timeout=TIMEOUT) as answer:
                page = json.loads(answer.read())
            (session,) = page["sessions"]
            assert (session["avatar_id"], page["server"]["plays"]) == ("avatar", False)
            with urlopen(f"{inspector}sessions/{session['name']}/player", timeout=TIMEOUT) as answer:
                assert json.loads(answer.read())["turns"][0][0] == "my-turn"
        assert server.stdout is not None
        assert TURN.match(next(line for line in server.stdout if line.startswith("turn ")))
    assert run("tape", "view", out).returncode == 0
    assert (tmp_path / "day.html").read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(("shape", "name"), [("perfetto", "trace.perfetto.json"), ("har", "tape.har")])
def test_a_tape_is_exported_for_other_viewers(shape: str, name: str, tmp_path: Path) -> None:
    ran = run("tape", "export", "--format", shape, GOOD, str(tmp_path))
    assert (ran.returncode, ran.stdout.strip()) == (0, str(tmp_path / name))
    assert json.loads((tmp_path / name).read_text("utf-8"))


def test_a_page_of_a_stopped_early_tape_says_so(tmp_path: Path) -> None:
    tape, page = tmp_path / "cut.tape", tmp_path / "page.html"
    whole = Path(GOOD).read_bytes()
    tape.write_bytes(whole[: len(whole) // 2])
    ran = run("tape", "view", str(tape), "--out", str(page))
    assert (ran.returncode, ran.stdout) == (0, f"open {page} in a browser\n")
    assert "The tape is damaged, and what is whole is shown" in page.read_text("utf-8")
    assert run("tape", "view", str(page)).returncode == 4
    assert run("tape", "view", str(tape), "--out", str(tape)).returncode == 4
