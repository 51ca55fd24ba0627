"""`python -m spatius_sim.tests.sdks [--few] [NAME==VERSION ...]`: let each release of each SDK live a whole
life with our Motion Server, and be refused by it, in an environment of its own. Prints a line for each.

The releases are those that PyPI had in November 2026; `--few` takes the oldest and the newest of each.
"""

import argparse
import asyncio
import subprocess
import sys
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.audio import keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tests.net.server.running_sdk import SdkEndedError, live

RELEASES = {
    "spatius": ("1.0.0", "1.0.1", "1.0.2", "1.0.3", "1.0.4", "1.0.5", "1.1.0", "1.1.1"),
    "avatarkit": ("0.1.0", "0.1.1", "0.1.2", "0.1.3", "0.1.4", "0.1.5", "0.1.6", "0.1.7"),
    "spatialreal": ("0.1.0", "0.2.0", "0.2.1", "0.2.2"),
}
_SAMPLES = 40_000
_PCM = speech("every release", _SAMPLES)


def install(release: str, folder: Path) -> Path:
    """Make an environment with this release alone, and return its Python."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", release]
    subprocess.run([*command, "--disable-pip-version-check"], check=True)
    return python


async def whole_life(sdk: str, python: Path) -> str:
    """Return what went wrong in a whole life of two turns, and in the refusal of an avatar that does not
    exist; "" if nothing did."""
    async with SocketMotionServer() as server:
        life = await live(server, [_PCM, _PCM[:6400]], sdk=sdk, python=str(python))
        try:
            await live(server, [_PCM], sdk=sdk, python=str(python), avatar_id="missing-1")
        except SdkEndedError as refused:
            told = str(refused)
        else:
            return "it was not refused for an avatar that does not exist"
    motion = [message for message in map(decode, life.payloads) if isinstance(message, MotionResponse)]
    keyframes = sum(len(response.keyframes) for response in motion)
    expected = keyframe_count(_SAMPLES, 16000) + keyframe_count(3200, 16000)
    if life.errors or not life.closed or len(set(life.req_ids)) != 2 or keyframes != expected:
        return f"errors {life.errors}, closed {life.closed}, {keyframes} keyframes of {expected}"
    return "" if "Error" in told else f"its refusal was told as: {told[-300:]}"


def main() -> int:
    """Return 1 if a release did not live as it should."""
    parser = argparse.ArgumentParser(prog="python -m spatius_sim.tests.sdks")
    parser.add_argument("release", nargs="*", help="such as spatius==1.1.1; all by default")
    parser.add_argument("--few", action="store_true", help="the oldest and the newest of each")
    asked = parser.parse_args()
    every = {f"{sdk}=={version}": sdk for sdk, versions in RELEASES.items() for version in versions}
    few = [f"{sdk}=={version}" for sdk, all_ in RELEASES.items() for version in (all_[0], all_[-1])]
    failed = 0
    for release in asked.release or (few if asked.few else every):
        with TemporaryDirectory() as folder:
            fault = asyncio.run(whole_life(every[release], install(release, Path(folder))))
        failed += bool(fault)
        sys.stdout.write(f"{release}: {fault or 'a whole life, and a refusal'}\n")
        sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
