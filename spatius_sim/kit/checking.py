"""Judges tapes: every rule that a tape can exercise, over all its runs."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from spatius_sim import __version__
from spatius_sim.kit.evidence import failure_of
from spatius_sim.model.trace import Trace
from spatius_sim.reporting.summary import Failure, RuleOutcome, Summary
from spatius_sim.rules.catalogue import REVISION, RULES, Verdict
from spatius_sim.rules.findings import Judgement
from spatius_sim.rules.judge import judge
from spatius_sim.rules.observed import with_turns
from spatius_sim.tape.reader import header_of
from spatius_sim.tape.taping import read_traces

NOTHING_PROMISED: frozenset[str] = frozenset()
"""A tape need not exercise every rule: a broken one fails it, and one that was kept is enough to pass."""


@dataclass(slots=True)
class _Tally:
    exercised: int = 0
    runs: int = 0
    reason: str = ""
    failure: Failure | None = None
    verdicts: set[Verdict] = field(default_factory=lambda: {Verdict.UNEXERCISED})


def check_tape(path: Path) -> tuple[Summary, ...]:
    """Judge every run of a tape, one at a time, a summary for each subject on it; raises UsageError for what
    is no whole tape."""
    tallies: dict[str, dict[str, _Tally]] = {}
    wires: dict[str, str] = {}
    for number, trace in enumerate(read_traces(path), 1):
        for subject in _subjects(trace):
            wires[subject] = trace.header.wire
            judged = with_turns(replace(trace, header=replace(trace.header, subject=subject)))
            for rule_id, judgement in judge(judged).items():
                tally = tallies.setdefault(subject, {}).setdefault(rule_id, _Tally())
                _add(tally, judgement, path, judged, number)
    seed = header_of(path).seed
    return tuple(
        Summary(
            subject,
            str(path),
            seed,
            __version__,
            REVISION,
            tuple(_outcome(rule_id, tally) for rule_id, tally in rules.items()),
            wire=wires.get(subject, ""),
            required=NOTHING_PROMISED,
        )
        for subject, rules in tallies.items()
    )


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
    tally.verdicts.add(judgement.verdict)
    if judgement.verdict is Verdict.INCONCLUSIVE or not tally.reason:
        tally.reason = judgement.reason
    if judgement.verdict is Verdict.FAILED and tally.failure is None:
        broken = judgement.broken[0]
        plan = f": {trace.header.plan}" if trace.header.plan else ""
        scenario = f"run {number}{plan}"
        tally.failure = failure_of(broken, trace, scenario, path, confirmed=True)


def _outcome(rule_id: str, tally: _Tally) -> RuleOutcome:
    gravest = (Verdict.FAILED, Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.UNEXERCISED)
    verdict = next(verdict for verdict in gravest if verdict in tally.verdicts)
    reason = "" if verdict is Verdict.PASSED else tally.reason
    return RuleOutcome(rule_id, verdict, tally.exercised, tally.runs, reason, tally.failure)
