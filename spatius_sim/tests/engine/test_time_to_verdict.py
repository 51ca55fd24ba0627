"""How long a verdict takes, in virtual time: on an idle machine a run takes that and its CPU."""

from pathlib import Path

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.subject_base import Patience
from spatius_sim.tests.suspects import Hearing, Suspect
from spatius_sim.tests.time_to_verdict import RELAYS

pytestmark = pytest.mark.long

SOON = 5.0
PATIENCE = Patience()


@pytest.mark.parametrize(
    ("name", "most", "failed"),
    [
        ("good", 48.5, []),
        ("no end mark", 120.0, ["R-END-AUDIO"]),
        ("silent on failure", 128.0, ["R-ERROR-TOLD"]),
        ("no end mark upstream, gives up after 10 s", 115.0, ["U-AUDIO-END"]),
    ],
)
def test_a_whole_run_waits_no_longer(name: str, most: float, failed: list[str], tmp_path: Path) -> None:
    with Hearing(Suspect("relay", RELAYS[name]), 1, tmp_path) as hearing:
        outcomes = hearing.of_all_rules()
        assert hearing.seconds <= most
    assert [rule_id for rule_id, one in outcomes.items() if one.verdict is Verdict.FAILED] == failed


@pytest.mark.parametrize(
    ("name", "rule_id", "owed_within"),
    [
        ("no end mark", "R-TOKENLESS", PATIENCE.settle),
        ("dead after a turn", "R-TOKENLESS", PATIENCE.settle),
        ("silent on failure", "R-RECOVER", PATIENCE.fallback),
        ("one lost payload", "U-TOKEN", 0.0),
        ("stale motion", "R-STALE", 0.0),
    ],
)
def test_the_first_word_of_a_breach_comes_soon_after_the_relay_has_run_out_of_time(
    name: str, rule_id: str, owed_within: float, tmp_path: Path
) -> None:
    words: list[float] = []
    with Hearing(Suspect("relay", RELAYS[name]), 1, tmp_path) as hearing:
        hearing.on_suspects = lambda: words.append(hearing.seconds)
        hearing.of(rule_id)
    assert words[0] <= owed_within + SOON
