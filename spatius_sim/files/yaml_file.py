"""Reads YAML files that people write, node by node, so that every error names file, line and key.

Tags construct nothing: a text stays as it is written, even `no` or `12:30:45`. Aliases, duplicate keys and
unknown keys are refused, and so is a file of more than 64 KiB."""

import math
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spatius_sim.files.open_named_file import open_named_file
from spatius_sim.protocol.errors import UsageError

T = TypeVar("T")

MAX_BYTES = 64 * 1024
_DEEPEST = 32
"""How deep a file may be nested. The time that the parser takes grows with the square of it."""
_MAX_QUOTED = 60
_INTEGER = re.compile(r"-?[0-9]{1,12}")
_FLAGS = {"true": True, "false": False}


def read_yaml_bytes(path: Path) -> bytes:
    """Return the bytes of a YAML file, at most MAX_BYTES + 1. If all MAX_BYTES + 1 come back, the file is too
    large. Raises UsageError if the file cannot be read."""
    try:
        with open_named_file(path) as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def quote_short(text: str) -> str:
    """Return a text of a YAML file in quotes, for an error of one line: at most its first 60 characters."""
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]}…")


class YamlFile:
    """Reads one file, which errors name by its `place`. Every method raises UsageError with place, line and
    key."""

    def __init__(self, place: str) -> None:
        """Begin to read a YAML file; `place` is its name in errors."""
        self.place = place

    def parse_root(self, raw: bytes) -> Node | None:
        """Parse the bytes of a YAML file, and return the outermost node; None if the file is empty. Raises
        UsageError, with the line, if the file is too large, is nested too deep, contains an alias, or is not
        YAML."""
        if len(raw) > MAX_BYTES:
            raise UsageError(f"{self.place}: larger than {MAX_BYTES} bytes")
        try:
            depth = 0
            for event in yaml.parse(raw, yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    raise self.error(event, "aliases are not taken: write it out")
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > _DEEPEST:
                    raise self.error(event, f"nested more than {_DEEPEST} deep")
            return yaml.compose(raw, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UsageError(f"{self.place}:{line}: no YAML: {error.problem}") from error
        except yaml.reader.ReaderError as error:
            line = raw[: error.position].count(b"\n") + 1
            raise UsageError(f"{self.place}:{line}: no YAML: a character that no text has") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UsageError(f"{self.place}:1: no YAML: {error}") from error

    def items(
        self, node: Node, node_name: str, allowed_keys: Collection[str] | None = None
    ) -> dict[str, tuple[Node, Node]]:
        """Return the items of a mapping in a YAML file: for each key its key node and its value node.
        `node_name` names the mapping in errors. Raises UsageError if the node is no mapping, if a key comes
        twice, or if it is not in `allowed_keys`. None allows any key."""
        if not isinstance(node, MappingNode):
            raise self.error(node, f"{node_name} must be a mapping")
        nodes_by_key: dict[str, tuple[Node, Node]] = {}
        for key_node, value_node in node.value:
            key = self.text(key_node, "a key")
            if allowed_keys is not None and key not in allowed_keys:
                raise self.error(
                    key_node, f"{quote_short(key)} is unknown here: {', '.join(sorted(allowed_keys))}"
                )
            if key in nodes_by_key:
                raise self.error(key_node, f"{quote_short(key)[1:-1]} stands here twice")
            nodes_by_key[key] = (key_node, value_node)
        return nodes_by_key

    def mapping(self, node: Node, node_name: str, allowed: Collection[str] | None = None) -> dict[str, Node]:
        """Return the value nodes of a mapping in a YAML file by key, checked as `items` does."""
        return {key: value for key, (_, value) in self.items(node, node_name, allowed).items()}

    def sequence(self, node: Node, key: str) -> list[Node]:
        """Return the items of a list in a YAML file. Raises UsageError if the node is no list."""
        if not isinstance(node, SequenceNode):
            raise self.error(node, f"{key} must be a list")
        return list(node.value)

    def text(self, node: Node, key: str) -> str:
        """Return a text as it is written in the YAML file. Raises UsageError if the node is no text."""
        if not isinstance(node, ScalarNode):
            raise self.error(node, f"{key} must be a text")
        return str(node.value)

    def integer(self, node: Node, key: str) -> int:
        """Return the whole number in this node of a YAML file. `key` names the value in the error. Raises
        UsageError if the text is not a whole number of at most 12 digits."""
        text = self.text(node, key)
        if not _INTEGER.fullmatch(text):
            raise self.error(node, f"{key} must be a whole number, not {quote_short(text)}")
        return int(text)

    def number(self, node: Node, key: str) -> float:
        """Return the number in this node of a YAML file. `key` names the value in the error. Raises
        UsageError if the text is not a finite number."""
        text = self.text(node, key)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(node, f"{key} must be a number, not {quote_short(text)}")
        return number

    def boolean(self, node: Node, key: str) -> bool:
        """Return True if this node of a YAML file has the text `true`, and False if it has `false`. `key`
        names the value in the error. Raises UsageError for any other text."""
        text = self.text(node, key)
        if text not in _FLAGS:
            raise self.error(node, f"{key} must be true or false, not {quote_short(text)}")
        return _FLAGS[text]

    def build(self, node: Node, make_value: Callable[[], T], key: str) -> T:
        """Return the value that `make_value()` builds from a node of a YAML file. If it raises UsageError,
        put the file, the line of the node and `key` before the text of the error. An error that already
        begins with the file is raised unchanged."""
        try:
            return make_value()
        except UsageError as error:
            if str(error).startswith(f"{self.place}:"):
                raise
            raise self.error(node, f"{key}: {error}") from error

    def error(self, node: Any, message: str) -> UsageError:
        """Return a UsageError for the caller to raise, which names the YAML file and the line of this
        node."""
        return UsageError(f"{self.place}:{node.start_mark.line + 1}: {message}")
