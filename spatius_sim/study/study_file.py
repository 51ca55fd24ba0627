"""Reads the YAML file of a study. Every error names file, line and key."""

import re
from collections.abc import Callable
from dataclasses import fields, replace
from enum import Enum
from functools import partial
from pathlib import Path

from yaml.nodes import Node, ScalarNode

from spatius_sim.files.network_file import read_networks, shipped_networks
from spatius_sim.files.yaml_file import YamlFile, quote_short, read_yaml_bytes
from spatius_sim.model.network.network_profile import NetworkProfile
from spatius_sim.protocol.errors import UsageError
from spatius_sim.study.pipeline_choices import Pipeline
from spatius_sim.study.study_definition import MAX_CELLS, Budget, Study
from spatius_sim.study.study_figures import FIGURES

EXAMPLE = Path(__file__).resolve().parent / "example.yaml"

_KEYS = {
    "about",
    "turns",
    "networks",
    "network-file",
    "pipeline",
    "policies",
    "sweep",
    "budgets",
    "what-would-help",
}
_FIELDS = {field.name: type(field.default) for field in fields(Pipeline)}
_BUDGET = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(s|%|kB)?")


def read_study(path: Path) -> Study:
    """Return the study in a file. Raises UsageError, which names file, line and key, if the file is wrong."""
    return _StudyReader(str(path), path.parent).read(read_yaml_bytes(path))


