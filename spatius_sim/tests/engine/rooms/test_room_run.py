"""A real room is named by its user, and what was seen once in two visits fails nobody."""

import pytest

from spatius_sim.engine.rooms.room_run import LiveKitPlace, confirm, exit_code_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.rules.findings import Broken, Judgement, Verdict
from spatius_sim.rules.room_catalogue import ROOM_RULES


def judgement(rule_id: str, verdict: Verdict) -> Judgement:
    broken = (Broken("50 keyframes", "48", (1,)),) if verdict is Verdict.FAILED else ()
    return Judgement(rule_id, verdict, 1, broken)


def all_but(rule_id: str, verdict: Verdict) -> dict[str, Judgement]:
    return {name: judgement(name, verdict if name == rule_id else Verdict.PASSED) for name in ROOM_RULES}


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (Verdict.FAILED, Verdict.FAILED, Verdict.FAILED),
        (Verdict.FAILED, Verdict.PASSED, Verdict.INCONCLUSIVE),
        (Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE),
        (Verdict.FAILED, Verdict.UNEXERCISED, Verdict.INCONCLUSIVE),
        (Verdict.UNEXERCISED, Verdict.PASSED, Verdict.PASSED),
    ],
)
def test_what_is_seen_once_fails_nobody_and_is_told(first: Verdict, second: Verdict, told: Verdict) -> None:
    both = confirm(all_but("E-COUNT", first), all_but("E-COUNT", second))
    assert both["E-COUNT"].verdict is told
    assert both["E-ORDER"].verdict is Verdict.PASSED
    if told is Verdict.INCONCLUSIVE:
        assert both["E-COUNT"].reason == "seen once in two visits: expected 50 keyframes; found 48"


@pytest.mark.parametrize(
    ("rule_id", "verdict", "code"),
    [
        ("E-COUNT", Verdict.PASSED, ExitCode.PASSED),
        ("E-COUNT", Verdict.FAILED, ExitCode.RULE_FAILED),
        ("E-SYNC", Verdict.FAILED, ExitCode.RULE_FAILED),
        ("E-COUNT", Verdict.INCONCLUSIVE, ExitCode.NOT_EXERCISED),
        ("E-SYNC", Verdict.INCONCLUSIVE, ExitCode.PASSED),
        ("E-LIMIT", Verdict.UNEXERCISED, ExitCode.PASSED),
    ],
)
def test_the_exit_code_says_what_was_found(rule_id: str, verdict: Verdict, code: ExitCode) -> None:
    assert exit_code_of(all_but(rule_id, verdict)) is code


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (("", "key", "secret"), "--livekit-url or LIVEKIT_URL"),
        (("ws://r", "", "secret"), "--livekit-key or LIVEKIT_API_KEY"),
        (("ws://r", "key", ""), "--livekit-secret or LIVEKIT_API_SECRET"),
        (("http://r", "key", "secret"), "begins with ws://"),
    ],
)
def test_a_place_that_cannot_be_is_told(values: tuple[str, str, str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        LiveKitPlace(*values)
