"""The pytest plugin: inert unless a subject is named or a suite of ours is collected.

Nothing heavy is imported before it is needed, for pytest loads this in every project that has us installed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest

from spatius_sim.kit import baseline_options, report_options
from spatius_sim.kit.judge_options import JUDGE_OPTIONS, SUBJECTS, as_typed, subject_named
from spatius_sim.kit.outcomes import (
    WORKERS_SEED,
    Outcomes,
    is_distributed,
    is_worker,
    note_outcome,
    note_usage_error,
)
from spatius_sim.protocol.errors import UsageError

if TYPE_CHECKING:
    from spatius_sim.kit.bench import Bench, Options
    from spatius_sim.kit.conformance_file import ConformanceFile
    from spatius_sim.kit.exercises import Exercise
    from spatius_sim.kit.running_server import RunningMotionServer
    from spatius_sim.kit.turn_starts import Hook
    from spatius_sim.reporting.summary import Summary
    from spatius_sim.rules.catalogue import Rule

pytest_plugins = ["spatius_sim.kit.tape_plugin"]

_PYTESTS_OWN_SUMMARY = "fE"
"""What pytest repeats at its end where nobody asked for more: the verdicts stand there."""

_FROM_FILE: "pytest.StashKey[tuple[str, dict[str, Any]]]" = pytest.StashKey()
_UPDATED: "pytest.StashKey[str]" = pytest.StashKey()
_BENCH: "pytest.StashKey[Bench]" = pytest.StashKey()
_ENVIRONMENT: "pytest.StashKey[dict[str, str]]" = pytest.StashKey()
_SEED: "pytest.StashKey[int]" = pytest.StashKey()
_OUTCOMES: "pytest.StashKey[Outcomes]" = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Every option as `--spatius-NAME`, and as `--NAME` where no other plugin owns that."""
    group = parser.getgroup("spatius-sim", "conformance of Spatius relays and Motion Servers")
    for option in JUDGE_OPTIONS:
        argument: dict[str, Any] = {"dest": option.field, "help": option.help, "action": "store_true"}
        if option.parse is not bool:
            argument |= {
                "type": option.parse,
                "metavar": option.metavar,
                "choices": option.choices or None,
                "action": "append" if option.repeatable else "store",
            }
        try:
            group.addoption(f"--{option.name}", f"--spatius-{option.name}", **argument)
        except ValueError:
            group.addoption(f"--spatius-{option.name}", **argument)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """What a team's conftest.py may define."""
    from spatius_sim.kit import turn_hook

    pluginmanager.add_hookspecs(turn_hook)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Naming a subject runs its suite alone."""
    config.stash[_OUTCOMES] = outcomes = Outcomes()
    config.pluginmanager.register(outcomes)
    with _usage_errors():
        file = _read_conformance_file(config)
        if not is_worker(config):
            report_options.check_reports(config)
    named = _named(config)
    if not named:
        if config.getoption("spatius_save_tape") and is_distributed(config):
            raise pytest.UsageError("--save-tape: several workers cannot write one tape: leave out -n")
        return
    with _usage_errors():
        try:
            _options(config).check()
        except UsageError as error:
            raise (file.placed(error) if file else error) from error
        _check_rules(config, *named)
        if config.option.reportchars == _PYTESTS_OWN_SUMMARY:
            config.option.reportchars = ""
        baseline_options.check_baseline(config, *named)
        if config.args_source is not pytest.Config.ArgsSource.ARGS:
            from spatius_sim.kit.resources import resource

            config.args[:] = [str(resource("conformance") / suite) for suite in named]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """A worker of pytest-xdist draws no seed of its own."""
    node.workerinput[WORKERS_SEED] = _seed(node.config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker of pytest-xdist judges the subject that was named."""
    if not _named(config):
        return None
    from spatius_sim.kit.distribution import OneWorkerForTheSubject

    return OneWorkerForTheSubject(config, log)


