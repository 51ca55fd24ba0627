"""Workflow commands of GitHub, by which a run marks what it found: no more than it shows, the worst first."""

from collections.abc import Iterator

from spatius_sim.reporting.harmless import one_line
from spatius_sim.reporting.report import JudgedRule, Report
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level

MOST = 10
"""GitHub shows so many of a kind in a step."""

_LONGEST = 400
_LEVELS = list(Level)


def github_annotations(report: Report) -> list[str]:
    """One line each; what a subject said cannot end or begin a command in it."""
    complaints = [
        _command("error", "baseline", told) for subject in report.subjects for told in subject.complaints
    ]
    marked = complaints + [line for _, line in sorted(_rules(report), key=lambda ranked: ranked[0])]
    if len(marked) <= MOST:
        return marked
    left = len(marked) - MOST + 1
    return [
        *marked[: MOST - 1],
        _command("warning", "spatius-sim", f"{left} more findings are in the report"),
    ]


def _rules(report: Report) -> Iterator[tuple[tuple[int, int], str]]:
    for judged in report.rules:
        level = _LEVELS.index(judged.level)
        if judged.verdict is Verdict.FAILED and judged.failure is not None and not judged.known:
            told = f"Expected {judged.failure.expected}. Actual: {judged.failure.actual}"
            yield (0 if judged.failure.confirmed else 1, level), _command("error", _title(judged), told)
        elif judged.verdict is Verdict.ERRORED:
            yield (2, level), _command("error", judged.id, f"the kit failed: {judged.reason}")
        elif judged.required and judged.verdict in (Verdict.UNEXERCISED, Verdict.INCONCLUSIVE):
            yield (3, level), _command("warning", judged.id, f"{judged.verdict.lower()}: {judged.reason}")


def _title(judged: JudgedRule) -> str:
    return f"{judged.id} ({judged.level})"


def _command(kind: str, title: str, told: str) -> str:
    named = _escaped(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={named}::{_escaped(one_line(told, _LONGEST))}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
