"""Writes the report as Markdown, for a job summary or a pull request. The report is small, and no text of a
subject can become Markdown or HTML in it."""

import re
from collections.abc import Iterable, Sequence

from spatius_sim.reporting.report import JudgedRule, JudgedSubject, Occasion, Report
from spatius_sim.reporting.report_matrix import Change, Matrix
from spatius_sim.reporting.verdict_labels import HEADLINES, VERDICTS
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.rule import Advice

MAX_BYTES = 65_536
"""Bytes. A step summary of GitHub holds 1 MiB, a comment some 65,000 characters."""

_BYTES_FOR_NOTE = 100
"""Bytes for the last line of a report that was cut."""

_SIGNS = {"bad": "❌", "open": "⚠️", "good": "✅", "none": "⚪"}
_STRUCTURE = re.compile(r"[^\w ,-]|_|(?<![A-Za-z0-9])-")
"""Matches every character but letters, digits, commas, spaces, and hyphens within words."""


def escape_markdown(text: str) -> str:
    """Return a text that is neither Markdown nor HTML: each character that could be structure becomes a
    character reference."""
    return _STRUCTURE.sub(lambda match: f"&#{ord(match[0])};", text)


def markdown_report(report: Report, max_bytes: int = MAX_BYTES) -> str:
    """Return the report as Markdown: the verdict, what the run claims, the failures, and a table of all
    rules. If it is longer than `max_bytes`, leave out the end."""
    tone, _, headline = HEADLINES[report.exit_code]
    parts = [f"## {_SIGNS[tone]} spatius-sim: {headline}\n"]
    parts += [_describe_subject(subject, report.rules_for(subject)) for subject in report.subjects]
    parts += _describe_occasion(report.occasion)
    parts += [_describe_failure(rule) for rule in report.rules if rule.failure is not None]
    parts += [
        "### Every rule\n\n| | rule | level | |\n|---|---|---|---|\n",
        *map(_make_table_row, report.rules),
    ]
    return join_fitting_parts(parts, max_bytes)


def _describe_occasion(occasion: Occasion) -> list[str]:
    """Return the line of the Markdown report about the occasion of the run: when it was made, how long it
    took, from which commit, and by which command. Return an empty list if the time is not known."""
    if not occasion.began:
        return []
    commit = f", commit {escape_markdown(occasion.commit)}" if occasion.commit else ""
    when = f"{escape_markdown(occasion.began)}, {occasion.seconds:.0f} s{commit}"
    return [f"\n{when}: {_as_code(occasion.command)}\n\n"]


def markdown_matrix(matrix: Matrix, max_bytes: int = MAX_BYTES) -> str:
    """Return the matrix of several reports as Markdown. What changed comes first, then a table with a row for
    each rule and a column for each subject. If it is longer than `max_bytes`, leave out the end."""
    parts = [f"## spatius-sim: {len(matrix.rows)} rules side by side\n\n"]
    parts += map(_describe_change, matrix.changes)
    parts += [] if matrix.changes else ["Nothing changed.\n"]
    column_heads = "".join(f" {_as_code(column.name)} |" for column in matrix.columns)
    parts.append(f"\n| rule |{column_heads}\n|---|{'---|' * len(matrix.columns)}\n")
    for row in matrix.rows:
        cells = "".join(
            f" {_sign_and_words(verdict) if verdict else 'not judged'} |" for verdict in row.verdicts
        )
        parts.append(f"| {escape_markdown(row.rule.id)} |{cells}\n")
    return join_fitting_parts(parts, max_bytes)


def join_fitting_parts(parts: Sequence[str], max_bytes: int) -> str:
    """Join the first parts of a Markdown report, as many whole parts as fit into `max_bytes`. If some do not
    fit, the last line counts them; it calls them lines, because nearly all of them are rows of the table."""
    fitting: list[str] = []
    bytes_left = max_bytes - _BYTES_FOR_NOTE
    for number, part in enumerate(parts):
        bytes_left -= len(part.encode())
        if bytes_left < 0:
            return "".join(fitting) + f"\n\n{len(parts) - number} more lines are in the whole report.\n"
        fitting.append(part)
    return "".join(fitting)


def _describe_subject(subject: JudgedSubject, rules: Iterable[JudgedRule]) -> str:
    """Return the part of the Markdown report about one subject. It tells how many rules have which verdict,
    the settings of the run, and what is wrong with the subject's baseline."""
    verdicts = [rule.verdict for rule in rules]
    counts = ", ".join(
        f"{verdicts.count(verdict)} {verdict_words}"
        for verdict, (_, _, verdict_words, _) in VERDICTS.items()
        if verdict in verdicts
    )
    settings = {
        "level": subject.level,
        "profile": subject.profile,
        "wire": subject.wire,
        "kit": subject.kit_version,
        "catalogue": f"revision {subject.catalogue_revision}",
        "seed": str(subject.seed),
    }
    settings_text = ", ".join(f"{name} {_as_code(value)}" for name, value in settings.items() if value)
    complaints = "".join(f"- the baseline: {_as_code(complaint)}\n" for complaint in subject.complaints)
    return f"\n**{subject.subject}** {_as_code(subject.target)}: {counts}\n\n{settings_text}\n\n{complaints}"


def _describe_failure(rule: JudgedRule) -> str:
    """Return the part of the Markdown report about the failure of one rule: the rule, and one fact in each
    line, among them what a user notices (`advice.effect`) and how to repair it (`advice.mend`). The rule must
    have a failure."""
    failure = rule.failure
    assert failure is not None
    advice = rule.advice or Advice("", "", "")
    text_by_label = {
        "Seen as": advice.effect,
        "Expected": failure.expected,
        "Actual": failure.actual,
        "Likely": advice.cause,
        "Mend it": advice.mend,
        "Scenario": failure.scenario,
        "Tape": failure.trace,
        "Repeat": failure.repeat,
    }
    facts = "".join(f"- {label}: {_as_code(text)}\n" for label, text in text_by_label.items() if text)
    title = f"{escape_markdown(rule.id)} ({rule.level})"
    return f"\n### {title}\n\n{escape_markdown(rule.sentence)}\n\n{facts}\n"


def _describe_change(change: Change) -> str:
    """Return one change of a rule as an item of a Markdown list."""
    was = f"{_sign_and_words(change.was)} in {_as_code(change.before)}"
    now = f"{_sign_and_words(change.now)} in {_as_code(change.after)}"
    return f"- **{escape_markdown(change.rule_id)}** {was}, {now}\n"


def _make_table_row(rule: JudgedRule) -> str:
    """Return the row of a rule for the table in the Markdown report. Its last cell says how often a passed
    rule was exercised, what happened in a failure, or else why there is no verdict."""
    remark = rule.failure.actual if rule.failure else rule.reason
    if rule.verdict is Verdict.PASSED:
        remark = f"exercised {rule.exercised} times over {rule.scenarios} scenarios"
    if rule.known:
        remark = f"known: {rule.known}; {remark}"
    rule_cells = f"{escape_markdown(rule.id)} | {rule.level}"
    return f"| {_sign_and_words(rule.verdict)} | {rule_cells} | {escape_markdown(remark)} |\n"


def _sign_and_words(verdict: Verdict) -> str:
    """Return the sign and the words for a verdict."""
    tone, _, words, _ = VERDICTS[verdict]
    return f"{_SIGNS[tone]} {words}"


def _as_code(text: str) -> str:
    """Return the text in a code element, so that an @name in the text notifies nobody."""
    return f"<code>{escape_markdown(text)}</code>"
