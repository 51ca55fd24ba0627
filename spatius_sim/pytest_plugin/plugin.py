"""The pytest plugin: inert unless a subject is named or a suite of ours is collected.

Nothing heavy is imported before it is needed, for pytest loads this in every project that has us installed.
"""

import signal
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.engine.handle_signals import INTERRUPTION
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin.pytest_outcomes import (
    WORKERS_SEED,
    SessionOutcomes,
    is_distributed,
    is_worker,
    store_result,
    store_usage_error,
)
from spatius_sim.pytest_plugin.report_options import get_report_paths, prepare_reports, turn_off_failure_list
from spatius_sim.pytest_plugin.session_options import (
    CHECKED,
    ENVIRONMENT,
    JUDGING,
    convert_usage_errors,
    get_judge_options,
    get_judging,
    get_run_baseline,
    get_run_request,
    is_subject_named,
    options_as_typed,
    redact_secrets,
    refuse_empty_options,
    register_options,
)
from spatius_sim.pytest_plugin.short_option_names import replace_short_names

if TYPE_CHECKING:
    from spatius_sim.engine.end_run import Ending
    from spatius_sim.mock_server.run_in_thread import RunningMotionServer
    from spatius_sim.rules.rule import Rule

pytest_plugins = ["spatius_sim.pytest_plugin.judge_tape_items"]

_OUR_FIXTURES = frozenset({"spatius_judge", "spatius_judge_tape"})
"""An item with one of these fixtures judges a rule; any other item is a test of the team."""

_ENDING: "pytest.StashKey[Ending]" = pytest.StashKey()
_OUTCOMES: "pytest.StashKey[SessionOutcomes]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register our options with pytest. (A hook of pytest.)"""
    register_options(parser)


