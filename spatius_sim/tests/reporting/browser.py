"""Pages in a headless Chromium, driven by Playwright: one browser a module, one context a test."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.tests.client_js.running import SECONDS, chromium

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

# Playwright is imported only where a browser is wanted: these fixtures are at hand in every test.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_WINDOW = {"width": 1280, "height": 900}
_PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": _PHONE,
    "phone-dark": {**_PHONE, "color_scheme": "dark"},
}
"""How a page is looked at: what a new context of Playwright is told."""

in_every_look = pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)


@dataclass
class Heard:
    """What a page asked for, and what the browser complained of, until it is forgotten."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def listen(self, tab: "Page") -> None:
        """Keep each request, exception and line of the console; a breach of the policy is such a line."""
        tab.on("request", lambda request: self.requests.append(request.url))
        tab.on("console", lambda line: self._note(line.text))
        tab.on("pageerror", lambda error: self.complaints.append(error.message))

    def _note(self, line: str) -> None:
        # That is about our tests, which read pixels back.
        if "getImageData" not in line:
            self.complaints.append(line)

    def forget(self) -> None:
        self.requests.clear()
        self.complaints.clear()


async def launch(stack: AsyncExitStack) -> "Browser":
    """A browser, which is ended with the stack."""
    from playwright.async_api import async_playwright

    playwright = await stack.enter_async_context(async_playwright())
    browser = await playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
    stack.push_async_callback(browser.close)
    return browser


async def open_tab(browser: "Browser", **look: Any) -> "Page":
    """A page in a context of its own."""
    context = await browser.new_context(**({"viewport": _WINDOW} | look))
    context.set_default_timeout(SECONDS * 1000)
    return await context.new_page()


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """The loop in which the tests of this module run that share a browser."""
    with asyncio.Runner() as one:
        yield one


@pytest.fixture(scope="module")
def browser(runner: asyncio.Runner) -> Iterator["Browser"]:
    stack = AsyncExitStack()
    try:
        yield runner.run(asyncio.wait_for(launch(stack), 3 * SECONDS))
    finally:
        runner.run(asyncio.wait_for(stack.aclose(), 3 * SECONDS))


@pytest.fixture
def look() -> dict[str, Any]:
    """How the page is looked at; `in_every_look` gives each test all of them."""
    return {}


@pytest.fixture
def tab(runner: asyncio.Runner, browser: "Browser", look: dict[str, Any]) -> Iterator["Page"]:
    page = runner.run(open_tab(browser, **look))
    yield page
    runner.run(page.context.close())


@pytest.fixture
def heard(tab: "Page") -> Heard:
    one = Heard()
    one.listen(tab)
    return one


@pytest.fixture(scope="session")
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


async def faults(tab: "Page", source: str) -> list[str]:
    """What axe-core finds, by impact, rule and place."""
    await tab.evaluate(source)
    found = await tab.evaluate("axe.run().then(result => result.violations)")
    return [f"{one['impact']} {one['id']} {node['html'][:200]}" for one in found for node in one["nodes"]]


async def fits(tab: "Page") -> bool:
    """Whether nothing is wider than the window."""
    return bool(await tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


async def text(tab: "Page", name: str) -> str:
    """What the element of this id says."""
    return str(await tab.evaluate(f"document.getElementById({name!r}).textContent"))


async def until(tab: "Page", condition: str) -> None:
    """Wait until this is so. Playwright's own wait evaluates a text, which our pages' policy forbids."""
    waiting = f"new Promise(done => (function wait() {{ {condition} ? done() : setTimeout(wait, 20); }})())"
    await asyncio.wait_for(tab.evaluate(waiting), SECONDS)
