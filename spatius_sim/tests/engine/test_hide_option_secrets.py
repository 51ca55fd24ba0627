"""What the options of a run tell in confidence, and how they are shown without it."""

from typing import Any

import pytest

from spatius_sim.engine.hide_option_secrets import secrets_in, without_secrets

SECRET = "a-secret-of-some-length"


@pytest.mark.parametrize(
    ("option", "value", "shown"),
    [
        ("target", "ws://127.0.0.1:{port}/ws", "ws://127.0.0.1:{port}/ws"),
        ("target", f"ws://me:{SECRET}@h/ws?a={SECRET}", "ws://<RELAY_LOGIN>@h/ws?a=<RELAY_A>"),
        ("server", f"http://{SECRET}@h", "http://<RELAY_LOGIN>@h"),
        (
            "server",
            f"console=http://{SECRET}@h/c,ingress=ws://{SECRET}@h/i",
            "console=http://<RELAY_LOGIN>@h/c,ingress=ws://<RELAY_LOGIN>@h/i",
        ),
        ("client", f"ws://h/?token={SECRET}", "ws://h/?token=<RELAY_TOKEN>"),
        ("client", "node shim.js --at http://h/?a=b", "node shim.js --at http://h/?a=b"),
        (
            "target-header",
            ["X-Relay-Key: k", "Cookie"],
            ["X-Relay-Key: <RELAY_X_RELAY_KEY>", "Cookie: <RELAY_COOKIE>"],
        ),
        (
            "target-env",
            ["PORT={port}", "EMPTY=", "AT={console}{port}"],
            ["PORT={port}", "EMPTY=", "AT={console}{port}"],
        ),
        ("target-env", ["KEY=k", "AT=x{port}", "NAME"], ["KEY=<KEY>", "AT=<AT>", "NAME"]),
        ("target-cmd", "relay --port {port}", "relay --port {port}"),
        ("target-cmd", f"relay --api-key={SECRET} {{port}}", "relay '--api-key=<RELAY_API_KEY>' '{port}'"),
    ],
)
def test_values_are_shown_without_what_may_be_a_secret(option: str, value: Any, shown: Any) -> None:
    assert without_secrets({option: value}, lambda name: f"<{name}>") == {option: shown}


@pytest.mark.parametrize(
    ("option", "value", "secrets"),
    [
        ("target", f"ws://me:{SECRET}@h/ws?token=x", {SECRET, "x"}),
        ("server", "console=http://me:one@h/c,ingress=ws://me:two@h/i", {"one", "two"}),
        ("client", f"node shim.js --at http://me:{SECRET}@h", {SECRET}),
        ("target-header", [f"Authorization: Bearer {SECRET}", "Origin: http://h"], {SECRET}),
        ("target-header", ["X-Id: f3Kd82Lm9Qp4Zx7c"], {"f3Kd82Lm9Qp4Zx7c"}),
        ("target-env", ["API_KEY={api_key}", "PORT={port}", "LOG=debug"], set()),
        ("target-env", [f"API_KEY={SECRET}-{{port}}"], {f"{SECRET}-"}),
        ("lacks", ["keys"], set()),
    ],
)
def test_secrets_are_found_in_values(option: str, value: Any, secrets: set[str]) -> None:
    assert set(filter(None, secrets_in({option: value}, {}))) == secrets


def test_the_api_key_of_the_environment_is_one() -> None:
    assert SECRET in set(secrets_in({}, {"SPATIUS_API_KEY": SECRET, "HOME": "/home"}))
