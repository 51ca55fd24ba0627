"""Writes the findings of a run as annotations of GitHub: the worst first, and at most as many as GitHub
shows."""

from collections.abc import Iterator

from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.report import JudgedRule, Report
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Level

MAX_COMMANDS = 10
"""GitHub shows at most so many commands of a kind in a step."""

_MAX_CHARACTERS = 400
_LEVELS = list(Level)


def github_annotations(report: Report) -> list[str]:
    """Return the annotations of GitHub for a run, the worst finding first: one workflow command, a line of
    text, for each finding. If there are more than GitHub shows, the last command says how many are left out.
    Text that comes from a subject is escaped, so that it cannot begin or end a command."""
    complaint_commands = [
        _write_command("error", "baseline", text)
        for subject in report.subjects
        for text in subject.complaints
    ]
    ranked_commands = sorted(_yield_ranked_commands(report), key=lambda ranked_command: ranked_command[0])
    commands = complaint_commands + [command for _, command in ranked_commands]
    if len(commands) <= MAX_COMMANDS:
        return commands
    left_out_count = len(commands) - MAX_COMMANDS + 1
    return [
        *commands[: MAX_COMMANDS - 1],
        _write_command("warning", "spatius-sim", f"{left_out_count} more findings are in the report"),
    ]


def _yield_ranked_commands(report: Report) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield a rank and a workflow command of GitHub, which makes an annotation, for each rule that was broken
    or has no verdict. The worst finding has the lowest rank. Left out are known failures, and rules without a
    verdict that the run is not required to exercise."""
    for rule in report.rules:
        level_rank = _LEVELS.index(rule.level)
        if rule.verdict is Verdict.FAILED and rule.failure is not None and not rule.known:
            text = f"Expected {rule.failure.expected}. Actual: {rule.failure.actual}"
            yield (
                (0 if rule.failure.confirmed else 1, level_rank),
                _write_command("error", _title_of(rule), text),
            )
        elif rule.verdict is Verdict.ERRORED:
            yield (2, level_rank), _write_command("error", rule.id, f"the kit failed: {rule.reason}")
        elif rule.required and rule.verdict in (Verdict.UNEXERCISED, Verdict.INCONCLUSIVE):
            yield (
                (3, level_rank),
                _write_command("warning", rule.id, f"{rule.verdict.lower()}: {rule.reason}"),
            )


def _title_of(rule: JudgedRule) -> str:
    return f"{rule.id} ({rule.level})"


def _write_command(kind: str, title: str, text: str) -> str:
    """Return a workflow command of this kind, such as `error`, in one line."""
    escaped_title = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={escaped_title}::{_escape(harmless_line(text, _MAX_CHARACTERS))}"


def _escape(text: str) -> str:
    """Return the text with those characters escaped that would end a workflow command of GitHub."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
