"""Reads baseline files, and updates them line by line, so that what people wrote there stays. Every error
names file, line and key.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from spatius_sim.files.write_whole_file import write_whole
from spatius_sim.files.yaml_file import YamlFile, read_bytes
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.compare_with_baseline import Baseline, KnownFailure
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules import catalogue
from spatius_sim.rules.findings import Verdict

FAILURES, FLAKY = "known-failures", "known-flaky"
LIFE_OF_A_NEW_ENTRY = timedelta(days=90)
"""How long an entry is tolerated that an update wrote."""
_KEYS = {
    "reason": "why this is known and not mended yet",
    "fails-with": "the report's Actual, or a list of several; numbers are alike, and * is anything",
    "issue": "where it is tracked",
    "expires": "the last day on which it is tolerated, YYYY-MM-DD",
}
"""The keys of an entry, and what each means."""
_REQUIRED_KEYS = ["reason", "fails-with"]
_NEW_FILE = f"""\
# Failures that we know of. A new one fails the run, and so does an entry that passes, fails otherwise or has
# expired. What fails only sometimes stands under {FLAKY}.
"""


def read_baseline(path: Path, *subjects: str) -> Baseline:
    """Return the known failures in a baseline file, whose rules must judge subjects of these kinds. Raises
    UsageError if the file is wrong."""
    return _BaselineReader(str(path)).parse_baseline(read_bytes(path), *subjects)


@dataclass(frozen=True, slots=True)
class Update:
    """What an update changed, by rule id: entries that were `added`, entries that were `removed`, and entries
    that were `changed` because the rule fails in another way now."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __str__(self) -> str:
        """Return the changes of the baseline in one line."""
        parts = {"added": self.added, "removed": self.removed, "changed": self.changed}
        changes = [f"{change} {', '.join(rules)}" for change, rules in parts.items() if rules]
        return "; ".join(changes) or "nothing changed"


def update_baseline(path: Path, outcomes: Iterable[RuleOutcome], subject: str, today: date) -> Update:
    """Bring the entries of a baseline file for this subject up to date with the outcomes of a whole run, and
    return what was changed. If the file is missing, make it. Keep expired and flaky entries: people decide
    about them. Raises UsageError if the file is wrong, and OSError, with the file as it was before, if it
    cannot be written."""
    text = path.read_text(encoding="utf-8") if path.exists() else _NEW_FILE
    reader = _BaselineReader(str(path))
    known = reader.parse_baseline(text.encode(), subject).known
    update = Update([], [], [])
    edits = _TextEdits(str(path), text)
    new_lines: list[str] = []
    for outcome in outcomes:
        entry = known.get(outcome.rule_id)
        failure = outcome.failure if outcome.verdict is Verdict.FAILED else None
        if entry is None and failure is not None:
            update.added.append(outcome.rule_id)
            new_lines += _new_entry_lines(outcome.rule_id, failure.actual, today)
        elif entry is None or entry.flaky:
            continue
        elif outcome.verdict is Verdict.PASSED:
            update.removed.append(outcome.rule_id)
            edits.remove_lines(entry.line, entry.last_line)
        elif failure is not None and not entry.covers(failure.actual):
            update.changed.append(outcome.rule_id)
            edits.replace(reader.fails_with_nodes[outcome.rule_id], _quote_yaml(failure.actual))
    if new_lines:
        edits.append(reader.failures_section, [f"{reader.indent}{line}" for line in new_lines])
    write_whole(path.resolve(), edits.apply())
    return update


def baseline_schema() -> dict[str, Any]:
    """Return the JSON Schema of a baseline file. An editor that knows it helps people to edit the file."""
    text = {"type": "string"}
    properties: dict[str, Any] = {key: text | {"description": meaning} for key, meaning in _KEYS.items()}
    properties["fails-with"] = {
        "description": _KEYS["fails-with"],
        "oneOf": [text, {"type": "array", "items": text, "minItems": 1}],
    }
    properties["expires"]["format"] = "date"
    entry = {
        "type": "object",
        "properties": properties,
        "required": _REQUIRED_KEYS,
        "additionalProperties": False,
    }
    entries = {
        "type": ["object", "null"],
        "propertyNames": {"enum": list(catalogue.RULES)},
        "additionalProperties": entry,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "baseline of spatius-sim",
        "type": "object",
        "properties": {FAILURES: entries, FLAKY: entries},
        "additionalProperties": False,
    }


def _new_entry_lines(rule_id: str, actual: str, today: date) -> list[str]:
    """Return the YAML lines for a failure that is new in the baseline file, with `actual` as its
    `fails-with`."""
    return [
        f"{rule_id}:",
        f"  reason: not explained yet; first seen on {today}",
        f"  fails-with: {_quote_yaml(actual)}",
        f"  expires: {today + LIFE_OF_A_NEW_ENTRY}",
    ]


def _quote_yaml(text: str) -> str:
    """Return the text as a quoted YAML string, which is the same in JSON."""
    return json.dumps(text, ensure_ascii=False)


