"""Logins in headers, settings and URLs."""

from base64 import b64encode

import pytest

from spatius_sim.trace.secrets_in_settings_and_urls import (
    is_plain_setting,
    secrets_in_header,
    secrets_in_setting,
    secrets_in_url,
    text_without_secrets,
    url_without_secrets,
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
    assert is_plain_setting(name, value) is plain


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
        (f"ws://h/ws#token={SECRET}&a", [SECRET], "ws://h/ws#token=...&a"),
        (f"ws://h/ws#{SECRET}", [], "ws://h/ws#..."),
        (f"ws:/me:{SECRET}@h/ws", [], "ws:/...@h/ws"),
        (f"me:{SECRET}@h", [], "...@h"),
        ("me@h", [], "me@h"),
        ("ws://[bad", [], "ws://[bad"),
        (
            "console=http://a:b@h/c?k=v,ingress=ws://c:d@i/e?k=v",
            [],
            "console=http://...@h/c?k=...,ingress=ws://...@i/e?k=...",
        ),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, secrets: list[str], shown: str) -> None:
    assert url_without_secrets(url) == shown
    if not url.startswith("console="):
        assert list(filter(None, secrets_in_url(url))) == secrets


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no wire is named 'a1b2c3d4e5f6g7h8': there are a", "no wire is named '...': there are a"),
        ("x.yaml:3: 'sk-1a2b3c4d5e6f7g8h…' is unknown here", "x.yaml:3: '...' is unknown here"),
        ('no scenario is named "eyJ0b2.e1yJ2x3.s4ig"', 'no scenario is named "..."'),
        ("'run-1a2b3c4d5e6f7g8.tape' is not a tape", "'run-1a2b3c4d5e6f7g8.tape' is not a tape"),
        ("request a1b2c3d4e5f6g7h8 has no end", "request a1b2c3d4e5f6g7h8 has no end"),
        ("no wire is named 'json-envelop': there are a", "no wire is named 'json-envelop': there are a"),
    ],
)
def test_an_error_quotes_no_key_that_stands_in_place_of_a_name(said: str, shown: str) -> None:
    assert text_without_secrets(said) == shown


def test_an_error_quotes_no_login() -> None:
    said = f"Got unexpected extra argument (ws://me:{SECRET}@h/?x={SECRET}), '{SECRET}:{SECRET}@h' (a@b?)"
    assert text_without_secrets(said) == "Got unexpected extra argument (ws://...@h/?x=...), '...@h' (a@b?)"
