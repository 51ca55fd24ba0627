"""`python -m spatius_sim.tests.net.room.browser NODE_MODULES`: a page with `livekit-client` in Chromium
watches our egress in a real room, and reads each packet once. It prints what came, and writes result.md.

NODE_MODULES has `livekit-client`; nothing of it is shipped, and no test needs it.
"""

import asyncio
import json
import platform
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from aiohttp import web

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.plans.room_plan import make_tones
from spatius_sim.protocol.audio import keyframe_count
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    MotionResponse,
)
from spatius_sim.protocol.room_packet import PacketFlag, RoomPacket, read_packet
from spatius_sim.protocol.video_container import Container, take_packets
from spatius_sim.subjects.livekit_server import LiveKitAccess
from spatius_sim.tests.client_js.running import chromium
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, VERSION, LiveKitServer, livekit_server
from spatius_sim.tests.net.talk import Talk, talk

HERE = Path(__file__).parent
SECONDS = 60.0
SPOKEN_SECONDS = 3.0
RATE = 16_000
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--allow-loopback-in-peer-connection", "--autoplay-policy=no-user-gesture-required"),
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


@dataclass
class Page:
    """What the page says, as it comes."""

    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    came: asyncio.Future[dict[str, object]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def application(self, library: Path) -> web.Application:
        """The web server of the page."""

        async def note_ready(request: web.Request) -> web.Response:
            self.ready.set()
            return web.Response()

        async def wait_until_over(request: web.Request) -> web.Response:
            await self.over.wait()
            return web.Response()

        async def take_frames(request: web.Request) -> web.Response:
            self.came.set_result(json.loads(await request.read()))
            return web.Response()

        async def fail(request: web.Request) -> web.Response:
            self.came.set_exception(RuntimeError(await request.text()))
            self.ready.set()
            return web.Response()

        application = web.Application(client_max_size=64 * 1_048_576)
        files = {
            "/": HERE / "page.html",
            "/worker.js": HERE / "worker.js",
            "/livekit-client.umd.js": library,
        }

        async def give_file(request: web.Request) -> web.FileResponse:
            return web.FileResponse(files[request.path])

        for path in files:
            application.router.add_get(path, give_file)
        application.router.add_get("/over", wait_until_over)
        for path, handler in (("/ready", note_ready), ("/frames", take_frames), ("/failed", fail)):
            application.router.add_post(path, handler)
        return application


async def speak(session: Talk) -> None:
    """Speak one request into the room, and wait until it was played."""
    await session.say(AudioInput("a", make_tones(SPOKEN_SECONDS, RATE), True))
    while not (isinstance(told := await session.hear(), MotionResponse) and told.end):
        pass
    await asyncio.sleep(0.5)


async def watch(livekit: LiveKitServer, node_modules: Path) -> dict[str, object]:
    """Let the page watch one request, and return what it collected."""
    page = Page()
    library = node_modules / "livekit-client" / "dist" / "livekit-client.umd.js"
    runner = web.AppRunner(page.application(library))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    egress, _ = LiveKitAccess(livekit.url, KEY, SECRET).configure_new_room()
    # Without an agent the end is told on the socket.
    egress = type(egress)(egress.url, "", "", egress.api_token, egress.room_name, egress.publisher_id)
    asked = ConfigureSession(RATE, egress_type=EgressType.LIVEKIT, livekit_egress=egress)
    token = livekit.token(egress.room_name, "page", time.time())
    words = urlencode({"url": livekit.url, "token": token})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        async with MotionServer(livekit=True) as server, talk(server, asked) as session:
            assert isinstance(await session.hear(), ConfirmSession)
            browser = await asyncio.create_subprocess_exec(
                chromium(),
                *FLAGS,
                f"--user-data-dir={profile}",
                f"http://127.0.0.1:{port}/?{words}",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                async with asyncio.timeout(SECONDS):
                    await page.ready.wait()
                    if not page.came.done():
                        await speak(session)
                    page.over.set()
                    return await page.came
            finally:
                browser.kill()
                await browser.wait()
                await runner.cleanup()


def keyframes_in(frames: list[str]) -> list[RoomPacket]:
    """The packets of the conversation, in their order."""
    packets = [
        read_packet(raw) for frame in frames for raw in take_packets(Container.H264_SEI, b64decode(frame))
    ]
    return [packet for packet in packets if packet.frame_seq is not None]


def main() -> int:
    node_modules = Path(sys.argv[1])
    version = json.loads((node_modules / "livekit-client" / "package.json").read_text())["version"]
    with livekit_server() as livekit:
        came = asyncio.run(watch(livekit, node_modules))
    frames: list[str] = came["frames"]  # type: ignore[assignment]
    packets = keyframes_in(frames)
    due = keyframe_count(int(SPOKEN_SECONDS * RATE), RATE)
    times = Counter(packet.frame_seq for packet in packets)
    once = sum(times[number] == 1 for number in range(due))
    marks = [bool(packets[0].flags & PacketFlag.START), bool(packets[-1].flags & PacketFlag.END)]
    browser = str(came["agent"]).rpartition("HeadlessChrome/")[2].split(" ")[0]
    lines = [
        "# A page with livekit-client watches an egress",
        f"{time.strftime('%Y-%m-%d')}, by `python -m spatius_sim.tests.net.room.browser NODE_MODULES`.",
        f"Chromium {browser} on {platform.system()}, livekit-client {version}, LiveKit server {VERSION}.",
        "| | |\n|---|---|\n"
        f"| encoded frames that came to the page | {len(frames)} |\n"
        f"| keyframes that were due | {due} |\n"
        f"| of them read exactly once | {once} |\n"
        f"| START on the first, END on the last | {'yes' if all(marks) else 'no'} |\n"
        f"| loudest sound that was heard (1 is full) | {float(str(came['heard'])):.2f} |",
    ]
    text = "\n\n".join(lines) + "\n"
    sys.stdout.write(text)
    (HERE / "result.md").write_text(text)
    return 0 if once == due == len(packets) and all(marks) else 1


if __name__ == "__main__":
    sys.exit(main())
