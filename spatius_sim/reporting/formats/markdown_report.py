"""Writes the report as Markdown, for a job summary or a pull request. The report is small, and no text of a
subject can become Markdown or HTML in it."""

import re
from collections.abc import Iterable, Sequence

from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Occasion, Report
from spatius_sim.reporting.report_matrix import Change, Matrix
from spatius_sim.reporting.verdict_labels import HEADLINES, VERDICTS
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Advice

LARGEST = 65_536
"""Bytes. A step summary of GitHub holds 1 MiB, a comment some 65,000 characters."""

_ROOM_FOR_NOTE = 100
"""Bytes for the last line of a report that was cut."""

_SIGNS = {"bad": "❌", "open": "⚠️", "good": "✅", "none": "⚪"}
_STRUCTURE = re.compile(r"[^\w ,-]|_|(?<![A-Za-z0-9])-")
"""Matches every character but letters, digits, commas, spaces, and hyphens within words."""


def escape_markdown(text: str) -> str:
    """Return a text that is neither Markdown nor HTML: each character that could be structure becomes a
    character reference."""
    return _STRUCTURE.sub(lambda match: f"&#{ord(match[0])};", text)


def markdown_report(report: Report, largest: int = LARGEST) -> str:
    """Return the report as Markdown: the verdict, the failures, and every rule. The end is left out if
    there are more than `largest` bytes."""
    tone, _, headline = HEADLINES[report.exit_code]
    parts = [f"## {_SIGNS[tone]} spatius-sim: {headline}\n"]
    parts += [_write_claims(subject, report.rules_for(subject)) for subject in report.subjects]
    parts += _write_occasion(report.occasion)
    parts += [_write_failure(judged) for judged in report.rules if judged.failure is not None]
    parts += ["### Every rule\n\n| | rule | level | |\n|---|---|---|---|\n", *map(_write_row, report.rules)]
    return join_fitting_parts(parts, largest)


def _write_occasion(occasion: Occasion) -> list[str]:
    """Write the line of the Markdown report that says when the run was made, how long it took, from which
    commit, and by which command. Return no line if this is not known."""
    if not occasion.began:
        return []
    commit = f", commit {escape_markdown(occasion.commit)}" if occasion.commit else ""
    when = f"{escape_markdown(occasion.began)}, {occasion.seconds:.0f} s{commit}"
    return [f"\n{when}: {_as_code(occasion.command)}\n\n"]


def markdown_matrix(matrix: Matrix, largest: int = LARGEST) -> str:
    """Return the matrix of several reports in Markdown, at most `largest` bytes long: first what changed,
    then every rule with a column for each subject."""
    parts = [f"## spatius-sim: {len(matrix.rows)} rules side by side\n\n"]
    parts += map(_write_change, matrix.changes)
    parts += [] if matrix.changes else ["Nothing changed.\n"]
    heads = "".join(f" {_as_code(column.name)} |" for column in matrix.columns)
    parts.append(f"\n| rule |{heads}\n|---|{'---|' * len(matrix.columns)}\n")
    for row in matrix.rows:
        cells = "".join(f" {_sign(verdict) if verdict else 'not judged'} |" for verdict in row.verdicts)
        parts.append(f"| {escape_markdown(row.rule.id)} |{cells}\n")
    return join_fitting_parts(parts, largest)


def join_fitting_parts(parts: Sequence[str], largest: int) -> str:
    """Join as many whole parts of a Markdown report as fit into `largest` bytes, and say at the end how
    many do not fit."""
    fitting: list[str] = []
    bytes_left = largest - _ROOM_FOR_NOTE
    for number, part in enumerate(parts):
        bytes_left -= len(part.encode())
        if bytes_left < 0:
            return "".join(fitting) + f"\n\n{len(parts) - number} more lines are in the whole report.\n"
        fitting.append(part)
    return "".join(fitting)


def _write_claims(subject: JudgedSubject, rules: Iterable[JudgedRule]) -> str:
    """Write the part of the Markdown report about one subject: how many rules have which verdict, what the
    run claims of the subject, and what is wrong with its baseline. Return the text."""
    verdicts = [judged.verdict for judged in rules]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {words}"
        for verdict, (_, _, words, _) in VERDICTS.items()
        if verdict in verdicts
    )
    claims = {
        "level": subject.level,
        "profile": subject.profile,
        "wire": subject.wire,
        "kit": subject.kit_version,
        "catalogue": f"revision {subject.catalogue_revision}",
        "seed": str(subject.seed),
    }
    claims_text = ", ".join(f"{name} {_as_code(value)}" for name, value in claims.items() if value)
    complaints = "".join(f"- the baseline: {_as_code(complaint)}\n" for complaint in subject.complaints)
    return f"\n**{subject.subject}** {_as_code(subject.target)}: {counts}\n\n{claims_text}\n\n{complaints}"


def _write_failure(judged: JudgedRule) -> str:
    """Return the failure of a rule as Markdown. The rule must have one."""
    failure = judged.failure
    assert failure is not None
    advice = judged.advice or Advice("", "", "")
    lines = {
        "Seen as": advice.effect,
        "Expected": failure.expected,
        "Actual": failure.actual,
        "Likely": advice.cause,
        "Mend it": advice.mend,
        "Scenario": failure.scenario,
        "Tape": failure.trace,
        "Repeat": failure.repeat,
    }
    facts = "".join(f"- {name}: {_as_code(text)}\n" for name, text in lines.items() if text)
    title = f"{escape_markdown(judged.id)} ({judged.level})"
    return f"\n### {title}\n\n{escape_markdown(judged.sentence)}\n\n{facts}\n"


def _write_change(change: Change) -> str:
    """Return one change of a rule as an item of a Markdown list."""
    was = f"{_sign(change.was)} in {_as_code(change.before)}"
    now = f"{_sign(change.now)} in {_as_code(change.after)}"
    return f"- **{escape_markdown(change.rule_id)}** {was}, {now}\n"


def _write_row(judged: JudgedRule) -> str:
    """Return one rule as a row of a Markdown table: with its counts if it passed, or else with what
    happened or why it was not judged."""
    remark = judged.failure.actual if judged.failure else judged.reason
    if judged.verdict is Verdict.PASSED:
        remark = f"exercised {judged.exercised} times over {judged.scenarios} scenarios"
    if judged.known:
        remark = f"known: {judged.known}; {remark}"
    rule = f"{escape_markdown(judged.id)} | {judged.level}"
    return f"| {_sign(judged.verdict)} | {rule} | {escape_markdown(remark)} |\n"


def _sign(verdict: Verdict) -> str:
    """Return the sign and the words for a verdict."""
    tone, _, words, _ = VERDICTS[verdict]
    return f"{_SIGNS[tone]} {words}"


def _as_code(text: str) -> str:
    """Return the text in a code element, so that an @name in the text notifies nobody."""
    return f"<code>{escape_markdown(text)}</code>"
