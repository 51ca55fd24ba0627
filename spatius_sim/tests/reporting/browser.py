"""A page in a headless Chromium, driven by the DevTools protocol."""

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from spatius_sim.tests.client_js.running import SECONDS, chromium, ended

_ANNOUNCED = "DevTools listening on "
_LARGEST_ANSWER = 64 * 1_048_576


class Page:
    """One tab. What the browser tells by itself is in `told`, by method."""

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session, self._last = socket, session, 100
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def do(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; its result."""
        self._last += 1
        call = {"id": self._last, "sessionId": self._session, "method": method, "params": parameters}
        await self._socket.send(json.dumps(call))
        while True:
            answer = await self._hear()
            if answer.get("id") == self._last:
                assert "error" not in answer, answer
                return dict(answer["result"])

    async def open(self, url: str) -> None:
        """Load a page to its end; `told` begins anew."""
        self.told.clear()
        await self.do("Page.navigate", url=url)
        while not any(method == "Page.loadEventFired" for method, _ in self.told):
            await self._hear()

    async def asked(self, expression: str) -> Any:
        """The value of a JavaScript expression, or of its promise."""
        found = await self.do(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def looks(self, *, dark: bool = False, width: int = 1280, height: int = 900) -> None:
        """How the page is looked at."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.do("Emulation.setEmulatedMedia", features=[scheme])
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )

    async def picture(self, without: str = "") -> bytes:
        """A PNG of what is seen, `without` the elements that this selector names."""
        if without:
            await self.asked(f"document.querySelectorAll({without!r}).forEach(one => one.remove())")
        return b64decode((await self.do("Page.captureScreenshot", format="png"))["data"])

    def of(self, method: str) -> list[dict[str, Any]]:
        """What the browser told under that name since the page was opened."""
        return [parameters for told, parameters in self.told if told == method]

    async def _hear(self) -> dict[str, Any]:
        message = json.loads(await asyncio.wait_for(self._socket.recv(), SECONDS))
        if message.get("sessionId") == self._session and "method" in message:
            self.told.append((message["method"], message["params"]))
        return dict(message)


def axe() -> str:
    """axe-core's source, which npm installed where SPATIUS_SIM_AXE says. Without it the test is skipped, or
    fails where it is required."""
    path = os.environ.get("SPATIUS_SIM_AXE", "")
    if path:
        return Path(path).read_text(encoding="utf-8")
    missing = "SPATIUS_SIM_AXE names no axe.min.js"
    if os.environ.get("SPATIUS_SIM_REQUIRE") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """A tab of a fresh browser, which is ended afterwards."""
    browser = chromium()
    profile = tempfile.mkdtemp()
    command = [
        browser,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"),
    ]
    process = _start(command)
    with ended(process):
        address = await asyncio.wait_for(asyncio.to_thread(_address, process), SECONDS)
        async with connect(address, max_size=_LARGEST_ANSWER, compression=None, proxy=None) as socket:
            yield await _tab(socket)
    # Chromium's last children may still be writing.
    shutil.rmtree(profile, ignore_errors=True)


def _start(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def _address(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if _ANNOUNCED in line:
            return line.partition(_ANNOUNCED)[2].strip()
    raise AssertionError("Chromium ended before it listened")


async def _tab(socket: ClientConnection) -> Page:
    async def browser_does(number: int, method: str, **parameters: Any) -> dict[str, Any]:
        await socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(await asyncio.wait_for(socket.recv(), SECONDS))
            if answer.get("id") == number:
                return dict(answer["result"])

    target = await browser_does(1, "Target.createTarget", url="about:blank")
    session = await browser_does(2, "Target.attachToTarget", targetId=target["targetId"], flatten=True)
    tab = Page(socket, session["sessionId"])
    for domain in ("Page", "Network", "Runtime", "Log"):
        await tab.do(f"{domain}.enable")
    return tab
