"""Known secrets are found however they are written, and never survive."""

import json
import tracemalloc
from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.tests.canaries import forms
from spatius_sim.trace.events import Closed, Provocation, Provoked, Refused, TokenRequested
from spatius_sim.trace.known_secrets import KnownSecrets, redact_text_fields

SECRETS = st.text("abcdefghijXYZ0123456789-_/+=.", min_size=16, max_size=64)


@given(SECRETS, st.binary(max_size=20), st.binary(max_size=20))
def test_base64_is_found_at_every_alignment(secret: str, before: bytes, after: bytes) -> None:
    known = KnownSecrets()
    name = known.reference_for("key", secret)
    for encode in (b64encode, urlsafe_b64encode):
        clean, found = known.redact(encode(before + secret.encode() + after))
        assert (name, "base64") in found
        assert known.redact(clean)[1] == []


@given(SECRETS)
def test_plain_and_url_encoded_are_found(secret: str) -> None:
    known = KnownSecrets()
    known.reference_for("key", secret)
    for text in (f"x{secret}y", f"?k={quote(secret, safe='')}"):
        clean, found = known.redact(text.encode())
        assert found
        assert secret.encode() not in clean


@given(st.binary(max_size=200))
def test_nothing_is_found_where_nothing_is(text: bytes) -> None:
    known = KnownSecrets()
    known.reference_for("key", "an-api-key-that-occurs-nowhere")
    assert known.redact(text) == (text, [])


def test_a_repeated_secret_keeps_its_reference() -> None:
    known = KnownSecrets()
    assert known.reference_for("token", "first") == known.reference_for("token", "first") == "token#1"
    assert known.reference_for("token", "second") == "token#2"
    assert known.lengths() == {"token#1": 5, "token#2": 6}


FORMS = {
    "plain": "plain",
    "URL": "URL-encoded",
    "URL, small letters": "URL-encoded",
    "URL, every character": "URL-encoded",
    "hex": "hex",
    "HEX": "hex",
    "upper case": "upper case",
    "lower case": "plain",
    "JSON": "escaped",
    "JSON, every character": "escaped",
    "JSON, capitals": "escaped",
}
AWKWARD = 'a "secret"/of\\ \u00e9\U0001f600 +&= 12'


@pytest.mark.parametrize("form", forms(AWKWARD))
@pytest.mark.parametrize("twice", [False, True])
def test_every_form_is_found_and_named(form: str, twice: bool) -> None:
    known = KnownSecrets()
    known.reference_for("key", AWKWARD)
    text = f"before {forms(AWKWARD)[form]} after"
    text = json.dumps(text)[1:-1].replace("/", "\\/") if twice else text
    clean, found = known.redact(text.encode())
    assert len(clean) == len(text.encode())
    assert clean.startswith(b"before ") and clean.endswith(b" after")
    told = {how for _, how in found}
    assert told == {FORMS.get(form, "base64")} or (twice and told == {"escaped"})
    if not form.startswith("base64"):
        assert set(clean.decode().removeprefix("before ").removesuffix(" after")) == {"*"}


@pytest.mark.parametrize(
    "written",
    [
        "caf\\u00e9 \\ud83d\\ude00 noir",
        "caf\\xc3\\xa9 \\xf0\\x9f\\x98\\x80 noir",
        "caf%C3%A9+%F0%9F%98%80+noir",
    ],
)
def test_characters_of_several_bytes(written: str) -> None:
    known = KnownSecrets()
    known.hide("caf\u00e9 \U0001f600 noir")
    assert known.redact_text(f"({written})") == f"({'*' * len(written)})"
    assert known.redact_text("caf\\u00e8 %zz \\ud83d") == "caf\\u00e8 %zz \\ud83d"


def test_a_hidden_secret_has_no_reference_until_it_is_given_one() -> None:
    known = KnownSecrets()
    known.hide("a-login-0123")
    assert known.redact(b"<a-login-0123>") == (b"<************>", [])
    assert (known.known_reference("a-login-0123"), known.lengths()) == ("", {})
    assert known.reference_for("key", "a-login-0123") == "key#1"
    known.hide("a-login-0123")
    assert known.redact(b"<a-login-0123>") == (b"<************>", [("key#1", "plain")])
    assert known.lengths() == {"key#1": 12}


