"""The command line, called in the process of the test: for what a command prints, and how it ends. What is
said of its process (signals, a full disk, a closed pipe, what it imports) needs a process of its own."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from spatius_sim.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        """All that the command printed."""
        return self.stdout + self.stderr


def run_in_process(*arguments: str, folder: Path | None = None, columns: int = 120) -> Ended:
    """Run `spatius-sim` with these arguments, in this folder if one is given, as its users run it on a
    terminal of so many columns."""

    def run() -> int:
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    with patch.object(sys, "argv", ["spatius-sim", *arguments]):
        return _end_of(run, folder, columns)


def pytest_in_process(*arguments: str, folder: Path | None = None, columns: int = 120) -> Ended:
    """Run `pytest` with these arguments, as `run_in_process` runs `spatius-sim`. Its workers, if any, are
    processes. It can have no plugin that changes the kit."""
    had = set(sys.modules)
    with patch.object(sys, "path", [*sys.path]):
        ended = _end_of(lambda: int(pytest.main(["-p", "no:cacheprovider", *arguments])), folder, columns)
    for name in set(sys.modules) - had:
        # Another folder may have tests of this name, too.
        if folder and (getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    return ended


def _end_of(run: Callable[[], int], folder: Path | None, columns: int) -> Ended:
    """How this ends, and what it prints."""
    output, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"COLUMNS": str(columns), "NO_COLOR": "1"}),
        contextlib.chdir(folder or Path.cwd()),
        _signal_handlers_kept(),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        code = run()
    return Ended(code, output.getvalue(), errors.getvalue())


@contextlib.contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Put back the handlers that `main` replaces for the rest of its process."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
