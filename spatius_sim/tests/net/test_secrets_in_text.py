"""Known secrets are found however they are written, and never survive."""

from base64 import b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.dialects.json_envelope import JsonEnvelope
from spatius_sim.model.trace import Lane, Received, SecretKnown, SecretSeen, TraceHeader
from spatius_sim.net.recorder import Recorder
from spatius_sim.net.secrets_in_text import KnownSecrets

SECRETS = st.text("abcdefghijXYZ0123456789-_/+=.", min_size=16, max_size=64)


@given(SECRETS, st.binary(max_size=20), st.binary(max_size=20))
def test_base64_is_found_at_every_alignment(secret: str, before: bytes, after: bytes) -> None:
    known = KnownSecrets()
    name = known.reference("key", secret)
    for encode in (b64encode, urlsafe_b64encode):
        clean, found = known.redact(encode(before + secret.encode() + after))
        assert (name, "base64") in found
        assert known.redact(clean)[1] == []


@given(SECRETS)
def test_plain_and_url_encoded_are_found(secret: str) -> None:
    known = KnownSecrets()
    known.reference("key", secret)
    for text in (f"x{secret}y", f"?k={quote(secret, safe='')}"):
        clean, found = known.redact(text.encode())
        assert found
        assert secret.encode() not in clean


@given(st.binary(max_size=200))
def test_nothing_is_found_where_nothing_is(text: bytes) -> None:
    known = KnownSecrets()
    known.reference("key", "an-api-key-that-occurs-nowhere")
    assert known.redact(text) == (text, [])


def test_a_repeated_secret_keeps_its_reference() -> None:
    known = KnownSecrets()
    assert known.reference("token", "first") == known.reference("token", "first") == "token#1"
    assert known.reference("token", "second") == "token#2"
    assert known.lengths() == {"token#1": 5, "token#2": 6}


@pytest.mark.parametrize("text", ["the-key-0123456789", "x" * 10 + "the-key-0123456789"])
def test_a_trace_names_the_secret_and_never_holds_it(text: str) -> None:
    recorder = Recorder(dialect=JsonEnvelope())
    recorder.secret("key", "the-key-0123456789")
    recorder.start(TraceHeader("relay", "json-envelope", 0, "", ""))
    recorder.received(Lane.DOWNSTREAM, "client-1", text)
    trace = recorder.finish()
    assert [type(event.what) for event in trace.events] == [SecretKnown, SecretSeen, Received]
    assert "the-key" not in repr(trace)
