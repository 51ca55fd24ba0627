"""Asynchronous tests run in a loop of their own, or in that of their module's browser, within a bounded time.
What takes long is left out where neither a test nor a mark is named: CI runs `pytest -m long`, too. What
takes minutes of real time runs only by its mark: `pytest -m nightly`."""

import asyncio
import inspect
import os
import signal
import sys

import pytest
from hypothesis import Phase, settings

from spatius_sim.net.garbage_collector import collect_seldom
from spatius_sim.tests.reporting.browser import axe, browser, heard, look, runner, tab  # noqa: F401

_TEST_SECONDS = 90.0

# The tests start hundreds of processes, and without kept bytecode each would compile the whole package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Where the kit is used, Python keeps what goes into a pipe until somebody flushes it.
os.environ.pop("PYTHONUNBUFFERED", None)

# A busy machine breaks no law.
settings.register_profile("busy or not", deadline=None)
# Coverage must depend on no draw: property tests run on their written examples alone.
settings.register_profile("examples", deadline=None, phases=[Phase.explicit])


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    shared = pyfuncitem.funcargs.get("runner")
    run = shared.run if isinstance(shared, asyncio.Runner) else asyncio.run
    run(asyncio.wait_for(pyfuncitem.obj(**arguments), _TEST_SECONDS))
    return True


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "long: whole runs, many processes, browsers; CI runs `pytest -m long`")
    config.addinivalue_line("markers", "nightly: takes minutes of real time; `tox -e nightly` runs these")
    # What a shell starts in the background ignores interrupts, and so would the processes of the tests.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What nohup starts ignores hang-ups, and so would the processes of the tests: they inherit no handler.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda number, frame: None)
    if config.getoption("--hypothesis-profile") is None:
        settings.load_profile("busy or not")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marks, files = config.option.markexpr, config.option.file_or_dir
    left_out = [] if "nightly" in marks else ["nightly"]
    left_out += [] if marks or files else ["long"]
    kept: dict[bool, list[pytest.Item]] = {True: [], False: []}
    for item in items:
        kept[not any(item.get_closest_marker(mark) for mark in left_out)].append(item)
    items[:] = kept[True]
    config.hook.pytest_deselected(items=kept[False])


def pytest_collection_finish(session: pytest.Session) -> None:
    # Thousands of items live to the end: no collection of garbage need walk them again, and each session of
    # pytest within a test asks for several.
    collect_seldom()
