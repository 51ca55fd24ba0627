"""Session tokens: what was issued is read back, whoever issued it; nothing else is a token."""

from base64 import urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.model.server.session_tokens import SessionToken, _sign, issue_token, read_token

TOKEN = SessionToken(1_760_000_000, "app")


@given(expire_at=st.integers(), app_id=st.text(), nonce=st.text())
def test_a_token_says_what_it_was_issued_for(expire_at: int, app_id: str, nonce: str) -> None:
    token = SessionToken(expire_at, app_id)
    assert read_token(issue_token(token, nonce)) == token


def test_the_nonce_makes_a_token_unique() -> None:
    assert issue_token(TOKEN, "one") != issue_token(TOKEN, "two")


def test_the_same_nonce_gives_the_same_token() -> None:
    assert issue_token(TOKEN, "one") == issue_token(TOKEN, "one")


def test_a_token_fits_into_a_header() -> None:
    text = issue_token(SessionToken(1_760_000_000, "ein Ä und\neine Zeile"), "one")
    assert text.isascii()
    assert text.isprintable()
    assert " " not in text


@pytest.mark.parametrize("text", ["", ".", "invented", "invented.signature", "ä.ö", "\ud800", "a.b.c"])
def test_what_was_never_issued_is_no_token(text: str) -> None:
    assert read_token(text) is None


@pytest.mark.parametrize("claims", ["", "[]", "{}", '{"exp": 1e999, "app": ""}', "[" * 100_000, "\xff"])
def test_what_somebody_else_has_signed_is_no_token(claims: str) -> None:
    body = urlsafe_b64encode(claims.encode("latin-1")).decode()
    assert read_token(f"{body}.{_sign(body)}") is None


def test_a_token_with_other_claims_is_no_token() -> None:
    body, signature = issue_token(TOKEN, "one").split(".")
    other, _ = issue_token(SessionToken(TOKEN.expire_at + 1, "app"), "one").split(".")
    assert body != other
    assert read_token(f"{other}.{signature}") is None


@given(st.data())
def test_no_character_of_a_token_can_change(data: st.DataObject) -> None:
    text = issue_token(TOKEN, "one")
    place = data.draw(st.integers(0, len(text) - 1))
    changed = data.draw(st.characters().filter(lambda character: character != text[place]))
    assert read_token(text[:place] + changed + text[place + 1 :]) is None