def pytest_sessionstart(session: pytest.Session) -> None:
    """A named relay may connect to our Motion Server at any time from now on."""
    config = session.config
    if _named(config) and not is_worker(config):
        from spatius_sim.kit.progress import show_progress

        show_progress(config)
    if _named(config) and not is_distributed(config) and not is_worker(config):
        with _usage_errors():
            _bench(config)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The subject, the seed, and how to point a relay here."""
    if not _named(config):
        return []
    options = _options(config)
    subject = options.target or options.server or options.client
    lines = [f"spatius-sim: judging {subject}, profile {options.profile}, from seed {options.seed}"]
    if _FROM_FILE in config.stash:
        name, values = config.stash[_FROM_FILE]
        lines.append(f"spatius-sim: {name} says {', '.join(values) or 'nothing for this run'}")
    environment = config.stash.get(_ENVIRONMENT, {})
    when = "listens"
    if is_distributed(config) and options.listens_at:
        from spatius_sim.kit.subjects import canary_key, relay_environment
        from spatius_sim.net.one_port import OnePort

        place, when = OnePort(options.listens_at), "will listen"
        environment = relay_environment(place, canary_key(options.seed))
    if environment:
        whose = "is given" if options.attachment.command else "needs"
        lines.append(f"spatius-sim: Motion Server {when}; the relay {whose} this environment:")
    return lines + [f"  {name}={value}" for name, value in environment.items()]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`--rule` keeps the items of these rules and no other item, `--level` the rules of these levels."""
    named = config.getoption("spatius_rule")
    if not named and not config.getoption("spatius_level"):
        return
    with _usage_errors():
        _check_rules(config)
        judged = _judged_rules(config) if named else {"", *_judged_rules(config)}
    kept = [item for item in items if _rule_of(item) in judged]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


@pytest.fixture
def rule(request: pytest.FixtureRequest) -> "Rule":
    """The rule that an item exercises."""
    from spatius_sim.rules import catalogue

    return catalogue.rule(request.param)


@pytest.fixture
def judge(request: pytest.FixtureRequest, rule: "Rule") -> Callable[[], None]:
    """Judges the rule over the plans that exercise it."""
    from spatius_sim.kit.plan_token import token_of
    from spatius_sim.reporting.summary import RuleOutcome
    from spatius_sim.reporting.text_report import failure_text
    from spatius_sim.rules.catalogue import Verdict

    def complaints_of(outcome: RuleOutcome) -> list[str]:
        trial = _bench(request.config).trial(rule.subject)
        if outcome.failure is not None:
            smallest = trial.smallest.get(outcome.rule_id)
            token = "" if smallest is None else token_of(smallest)
            repeat = _repeat(request.config, outcome.rule_id, token)
            outcome = replace(outcome, failure=replace(outcome.failure, repeat=repeat))
        note_outcome(request.node, rule.subject, trial.subject.target, outcome, trial.subject.wire)
        said = baseline_options.remark_on(request.config, outcome) if _named(request.config) else None
        if said is not None and said.tolerated:
            tolerated.append(said.tolerated)
            return []
        told = [failure_text(outcome, outcome.failure)] if outcome.failure is not None else []
        return [*told, said.complaint] if said is not None and said.complaint else told

    tolerated: list[str] = []

    def judge_rule() -> None:
        overturned: list[RuleOutcome] = []
        try:
            bench = _bench(request.config)
            trial = bench.trial(rule.subject)
            left_out = bench.profile.leaves_out(rule.id)
            if left_out:
                outcome = RuleOutcome(rule.id, Verdict.UNEXERCISED, reason=left_out)
            else:
                outcome = trial.judge(rule.id, *_exercise(request.config, rule))
                overturned = trial.overturned(outcome)
        except UsageError as error:
            if not is_worker(request.config):
                pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)
            note_usage_error(request.node, str(error))
            pytest.fail(str(error), pytrace=False)
        except Exception as error:
            outcome = RuleOutcome(rule.id, Verdict.ERRORED, reason=repr(error))
            note_outcome(request.node, rule.subject, "", outcome)
            raise
        told = [text for found in (outcome, *overturned) for text in complaints_of(found)]
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
    from spatius_sim.kit.running_server import running_motion_server

    with running_motion_server() as server:
        yield server


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """The exit code of a run in which rules were judged."""
    config = session.config
    bench = config.stash.get(_BENCH, None)
    if bench is not None:
        bench.close()
    finished = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if is_worker(config) or not finished or not _judges(config):
        return
    if config.stash[_OUTCOMES].usage_error:
        session.exitstatus = pytest.ExitCode.USAGE_ERROR
        return
    from spatius_sim.reporting.report import report_of
    from spatius_sim.reporting.summary import ExitCode, exit_code

    config.stash[_UPDATED] = baseline_options.update(config, _summaries(config))
    summaries = _summaries(config)
    code = exit_code(summaries)
    report_options.write_reports(config, report_of(summaries, code))
    if code is not ExitCode.PASSED:
        session.exitstatus = int(code)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int) -> None:
    """The verdicts, last."""
    config = terminalreporter.config
    if not _judges(config):
        return
    usage_error = config.stash[_OUTCOMES].usage_error
    if usage_error:
        terminalreporter.write_line(f"spatius-sim: {usage_error}")
        return
    if exitstatus == pytest.ExitCode.INTERRUPTED:
        judged = config.stash[_OUTCOMES].count
        terminalreporter.write_line(f"spatius-sim: interrupted when {judged} rules were judged: no verdict")
        return
    from rich.console import Console

    from spatius_sim.reporting.text_report import print_summary

    for summary in _summaries(config):
        terminalreporter.section("spatius-sim")
        page = StringIO()
        width = terminalreporter._tw.fullwidth
        markup = terminalreporter.hasmarkup
        print_summary(Console(file=page, width=width, force_terminal=markup), summary)
        terminalreporter.write(page.getvalue())
    for line in (config.stash.get(_UPDATED, ""), report_options.where_reports_are(config)):
        if line:
            terminalreporter.write_line(line)


