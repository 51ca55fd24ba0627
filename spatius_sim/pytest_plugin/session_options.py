"""Registers the options with pytest, and keeps what is made from them in a pytest run: the request, the
judging and the baseline, each of them made once, when first needed.

Nothing heavy is imported before that, for pytest loads this in every project that has us installed.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.engine.hide_option_secrets import options_for_shell, secrets_in
from spatius_sim.engine.option_table import (
    JUDGE_OPTIONS,
    OPTION_GROUP,
    TARGET_VARIABLE,
    find_subject_kind,
    refuse_empty_values,
    values_given,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin.pytest_outcomes import WORKERS_SEED, is_worker
from spatius_sim.pytest_plugin.short_option_names import find_names_owned_by_others
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


def register_options(parser: pytest.Parser) -> None:
    """Register with pytest each option that says what is judged and how, as `--spatius-NAME`: no other plugin
    has an option of this name."""
    group = parser.getgroup(*OPTION_GROUP)
    for option in JUDGE_OPTIONS:
        settings: dict[str, Any] = {"dest": option.field, "help": option.help, "action": "store_true"}
        if option.parse is not bool:
            settings |= {
                "type": option.parse,
                "metavar": option.metavar,
                "choices": option.choices or None,
                "action": "append" if option.repeatable else "store",
            }
        group.addoption(f"--spatius-{option.name}", **settings)


def get_judge_options(config: pytest.Config) -> dict[str, Any]:
    """Return the options of this pytest session that say what to judge, by name, without those that have no
    value. If they name no subject, no tape and no tests, `target` is taken from the environment."""
    options = {option.name: config.getoption(option.field) for option in JUDGE_OPTIONS}
    if not (find_subject_kind(options) or _are_tests_named(config) or config.getoption("spatius_tape")):
        options["target"] = os.environ.get(TARGET_VARIABLE)
    return values_given(options)


def refuse_empty_options(config: pytest.Config) -> None:
    """Raise UsageError if an option of this pytest session has an empty value. Also refuse an empty target in
    the environment, if other options are given but nothing says what to judge: otherwise no rule would be
    judged."""
    refuse_empty_values({f"--{option.name}": config.getoption(option.field) for option in JUDGE_OPTIONS})
    options = get_judge_options(config)
    says_what_to_judge = (
        find_subject_kind(options) or options.get("conformance") or config.getoption("spatius_tape")
    )
    if options and not (says_what_to_judge or _are_tests_named(config)):
        refuse_empty_values({TARGET_VARIABLE: os.environ.get(TARGET_VARIABLE)})


def is_subject_named(config: pytest.Config) -> bool:
    """Return whether the user names a subject for this pytest session: on the command line, in the
    environment, or in the conformance file."""
    if _REQUEST in config.stash:
        return bool(config.stash[_REQUEST].subject_kind)
    options = get_judge_options(config)
    if config.getoption("spatius_tape"):
        return bool(find_subject_kind(options))
    may_name_subject = bool(find_subject_kind(options) or options.get("conformance"))
    return may_name_subject and bool(get_run_request(config).subject_kind)


def get_run_request(config: pytest.Config) -> "RunRequest":
    """Return the request for a run, made from the options of this pytest session; it is made only once. A
    conformance file in the working directory is read only if a subject is named, because a team may run other
    tests there. Raises UsageError if an option is wrong."""
    if _REQUEST not in config.stash:
        from spatius_sim.engine.conformance_file import find_conformance_file
        from spatius_sim.engine.run_request import make_run_request

        options = get_judge_options(config)
        conformance_file = None
        if (options.get("conformance") or find_subject_kind(options)) and not config.getoption(
            "spatius_tape"
        ):
            conformance_file = find_conformance_file(options.get("conformance"), config.invocation_params.dir)
        seed = config.workerinput.get(WORKERS_SEED) if is_worker(config) else None  # type: ignore[attr-defined]
        config.stash[_REQUEST] = make_run_request(
            options, os.environ, conformance_file, seed=seed, turn_hook=_find_turn_hook(config)
        )
    return config.stash[_REQUEST]


def get_option_values(config: pytest.Config) -> Mapping[str, Any]:
    """Return the options of this pytest session that have a value, by name. The options of the conformance
    file are among them only after `get_run_request` has read it."""
    return config.stash[_REQUEST].values if _REQUEST in config.stash else get_judge_options(config)


def get_run_baseline(config: pytest.Config) -> "RunBaseline | None":
    """Return the baseline of this pytest session (the list of known failures); None if no subject is named.
    Raises UsageError if the baseline is wrong."""
    if not is_subject_named(config):
        return None
    if _BASELINE not in config.stash:
        from spatius_sim.engine.run_baseline import RunBaseline

        config.stash[_BASELINE] = RunBaseline(get_run_request(config))
    return config.stash[_BASELINE]


def get_judging(config: pytest.Config) -> "Judging":
    """Return the object that judges all rules of this pytest session. The first call makes it from the
    session's options, and starts our Motion Server if the session needs the server. Raises UsageError if that
    fails."""
    if JUDGING not in config.stash:
        from spatius_sim.engine.judge_run import Judging

        judging = Judging(
            get_run_request(config),
            get_run_baseline(config),
            "pytest",
            lambda options: options_for_shell(options, find_names_owned_by_others(config, options)),
        )
        config.stash[ENVIRONMENT] = judging.open()
        config.stash[JUDGING] = judging
    return config.stash[JUDGING]


def options_as_typed(config: pytest.Config) -> str:
    """Return the options of this pytest session in one text, as the user would type them again on the command
    line, without secrets."""
    request = get_run_request(config)
    tape = config.getoption("spatius_tape")
    typed_options = request.options_for_shell(find_names_owned_by_others(config, request.values))
    return f"--tape={shlex.quote(tape)} {typed_options}".strip() if tape else typed_options


def redact_secrets(config: pytest.Config, text: str) -> str:
    """Return the text with stars in place of the secrets that the options of this pytest session and its
    environment variables hold; once rules are judged, also of those that the run has learnt."""
    if JUDGING in config.stash:
        return config.stash[JUDGING].run.secrets.redact_text(text)
    known_secrets = KnownSecrets()
    for secret in secrets_in(get_option_values(config), os.environ):
        known_secrets.hide(secret)
    return known_secrets.redact_text(text)


@contextmanager
def convert_usage_errors() -> Iterator[None]:
    """Run a block of code in the pytest session. If it raises a UsageError of ours, raise pytest's own
    UsageError with the same text instead, without control characters. pytest then prints the text, and no
    traceback."""
    try:
        yield
    except UsageError as error:
        from spatius_sim.reporting.make_text_harmless import harmless_lines

        raise pytest.UsageError(harmless_lines(str(error))) from error


def _are_tests_named(config: pytest.Config) -> bool:
    """Return whether the user names tests on the command line."""
    return config.args_source is pytest.Config.ArgsSource.ARGS


def _find_turn_hook(config: pytest.Config) -> "Hook | None":
    """Return a function that starts a turn by the hook in a team's conftest.py; None if no conftest.py has
    the hook."""
    caller = config.hook.pytest_spatius_start_turn
    return (lambda turn: caller(turn=turn)) if caller.get_hookimpls() else None
