"""Compares one run with its baseline, and updates the baseline if the user asks for that."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from spatius_sim.engine.baseline_file import read_baseline, update_baseline
from spatius_sim.engine.run_outcomes import NEVER_RUN
from spatius_sim.engine.run_request import RunRequest
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.compare_with_baseline import (
    Baseline,
    BaselineCheck,
    check_outcome,
    compare_with_baseline,
)
from spatius_sim.reporting.summary import RuleOutcome, Summary
from spatius_sim.rules.findings import Verdict

_PARTIAL_RUN_OPTIONS = {"rule": "--rule", "time-budget": "--time-budget"}
"""The options with which a run judges only a part of the rules, or judges them less."""
_PARTIAL_RUN_PROFILE = "smoke"


class RunBaseline:
    """The baseline that a request names. If it names none, nothing is tolerated and there are no complaints.

    Raises UsageError if the baseline is wrong, and if a partial run is asked to update the baseline.
    """

    def __init__(self, request: RunRequest) -> None:
        """Read the baseline, the list of known failures, if the request for the run names one. If the run
        updates the baseline, the file may be missing; otherwise a missing file raises UsageError."""
        self._path = str(request.values.get("baseline", ""))
        self._updating = bool(request.values.get("update-baseline"))
        self._baseline: Baseline | None = None
        if self._updating:
            self._refuse_wrong_update(request)
        if self._path and not (self._updating and not Path(self._path).exists()):
            self._baseline = read_baseline(Path(self._path), request.subject_kind)

    def remark_on(self, outcome: RuleOutcome) -> BaselineCheck:
        """Return what the baseline, the list of known failures, says of the outcome of a rule: why a failure
        is tolerated, or a complaint about an entry that is out of date. Both are "" if there is no baseline
        or no entry. If this run updates the baseline, every failure is tolerated, because the new baseline
        lists it."""
        check = BaselineCheck()
        if self._baseline is not None:
            check = check_outcome(self._baseline, outcome, date.today())
        if self._updating and not check.tolerated:
            return BaselineCheck(tolerated="to be written to the baseline" if outcome.failure else "")
        return check

    def review(self, summaries: Sequence[Summary]) -> list[Summary]:
        """Return the summaries of the run, with the failures that the baseline tolerates, and its
        complaints."""
        return list(map(self._review_summary, summaries))

    def update(self, summary: Summary) -> str:
        """Update the file of known failures with the outcomes of the run, if the user asked for that. Return
        a line that says what was changed, or why nothing was changed; "" if the user did not ask. A run that
        left a rule undecided changes nothing."""
        if not self._updating:
            return ""
        undecided_rules = [
            outcome.rule_id
            for outcome in summary.outcomes
            if outcome.verdict in (Verdict.INCONCLUSIVE, Verdict.ERRORED)
            or outcome.reason.startswith(NEVER_RUN)
        ]
        if undecided_rules:
            return f"{self._path} is left as it is: nothing is known of {', '.join(undecided_rules)}"
        path = Path(self._path)
        try:
            changes = update_baseline(path, summary.outcomes, summary.subject, date.today())
        except OSError as error:
            return f"{self._path} cannot be written: {error.strerror}"
        self._baseline = read_baseline(path, summary.subject)
        return f"{self._path}: {changes}"

    def _refuse_wrong_update(self, request: RunRequest) -> None:
        """Raise UsageError if the baseline cannot be updated by this run: because no baseline is named, or
        because `--rule`, `--time-budget` or `--profile smoke` make it only a part of a whole run."""
        if not self._path:
            raise UsageError("--update-baseline: which one? --baseline FILE says it")
        partial_options = [
            typed_option for name, typed_option in _PARTIAL_RUN_OPTIONS.items() if request.values.get(name)
        ]
        if request.settings.profile == _PARTIAL_RUN_PROFILE:
            partial_options.append(f"--profile {_PARTIAL_RUN_PROFILE}")
        if partial_options:
            raise UsageError(f"--update-baseline needs a whole run: leave out {', '.join(partial_options)}")

    def _review_summary(self, summary: Summary) -> Summary:
        """Return the summary of a run together with what the baseline, the list of known failures, says of
        it: which failures are tolerated, and which entries are out of date (the complaints). Without a
        baseline, return the summary as it is."""
        if self._baseline is None:
            return summary
        remarks = compare_with_baseline(self._baseline, summary.outcomes, date.today())
        return replace(summary, known=remarks.tolerated, complaints=remarks.complaints)
