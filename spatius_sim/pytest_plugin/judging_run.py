"""What a pytest run judges, and how: the subject, the rules, the options, the seed, and the bench.

Nothing heavy is imported before it is needed, for pytest loads this in every project that has us installed.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.engine.confidence import secrets_in, shown_subject
from spatius_sim.engine.options import (
    ASKED_OF_A_RELAY,
    CONFORMANCE_FILE,
    JUDGE_OPTIONS,
    SUBJECTS,
    as_typed,
    refuse_empty,
    subject_named,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin.outcomes import WORKERS_SEED, is_worker
from spatius_sim.pytest_plugin.short_names import owned_by_others
from spatius_sim.trace.known_secrets import KnownSecrets

if TYPE_CHECKING:
    from spatius_sim.engine.conformance_file import ConformanceFile
    from spatius_sim.engine.run import Run
    from spatius_sim.engine.settings import Settings
    from spatius_sim.plans.exercises import Exercise
    from spatius_sim.reporting.summary import Summary
    from spatius_sim.rules.rule import Rule
    from spatius_sim.subjects.relay.turn_starts import Hook

FROM_FILE: "pytest.StashKey[tuple[str, dict[str, Any]]]" = pytest.StashKey()
"""The path of the conformance file, and what it filled in."""
BENCH: "pytest.StashKey[Run]" = pytest.StashKey()
CHECKED: "pytest.StashKey[tuple[Summary, ...]]" = pytest.StashKey()
"""The verdicts on the tape that was named."""
ENVIRONMENT: "pytest.StashKey[dict[str, str]]" = pytest.StashKey()
"""What points a relay at the bench's Motion Server."""
_TARGET_VARIABLE = "SPATIUS_TARGET"
_SEED: "pytest.StashKey[int]" = pytest.StashKey()


def given_options(config: pytest.Config) -> dict[str, Any]:
    """The options that have a value, by name. The environment's target is none of a user's who names
    tests of his own."""
    given = {option.name: config.getoption(option.field) for option in JUDGE_OPTIONS}
    if not (subject_named(given) or _names_tests(config) or config.getoption("spatius_tape")):
        given["target"] = os.environ.get(_TARGET_VARIABLE)
    return {name: value for name, value in given.items() if value or (value == 0 and value is not False)}


def refuse_empty_options(config: pytest.Config) -> None:
    """Raises UsageError for an option without a value, and for an environment that names an empty target
    where the judge is asked for something: the tests of a team's own would run, and nothing be judged."""
    refuse_empty({f"--{option.name}": config.getoption(option.field) for option in JUDGE_OPTIONS})
    given = given_options(config)
    named = subject_named(given) or given.get("conformance") or config.getoption("spatius_tape")
    if given and not (named or _names_tests(config)):
        refuse_empty({_TARGET_VARIABLE: os.environ.get(_TARGET_VARIABLE)})


def named_subject(config: pytest.Config) -> dict[str, str]:
    """The subject that the user named, by kind, as it may be shown."""
    given = given_options(config)
    return {kind: shown_subject(given[name]) for name, kind in SUBJECTS.items() if name in given}


def read_conformance_file(config: pytest.Config) -> "ConformanceFile | None":
    """Fill in what the conformance file says. One in the working directory is read where a subject is named:
    the tests of a team that has one are none of our business."""
    given = given_options(config)
    if config.getoption("spatius_tape") or not (given.get("conformance") or subject_named(given)):
        return None
    from spatius_sim.engine.conformance_file import find_conformance_file

    file = find_conformance_file(given.get("conformance"), config.invocation_params.dir)
    if file is not None:
        filled = file.fill(given)
        for option in JUDGE_OPTIONS:
            if option.name in filled:
                setattr(config.option, option.field, filled[option.name])
        config.stash[FROM_FILE] = (str(file.path), filled)
    return file


def exercise(config: pytest.Config, rule: "Rule", thorough: bool) -> "Exercise":
    """The plans by which a rule is judged: the one that was named, or those that exercise it."""
    from spatius_sim.plans.exercises import Exercise, exercise_of

    token = config.getoption("spatius_plan")
    if not token:
        return exercise_of(rule.id, thorough=thorough)
    from hypothesis.strategies import just

    from spatius_sim.plans.token import plan_of

    return Exercise(plans=just(plan_of(token, rule.subject)))


