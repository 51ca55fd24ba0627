"""What must stay on the backend: the API key and session tokens; nor may a client be asked for them."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.rules.traces import Dialogue, voice
from spatius_sim.trace.events import Lane, Opened

RULE = "R-SECRETS"


def greeted(*kinds: str, length: int = 32) -> Dialogue:
    said = Dialogue()
    for kind in kinds:
        said.secret_known(kind, length)
    said.ready("ann")
    return said


def test_a_clean_greeting() -> None:
    assert greeted("key#1", "token#1").verdict(RULE) is Verdict.PASSED


@pytest.mark.parametrize("kind", ["key#1", "token#1"])
@pytest.mark.parametrize("place", ["in a message, base64", "in a header, plain", "in a message, hex"])
def test_a_secret_that_comes_down(kind: str, place: str) -> None:
    said = greeted("key#1", "token#1")
    seen = said.secret_seen("ann", kind, place)
    assert said.guilty(RULE) == [(seen,)]
    assert said.failed == [RULE]
    assert said.judged(RULE).broken[0].actual == f"ann was sent {kind}, {place}"


def test_every_secret_is_an_accusation_of_its_own() -> None:
    said = greeted("key#1", "token#1")
    seen = [said.secret_seen("ann", "key#1"), said.secret_seen("bob", "token#1")]
    assert said.guilty(RULE) == [(seq,) for seq in seen]


def test_a_short_key_may_stand_there_by_chance() -> None:
    said = greeted("key#1", length=15)
    said.secret_seen("ann", "key#1")
    assert said.verdict(RULE) is Verdict.UNEXERCISED


def test_a_key_of_16_characters_is_long_enough() -> None:
    said = greeted("key#1", length=16)
    said.secret_seen("ann", "key#1")
    assert said.verdict(RULE) is Verdict.FAILED


def test_a_short_key_beside_a_long_one_is_passed_over() -> None:
    said = greeted("key#1")
    said.secret_known("key#2", 8)
    said.secret_seen("ann", "key#2")
    assert said.verdict(RULE) is Verdict.PASSED


def test_without_a_key_there_is_nothing_to_look_for() -> None:
    assert greeted("token#1").verdict(RULE) is Verdict.UNEXERCISED


def test_a_client_that_heard_nothing_was_told_no_secret() -> None:
    said = Dialogue()
    said.secret_known("key#1")
    assert said.verdict(RULE) is Verdict.UNEXERCISED


# R-TOKENLESS.


def connects(said: Dialogue, client: str, token: str = "") -> None:
    said.happens(Lane.DOWNSTREAM, client, Opened(token))


def test_a_client_without_credentials_is_served() -> None:
    said = Dialogue()
    connects(said, "ann")
    said.turn()
    assert said.verdict("R-TOKENLESS") is Verdict.PASSED


@pytest.mark.parametrize("served", [True, False])
def test_only_a_client_with_credentials_is_served(served: bool) -> None:
    said = Dialogue()
    connects(said, "ann")
    connects(said, "bob", "token#1")
    said.starts("ann", 0, voice("ann 0"))
    said.ends("ann", 0, complete=False)
    if served:
        said.turn("bob")
    assert said.verdict("R-TOKENLESS") is (Verdict.FAILED if served else Verdict.UNEXERCISED)


def test_where_both_are_served_nobody_needs_any() -> None:
    said = Dialogue()
    connects(said, "ann")
    connects(said, "bob", "token#1")
    said.turn("ann")
    said.turn("bob")
    assert said.verdict("R-TOKENLESS") is Verdict.PASSED
