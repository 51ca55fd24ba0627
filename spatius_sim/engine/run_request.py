"""What one run is asked: the options of the front that was called and of conformance.yaml, read once."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis.strategies import just

from spatius_sim.engine.conformance_file import ConformanceFile
from spatius_sim.engine.option_secrets import shown_subject
from spatius_sim.engine.options import (
    ASKED_OF_A_RELAY,
    CONFORMANCE_FILE,
    JUDGE_OPTIONS,
    SUBJECTS,
    as_typed,
    values_given,
)
from spatius_sim.engine.profiles import DEFAULT_PROFILE, profile_named, rules_to_judge
from spatius_sim.engine.settings import Settings, settings_of
from spatius_sim.plans.exercises import Exercise, exercise_of
from spatius_sim.plans.token import plan_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import find_rule, rules_for
from spatius_sim.rules.rule import Rule
from spatius_sim.subjects.relay.turn_starts import Hook


@dataclass(frozen=True, slots=True)
class RunRequest:
    """`values` are all options that have a value, by name; `filled` are those that `file` said. `settings`
    are made of them."""

    values: Mapping[str, Any]
    settings: Settings
    file: ConformanceFile | None = None
    filled: Mapping[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> dict[str, str]:
        """The subject that is named, by kind, as it may be shown; empty if none is."""
        return named_subject(self.values)

    @property
    def kind(self) -> str:
        """The kind of the subject that is named; "" if none is."""
        return next(iter(self.subject), "")

    @property
    def named_rules(self) -> tuple[str, ...]:
        """The ids of the rules that the user named."""
        return tuple(self.values.get("rule", ()))

    @property
    def plan_token(self) -> str:
        """The token of the one plan to run; "" for the plans that exercise each rule."""
        return str(self.values.get("plan", ""))

    @property
    def judged_rules(self) -> frozenset[str]:
        """The ids of the rules that were named; if none was, of those at the chosen level."""
        return rules_to_judge(self.named_rules, self.settings.level)

    @property
    def required_rules(self) -> frozenset[str]:
        """The ids of the rules without which the run is no pass."""
        profile = profile_named(self.settings.profile)
        return (
            self.judged_rules if self.named_rules else frozenset(filter(profile.requires, self.judged_rules))
        )

    @property
    def rules(self) -> list[Rule]:
        """The rules to judge of the subject that is named, in the catalogue's order."""
        return [rule for rule in rules_for(self.kind) if rule.id in self.judged_rules]

    def check(self) -> None:
        """Raises UsageError for settings that cannot be (with file and line, if they stand in a file), and
        for rules that do not judge the subject that is named."""
        try:
            self.settings.check()
        except UsageError as error:
            raise self.with_place(error) from error
        self.check_rules(self.kind)

    def with_place(self, error: UsageError) -> UsageError:
        """The same error, with file and line if it is about an option that stands in the file."""
        return error if self.file is None else self.file.with_place(error)

    def check_rules(self, kind: str = "") -> None:
        """Raises UsageError for a rule that does not exist or that judges no subject of this `kind` (""
        stands for any), and for a plan that cannot be."""
        if self.plan_token:
            if len(self.named_rules) != 1:
                raise UsageError("--plan goes with one --rule, as the report of a failure names both")
            plan_of(self.plan_token, find_rule(self.named_rules[0]).subject)
        for rule_id in self.named_rules:
            judged = find_rule(rule_id).subject
            if kind and judged != kind:
                raise UsageError(f"{rule_id} is a rule for a {judged}, and a {kind} is to be judged")

    def exercise(self, rule: Rule) -> Exercise:
        """The plans by which that rule is judged: the one that is named, or those that exercise the rule."""
        if self.plan_token:
            return Exercise(plans=just(plan_of(self.plan_token, rule.subject)))
        return exercise_of(rule.id, thorough=profile_named(self.settings.profile).thorough)

    def repeated_values(self, rule_id: str, token: str) -> dict[str, Any]:
        """The options that judge one rule again over the plan of that token, by name; over all of its plans
        if the token is ""."""
        needed = {option.name for option in JUDGE_OPTIONS if option.repeated} - self.filled.keys()
        again = {name: value for name, value in self.values.items() if name in needed}
        if self.file is not None:
            again["conformance"] = str(self.file.path)
        again["seed"] = self.settings.seed
        return again | {"rule": rule_id} | ({"plan": token} if token else {})

    def doctor_command(self) -> str:
        """The command that finds out why nothing comes from the relay that is named; "" if none is."""
        if self.kind != "relay":
            return ""
        asked = {option.name for option in ASKED_OF_A_RELAY} - self.filled.keys()
        again = {name: value for name, value in self.values.items() if name in asked}
        named = [] if "target" in self.filled else [shlex.quote(shown_subject(self.values["target"]))]
        if self.file is not None and str(self.file.path) != CONFORMANCE_FILE:
            again["conformance"] = str(self.file.path)
        return " ".join(["spatius-sim doctor", *named, as_typed(again)]).rstrip()


def request_of(
    values: Mapping[str, Any],
    environment: Mapping[str, str],
    file: ConformanceFile | None = None,
    *,
    seed: int | None = None,
    turn_hook: Hook | None = None,
) -> RunRequest:
    """The request with these options, by name, and what the file adds to them. `seed` overrides all of them;
    if nobody says one, it is that of the profile. Raises UsageError if there is no such profile."""
    said = values_given(values)
    filled = {} if file is None else file.fill(said)
    said |= filled
    try:
        if seed is None:
            profile = profile_named(said.get("profile", DEFAULT_PROFILE))
            seed = said["seed"] if "seed" in said else profile.seed()
        settings = replace(settings_of(said, environment, seed), turn_hook=turn_hook)
    except UsageError as error:
        raise (error if file is None else file.with_place(error)) from error
    return RunRequest(said, settings, file, filled)


def named_subject(values: Mapping[str, Any]) -> dict[str, str]:
    """The subject that these options name, by kind, as it may be shown; empty if they name none."""
    return {kind: shown_subject(values[name]) for name, kind in SUBJECTS.items() if values.get(name)}
