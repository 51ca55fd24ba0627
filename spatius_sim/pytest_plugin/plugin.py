"""The pytest plugin: inert unless a subject is named or a suite of ours is collected.

Nothing heavy is imported before it is needed, for pytest loads this in every project that has us installed.
"""

import signal
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.engine.interruption import INTERRUPTION
from spatius_sim.engine.options import JUDGE_OPTIONS, OPTION_GROUP
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin import baseline as baseline_options
from spatius_sim.pytest_plugin import reports as report_options
from spatius_sim.pytest_plugin.judging_run import (
    BENCH,
    CHECKED,
    ENVIRONMENT,
    FROM_FILE,
    bench_of,
    check_rules,
    exercise,
    judged_rules,
    named_subject,
    read_conformance_file,
    refuse_empty_options,
    repeat_command,
    run_options,
    run_seed,
    usage_errors,
    without_secrets,
)
from spatius_sim.pytest_plugin.outcomes import (
    WORKERS_SEED,
    Outcomes,
    is_distributed,
    is_worker,
    note_outcome,
    note_suspects,
    note_usage_error,
)
from spatius_sim.pytest_plugin.short_names import understand_short_names

if TYPE_CHECKING:
    from spatius_sim.mock_server.running import RunningMotionServer
    from spatius_sim.pytest_plugin.ending import Ending
    from spatius_sim.reporting.summary import Summary
    from spatius_sim.rules.rule import Rule

pytest_plugins = ["spatius_sim.pytest_plugin.tapes"]

_LONGEST_FAILURE = 100_000
"""Characters: several failures, each with its dialogue."""

_OUR_FIXTURES = frozenset({"spatius_judge", "spatius_judge_tape"})
"""What judges; the tests of a team that has us installed are none of our business."""

_ENDING: "pytest.StashKey[Ending]" = pytest.StashKey()
_OUTCOMES: "pytest.StashKey[Outcomes]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every option as `--spatius-NAME`, a name that nobody else has."""
    group = parser.getgroup(*OPTION_GROUP)
    for option in JUDGE_OPTIONS:
        argument: dict[str, Any] = {"dest": option.field, "help": option.help, "action": "store_true"}
        if option.parse is not bool:
            argument |= {
                "type": option.parse,
                "metavar": option.metavar,
                "choices": option.choices or None,
                "action": "append" if option.repeatable else "store",
            }
        group.addoption(f"--spatius-{option.name}", **argument)


