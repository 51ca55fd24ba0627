"""Judges the rules of one run: one at a time for pytest, or all of them, from the request for the run to its
ending, for `spatius-sim verify`."""

import logging
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from traceback import format_exc
from typing import Any, Protocol

from spatius_sim.engine.end_run import Ending, end_run
from spatius_sim.engine.handle_signals import INTERRUPTION
from spatius_sim.engine.hide_option_secrets import options_for_shell
from spatius_sim.engine.run_baseline import RunBaseline
from spatius_sim.engine.run_outcomes import BY_A_SIGNAL, RunOutcomes
from spatius_sim.engine.run_request import RunRequest
from spatius_sim.engine.start_run import Run
from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.engine.write_run_reports import make_occasion, report_paths
from spatius_sim.plans.plan_token import token_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.formats.text_report import describe_failure, explain_failure_by_other_scenario
from spatius_sim.reporting.formats.write_report_files import prepare_report_files
from spatius_sim.reporting.make_text_harmless import harmless_line, harmless_lines
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Rule

LONGEST_COMPLAINT = 100_000
"""Characters. A complaint may hold several failures, each with its dialogue."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What judging one rule found out about a subject of the kind `subject`.

    `outcomes`: that of the rule, then those of rules judged before that its scenarios broke. `complaints`:
    texts for people. `tolerated`: why a baseline tolerates failures. `suspects`: the rules that look broken
    so far and are to be judged, by id, each with what happened.
    """

    subject: str
    outcomes: tuple[RuleOutcome, ...]
    target: str = ""
    wire: str = ""
    complaints: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()
    suspects: Mapping[str, str] = field(default_factory=dict)


def errored_result(rule: Rule, reason: str) -> RuleResult:
    """Return the result of a rule that could not be judged because the kit failed, for this reason."""
    return RuleResult(rule.subject, (RuleOutcome(rule.id, Verdict.ERRORED, reason=reason),))


class Judging:
    """Judges the rules of one run: call `open` before the first rule, and `close` at the end. `baseline` is
    None if no subject is named. `command` is the command that judges, and `write_options` returns options, by
    name, as the user would type them after it."""

    def __init__(
        self,
        request: RunRequest,
        baseline: RunBaseline | None,
        command: str,
        write_options: Callable[[Mapping[str, Any]], str] = options_for_shell,
    ) -> None:
        """Prepare to judge the rules of a run, as this request demands, and start nothing yet. The text of a
        failure tells the user how to repeat it: by `command`, such as `pytest`, followed by options.
        `write_options` returns these options as text."""
        self.request = request
        self._baseline, self._command, self._write_options = baseline, command, write_options
        self.run = Run(
            request.settings,
            shows_pictures="html" in report_paths(request.values),
            plan_is_named=bool(request.plan_token),
        )
        self.on_suspects: Callable[[Mapping[str, str]], None] = lambda suspects: None
        """Is called as soon as one more rule looks broken: with all rules that look broken so far, by id,
        each with what happened. Only rules that are to be judged are among them."""

    def open(self) -> dict[str, str]:
        """Start what is needed before the rules of the run can be judged: our Motion Server if the run needs
        one, and the tape. Return the environment variables that give a relay the address of this server. If
        something cannot be started, end what was started before, and raise UsageError."""
        try:
            return self.run.open()
        except UsageError:
            self.run.close()
            raise

    def judge(self, rule: Rule) -> RuleResult:
        """Judge one rule, and return what was found out.

        Raises UsageError if nothing can be judged, KeyboardInterrupt if the user ends the run, and any other
        exception if the kit itself fails: see `errored_result`.
        """
        began = time.monotonic()
        trial = self.run.trial_for(rule.subject)
        trial.on_suspects = lambda suspects: self.on_suspects(self._suspects_for_report(suspects))
        why_left_out = self.run.profile.why_left_out(rule.id)
        if why_left_out:
            outcome = trial.conclude_early(rule.id, why_left_out)
        else:
            trial.find_sure_plans = self._list_sure_plans_of_cause
            outcome = trial.judge(rule.id, *self.request.exercise_for(rule))
        outcome = replace(
            outcome,
            seconds=round(time.monotonic() - began, 3),
            not_understood=trial.not_understood,
            first_not_understood=trial.first_not_understood,
        )
        changed_outcomes = trial.update_earlier_outcomes(outcome)
        INTERRUPTION.check()
        outcomes = [self._add_repeat_command(trial, judged) for judged in (outcome, *changed_outcomes)]
        complaints: list[str] = []
        tolerated: list[str] = []
        for judged in outcomes:
            head = "" if judged is outcomes[0] else explain_failure_by_other_scenario(judged, outcomes[0])
            remark = self._baseline.remark_on(judged) if self._baseline is not None else None
            if remark is not None and remark.tolerated:
                tolerated.append(remark.tolerated)
                continue
            if judged.failure is not None:
                complaints.append(head + describe_failure(judged, judged.failure))
            if remark is not None and remark.complaint:
                complaints.append(remark.complaint)
        return RuleResult(
            rule.subject,
            tuple(outcomes),
            trial.subject.target,
            trial.subject.wire,
            tuple(complaints),
            tuple(tolerated),
            self._suspects_for_report(trial.suspects()),
        )

    def _list_sure_plans_of_cause(self, rule_id: str) -> Sequence[Any]:
        """Return the sure plans of this rule, which are always run for it. The trial runs them early if
        another rule was broken, and a breach of this rule may be the cause.

        Return none if this run does not judge the rule. Return none, too, if the subject is not a client: its
        plans take real time, and the cause was judged before, because the catalogue lists causes before their
        consequences."""
        rule = find_rule(rule_id)
        is_client = rule.subject == "client"
        is_judged = rule_id in self.request.judged_rules
        return self.request.exercise_for(rule).sure if is_client and is_judged else ()

    def _suspects_for_report(self, suspects: Mapping[str, str]) -> dict[str, str]:
        """Return the suspects as the user may see them while the run goes on. Suspects are the rules that
        look broken so far; `suspects` says by rule id what happened instead of what the rule demands. Each
        text is cut to one line without secrets, and rules that this run does not judge are left out."""
        return {
            rule_id: harmless_line(self.run.secrets.redact_text(what_happened))
            for rule_id, what_happened in suspects.items()
            if rule_id in self.request.judged_rules
        }

    def close(self, outcomes: RunOutcomes) -> bool:
        """Close everything that judging the rules of this run has started: subjects, our Motion Server and
        the tape. Return whether a signal interrupted the closing. If a signal or an error came, or if files
        could not be written, note that in `outcomes`."""
        interrupted = False
        try:
            self.run.close()
        except KeyboardInterrupt:
            interrupted = True
            outcomes.interruption = outcomes.interruption or BY_A_SIGNAL
        except Exception as error:
            outcomes.internal_error = f"the kit could not end what it had started: {error!r}"
        outcomes.unwritten += self.run.unwritten
        return interrupted

    def _add_repeat_command(self, trial: Trial[Any], outcome: RuleOutcome) -> RuleOutcome:
        """Return the outcome of a rule; if the rule failed, with the command that runs the smallest failing
        plan again. The command names this plan by the tape of the failure, or by a token if there is no tape;
        it names no plan if the smallest one is unknown."""
        if outcome.failure is None:
            return outcome
        smallest_plan = trial.smallest.get(outcome.rule_id)
        # The tape of the failure holds its plan, and its name is shorter than a token.
        tape_or_token = "" if smallest_plan is None else outcome.failure.trace or token_of(smallest_plan)
        typed_options = self._write_options(self.request.options_to_repeat(outcome.rule_id, tape_or_token))
        return replace(outcome, failure=replace(outcome.failure, repeat=f"{self._command} {typed_options}"))


