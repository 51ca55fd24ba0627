"""On a tape presumptions follow causes over all its runs, in whatever order these stand."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.engine.tapes.run_tape_header import suite_header
from spatius_sim.miniatures.client.wrong_at_edges import ForgetsLateMotion
from spatius_sim.miniatures.client.wrong_clients import ComparesReqId
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import GiveAudio, Move, PlannedPayload, Wait
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.tests.rules.client.client_traces import motion, played
from spatius_sim.trace.events import Trace

LATE = (
    *(GiveAudio(4000), Wait(1500), Move((PlannedPayload(26), PlannedPayload(74)))),
    *(Wait(300), Wait(600), Wait(300)),
)
PLAIN = (GiveAudio(4000, True), motion(100), Wait(300), Wait(300), Wait(4000), Wait(300), Wait(300))


def run(brain: type[ClientDecoder], *steps: GiveAudio | Wait | Move) -> Trace:
    return played(*steps, client=own_client_factory(brain))


def checked(runs: Sequence[Trace], folder: Path) -> dict[str, RuleOutcome]:
    tape = folder / "runs.tape"
    write_traces(tape, suite_header(1), list(runs))
    (summary,) = check_tape(tape)
    return {outcome.rule_id: outcome for outcome in summary.outcomes}


@pytest.mark.parametrize("order", [1, -1])
def test_what_follows_from_a_rule_that_another_run_broke_is_blocked_by_it(order: int, tmp_path: Path) -> None:
    runs = [run(ForgetsLateMotion, *LATE), run(ComparesReqId, *PLAIN), run(ClientDecoder, *PLAIN)]
    outcomes = checked(runs[::order], tmp_path)
    assert [name for name, one in outcomes.items() if one.verdict is Verdict.FAILED] == ["C-MATCH"]
    assert (outcomes["C-SYNC"].verdict, outcomes["C-SYNC"].blocked_by) == (
        Verdict.UNEXERCISED,
        ("C-MATCH",),
    )
    assert "not judged where C-MATCH failed: keyframe" in outcomes["C-SYNC"].reason


@pytest.mark.parametrize("order", [1, -1])
def test_what_a_failed_rule_hides_in_one_run_has_not_passed_in_another(order: int, tmp_path: Path) -> None:
    runs = [run(ClientDecoder, *PLAIN), run(ComparesReqId, *PLAIN)]
    outcomes = checked(runs[::order], tmp_path)
    assert outcomes["C-SYNC"].verdict is Verdict.UNEXERCISED
    assert outcomes["C-SYNC"].blocked_by == ("C-MATCH",)


def test_a_breach_that_may_follow_from_a_rule_that_was_kept_is_a_failure(tmp_path: Path) -> None:
    outcomes = checked([run(ForgetsLateMotion, *LATE), run(ClientDecoder, *PLAIN)], tmp_path)
    assert [name for name, one in outcomes.items() if one.verdict is Verdict.FAILED] == ["C-SYNC"]