class _BaselineReader(YamlFile):
    """Reads a baseline, and remembers for a later edit where its parts stand.

    `failures_section` is the section of known failures, key and value. `fails_with_nodes` are the values of
    `fails-with`, by rule id. `indent` is the space before an entry.
    """

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.indent = "  "
        self.failures_section: tuple[Node, Node] | None = None
        self.fails_with_nodes: dict[str, Node] = {}

    def parse_baseline(self, raw: bytes, *subjects: str) -> Baseline:
        """Return the baseline in these bytes of a file, and remember where its entries stand. Raises
        UsageError if the YAML is wrong, or has an entry for a rule that judges none of these kinds of
        subject."""
        root = self.root(raw)
        known: dict[str, KnownFailure] = {}
        sections = {} if root is None else self.items(root, "the file", (FAILURES, FLAKY))
        for section, (key, node) in sections.items():
            entries = {} if isinstance(node, ScalarNode) and not node.value else self.items(node, section)
            if section == FAILURES:
                self.failures_section = (key, node)
            for rule_id, (rule_key, entry) in entries.items():
                self._check_rule(rule_key, rule_id, subjects)
                if rule_id in known:
                    raise self.error(rule_key, f"{rule_id} stands in both {FAILURES} and {FLAKY}")
                known[rule_id] = self._read_known_failure(rule_id, rule_key, entry, flaky=section == FLAKY)
                self.indent = " " * rule_key.start_mark.column
        return Baseline(self.place, known)

    def _check_rule(self, rule_key: Node, rule_id: str, subjects: Sequence[str]) -> None:
        """Check the rule that an entry of the baseline file names. Raises UsageError if there is no such
        rule, or if it judges none of these kinds of subject."""
        if rule_id not in catalogue.RULES:
            raise self.error(rule_key, f"no rule has the id {rule_id!r}")
        judged_kind = catalogue.find_rule(rule_id).subject
        if judged_kind not in subjects:
            raise self.error(
                rule_key, f"{rule_id} is a rule for a {judged_kind}, not for a {' or a '.join(subjects)}"
            )

    def _read_known_failure(self, rule_id: str, rule_key: Node, entry: Node, *, flaky: bool) -> KnownFailure:
        """Read the entry of one rule in the baseline file, and return the known failure with its line
        numbers, which are needed to edit the file. Raises UsageError if a key is missing or a value is
        wrong."""
        parts = self.items(entry, rule_id, _KEYS)
        for key in _REQUIRED_KEYS:
            if key not in parts:
                raise self.error(rule_key, f"{rule_id}: {key} is missing: {_KEYS[key]}")
        fails_with_key, fails_with = parts["fails-with"]
        patterns = fails_with.value if isinstance(fails_with, SequenceNode) else [fails_with]
        self.fails_with_nodes[rule_id] = fails_with
        expires_key, expires = parts.get("expires", (rule_key, None))
        _, reason = parts["reason"]
        _, issue = parts.get("issue", (rule_key, None))
        return KnownFailure(
            rule_id,
            self._non_empty_text(reason, "reason"),
            tuple(self._non_empty_text(pattern, "fails-with") for pattern in patterns),
            "" if issue is None else self.text(issue, "issue"),
            None if expires is None else self._read_date(expires),
            flaky,
            rule_key.start_mark.line + 1,
            _last_line(entry),
            fails_with_key.start_mark.line + 1,
            expires_key.start_mark.line + 1,
        )

    def _non_empty_text(self, node: Node, key: str) -> str:
        """Return the text that stands at this key of an entry in the baseline file, such as its reason.
        Raises UsageError, with the place in the file, if the text is blank."""
        text = self.text(node, key)
        if not text.strip():
            raise self.error(node, f"{key} says nothing: {_KEYS[key]}")
        return text

    def _read_date(self, node: Node) -> date:
        """Return the day on which an entry of the baseline file expires. Raises UsageError if the text there
        is not a day."""
        text = self.text(node, "expires")
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise self.error(node, f"expires must be a day, YYYY-MM-DD, not {text!r}") from error


class _TextEdits:
    """Collects edits of the text of a baseline file, each by its place in the original text. `apply` makes
    them all at once."""

    def __init__(self, place: str, text: str) -> None:
        """Begin without edits of this text; `place` names the baseline file in errors."""
        self._place = place
        self._text = text if text.endswith("\n") or not text else f"{text}\n"
        self._line_starts = [0]
        for line in self._text.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._edits: list[tuple[int, int, str]] = []

    def remove_lines(self, first: int, last: int) -> None:
        """Remove the lines of the file from `first` to `last`, counted from 1."""
        self._edits.append((self._line_starts[first - 1], self._line_starts[last], ""))

    def replace(self, node: Node, new: str) -> None:
        """Put a new text in the place of a YAML node."""
        self._edits.append((node.start_mark.index, _last_leaf(node).end_mark.index, new))

    def append(self, section: tuple[Node, Node] | None, lines: Sequence[str]) -> None:
        """Add lines at the end of the section of known failures of a baseline file. If there is no section,
        write it at the end of the file. Raises UsageError if its entries stand in braces, not line by line.
        """
        block = "".join(f"{line}\n" for line in lines)
        if section is None:
            self._edits.append((len(self._text), len(self._text), f"{FAILURES}:\n{block}"))
            return
        key, node = section
        if isinstance(node, MappingNode) and node.flow_style:
            if node.value:
                line = node.start_mark.line + 1
                raise UsageError(
                    f"{self._place}:{line}: write the entries below each other to have them updated"
                )
            self._edits.append((node.start_mark.index, node.end_mark.index, ""))
        end = self._line_starts[_last_line(node) if isinstance(node, MappingNode) else key.end_mark.line + 1]
        self._edits.append((end, end, block))

    def apply(self) -> str:
        """Return the text of the baseline file with all edits. The edit nearest to the end is made first,
        so that the offsets of the others stay valid."""
        text = self._text
        for start, end, new in sorted(self._edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text


def _last_leaf(node: Node) -> Node:
    """Return the last value inside a YAML block of a baseline file, however deep. Its end mark is exact;
    the end mark of the block itself comes only after the blank lines that follow."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_leaf(last[1] if isinstance(node, MappingNode) else last)
    return node


def _last_line(node: Node) -> int:
    """Return the number of the last line of a YAML node in a baseline file, counted from 1."""
    end = _last_leaf(node).end_mark
    return int(end.line) if end.column == 0 else int(end.line) + 1
