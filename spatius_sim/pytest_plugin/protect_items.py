"""Keeps what a team has set up for its own tests away from the items that judge rules: fixtures that are used
by themselves, time limits, closed sockets, second tries, another order. What cannot be kept away is named."""

import inspect
import socket
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from spatius_sim.engine.run_outcomes import NEVER_RUN
from spatius_sim.files.find_resources import resource
from spatius_sim.protocol.errors import UsageError
from spatius_sim.pytest_plugin.collect_outcomes import rule_in
from spatius_sim.rules.catalogue import RULES

_OUR_PREFIX = "spatius_"
_FIXTURE_OF_PYTEST = "request"
"""The fixture of pytest itself that our items use."""

_MARKS: dict[str, dict[str, object]] = {
    "timeout": {"timeout": 0},  # pytest-timeout: 0 seconds mean no limit.
    "enable_socket": {},  # pytest-socket
    "flaky": {"reruns": 0},  # pytest-rerunfailures
}
"""The marks that keep plugins away from an item, with their arguments. A mark is used if a plugin has
registered it."""

_NEEDED: dict[str, Callable[[], object]] = {
    "time.time": lambda: time.time,
    "time.monotonic": lambda: time.monotonic,
    "time.perf_counter": lambda: time.perf_counter,
    "time.sleep": lambda: time.sleep,
    "socket.socket": lambda: socket.socket,
}
"""What the judge needs as Python made it, by its name; each function looks it up anew."""


def keep_in_order(items: list[pytest.Item], judging_items: Sequence[pytest.Item]) -> None:
    """Restore the order of those pytest items that judge rules (`judging_items`), if another plugin has
    shuffled them: put them into the order of the catalogue, at the places that they hold among all items.
    Which rule is blamed depends on this order."""
    places = [place for place, item in enumerate(items) if item in judging_items]
    catalogue_order = {rule_id: number for number, rule_id in enumerate(RULES)}
    in_order = sorted(
        judging_items, key=lambda item: (str(item.path), catalogue_order.get(rule_in(item.nodeid), 0))
    )
    for place, item in zip(places, in_order, strict=True):
        items[place] = item


def why_never_run(config: pytest.Config) -> str:
    """Return why pytest ran none of the items that judge rules, as far as pytest's settings show: they may
    select other tests."""
    if config.option.keyword or config.option.markexpr:
        reason = "-k or -m selects other tests"
    elif config.args_source is pytest.Config.ArgsSource.ARGS:
        reason = f"{' '.join(config.args)} is to be tested"
    else:
        return NEVER_RUN
    return f"{NEVER_RUN}: {reason} (on the command line, in PYTEST_ADDOPTS, or in addopts)"


def protect_items(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Protect each item of our own suites: remove the fixtures that a team adds by themselves, and add
    marks, so that plugins do not end the item or run it again. An item in a suite that the team wrote keeps
    the fixtures of the team, and gets no marks."""
    registered = {line.split(":")[0].split("(")[0].strip() for line in config.getini("markers")}
    marks = [getattr(pytest.mark, name)(**_MARKS[name]) for name in _MARKS if name in registered]
    suites = resource("conformance")
    for item in items:
        if not item.path.is_relative_to(suites):
            continue
        names: list[str] = getattr(item, "fixturenames", [])
        names[:] = [name for name in names if name.startswith(_OUR_PREFIX) or name == _FIXTURE_OF_PYTEST]
        for mark in marks:
            item.add_marker(mark)


def refuse_replaced_functions() -> None:
    """Raise UsageError if something in this process has replaced the clock or the sockets of Python: a
    frozen clock would let the items that judge rules wait for ever, and blame the subject for it."""
    replaced = list(_replaced_functions())
    if replaced:
        raise UsageError(
            f"{', '.join(replaced)}: the judge needs the clock and the sockets of Python. Undo that in "
            "conftest.py for this run, or judge with `spatius-sim verify`, which reads no conftest.py"
        )


def _replaced_functions() -> Iterator[str]:
    """Yield a text for each function of Python, such as the clock, that something has replaced although the
    items that judge rules need the original: the name of the function, and the module that replaced it."""
    for name, look_up in _NEEDED.items():
        function = look_up()
        module = getattr(function, "__module__", None) or type(function).__module__
        # In the module `time` all is built in; the class of sockets is written in Python.
        genuine = module == "socket" if inspect.isclass(function) else inspect.isbuiltin(function)
        if not genuine:
            yield f"{name} was replaced by {module}"
