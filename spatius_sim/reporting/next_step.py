"""What a reader does once the verdict is read: one line, with the exit code that scripts see."""

from collections.abc import Sequence

from spatius_sim.reporting.summary import ExitCode, Summary

_START_IT = {
    "server": "start the Motion Server, or mend its URL (--wait gives it longer)",
    "client": "start the client's testee, or mend its address (--wait gives it longer)",
}

_AFTER_BREAKING_OFF = {
    ExitCode.RULE_FAILED: "mend the test that is named above",
    ExitCode.INTERRUPTED: "run it again",
    ExitCode.KIT_FAILED: "mend what is named above; if that is spatius-sim, report it as a fault",
    ExitCode.USAGE: "mend the command line, or conformance.yaml",
    ExitCode.NOT_EXERCISED: "let pytest collect the rules",
}


def next_step(summaries: Sequence[Summary], code: ExitCode, doctor: str = "") -> str:
    """What to do after a run that ended with that code; "" where all is well. `doctor` is the command that
    finds out why nothing comes, "" where there is none."""
    broken_off = any(summary.broken_off for summary in summaries)
    step = _AFTER_BREAKING_OFF[code] if broken_off else _step(summaries, code, doctor)
    return f"Exit code {int(code)}. Next: {step}" if step else ""


def _step(summaries: Sequence[Summary], code: ExitCode, doctor: str) -> str:
    match code:
        case ExitCode.RULE_FAILED:
            return _mend(summaries)
        case ExitCode.UNREACHABLE:
            unheard = [summary for summary in summaries if summary.never_judged]
            once = [o.rule_id for summary in summaries for o in summary.undecided if o.failure is not None]
            if once:
                return f"repeat the scenario of {once[0]}, which broke it once: its command stands above"
            if not unheard:
                return "run it again, on a machine that is less busy"
            return f"{doctor}  (finds out why)" if doctor else _START_IT.get(unheard[0].subject, "start it")
        case ExitCode.NOT_EXERCISED:
            return "beside each rule above stands why it was not exercised"
        case ExitCode.KIT_FAILED:
            return "mend the shim if it is named above; else report this as a fault of spatius-sim"
    return ""


def _mend(summaries: Sequence[Summary]) -> str:
    failed = [outcome.rule_id for summary in summaries for outcome in summary.new_failures]
    steps = [f"mend {failed[0]}{' first' if failed[1:] else ''}, then run again"] if failed else []
    if any(summary.complaints for summary in summaries):
        steps.append("mend the lines of the baseline that are named above")
    return "; ".join(steps)
