"""Puts together what one run is asked to do: the options of the command line and of conformance.yaml."""

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis.strategies import just

from spatius_sim.engine.conformance_file import ConformanceFile
from spatius_sim.engine.hide_option_secrets import subject_without_secrets
from spatius_sim.engine.option_table import (
    ASKED_OF_A_RELAY,
    CONFORMANCE_FILE,
    JUDGE_OPTIONS,
    SUBJECTS,
    as_typed,
    kind_named_by,
    values_given,
)
from spatius_sim.engine.run_profiles import DEFAULT_PROFILE, profile_named
from spatius_sim.engine.run_settings import Settings, settings_of
from spatius_sim.engine.select_rules import rules_to_judge
from spatius_sim.plans.plan_token import plan_of
from spatius_sim.plans.plans_for_rules import AS_AN_AGENT_SPEAKS, Exercise, exercise_of
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import find_rule, rules_for
from spatius_sim.rules.rule import Rule
from spatius_sim.subjects.relay.start_turns import Hook
from spatius_sim.tape.traces_on_tapes import read_plan_token


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What one run is asked to do. `values` are all options that have a value, by name; `filled` are those
    among them that come from `file`. `settings` are made from `values`. `plan_token` is the token of the one
    plan to run; "" for the plans that exercise each rule."""

    values: Mapping[str, Any]
    settings: Settings
    file: ConformanceFile | None = None
    filled: Mapping[str, Any] = field(default_factory=dict)
    plan_token: str = ""

    @property
    def subject(self) -> dict[str, str]:
        """The subject that the user named, by kind, without secrets; empty if none was named."""
        return named_subject(self.values)

    @property
    def kind(self) -> str:
        """The kind of the subject that the user named; "" if none was named."""
        return next(iter(self.subject), "")

    @property
    def named_rules(self) -> tuple[str, ...]:
        """The ids of the rules that the user named."""
        return tuple(self.values.get("rule", ()))

    @property
    def judged_rules(self) -> frozenset[str]:
        """The ids of the rules that the user named; if none was named, of all rules that the level
        selects."""
        return rules_to_judge(self.named_rules, self.settings.level)

    @property
    def required_rules(self) -> frozenset[str]:
        """The ids of the rules that this run must exercise to pass: those that the user has named, or those
        that the profile requires."""
        profile = profile_named(self.settings.profile)
        return (
            self.judged_rules if self.named_rules else frozenset(filter(profile.requires, self.judged_rules))
        )

    @property
    def rules(self) -> list[Rule]:
        """The rules that are to be judged on the subject that the user named, in the catalogue's order."""
        return [rule for rule in rules_for(self.kind) if rule.id in self.judged_rules]

    def check(self) -> None:
        """Check this run request: raise UsageError if an option is wrong, or if a rule that the user named
        does not judge the subject of the run. The error has file and line if the option stands in
        conformance.yaml."""
        try:
            self.settings.check()
        except UsageError as error:
            raise self.with_place(error) from error
        self.check_rules(self.kind)

    def with_place(self, error: UsageError) -> UsageError:
        """Return the same error; if it is about an option that stands in conformance.yaml, with file and
        line."""
        return error if self.file is None else self.file.with_place(error)

    def check_rules(self, kind: str = "") -> None:
        """Check the rules and the plan that this request for a run names. Raises UsageError if a rule does
        not exist or does not judge this `kind` of subject ("" is any kind), or if the plan is wrong."""
        if self.plan_token:
            if len(self.named_rules) != 1:
                raise UsageError("--plan goes with one --rule, as the report of a failure names both")
            plan_of(self.plan_token, find_rule(self.named_rules[0]).subject)
        for rule_id in self.named_rules:
            judged = find_rule(rule_id).subject
            if kind and judged != kind:
                raise UsageError(f"{rule_id} is a rule for a {judged}, and a {kind} is to be judged")

    def exercise_for(self, rule: Rule) -> Exercise:
        """Return the plans over which this run request wants a rule judged: the plan that the user named,
        or else the plans that exercise the rule."""
        if self.plan_token:
            return Exercise(plans=just(plan_of(self.plan_token, rule.subject)))
        if self.settings.agent_cmd:
            return AS_AN_AGENT_SPEAKS
        return exercise_of(rule.id, thorough=profile_named(self.settings.profile).thorough)

    def scenario_counts(self, rules: Iterable[Rule]) -> dict[str, int]:
        """Return how many scenarios each of these rules adds at most to this run if they are judged in this
        order, by rule id: rules that share scenarios run them once."""
        if self.plan_token:
            return {rule.id: 1 for rule in rules}
        profile = profile_named(self.settings.profile)
        counts: dict[str, int] = {}
        seen: set[object] = set()
        for rule in rules:
            exercise = self.exercise_for(rule)
            examples = profile.client_plans if rule.subject == "client" else profile.plans
            drawn = examples if exercise.most is None else min(exercise.most, examples)
            new_plans = [plan for plan in dict.fromkeys(exercise.sure) if plan not in seen]
            counts[rule.id] = len(new_plans) + (drawn if exercise.plans not in seen else 0)
            seen.update((*new_plans, exercise.plans))
        return counts

    def options_to_repeat(self, rule_id: str, plan: str) -> dict[str, Any]:
        """Return the options of the command line, by name, that request the same run again for one rule only.
        `plan` is the token of a plan, or the path of a tape that holds a plan; "" means all plans of the
        rule."""
        needed = {option.name for option in JUDGE_OPTIONS if option.needed_to_repeat} - self.filled.keys()
        options = {name: value for name, value in self.values.items() if name in needed}
        if self.file is not None:
            options["conformance"] = str(self.file.path)
        options["seed"] = self.settings.seed
        return options | {"rule": rule_id} | ({"plan": plan} if plan else {})

    def type_options(self, owned_by_others: Collection[str] = ()) -> str:
        """Return the options of this run request as text, without secrets: a user types this text to make the
        same run again. Options in `owned_by_others`, whose short names belong to other plugins of pytest,
        have their long names."""
        values = {name: value for name, value in self.values.items() if name not in self.filled}
        if self.file is not None:
            values["conformance"] = str(self.file.path)
        return as_typed(values, owned_by_others)

    def doctor_command(self) -> str:
        """Return the `spatius-sim doctor` command with which the user can find out why the relay of this run
        sends nothing; "" if the subject is no relay."""
        if self.kind != "relay":
            return ""
        needed = {option.name for option in ASKED_OF_A_RELAY} - self.filled.keys()
        options = {name: value for name, value in self.values.items() if name in needed}
        target = (
            [] if "target" in self.filled else [shlex.quote(subject_without_secrets(self.values["target"]))]
        )
        if self.file is not None and str(self.file.path) != CONFORMANCE_FILE:
            options["conformance"] = str(self.file.path)
        return " ".join(["spatius-sim doctor", *target, as_typed(options)]).rstrip()