def test_what_is_short_or_nothing_is_looked_for_nowhere() -> None:
    known = KnownSecrets()
    for short in ("", "seven77"):
        known.hide(short)
    assert (known.reference_for("key", ""), known.reference_for("key", "short")) == ("", "key#1")
    assert known.redact_text("seven77 short") == "seven77 short"
    assert known.redact_text("") == ""


def test_the_eldest_are_forgotten_and_those_that_are_held_are_not() -> None:
    known = KnownSecrets(max_secrets=2)
    known.hide("the-secret-of-a-call", "call")
    for number in range(5):
        known.reference_for("token", f"session-token-{number}")
    text = "the-secret-of-a-call session-token-2 session-token-3 session-token-4"
    assert known.redact_text(text) == "*" * 20 + " session-token-2 " + "*" * 15 + " " + "*" * 15
    known.reference_for("token", "session-token-3")
    known.release_holder("call")
    assert known.redact_text(text) == "the-secret-of-a-call session-token-2 " + "*" * 15 + " " + "*" * 15
    assert known.reference_for("token", "session-token-5") == "token#6"
    assert known.redact_text("session-token-3 session-token-4") == "*" * 15 + " session-token-4"
    assert sum(map(len, known._encodings_by_start.values())) <= 2 * 12


@pytest.mark.parametrize("length", [8, 15, 16, 23, 40])
@pytest.mark.parametrize("before", range(10))
def test_a_secret_is_found_wherever_it_begins_and_beside_its_end(length: int, before: int) -> None:
    known = KnownSecrets()
    for number in range(40):
        known.hide(f"another-secret-that-is-not-there-{number}")
    secret = "0a1b2c3d4e5f6g7h8i9j" * 2
    known.hide(secret[:length])
    for after in range(9):
        frame = b"." * before + secret[:length].encode() + b"." * after
        assert known.redact(frame)[0] == b"." * before + b"*" * length + b"." * after


def test_a_short_secret_is_forgotten_too() -> None:
    known = KnownSecrets(max_secrets=1)
    known.hide("short-one")
    known.hide("a-secret-that-is-long-enough")
    assert known.redact_text("short-one a-secret-that-is-long-enough") == "short-one " + "*" * 28
    assert not known._short_starts & {b"short-one"}


@pytest.mark.parametrize(
    "frame", [b"the-secret." * 1001, b"%41" * 100_001, b"%2541" * 100_001 + b"the-secret"]
)
def test_a_frame_that_takes_too_long_to_search_is_hidden_whole(frame: bytes) -> None:
    known = KnownSecrets()
    assert known.redact(frame) == (frame, [])
    reference = known.reference_for("token", "the-secret")
    clean, sightings = known.redact(frame)
    assert clean == b"*" * len(frame)
    assert sightings == ([(reference, "plain")] if b"the-secret" in frame else [])


def test_the_texts_of_an_event_are_searched() -> None:
    known = KnownSecrets()
    secret = "a-secret-of-some-length"
    known.hide(secret)
    refused = Refused(403, f"no {secret}", "token#1", secret)
    stars = "*" * len(secret)
    assert redact_text_fields(refused, known) == Refused(403, f"no {stars}", "token#1", stars)
    for clean in (
        Closed(True, 1000, "bye"),
        TokenRequested("key#1", None, 1.0, 200),
        Provoked(Provocation.TEXT),
    ):
        assert redact_text_fields(clean, known) is clean


@pytest.mark.parametrize("frame", [b"a" * 15 * 2**20, b"%41" * 2**21, b"the-secret" * 2**20])
def test_no_frame_costs_much_memory(frame: bytes) -> None:
    known = KnownSecrets()
    for secret in ("aaaaaaaa", "the-secret"):
        known.reference_for("token", secret)
    tracemalloc.start()
    assert known.redact(frame)[0] == b"*" * len(frame)
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20
    tracemalloc.stop()
