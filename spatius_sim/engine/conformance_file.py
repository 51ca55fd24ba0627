"""Reads conformance.yaml, in which a team describes its subject once, for every command.

The command line beats the file, and the file beats the defaults. Every option of the table that does not
belong to one run alone is a key of the file. `${NAME}` in a value is a variable of the environment, and `$${`
stands for `${`: a login need not stand in a file that is committed.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spatius_sim.engine import option_table as judge_options
from spatius_sim.engine.option_table import CONFORMANCE_FILE, SUBJECTS, JudgeOption, subject_named
from spatius_sim.files.yaml_file import YamlFile, read_bytes
from spatius_sim.protocol.errors import UsageError

_JSON_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number"}
_PAIR = re.compile("NAME(.+)VALUE")
"""Matches the metavar of an option that may be a mapping in the file; the group joins name and value."""
_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class ConformanceFile:
    """The values of options in a conformance.yaml, by option name, and the line where each stands."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[str, int]

    @property
    def subject(self) -> str:
        """The kind of subject that conformance.yaml is about; "" if it names none."""
        return subject_named(self.values)

    def fill(self, given_values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of conformance.yaml, by name, that the user has given nowhere else. If the user
        has named a subject, leave the file's own subject out, or return nothing if the file is about another
        kind of subject."""
        named_kind = subject_named(given_values)
        if named_kind and self.subject not in ("", named_kind):
            return {}
        left_out = SUBJECTS.keys() if named_kind else ()
        return {
            name: value
            for name, value in self.values.items()
            if given_values.get(name) is None and name not in left_out
        }

    def with_place(self, error: UsageError) -> UsageError:
        """Return the error with file and line before its text, if the text begins with the name of an option
        that stands in conformance.yaml; return any other error as it is."""
        option = str(error).split(" ", 1)[0].rstrip(":").removeprefix("--")
        if option not in self.lines:
            return error
        return UsageError(f"{self.path}:{self.lines[option]}: {str(error).removeprefix('--')}")


def find_conformance_file(chosen_name: str | None, folder: Path) -> ConformanceFile | None:
    """Read the conformance file of the chosen name or, if none is chosen, the conformance.yaml in this
    folder; return None if none is there either.

    Raises UsageError, which names file, line and key, if the file is wrong, and if the chosen file is
    missing.
    """
    if chosen_name:
        return read_conformance_file(folder / chosen_name, chosen_name)
    path = folder / CONFORMANCE_FILE
    return read_conformance_file(path, CONFORMANCE_FILE) if path.is_file() else None


def read_conformance_file(path: Path, shown_name: str) -> ConformanceFile:
    """Read the conformance file at this path. Raises UsageError, which names line and key, and the file as
    `shown_name`, if the file is wrong."""
    reader = YamlFile(shown_name)
    root = reader.root(read_bytes(path))
    if root is None:
        raise UsageError(f"{shown_name}:1: the file is empty: it says at least target, server or client")
    options = _options_of_a_file()
    nodes = reader.mapping(root, "the file", options.keys())
    values = {name: _read_option(reader, options[name], node, path.parent) for name, node in nodes.items()}
    lines = {name: node.start_mark.line + 1 for name, node in nodes.items()}
    return ConformanceFile(Path(shown_name), values, lines)


def as_conformance_text(text: str) -> str:
    """Return this text as a value in conformance.yaml: with `$${` for `${`, which would begin a variable."""
    return text.replace("${", "$${")


def conformance_schema() -> dict[str, Any]:
    """Return the JSON Schema of conformance.yaml, for editors."""
    properties = {
        name: {"description": option.help} | _schema_of(option)
        for name, option in _options_of_a_file().items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "conformance.yaml of spatius-sim",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _options_of_a_file() -> dict[str, JudgeOption]:
    """Return the options that may stand in conformance.yaml, by name."""
    return {option.name: option for option in judge_options.JUDGE_OPTIONS if not option.of_one_run}


def _read_option(reader: YamlFile, option: JudgeOption, node: Node, folder: Path) -> Any:
    """Return the value of an option from its node in conformance.yaml. The value of a repeatable option is a
    list; the file may hold one value, a list of values, or a mapping from names to values."""
    if not option.repeatable:
        return _read_value(reader, option, node, folder)
    pair_metavar = _PAIR.fullmatch(option.metavar)
    if isinstance(node, MappingNode) and pair_metavar:
        values_by_name = reader.mapping(node, option.name)
        return [
            f"{name}{pair_metavar[1]}{_read_pair_value(reader, option, name, value)}"
            for name, value in values_by_name.items()
        ]
    items = reader.sequence(node, option.name) if isinstance(node, SequenceNode) else [node]
    return [_read_value(reader, option, item, folder) for item in items]


def _read_value(reader: YamlFile, option: JudgeOption, node: Node, folder: Path) -> Any:
    """Read one value in conformance.yaml, of the type that the option says. A path starts in the folder of
    that file. Raises UsageError if the value is wrong."""
    if isinstance(node, ScalarNode):
        node = _fill_in_variables(reader, option, node)
    if option.parse is bool:
        return reader.true_or_false(node, option.name)
    if option.parse is int:
        return reader.integer(node, option.name)
    if option.parse is float:
        return reader.number(node, option.name)
    text = reader.text(node, option.name)
    if not text.strip():
        raise reader.error(node, f"{option.name} is empty: say a value, or leave the line out")
    if option.choices and text not in option.choices:
        raise reader.error(node, f"{option.name}: {text!r} is none of {', '.join(option.choices)}")
    is_yaml_file = "FILE" in option.metavar and text.endswith((".yaml", ".yml"))
    is_path = is_yaml_file or option.metavar in ("FILE", "DIR")
    return str(folder / text) if is_path else text


def _read_pair_value(reader: YamlFile, option: JudgeOption, name: str, node: Node) -> str:
    """Read the value that belongs to `name` in an option that conformance.yaml gives as a mapping."""
    return reader.text(
        _fill_in_variables(reader, option, node) if isinstance(node, ScalarNode) else node, name
    )


def _fill_in_variables(reader: YamlFile, option: JudgeOption, node: ScalarNode) -> ScalarNode:
    """Return a value of conformance.yaml with each `${NAME}` in it replaced by the environment variable NAME.
    Raises UsageError if the variable is not set."""

    def fill_in_variable(reference: re.Match[str]) -> str:
        """Return the text that takes the place of a reference in the value of an option in conformance.yaml:
        for `${NAME}` the environment variable NAME, for `$${` the two characters `${`. Raises UsageError if
        the variable is not set."""
        name = reference[1]
        if name is None:
            return "${"
        if name not in os.environ:
            raise reader.error(node, f"{option.name}: the variable {name} is not set")
        return os.environ[name]

    return ScalarNode(node.tag, _REFERENCE.sub(fill_in_variable, node.value), node.start_mark, node.end_mark)


def _schema_of(option: JudgeOption) -> dict[str, Any]:
    """Return the JSON Schema of the value that an option may have in conformance.yaml."""
    single: dict[str, Any] = {"type": _JSON_TYPES.get(option.parse, "string")}
    if option.choices:
        single["enum"] = list(option.choices)
    if not option.repeatable:
        return single
    shapes = [single, {"type": "array", "items": single}]
    if _PAIR.fullmatch(option.metavar):
        shapes.append({"type": "object", "additionalProperties": {"type": "string"}})
    return {"oneOf": shapes}
