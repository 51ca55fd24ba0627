"""What a pytest run judges: the request, the judging and the baseline, each made once, when first needed.

Nothing heavy is imported before that, for pytest loads this in every project that has us installed.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.engine.option_secrets import secrets_in
from spatius_sim.engine.options import (
    JUDGE_OPTIONS,
    TARGET_VARIABLE,
    as_typed,
    refuse_empty,
    subject_named,
    values_given,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin.collect_outcomes import WORKERS_SEED, is_worker
from spatius_sim.pytest_plugin.short_names import owned_by_others
from spatius_sim.trace.known_secrets import KnownSecrets

if TYPE_CHECKING:
    from spatius_sim.engine.rule_by_rule import Judging
    from spatius_sim.engine.run_baseline import RunBaseline
    from spatius_sim.engine.run_request import RunRequest
    from spatius_sim.reporting.summary import Summary
    from spatius_sim.subjects.relay.turn_starts import Hook

JUDGING: "pytest.StashKey[Judging]" = pytest.StashKey()
ENVIRONMENT: "pytest.StashKey[Mapping[str, str]]" = pytest.StashKey()
"""The variables that point a relay at our Motion Server."""
CHECKED: "pytest.StashKey[tuple[Summary, ...]]" = pytest.StashKey()
"""The verdicts on the tape that was named."""
_REQUEST: "pytest.StashKey[RunRequest]" = pytest.StashKey()
_BASELINE: "pytest.StashKey[RunBaseline]" = pytest.StashKey()


def given_options(config: pytest.Config) -> dict[str, Any]:
    """The options of the command line that have a value, by name. If the user names tests, the environment
    names no target."""
    given = {option.name: config.getoption(option.field) for option in JUDGE_OPTIONS}
    if not (subject_named(given) or _names_tests(config) or config.getoption("spatius_tape")):
        given["target"] = os.environ.get(TARGET_VARIABLE)
    return values_given(given)


def refuse_empty_options(config: pytest.Config) -> None:
    """Raises UsageError for an option without a value. The same for an empty target in the environment, if an
    option of the judge is given: else the tests of the team would run, and nothing be judged."""
    refuse_empty({f"--{option.name}": config.getoption(option.field) for option in JUDGE_OPTIONS})
    given = given_options(config)
    named = subject_named(given) or given.get("conformance") or config.getoption("spatius_tape")
    if given and not (named or _names_tests(config)):
        refuse_empty({TARGET_VARIABLE: os.environ.get(TARGET_VARIABLE)})


def names_subject(config: pytest.Config) -> bool:
    """Whether the command line, the environment or the conformance file names a subject."""
    if _REQUEST in config.stash:
        return bool(config.stash[_REQUEST].kind)
    given = given_options(config)
    if config.getoption("spatius_tape"):
        return bool(subject_named(given))
    asked = bool(subject_named(given) or given.get("conformance"))
    return asked and bool(request_in(config).kind)


def request_in(config: pytest.Config) -> "RunRequest":
    """The request of this run. A conformance file in the working directory counts only if a subject is named:
    the tests of a team that has such a file are none of our business. Raises UsageError."""
    if _REQUEST not in config.stash:
        from spatius_sim.engine.conformance_file import find_conformance_file
        from spatius_sim.engine.run_request import request_of

        given = given_options(config)
        file = None
        if (given.get("conformance") or subject_named(given)) and not config.getoption("spatius_tape"):
            file = find_conformance_file(given.get("conformance"), config.invocation_params.dir)
        seed = config.workerinput.get(WORKERS_SEED) if is_worker(config) else None  # type: ignore[attr-defined]
        config.stash[_REQUEST] = request_of(given, os.environ, file, seed=seed, turn_hook=_turn_hook(config))
    return config.stash[_REQUEST]


def values_in(config: pytest.Config) -> Mapping[str, Any]:
    """The options that have a value, by name; those of the conformance file among them, once it was read."""
    return config.stash[_REQUEST].values if _REQUEST in config.stash else given_options(config)


def baseline_in(config: pytest.Config) -> "RunBaseline | None":
    """The baseline of the subject that is named; None if none is. Raises UsageError."""
    if not names_subject(config):
        return None
    if _BASELINE not in config.stash:
        from spatius_sim.engine.run_baseline import RunBaseline

        config.stash[_BASELINE] = RunBaseline(request_in(config))
    return config.stash[_BASELINE]


def judging_in(config: pytest.Config) -> "Judging":
    """The one judging of this run, open. Raises UsageError."""
    if JUDGING not in config.stash:
        from spatius_sim.engine.rule_by_rule import Judging

        judging = Judging(
            request_in(config),
            baseline_in(config),
            lambda again: as_typed(again, owned_by_others(config, again)),
        )
        config.stash[ENVIRONMENT] = judging.open()
        config.stash[JUDGING] = judging
    return config.stash[JUDGING]


def without_secrets(config: pytest.Config, text: str) -> str:
    """The text without what this run was told in confidence."""
    if JUDGING in config.stash:
        return config.stash[JUDGING].run.secrets.text(text)
    known = KnownSecrets()
    for secret in secrets_in(values_in(config), os.environ):
        known.hide(secret)
    return known.text(text)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Turn a UsageError in here into one of pytest's."""
    try:
        yield
    except UsageError as error:
        from spatius_sim.reporting.harmless import some_lines

        raise pytest.UsageError(some_lines(str(error))) from error


def _names_tests(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS


def _turn_hook(config: pytest.Config) -> "Hook | None":
    caller = config.hook.pytest_spatius_start_turn
    return (lambda turn: caller(turn=turn)) if caller.get_hookimpls() else None