def request_of(
    values: Mapping[str, Any],
    environment: Mapping[str, str],
    file: ConformanceFile | None = None,
    *,
    seed: int | None = None,
    turn_hook: Hook | None = None,
) -> RunRequest:
    """Return the request for a run: the options `values`, by name, merged with those that the conformance
    file adds. `seed` overrides the options; if no seed is named, the profile gives one. Raises UsageError if
    an option is wrong, or if the tape that the option `plan` names cannot be read."""
    all_values = values_given(values)
    filled = {} if file is None else file.fill(all_values)
    all_values |= filled
    try:
        if seed is None:
            profile = profile_named(all_values.get("profile", DEFAULT_PROFILE))
            seed = all_values["seed"] if "seed" in all_values else profile.seed()
        settings = replace(settings_of(all_values, environment, seed), turn_hook=turn_hook)
    except UsageError as error:
        raise (error if file is None else file.with_place(error)) from error
    plan = str(all_values.get("plan", ""))
    token = read_plan_token(Path(plan)) if plan.endswith(".tape") else plan
    return RunRequest(all_values, settings, file, filled, token)


def named_subject(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the subject that these options name, by kind, without secrets; empty if they name none."""
    return {
        kind_named_by(name, values): subject_without_secrets(values[name])
        for name in SUBJECTS
        if values.get(name)
    }