_COMMAND = "spatius-sim verify"
"""The command for which `judge_run` does everything."""


class RunWatcher(Protocol):
    """Is called as a run goes on, to show the user how far it is. It decides nothing."""

    def run_begins(self, environment: Mapping[str, str], inspector: str) -> None:
        """Called before the first rule. `environment` points a relay at our Motion Server, and `inspector` is
        the URL of the page that shows its sessions; both are empty if it does not listen."""

    def show_rule_start(self, rule_id: str, number: int, total: int) -> None:
        """Called before a rule is judged: `number` (from 1) of `total`."""

    def suspects_grow(self, suspects: Mapping[str, str]) -> None:
        """Called while a rule is judged, as soon as a scenario breaks a rule that none has broken before:
        what happened instead, by rule. None of it is confirmed."""

    def show_rule_end(self, result: RuleResult) -> None:
        """Called after a rule was judged, or after the kit failed to judge it."""


def judge_run(request: RunRequest, watcher: RunWatcher, *, exit_first: bool = False) -> Ending:
    """Judge every rule of the request on the subject that it names, write the reports, and return how the run
    ended. With `exit_first`, judge no further rule after the first new failure. `watcher` is called while the
    run goes on.

    Raises UsageError if the request is wrong, before anything is started. Later nothing is raised: if a
    signal or an error stops the run, the ending that is returned says so.
    """
    report_path_by_format = report_paths(request.values)
    prepare_report_files(report_path_by_format)
    request.check()
    baseline = RunBaseline(request)
    outcomes = RunOutcomes()
    restore_handlers = INTERRUPTION.install_handlers(signal.SIGINT)
    try:
        with _silence_library_logs_while_judging():
            _judge_rules(request, baseline, outcomes, watcher, exit_first=exit_first)
        return end_run(
            outcomes.summaries(request),
            lambda code_of_verdicts: outcomes.why_stopped_early(),  # The same whatever the verdicts are.
            baseline,
            report_path_by_format,
            outcomes.unwritten,
            lambda: make_occasion(outcomes.clock, _COMMAND, request.options_for_shell()),
        )
    finally:
        restore_handlers()


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
    judging = Judging(request, baseline, _COMMAND)
    judging.on_suspects = watcher.suspects_grow
    opened = False
    try:
        environment = judging.open()
        opened = True
        watcher.run_begins(environment, judging.run.inspector_url)
        for number, rule in enumerate(request.rules, 1):
            watcher.show_rule_start(rule.id, number, len(request.rules))
            try:
                result = judging.judge(rule)
            except UsageError:
                raise
            except Exception as error:
                INTERRUPTION.check()
                hide = judging.run.secrets.redact_text
                traceback = harmless_lines(hide(format_exc()))  # What the subject said may fill it.
                result = replace(errored_result(rule, hide(repr(error))), complaints=(traceback,))
            for outcome in result.outcomes:
                outcomes.add_outcome(result.subject, outcome, result.target, result.wire)
            watcher.show_rule_end(_without_secrets(result, judging))
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
    return replace(result, complaints=tuple(harmless_lines(text, LONGEST_COMPLAINT) for text in texts))


@contextmanager
def _silence_library_logs_while_judging() -> Iterator[None]:
    """While the context lasts, that is while the rules of a run are judged, keep the log messages of
    libraries off the terminal: they may quote secrets that the subject sent. To do this, give the root logger
    a handler that drops every message; without any handler, Python prints warnings on the terminal."""
    dropping_handler = logging.NullHandler()
    logging.getLogger().addHandler(dropping_handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(dropping_handler)
