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
from spatius_sim.pytest_plugin.pytest_outcomes import rule_id_in
from spatius_sim.rules.catalogue import RULES

_OUR_PREFIX = "spatius_"
_FIXTURE_OF_PYTEST = "request"
"""The fixture of pytest itself that our items use."""

_PROTECTING_MARKS: dict[str, dict[str, object]] = {
    "timeout": {"timeout": 0},  # pytest-timeout: 0 seconds mean no limit.
    "enable_socket": {},  # pytest-socket
    "flaky": {"reruns": 0},  # pytest-rerunfailures
}
"""The marks that keep plugins away from an item, with their arguments. A mark is used if a plugin has
registered it."""

_NEEDED_FUNCTIONS: dict[str, Callable[[], object]] = {
    "time.time": lambda: time.time,
    "time.monotonic": lambda: time.monotonic,
    "time.perf_counter": lambda: time.perf_counter,
    "time.sleep": lambda: time.sleep,
    "socket.socket": lambda: socket.socket,
}
"""What the judge needs as Python made it, by its name; each function looks it up anew."""


def restore_catalogue_order(items: list[pytest.Item], judging_items: Sequence[pytest.Item]) -> None:
    """Protect the order of the pytest items that judge rules (`judging_items`): if another plugin has
    shuffled them, put them back into the order of the catalogue. All other items keep their places in
    `items`. The order matters because it decides which rule is blamed."""
    places = [place for place, item in enumerate(items) if item in judging_items]
    number_by_rule_id = {rule_id: number for number, rule_id in enumerate(RULES)}
    sorted_items = sorted(
        judging_items, key=lambda item: (str(item.path), number_by_rule_id.get(rule_id_in(item.nodeid), 0))
    )
    for place, item in zip(places, sorted_items, strict=True):
        items[place] = item


def explain_never_run(config: pytest.Config) -> str:
    """Return a text that says why pytest did not run an item that judges a rule. Items cannot be protected
    from settings of pytest that select other tests, so the text names these; without such settings it says
    only that the item was not run."""
    if config.option.keyword or config.option.markexpr:
        reason = "-k or -m selects other tests"
    elif config.args_source is pytest.Config.ArgsSource.ARGS:
        reason = f"{' '.join(config.args)} is to be tested"
    else:
        return NEVER_RUN
    return f"{NEVER_RUN}: {reason} (on the command line, in PYTEST_ADDOPTS, or in addopts)"


def protect_items(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Protect each item of our own suites from other plugins. Fixtures that a team lets every test use
    (autouse) are removed. Marks are added, so that no plugin ends the item or runs it again. An item in a
    suite that the team wrote stays as it is."""
    registered_marks = {line.split(":")[0].split("(")[0].strip() for line in config.getini("markers")}
    marks = [
        getattr(pytest.mark, name)(**_PROTECTING_MARKS[name])
        for name in _PROTECTING_MARKS
        if name in registered_marks
    ]
    suites_folder = resource("conformance")
    for item in items:
        if not item.path.is_relative_to(suites_folder):
            continue
        fixture_names: list[str] = getattr(item, "fixturenames", [])
        fixture_names[:] = [
            name for name in fixture_names if name.startswith(_OUR_PREFIX) or name == _FIXTURE_OF_PYTEST
        ]
        for mark in marks:
            item.add_marker(mark)


def refuse_replaced_clock_or_sockets() -> None:
    """Raise UsageError if something in this process has replaced the clock or the sockets of Python. With a
    frozen clock, for example, an item that judges a rule might wait for ever, and blame the subject."""
    replaced = list(_find_replaced_functions())
    if replaced:
        raise UsageError(
            f"{', '.join(replaced)}: the judge needs the clock and the sockets of Python. Undo that in "
            "conftest.py for this run, or judge with `spatius-sim verify`, which reads no conftest.py"
        )


def _find_replaced_functions() -> Iterator[str]:
    """Yield a text for each function that the judge needs as Python made it, but that something has replaced.
    The text names the function, such as the clock, and the module that replaced it."""
    for name, look_up_function in _NEEDED_FUNCTIONS.items():
        function = look_up_function()
        module = getattr(function, "__module__", None) or type(function).__module__
        # In the module `time` all is built in; the class of sockets is written in Python.
        is_original = module == "socket" if inspect.isclass(function) else inspect.isbuiltin(function)
        if not is_original:
            yield f"{name} was replaced by {module}"
