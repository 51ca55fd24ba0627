"""Says in words what the summary of a run claims of its subject, such as "PASSED: all rules were kept", or
why the run was stopped early."""

from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.reporting.summary import StoppedEarly, Summary, exit_code
from spatius_sim.rules.findings import Verdict

_CLAIM_BEGINNINGS = {
    ExitCode.RULE_FAILED: "NO PASS",
    ExitCode.INTERRUPTED: "INTERRUPTED",
    ExitCode.KIT_FAILED: "ERRORED",
    ExitCode.USAGE: "NOT RUN",
    ExitCode.NOT_EXERCISED: "NOT EXERCISED",
}
"""How the claim of a run that was stopped early begins, by exit code."""


def describe_claim(summary: Summary) -> str:
    """Return a text with what a run claims of its subject, such as "PASSED: all rules were kept". If messages
    of the subject were not understood, the text also says how many, and why the first was not."""
    worst_outcome = max(summary.outcomes, key=lambda outcome: outcome.not_understood, default=None)
    if worst_outcome is None or not worst_outcome.not_understood:
        return _describe_verdicts(summary)
    count = worst_outcome.not_understood
    messages = "1 message was" if count == 1 else f"{count} messages were"
    first_reason = worst_outcome.first_not_understood
    return f"{_describe_verdicts(summary)} {messages} not understood, the first: {first_reason}."


def _describe_verdicts(summary: Summary) -> str:
    """Return the claim of a run: how many rules passed and which failed, or why the run was stopped early."""
    passed = len(summary.outcomes_with_verdict(Verdict.PASSED))
    total = len(summary.outcomes)
    if summary.stopped_early is not None:
        return _describe_stopped_run(summary, summary.stopped_early)
    match exit_code([summary]):
        case ExitCode.PASSED if not passed:
            known = ", ".join(outcome.rule_id for outcome in summary.known_failures)
            return (
                f"PASSED: nothing failed but what is known: {known}{_list_rules_blocked_by_known(summary)}."
            )
        case ExitCode.PASSED:
            if summary.known:
                kept = f"{passed} of {total} rules were exercised and kept"
                return f"PASSED: {kept}{_list_known_failures(summary)}."
            return f"PASSED: {passed} of {total} rules were exercised, and all were kept."
        case ExitCode.RULE_FAILED:
            names = ", ".join(outcome.rule_id for outcome in summary.new_failures)
            stale = f"the baseline is out of date ({len(summary.complaints)})" if summary.complaints else ""
            failed = "; ".join(filter(None, (names, stale)))
            return f"FAILED: {failed}. {passed} of {total} rules passed{_list_known_failures(summary)}."
        case ExitCode.UNREACHABLE:
            all_reasons = {outcome.reason for outcome in summary.undecided_outcomes}
            # A reason that begins a longer one is left out.
            reasons = sorted(
                reason
                for reason in all_reasons
                if not any(other.startswith(reason) for other in all_reasons - {reason})
            )
            judged_rules = (
                f"{passed} of {total} rules passed" if summary.has_decided_rule else "No rule was judged"
            )
            return f"INCONCLUSIVE: {'; '.join(reasons)}. {judged_rules}."
        case ExitCode.KIT_FAILED:
            reasons = sorted({outcome.reason for outcome in summary.outcomes_with_verdict(Verdict.ERRORED)})
            return f"ERRORED: {'; '.join(reasons)}. This says nothing of the subject."
        case ExitCode.INTERRUPTED:
            names = ", ".join(outcome.rule_id for outcome in summary.new_failures)
            failed = f"{names} failed so far; " if names else ""
            return f"INTERRUPTED: no verdict. {failed}{passed} of {total} rules passed."
        case _:
            names = ", ".join(outcome.rule_id for outcome in summary.unexercised_required_outcomes)
            return f"NOT EXERCISED: {names or 'nothing ran'}; this is not a pass."


def _describe_stopped_run(summary: Summary, stopped_early: StoppedEarly) -> str:
    """Return the claim of a run that was stopped early. It tells why the run stopped, how many rules had
    passed by then, which rules had failed, and which failures were known before."""
    passed = f"{len(summary.outcomes_with_verdict(Verdict.PASSED))} of {len(summary.outcomes)} rules passed"
    new_failures = ", ".join(outcome.rule_id for outcome in summary.new_failures)
    results = f"{passed}; failed by then: {new_failures}" if new_failures else passed
    beginning = _CLAIM_BEGINNINGS[stopped_early.code]
    return f"{beginning}: {stopped_early.why}. {results}{_list_known_failures(summary)}."


def _list_known_failures(summary: Summary) -> str:
    """Return the part of a claim that names the rules that are known to fail, and the rules that were not
    judged because of them; "" if no failure is known."""
    known = f"; known to fail: {', '.join(summary.known)}" if summary.known else ""
    return known + _list_rules_blocked_by_known(summary)


def _list_rules_blocked_by_known(summary: Summary) -> str:
    """Return the part of a claim that names the rules that were not judged because of known failures alone;
    "" if there are none."""
    rule_ids = ", ".join(outcome.rule_id for outcome in summary.outcomes_blocked_by_known_failures)
    return f"; not judged because of them: {rule_ids}" if rule_ids else ""
