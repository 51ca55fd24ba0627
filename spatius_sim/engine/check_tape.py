"""Judges tapes: every rule that a tape can exercise, over all its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from spatius_sim import __version__
from spatius_sim.engine.baseline_file import read_baseline
from spatius_sim.engine.conformance_file import ConformanceFile, find_conformance_file
from spatius_sim.engine.evidence import failure_of
from spatius_sim.engine.options import REPORT_OPTIONS
from spatius_sim.engine.profiles import DEFAULT_LEVEL, judged_at, rules_to_judge
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.baseline import Baseline, review
from spatius_sim.reporting.summary import Failure, RuleOutcome, Summary
from spatius_sim.rules.catalogue import REVISION, RULES, find_rule
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.observed import with_turns
from spatius_sim.tape.reader import header_of
from spatius_sim.tape.traces import read_traces
from spatius_sim.trace.events import Trace
from spatius_sim.wires.features import FEATURES

NOTHING_PROMISED: frozenset[str] = frozenset()
"""A tape need not exercise every rule: a broken one fails it, and one that was kept is enough to pass."""

_GRAVEST = (
    Verdict.FAILED,
    Verdict.PASSED,
    Verdict.INCONCLUSIVE,
    Verdict.UNEXERCISED,
    Verdict.NOT_APPLICABLE,
)


@dataclass(frozen=True, slots=True)
class TapeSettings:
    """What is asked of a tape, by option name: what is `given`, and beyond that what the file says, where
    that is about the same kind of subject."""

    given: Mapping[str, Any] = field(default_factory=dict)
    file: ConformanceFile | None = None

    def of(self, subject: str) -> Mapping[str, Any]:
        """What is asked of a subject of that kind."""
        about_it = self.file is not None and self.file.subject in ("", subject)
        return {**self.file.values, **self.given} if self.file is not None and about_it else self.given

    @property
    def reports(self) -> dict[str, str]:
        """Where reports go, by option name."""
        said = {**(self.file.values if self.file is not None else {}), **self.given}
        return {option.name: said[option.name] for option in REPORT_OPTIONS if option.name in said}


def settings_of_tapes(given: Mapping[str, Any], folder: Path) -> TapeSettings:
    """What the command line and the conformance file in this folder ask; raises UsageError for what cannot
    be asked."""
    said = {name: value for name, value in given.items() if value}
    file = find_conformance_file(said.get("conformance"), folder)
    _check(said)
    if file is not None:
        try:
            _check(file.values)
        except UsageError as error:
            raise file.with_place(error) from error
    return TapeSettings(said, file)


def _check(values: Mapping[str, Any]) -> None:
    judged_at(values.get("level", DEFAULT_LEVEL))
    for feature in values.get("lacks", ()):
        if feature not in FEATURES:
            raise UsageError(f"--lacks {feature}: no feature is named so; there are {', '.join(FEATURES)}")


@dataclass(slots=True)
class _Tally:
    exercised: int = 0
    runs: int = 0
    reasons: dict[Verdict, str] = field(default_factory=dict)
    """The verdicts over all runs, with why."""
    failure: Failure | None = None
    blocked_by: dict[str, None] = field(default_factory=dict)


def check_tape(path: Path, asked: TapeSettings | None = None) -> tuple[Summary, ...]:
    """Judge every run of a tape, one at a time, a summary for each subject on it; raises UsageError for what
    is no whole tape, and for a baseline or a rule that is not about it."""
    asked = asked or TapeSettings()
    tallies: dict[str, dict[str, _Tally]] = {}
    wires: dict[str, str] = {}
    for number, trace in enumerate(read_traces(path), 1):
        for subject in _subjects_on(trace):
            wires[subject] = trace.header.wire
            lacks = tuple(sorted({*trace.header.lacks, *asked.of(subject).get("lacks", ())}))
            judged = with_turns(replace(trace, header=replace(trace.header, subject=subject, lacks=lacks)))
            for rule_id, judgement in judge(judged).items():
                tally = tallies.setdefault(subject, {}).setdefault(rule_id, _Tally())
                _add_judgements(tally, judgement, path, judged, number)
    for rule_id in asked.given.get("rule", ()):
        judged_kind = find_rule(rule_id).subject
        if tallies and judged_kind not in tallies:
            about = " and a ".join(tallies)
            raise UsageError(f"{rule_id} is a rule for a {judged_kind}, and {path} is about a {about}")
    seed = header_of(path).seed
    return tuple(
        _make_summary(path, subject, seed, wires[subject], tallies, asked.of(subject)) for subject in tallies
    )


def _make_summary(
    path: Path,
    subject: str,
    seed: int,
    wire: str,
    tallies: Mapping[str, Mapping[str, _Tally]],
    asked: Mapping[str, Any],
) -> Summary:
    """Make the summary of one subject from the tallies of its rules."""
    named = frozenset(asked.get("rule", ()))
    judged = rules_to_judge(named, asked.get("level", DEFAULT_LEVEL))
    outcomes = tuple(
        _outcome_of_tally(rule_id, tally) for rule_id, tally in tallies[subject].items() if rule_id in judged
    )
    summary = Summary(
        subject,
        str(path),
        seed,
        __version__,
        REVISION,
        outcomes,
        asked.get("level", ""),
        wire=wire,
        required=named or NOTHING_PROMISED,
    )
    if not asked.get("baseline"):
        return summary
    said = review(_read_tape_baseline(Path(asked["baseline"]), list(tallies)), outcomes, date.today())
    return replace(summary, known=said.tolerated, complaints=said.complaints)


def _read_tape_baseline(path: Path, subjects: Sequence[str]) -> Baseline:
    """Its entries may pass: a rule that one recording keeps may be broken as ever."""
    baseline = read_baseline(path, *subjects)
    return replace(
        baseline, known={name: replace(known, flaky=True) for name, known in baseline.known.items()}
    )


def _subjects_on(trace: Trace) -> tuple[str, ...]:
    """Whom a run says something about: a proxy before a relay sees the server's side, too."""
    known = {rule.subject for rule in RULES.values()}
    header = trace.header
    both = header.halves == "upstream" and header.subject == "relay"
    named = ("server", "relay") if both else (header.subject,)
    return tuple(subject for subject in named if subject in known)


def _add_judgements(tally: _Tally, judgement: Judgement, path: Path, trace: Trace, number: int) -> None:
    """Add the judgements of one trace to the tallies of their rules."""
    tally.runs += 1
    tally.exercised += judgement.exercised
    if not tally.reasons.get(judgement.verdict):
        tally.reasons[judgement.verdict] = judgement.reason
    tally.blocked_by |= dict.fromkeys(judgement.blocked_by)
    if judgement.verdict is Verdict.FAILED and tally.failure is None:
        broken = judgement.broken[0]
        plan = f": {trace.header.plan}" if trace.header.plan else ""
        scenario = f"run {number}{plan}"
        tally.failure = failure_of(broken, trace, scenario, path, confirmed=True)


def _outcome_of_tally(rule_id: str, tally: _Tally) -> RuleOutcome:
    """Turn the tally of one rule into its outcome."""
    verdict = next(verdict for verdict in _GRAVEST if verdict in tally.reasons)
    reason = tally.reasons[verdict]
    blocked_by = tuple(tally.blocked_by) if verdict is Verdict.UNEXERCISED else ()
    return RuleOutcome(
        rule_id, verdict, tally.exercised, tally.runs, reason, tally.failure, blocked_by=blocked_by
    )