def _judges(config: pytest.Config) -> bool:
    """Whether this is a run in which rules are judged."""
    return bool(_named(config)) or config.stash[_OUTCOMES].count > 0 or _BENCH in config.stash


def _given(config: pytest.Config) -> dict[str, Any]:
    """The options that have a value, by name. The environment's target is none of a user's who names
    tests of his own."""
    given = {option.name: config.getoption(option.field) for option in JUDGE_OPTIONS}
    if not subject_named(given) and not _names_tests(config):
        given["target"] = os.environ.get("SPATIUS_TARGET")
    return {name: value for name, value in given.items() if value or (value == 0 and value is not False)}


def _named(config: pytest.Config) -> dict[str, str]:
    """The subject that the user named, by kind."""
    given = _given(config)
    return {kind: given[name] for name, kind in SUBJECTS.items() if name in given}


def _read_conformance_file(config: pytest.Config) -> "ConformanceFile | None":
    """Fill in what the conformance file says. One in the working directory is read where a subject is named:
    the tests of a team that has one are none of our business."""
    given = _given(config)
    if not (given.get("conformance") or subject_named(given)):
        return None
    from spatius_sim.kit.conformance_file import find_conformance_file

    file = find_conformance_file(given.get("conformance"), config.invocation_params.dir)
    if file is not None:
        filled = file.fill(given)
        for option in JUDGE_OPTIONS:
            if option.name in filled:
                setattr(config.option, option.field, filled[option.name])
        config.stash[_FROM_FILE] = (str(file.path), filled)
    return file


def _exercise(config: pytest.Config, rule: "Rule") -> "Exercise":
    """The plans by which a rule is judged: the one that was named, or those that exercise it."""
    from spatius_sim.kit.exercises import Exercise, exercise_of

    token = config.getoption("spatius_plan")
    if not token:
        return exercise_of(rule.id)
    from hypothesis.strategies import just

    from spatius_sim.kit.plan_token import plan_of

    return Exercise(plans=just(plan_of(token, rule.subject)))


