"""Reads scenario files: YAML that says what goes wrong, and when."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

from yaml.nodes import Node, ScalarNode

from spatius_sim.files.yaml_file import YamlFile, read_bytes
from spatius_sim.model.scenario.scenario import NAMES, Fault, FaultAction, Moment, Scenario, When
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError

MAX_FAULTS = 256

_LISTED = "`spatius-sim scenarios` lists them all"

_SHIPPED = Path(__file__).resolve().parent / "scenarios"


def shipped_scenarios() -> list[Scenario]:
    """Return all scenarios that come with the package, sorted by name."""
    return [read_scenario(path) for path in sorted(_SHIPPED.glob("*.yaml"))]


def shipped_scenario(name: str) -> Scenario:
    """Return the scenario of this name that comes with the package. Raises UsageError, with similar names, if
    there is none."""
    names = sorted(path.stem for path in _SHIPPED.glob("*.yaml"))
    if name not in names:
        raise UsageError(f"no scenario is named {name!r}: {suggest_names(name, names, _LISTED)}")
    return read_scenario(_SHIPPED / f"{name}.yaml")


def find_scenario(name_or_file: str) -> Scenario:
    """Return the scenario in a file if `name_or_file` ends in .yaml or .yml; otherwise the shipped scenario
    of this name. Raises UsageError if there is none, or if the file is bad."""
    if Path(name_or_file).suffix in (".yaml", ".yml"):
        return read_scenario(Path(name_or_file))
    try:
        return shipped_scenario(name_or_file)
    except UsageError as error:
        raise UsageError(f"{error} (a file's name ends in .yaml)") from error


def read_scenario(path: Path) -> Scenario:
    """Return the scenario in a file. Raises UsageError, which names file, line and key."""
    return parse_scenario(read_bytes(path), str(path), path.stem)


def parse_scenario(raw: bytes, place: str, name: str) -> Scenario:
    """Return the scenario in this YAML; errors name `place` as its origin. Raises UsageError as
    `read_scenario` does."""
    return _Reader(place).read(raw, name)


class _Reader(YamlFile):
    """Reads one scenario file. Every method raises UsageError with place, line and key."""

    def read(self, raw: bytes, name: str) -> Scenario:
        """Return the scenario that a scenario file (YAML) describes; `name` becomes its name. Raises
        UsageError if a key is missing or a fault is bad."""
        root = self.root(raw)
        if root is None:
            raise UsageError(f"{self.place}:1: the file is empty: about and faults are needed")
        top = self.mapping(root, "the scenario", {"about", "faults"})
        missing = {"about", "faults"} - set(top)
        if missing:
            raise self.error(root, f"{min(missing)} is missing")
        faults = [self._read_fault(node) for node in self.sequence(top["faults"], "faults")]
        if len(faults) > MAX_FAULTS:
            raise self.error(root, f"more than {MAX_FAULTS} faults")
        return Scenario(name, self.text(top["about"], "about"), tuple(faults))

    def _read_fault(self, node: Node) -> Fault:
        """Return one fault of a scenario file: when it happens, and what happens. Raises UsageError if either
        is missing or bad."""
        parts = self.mapping(node, "a fault", {"when", "what"})
        for key in ("when", "what"):
            if key not in parts:
                raise self.error(node, f"{key} is missing")
        when = self._read_when(parts["when"])
        what = tuple(self._read_step(step) for step in self.sequence(parts["what"], "what"))
        return self.build(parts["what"], lambda: Fault(when, what), "what")

    def _read_when(self, node: Node) -> When:
        """Return the moment of a fault in a scenario file. The short form is the name of the moment, the long
        form a mapping. Raises UsageError if the moment is missing or bad."""
        if isinstance(node, ScalarNode):
            return self.build(node, lambda: When(self._read_moment(node)), "when")
        parts = self.mapping(node, "when", {field.name for field in fields(When)})
        if "at" not in parts:
            raise self.error(node, "at is missing")
        values = {"at": self._read_moment(parts["at"])} | self._read_values(parts, When, skip={"at"})
        return self.build(node, lambda: When(**values), "when")

    def _read_moment(self, node: Node) -> Moment:
        """Return the moment that a scenario file names. Raises UsageError if there is no moment of this
        name."""
        text = self.text(node, "at")
        if text not in list(Moment):
            raise self.error(node, f"at: {text!r} is none of {', '.join(Moment)}")
        return Moment(text)

    def _read_step(self, node: Node) -> FaultAction:
        """Return one action of `what` in a scenario file. The short form is a name or `name: value`, the long
        form a mapping of values. Raises UsageError for a bad action."""
        if isinstance(node, ScalarNode):
            return self._build_action(node, node.value, {})
        parts = self.mapping(node, "a step of what", set(NAMES))
        if len(parts) != 1:
            raise self.error(node, "what: one thing in each step")
        [(name, value_node)] = parts.items()
        kind = NAMES[name]
        if isinstance(value_node, ScalarNode) and fields(kind):
            # The short form: `delay: 2` is `delay: {seconds: 2}`.
            return self._build_action(value_node, name, {fields(kind)[0].name: value_node})
        return self._build_action(
            value_node, name, self.mapping(value_node, name, {field.name for field in fields(kind)})
        )

    def _build_action(self, node: Node, name: str, parts: Mapping[str, Node]) -> FaultAction:
        """Return the action of this name in a scenario file, with the values in `parts`. Raises UsageError if
        the name is unknown, or a value is missing or bad."""
        if name not in NAMES:
            raise self.error(node, f"what: {name!r} is none of {', '.join(NAMES)}")
        kind: Any = NAMES[name]
        for field in fields(kind):
            if field.name not in parts and field.default is MISSING:
                raise self.error(node, f"{name}: {field.name} is missing")
        action: FaultAction = self.build(
            node, lambda: kind(**self._read_values(parts, kind, skip=set())), name
        )
        return action

    def _read_values(self, parts: Mapping[str, Node], kind: type[Any], skip: set[str]) -> dict[str, Any]:
        """Return the values of an action or a moment in a scenario file by name, each in the type of its
        field; keys in `skip` are left out."""
        hints = get_type_hints(kind)
        readers: dict[Any, Callable[[Node, str], Any]] = {int: self.integer, str: self.text}
        return {
            key: readers.get(hints[key], self.number)(node, key)
            for key, node in parts.items()
            if key not in skip
        }
