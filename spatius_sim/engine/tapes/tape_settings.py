"""The settings of a run that judges tapes, and the baseline that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spatius_sim.engine.baseline_file import read_baseline
from spatius_sim.engine.conformance_file import ConformanceFile, find_conformance_file
from spatius_sim.engine.option_table import REPORT_OPTIONS
from spatius_sim.engine.run_profiles import DEFAULT_LEVEL
from spatius_sim.engine.select_rules import levels_judged_at
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.compare_with_baseline import Baseline
from spatius_sim.wires.optional_features import FEATURES


@dataclass(frozen=True, slots=True)
class TapeSettings:
    """The options for judging a tape, by name: `option_values` of the command line, and those of the
    conformance file, if it is about the same kind of subject. The command line wins."""

    option_values: Mapping[str, Any] = field(default_factory=dict)
    file: ConformanceFile | None = None

    def for_subject(self, subject_kind: str) -> Mapping[str, Any]:
        """Return the options for judging this kind of subject on a tape, by name: those of the command line,
        and those of conformance.yaml. The command line wins. The file is left out if it names another kind of
        subject."""
        if self.file is not None and self.file.subject_kind in ("", subject_kind):
            return {**self.file.values, **self.option_values}
        return self.option_values

    @property
    def reports(self) -> dict[str, str]:
        """The files and the folder to write reports to, by option name."""
        values = {**(self.file.values if self.file is not None else {}), **self.option_values}
        return {option.name: values[option.name] for option in REPORT_OPTIONS if option.name in values}


def settings_of_tapes(option_values: Mapping[str, Any], folder: Path) -> TapeSettings:
    """Return the settings for checking tapes: the options of the command line that have a value, and the
    conformance file that they name, or else the conformance.yaml in `folder`, if there is one. Raises
    UsageError if the file is wrong, or if a level or a feature of that name does not exist."""
    set_values = {name: value for name, value in option_values.items() if value}
    file = find_conformance_file(set_values.get("conformance"), folder)
    _check_level_and_features(set_values)
    if file is not None:
        try:
            _check_level_and_features(file.values)
        except UsageError as error:
            raise file.add_file_and_line(error) from error
    return TapeSettings(set_values, file)


def read_baseline_for_tape(path: Path, subject_kinds: Sequence[str]) -> Baseline:
    """Return the baseline (the list of known failures) that the settings for a tape name by its `path`. The
    tape holds these kinds of subject. All its entries are marked as flaky: a rule that was broken in one
    recording may be kept in the next."""
    baseline = read_baseline(path, *subject_kinds)
    return replace(
        baseline, known={rule_id: replace(known, flaky=True) for rule_id, known in baseline.known.items()}
    )


def _check_level_and_features(values: Mapping[str, Any]) -> None:
    """Raise UsageError if these options for checking tapes, by name, have a level of rules or a feature
    (`lacks`) that does not exist."""
    levels_judged_at(values.get("level", DEFAULT_LEVEL))
    for feature in values.get("lacks", ()):
        if feature not in FEATURES:
            raise UsageError(f"--lacks {feature}: no feature is named so; {suggest_names(feature, FEATURES)}")
