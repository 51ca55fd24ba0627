"""Baselines: what is tolerated, what is complained about, and how a run ends."""

import re
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.reporting.claim_of_summary import describe_claim
from spatius_sim.reporting.compare_with_baseline import (
    Baseline,
    BaselineComparison,
    KnownFailure,
    compare_with_baseline,
)
from spatius_sim.reporting.summary import ExitCode, Failure, RuleOutcome, Summary, exit_code
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.net.work import times_the_work

TODAY = date(2026, 11, 21)
ORDER = "R-MOTION-ORDER"
KNOWN = KnownFailure(
    ORDER,
    "the second worker overtakes the first",
    ("c1 got the payload sent as event 41 behind the one sent as event 40",),
    "https://issues.invalid/7",
    date(2026, 11, 21),
    line=3,
    last_line=7,
    fails_with_line=5,
    expires_line=7,
)
FLAKY = KnownFailure(
    ORDER, "now and then", ("it came * times",), flaky=True, line=3, last_line=5, fails_with_line=5
)
AS_KNOWN = "c2 got the payload sent as event 9 behind the one sent as event 7"


def outcome(verdict: Verdict, actual: str = "", rule_id: str = ORDER) -> RuleOutcome:
    failure = Failure("in order", actual, "one turn", "a.tape", confirmed=True) if actual else None
    return RuleOutcome(rule_id, verdict, 1, 1, failure=failure)


def reviewed(known: KnownFailure, *outcomes: RuleOutcome, today: date = TODAY) -> BaselineComparison:
    return compare_with_baseline(Baseline("known.yaml", {known.rule_id: known}), outcomes, today)


@pytest.mark.parametrize(
    ("known", "seen", "today", "tolerated", "complaint"),
    [
        (KNOWN, outcome(Verdict.FAILED, AS_KNOWN), TODAY, True, ""),
        (
            KNOWN,
            outcome(Verdict.PASSED),
            TODAY,
            False,
            "known.yaml:3: R-MOTION-ORDER passes now: delete lines 3",
        ),
        (
            KNOWN,
            outcome(Verdict.FAILED, "nothing"),
            TODAY,
            False,
            "known.yaml:5: R-MOTION-ORDER fails otherwise",
        ),
        (
            KNOWN,
            outcome(Verdict.FAILED, AS_KNOWN),
            date(2026, 11, 22),
            False,
            "known.yaml:7: R-MOTION-ORDER expired",
        ),
        (KNOWN, outcome(Verdict.PASSED), date(2027, 1, 1), False, "known.yaml:7: R-MOTION-ORDER expired"),
        (
            KNOWN,
            outcome(Verdict.UNEXERCISED),
            date(2027, 1, 1),
            False,
            "known.yaml:7: R-MOTION-ORDER expired",
        ),
        (KNOWN, outcome(Verdict.UNEXERCISED), TODAY, False, ""),
        (KNOWN, outcome(Verdict.NOT_APPLICABLE), TODAY, False, ""),
        (KNOWN, outcome(Verdict.INCONCLUSIVE), TODAY, False, ""),
        (KNOWN, outcome(Verdict.FAILED, AS_KNOWN, "R-TURNS"), TODAY, False, ""),
        (FLAKY, outcome(Verdict.PASSED), TODAY, False, ""),
        (FLAKY, outcome(Verdict.FAILED, "it came 3 times"), TODAY, True, ""),
        (
            FLAKY,
            outcome(Verdict.FAILED, "it never came"),
            TODAY,
            False,
            "known.yaml:5: R-MOTION-ORDER fails other",
        ),
    ],
)
def test_what_a_baseline_says(
    known: KnownFailure, seen: RuleOutcome, today: date, tolerated: bool, complaint: str
) -> None:
    said = reviewed(known, seen, today=today)
    assert bool(said.tolerated) is tolerated
    assert len(said.complaints) == bool(complaint)
    assert all(told.startswith(complaint) for told in said.complaints)


def summary(known: KnownFailure, *outcomes: RuleOutcome) -> Summary:
    said = reviewed(known, *outcomes)
    required = frozenset(one.rule_id for one in outcomes)
    return Summary(
        "relay",
        "ws://r",
        1,
        "0",
        1,
        outcomes,
        required=required,
        known=said.tolerated,
        complaints=said.complaints,
    )


PASSED = outcome(Verdict.PASSED, rule_id="U-TOKEN")
BEHIND = RuleOutcome("R-TURNS", Verdict.UNEXERCISED, blocked_by=(ORDER,))


@pytest.mark.parametrize(
    ("outcomes", "code", "told"),
    [
        ([outcome(Verdict.FAILED, AS_KNOWN), PASSED], ExitCode.PASSED, "kept; known to fail: R-MOTION-ORDER"),
        (
            [outcome(Verdict.FAILED, AS_KNOWN)],
            ExitCode.PASSED,
            "nothing failed but what is known: R-MOTION-ORDER",
        ),
        (
            [outcome(Verdict.FAILED, "x"), PASSED],
            ExitCode.RULE_FAILED,
            "R-MOTION-ORDER; the baseline is out of date",
        ),
        ([outcome(Verdict.PASSED), PASSED], ExitCode.RULE_FAILED, "FAILED: the baseline is out of date (1)"),
        (
            [outcome(Verdict.FAILED, AS_KNOWN), PASSED, outcome(Verdict.FAILED, "x", "R-TURNS")],
            ExitCode.RULE_FAILED,
            "FAILED: R-TURNS. 1 of 3",
        ),
        (
            [outcome(Verdict.FAILED, AS_KNOWN), PASSED, BEHIND],
            ExitCode.PASSED,
            "not judged because of them: R-TURNS",
        ),
        ([outcome(Verdict.INCONCLUSIVE), PASSED, BEHIND], ExitCode.UNREACHABLE, "INCONCLUSIVE"),
        (
            [outcome(Verdict.FAILED, AS_KNOWN), PASSED, RuleOutcome("R-TURNS", Verdict.UNEXERCISED)],
            ExitCode.NOT_EXERCISED,
            "R-TURNS",
        ),
    ],
)
def test_how_a_run_with_a_baseline_ends(outcomes: list[RuleOutcome], code: ExitCode, told: str) -> None:
    judged = summary(KNOWN, *outcomes)
    assert exit_code([judged]) is code
    assert told in describe_claim(judged)


@given(st.lists(st.text("ab", max_size=3), min_size=1, max_size=5), st.text("ab", max_size=12))
def test_a_pattern_matches_what_its_regular_expression_would(parts: list[str], actual: str) -> None:
    known = KnownFailure("R-TURNS", "x", ("*".join(parts),))
    expected = re.fullmatch(".*".join(map(re.escape, parts)), actual)
    assert known.covers(actual) is (expected is not None)


def test_a_pattern_of_many_stars_costs_no_more_than_its_text() -> None:
    def work(length: int) -> Callable[[], object]:
        known = KnownFailure("R-TURNS", "x", ("*a" * 50 + "*b",))
        return lambda: known.covers("a" * length)

    assert times_the_work(work, 20_000) < 24
