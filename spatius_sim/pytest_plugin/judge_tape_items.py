"""The part of the pytest plugin that judges a tape: `pytest --tape=FILE`. Without that option it does
nothing."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from spatius_sim.engine.option_table import (
    JUDGE_OPTIONS,
    OPTION_GROUP,
    find_subject_kind,
    refuse_empty_values,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin.pytest_outcomes import is_worker
from spatius_sim.pytest_plugin.report_options import prepare_reports, turn_off_failure_list
from spatius_sim.pytest_plugin.session_options import CHECKED

if TYPE_CHECKING:
    from spatius_sim.reporting.summary import Summary

_SUITE = "tape"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register `--spatius-tape`, a name that nobody else has."""
    group = parser.getgroup(*OPTION_GROUP)
    group.addoption("--spatius-tape", metavar="FILE", help="judge what is on this tape", dest="spatius_tape")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """A hook of pytest: if `--tape` names a tape, judge it and keep the verdicts for the items. Then pytest
    collects only the suite that judges tapes, unless the user names tests."""
    tape_path = config.getoption("spatius_tape")
    if tape_path is None:
        return
    try:
        refuse_empty_values({"--tape": tape_path})
        config.stash[CHECKED] = _judge_tape(config, Path(tape_path))
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
    turn_off_failure_list(config)
    from spatius_sim.files.find_resources import resource

    if config.args_source is not pytest.Config.ArgsSource.ARGS:
        suite_file = resource("conformance") / _SUITE / f"test_{_SUITE}.py"
        config.args[:] = [str(suite_file)]  # A file, so that `python_files` does not hide it.


def _judge_tape(config: pytest.Config, tape_path: Path) -> "tuple[Summary, ...]":
    """Judge the tape as the options and the conformance file ask, and return one summary for each subject on
    it. The reports that the conformance file asks for become options of this run. Raises UsageError if an
    option does not fit a tape."""
    from spatius_sim.engine.tapes.check_tape import check_tape
    from spatius_sim.engine.tapes.tape_settings import settings_of_tapes

    options = {option.name: config.getoption(option.field) for option in JUDGE_OPTIONS}
    if find_subject_kind(options):
        raise UsageError("--tape names a subject, and another one is named, too: judge one in a run")
    if options["update-baseline"]:
        raise UsageError("--update-baseline needs a whole run, and a tape is none")
    settings = settings_of_tapes(options, config.invocation_params.dir)
    for option in JUDGE_OPTIONS:
        if option.name in settings.reports:
            setattr(config.option, option.field, settings.reports[option.name])
    if not is_worker(config):
        prepare_reports(config)
    return check_tape(tape_path, settings)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A hook of pytest: return True, not to collect this path, if it is our suite that judges a tape and
    `--tape` names no tape. Return None (no opinion) for all other paths."""
    if collection_path.name != _SUITE or CHECKED in config.stash:
        return None
    from spatius_sim.files.find_resources import resource

    return True if collection_path == resource("conformance") / _SUITE else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A hook of pytest: if a test judges rules on the tape, make one test item for each rule with an outcome
    on that tape."""
    if "spatius_taped_rule" in metafunc.fixturenames:
        summaries = metafunc.config.stash.get(CHECKED, ())
        metafunc.parametrize(
            "spatius_taped_rule", [outcome.rule_id for summary in summaries for outcome in summary.outcomes]
        )


@pytest.fixture
def spatius_judge_tape(request: pytest.FixtureRequest, spatius_taped_rule: str) -> None:
    """A pytest fixture that tells the outcome of one rule on the tape that `--tape` names. The test fails if
    the rule was broken, and is an expected failure if the baseline knows the breach. It is skipped if the
    tape did not exercise the rule."""
    from spatius_sim.reporting.formats.text_report import describe_failure
    from spatius_sim.rules.findings import Verdict

    summaries = request.config.stash[CHECKED]
    summary, outcome = next(
        (summary, outcome)
        for summary in summaries
        for outcome in summary.outcomes
        if outcome.rule_id == spatius_taped_rule
    )
    if spatius_taped_rule in summary.known:
        pytest.xfail(f"known: {summary.known[spatius_taped_rule]}")
    if outcome.failure is not None:
        pytest.fail(describe_failure(outcome, outcome.failure), pytrace=False)
    if outcome.verdict is not Verdict.PASSED:
        pytest.skip(f"{outcome.verdict}: {outcome.reason}")