def repeat_command(config: pytest.Config, rule_id: str, token: str) -> str:
    """The command that judges one rule over that plan; over all of its plans where there is no token."""
    path, filled = config.stash.get(FROM_FILE, ("", {}))
    needed = {option.name for option in JUDGE_OPTIONS if option.repeated} - filled.keys()
    again = {name: value for name, value in given_options(config).items() if name in needed}
    if path:
        again["conformance"] = path
    again["seed"] = run_seed(config)
    again |= {"rule": rule_id} | ({"plan": token} if token else {})
    return f"pytest {as_typed(again, owned_by_others(config, again))}"


def doctor_command(config: pytest.Config) -> str:
    """The command that finds out why nothing comes from the relay that was named; "" where none was."""
    if "relay" not in named_subject(config):
        return ""
    path, filled = config.stash.get(FROM_FILE, ("", {}))
    asked = {option.name for option in ASKED_OF_A_RELAY} - filled.keys()
    given = given_options(config)
    again = {name: value for name, value in given.items() if name in asked}
    named = [] if "target" in filled else [shlex.quote(shown_subject(given["target"]))]
    if path not in ("", CONFORMANCE_FILE):
        again["conformance"] = path
    return " ".join(["spatius-sim doctor", *named, as_typed(again)]).rstrip()


def _names_tests(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS


def check_rules(config: pytest.Config, *subjects: str) -> None:
    """Raises UsageError for a rule that does not exist, or that judges none of these subjects."""
    from spatius_sim.rules import catalogue

    token: str = config.getoption("spatius_plan")
    named: list[str] = config.getoption("spatius_rule") or []
    if token:
        from spatius_sim.plans.token import plan_of

        if len(named) != 1:
            raise UsageError("--plan goes with one --rule, as the report of a failure names both")
        plan_of(token, catalogue.find_rule(named[0]).subject)
    for rule_id in named:
        judged = catalogue.find_rule(rule_id).subject
        if subjects and judged not in subjects:
            raise UsageError(f"{rule_id} is a rule for a {judged}, and a {subjects[0]} is to be judged")


def judged_rules(config: pytest.Config) -> frozenset[str]:
    """The rules that were named or, where none was, those of the chosen level."""
    from spatius_sim.engine.profiles import DEFAULT_LEVEL, rules_to_judge

    level = config.getoption("spatius_level") or DEFAULT_LEVEL
    return rules_to_judge(config.getoption("spatius_rule") or (), level)


def run_options(config: pytest.Config) -> "Settings":
    """What the user asked for. Raises UsageError."""
    from spatius_sim.engine.settings import settings_of

    asked = settings_of(given_options(config), os.environ, run_seed(config))
    return replace(asked, turn_hook=_turn_hook(config))


def _turn_hook(config: pytest.Config) -> "Hook | None":
    caller = config.hook.pytest_spatius_start_turn
    return (lambda turn: caller(turn=turn)) if caller.get_hookimpls() else None


def run_seed(config: pytest.Config) -> int:
    """The seed that was given, or that of the profile."""
    if is_worker(config):
        return int(config.workerinput[WORKERS_SEED])  # type: ignore[attr-defined]
    if _SEED not in config.stash:
        from spatius_sim.engine.profiles import DEFAULT_PROFILE, profile_named

        profile = profile_named(config.getoption("spatius_profile") or DEFAULT_PROFILE)
        given = config.getoption("spatius_seed")
        config.stash[_SEED] = profile.seed() if given is None else given
    return config.stash[_SEED]


def bench_of(config: pytest.Config) -> "Run":
    """The one bench of this run, open. Raises UsageError."""
    if BENCH not in config.stash:
        from spatius_sim.engine.run import Run

        bench = Run(run_options(config))
        try:
            config.stash[ENVIRONMENT] = bench.open()
        except UsageError:
            bench.close()
            raise
        config.stash[BENCH] = bench
    return config.stash[BENCH]


def without_secrets(config: pytest.Config, text: str) -> str:
    """The text without what this run was told in confidence."""
    if BENCH in config.stash:
        return config.stash[BENCH].secrets.text(text)
    known = KnownSecrets()
    for secret in secrets_in(given_options(config), os.environ):
        known.hide(secret)
    return known.text(text)


@contextmanager
def usage_errors() -> Iterator[None]:
    """A UsageError in here is one of pytest's."""
    try:
        yield
    except UsageError as error:
        from spatius_sim.reporting.harmless import some_lines

        raise pytest.UsageError(some_lines(str(error))) from error
