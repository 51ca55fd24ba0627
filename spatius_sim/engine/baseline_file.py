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

from spatius_sim.files.write_whole_file import write_file_atomically
from spatius_sim.files.yaml_file import YamlFile, read_yaml_bytes
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.compare_with_baseline import Baseline, KnownFailure
from spatius_sim.reporting.summary import RuleOutcome
from spatius_sim.rules import catalogue
from spatius_sim.rules.findings import Verdict

FAILURES_KEY, FLAKY_KEY = "known-failures", "known-flaky"
LIFE_OF_A_NEW_ENTRY = timedelta(days=90)
"""How long an entry is tolerated that an update wrote."""
_MEANING_BY_KEY = {
    "reason": "why this is known and not mended yet",
    "fails-with": "the report's Actual, or a list of several; numbers are alike, and * is anything",
    "issue": "where it is tracked",
    "expires": "the last day on which it is tolerated, YYYY-MM-DD",
}
"""What each key of an entry means."""
_REQUIRED_KEYS = ["reason", "fails-with"]
_NEW_FILE = f"""\
# Failures that we know of. A new one fails the run, and so does an entry that passes, fails otherwise or has
# expired. What fails only sometimes stands under {FLAKY_KEY}.
"""


def read_baseline(path: Path, *subject_kinds: str) -> Baseline:
    """Read a baseline, the file in which a team lists its known failures, and return it. Raises UsageError if
    the file is wrong, or lists a rule that is not for one of these kinds of subject, such as `relay`."""
    return _BaselineReader(str(path)).parse_baseline(read_yaml_bytes(path), *subject_kinds)


@dataclass(frozen=True, slots=True)
class Update:
    """What an update changed, by rule id: entries that were `added`, entries that were `removed`, and entries
    that were `changed` because the rule fails in another way now."""

    added: list[str]
    removed: list[str]
    changed: list[str]

    def __str__(self) -> str:
        """Return in one line what the update changed in the baseline."""
        ids_by_change = {"added": self.added, "removed": self.removed, "changed": self.changed}
        texts = [f"{change} {', '.join(rule_ids)}" for change, rule_ids in ids_by_change.items() if rule_ids]
        return "; ".join(texts) or "nothing changed"


def update_baseline(path: Path, outcomes: Iterable[RuleOutcome], subject: str, today: date) -> Update:
    """Change a baseline, the list of known failures, to fit the outcomes of a run: add new failures, remove
    rules that pass now, change what fails otherwise. Keep flaky entries. Return what was changed.

    If the file is missing, make it. Raises UsageError if it is wrong, and OSError if it cannot be written."""
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
    write_file_atomically(path.resolve(), edits.apply())
    return update


def baseline_schema() -> dict[str, Any]:
    """Return the JSON Schema of a baseline, the file with the known failures. An editor that knows the schema
    helps people to edit the file."""
    text_schema = {"type": "string"}
    properties: dict[str, Any] = {
        key: text_schema | {"description": meaning} for key, meaning in _MEANING_BY_KEY.items()
    }
    properties["fails-with"] = {
        "description": _MEANING_BY_KEY["fails-with"],
        "oneOf": [text_schema, {"type": "array", "items": text_schema, "minItems": 1}],
    }
    properties["expires"]["format"] = "date"
    entry_schema = {
        "type": "object",
        "properties": properties,
        "required": _REQUIRED_KEYS,
        "additionalProperties": False,
    }
    section_schema = {
        "type": ["object", "null"],
        "propertyNames": {"enum": list(catalogue.RULES)},
        "additionalProperties": entry_schema,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "baseline of spatius-sim",
        "type": "object",
        "properties": {FAILURES_KEY: section_schema, FLAKY_KEY: section_schema},
        "additionalProperties": False,
    }