@pytest.hookimpl(trylast=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> None:
    """`--NAME` means `--spatius-NAME`, if no plugin and no conftest.py owns it: they are all loaded now."""
    understand_short_names(early_config, parser, args)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """What a team's conftest.py may define."""
    from spatius_sim.pytest_plugin import turn_hook

    pluginmanager.add_hookspecs(turn_hook)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Naming a subject runs its suite alone."""
    config.stash[_OUTCOMES] = outcomes = Outcomes()
    config.pluginmanager.register(outcomes)
    with usage_errors():
        refuse_empty_options(config)
        file = read_conformance_file(config)
        if not is_worker(config):
            report_options.check_reports(config)
    named = named_subject(config)
    if not named:
        if config.getoption("spatius_save_tape") and is_distributed(config):
            raise pytest.UsageError("--save-tape: several workers cannot write one tape: leave out -n")
        return
    with usage_errors():
        try:
            run_options(config).check()
        except UsageError as error:
            raise (file.placed(error) if file else error) from error
        check_rules(config, *named)
        if not is_worker(config):
            config.add_cleanup(INTERRUPTION.listen(signal.SIGINT))
        report_options.end_with_verdicts(config)
        baseline_options.check_baseline(config, *named)
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            from spatius_sim.files.resources import resource

            config.args[:] = [str(resource("conformance") / suite) for suite in named]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker of pytest-xdist draws no seed of its own."""
    node.workerinput[WORKERS_SEED] = run_seed(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker of pytest-xdist judges the subject that was named."""
    if not named_subject(config):
        return None
    from spatius_sim.pytest_plugin.xdist import OneWorkerForTheSubject

    return OneWorkerForTheSubject(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    """A named relay may connect to our Motion Server at any time from now on."""
    config = session.config
    if named_subject(config) and not is_worker(config):
        from spatius_sim.pytest_plugin.progress import show_progress

        show_progress(config)
    if named_subject(config) and not is_distributed(config) and not is_worker(config):
        with usage_errors():
            bench_of(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The subject, the seed, and how to point a relay here."""
    if not named_subject(config):
        return []
    options = run_options(config)
    [subject] = named_subject(config).values()
    lines = [f"spatius-sim: judging {subject}, profile {options.profile}, from seed {options.seed}"]
    if FROM_FILE in config.stash:
        name, values = config.stash[FROM_FILE]
        lines.append(f"spatius-sim: {name} says {', '.join(values) or 'nothing for this run'}")
    environment = config.stash.get(ENVIRONMENT, {})
    when = "listens"
    if is_distributed(config) and options.listens_at:
        from spatius_sim.net.server.one_port import OnePort
        from spatius_sim.subjects.subject import canary_key, relay_environment

        place, when = OnePort(options.listens_at), "will listen"
        environment = relay_environment(place, canary_key(options.seed))
    if environment:
        whose = "is given" if options.attachment.command else "needs"
        lines.append(f"spatius-sim: Motion Server {when}; the relay {whose} this environment:")
    return lines + [f"  {name}={value}" for name, value in environment.items()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`--rule` keeps the items of these rules and no other item, `--level` the rules of these levels. Nothing
    of the kind is asked of the tests of a team, unless items of ours run beside them."""
    named = config.getoption("spatius_rule")
    if not (named or config.getoption("spatius_level")) or not any(map(_rule_of, items)):
        return
    with usage_errors():
        check_rules(config)
        judged = judged_rules(config) if named else {"", *judged_rules(config)}
    kept = [item for item in items if _rule_of(item) in judged]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture
def spatius_rule(request: pytest.FixtureRequest) -> "Rule":
    """The rule that an item exercises."""
    from spatius_sim.rules import catalogue

    return catalogue.find_rule(request.param)


@pytest.fixture
def spatius_judge(request: pytest.FixtureRequest, spatius_rule: "Rule") -> Callable[[], None]:
    """Judges the rule over the plans that exercise it."""
    from spatius_sim.plans.token import token_of
    from spatius_sim.reporting.formats.text_report import failure_text, overturned_text
    from spatius_sim.reporting.summary import RuleOutcome
    from spatius_sim.rules.findings import Verdict

    rule = spatius_rule

    def complaints_of(outcome: RuleOutcome, overturned: str = "") -> list[str]:
        trial = bench_of(request.config).trial(rule.subject)
        if outcome.failure is not None:
            smallest = trial.smallest.get(outcome.rule_id)
            token = "" if smallest is None else token_of(smallest)
            repeat = repeat_command(request.config, outcome.rule_id, token)
            outcome = replace(outcome, failure=replace(outcome.failure, repeat=repeat))
        note_outcome(request.node, rule.subject, trial.subject.target, outcome, trial.subject.wire)
        said = baseline_options.remark_on(request.config, outcome) if named_subject(request.config) else None
        if said is not None and said.tolerated:
            tolerated.append(said.tolerated)
            return []
        told = [overturned + failure_text(outcome, outcome.failure)] if outcome.failure is not None else []
        return [*told, said.complaint] if said is not None and said.complaint else told

    tolerated: list[str] = []

    def judge_rule() -> None:
        overturned: list[RuleOutcome] = []
        try:
            bench = bench_of(request.config)
            trial = bench.trial(rule.subject)
            left_out = bench.profile.leaves_out(rule.id)
            if left_out:
                outcome = trial.left_open(rule.id, left_out)
            else:
                outcome = trial.judge(rule.id, *exercise(request.config, rule, bench.profile.thorough))
            overturned = trial.overturned(outcome)
            note_suspects(request.node, trial.broken_so_far(), judged_rules(request.config))
        except UsageError as error:
            if not is_worker(request.config):
                request.config.stash[_OUTCOMES].usage_error = str(error)
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
            note_usage_error(request.node, str(error))
            pytest.fail(str(error), pytrace=False)
        except Exception as error:
            reason = without_secrets(request.config, repr(error))
            outcome = RuleOutcome(rule.id, Verdict.ERRORED, reason=reason)
            note_outcome(request.node, rule.subject, "", outcome)
            raise
        told = complaints_of(outcome)
        for found in overturned:
            told += complaints_of(found, overturned_text(found, outcome))
        if told:
            pytest.fail("\n".join(told), pytrace=False)
        if tolerated:
            pytest.xfail(f"known: {', '.join(tolerated)}")
        if outcome.verdict is not Verdict.PASSED:
            pytest.skip(f"{outcome.verdict}: {outcome.reason}")

    return judge_rule


@pytest.fixture
def motion_server() -> "Iterator[RunningMotionServer]":
    """A mock Motion Server on a free port of 127.0.0.1, for a team's own tests, synchronous or not."""
    from spatius_sim.mock_server.running import running_motion_server

    with running_motion_server() as server:
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where the kit crashes, its traceback and its log may quote what a subject said. No rule is judged by
    what an interrupt brought about."""
    INTERRUPTION.check()
    report = yield
    if not _OUR_FIXTURES.isdisjoint(getattr(item, "fixturenames", ())) and _rule_of(item):
        from spatius_sim.reporting.harmless import some_lines

        if report.failed:
            ours = isinstance(report.longrepr, str)
            text = without_secrets(item.config, report.longreprtext)
            report.longrepr = some_lines(text, *([_LONGEST_FAILURE] if ours else []))
        sections = [(title, without_secrets(item.config, text)) for title, text in report.sections]
        report.sections = [(title, some_lines(text)) for title, text in sections]
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The ending of a run in which rules were judged: what the process, the text and the reports say."""
    config = session.config
    outcomes = config.stash[_OUTCOMES]
    _close_bench(session, outcomes)
    if is_worker(config):
        outcomes.note_end(config)
    if is_worker(config) or not _judges(config):
        return
    from spatius_sim.pytest_plugin.ending import ending_of, is_told_by_pytest, print_ending
    from spatius_sim.reporting.report import report_of

    status = session.exitstatus
    summaries = _summaries(config)
    files = list(dict.fromkeys(outcomes.unwritten))
    if named_subject(config):
        if ending_of(summaries, outcomes, status).broken_off is None:
            files.append(baseline_options.update(config, summaries))
        summaries = baseline_options.with_baseline(config, summaries)
    ending = ending_of(summaries, outcomes, status)
    files += report_options.write_reports(config, report_of(ending.summaries, ending.code))
    config.stash[_ENDING] = ending = replace(ending, files=tuple(filter(None, files)))
    session.exitstatus = int(ending.code)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and not is_told_by_pytest(status):
        print_ending(reporter, ending)


def pytest_terminal_summary(terminalreporter: "pytest.TerminalReporter") -> None:
    """The verdicts, last."""
    ending = terminalreporter.config.stash.get(_ENDING, None)
    if ending is not None:
        from spatius_sim.pytest_plugin.ending import print_ending

        print_ending(terminalreporter, ending)


def _close_bench(session: pytest.Session, outcomes: Outcomes) -> None:
    """End what was started; where even that is interrupted or fails, it is so told."""
    bench = session.config.stash.get(BENCH, None)
    if bench is None:
        return
    try:
        bench.close()
    except KeyboardInterrupt:
        session.exitstatus = pytest.ExitCode.INTERRUPTED
    except Exception as error:
        outcomes.internal_error = f"the kit could not end what it had started: {error!r}"
    outcomes.unwritten += bench.unwritten


def _judges(config: pytest.Config) -> bool:
    """Whether this is a run in which rules are judged."""
    judged = config.stash[_OUTCOMES].count > 0 or BENCH in config.stash or CHECKED in config.stash
    return judged or bool(named_subject(config))


def _summaries(config: pytest.Config) -> "list[Summary]":
    from spatius_sim.engine.profiles import profile_named

    options = run_options(config)
    judged = judged_rules(config)
    profile = profile_named(options.profile)
    required = judged if config.getoption("spatius_rule") else frozenset(filter(profile.requires, judged))
    found = config.stash[_OUTCOMES].summaries(named_subject(config), judged, required, options)
    return [*found, *config.stash.get(CHECKED, ())]


def _rule_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    given = callspec.params if callspec else {}
    return str(given.get("spatius_rule") or given.get("spatius_taped_rule", ""))
