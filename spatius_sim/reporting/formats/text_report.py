"""Prints summaries for a person at a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spatius_sim.reporting.claim_of_summary import describe_claim
from spatius_sim.reporting.summary import ExitCode, Failure, RuleOutcome, Summary
from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Rule
from spatius_sim.rules.rule_sources import describe_sources

_COLOURS = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.UNEXERCISED: "yellow",
    Verdict.NOT_APPLICABLE: "dim",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.ERRORED: "bold magenta",
}

_MAX_EVENTS = 3


def describe_failure(outcome: RuleOutcome, failure: Failure) -> str:
    """Return the text that explains a failure at the terminal, in at most fourteen lines, with one fact in
    each. If the failure has a dialogue with the client, the dialogue comes after these lines."""
    rule = find_rule(outcome.rule_id)
    confirmation = "seen again when repeated" if failure.confirmed else "not seen again when repeated"
    if failure.silence and not failure.confirmed:
        confirmation += "; a slow subject may want a longer --settle"
    if outcome.verdict is Verdict.FAILED and not failure.confirmed:
        confirmation += "; to be seen once is enough"
    lines = [f"{rule.id} ({rule.level}): {rule.sentence}"]
    if rule.advice is not None:
        lines.append(f"  seen as   {rule.advice.effect}")
    lines += [f"  Expected  {failure.expected}", f"  Actual    {failure.actual}"]
    if rule.advice is not None:
        lines += [f"  likely    {rule.advice.cause}", f"  mend it   {rule.advice.mend}"]
    if failure.scenario:
        repetition_text = f", {confirmation}" if failure.repeat else ""
        lines.append(f"  scenario  {failure.scenario}{repetition_text}")
    if failure.trace:
        lines.append(f"  trace     {failure.trace}")
    lines += [f"  event     {line}" for line in failure.evidence[:_MAX_EVENTS]]
    lines.append(f"  source    {describe_sources(rule.source)} ({rule.provenance})")
    if failure.repeat:
        lines.append(f"  repeat    {failure.repeat}")
    if failure.dialogue:
        lines += ["  dialogue  (=> is where it differs)", failure.dialogue]
    return "\n".join(lines)


def explain_failure_by_other_scenario(failed_outcome: RuleOutcome, judged_outcome: RuleOutcome) -> str:
    """Return the line with which a text report begins to explain a failed rule (`failed_outcome`), if a
    scenario of another rule broke it, and its own scenarios did not. If the failure is printed under another
    rule (`judged_outcome`), the line also names that rule and its verdict."""
    explanation = (
        f"{failed_outcome.rule_id} was not broken by its own scenarios, and one of another rule broke it."
    )
    if judged_outcome.rule_id == failed_outcome.rule_id:
        return f"{explanation}\n"
    return f"{explanation} {judged_outcome.rule_id}, under which this stands, is {judged_outcome.verdict}.\n"


def print_run(
    console: Console, summaries: Sequence[Summary], code: ExitCode, doctor_command: str = ""
) -> None:
    """Print the text report of a run: each subject with its rules, and the sentence that says what the run
    has shown of it; then what the user can do next. `code` is the run's exit code. `doctor_command` finds out
    why a relay sends nothing; "" if there is none."""
    for summary in summaries:
        print_summary(console, summary)
    next_action = describe_next_step(summaries, code, doctor_command)
    if next_action:
        console.print(Text(next_action), soft_wrap=True)  # A command that is wrapped cannot be copied.


def print_summary(console: Console, summary: Summary) -> None:
    """Print what a run says of one subject. A table of its rules with their verdicts comes first, then the
    complaints about its baseline, then what the run claims. Leave out the table if nothing was judged."""
    chosen_settings = "".join(
        f", {setting} {name}"
        for setting, name in (("wire", summary.wire), ("profile", summary.profile), ("level", summary.level))
        if name
    )
    title = f"{summary.subject} {summary.target}, seed {summary.seed}{chosen_settings}"
    console.print(Text(title, style="bold"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    rows = list(_yield_rows(summary))
    for rule_words, outcome in rows:
        known = summary.known.get(outcome.rule_id)
        table.add_row(
            Text(str(outcome.verdict), style="yellow" if known else _COLOURS[outcome.verdict]),
            Text(rule_words, no_wrap=True),
            Text(f"known: {known}" if known else _explain_verdict(outcome)),
        )
    is_nothing_judged = summary.stopped_early is not None and not any(
        outcome.scenarios for outcome in summary.outcomes
    )
    if not (summary.has_no_answer or is_nothing_judged):
        console.print(table)  # Otherwise the claim says everything.
    for complaint in summary.complaints:
        console.print(Text(complaint, style="bold red"))
    console.print(Text(describe_claim(summary), style="bold"))


def _yield_rows(summary: Summary) -> Iterator[tuple[str, RuleOutcome]]:
    """Yield a row of the text report for each rule or group of rules: its words, and the outcome to print.
    Inconclusive rules with the same reason are one group, and only the first is named. In a run that was
    stopped early, the rules that were not reached are grouped, too."""
    grouped_verdicts = [Verdict.INCONCLUSIVE, *([Verdict.UNEXERCISED] if summary.stopped_early else [])]
    outcomes_by_reason: dict[str, list[RuleOutcome]] = {}
    for outcome in summary.outcomes:
        if outcome.verdict in grouped_verdicts:
            outcomes_by_reason.setdefault(outcome.reason, []).append(outcome)
    for outcome in summary.outcomes:
        if outcome.verdict not in grouped_verdicts:
            yield outcome.rule_id, outcome
        elif outcome is outcomes_by_reason[outcome.reason][0]:
            other_count = len(outcomes_by_reason[outcome.reason]) - 1
            yield f"{outcome.rule_id} and {other_count} more" if other_count else outcome.rule_id, outcome


def _explain_verdict(outcome: RuleOutcome) -> str:
    """Return the text that stands beside the verdict of a rule in the text report. For a failed rule it says
    what happened, for a passed rule how often it was exercised, with percentiles if the rule measures.
    Otherwise it is the reason of the outcome."""
    if outcome.failure is not None and outcome.verdict is Verdict.FAILED:
        return outcome.failure.actual
    if outcome.verdict is Verdict.PASSED:
        exercised = _count_words(outcome.exercised, "time")
        counts = f"{exercised} over {_count_words(outcome.scenarios, 'scenario')}"
        return f"{counts}: {_describe_percentiles(outcome)}" if outcome.measurements else counts
    return outcome.reason


def _describe_percentiles(outcome: RuleOutcome) -> str:
    """Return the 50th and the 99th percentile of the measurements, in words."""
    ordered = sorted(outcome.measurements)
    p50, p99 = (ordered[round(share * (len(ordered) - 1))] for share in (0.5, 0.99))
    return f"p50 {p50:.1f} {outcome.unit}, p99 {p99:.1f} {outcome.unit}"


def _count_words(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_ADVICE_WITHOUT_ANSWER = {
    "server": "start the Motion Server, or mend its URL (--wait gives it longer)",
    "room": "start the Motion Server and the LiveKit server, or mend URL, key and secret",
    "client": "start the client's testee, or mend its address (--wait gives it longer)",
}
"""What to do about a subject that does not answer, by kind."""

_ADVICE_AFTER_EARLY_STOP = {
    ExitCode.RULE_FAILED: "mend the test that is named above",
    ExitCode.INTERRUPTED: "run it again",
    ExitCode.KIT_FAILED: "mend what is named above; if that is spatius-sim, report it as a fault",
    ExitCode.USAGE: "mend the command line, or conformance.yaml",
    ExitCode.NOT_EXERCISED: "let pytest collect the rules",
}
"""What to do after a run that was stopped early, by exit code."""


def describe_next_step(summaries: Sequence[Summary], code: ExitCode, doctor_command: str = "") -> str:
    """Return the last line of the text report: the exit code, and what the user can do next. Return "" if
    there is nothing to do. `doctor_command` finds out why a relay sends nothing; "" if there is none."""
    was_stopped_early = any(summary.stopped_early for summary in summaries)
    any_new_failure = any(summary.new_failures for summary in summaries)
    if was_stopped_early and code is ExitCode.INTERRUPTED and any_new_failure:
        advice = _advise_to_repair(summaries)
    else:
        advice = (
            _ADVICE_AFTER_EARLY_STOP[code]
            if was_stopped_early
            else _advise_after_whole_run(summaries, code, doctor_command)
        )
    return f"Exit code {int(code)}. Next: {advice}" if advice else ""


def _advise_after_whole_run(summaries: Sequence[Summary], code: ExitCode, doctor_command: str) -> str:
    """Return what the user can do next after a run that was not stopped early; "" if there is nothing to do.
    `doctor_command` finds out why a relay sends nothing; "" if there is none."""
    match code:
        case ExitCode.RULE_FAILED:
            return _advise_to_repair(summaries)
        case ExitCode.UNREACHABLE:
            summaries_without_answer = [summary for summary in summaries if summary.has_no_answer]
            rules_broken_once = [
                outcome.rule_id
                for summary in summaries
                for outcome in summary.undecided_outcomes
                if outcome.failure is not None
            ]
            if rules_broken_once:
                first_rule_id = rules_broken_once[0]
                return (
                    f"repeat the scenario of {first_rule_id}, which broke it once: its command stands above"
                )
            if not summaries_without_answer:
                return "run it again, on a machine that is less busy"
            return (
                f"{doctor_command}  (finds out why)"
                if doctor_command
                else _ADVICE_WITHOUT_ANSWER.get(summaries_without_answer[0].subject, "start it")
            )
        case ExitCode.NOT_EXERCISED:
            return "beside each rule above stands why it was not exercised"
        case ExitCode.KIT_FAILED:
            return "mend the shim if it is named above; else report this as a fault of spatius-sim"
    return ""


def _advise_to_repair(summaries: Sequence[Summary]) -> str:
    """Return the advice to repair what broke the first rule that failed, and to correct the baseline (the
    list of known failures) if it is out of date. Return "" if there is nothing to repair."""
    failed_rule_ids = [outcome.rule_id for summary in summaries for outcome in summary.new_failures]
    steps: list[str] = []
    if failed_rule_ids:
        first = " first" if len(failed_rule_ids) > 1 else ""
        steps.append(f"mend {failed_rule_ids[0]}{first}, then run again")
    if any(summary.complaints for summary in summaries):
        steps.append("mend the lines of the baseline that are named above")
    return "; ".join(steps)


def print_catalogue(console: Console, rules: list[Rule], total_count: int) -> None:
    """Print a text report of rules of the catalogue, for a person at a terminal: a table with a row for each
    rule. Then print how many of the `total_count` rules of the whole catalogue these are."""
    table = Table(box=None, padding=(0, 2, 1, 0))
    for heading in ("rule", "level", "sentence", "source"):
        table.add_column(heading, no_wrap=heading in ("rule", "level"))
    for rule in rules:
        source = f"{describe_sources(rule.source)} ({rule.provenance})"
        table.add_row(rule.id, str(rule.level), rule.sentence, source)
    console.print(table)
    console.print(f"{len(rules)} of {total_count} rules.")
