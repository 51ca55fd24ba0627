"""Baseline files: read with errors that name file, line and key, and brought up to date line by line, so that
what people wrote there stays.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from spatius_sim.files.yaml_file import YamlFile, read_bytes
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.baseline import Baseline, KnownFailure
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules import catalogue
from spatius_sim.rules.findings import Verdict

FAILURES, FLAKY = "known-failures", "known-flaky"
LIFE_OF_A_NEW_ENTRY = timedelta(days=90)
_KEYS = {
    "reason": "why this is known and not mended yet",
    "fails-with": "the report's Actual, or a list of several; numbers are alike, and * is anything",
    "issue": "where it is tracked",
    "expires": "the last day on which it is tolerated, YYYY-MM-DD",
}
_NEEDED = ["reason", "fails-with"]
_NEW_FILE = f"""\
# Failures that we know of. A new one fails the run, and so does an entry that passes, fails otherwise or has
# expired. What fails only sometimes stands under {FLAKY}.
"""


def read_baseline(path: Path, *subjects: str) -> Baseline:
    """The entries for subjects of these kinds; raises UsageError that names file, line and key."""
    return _Reader(str(path)).baseline(read_bytes(path), *subjects)


@dataclass(frozen=True, slots=True)
class Update:
    """The rules that came into a baseline, those that went, and those that fail otherwise now."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __str__(self) -> str:
        parts = {"added": self.added, "removed": self.removed, "changed": self.changed}
        told = [f"{what} {', '.join(rules)}" for what, rules in parts.items() if rules]
        return "; ".join(told) or "nothing changed"


def update_baseline(path: Path, outcomes: Iterable[RuleOutcome], subject: str, today: date) -> Update:
    """Bring the file up to date with a whole run; it is made if it does not exist. What has expired stays
    so, and what is flaky stays: these are for people to decide. Raises UsageError as `read_baseline` does,
    and OSError if it cannot be written: the file is as it was then."""
    text = path.read_text(encoding="utf-8") if path.exists() else _NEW_FILE
    reader = _Reader(str(path))
    known = reader.baseline(text.encode(), subject).known
    update = Update([], [], [])
    editing = _Editing(str(path), text)
    new: list[str] = []
    for outcome in outcomes:
        entry = known.get(outcome.rule_id)
        failure = outcome.failure if outcome.verdict is Verdict.FAILED else None
        if entry is None and failure is not None:
            update.added.append(outcome.rule_id)
            new += _new_entry_lines(outcome.rule_id, failure.actual, today)
        elif entry is None or entry.flaky:
            continue
        elif outcome.verdict is Verdict.PASSED:
            update.removed.append(outcome.rule_id)
            editing.remove_lines(entry.line, entry.last_line)
        elif failure is not None and not entry.covers(failure.actual):
            update.changed.append(outcome.rule_id)
            editing.replace(reader.ways[outcome.rule_id], _quote_yaml(failure.actual))
    if new:
        editing.append(reader.failures, [f"{reader.indent}{line}" for line in new])
    _write_whole(path.resolve(), editing.done())
    return update


