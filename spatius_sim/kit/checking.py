"""Judges tapes: every rule that a tape can exercise, over all its runs."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from spatius_sim import __version__
from spatius_sim.model.trace import Trace
from spatius_sim.reporting.summary import ExitCode, Failure, RuleOutcome, Summary
from spatius_sim.rules.catalogue import REVISION, RULES, Verdict
from spatius_sim.rules.findings import Judgement
from spatius_sim.rules.judge import judge
from spatius_sim.rules.observed import with_turns
from spatius_sim.tape.dialogue import line_of
from spatius_sim.tape.reader import header_of
from spatius_sim.tape.taping import read_traces

_MOST_EVENTS = 6


@dataclass(slots=True)
class _Tally:
    exercised: int = 0
    runs: int = 0
    reason: str = ""
    failure: Failure | None = None
    passed: bool = False
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdicts of a tape, a summary for each subject on it; `evidence`: for each broken rule the
    events that prove it, in words."""

    summaries: tuple[Summary, ...]
    evidence: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """A tape need not exercise every rule: one that was broken fails it, and one that was kept is
        enough to pass."""
        verdicts = {outcome.verdict for summary in self.summaries for outcome in summary.outcomes}
        if Verdict.FAILED in verdicts:
            return ExitCode.RULE_FAILED
        return ExitCode.PASSED if Verdict.PASSED in verdicts else ExitCode.NOT_EXERCISED

    def outcome(self, rule_id: str) -> RuleOutcome:
        """One rule; it is unexercised where its subject is not on the tape."""
        outcomes = (o for summary in self.summaries for o in summary.outcomes if o.rule_id == rule_id)
        missing = RuleOutcome(rule_id, Verdict.UNEXERCISED, reason="its subject is not on the tape")
        return next(outcomes, missing)


def check_tape(path: Path) -> Checked:
    """Judge every run of a tape, one at a time; raises UsageError for what is no whole tape."""
    tallies: dict[str, dict[str, _Tally]] = {}
    for number, trace in enumerate(read_traces(path), 1):
        for subject in _subjects(trace):
            judged = with_turns(replace(trace, header=replace(trace.header, subject=subject)))
            for rule_id, judgement in judge(judged).items():
                tally = tallies.setdefault(subject, {}).setdefault(rule_id, _Tally())
                _add(tally, judgement, path, judged, number)
    seed = header_of(path).seed
    summaries = tuple(
        Summary(
            subject,
            str(path),
            seed,
            __version__,
            REVISION,
            tuple(_outcome(rule_id, tally) for rule_id, tally in rules.items()),
        )
        for subject, rules in tallies.items()
    )
    evidence = {
        rule_id: tally.evidence
        for rules in tallies.values()
        for rule_id, tally in rules.items()
        if tally.failure
    }
    return Checked(summaries, evidence)


def _subjects(trace: Trace) -> tuple[str, ...]:
    """Whom a run says something about: a proxy before a relay sees the server's side, too."""
    known = {rule.subject for rule in RULES.values()}
    header = trace.header
    both = header.halves == "upstream" and header.subject == "relay"
    named = ("server", "relay") if both else (header.subject,)
    return tuple(subject for subject in named if subject in known)


def _add(tally: _Tally, judgement: Judgement, path: Path, trace: Trace, number: int) -> None:
    tally.runs += 1
    tally.exercised += judgement.exercised
    tally.passed |= judgement.verdict is Verdict.PASSED
    tally.reason = tally.reason or judgement.reason
    if judgement.verdict is Verdict.FAILED and tally.failure is None:
        broken = judgement.broken[0]
        plan = f": {trace.header.plan}" if trace.header.plan else ""
        tally.failure = Failure(broken.expected, broken.actual, f"run {number}{plan}", str(path), True)
        tally.evidence = tuple(
            line_of(trace.events[seq]) for seq in broken.events[:_MOST_EVENTS] if seq < len(trace.events)
        )


def _outcome(rule_id: str, tally: _Tally) -> RuleOutcome:
    if tally.failure is not None:
        verdict = Verdict.FAILED
    else:
        verdict = Verdict.PASSED if tally.passed else Verdict.UNEXERCISED
    reason = "" if verdict is Verdict.PASSED else tally.reason
    return RuleOutcome(rule_id, verdict, tally.exercised, tally.runs, reason, tally.failure)