@pytest.hookimpl(trylast=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """Replace `--NAME` by `--spatius-NAME` in pytest's command line `args`, if no other plugin and no
    conftest.py has an option `--NAME`. All of them are loaded by now: pytest calls this implementation of the
    hook last."""
    replace_short_names(early_config, parser, args)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the hook that a team's conftest.py may define."""
    from spatius_sim.pytest_plugin import start_turn_hook

    pluginmanager.add_hookspecs(start_turn_hook)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check our options as pytest starts. If they name a subject, check the whole request for the run, and
    let pytest collect only the suite of rules for this subject. If the user names tests, pytest collects
    these instead. Raises pytest.UsageError if an option is wrong. (A hook of pytest.)"""
    config.stash[_OUTCOMES] = session_outcomes = SessionOutcomes()
    config.pluginmanager.register(session_outcomes)
    with convert_usage_errors():
        refuse_empty_options(config)
        subject_is_named = is_subject_named(config)
        if not is_worker(config):
            prepare_reports(config)
        if not subject_is_named:
            if config.getoption("spatius_save_tape") and is_distributed(config):
                raise UsageError("--save-tape: several workers cannot write one tape: leave out -n")
            return
        request = get_run_request(config)
        request.check()
        if not is_worker(config):
            config.add_cleanup(INTERRUPTION.install_handlers(signal.SIGINT))
        turn_off_failure_list(config)  # pytest's own list of failures, at the end of its output.
        get_run_baseline(config)  # Raises UsageError if the baseline is wrong.
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            from spatius_sim.files.find_resources import resource

            suite = resource("conformance") / request.subject_kind / f"test_{request.subject_kind}.py"
            config.args[:] = [str(suite)]  # A file, so that `python_files` does not hide it.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give the seed of the run to a worker process of pytest-xdist (`node`), so that our plugin uses the same
    seed in all processes. (A hook of pytest-xdist, which must stand in the plugin.)"""
    if get_judge_options(node.config):
        node.workerinput[WORKERS_SEED] = get_run_request(node.config).settings.seed


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return our scheduler, which lets one worker of pytest-xdist judge all rules. If no subject is named,
    return None: pytest-xdist then uses a scheduler of its own. (A hook of pytest-xdist, which must stand in
    the plugin.)"""
    if not is_subject_named(config):
        return None
    from spatius_sim.pytest_plugin.one_worker_scheduler import OneWorkerForTheSubject

    return OneWorkerForTheSubject(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    """If a subject is named, begin to show progress, and start our Motion Server, so that a relay can
    connect. Nothing happens in a worker of pytest-xdist. If there are workers, the server is not started
    here. (A hook of pytest.)"""
    config = session.config
    if not is_subject_named(config) or is_worker(config):
        return
    from spatius_sim.pytest_plugin.pytest_progress import show_progress

    show_progress(config)
    if not is_distributed(config):
        with convert_usage_errors():
            get_judging(config)  # The first call starts our Motion Server.


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Return the lines that our plugin adds to the top of pytest's output; no lines if no subject is named.
    They show the subject, the seed, and the environment variables that give a relay the address of our Motion
    Server. (A hook of pytest.)"""
    if not is_subject_named(config):
        return []
    from spatius_sim.engine.run_header import (
        environment_before_start,
        header_lines,
        inspector_url_before_start,
    )

    request = get_run_request(config)
    if is_distributed(config):  # A worker will start the server later.
        settings = request.settings
        return header_lines(
            request,
            environment_before_start(settings),
            inspector_url_before_start(settings),
            is_started=False,
        )
    judging = config.stash.get(JUDGING, None)
    inspector = judging.run.inspector_url if judging is not None else ""
    return header_lines(request, config.stash.get(ENVIRONMENT, {}), inspector)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Protect the items that judge a rule from other plugins and from a team's fixtures, and sort them. Then
    deselect those that `--rule` and `--level` leave out. With `--rule`, also deselect the tests that the team
    wrote itself. If no item judges a rule, do nothing. (A hook of pytest.)"""
    judging_items = [item for item in items if _is_judging_item(item)]
    if not judging_items:
        return
    from spatius_sim.pytest_plugin.protect_items import protect_items, restore_catalogue_order

    protect_items(config, judging_items)
    restore_catalogue_order(items, judging_items)
    if not (is_subject_named(config) or get_judge_options(config)):
        return
    with convert_usage_errors():
        request = get_run_request(config)
        request.check_rules()
    named_rules = request.named_rules
    if not (named_rules or request.values.get("level")):
        return
    no_rule = ""  # What _rule_of returns for a test of the team.
    wanted_rules = request.judged_rules if named_rules else {no_rule, *request.judged_rules}
    selected = [item for item in items if _rule_of(item) in wanted_rules]
    config.hook.pytest_deselected(items=[item for item in items if item not in selected])
    items[:] = selected


@pytest.fixture
def spatius_rule(request: pytest.FixtureRequest) -> "Rule":
    """Return the rule that a test item of our suites judges. pytest calls this with the id of the rule as
    `request.param`. (A fixture of the pytest plugin.)"""
    from spatius_sim.rules import catalogue

    return catalogue.find_rule(request.param)


@pytest.fixture
def spatius_judge(request: pytest.FixtureRequest, spatius_rule: "Rule") -> Callable[[], None]:
    """Return a function that judges the rule of this pytest item over all plans that exercise the rule. (A
    fixture of the pytest plugin.)"""
    config, item = request.config, request.node

    def judge_rule() -> None:
        """Judge the rule of this pytest item, as the plugin's fixture `spatius_judge` does: attach the result
        to the item's report, and let the item pass, fail or be skipped. A UsageError ends the whole run, but
        in a worker of pytest-xdist only fails the item."""
        from spatius_sim.pytest_plugin.protect_items import refuse_replaced_clock_or_sockets

        try:
            refuse_replaced_clock_or_sockets()
            result = get_judging(config).judge(spatius_rule)
        except UsageError as error:
            if not is_worker(config):
                config.stash[_OUTCOMES].outcomes.usage_error = str(error)
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
            store_usage_error(item, str(error))
            pytest.fail(str(error), pytrace=False)
        except Exception as error:
            from spatius_sim.engine.judge_run import errored_result

            store_result(item, errored_result(spatius_rule, redact_secrets(config, repr(error))))
            raise
        from spatius_sim.pytest_plugin.finish_items import pass_fail_or_skip_item

        store_result(item, result)
        pass_fail_or_skip_item(result)

    return judge_rule


@pytest.fixture
def motion_server() -> "Iterator[RunningMotionServer]":
    """Start a mock Motion Server on a free port of 127.0.0.1, yield it, and stop it after the test. It is for
    a team's own tests, synchronous or not. (A fixture of the pytest plugin.)"""
    from spatius_sim.mock_server.run_in_thread import run_motion_server_in_thread

    with run_motion_server_in_thread() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let pytest make its report of an item, and clean the report if the item judged a rule. (A hook of
    pytest, which must stand in the plugin.)

    Raises KeyboardInterrupt, so that no report is made, if a signal such as Ctrl-C came before: the item may
    have failed by the signal alone."""
    INTERRUPTION.check()
    report = yield
    if _is_judging_item(item):
        from spatius_sim.pytest_plugin.finish_items import clean_report_of_item

        clean_report_of_item(item.config, report)
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """End a run in which rules were judged: stop what was started, write the reports, set the exit status of
    the session, and print the verdicts if pytest will not ask for them."""
    config = session.config
    session_outcomes = config.stash[_OUTCOMES]
    outcomes = session_outcomes.outcomes
    if JUDGING in config.stash:
        interrupted = config.stash[JUDGING].close(outcomes)
        if interrupted:
            session.exitstatus = pytest.ExitCode.INTERRUPTED
    if is_worker(config):
        session_outcomes.hand_over_to_controller(config)
        return
    if not _has_judged_rules(config):
        return
    from spatius_sim.engine.end_run import end_run
    from spatius_sim.engine.write_run_reports import make_occasion
    from spatius_sim.pytest_plugin.print_ending import is_summary_asked_for, print_ending
    from spatius_sim.pytest_plugin.protect_items import explain_never_run

    status = session.exitstatus
    outcomes.never_run = explain_never_run(config)
    config.stash[_ENDING] = ending = end_run(
        [*outcomes.summaries(get_run_request(config)), *config.stash.get(CHECKED, ())],
        partial(session_outcomes.note_early_stop, status),
        get_run_baseline(config),
        get_report_paths(config),
        outcomes.unwritten,
        lambda: make_occasion(session_outcomes.clock, "pytest", options_as_typed(config)),
    )
    session.exitstatus = int(ending.code)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not is_summary_asked_for(status):
        print_ending(reporter, ending)


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """Print the verdicts at the end of pytest's own output, if rules were judged. (A hook of pytest.)"""
    ending = terminalreporter.config.stash.get(_ENDING, None)
    if ending is not None:
        from spatius_sim.pytest_plugin.print_ending import print_ending

        print_ending(terminalreporter, ending)


def _has_judged_rules(config: pytest.Config) -> bool:
    """Return whether rules are judged in this pytest run."""
    any_judged = config.stash[_OUTCOMES].any_rule_judged or JUDGING in config.stash or CHECKED in config.stash
    return any_judged or is_subject_named(config)


def _is_judging_item(item: pytest.Item) -> bool:
    """Return whether a pytest item judges a rule: whether it uses a fixture of ours, and has a rule."""
    return not _OUR_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())) and bool(_rule_of(item))


def _rule_of(item: pytest.Item) -> str:
    """Return the id of the rule that a pytest item judges; "" if the item is a test of the team."""
    callspec = getattr(item, "callspec", None)
    params = callspec.params if callspec else {}
    return str(params.get("spatius_rule") or params.get("spatius_taped_rule", ""))
