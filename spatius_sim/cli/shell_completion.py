"""What a shell completes: the names that the values of options may have."""

from collections.abc import Iterable

import click


def complete_value(context: click.Context, parameter: click.Parameter, begun: str) -> list[str]:
    """Return the names that an option of this name takes, and that begin with `begun`."""
    return [name for name in _names_for(parameter.name or "") if name.lower().startswith(begun.lower())]


def _names_for(option: str) -> Iterable[str]:
    """Return the names that the shell completes as the value of this option; none if its values are not
    fixed. Only the module that knows the names is imported."""
    match option.removeprefix("spatius_"):
        case "rule":
            from spatius_sim.rules.catalogue import RULES

            return RULES
        case "profile":
            from spatius_sim.engine.run_profiles import PROFILES

            return PROFILES
        case "level":
            from spatius_sim.rules.rule import Level

            return [level.name.lower() for level in Level]
        case "wire":
            from spatius_sim.files.wire_file import wire_names

            return wire_names()
        case "lacks":
            from spatius_sim.wires.optional_features import FEATURES

            return FEATURES
        case "scenario":
            from spatius_sim.files.scenario_file import shipped_scenarios

            return [scenario.name for scenario in shipped_scenarios()]
    return ()
