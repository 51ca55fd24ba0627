"""A relay that greets later than it is waited for is INCONCLUSIVE, and the reason says why."""

from pathlib import Path

import pytest

from spatius_sim.miniatures.relay.honest_relays import GreetsLate
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.relay import PlainRelay, RelayTurn
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.suspects import Hearing, Suspect


class GreetsAgain(PlainRelay):
    """Greets its client again after each failure."""

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return [*super().tell_failure(turn, why), *self.greet(turn.client_id)]


def test_a_relay_that_greets_again_after_a_failure_is_alive(tmp_path: Path) -> None:
    with Hearing(Suspect("relay", GreetsAgain), 1, tmp_path) as hearing:
        assert hearing.of("R-RECOVER").verdict is Verdict.PASSED
        assert hearing.of("R-ALIVE").verdict is Verdict.PASSED
        assert hearing.accusations == set()


class GreetsTooLate(GreetsLate):
    """Greets each client later than the kit waits for by default."""

    greets_after = 12.0


@pytest.mark.parametrize(
    ("rule_id", "reasons"),
    [
        ("R-CONVERSATION", ("greeted only 12.0 s after", "--wait")),
        # A short scenario ends before the greeting comes: then the relay's own words are the reason.
        ("R-RECOVER", ("it said: not ready yet",)),
    ],
)
def test_a_relay_that_greets_too_late_is_not_accused(
    rule_id: str, reasons: tuple[str, ...], tmp_path: Path
) -> None:
    with Hearing(Suspect("relay", GreetsTooLate), 1, tmp_path) as hearing:
        outcome = hearing.of(rule_id)
        assert outcome.verdict is Verdict.INCONCLUSIVE
        assert all(reason in outcome.reason for reason in reasons)
        assert hearing.accusations == set()
