"""Makes the report of a run: the summaries with the sentences of the rules, to be read years later without
the catalogue. Every format is made from the report; the JSON report is the report itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from spatius_sim.reporting.claim_of_summary import describe_claim
from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.summary import LONGEST_COMMAND, ExitCode, Failure, RuleOutcome, Summary, exit_code
from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Advice, Level, Provenance
from spatius_sim.rules.rule_sources import Source, sources

FORMAT: Final = "spatius-sim report"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedSubject:
    """A subject, and what the run claims of it at this level and profile, by this revision of the catalogue,
    with this seed. `complaints`: what is wrong with its baseline."""

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
        """Turn each text about this subject into one line without control characters, because the subject
        itself wrote some of them."""
        # `object.__setattr__`, because the dataclass is frozen.
        for field_name in ("subject", "target", "wire", "kit_version", "level", "profile", "claim"):
            object.__setattr__(self, field_name, harmless_line(getattr(self, field_name)))
        object.__setattr__(self, "complaints", tuple(map(harmless_line, self.complaints)))


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedRule:
    """A rule with its sentence, and what the run says of it. `required`: the run is not a pass if nothing
    exercises the rule. It was `exercised` so many times over so many `scenarios`. `measurements` are in
    `unit`. Judging it took `seconds`. `known`: why a baseline tolerates the failure; "" if none does.
    `advice`: what the broken rule means to people."""

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
    seconds: float = 0.0
    advice: Advice | None = None

    def __post_init__(self) -> None:
        """Turn each text about this rule into one line without control characters, because a subject wrote
        parts of some of them."""
        # `object.__setattr__`, because the dataclass is frozen.
        for field_name in ("id", "subject", "sentence", "source", "reason", "unit", "known"):
            object.__setattr__(self, field_name, harmless_line(getattr(self, field_name)))
        clean_sources = (
            Source(harmless_line(source.tag), harmless_line(source.title), harmless_line(source.address))
            for source in self.sources
        )
        object.__setattr__(self, "sources", tuple(clean_sources))
        if (advice := self.advice) is not None:
            clean_advice = Advice(
                harmless_line(advice.effect), harmless_line(advice.cause), harmless_line(advice.mend)
            )
            object.__setattr__(self, "advice", clean_advice)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """When, where and how a run was made: `began` is a time in UTC (ISO 8601), `seconds` how long it took,
    `command` what runs it again, and `commit` the git commit of the folder that it ran in; "" if there is
    none, or if it is not known."""

    began: str = ""
    seconds: float = 0.0
    command: str = ""
    commit: str = ""

    def __post_init__(self) -> None:
        """Turn each text about when and how the run was made into one line without control characters,
        because a user wrote parts of some of them."""
        # `object.__setattr__`, because the dataclass is frozen.
        object.__setattr__(self, "command", harmless_line(self.command, LONGEST_COMMAND))
        for field_name in ("began", "commit"):
            object.__setattr__(self, field_name, harmless_line(getattr(self, field_name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of a whole run. `rules` come in the order of the catalogue, subject by subject."""

    format: Literal["spatius-sim report"]
    version: Literal[1]
    exit_code: ExitCode
    subjects: tuple[JudgedSubject, ...]
    rules: tuple[JudgedRule, ...]
    occasion: Occasion = Occasion()

    def rules_for(self, subject: JudgedSubject) -> tuple[JudgedRule, ...]:
        """Return the rules that judged this subject."""
        return tuple(judged for judged in self.rules if judged.subject == subject.subject)


def report_of(summaries: Sequence[Summary], code: ExitCode, occasion: Occasion | None = None) -> Report:
    """Return the report of a run, made from the summaries of its subjects. `code` is the run's exit code, and
    `occasion` says when and how the run was made; None if that is not known."""
    return Report(
        format=FORMAT,
        version=VERSION,
        exit_code=code,
        subjects=tuple(_make_judged_subject(summary) for summary in summaries),
        rules=tuple(
            _make_judged_rule(summary, outcome) for summary in summaries for outcome in summary.outcomes
        ),
        occasion=occasion or Occasion(),
    )


def _make_judged_subject(summary: Summary) -> JudgedSubject:
    """Return what the report says of one subject of a run: the facts of its summary, the exit code that
    follows from this summary alone, and the claim, a sentence that says what the run has shown of the
    subject."""
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
        claim=describe_claim(summary),
        complaints=summary.complaints,
    )


def _make_judged_rule(summary: Summary, outcome: RuleOutcome) -> JudgedRule:
    """Return what the report says of one rule. The outcome is from the run; the rule's level, sentence,
    sources and advice are from the catalogue."""
    rule = find_rule(outcome.rule_id)
    return JudgedRule(
        id=outcome.rule_id,
        subject=summary.subject,
        level=rule.level,
        provenance=rule.provenance,
        sentence=rule.sentence,
        source=rule.source,
        sources=sources(rule.source),
        required=outcome.rule_id in summary.required
        and outcome not in summary.outcomes_blocked_by_known_failures,
        verdict=outcome.verdict,
        exercised=outcome.exercised,
        scenarios=outcome.scenarios,
        reason=outcome.reason,
        failure=outcome.failure,
        measurements=outcome.measurements,
        unit=outcome.unit,
        known=summary.known[outcome.rule_id] if summary.tolerates(outcome) else "",
        seconds=outcome.seconds,
        advice=rule.advice,
    )
