"""Keeps the request, the judging and the baseline of a pytest run; each is made once, when first needed.

Nothing heavy is imported before that, for pytest loads this in every project that has us installed.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.engine.hide_option_secrets import secrets_in
from spatius_sim.engine.option_table import (
    JUDGE_OPTIONS,
    TARGET_VARIABLE,
    as_typed,
    refuse_empty,
    subject_named,
    values_given,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin.collect_outcomes import WORKERS_SEED, is_worker
from spatius_sim.pytest_plugin.short_option_names import owned_by_others
from spatius_sim.trace.known_secrets import KnownSecrets

if TYPE_CHECKING:
    from spatius_sim.engine.judge_run import Judging
    from spatius_sim.engine.run_baseline import RunBaseline
    from spatius_sim.engine.run_request import RunRequest
    from spatius_sim.reporting.summary import Summary
    from spatius_sim.subjects.relay.start_turns import Hook

JUDGING: "pytest.StashKey[Judging]" = pytest.StashKey()
ENVIRONMENT: "pytest.StashKey[Mapping[str, str]]" = pytest.StashKey()
"""The variables that point a relay at our Motion Server."""
CHECKED: "pytest.StashKey[tuple[Summary, ...]]" = pytest.StashKey()
"""The verdicts on the tape that was named."""
_REQUEST: "pytest.StashKey[RunRequest]" = pytest.StashKey()
_BASELINE: "pytest.StashKey[RunBaseline]" = pytest.StashKey()


def given_options(config: pytest.Config) -> dict[str, Any]:
    """Return by name the options that this pytest session was given and that say what to judge. If they name
    no subject, no tape and no tests, `target` comes from the environment."""
    options = {option.name: config.getoption(option.field) for option in JUDGE_OPTIONS}
    if not (subject_named(options) or _names_tests(config) or config.getoption("spatius_tape")):
        options["target"] = os.environ.get(TARGET_VARIABLE)
    return values_given(options)


def refuse_empty_options(config: pytest.Config) -> None:
    """Raise UsageError if an option of this pytest session has an empty value. If options are given but no
    subject, an empty target in the environment is refused too: otherwise only the team's tests would run, and
    nothing would be judged."""
    refuse_empty({f"--{option.name}": config.getoption(option.field) for option in JUDGE_OPTIONS})
    options = given_options(config)
    says_what_to_judge = (
        subject_named(options) or options.get("conformance") or config.getoption("spatius_tape")
    )
    if options and not (says_what_to_judge or _names_tests(config)):
        refuse_empty({TARGET_VARIABLE: os.environ.get(TARGET_VARIABLE)})


def names_subject(config: pytest.Config) -> bool:
    """Return whether the pytest session names a subject to judge: on the command line, in the environment, or
    in the conformance file."""
    if _REQUEST in config.stash:
        return bool(config.stash[_REQUEST].kind)
    options = given_options(config)
    if config.getoption("spatius_tape"):
        return bool(subject_named(options))
    may_name_subject = bool(subject_named(options) or options.get("conformance"))
    return may_name_subject and bool(request_in(config).kind)


def request_in(config: pytest.Config) -> "RunRequest":
    """Return the request of this pytest session. A conformance file in the working directory is read only
    if a subject is named, because a team with such a file also runs its own tests there. Raises UsageError
    if an option is wrong."""
    if _REQUEST not in config.stash:
        from spatius_sim.engine.conformance_file import find_conformance_file
        from spatius_sim.engine.run_request import request_of

        options = given_options(config)
        file = None
        if (options.get("conformance") or subject_named(options)) and not config.getoption("spatius_tape"):
            file = find_conformance_file(options.get("conformance"), config.invocation_params.dir)
        seed = config.workerinput.get(WORKERS_SEED) if is_worker(config) else None  # type: ignore[attr-defined]
        config.stash[_REQUEST] = request_of(
            options, os.environ, file, seed=seed, turn_hook=_turn_hook(config)
        )
    return config.stash[_REQUEST]


def values_in(config: pytest.Config) -> Mapping[str, Any]:
    """Return the options of this pytest session that have a value, by name. The options of the conformance
    file are among them once `request_in` has read it."""
    return config.stash[_REQUEST].values if _REQUEST in config.stash else given_options(config)


def baseline_in(config: pytest.Config) -> "RunBaseline | None":
    """Return the baseline of this pytest session; None if no subject is named. Raises UsageError if the
    baseline is wrong."""
    if not names_subject(config):
        return None
    if _BASELINE not in config.stash:
        from spatius_sim.engine.run_baseline import RunBaseline

        config.stash[_BASELINE] = RunBaseline(request_in(config))
    return config.stash[_BASELINE]


def judging_in(config: pytest.Config) -> "Judging":
    """Return the `Judging` of this pytest session, which judges the rules for all test items. The first call
    makes it, and starts our Motion Server if the session needs one; raises UsageError if that fails."""
    if JUDGING not in config.stash:
        from spatius_sim.engine.judge_run import Judging

        judging = Judging(
            request_in(config),
            baseline_in(config),
            "pytest",
            lambda options: as_typed(options, owned_by_others(config, options)),
        )
        config.stash[ENVIRONMENT] = judging.open()
        config.stash[JUDGING] = judging
    return config.stash[JUDGING]


def options_as_typed(config: pytest.Config) -> str:
    """Return our options in this pytest session as the user would type them again on the command line,
    without secrets."""
    request = request_in(config)
    tape = config.getoption("spatius_tape")
    typed = request.type_options(owned_by_others(config, request.values))
    return f"--tape={shlex.quote(tape)} {typed}".strip() if tape else typed


def without_secrets(config: pytest.Config, text: str) -> str:
    """Return the text with stars in place of the secrets that this pytest session knows."""
    if JUDGING in config.stash:
        return config.stash[JUDGING].run.secrets.redact_text(text)
    known = KnownSecrets()
    for secret in secrets_in(values_in(config), os.environ):
        known.hide(secret)
    return known.redact_text(text)


@contextmanager
def usage_errors() -> Iterator[None]:
    """Run a block of code in the pytest session. If it raises a UsageError of ours, raise pytest's own
    UsageError instead, with a harmless text, so that pytest shows the text and no traceback."""
    try:
        yield
    except UsageError as error:
        from spatius_sim.reporting.make_text_harmless import some_lines

        raise pytest.UsageError(some_lines(str(error))) from error


def _names_tests(config: pytest.Config) -> bool:
    """Return whether the user names tests on the command line."""
    return config.args_source is pytest.Config.ArgsSource.ARGS


def _turn_hook(config: pytest.Config) -> "Hook | None":
    """Return a function that starts a turn by the hook in a team's conftest.py; None if no conftest.py has
    the hook."""
    caller = config.hook.pytest_spatius_start_turn
    return (lambda turn: caller(turn=turn)) if caller.get_hookimpls() else None
