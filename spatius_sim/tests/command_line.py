"""The command line, called in the process of the test: for what a command prints, and how it ends. What is
said of its process (signals, a full disk, a closed pipe, what it imports) needs a process of its own."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

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
    output, errors = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"COLUMNS": str(columns), "NO_COLOR": "1"}),
        patch.object(sys, "argv", ["spatius-sim", *arguments]),
        contextlib.chdir(folder or Path.cwd()),
        _signal_handlers_kept(),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    assert code is None or isinstance(code, int)
    return Ended(code or 0, output.getvalue(), errors.getvalue())


@contextlib.contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Put back the handlers that `main` replaces for the rest of its process."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
