"""Logins in command lines."""

import pytest

from spatius_sim.trace.secrets_in_commands import command_without_secrets, secrets_in_command

SECRET = "a-secret-of-some-length"
DRAWN = "f3Kd82Lm9Qp4Zx7c"


@pytest.mark.parametrize(
    ("command", "secrets", "shown"),
    [
        ("node relay.mjs --port {port}", [], "node relay.mjs --port {port}"),
        (f"relay --api-key={SECRET} -v", [SECRET], "relay --api-key=... -v"),
        (f"relay --token {SECRET} --quiet", [SECRET], "relay --token ... --quiet"),
        (f"env KEY='{SECRET}' relay", [SECRET], "env KEY=... relay"),
        (f"relay ws://me:{SECRET}@h/?room=a", [SECRET], "relay 'ws://...@h/?room=...'"),
        (f"relay --at=ws://me:{SECRET}@h", [SECRET], "relay --at=ws://...@h"),
        (f"relay {DRAWN}", [DRAWN], "relay ..."),
        ("relay --key={port} --token {api_key}", [], "relay --key={port} --token {api_key}"),
        ("relay --token --quiet x=", [], "relay --token --quiet x="),
        (f"relay '{SECRET}", [], "..."),
    ],
)
def test_a_command_is_shown_without_its_secrets(command: str, secrets: list[str], shown: str) -> None:
    assert command_without_secrets(command) == shown
    assert list(secrets_in_command(command)) == secrets
