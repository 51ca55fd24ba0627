"""Prints summaries for a person at a terminal."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from spatius_sim.reporting.claim_of_summary import claim
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


def failure_text(outcome: RuleOutcome, failure: Failure) -> str:
    """Return a failure as text of at most fourteen lines for the terminal, and after them its dialogue if
    it has one."""
    rule = find_rule(outcome.rule_id)
    confirmation = "seen again when repeated" if failure.confirmed else "not seen again when repeated"
    if failure.silence and not failure.confirmed:
        confirmation += "; a slow subject may want a longer --settle"
    lines = [f"{rule.id} ({rule.level}): {rule.sentence}"]
    if rule.advice is not None:
        lines.append(f"  seen as   {rule.advice.effect}")
    lines += [f"  Expected  {failure.expected}", f"  Actual    {failure.actual}"]
    if rule.advice is not None:
        lines += [f"  likely    {rule.advice.cause}", f"  mend it   {rule.advice.mend}"]
    if failure.scenario:
        repetition = f", {confirmation}" if failure.repeat else ""
        lines.append(f"  scenario  {failure.scenario}{repetition}")
    if failure.trace:
        lines.append(f"  trace     {failure.trace}")
    lines += [f"  event     {line}" for line in failure.evidence[:_MAX_EVENTS]]
    lines.append(f"  source    {describe_sources(rule.source)} ({rule.provenance})")
    if failure.repeat:
        lines.append(f"  repeat    {failure.repeat}")
    if failure.dialogue:
        lines += ["  dialogue  (=> is where it differs)", failure.dialogue]
    return "\n".join(lines)


def explain_overturned_verdict(failed_outcome: RuleOutcome, judged_outcome: RuleOutcome) -> str:
    """Return the first lines of a failure in the text report, if a rule (`failed_outcome`) was not broken by
    its own scenarios but by one of another rule. They name the rule that was judged last (`judged_outcome`),
    because the failure is printed under that rule."""
    explanation = (
        f"{failed_outcome.rule_id} was not broken by its own scenarios, and one of another rule broke it."
    )
    if judged_outcome.rule_id == failed_outcome.rule_id:
        return f"{explanation}\n"
    return f"{explanation} {judged_outcome.rule_id}, under which this stands, is {judged_outcome.verdict}.\n"


def print_run(console: Console, summaries: Sequence[Summary], code: ExitCode, doctor: str = "") -> None:
    """Print the text report of a run: each subject with its rules and what the run claims of the subject,
    then what the user can do next. `code` is the run's exit code. `doctor` is the command that finds out why
    a relay sends nothing."""
    for summary in summaries:
        print_summary(console, summary)
    next_action = next_step(summaries, code, doctor)
    if next_action:
        console.print(Text(next_action), soft_wrap=True)  # A command that is wrapped cannot be copied.


def print_summary(console: Console, summary: Summary) -> None:
    """Print the rules of one summary with their verdicts, the complaints of the baseline, and what the run
    claims. If nothing was judged, leave the rules out."""
    chosen_settings = "".join(
        f", {setting} {name}"
        for setting, name in (("wire", summary.wire), ("profile", summary.profile), ("level", summary.level))
        if name
    )
    title = f"{summary.subject} {summary.target}, seed {summary.seed}{chosen_settings}"
    console.print(Text(title, style="bold"))
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    rows = list(_group_rows(summary))
    for rules, outcome in rows:
        known = summary.known.get(outcome.rule_id)
        table.add_row(
            Text(str(outcome.verdict), style="yellow" if known else _COLOURS[outcome.verdict]),
            Text(rules, no_wrap=True),
            Text(f"known: {known}" if known else _explain_verdict(outcome)),
        )
    nothing_ran = summary.stopped_early is not None and not any(
        outcome.scenarios for outcome in summary.outcomes
    )
    if not (summary.never_judged or nothing_ran):
        console.print(table)  # Otherwise the claim says everything.
    for complaint in summary.complaints:
        console.print(Text(complaint, style="bold red"))
    console.print(Text(claim(summary), style="bold"))


def _group_rows(summary: Summary) -> Iterator[tuple[str, RuleOutcome]]:
    """Yield the outcomes that the text report prints, each with the words for its rule or group of rules.
    Inconclusive rules with the same reason are one group, of which only the first is shown. So are rules
    that a broken-off run did not reach."""
    grouped_verdicts = [Verdict.INCONCLUSIVE, *([Verdict.UNEXERCISED] if summary.stopped_early else [])]
    by_reason: dict[str, list[RuleOutcome]] = {}
    for outcome in summary.outcomes:
        if outcome.verdict in grouped_verdicts:
            by_reason.setdefault(outcome.reason, []).append(outcome)
    for outcome in summary.outcomes:
        if outcome.verdict not in grouped_verdicts:
            yield outcome.rule_id, outcome
        elif outcome is by_reason[outcome.reason][0]:
            others = len(by_reason[outcome.reason]) - 1
            yield f"{outcome.rule_id} and {others} more" if others else outcome.rule_id, outcome


def _explain_verdict(outcome: RuleOutcome) -> str:
    """Return what the text report prints beside the verdict of a rule: what happened if the rule failed, how
    often it was exercised if it passed, or else the reason."""
    if outcome.failure is not None and outcome.verdict is Verdict.FAILED:
        return outcome.failure.actual
    if outcome.verdict is Verdict.PASSED:
        exercised = _count_words(outcome.exercised, "time")
        counts = f"{exercised} over {_count_words(outcome.scenarios, 'scenario')}"
        return f"{counts}: {_percentiles(outcome)}" if outcome.measurements else counts
    return outcome.reason


def _percentiles(outcome: RuleOutcome) -> str:
    """Return the 50th and the 99th percentile of the measurements, in words."""
    ordered = sorted(outcome.measurements)
    p50, p99 = (ordered[round(share * (len(ordered) - 1))] for share in (0.5, 0.99))
    return f"p50 {p50:.1f} {outcome.unit}, p99 {p99:.1f} {outcome.unit}"


def _count_words(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_HOW_TO_START = {
    "server": "start the Motion Server, or mend its URL (--wait gives it longer)",
    "room": "start the Motion Server and the LiveKit server, or mend URL, key and secret",
    "client": "start the client's testee, or mend its address (--wait gives it longer)",
}
"""What to do about a subject that does not answer, by kind."""

_AFTER_BREAKING_OFF = {
    ExitCode.RULE_FAILED: "mend the test that is named above",
    ExitCode.INTERRUPTED: "run it again",
    ExitCode.KIT_FAILED: "mend what is named above; if that is spatius-sim, report it as a fault",
    ExitCode.USAGE: "mend the command line, or conformance.yaml",
    ExitCode.NOT_EXERCISED: "let pytest collect the rules",
}
"""What to do after a run that was stopped early, by exit code."""


def next_step(summaries: Sequence[Summary], code: ExitCode, doctor: str = "") -> str:
    """Return the line that ends the text report: the exit code, and what the user can do next; "" if there is
    nothing to do. `doctor` is the command that finds out why a relay sends nothing; "" if there is none."""
    stopped_early = any(summary.stopped_early for summary in summaries)
    failed_by_then = any(summary.new_failures for summary in summaries)
    if stopped_early and code is ExitCode.INTERRUPTED and failed_by_then:
        advice = _advise_mending(summaries)
    else:
        advice = _AFTER_BREAKING_OFF[code] if stopped_early else _advise_next_step(summaries, code, doctor)
    return f"Exit code {int(code)}. Next: {advice}" if advice else ""


def _advise_next_step(summaries: Sequence[Summary], code: ExitCode, doctor: str) -> str:
    """Return what the user can do next, as the last line of the text report of a run that was not stopped
    early; "" if there is nothing to do. `doctor` is the command that finds out why a relay sends nothing."""
    match code:
        case ExitCode.RULE_FAILED:
            return _advise_mending(summaries)
        case ExitCode.UNREACHABLE:
            without_answer = [summary for summary in summaries if summary.never_judged]
            broken_once = [
                outcome.rule_id
                for summary in summaries
                for outcome in summary.undecided
                if outcome.failure is not None
            ]
            if broken_once:
                return (
                    f"repeat the scenario of {broken_once[0]}, which broke it once: its command stands above"
                )
            if not without_answer:
                return "run it again, on a machine that is less busy"
            return (
                f"{doctor}  (finds out why)"
                if doctor
                else _HOW_TO_START.get(without_answer[0].subject, "start it")
            )
        case ExitCode.NOT_EXERCISED:
            return "beside each rule above stands why it was not exercised"
        case ExitCode.KIT_FAILED:
            return "mend the shim if it is named above; else report this as a fault of spatius-sim"
    return ""


def _advise_mending(summaries: Sequence[Summary]) -> str:
    """Return the advice of the text report to mend the first rule that failed, and the baseline if it is
    out of date."""
    failed = [outcome.rule_id for summary in summaries for outcome in summary.new_failures]
    steps = [f"mend {failed[0]}{' first' if failed[1:] else ''}, then run again"] if failed else []
    if any(summary.complaints for summary in summaries):
        steps.append("mend the lines of the baseline that are named above")
    return "; ".join(steps)


def print_catalogue(console: Console, rules: list[Rule], count: int) -> None:
    """Print rules of the catalogue as text, for a person at a terminal: a table with a row for each of
    `rules`, and then how many of the `count` rules of the whole catalogue these are."""
    table = Table(box=None, padding=(0, 2, 1, 0))
    for heading in ("rule", "level", "sentence", "source"):
        table.add_column(heading, no_wrap=heading in ("rule", "level"))
    for rule in rules:
        source = f"{describe_sources(rule.source)} ({rule.provenance})"
        table.add_row(rule.id, str(rule.level), rule.sentence, source)
    console.print(table)
    console.print(f"{len(rules)} of {count} rules.")
