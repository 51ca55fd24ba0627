"""Writes the report as Markdown, for a job summary or a pull request: small, and inert whatever a subject
says."""

import re
from collections.abc import Iterable, Sequence

from spatius_sim.reporting.labels import HEADLINES, VERDICTS
from spatius_sim.reporting.matrix import Change, Matrix
from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Report
from spatius_sim.rules.findings import Verdict

LARGEST = 65_536
"""Bytes. A step summary of GitHub holds 1 MiB, a comment some 65,000 characters."""

_SIGNS = {"bad": "❌", "open": "⚠️", "good": "✅", "none": "⚪"}
_STRUCTURE = re.compile(r"[^\w ,-]|_|(?<![A-Za-z0-9])-")
"""Matches every character but letters, digits, commas, spaces, and hyphens within words."""


def inert(text: str) -> str:
    """Make a text neither Markdown nor HTML, so that it links nowhere: each character that could be structure
    becomes a character reference."""
    return _STRUCTURE.sub(lambda found: f"&#{ord(found[0])};", text)


def markdown_report(report: Report, largest: int = LARGEST) -> str:
    """Write the verdict, the failures, and every rule; cut the end if there are more than `largest` bytes."""
    tone, _, headline = HEADLINES[report.exit_code]
    parts = [f"## {_SIGNS[tone]} spatius-sim: {headline}\n"]
    parts += [_write_claims(subject, report.rules_for(subject)) for subject in report.subjects]
    parts += [_write_failure(judged) for judged in report.rules if judged.failure is not None]
    parts += ["### Every rule\n\n| | rule | level | |\n|---|---|---|---|\n", *map(_write_row, report.rules)]
    return cut(parts, largest)


def markdown_matrix(matrix: Matrix, largest: int = LARGEST) -> str:
    """Write what changed, then every rule with a column for each report."""
    parts = [f"## spatius-sim: {len(matrix.rows)} rules side by side\n\n"]
    parts += map(_write_change, matrix.changes)
    parts += [] if matrix.changes else ["Nothing changed.\n"]
    heads = "".join(f" {_as_code(column.name)} |" for column in matrix.columns)
    parts.append(f"\n| rule |{heads}\n|---|{'---|' * len(matrix.columns)}\n")
    for row in matrix.rows:
        cells = "".join(f" {_sign(verdict) if verdict else 'not judged'} |" for verdict in row.verdicts)
        parts.append(f"| {inert(row.rule.id)} |{cells}\n")
    return cut(parts, largest)


def cut(parts: Sequence[str], largest: int) -> str:
    """Join as many whole parts as fit into `largest` bytes, and say how many do not."""
    kept: list[str] = []
    room = largest - 100
    for number, part in enumerate(parts):
        room -= len(part.encode())
        if room < 0:
            return "".join(kept) + f"\n\n{len(parts) - number} more lines are in the whole report.\n"
        kept.append(part)
    return "".join(kept)


def _write_claims(subject: JudgedSubject, rules: Iterable[JudgedRule]) -> str:
    """Write what the run claims of one subject."""
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
    listed = ", ".join(f"{name} {_as_code(value)}" for name, value in claims.items() if value)
    complaints = "".join(f"- the baseline: {_as_code(complaint)}\n" for complaint in subject.complaints)
    return f"\n**{subject.subject}** {_as_code(subject.target)}: {counts}\n\n{listed}\n\n{complaints}"


def _write_failure(judged: JudgedRule) -> str:
    """Write one failure."""
    failure = judged.failure
    assert failure is not None
    lines = {
        "Expected": failure.expected,
        "Actual": failure.actual,
        "Scenario": failure.scenario,
        "Tape": failure.trace,
        "Repeat": failure.repeat,
    }
    facts = "".join(f"- {name}: {_as_code(text)}\n" for name, text in lines.items() if text)
    return f"\n### {inert(judged.id)} ({judged.level})\n\n{inert(judged.sentence)}\n\n{facts}\n"


def _write_change(change: Change) -> str:
    was = f"{_sign(change.was)} in {_as_code(change.before)}"
    now = f"{_sign(change.now)} in {_as_code(change.after)}"
    return f"- **{inert(change.rule_id)}** {was}, {now}\n"


def _write_row(judged: JudgedRule) -> str:
    """Write one rule as a row of the table."""
    remark = judged.failure.actual if judged.failure else judged.reason
    if judged.verdict is Verdict.PASSED:
        remark = f"exercised {judged.exercised} times over {judged.scenarios} scenarios"
    if judged.known:
        remark = f"known: {judged.known}; {remark}"
    return f"| {_sign(judged.verdict)} | {inert(judged.id)} | {judged.level} | {inert(remark)} |\n"


def _sign(verdict: Verdict) -> str:
    tone, _, words, _ = VERDICTS[verdict]
    return f"{_SIGNS[tone]} {words}"


def _as_code(text: str) -> str:
    """Put a text into a code element: so it cannot mention anybody."""
    return f"<code>{inert(text)}</code>"
