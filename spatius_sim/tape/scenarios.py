"""Scenario files: YAML, read by hand from its nodes, so that every error names file, line and key.

Nothing is constructed from tags: a text stays the text that stands there, be it `no` or `12:30:45`.
Aliases, duplicate keys and unknown keys are refused, and so is a file over 64 KiB.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from spatius_sim.model.scenario import NAMES, Fault, Moment, Scenario, What, When
from spatius_sim.protocol.errors import UsageError

T = TypeVar("T")

MOST_BYTES = 64 * 1024
MOST_FAULTS = 256

_SHIPPED = Path(__file__).resolve().parent / "shipped"
_INTEGER = re.compile(r"-?[0-9]{1,12}")


def shipped_scenarios() -> list[Scenario]:
    """All that come with the package, by name."""
    return [read_scenario(path) for path in sorted(_SHIPPED.glob("*.yaml"))]


def shipped_scenario(name: str) -> Scenario:
    """The shipped scenario of this name; raises UsageError where there is none."""
    names = sorted(path.stem for path in _SHIPPED.glob("*.yaml"))
    if name not in names:
        raise UsageError(f"no scenario is named {name!r}: there are {', '.join(names)}")
    return read_scenario(_SHIPPED / f"{name}.yaml")


def find_scenario(wanted: str) -> Scenario:
    """The scenario in a file whose name ends in .yaml or .yml, or else a shipped one by its name."""
    if Path(wanted).suffix in (".yaml", ".yml"):
        return read_scenario(Path(wanted))
    try:
        return shipped_scenario(wanted)
    except UsageError as error:
        raise UsageError(f"{error}; a file's name ends in .yaml") from error


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file; raises UsageError that names file, line and key."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    return parse_scenario(raw, str(path), path.stem)


def parse_scenario(raw: bytes, place: str, name: str) -> Scenario:
    """The scenario in this YAML, which comes from `place`; raises UsageError as `read_scenario` does."""
    if len(raw) > MOST_BYTES:
        raise UsageError(f"{place}: larger than {MOST_BYTES} bytes")
    return _Reader(place).scenario(raw, name)


class _Reader:
    def __init__(self, place: str) -> None:
        self._place = place

    def scenario(self, raw: bytes, name: str) -> Scenario:
        try:
            for event in yaml.parse(raw, yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    raise self._error(event, "aliases are not taken: write it out")
            root = yaml.compose(raw, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UsageError(f"{self._place}:{line}: no YAML: {error.problem}") from error
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise UsageError(f"{self._place}:1: no YAML: {error}") from error
        if root is None:
            raise UsageError(f"{self._place}:1: the file is empty: about and faults are needed")
        top = self._mapping(root, "the scenario", {"about", "faults"})
        missing = {"about", "faults"} - set(top)
        if missing:
            raise self._error(root, f"{min(missing)} is missing")
        faults = [self._fault(node) for node in self._sequence(top["faults"], "faults")]
        if len(faults) > MOST_FAULTS:
            raise self._error(root, f"more than {MOST_FAULTS} faults")
        return Scenario(name, self._text(top["about"], "about"), tuple(faults))

    def _fault(self, node: Node) -> Fault:
        parts = self._mapping(node, "a fault", {"when", "what"})
        for key in ("when", "what"):
            if key not in parts:
                raise self._error(node, f"{key} is missing")
        when = self._when(parts["when"])
        what = tuple(self._step(step) for step in self._sequence(parts["what"], "what"))
        return self._made(parts["what"], lambda: Fault(when, what), "what")

    def _when(self, node: Node) -> When:
        if isinstance(node, ScalarNode):
            return self._made(node, lambda: When(self._moment(node)), "when")
        parts = self._mapping(node, "when", {field.name for field in fields(When)})
        if "at" not in parts:
            raise self._error(node, "at is missing")
        values = {"at": self._moment(parts["at"])} | self._values(parts, When, skip={"at"})
        return self._made(node, lambda: When(**values), "when")

    def _moment(self, node: Node) -> Moment:
        text = self._text(node, "at")
        if text not in list(Moment):
            raise self._error(node, f"at: {text!r} is none of {', '.join(Moment)}")
        return Moment(text)

    def _step(self, node: Node) -> What:
        if isinstance(node, ScalarNode):
            return self._what(node, node.value, {})
        parts = self._mapping(node, "a step of what", set(NAMES))
        if len(parts) != 1:
            raise self._error(node, "what: one thing in each step")
        [(name, inside)] = parts.items()
        kind = NAMES[name]
        if isinstance(inside, ScalarNode) and fields(kind):
            # The short form: `delay: 2` is `delay: {seconds: 2}`.
            return self._what(inside, name, {fields(kind)[0].name: inside})
        return self._what(inside, name, self._mapping(inside, name, {f.name for f in fields(kind)}))

    def _what(self, node: Node, name: str, parts: Mapping[str, Node]) -> What:
        if name not in NAMES:
            raise self._error(node, f"what: {name!r} is none of {', '.join(NAMES)}")
        kind: Any = NAMES[name]
        for field in fields(kind):
            if field.name not in parts and field.default is MISSING:
                raise self._error(node, f"{name}: {field.name} is missing")
        made: What = self._made(node, lambda: kind(**self._values(parts, kind, skip=set())), name)
        return made

    def _values(self, parts: Mapping[str, Node], kind: type[Any], skip: set[str]) -> dict[str, Any]:
        hints = get_type_hints(kind)
        readers: dict[Any, Callable[[Node, str], Any]] = {int: self._integer, str: self._text}
        return {
            key: readers.get(hints[key], self._number)(node, key)
            for key, node in parts.items()
            if key not in skip
        }

    def _mapping(self, node: Node, what: str, allowed: set[str]) -> dict[str, Node]:
        if not isinstance(node, MappingNode):
            raise self._error(node, f"{what} must be a mapping")
        parts: dict[str, Node] = {}
        for key_node, value in node.value:
            key = self._text(key_node, "a key")
            if key not in allowed:
                raise self._error(key_node, f"{key!r} is unknown here: {', '.join(sorted(allowed))}")
            if key in parts:
                raise self._error(key_node, f"{key} stands here twice")
            parts[key] = value
        return parts

    def _sequence(self, node: Node, key: str) -> list[Node]:
        if not isinstance(node, SequenceNode):
            raise self._error(node, f"{key} must be a list")
        return list(node.value)

    def _text(self, node: Node, key: str) -> str:
        if not isinstance(node, ScalarNode):
            raise self._error(node, f"{key} must be a text")
        return str(node.value)

    def _integer(self, node: Node, key: str) -> int:
        text = self._text(node, key)
        if not _INTEGER.fullmatch(text):
            raise self._error(node, f"{key} must be a whole number, not {text!r}")
        return int(text)

    def _number(self, node: Node, key: str) -> float:
        text = self._text(node, key)
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self._error(node, f"{key} must be a number, not {text!r}")
        return number

    def _made(self, node: Node, make: Callable[[], T], key: str) -> T:
        try:
            return make()
        except UsageError as error:
            if str(error).startswith(f"{self._place}:"):
                raise
            raise self._error(node, f"{key}: {error}") from error

    def _error(self, node: Any, message: str) -> UsageError:
        return UsageError(f"{self._place}:{node.start_mark.line + 1}: {message}")