def _write_whole(path: Path, text: str) -> None:
    """All of it or nothing: a full disk must not cost what people wrote there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def baseline_schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors."""
    text = {"type": "string"}
    properties: dict[str, Any] = {key: text | {"description": told} for key, told in _KEYS.items()}
    properties["fails-with"] = {
        "description": _KEYS["fails-with"],
        "oneOf": [text, {"type": "array", "items": text, "minItems": 1}],
    }
    properties["expires"]["format"] = "date"
    entry = {
        "type": "object",
        "properties": properties,
        "required": _NEEDED,
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
    """Return the YAML lines of a failure that is new in the baseline."""
    return [
        f"{rule_id}:",
        f"  reason: not explained yet; first seen on {today}",
        f"  fails-with: {_quote_yaml(actual)}",
        f"  expires: {today + LIFE_OF_A_NEW_ENTRY}",
    ]


def _quote_yaml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


class _Reader(YamlFile):
    """Remembers where things stand, for those who edit: `failures` is the section of that name, key and
    value, `ways` the values of fails-with."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.indent = "  "
        self.failures: tuple[Node, Node] | None = None
        self.ways: dict[str, Node] = {}

    def baseline(self, raw: bytes, *subjects: str) -> Baseline:
        """Read the whole file, and remember where its entries stand; raises UsageError as the module says."""
        root = self.root(raw)
        known: dict[str, KnownFailure] = {}
        sections = {} if root is None else self.items(root, "the file", (FAILURES, FLAKY))
        for section, (key, node) in sections.items():
            entries = {} if isinstance(node, ScalarNode) and not node.value else self.items(node, section)
            if section == FAILURES:
                self.failures = (key, node)
            for rule_id, (at, entry) in entries.items():
                self._check_rule(at, rule_id, subjects)
                if rule_id in known:
                    raise self.error(at, f"{rule_id} stands in both {FAILURES} and {FLAKY}")
                known[rule_id] = self._read_known_failure(rule_id, at, entry, flaky=section == FLAKY)
                self.indent = " " * at.start_mark.column
        return Baseline(self.place, known)

    def _check_rule(self, at: Node, rule_id: str, subjects: Sequence[str]) -> None:
        if rule_id not in catalogue.RULES:
            raise self.error(at, f"no rule has the id {rule_id!r}")
        judged = catalogue.find_rule(rule_id).subject
        if judged not in subjects:
            raise self.error(at, f"{rule_id} is a rule for a {judged}, not for a {' or a '.join(subjects)}")

    def _read_known_failure(self, rule_id: str, at: Node, entry: Node, *, flaky: bool) -> KnownFailure:
        """Read one entry, with the lines of its parts."""
        parts = self.items(entry, rule_id, _KEYS)
        for key in _NEEDED:
            if key not in parts:
                raise self.error(at, f"{rule_id}: {key} is missing: {_KEYS[key]}")
        at_way, way = parts["fails-with"]
        ways = way.value if isinstance(way, SequenceNode) else [way]
        self.ways[rule_id] = way
        at_expiry, expiry = parts.get("expires", (at, None))
        issue = parts.get("issue")
        return KnownFailure(
            rule_id,
            self._non_empty_text(parts["reason"][1], "reason"),
            tuple(self._non_empty_text(one, "fails-with") for one in ways),
            self.text(issue[1], "issue") if issue else "",
            None if expiry is None else self._read_date(expiry),
            flaky,
            at.start_mark.line + 1,
            _last_line(entry),
            at_way.start_mark.line + 1,
            at_expiry.start_mark.line + 1,
        )

    def _non_empty_text(self, node: Node, key: str) -> str:
        text = self.text(node, key)
        if not text.strip():
            raise self.error(node, f"{key} says nothing: {_KEYS[key]}")
        return text

    def _read_date(self, node: Node) -> date:
        text = self.text(node, "expires")
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise self.error(node, f"expires must be a day, YYYY-MM-DD, not {text!r}") from error


class _Editing:
    """Changes to a text by its positions; all are made at once at the end."""

    def __init__(self, place: str, text: str) -> None:
        self._place = place
        self._text = text if text.endswith("\n") or not text else f"{text}\n"
        self._starts = [0]
        for line in self._text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._edits: list[tuple[int, int, str]] = []

    def remove_lines(self, first: int, last: int) -> None:
        self._edits.append((self._starts[first - 1], self._starts[last], ""))

    def replace(self, node: Node, new: str) -> None:
        self._edits.append((node.start_mark.index, _last_leaf(node).end_mark.index, new))

    def append(self, section: tuple[Node, Node] | None, lines: Sequence[str]) -> None:
        """Add lines at the end of the section; without one, write a section at the end of the file."""
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
        end = self._starts[_last_line(node) if isinstance(node, MappingNode) else key.end_mark.line + 1]
        self._edits.append((end, end, block))

    def done(self) -> str:
        text = self._text
        for start, end, new in sorted(self._edits, reverse=True):
            text = text[:start] + new + text[end:]
        return text


def _last_leaf(node: Node) -> Node:
    """The node with which a block ends: the block's own end mark stands after the blank lines that follow."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_leaf(last[1] if isinstance(node, MappingNode) else last)
    return node


def _last_line(node: Node) -> int:
    end = _last_leaf(node).end_mark
    return int(end.line) if end.column == 0 else int(end.line) + 1
