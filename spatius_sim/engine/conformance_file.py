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
from spatius_sim.engine.option_table import (
    CONFORMANCE_FILE,
    KIND_BY_SUBJECT_OPTION,
    JudgeOption,
    find_subject_kind,
)
from spatius_sim.files.yaml_file import YamlFile, read_yaml_bytes
from spatius_sim.protocol.errors import UsageError

_JSON_TYPES: dict[type, str] = {bool: "boolean", int: "integer", float: "number"}
_PAIR_METAVAR = re.compile("NAME(.+)VALUE")
"""Matches the metavar of an option that may be a mapping in the file; the group joins name and value."""
_VARIABLE_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class ConformanceFile:
    """The values of options in a conformance.yaml, by option name, and the line where each stands."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[str, int]

    @property
    def subject_kind(self) -> str:
        """The kind of subject that conformance.yaml is about; "" if it names none."""
        return find_subject_kind(self.values)

    def values_to_add(self, given_values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that conformance.yaml adds to a command, by option name: those of options for
        which the user gave no value.

        If the user has named a subject, the subject of the file is left out. If the file is about another
        kind of subject, nothing is returned."""
        named_kind = find_subject_kind(given_values)
        if named_kind and self.subject_kind not in ("", named_kind):
            return {}
        names_left_out = KIND_BY_SUBJECT_OPTION.keys() if named_kind else ()
        return {
            name: value
            for name, value in self.values.items()
            if given_values.get(name) is None and name not in names_left_out
        }

    def add_file_and_line(self, error: UsageError) -> UsageError:
        """Return the error with file and line before its text, if the text begins with the name of an option
        that is set in conformance.yaml. Return any other error as it is."""
        option_name = str(error).split(" ", 1)[0].rstrip(":").removeprefix("--")
        if option_name not in self.lines:
            return error
        return UsageError(f"{self.path}:{self.lines[option_name]}: {str(error).removeprefix('--')}")


def find_conformance_file(chosen_name: str | None, folder: Path) -> ConformanceFile | None:
    """Read the conformance file that the user chose, or else the conformance.yaml in `folder`. Return None if
    the user chose no file and `folder` has no conformance.yaml. `chosen_name` is a path that starts in
    `folder`.

    Raises UsageError if the chosen file is missing, or if a file is wrong; it names file, line and key.
    """
    if chosen_name:
        return read_conformance_file(folder / chosen_name, chosen_name)
    path = folder / CONFORMANCE_FILE
    return read_conformance_file(path, CONFORMANCE_FILE) if path.is_file() else None


def read_conformance_file(path: Path, shown_name: str) -> ConformanceFile:
    """Read the conformance file at this path. Errors call the file `shown_name`. Raises UsageError, with line
    and key, if the file is wrong."""
    reader = YamlFile(shown_name)
    root = reader.parse_root(read_yaml_bytes(path))
    if root is None:
        raise UsageError(f"{shown_name}:1: the file is empty: it says at least target, server or client")
    options = _options_allowed_in_file()
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
        name: {"description": option.help} | _schema_of_option_in_file(option)
        for name, option in _options_allowed_in_file().items()
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "conformance.yaml of spatius-sim",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _options_allowed_in_file() -> dict[str, JudgeOption]:
    """Return the options that may stand in conformance.yaml, by name."""
    return {option.name: option for option in judge_options.JUDGE_OPTIONS if not option.of_one_run}


def _read_option(reader: YamlFile, option: JudgeOption, node: Node, folder: Path) -> Any:
    """Return the value of an option from its YAML node in conformance.yaml: a list if the option is
    repeatable. In the file, a repeatable option is one value or a list. It may also be a mapping if the
    option takes pairs, such as NAME=VALUE: each pair then becomes a text of this form."""
    if not option.repeatable:
        return _read_value(reader, option, node, folder)
    pair_match = _PAIR_METAVAR.fullmatch(option.metavar)
    if isinstance(node, MappingNode) and pair_match:
        separator = pair_match[1]
        node_by_name = reader.mapping(node, option.name)
        return [
            f"{name}{separator}{_read_pair_value(reader, option, name, value_node)}"
            for name, value_node in node_by_name.items()
        ]
    item_nodes = reader.sequence(node, option.name) if isinstance(node, SequenceNode) else [node]
    return [_read_value(reader, option, item_node, folder) for item_node in item_nodes]


def _read_value(reader: YamlFile, option: JudgeOption, node: Node, folder: Path) -> Any:
    """Return one value of an option from its YAML node in conformance.yaml: a bool, an int, a float or a
    text, as the option says. A path is returned with `folder`, the folder of the file, before it. Raises
    UsageError if the value is wrong."""
    if isinstance(node, ScalarNode):
        node = _fill_in_variables(reader, option, node)
    if option.parse is bool:
        return reader.boolean(node, option.name)
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
    """Return the YAML node of a value in conformance.yaml with each `${NAME}` replaced by the environment
    variable NAME. Raises UsageError if the variable is not set."""

    def replace_reference(reference: re.Match[str]) -> str:
        """Return the text that replaces a reference in a value of conformance.yaml: for `${NAME}` the
        environment variable NAME, for `$${` (an escaped `${`) the two characters `${`. Raises UsageError if
        the variable is not set."""
        variable_name = reference[1]
        if variable_name is None:
            return "${"
        if variable_name not in os.environ:
            raise reader.error(node, f"{option.name}: the variable {variable_name} is not set")
        return os.environ[variable_name]

    text = _VARIABLE_REFERENCE.sub(replace_reference, node.value)
    return ScalarNode(node.tag, text, node.start_mark, node.end_mark)


def _schema_of_option_in_file(option: JudgeOption) -> dict[str, Any]:
    """Return the part of `conformance_schema` that says what the value of one option may be in
    conformance.yaml. A repeatable option may be one value or a list; if it takes pairs, such as NAME=VALUE, a
    mapping too."""
    one_value: dict[str, Any] = {"type": _JSON_TYPES.get(option.parse, "string")}
    if option.choices:
        one_value["enum"] = list(option.choices)
    if not option.repeatable:
        return one_value
    alternatives = [one_value, {"type": "array", "items": one_value}]
    if _PAIR_METAVAR.fullmatch(option.metavar):
        alternatives.append({"type": "object", "additionalProperties": {"type": "string"}})
    return {"oneOf": alternatives}
