"""Reports of relays that were really judged, by few rules over few scenarios."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from spatius_sim import __version__
from spatius_sim.engine.run_settings import Settings
from spatius_sim.engine.start_run import Run
from spatius_sim.engine.trial.judge_rules import Trial, cut_down_relay_plans
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.plans.plan import Plan
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.reporting.report import Report, report_of
from spatius_sim.reporting.summary import RuleOutcome, Summary, exit_code
from spatius_sim.rules.catalogue import REVISION
from spatius_sim.tests.running_miniature import SEED, miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop

TARGET = "ws://127.0.0.1:8765/ws/agent"
_EXAMPLES = 6


def report_of_relay(
    brain: type[PlainRelay], rules: Sequence[str], folder: Path, shrink_seconds: float = 1.0
) -> Report:
    """The report of a relay with that brain; the tapes of its failures lie in `folder`."""
    loop, stack = VirtualLoop(), AsyncExitStack()
    try:
        subject = loop.run(stack.enter_async_context(miniature_relay(brain)), 10.0)
        trial = Trial(
            subject, loop, SEED, folder, _EXAMPLES, shrink_seconds, make_longer=Plan.with_ordinary_length
        )
        cut_down_relay_plans(trial)
        return _report(trial, rules)
    finally:
        loop.run(stack.aclose(), 10.0)
        loop.stop()


def report_of_reference_relay(rules: Sequence[str], folder: Path) -> Report:
    """The report of the relay on the published SDK."""
    bench = Run(Settings(seed=SEED, traces=folder, profile="smoke"))
    try:
        return _report(bench.trial_for("relay"), rules)
    finally:
        bench.close()


def _report(trial: Trial[Plan], rules: Sequence[str]) -> Report:
    outcomes = tuple(_told(trial.judge(rule_id, *exercise_of(rule_id))) for rule_id in rules)
    required = frozenset(rules)
    summary = Summary(
        "relay", TARGET, SEED, __version__, REVISION, outcomes, "must", "ci", required, "json-envelope"
    )
    return report_of([summary], exit_code([summary]))


def _told(outcome: RuleOutcome) -> RuleOutcome:
    if outcome.failure is None:
        return outcome
    repeat = f"spatius-sim verify --target={TARGET} --seed={SEED} --rule={outcome.rule_id}"
    return replace(outcome, failure=replace(outcome.failure, repeat=repeat))
