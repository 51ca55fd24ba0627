"""Puts together what one run is asked to do: the options of the command line and of conformance.yaml."""

import shlex
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis.strategies import just

from spatius_sim.engine.conformance_file import ConformanceFile
from spatius_sim.engine.hide_option_secrets import (
    find_subject_by_kind,
    options_for_shell,
    subject_without_secrets,
)
from spatius_sim.engine.option_table import CONFORMANCE_FILE, JUDGE_OPTIONS, RELAY_OPTIONS, values_given
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
    """What one run is asked to do. `values` are all options that have a value, by name; `values_from_file`
    are those among them that come from `file`. `settings` are made from `values`. `plan_token` is the token
    of the one plan to run; "" for the plans that exercise each rule."""

    values: Mapping[str, Any]
    settings: Settings
    file: ConformanceFile | None = None
    values_from_file: Mapping[str, Any] = field(default_factory=dict)
    plan_token: str = ""

    @property
    def subject_by_kind(self) -> dict[str, str]:
        """The subject that the user named, by kind, without secrets; empty if none was named."""
        return find_subject_by_kind(self.values)

    @property
    def subject_kind(self) -> str:
        """The kind of the subject that the user named; "" if none was named."""
        return next(iter(self.subject_by_kind), "")

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
        """The ids of the rules that this run must exercise to pass: those that the user named. If the user
        named none: those of the judged rules that the profile (how thorough the run is) requires."""
        if self.named_rules:
            return self.judged_rules
        profile = profile_named(self.settings.profile)
        return frozenset(filter(profile.requires, self.judged_rules))

    @property
    def rules(self) -> list[Rule]:
        """The rules that are to be judged on the subject that the user named, in the catalogue's order."""
        return [rule for rule in rules_for(self.subject_kind) if rule.id in self.judged_rules]

    def check(self) -> None:
        """Raise UsageError if this request for a run has a wrong option, or names a rule that does not judge
        the subject of the run. If the option is set in conformance.yaml, the error has file and line."""
        try:
            self.settings.check()
        except UsageError as error:
            raise self.add_file_and_line(error) from error
        self.check_rules(self.subject_kind)

    def add_file_and_line(self, error: UsageError) -> UsageError:
        """Return the same error; if it is about an option that is set in conformance.yaml, with file and
        line."""
        return error if self.file is None else self.file.add_file_and_line(error)

    def check_rules(self, subject_kind: str = "") -> None:
        """Raise UsageError if a rule that the user named does not exist, or does not judge this kind of
        subject ("" is any kind). Raise UsageError, too, if a plan is named (`--plan`), and is wrong, or does
        not come with exactly one `--rule`."""
        if self.plan_token:
            if len(self.named_rules) != 1:
                raise UsageError("--plan goes with one --rule, as the report of a failure names both")
            plan_of(self.plan_token, find_rule(self.named_rules[0]).subject)
        for rule_id in self.named_rules:
            judged_kind = find_rule(rule_id).subject
            if subject_kind and judged_kind != subject_kind:
                raise UsageError(
                    f"{rule_id} is a rule for a {judged_kind}, and a {subject_kind} is to be judged"
                )

    def exercise_for(self, rule: Rule) -> Exercise:
        """Return the plans by which this rule is judged if a run is made as this request says. If the request
        names a plan, it is the only one. If the subject is an agent, it is the one plan by which all agents
        are judged. Otherwise they are the plans that exercise the rule."""
        if self.plan_token:
            return Exercise(plans=just(plan_of(self.plan_token, rule.subject)))
        if self.settings.agent_cmd:
            return AS_AN_AGENT_SPEAKS
        profile = profile_named(self.settings.profile)
        return exercise_of(rule.id, thorough=profile.thorough, patient=profile.patience)

    def scenario_counts(self, rules: Iterable[Rule]) -> dict[str, int]:
        """Return how many scenarios each of these rules adds to this run at most, by rule id. The rules are
        judged in this order, and a scenario that several rules share runs once, for the first of them."""
        if self.plan_token:
            return {rule.id: 1 for rule in rules}
        profile = profile_named(self.settings.profile)
        scenario_count_by_rule: dict[str, int] = {}
        planned_before: set[object] = set()
        for rule in rules:
            exercise = self.exercise_for(rule)
            # `exercise.sure` are fixed plans, and `exercise.most` is how many others are drawn at most.
            drawn_count = profile.client_plans if rule.subject == "client" else profile.plans
            if exercise.most is not None:
                drawn_count = min(exercise.most, drawn_count)
            new_fixed_plans = [plan for plan in dict.fromkeys(exercise.sure) if plan not in planned_before]
            new_drawn_count = 0 if exercise.plans in planned_before else drawn_count
            scenario_count_by_rule[rule.id] = len(new_fixed_plans) + new_drawn_count
            planned_before.update((*new_fixed_plans, exercise.plans))
        return scenario_count_by_rule

    def options_to_repeat(self, rule_id: str, plan: str) -> dict[str, Any]:
        """Return the command-line options, by name, that make the same run again for this rule only. `plan`
        is the token of the plan to run, or the path of a tape that holds a plan; "" means all plans of the
        rule."""
        needed_names = {option.name for option in JUDGE_OPTIONS if option.needed_to_repeat}
        typed_names = needed_names - self.values_from_file.keys()
        options = {name: value for name, value in self.values.items() if name in typed_names}
        if self.file is not None:
            options["conformance"] = str(self.file.path)
        options["seed"] = self.settings.seed
        return options | {"rule": rule_id} | ({"plan": plan} if plan else {})

    def options_for_shell(self, owned_by_others: Collection[str] = ()) -> str:
        """Return the options of this request as text that a user can type in a shell to make the same run
        again. In place of secrets other texts are shown. `owned_by_others` are names that are options of
        other pytest plugins: an option of ours with such a name gets its long name."""
        values = {name: value for name, value in self.values.items() if name not in self.values_from_file}
        if self.file is not None:
            values["conformance"] = str(self.file.path)
        return options_for_shell(values, owned_by_others)

    def doctor_command(self) -> str:
        """Return the `spatius-sim doctor` command, made from the options of this request, that finds out why
        its relay sends nothing; "" if the subject is not a relay. Options that are set in the conformance
        file are left out."""
        if self.subject_kind != "relay":
            return ""
        typed_names = {option.name for option in RELAY_OPTIONS} - self.values_from_file.keys()
        options = {name: value for name, value in self.values.items() if name in typed_names}
        target = (
            []
            if "target" in self.values_from_file
            else [shlex.quote(subject_without_secrets(self.values["target"]))]
        )
        if self.file is not None and str(self.file.path) != CONFORMANCE_FILE:
            options["conformance"] = str(self.file.path)
        return " ".join(["spatius-sim doctor", *target, options_for_shell(options)]).rstrip()


def make_run_request(
    values: Mapping[str, Any],
    environment: Mapping[str, str],
    file: ConformanceFile | None = None,
    *,
    seed: int | None = None,
    turn_hook: Hook | None = None,
) -> RunRequest:
    """Return the request for a run, made from the options `values`, by name, and those that the conformance
    `file` adds. `seed` overrides the option of this name; without both, the profile gives a seed. `turn_hook`
    is the user's function that starts each turn. Raises UsageError if an option is wrong, or if the option
    `plan` names a tape that cannot be read."""
    all_values = values_given(values)
    values_from_file = {} if file is None else file.values_to_add(all_values)
    all_values |= values_from_file
    try:
        if seed is None:
            profile = profile_named(all_values.get("profile", DEFAULT_PROFILE))
            seed = all_values["seed"] if "seed" in all_values else profile.seed()
        settings = replace(settings_of(all_values, environment, seed), turn_hook=turn_hook)
    except UsageError as error:
        raise (error if file is None else file.add_file_and_line(error)) from error
    token_or_tape = str(all_values.get("plan", ""))
    plan_token = read_plan_token(Path(token_or_tape)) if token_or_tape.endswith(".tape") else token_or_tape
    return RunRequest(all_values, settings, file, values_from_file, plan_token)