def _repeat(config: pytest.Config, rule_id: str, token: str) -> str:
    """The command that judges one rule over that plan; over all of its plans where there is no token."""
    path, filled = config.stash.get(_FROM_FILE, ("", {}))
    needed = {option.name for option in JUDGE_OPTIONS if option.repeated} - filled.keys()
    again = {name: value for name, value in _given(config).items() if name in needed}
    if path:
        again["conformance"] = path
    again["seed"] = _seed(config)
    again |= {"rule": rule_id} | ({"plan": token} if token else {})
    return f"pytest {as_typed(again)}"


def _names_tests(config: pytest.Config) -> bool:
    return config.args_source is pytest.Config.ArgsSource.ARGS


def _check_rules(config: pytest.Config, *subjects: str) -> None:
    """Raises UsageError for a rule that does not exist, or that judges none of these subjects."""
    from spatius_sim.rules import catalogue

    token: str = config.getoption("spatius_plan")
    named: list[str] = config.getoption("spatius_rule") or []
    if token:
        from spatius_sim.kit.plan_token import plan_of

        if len(named) != 1:
            raise UsageError("--plan goes with one --rule, as the report of a failure names both")
        plan_of(token, catalogue.rule(named[0]).subject)
    for rule_id in named:
        judged = catalogue.rule(rule_id).subject
        if subjects and judged not in subjects:
            raise UsageError(f"{rule_id} is a rule for a {judged}, and a {subjects[0]} is to be judged")


def _judged_rules(config: pytest.Config) -> frozenset[str]:
    """The rules that were named or, where none was, those of the chosen level."""
    from spatius_sim.kit.profiles import DEFAULT_LEVEL, judged_at
    from spatius_sim.rules.catalogue import RULES

    levels = judged_at(config.getoption("spatius_level") or DEFAULT_LEVEL)
    named = config.getoption("spatius_rule") or ()
    return frozenset(named or (rule_id for rule_id, rule in RULES.items() if rule.level in levels))


def _options(config: pytest.Config) -> "Options":
    from spatius_sim.kit.asked import options_of

    asked = options_of(_given(config), os.environ, _seed(config))
    return replace(asked, turn_hook=_turn_hook(config))


def _turn_hook(config: pytest.Config) -> "Hook | None":
    caller = config.hook.pytest_spatius_start_turn
    return (lambda turn: caller(turn=turn)) if caller.get_hookimpls() else None


def _seed(config: pytest.Config) -> int:
    """The seed that was given, or that of the profile."""
    if is_worker(config):
        return int(config.workerinput[WORKERS_SEED])  # type: ignore[attr-defined]
    if _SEED not in config.stash:
        from spatius_sim.kit.profiles import DEFAULT_PROFILE, profile_named

        profile = profile_named(config.getoption("spatius_profile") or DEFAULT_PROFILE)
        given = config.getoption("spatius_seed")
        config.stash[_SEED] = profile.seed() if given is None else given
    return config.stash[_SEED]


def _bench(config: pytest.Config) -> "Bench":
    if _BENCH not in config.stash:
        from spatius_sim.kit.bench import Bench

        bench = Bench(_options(config))
        try:
            config.stash[_ENVIRONMENT] = bench.open()
        except UsageError:
            bench.close()
            raise
        config.stash[_BENCH] = bench
    return config.stash[_BENCH]


def _summaries(config: pytest.Config) -> "list[Summary]":
    from spatius_sim.kit.profiles import profile_named

    options = _options(config)
    judged = _judged_rules(config)
    profile = profile_named(options.profile)
    required = judged if config.getoption("spatius_rule") else frozenset(filter(profile.requires, judged))
    summaries = config.stash[_OUTCOMES].summaries(_named(config), judged, required, options)
    return baseline_options.with_baseline(config, summaries) if _named(config) else summaries


def _rule_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    return str(callspec.params.get("rule", "")) if callspec else ""


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise pytest.UsageError(str(error)) from error
