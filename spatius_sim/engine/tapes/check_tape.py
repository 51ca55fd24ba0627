"""Judges tapes: every rule that a tape can exercise, over all its runs."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from spatius_sim import __version__
from spatius_sim.engine.failure_evidence import failure_of
from spatius_sim.engine.run_profiles import DEFAULT_LEVEL
from spatius_sim.engine.select_rules import rules_to_judge
from spatius_sim.engine.tapes.tape_settings import TapeSettings, read_baseline_for_tape
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.compare_with_baseline import compare_with_baseline
from spatius_sim.reporting.summary import Failure, RuleOutcome, Summary
from spatius_sim.rules.catalogue import REVISION, RULES, find_rule
from spatius_sim.rules.findings import Judgement, Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.story.unplanned_turns import add_observed_turns
from spatius_sim.tape.reader import read_header
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.trace.events import Trace

NOTHING_PROMISED: frozenset[str] = frozenset()
"""A tape need not exercise every rule: a broken one fails it, and one that was kept is enough to pass."""

_FIRST_THAT_COUNTS = (
    Verdict.FAILED,
    Verdict.PASSED,
    Verdict.INCONCLUSIVE,
    Verdict.UNEXERCISED,
    Verdict.NOT_APPLICABLE,
)
"""If the runs of a tape differ in their verdict on a rule, the first of these is the verdict of the tape."""


@dataclass(slots=True)
class _Tally:
    """What all runs of a tape together say of one rule."""

    exercised: int = 0
    runs: int = 0
    reasons: dict[Verdict, str] = field(default_factory=dict)
    """The verdicts that occurred, each with the first reason that was given."""
    failures: dict[frozenset[str], Failure] = field(default_factory=dict)
    """The first failure of each kind, by the rules from which it may follow."""
    blocked_by: dict[str, None] = field(default_factory=dict)


def check_tape(path: Path, settings: TapeSettings | None = None) -> tuple[Summary, ...]:
    """Judge every run that is recorded on a tape, and return a summary for each kind of subject on it. Raises
    UsageError if the tape is not complete, or if the settings name a rule or a baseline (the list of known
    failures) for a kind of subject that is not on the tape."""
    settings = settings or TapeSettings()
    tallies: dict[str, dict[str, _Tally]] = {}
    wires: dict[str, str] = {}
    for run_number, trace in enumerate(read_traces(path), 1):
        for subject in _subjects_on(trace):
            wires[subject] = trace.header.wire
            lacks = tuple(sorted({*trace.header.lacks, *settings.for_subject(subject).get("lacks", ())}))
            header = replace(trace.header, subject=subject, lacks=lacks)
            judged_trace = add_observed_turns(replace(trace, header=header))
            for rule_id, judgement in judge(judged_trace).items():
                tally = tallies.setdefault(subject, {}).setdefault(rule_id, _Tally())
                _add_judgement(tally, judgement, path, judged_trace, run_number)
    for rule_id in settings.option_values.get("rule", ()):
        judged_kind = find_rule(rule_id).subject
        if tallies and judged_kind not in tallies:
            kinds_on_tape = " and a ".join(tallies)
            raise UsageError(
                f"{rule_id} is a rule for a {judged_kind}, and {path} is about a {kinds_on_tape}"
            )
    seed = read_header(path).seed
    return tuple(
        _make_summary(path, subject, seed, wires[subject], tallies, settings.for_subject(subject))
        for subject in tallies
    )


def _make_summary(
    path: Path,
    subject: str,
    seed: int,
    wire: str,
    tallies: Mapping[str, Mapping[str, _Tally]],
    values: Mapping[str, Any],
) -> Summary:
    """Return the summary of one subject on the tape, made from the tallies of its rules, and compared with
    the baseline if the options name one."""
    named_rules = frozenset(values.get("rule", ()))
    judged = rules_to_judge(named_rules, values.get("level", DEFAULT_LEVEL))
    failed_rules = {rule_id for rule_id in tallies[subject] if _fails_by_itself(rule_id, tallies[subject])}
    outcomes = tuple(
        _outcome_of_tally(rule_id, tally, failed_rules)
        for rule_id, tally in tallies[subject].items()
        if rule_id in judged
    )
    summary = Summary(
        subject,
        str(path),
        seed,
        __version__,
        REVISION,
        outcomes,
        values.get("level", ""),
        wire=wire,
        required=named_rules or NOTHING_PROMISED,
    )
    if not values.get("baseline"):
        return summary
    baseline = read_baseline_for_tape(Path(values["baseline"]), list(tallies))
    remarks = compare_with_baseline(baseline, outcomes, date.today())
    return replace(summary, known=remarks.tolerated, complaints=remarks.complaints)


def _subjects_on(trace: Trace) -> tuple[str, ...]:
    """Return the kinds of subject that can be judged by a trace from a tape. A proxy between a relay and
    Motion Server records what both send, so such a trace judges a server and a relay. Kinds without any rule
    are left out."""
    judged_kinds = {rule.subject for rule in RULES.values()}
    header = trace.header
    # `halves` says which side of the relay was recorded: upstream, to Motion Server, or downstream.
    is_from_proxy = header.halves == "upstream" and header.subject == "relay"
    recorded_kinds = ("server", "relay") if is_from_proxy else (header.subject,)
    return tuple(kind for kind in recorded_kinds if kind in judged_kinds)


def _add_judgement(tally: _Tally, judgement: Judgement, path: Path, trace: Trace, run_number: int) -> None:
    """Add the judgement of a rule on one run of the tape `path` to the tally, which sums up what all runs say
    of the rule. `trace` holds the events of the run. Of several failures that may follow from the same other
    rules, keep only the first. It counts as confirmed: a recording gives the same verdict each time."""
    tally.runs += 1
    tally.exercised += judgement.exercised
    if not tally.reasons.get(judgement.verdict):
        tally.reasons[judgement.verdict] = judgement.reason
    tally.blocked_by |= dict.fromkeys(judgement.blocked_by)
    for broken in judgement.broken:
        causes = frozenset(broken.follows_from)
        if causes not in tally.failures:
            plan = f": {trace.header.plan}" if trace.header.plan else ""
            scenario = f"run {run_number}{plan}"
            tally.failures[causes] = failure_of(broken, trace, scenario, path, confirmed=True)


def _fails_by_itself(rule_id: str, tallies: Mapping[str, _Tally], visited: tuple[str, ...] = ()) -> bool:
    """Return whether this rule fails by itself on the tape: some run broke it, and none of the rules from
    which this breach may follow (its causes) fails by itself. `tallies` holds by rule id what the runs
    showed; the keys of `failures` in it are the causes of each breach. `visited` are the rules that this
    recursion has come through: two rules may each be a cause of the other, and it must end."""
    visited = (*visited, rule_id)
    for causes in tallies[rule_id].failures:
        causes_to_check = causes.intersection(tallies).difference(visited)
        if not any(_fails_by_itself(cause, tallies, visited) for cause in causes_to_check):
            return True
    return False


def _outcome_of_tally(rule_id: str, tally: _Tally, failed_rules: Set[str]) -> RuleOutcome:
    """Return the outcome of one rule over all runs on the tape. It is FAILED if a failure does not follow
    from `failed_rules`, the rules that failed by themselves. It is UNEXERCISED if every failure follows from
    them, or if one of them kept the rule from being judged. Otherwise, of the verdicts that the runs gave,
    the one that comes first in _FIRST_THAT_COUNTS is the outcome."""
    for causes, failure in tally.failures.items():
        if not causes & failed_rules:
            return RuleOutcome(rule_id, Verdict.FAILED, tally.exercised, tally.runs, failure=failure)
    for causes, failure in tally.failures.items():
        blocked_by = tuple(sorted(causes & failed_rules))
        reason = f"not judged where {', '.join(blocked_by)} failed: {failure.actual}"
        return RuleOutcome(
            rule_id, Verdict.UNEXERCISED, tally.exercised, tally.runs, reason, blocked_by=blocked_by
        )
    verdict = next(verdict for verdict in _FIRST_THAT_COUNTS if verdict in tally.reasons)
    if verdict is Verdict.PASSED and failed_rules & tally.blocked_by.keys():
        verdict = Verdict.UNEXERCISED
    reason = tally.reasons[verdict]
    blocked_by = tuple(tally.blocked_by) if verdict is Verdict.UNEXERCISED else ()
    return RuleOutcome(rule_id, verdict, tally.exercised, tally.runs, reason, blocked_by=blocked_by)
