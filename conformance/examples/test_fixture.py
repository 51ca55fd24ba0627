"""The fixture `motion_server` in a team's own test; it comes with the pytest plugin of spatius-sim."""

import json
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest


def ask_for_a_token(console: str) -> str:
    body = json.dumps({"expireAt": int(time.time()) + 60}).encode()
    with urlopen(Request(f"{console}/session-tokens", body, {"X-Api-Key": "any"}), timeout=10) as answer:
        return str(json.load(answer)["sessionToken"])


def test_a_token_is_issued(motion_server):
    assert ask_for_a_token(motion_server.console_endpoint)


def test_the_console_may_be_down(motion_server):
    motion_server.play("console-down")
    with pytest.raises(HTTPError, match="503"):
        ask_for_a_token(motion_server.console_endpoint)
