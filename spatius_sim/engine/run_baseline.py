"""The baseline of one run: what it tolerates, what it complains of, and how the run updates it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from spatius_sim.engine.baseline_file import read_baseline, update_baseline
from spatius_sim.engine.run_outcomes import NEVER_RUN
from spatius_sim.engine.run_request import RunRequest
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.baseline import Baseline, BaselineCheck, check_outcome, review
from spatius_sim.reporting.summary import RuleOutcome, Summary
from spatius_sim.rules.findings import Verdict

_PARTIAL = {"rule": "--rule", "time-budget": "--time-budget"}
_NO_WHOLE_PROFILE = "smoke"


class RunBaseline:
    """The baseline that a request names. Nothing is tolerated, and nothing complained of, if it names none.

    Raises UsageError for a baseline that is wrong, and for a partial run that is to update one.
    """

    def __init__(self, request: RunRequest) -> None:
        self._path = str(request.values.get("baseline", ""))
        self._updating = bool(request.values.get("update-baseline"))
        self._baseline: Baseline | None = None
        if self._updating:
            self._check_update(request)
        if self._path and not (self._updating and not Path(self._path).exists()):
            self._baseline = read_baseline(Path(self._path), request.kind)

    def remark_on(self, outcome: RuleOutcome) -> BaselineCheck:
        """What the baseline says of an outcome. While it is updated, this is what it will say."""
        found = BaselineCheck()
        if self._baseline is not None:
            found = check_outcome(self._baseline, outcome, date.today())
        if self._updating and not found.tolerated:
            return BaselineCheck(tolerated="to be written to the baseline" if outcome.failure else "")
        return found

    def review(self, summaries: Sequence[Summary]) -> list[Summary]:
        """The summaries, with what the baseline says of them."""
        return list(map(self._review_summary, summaries))

    def update(self, summary: Summary) -> str:
        """Bring the baseline up to date, if that is asked for, and say in a line what was done. A run that
        left something open changes nothing."""
        if not self._updating:
            return ""
        unknown = [
            outcome.rule_id
            for outcome in summary.outcomes
            if outcome.verdict in (Verdict.INCONCLUSIVE, Verdict.ERRORED) or outcome.reason == NEVER_RUN
        ]
        if unknown:
            return f"{self._path} is left as it is: nothing is known of {', '.join(unknown)}"
        path = Path(self._path)
        try:
            done = update_baseline(path, summary.outcomes, summary.subject, date.today())
        except OSError as error:
            return f"{self._path} cannot be written: {error.strerror}"
        self._baseline = read_baseline(path, summary.subject)
        return f"{self._path}: {done}"

    def _check_update(self, request: RunRequest) -> None:
        """Raise UsageError if the baseline cannot be updated by this run, which may be only part of one."""
        if not self._path:
            raise UsageError("--update-baseline: which one? --baseline FILE says it")
        partial = [option for name, option in _PARTIAL.items() if request.values.get(name)]
        if request.settings.profile == _NO_WHOLE_PROFILE:
            partial.append(f"--profile {_NO_WHOLE_PROFILE}")
        if partial:
            raise UsageError(f"--update-baseline needs a whole run: leave out {', '.join(partial)}")

    def _review_summary(self, summary: Summary) -> Summary:
        if self._baseline is None:
            return summary
        found = review(self._baseline, summary.outcomes, date.today())
        return replace(summary, known=found.tolerated, complaints=found.complaints)
