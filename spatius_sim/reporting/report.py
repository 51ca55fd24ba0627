"""The report: the summaries of a run with the catalogue's words beside them, so that it can be read without
the catalogue, years later. Every format is made from it, and the JSON report is nothing but it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from spatius_sim.reporting.harmless import one_line
from spatius_sim.reporting.summary import ExitCode, Failure, RuleOutcome, Summary, claim, exit_code
from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level, Provenance
from spatius_sim.rules.sources import Source, sources

FORMAT: Final = "spatius-sim report"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSubject:
    """A subject, and what the run claims of it: at that level and profile, by that revision of the catalogue,
    from that seed. `complaints`: what is wrong with its baseline."""

    subject: str
    target: str
    wire: str
    seed: int
    kit_version: str
    catalogue_revision: int
    level: str
    profile: str
    exit_code: ExitCode
    claim: str
    complaints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("subject", "target", "wire", "kit_version", "level", "profile", "claim"):
            object.__setattr__(self, name, one_line(getattr(self, name)))
        object.__setattr__(self, "complaints", tuple(map(one_line, self.complaints)))


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRule:
    """A rule in the catalogue's words, and what the run says of it. `required` where the run is no pass
    without it; `exercised` so many times over so many `scenarios`; `measurements` in `unit`; `known` is why a
    baseline tolerates the failure, "" where none does."""

    id: str
    subject: str
    level: Level
    provenance: Provenance
    sentence: str
    source: str
    sources: tuple[Source, ...]
    required: bool
    verdict: Verdict
    exercised: int
    scenarios: int
    reason: str
    failure: Failure | None
    measurements: tuple[float, ...]
    unit: str
    known: str = ""

    def __post_init__(self) -> None:
        for name in ("id", "subject", "sentence", "source", "reason", "unit", "known"):
            object.__setattr__(self, name, one_line(getattr(self, name)))
        clean = (Source(one_line(s.tag), one_line(s.title), one_line(s.address)) for s in self.sources)
        object.__setattr__(self, "sources", tuple(clean))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run. `rules` in the catalogue's order, subject by subject."""

    format: Literal["spatius-sim report"]
    version: Literal[1]
    exit_code: ExitCode
    subjects: tuple[JudgedSubject, ...]
    rules: tuple[JudgedRule, ...]

    def of(self, subject: JudgedSubject) -> tuple[JudgedRule, ...]:
        """The rules that judged that subject."""
        return tuple(judged for judged in self.rules if judged.subject == subject.subject)


def report_of(summaries: Sequence[Summary], code: ExitCode) -> Report:
    """The report of a run that ended with that code."""
    return Report(
        format=FORMAT,
        version=VERSION,
        exit_code=code,
        subjects=tuple(_subject(summary) for summary in summaries),
        rules=tuple(_rule(summary, outcome) for summary in summaries for outcome in summary.outcomes),
    )


def _subject(summary: Summary) -> JudgedSubject:
    return JudgedSubject(
        subject=summary.subject,
        target=summary.target,
        wire=summary.wire,
        seed=summary.seed,
        kit_version=summary.kit_version,
        catalogue_revision=summary.catalogue_revision,
        level=summary.level,
        profile=summary.profile,
        exit_code=exit_code([summary]),
        claim=claim(summary),
        complaints=summary.complaints,
    )


def _rule(summary: Summary, outcome: RuleOutcome) -> JudgedRule:
    described = find_rule(outcome.rule_id)
    return JudgedRule(
        id=outcome.rule_id,
        subject=summary.subject,
        level=described.level,
        provenance=described.provenance,
        sentence=described.sentence,
        source=described.source,
        sources=sources(described.source),
        required=outcome.rule_id in summary.required and outcome not in summary.behind_known_failures,
        verdict=outcome.verdict,
        exercised=outcome.exercised,
        scenarios=outcome.scenarios,
        reason=outcome.reason,
        failure=outcome.failure,
        measurements=outcome.measurements,
        unit=outcome.unit,
        known=summary.known.get(outcome.rule_id, "") if outcome in summary.known_failures else "",
    )
