"""YAML files that people write, read by hand from their nodes, so that every error names file, line and key.

Nothing is constructed from tags: a text stays the text that stands there, be it `no` or `12:30:45`.
Aliases, duplicate keys and unknown keys are refused, and so is a file over 64 KiB.
"""

import math
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spatius_sim.protocol.errors import UsageError

T = TypeVar("T")

MOST_BYTES = 64 * 1024
_INTEGER = re.compile(r"-?[0-9]{1,12}")
_FLAGS = {"true": True, "false": False}


def read_bytes(path: Path) -> bytes:
    """What stands in a file, up to one byte too many; raises UsageError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


class YamlFile:
    """One file, named by `place` in errors. Every method raises UsageError with place, line and key."""

    def __init__(self, place: str) -> None:
        self.place = place

    def root(self, raw: bytes) -> Node | None:
        """The outermost node; None where the file is empty."""
        if len(raw) > MOST_BYTES:
            raise UsageError(f"{self.place}: larger than {MOST_BYTES} bytes")
        try:
            for event in yaml.parse(raw, yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    raise self.error(event, "aliases are not taken: write it out")
            return yaml.compose(raw, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UsageError(f"{self.place}:{line}: no YAML: {error.problem}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UsageError(f"{self.place}:1: no YAML: {error}") from error

    def items(
        self, node: Node, what: str, allowed: Collection[str] | None = None
    ) -> dict[str, tuple[Node, Node]]:
        """The key and the value node of each item of a mapping; `allowed` names the keys that it may have,
        None: any."""
        if not isinstance(node, MappingNode):
            raise self.error(node, f"{what} must be a mapping")
        parts: dict[str, tuple[Node, Node]] = {}
        for key_node, value in node.value:
            key = self.text(key_node, "a key")
            if allowed is not None and key not in allowed:
                raise self.error(key_node, f"{key!r} is unknown here: {', '.join(sorted(allowed))}")
            if key in parts:
                raise self.error(key_node, f"{key} stands here twice")
            parts[key] = (key_node, value)
        return parts

    def mapping(self, node: Node, what: str, allowed: Collection[str] | None = None) -> dict[str, Node]:
        """The values of a mapping by key, as `items` has them."""
        return {key: value for key, (_, value) in self.items(node, what, allowed).items()}

    def sequence(self, node: Node, key: str) -> list[Node]:
        """The items of a list."""
        if not isinstance(node, SequenceNode):
            raise self.error(node, f"{key} must be a list")
        return list(node.value)

    def text(self, node: Node, key: str) -> str:
        """A text, as it stands there."""
        if not isinstance(node, ScalarNode):
            raise self.error(node, f"{key} must be a text")
        return str(node.value)

    def integer(self, node: Node, key: str) -> int:
        """A whole number."""
        text = self.text(node, key)
        if not _INTEGER.fullmatch(text):
            raise self.error(node, f"{key} must be a whole number, not {text!r}")
        return int(text)

    def number(self, node: Node, key: str) -> float:
        """A finite number."""
        text = self.text(node, key)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(node, f"{key} must be a number, not {text!r}")
        return number

    def flag(self, node: Node, key: str) -> bool:
        """`true` or `false`."""
        text = self.text(node, key)
        if text not in _FLAGS:
            raise self.error(node, f"{key} must be true or false, not {text!r}")
        return _FLAGS[text]

    def made(self, node: Node, make: Callable[[], T], key: str) -> T:
        """What `make` makes; its UsageErrors get place, line and key where they have none."""
        try:
            return make()
        except UsageError as error:
            if str(error).startswith(f"{self.place}:"):
                raise
            raise self.error(node, f"{key}: {error}") from error

    def error(self, node: Any, message: str) -> UsageError:
        """An error at this node."""
        return UsageError(f"{self.place}:{node.start_mark.line + 1}: {message}")
