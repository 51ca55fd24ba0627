"""The settings of a run that judges tapes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spatius_sim.engine.conformance_file import ConformanceFile, find_conformance_file
from spatius_sim.engine.option_table import REPORT_OPTIONS
from spatius_sim.engine.run_profiles import DEFAULT_LEVEL
from spatius_sim.engine.select_rules import levels_judged_at
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.wires.optional_features import FEATURES


@dataclass(frozen=True, slots=True)
class TapeSettings:
    """The options for judging a tape, by name: `option_values` of the command line, and those of the
    conformance file, if it is about the same kind of subject. The command line wins."""

    option_values: Mapping[str, Any] = field(default_factory=dict)
    file: ConformanceFile | None = None

    def for_subject(self, subject: str) -> Mapping[str, Any]:
        """Return the settings for judging tapes of this kind of subject, each value by the name of its
        option. Options of the command line win over conformance.yaml, which counts only for the kind of
        subject that it names."""
        file_applies = self.file is not None and self.file.subject in ("", subject)
        return (
            {**self.file.values, **self.option_values}
            if self.file is not None and file_applies
            else self.option_values
        )

    @property
    def reports(self) -> dict[str, str]:
        """The files and the folder to write reports to, by option name."""
        values = {**(self.file.values if self.file is not None else {}), **self.option_values}
        return {option.name: values[option.name] for option in REPORT_OPTIONS if option.name in values}


def settings_of_tapes(option_values: Mapping[str, Any], folder: Path) -> TapeSettings:
    """Return the settings with which tapes are checked: options of the command line, and the conformance file
    in this folder if there is one. Raises UsageError if a level or a feature has no such name, or if the file
    is wrong."""
    set_values = {name: value for name, value in option_values.items() if value}
    file = find_conformance_file(set_values.get("conformance"), folder)
    _check_level_and_features(set_values)
    if file is not None:
        try:
            _check_level_and_features(file.values)
        except UsageError as error:
            raise file.with_place(error) from error
    return TapeSettings(set_values, file)


def _check_level_and_features(values: Mapping[str, Any]) -> None:
    """Raise UsageError if these options of a tape check name a level or a feature that does not exist."""
    levels_judged_at(values.get("level", DEFAULT_LEVEL))
    for feature in values.get("lacks", ()):
        if feature not in FEATURES:
            raise UsageError(f"--lacks {feature}: no feature is named so; {suggest_names(feature, FEATURES)}")
