"""What a shell completes: the names that the values of options may have."""

from collections.abc import Iterable

import click


def complete_value(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Return the values of this option that begin with what the user has typed so far."""
    values = _values_of_option(parameter.name or "")
    return [value for value in values if value.lower().startswith(typed.lower())]


def _values_of_option(option_name: str) -> Iterable[str]:
    """Return all values of this option, so that the shell can complete a value; nothing if the option takes
    free text. Each case imports only the module that it needs, because a user waits for the completion."""
    match option_name.removeprefix("spatius_"):
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