class _StudyReader(YamlFile):
    """Reads one study. Other files are found from `folder`. Every method raises UsageError with place, line
    and key."""

    def __init__(self, place: str, folder: Path) -> None:
        super().__init__(place)
        self._folder = folder

    def read(self, raw: bytes) -> Study:
        """Return the study that the YAML of a study file describes; keys that are left out have defaults.
        Raises UsageError if the networks are missing, or if a key or a value is wrong."""
        root = self.parse_root(raw)
        if root is None:
            raise UsageError(f"{self.place}:1: the file is empty: networks is needed")
        top = self.mapping(root, "the study", _KEYS)
        if "networks" not in top:
            raise self.error(root, "networks is missing: a list of names, or all")
        base_pipeline = (
            self._read_pipeline(top["pipeline"], Pipeline(), "pipeline") if "pipeline" in top else Pipeline()
        )
        policies = (
            self._read_policies(top["policies"], base_pipeline)
            if "policies" in top
            else {"pipeline": base_pipeline}
        )
        known_networks = dict(shipped_networks())
        if "network-file" in top:
            known_networks |= self._read_network_file(top["network-file"])
        sweep = self._read_sweep(top["sweep"], policies) if "sweep" in top else {}
        budgets = self._read_budgets(top["budgets"]) if "budgets" in top else ()
        networks = self._read_networks_of_study(top["networks"], known_networks)
        turns = self.integer(top["turns"], "turns") if "turns" in top else 200
        what_would_help = (
            self.boolean(top["what-would-help"], "what-would-help") if "what-would-help" in top else False
        )
        about = self.text(top["about"], "about")[:500] if "about" in top else ""
        return self.build(
            root,
            lambda: Study(about, networks, policies, turns, sweep, budgets, what_would_help),
            "the study",
        )

    def _read_network_file(self, node: Node) -> dict[str, NetworkProfile]:
        """Return the networks of a team's own file, which the file of the study names."""
        name = self.text(node, "network-file")
        return self.build(node, lambda: read_networks(self._folder / name), "network-file")

    def _read_networks_of_study(
        self, node: Node, known_networks: dict[str, NetworkProfile]
    ) -> tuple[NetworkProfile, ...]:
        """Return the networks that the study file lists; for the word `all`, every known network. Raises
        UsageError if a name is unknown, or if the list is empty."""
        if isinstance(node, ScalarNode) and node.value == "all":
            return tuple(known_networks.values())
        chosen: dict[str, NetworkProfile] = {}
        for item in self.sequence(node, "networks"):
            name = self.text(item, "networks")
            if name not in known_networks:
                raise self.error(
                    item, f"networks: {quote_short(name)} is unknown: {', '.join(known_networks)}"
                )
            chosen[name] = known_networks[name]
        if not chosen:
            raise self.error(node, "networks: no name stands here")
        return tuple(chosen.values())

    def _read_policies(self, node: Node, base_pipeline: Pipeline) -> dict[str, Pipeline]:
        """Return the policies of the study by name. A policy is a pipeline with a name of its own: the base
        pipeline with the changes that the file lists. Raises UsageError if there are too few or too many, or
        if a name or a value is wrong."""
        items = self.items(node, "policies")
        if not 0 < len(items) <= MAX_CELLS:
            raise self.error(node, f"policies: 1 to {MAX_CELLS} are needed")
        policies = {}
        for name, (key, value) in items.items():
            if not 0 < len(name) <= 40 or not name.isprintable():
                raise self.error(key, "policies: a name has 1 to 40 letters")
            has_no_changes = isinstance(value, ScalarNode) and not value.value
            policies[name] = (
                base_pipeline if has_no_changes else self._read_pipeline(value, base_pipeline, name)
            )
        return policies

    def _read_pipeline(self, node: Node, base_pipeline: Pipeline, node_name: str) -> Pipeline:
        """Return the base pipeline with the changes that the mapping `node` lists, field by field.
        `node_name` names the mapping in errors. Raises UsageError if a field or a value is wrong."""
        pipeline = base_pipeline
        for key, value in self.mapping(node, node_name, _FIELDS).items():
            changed = self._read_value(key, value)
            pipeline = self.build(value, partial(_change_pipeline, pipeline, key, changed), key)
        return pipeline

    def _read_value(self, key: str, node: Node) -> object:
        """Read the value of the pipeline's field `key` from a node of the study file, and return it with the
        type of the field. Raises UsageError if the node holds no value of this type."""
        value_type = _FIELDS[key]
        if issubclass(value_type, Enum):
            text = self.text(node, key)
            member_by_text = {str(member.value): member for member in value_type}
            if text not in member_by_text:
                raise self.error(node, f"{key}: {quote_short(text)} is none of {', '.join(member_by_text)}")
            return member_by_text[text]
        readers: dict[type, Callable[[Node, str], object]] = {
            bool: self.boolean,
            int: self.integer,
            float: self.number,
            str: self.text,
        }
        return readers[value_type](node, key)

    def _read_sweep(self, node: Node, policies: dict[str, Pipeline]) -> dict[str, tuple[object, ...]]:
        """Return the values that the study tries for each swept field of the pipelines. Raises UsageError if
        the pipeline of a policy cannot take one of the values, or if there are too many combinations, or
        none."""
        sweep: dict[str, tuple[object, ...]] = {}
        point_count = 1
        for key, value in self.mapping(node, "sweep", _FIELDS).items():
            value_nodes = self.sequence(value, key)
            point_count *= len(value_nodes)
            if not 0 < point_count <= MAX_CELLS:
                raise self.error(value, f"sweep: {point_count} points with {key}; 1 to {MAX_CELLS} are taken")
            sweep[key] = tuple(self._read_value(key, item) for item in value_nodes)
            for item, swept_value in zip(value_nodes, sweep[key], strict=True):
                for pipeline in policies.values():
                    self.build(item, partial(_change_pipeline, pipeline, key, swept_value), key)
        return sweep

    def _read_budgets(self, node: Node) -> tuple[Budget, ...]:
        """Return the budgets of the study: the most that each figure may be."""
        return tuple(
            self._read_budget(key, value) for key, value in self.mapping(node, "budgets", FIGURES).items()
        )

    def _read_budget(self, key: str, node: Node) -> Budget:
        """Read the budget for the figure `key` from the study file, such as `1.5 s`, `2 %` or `0.5`. Per cent
        become a share from 0 to 1. Raises UsageError if the number or its unit is wrong."""
        text = self.text(node, key)
        match = _BUDGET.fullmatch(text.strip())
        unit = FIGURES[key].unit
        if match is None or (match[2] or unit) != unit:
            wanted = f"a number with the unit {unit}" if unit else "a number without a unit"
            raise self.error(node, f"{key}: {quote_short(text)} is not {wanted}")
        return Budget(key, float(match[1]) / (100 if unit == "%" else 1))


def _change_pipeline(pipeline: Pipeline, key: str, value: object) -> Pipeline:
    """Return the pipeline with its field `key` set to `value`. Raises UsageError if the value is wrong. Its
    message does not name the field, because the caller adds field, file and line."""
    try:
        return replace(pipeline, **{key: value})  # type: ignore[arg-type]
    except UsageError as error:
        raise UsageError(str(error).removeprefix(f"{key} ")) from error
