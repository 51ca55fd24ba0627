"""Reads scenario files: YAML that says what goes wrong, and when."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_type_hints

from yaml.nodes import Node, ScalarNode

from spatius_sim.files.yaml_file import YamlFile, read_yaml_bytes
from spatius_sim.model.scenario.scenario import ACTION_BY_NAME, Fault, FaultAction, Moment, Scenario, When
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError

MAX_FAULTS = 256

_LISTED = "`spatius-sim scenarios` lists them all"

_SHIPPED = Path(__file__).resolve().parent / "scenarios"


def shipped_scenarios() -> list[Scenario]:
    """Return all scenarios that come with the package, sorted by name."""
    return [read_scenario(path) for path in sorted(_SHIPPED.glob("*.yaml"))]


def shipped_scenario(name: str) -> Scenario:
    """Return the scenario (what goes wrong, and when) of this name that comes with the package. Raises
    UsageError, which suggests similar names, if there is none."""
    names = sorted(path.stem for path in _SHIPPED.glob("*.yaml"))
    if name not in names:
        raise UsageError(f"no scenario is named {name!r}: {suggest_names(name, names, _LISTED)}")
    return read_scenario(_SHIPPED / f"{name}.yaml")


def find_scenario(name_or_file: str) -> Scenario:
    """Return the scenario in a file if `name_or_file` ends in .yaml or .yml; otherwise the scenario of this
    name that comes with the package. Raises UsageError if there is no such scenario, or if the file is
    bad."""
    if Path(name_or_file).suffix in (".yaml", ".yml"):
        return read_scenario(Path(name_or_file))
    try:
        return shipped_scenario(name_or_file)
    except UsageError as error:
        raise UsageError(f"{error} (a file's name ends in .yaml)") from error


def read_scenario(path: Path) -> Scenario:
    """Return the scenario in a file. Raises UsageError, which names file, line and key."""
    return parse_scenario(read_yaml_bytes(path), str(path), path.stem)


def parse_scenario(raw: bytes, place: str, name: str) -> Scenario:
    """Return the scenario in this YAML; errors name `place` as its origin. Raises UsageError as
    `read_scenario` does."""
    return _Reader(place).read(raw, name)


class _Reader(YamlFile):
    """Reads one scenario file. Every method raises UsageError with place, line and key."""

    def read(self, raw: bytes, name: str) -> Scenario:
        """Return the scenario that a scenario file describes. `raw` is the YAML in the file, and `name`
        becomes the name of the scenario. Raises UsageError if a key is missing, or if a fault is bad."""
        root = self.parse_root(raw)
        if root is None:
            raise UsageError(f"{self.place}:1: the file is empty: about and faults are needed")
        node_by_key = self.mapping(root, "the scenario", {"about", "faults"})
        missing_keys = {"about", "faults"} - set(node_by_key)
        if missing_keys:
            raise self.error(root, f"{min(missing_keys)} is missing")
        faults = [self._read_fault(node) for node in self.sequence(node_by_key["faults"], "faults")]
        if len(faults) > MAX_FAULTS:
            raise self.error(root, f"more than {MAX_FAULTS} faults")
        return Scenario(name, self.text(node_by_key["about"], "about"), tuple(faults))

    def _read_fault(self, node: Node) -> Fault:
        """Return one fault of a scenario file from its node: the moment (`when`) and the actions that follow
        (`what`). Raises UsageError if one of these keys is missing or bad."""
        node_by_key = self.mapping(node, "a fault", {"when", "what"})
        for key in ("when", "what"):
            if key not in node_by_key:
                raise self.error(node, f"{key} is missing")
        when = self._read_when(node_by_key["when"])
        step_nodes = self.sequence(node_by_key["what"], "what")
        actions = tuple(self._read_action(step_node) for step_node in step_nodes)
        return self.build(node_by_key["what"], lambda: Fault(when, actions), "what")

    def _read_when(self, node: Node) -> When:
        """Return when a fault in a scenario file happens. The short form of the node is the name of a moment;
        the long form is a mapping with the moment under `at`, and with conditions. Raises UsageError if the
        moment is missing, or if a value is bad."""
        if isinstance(node, ScalarNode):
            return self.build(node, lambda: When(self._read_moment(node)), "when")
        node_by_key = self.mapping(node, "when", {field.name for field in fields(When)})
        if "at" not in node_by_key:
            raise self.error(node, "at is missing")
        moment = self._read_moment(node_by_key["at"])
        conditions = self._read_values(node_by_key, When, skipped_keys={"at"})
        return self.build(node, lambda: When(at=moment, **conditions), "when")

    def _read_moment(self, node: Node) -> Moment:
        """Return the moment that is named in a scenario file. Raises UsageError if no moment has this
        name."""
        moment_name = self.text(node, "at")
        if moment_name not in list(Moment):
            raise self.error(node, f"at: {moment_name!r} is none of {', '.join(Moment)}")
        return Moment(moment_name)

    def _read_action(self, node: Node) -> FaultAction:
        """Return one action of a fault in a scenario file, such as a delay: one step of the list under the
        key `what`. It is written as a name alone, as `name: value` for its first value, or as
        `name: {key: value, ...}`. Raises UsageError if the action is bad."""
        if isinstance(node, ScalarNode):
            return self._build_action(node, node.value, {})
        node_by_name = self.mapping(node, "a step of what", set(ACTION_BY_NAME))
        if len(node_by_name) != 1:
            raise self.error(node, "what: one thing in each step")
        [(name, value_node)] = node_by_name.items()
        keys = [field.name for field in fields(ACTION_BY_NAME[name])]
        if isinstance(value_node, ScalarNode) and keys:
            # The short form: `delay: 2` is `delay: {seconds: 2}`.
            return self._build_action(value_node, name, {keys[0]: value_node})
        return self._build_action(value_node, name, self.mapping(value_node, name, set(keys)))

    def _build_action(self, node: Node, name: str, node_by_key: Mapping[str, Node]) -> FaultAction:
        """Return the action of a fault with this name, with the values in `node_by_key`. Errors name the line
        of `node`. Raises UsageError if the name is unknown, or if a value is missing or bad."""
        if name not in ACTION_BY_NAME:
            raise self.error(node, f"what: {name!r} is none of {', '.join(ACTION_BY_NAME)}")
        action_class: Any = ACTION_BY_NAME[name]
        for field in fields(action_class):
            if field.name not in node_by_key and field.default is MISSING:
                raise self.error(node, f"{name}: {field.name} is missing")
        action: FaultAction = self.build(
            node, lambda: action_class(**self._read_values(node_by_key, action_class)), name
        )
        return action

    def _read_values(
        self, node_by_key: Mapping[str, Node], values_class: type[Any], skipped_keys: Collection[str] = ()
    ) -> dict[str, Any]:
        """Return the values in these nodes of a scenario file, by key, without `skipped_keys`. Each key is a
        field of `values_class`; the type of the field says how its value is read: as int, as str, or else as
        float."""
        type_by_field = get_type_hints(values_class)
        reader_by_type: dict[Any, Callable[[Node, str], Any]] = {int: self.integer, str: self.text}
        return {
            key: reader_by_type.get(type_by_field[key], self.number)(node, key)
            for key, node in node_by_key.items()
            if key not in skipped_keys
        }
