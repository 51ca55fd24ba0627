"""A Motion Server that never answers as it should is judged soon, and by the right name."""

from pathlib import Path

import pytest

from spatius_sim.miniatures.server.plain_server import PlainServer
from spatius_sim.miniatures.server.wrong_servers import AnswersTheFirstRequest, NeverEndsMotion
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.suspects import Hearing, Suspect

MAX_SECONDS = 180.0


@pytest.mark.parametrize(
    ("kind", "cause"), [(NeverEndsMotion, "S-MOTION-END"), (AnswersTheFirstRequest, "S-MOTION-IDS")]
)
def test_it_is_named_alone_within_three_minutes(kind: type[PlainServer], cause: str, tmp_path: Path) -> None:
    with Hearing(Suspect("server", kind), 1, tmp_path) as hearing:
        outcomes = hearing.of_all_rules()
        seconds = hearing.seconds
    assert [name for name, o in outcomes.items() if o.verdict is Verdict.FAILED] == [cause]
    assert seconds <= MAX_SECONDS
