"""Logins in headers, settings and URLs."""

from base64 import b64encode

import pytest

from spatius_sim.trace.find_logins import (
    is_plain,
    secrets_in_header,
    secrets_in_setting,
    secrets_in_url,
    shown_url,
)

SECRET = "a-secret-of-some-length"
DRAWN = "f3Kd82Lm9Qp4Zx7c"


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("Authorization", f"Bearer {SECRET}", [SECRET]),
        ("authorization", SECRET, [SECRET]),
        ("Authorization", "Basic !", ["!"]),
        ("X-Api-Key", f" {SECRET}", [SECRET]),
        ("X-Session-Key", SECRET, [SECRET]),
        ("Cookie", f"colour=blue; sid={SECRET}; a={DRAWN}; XSRF-TOKEN=x", [SECRET, DRAWN, "x"]),
        ("Sec-WebSocket-Key", DRAWN, []),
        ("X-App-ID", DRAWN, []),
    ],
)
def test_the_logins_in_a_header(name: str, value: str, secrets: list[str]) -> None:
    assert list(secrets_in_header(name, value)) == secrets


def test_the_password_of_a_basic_login_is_a_secret_too() -> None:
    login = b64encode(f"me:{SECRET}".encode()).decode()
    assert list(secrets_in_header("Proxy-Authorization", f"Basic {login}")) == [login, f"me:{SECRET}", SECRET]


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("OPENAI_API_KEY", SECRET, [SECRET]),
        ("REF", DRAWN, [DRAWN]),
        ("DATABASE_URL", f"postgres://me:{SECRET}@h/db", [SECRET]),
        ("MODEL", "gpt-4o-realtime-preview", []),
        ("FOLDER", "/usr/lib/python3.11/site-packages", []),
        ("PORT", "{port}", []),
    ],
)
def test_the_secrets_in_a_setting(name: str, value: str, secrets: list[str]) -> None:
    assert list(filter(None, secrets_in_setting(name, value))) == secrets


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("voice", "soft-spoken", True),
        ("speed", "0.75", True),
        ("voice", "", True),
        ("password", "short", False),
        ("header", "Bearer abc", False),
        ("model", '{"api_key": "abc"}', False),
        ("url", "https://u:pw@h", False),
        ("ref", DRAWN, False),
        ("ref", "a" * 33, False),
    ],
)
def test_one_short_word_is_plain(name: str, value: str, plain: bool) -> None:
    assert is_plain(name, value) is plain


@pytest.mark.parametrize(
    ("url", "secrets", "shown"),
    [
        ("ws://h:1/ws", [], "ws://h:1/ws"),
        ("ws://127.0.0.1:{port}/ws", [], "ws://127.0.0.1:{port}/ws"),
        (f"ws://me:{SECRET}@h/ws", [SECRET], "ws://...@h/ws"),
        (f"ws://{SECRET}@h/ws", [SECRET], "ws://...@h/ws"),
        ("ws://me:p%40ss@w@h/ws", ["p@ss@w"], "ws://...@h/ws"),
        (f"ws://h/ws?room=demo&token={SECRET}", [SECRET], "ws://h/ws?room=...&token=..."),
        (f"ws://h/ws?t={DRAWN}&u=", [DRAWN], "ws://h/ws?t=...&u="),
        (f"ws://h/ws?{SECRET}", [], "ws://h/ws?..."),
        ("ws://[bad", [], "ws://[bad"),
        (
            "console=http://a:b@h/c?k=v,ingress=ws://c:d@i/e?k=v",
            [],
            "console=http://...@h/c?k=...,ingress=ws://...@i/e?k=...",
        ),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, secrets: list[str], shown: str) -> None:
    assert shown_url(url) == shown
    if not url.startswith("console="):
        assert list(filter(None, secrets_in_url(url))) == secrets
