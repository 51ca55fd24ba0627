"""What the plugin does with a baseline. Nothing heavy is imported before one is named."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spatius_sim.protocol.errors import UsageError

if TYPE_CHECKING:
    from spatius_sim.reporting.baseline import Baseline, BaselineCheck
    from spatius_sim.reporting.summary import RuleOutcome, Summary

_PARTIAL = {"spatius_rule": "--rule", "spatius_time_budget": "--time-budget"}
_NO_WHOLE_PROFILE = "smoke"

_READ: "pytest.StashKey[Baseline]" = pytest.StashKey()

NEVER_RUN = "it was never run"
"""Why a rule is UNEXERCISED whose item did not run."""


def check_baseline(config: pytest.Config, subject: str) -> None:
    """Raises UsageError for a baseline that is wrong, and for a partial run that is to update one."""
    if _updating(config):
        if not config.getoption("spatius_baseline"):
            raise UsageError("--update-baseline: which one? --baseline FILE says it")
        partial = [option for field, option in _PARTIAL.items() if config.getoption(field)]
        if config.getoption("spatius_profile") == _NO_WHOLE_PROFILE:
            partial.append(f"--profile {_NO_WHOLE_PROFILE}")
        if partial:
            raise UsageError(f"--update-baseline needs a whole run: leave out {', '.join(partial)}")
    _baseline(config, [subject])


def remark_on(config: pytest.Config, outcome: "RuleOutcome") -> "BaselineCheck":
    """What the baseline says of an outcome; where it is brought up to date, that what it does not say yet."""
    from spatius_sim.reporting.baseline import BaselineCheck, remark

    baseline = _baseline(config)
    said = BaselineCheck() if baseline is None else remark(baseline, outcome, date.today())
    if _updating(config) and not said.tolerated:
        return BaselineCheck(tolerated="to be written to the baseline" if outcome.failure else "")
    return said


def with_baseline(config: pytest.Config, summaries: "Sequence[Summary]") -> "list[Summary]":
    """The summaries with what the baseline says of them."""
    from spatius_sim.reporting.baseline import review

    baseline = _baseline(config)
    reviewed = []
    for summary in summaries:
        if baseline is not None:
            said = review(baseline, summary.outcomes, date.today())
            summary = replace(summary, known=said.tolerated, complaints=said.complaints)
        reviewed.append(summary)
    return reviewed


def update(config: pytest.Config, summaries: "Sequence[Summary]") -> str:
    """Bring the baseline up to date where that is asked for, and say what was done: not with a run that left
    something open."""
    if not _updating(config):
        return ""
    path = str(config.getoption("spatius_baseline"))
    from spatius_sim.engine.baseline_file import update_baseline
    from spatius_sim.rules.findings import Verdict

    summary = summaries[0]  # Of the subject that was named; what else was judged has no baseline.
    unknown = [
        outcome.rule_id
        for outcome in summary.outcomes
        if outcome.verdict in (Verdict.INCONCLUSIVE, Verdict.ERRORED) or outcome.reason == NEVER_RUN
    ]
    if unknown:
        return f"{path} is left as it is: nothing is known of {', '.join(unknown)}"
    try:
        done = update_baseline(Path(path), summary.outcomes, summary.subject, date.today())
    except OSError as error:
        return f"{path} cannot be written: {error.strerror}"
    if _READ in config.stash:
        del config.stash[_READ]
    _baseline(config, [summary.subject])
    return f"{path}: {done}"


def _baseline(config: pytest.Config, subjects: "Iterable[str]" = ()) -> "Baseline | None":
    """The baseline that is named, read once, as one for `subjects`; one that is yet to be made is none."""
    if _READ not in config.stash:
        named = config.getoption("spatius_baseline")
        if not named or (_updating(config) and not Path(named).exists()):
            return None
        from spatius_sim.engine.baseline_file import read_baseline

        config.stash[_READ] = read_baseline(Path(named), *subjects)
    return config.stash[_READ]


def _updating(config: pytest.Config) -> bool:
    return bool(config.getoption("spatius_update_baseline"))
