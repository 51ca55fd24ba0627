"""Writes the findings of a run as annotations of GitHub: the worst first, and at most as many as GitHub
shows."""

from collections.abc import Iterator

from spatius_sim.reporting.make_text_harmless import one_line
from spatius_sim.reporting.report import JudgedRule, Report
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level

MAX_COMMANDS = 10
"""GitHub shows at most so many commands of a kind in a step."""

_LONGEST_TEXT = 400
_LEVELS = list(Level)


def github_annotations(report: Report) -> list[str]:
    """Return the annotations of GitHub for a run: a workflow command for each finding, one in a line. No
    text of a subject can end or begin a command."""
    complaints = [
        _write_command("error", "baseline", text)
        for subject in report.subjects
        for text in subject.complaints
    ]
    commands = complaints + [line for _, line in sorted(_rank_commands(report), key=lambda ranked: ranked[0])]
    if len(commands) <= MAX_COMMANDS:
        return commands
    left_out = len(commands) - MAX_COMMANDS + 1
    return [
        *commands[: MAX_COMMANDS - 1],
        _write_command("warning", "spatius-sim", f"{left_out} more findings are in the report"),
    ]


def _rank_commands(report: Report) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield an annotation of GitHub for each rule that is not a pass: its rank, and the workflow command.
    The worst finding has the lowest rank."""
    for judged in report.rules:
        level = _LEVELS.index(judged.level)
        if judged.verdict is Verdict.FAILED and judged.failure is not None and not judged.known:
            text = f"Expected {judged.failure.expected}. Actual: {judged.failure.actual}"
            yield (
                (0 if judged.failure.confirmed else 1, level),
                _write_command("error", _title_of(judged), text),
            )
        elif judged.verdict is Verdict.ERRORED:
            yield (2, level), _write_command("error", judged.id, f"the kit failed: {judged.reason}")
        elif judged.required and judged.verdict in (Verdict.UNEXERCISED, Verdict.INCONCLUSIVE):
            yield (
                (3, level),
                _write_command("warning", judged.id, f"{judged.verdict.lower()}: {judged.reason}"),
            )


def _title_of(judged: JudgedRule) -> str:
    return f"{judged.id} ({judged.level})"


def _write_command(kind: str, title: str, text: str) -> str:
    """Return a workflow command of this kind, such as `error`, in one line."""
    escaped_title = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={escaped_title}::{_escape(one_line(text, _LONGEST_TEXT))}"


def _escape(text: str) -> str:
    """Return the text with those characters escaped that would end a workflow command of GitHub."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
