"""The report as Markdown, for a job summary or a pull request: small, and inert whatever a subject says."""

import re
from collections.abc import Iterable, Sequence

from spatius_sim.reporting.matrix import Change, Matrix
from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Report
from spatius_sim.reporting.wording import HEADLINES, VERDICTS
from spatius_sim.rules.findings import Verdict

LARGEST = 65_536
"""Bytes. A step summary of GitHub holds 1 MiB, a comment some 65,000 characters."""

_SIGNS = {"bad": "❌", "open": "⚠️", "good": "✅", "none": "⚪"}
_STRUCTURE = re.compile(r"[^\w ,-]|_|(?<![A-Za-z0-9])-")
"""All but letters, digits, commas, spaces, and hyphens within words."""


def inert(text: str) -> str:
    """Text that is neither Markdown nor HTML, and links nowhere: whatever could be structure becomes a
    character reference."""
    return _STRUCTURE.sub(lambda found: f"&#{ord(found[0])};", text)


def markdown_report(report: Report, largest: int = LARGEST) -> str:
    """The verdict, what failed, and every rule, cut to `largest` bytes from the end."""
    tone, _, headline = HEADLINES[report.exit_code]
    parts = [f"## {_SIGNS[tone]} spatius-sim: {headline}\n"]
    parts += [_claims(subject, report.of(subject)) for subject in report.subjects]
    parts += [_failure(judged) for judged in report.rules if judged.failure is not None]
    parts += ["### Every rule\n\n| | rule | level | |\n|---|---|---|---|\n", *map(_row, report.rules)]
    return cut(parts, largest)


def markdown_matrix(matrix: Matrix, largest: int = LARGEST) -> str:
    """What changed, then every rule with a column for each report."""
    parts = [f"## spatius-sim: {len(matrix.rows)} rules side by side\n\n"]
    parts += map(_change, matrix.changes)
    parts += [] if matrix.changes else ["Nothing changed.\n"]
    heads = "".join(f" {_code(column.name)} |" for column in matrix.columns)
    parts.append(f"\n| rule |{heads}\n|---|{'---|' * len(matrix.columns)}\n")
    for row in matrix.rows:
        cells = "".join(f" {_sign(verdict) if verdict else 'not judged'} |" for verdict in row.verdicts)
        parts.append(f"| {inert(row.rule.id)} |{cells}\n")
    return cut(parts, largest)


def cut(parts: Sequence[str], largest: int) -> str:
    """As many whole parts as fit into `largest` bytes, and how many do not."""
    kept: list[str] = []
    room = largest - 100
    for number, part in enumerate(parts):
        room -= len(part.encode())
        if room < 0:
            return "".join(kept) + f"\n\n{len(parts) - number} more lines are in the whole report.\n"
        kept.append(part)
    return "".join(kept)


def _claims(subject: JudgedSubject, rules: Iterable[JudgedRule]) -> str:
    counted = [judged.verdict for judged in rules]
    counts = ", ".join(f"{counted.count(v)} {VERDICTS[v][2]}" for v in VERDICTS if v in counted)
    claims = {
        "level": subject.level,
        "profile": subject.profile,
        "wire": subject.wire,
        "kit": subject.kit_version,
        "catalogue": f"revision {subject.catalogue_revision}",
        "seed": str(subject.seed),
    }
    told = ", ".join(f"{name} {_code(value)}" for name, value in claims.items() if value)
    complaints = "".join(f"- the baseline: {_code(complaint)}\n" for complaint in subject.complaints)
    return f"\n**{subject.subject}** {_code(subject.target)}: {counts}\n\n{told}\n\n{complaints}"


def _failure(judged: JudgedRule) -> str:
    failure = judged.failure
    assert failure is not None
    lines = {
        "Expected": failure.expected,
        "Actual": failure.actual,
        "Scenario": failure.scenario,
        "Tape": failure.trace,
        "Repeat": failure.repeat,
    }
    told = "".join(f"- {name}: {_code(text)}\n" for name, text in lines.items() if text)
    return f"\n### {inert(judged.id)} ({judged.level})\n\n{inert(judged.sentence)}\n\n{told}\n"


def _change(change: Change) -> str:
    was = f"{_sign(change.was)} in {_code(change.before)}"
    now = f"{_sign(change.now)} in {_code(change.after)}"
    return f"- **{inert(change.rule_id)}** {was}, {now}\n"


def _row(judged: JudgedRule) -> str:
    remark = judged.failure.actual if judged.failure else judged.reason
    if judged.verdict is Verdict.PASSED:
        remark = f"exercised {judged.exercised} times over {judged.scenarios} scenarios"
    if judged.known:
        remark = f"known: {judged.known}; {remark}"
    return f"| {_sign(judged.verdict)} | {inert(judged.id)} | {judged.level} | {inert(remark)} |\n"


def _sign(verdict: Verdict) -> str:
    tone, _, words, _ = VERDICTS[verdict]
    return f"{_SIGNS[tone]} {words}"


def _code(text: str) -> str:
    """In a code element nobody is mentioned."""
    return f"<code>{inert(text)}</code>"