def _new_entry_lines(rule_id: str, actual: str, today: date) -> list[str]:
    """Return the YAML lines of a new entry in the baseline: this rule fails with `actual`, what was seen in
    the run. The entry expires 90 days after today."""
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

    def parse_baseline(self, raw: bytes, *subject_kinds: str) -> Baseline:
        """Parse the YAML of a baseline file, and return all its known failures. Remember for a later edit
        where they stand in the file. Raises UsageError if the YAML is wrong, or lists a rule that is not for
        one of these kinds of subject, such as `relay`."""
        root = self.parse_root(raw)
        known: dict[str, KnownFailure] = {}
        sections = {} if root is None else self.items(root, "the file", (FAILURES_KEY, FLAKY_KEY))
        for section, (section_key, node) in sections.items():
            is_empty = isinstance(node, ScalarNode) and not node.value
            entries = {} if is_empty else self.items(node, section)
            if section == FAILURES_KEY:
                self.failures_section = (section_key, node)
            for rule_id, (rule_key, entry) in entries.items():
                self._check_rule(rule_key, rule_id, subject_kinds)
                if rule_id in known:
                    raise self.error(rule_key, f"{rule_id} stands in both {FAILURES_KEY} and {FLAKY_KEY}")
                is_flaky = section == FLAKY_KEY
                known[rule_id] = self._read_known_failure(rule_id, rule_key, entry, is_flaky=is_flaky)
                self.indent = " " * rule_key.start_mark.column
        return Baseline(self.place, known)

    def _check_rule(self, rule_key: Node, rule_id: str, subject_kinds: Sequence[str]) -> None:
        """Check the rule that an entry of the baseline names. Raises UsageError if no rule has this id, or if
        it is not for one of these kinds of subject. The error names the place of `rule_key` in the file."""
        if rule_id not in catalogue.RULES:
            raise self.error(rule_key, f"no rule has the id {rule_id!r}")
        judged_kind = catalogue.find_rule(rule_id).subject
        if judged_kind not in subject_kinds:
            raise self.error(
                rule_key, f"{rule_id} is a rule for a {judged_kind}, not for a {' or a '.join(subject_kinds)}"
            )

    def _read_known_failure(
        self, rule_id: str, rule_key: Node, entry: Node, *, is_flaky: bool
    ) -> KnownFailure:
        """Read the entry of one rule in the baseline, and return it as a known failure. Its line numbers
        serve to edit the file later. Raises UsageError if a key is missing or a value is wrong."""
        nodes_by_key = self.items(entry, rule_id, _MEANING_BY_KEY)
        for key in _REQUIRED_KEYS:
            if key not in nodes_by_key:
                raise self.error(rule_key, f"{rule_id}: {key} is missing: {_MEANING_BY_KEY[key]}")
        fails_with_key, fails_with = nodes_by_key["fails-with"]
        patterns = fails_with.value if isinstance(fails_with, SequenceNode) else [fails_with]
        self.fails_with_nodes[rule_id] = fails_with
        expires_key, expires = nodes_by_key.get("expires", (rule_key, None))
        _, reason = nodes_by_key["reason"]
        _, issue = nodes_by_key.get("issue", (rule_key, None))
        return KnownFailure(
            rule_id,
            self._non_empty_text(reason, "reason"),
            tuple(self._non_empty_text(pattern, "fails-with") for pattern in patterns),
            "" if issue is None else self.text(issue, "issue"),
            None if expires is None else self._read_date(expires),
            is_flaky,
            rule_key.start_mark.line + 1,
            _last_line(entry),
            fails_with_key.start_mark.line + 1,
            expires_key.start_mark.line + 1,
        )

    def _non_empty_text(self, node: Node, key: str) -> str:
        """Return the text in this node, the value of `key` in an entry of the baseline. Raises UsageError,
        with the place in the file, if it is not a text, or has nothing but spaces."""
        text = self.text(node, key)
        if not text.strip():
            raise self.error(node, f"{key} says nothing: {_MEANING_BY_KEY[key]}")
        return text

    def _read_date(self, node: Node) -> date:
        """Return the date in this node, the last day on which an entry of the baseline is valid. Raises
        UsageError if the node is no date."""
        text = self.text(node, "expires")
        try:
            return date.fromisoformat(text)
        except ValueError as error:
            raise self.error(node, f"expires must be a day, YYYY-MM-DD, not {text!r}") from error


class _TextEdits:
    """Collects edits of the text of a baseline file, each by its place in the original text. `apply` makes
    them all at once."""

    def __init__(self, place: str, text: str) -> None:
        """Start to collect edits of this text of a baseline file; `place` is the file's name in errors. Note
        at which offset in the text each line begins."""
        self._place = place
        self._text = text if text.endswith("\n") or not text else f"{text}\n"
        self._line_starts = [0]
        for line in self._text.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))
        self._edits: list[tuple[int, int, str]] = []

    def remove_lines(self, first_line: int, last_line: int) -> None:
        """Plan to remove the lines of the file from `first_line` to `last_line`, counted from 1."""
        self._edits.append((self._line_starts[first_line - 1], self._line_starts[last_line], ""))

    def replace(self, node: Node, new_text: str) -> None:
        """Plan to put a new text in the place of this YAML node."""
        self._edits.append((node.start_mark.index, _last_leaf(node).end_mark.index, new_text))

    def append(self, section: tuple[Node, Node] | None, lines: Sequence[str]) -> None:
        """Plan to add these lines at the end of the section of known failures. `section` is the YAML node of
        its key and that of its value. If the baseline file has no section (None), plan to add it at the end
        of the file. Raises UsageError if the section's entries stand in braces, not line by line."""
        block = "".join(f"{line}\n" for line in lines)
        if section is None:
            self._edits.append((len(self._text), len(self._text), f"{FAILURES_KEY}:\n{block}"))
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
        """Make all planned edits, and return the new text of the baseline file. The last place in the text is
        edited first, so that the offsets of the other edits stay right."""
        text = self._text
        for start, end, new_text in sorted(self._edits, reverse=True):
            text = text[:start] + new_text + text[end:]
        return text


def _last_leaf(node: Node) -> Node:
    """Return the last value inside this YAML block, however deep it lies; a node that is no block is returned
    itself. Callers use the end of this value as the end of the block, because the block's own end mark comes
    after the blank lines that follow."""
    if isinstance(node, CollectionNode) and not node.flow_style and node.value:
        last_item = node.value[-1]
        return _last_leaf(last_item[1] if isinstance(node, MappingNode) else last_item)
    return node


def _last_line(node: Node) -> int:
    """Return the number of the last line of this YAML node, counted from 1."""
    end = _last_leaf(node).end_mark
    return int(end.line) if end.column == 0 else int(end.line) + 1
