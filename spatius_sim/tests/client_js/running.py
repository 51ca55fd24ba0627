"""Node, a browser, and the pages it loads: found or missed aloud, bounded in time, ended by id."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from spatius_sim.files.find_resources import resource

SECONDS = 20
CLIENT = resource("conformance") / "client" / "js"
TESTS = Path(__file__).parent


def program(*names: str) -> str:
    """The first of these that is here. Without one the test is skipped, or fails where it is required."""
    for name in names:
        if found := shutil.which(name):
            return found
    missing = f"{names[0]} is not installed"
    if os.environ.get("SPATIUS_SIM_REQUIRE") == "1":
        pytest.fail(missing)
    pytest.skip(missing)


def node() -> str:
    return program("node")


def chromium() -> str:
    return program("chromium", "chromium-browser", "google-chrome")


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Says nothing: what was fetched is not what is tested."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which a browser finds this folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(SECONDS)


@contextmanager
def ended(process: "subprocess.Popen[Any]") -> Iterator[None]:
    """The process, a group of its own, is killed at the end with all that it started."""
    try:
        yield
    finally:
        # The leader is reaped last, so that its id is nobody else's yet.
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=SECONDS)


@contextmanager
def browsing(url: str) -> Iterator[None]:
    """A headless Chromium with this page open."""
    browser = chromium()
    # Chromium's last children may still be writing when the folder goes.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            f"--user-data-dir={profile}",
            url,
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        with ended(process):
            yield
