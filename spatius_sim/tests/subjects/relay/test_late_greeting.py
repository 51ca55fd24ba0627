"""A relay that greets later than it is waited for is INCONCLUSIVE, and the reason says why."""

from pathlib import Path

import pytest

from spatius_sim.miniatures.honest_relays import GreetsLate
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.suspects import Hearing, Suspect


class GreetsTooLate(GreetsLate):
    """Greets each client later than the kit waits for by default."""

    greets_after = 12.0


@pytest.mark.parametrize("rule_id", ["R-CONVERSATION", "R-RECOVER"])
def test_a_relay_that_greets_too_late_is_not_accused(rule_id: str, tmp_path: Path) -> None:
    with Hearing(Suspect("relay", GreetsTooLate), 1, tmp_path) as hearing:
        outcome = hearing.of(rule_id)
        assert outcome.verdict is Verdict.INCONCLUSIVE
        assert "greeted only 12.0 s after" in outcome.reason and "--wait" in outcome.reason
        assert hearing.accusations == set()
