"""Runs one request from its beginning to its ending, for a front that leaves everything to the engine."""

import logging
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from traceback import format_exc
from typing import Protocol

from spatius_sim.engine.compare_with_baseline import RunBaseline
from spatius_sim.engine.decide_ending import Ending, end_run
from spatius_sim.engine.interruption import INTERRUPTION
from spatius_sim.engine.judge_all_rules import LONGEST_COMPLAINT, Judging, RuleResult, errored_result
from spatius_sim.engine.merge_options import RunRequest
from spatius_sim.engine.run_outcomes import BY_A_SIGNAL, RunOutcomes
from spatius_sim.engine.write_reports import occasion_of, report_paths
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.formats.files import make_folders_for
from spatius_sim.reporting.harmless_text import some_lines
from spatius_sim.rules.findings import Verdict

_FRONT = "spatius-sim verify"
"""The front that leaves everything to the engine."""


class RunWatcher(Protocol):
    """Is called as a run goes on, to show the user how far it is. It decides nothing."""

    def run_begins(self, environment: Mapping[str, str], inspector: str) -> None:
        """Called before the first rule. `environment` points a relay at our Motion Server, and `inspector` is
        the URL of the page that shows its sessions; both are empty if it does not listen."""

    def rule_begins(self, rule_id: str, number: int, total: int) -> None:
        """Called before a rule is judged: `number` (from 1) of `total`."""

    def suspects_grow(self, suspects: Mapping[str, str]) -> None:
        """Called while a rule is judged, as soon as a scenario breaks a rule that none has broken before:
        what happened instead, by rule. None of it is confirmed."""

    def rule_ends(self, result: RuleResult) -> None:
        """Called after a rule was judged, or after the kit failed to judge it."""


def judge_run(request: RunRequest, watcher: RunWatcher, *, exit_first: bool = False) -> Ending:
    """Judge every rule of the request on the subject that it names, write the reports, and return the ending.
    With `exit_first`, judge no further rule after the first new failure.

    Raises UsageError for a request that is wrong, before anything is started. Later errors do not raise: the
    ending says that the run was interrupted, that the kit failed, or that a UsageError came.
    """
    paths = report_paths(request.values)
    make_folders_for(paths)
    request.check()
    baseline = RunBaseline(request)
    outcomes = RunOutcomes()
    stop_listening = INTERRUPTION.listen(signal.SIGINT)
    try:
        with _warnings_hidden():
            _judge_rules(request, baseline, outcomes, watcher, exit_first=exit_first)
        return end_run(
            outcomes.summaries(request),
            lambda verdicts: outcomes.stopped_early(),
            baseline,
            paths,
            outcomes.unwritten,
            lambda: occasion_of(outcomes.clock, _FRONT, request.type_options()),
        )
    finally:
        stop_listening()


def _judge_rules(
    request: RunRequest,
    baseline: RunBaseline,
    outcomes: RunOutcomes,
    watcher: RunWatcher,
    *,
    exit_first: bool,
) -> None:
    """Judge rule by rule, and add each result to the outcomes, until all are judged or the run is stopped
    early. Why it was stopped early is written to the outcomes, too."""
    judging = Judging(request, baseline, _FRONT)
    judging.on_suspects = watcher.suspects_grow
    opened = False
    try:
        environment = judging.open()
        opened = True
        watcher.run_begins(environment, judging.run.inspector_url)
        for number, rule in enumerate(request.rules, 1):
            watcher.rule_begins(rule.id, number, len(request.rules))
            try:
                result = judging.judge(rule)
            except UsageError:
                raise
            except Exception as error:
                INTERRUPTION.check()
                hide = judging.run.secrets.redact_text
                traceback = some_lines(hide(format_exc()))  # What the subject said may fill it.
                result = replace(errored_result(rule, hide(repr(error))), complaints=(traceback,))
            for outcome in result.outcomes:
                outcomes.add_outcome(result.subject, outcome, result.target, result.wire)
            watcher.rule_ends(_without_secrets(result, judging))
            failed = any(outcome.verdict is Verdict.FAILED for outcome in result.outcomes)
            if exit_first and failed and result.complaints:  # A baseline tolerates what has none.
                break
    except KeyboardInterrupt:
        outcomes.interruption = BY_A_SIGNAL
    except UsageError as error:
        outcomes.usage_error = str(error)
    except Exception as error:
        outcomes.internal_error = judging.run.secrets.redact_text(repr(error))
    if opened:
        judging.close(outcomes)


def _without_secrets(result: RuleResult, judging: Judging) -> RuleResult:
    """Return the result of judging a rule with complaints that may be shown: cut to a length, and without
    secrets that the subject may have repeated."""
    texts = (judging.run.secrets.redact_text(text) for text in result.complaints)
    return replace(result, complaints=tuple(some_lines(text, LONGEST_COMPLAINT) for text in texts))


@contextmanager
def _warnings_hidden() -> Iterator[None]:
    """While the run goes on, keep the logs of libraries from the terminal, because they may quote what a
    subject said."""
    nowhere = logging.NullHandler()
    logging.getLogger().addHandler(nowhere)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(nowhere)
