"""Prints our lines among those of pytest."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from spatius_sim.reporting.lost_output import OUTPUT_LOST, discard_output

if TYPE_CHECKING:
    import pytest


@contextmanager
def printing_at_once(reporter: "pytest.TerminalReporter") -> Iterator[None]:
    """Show what is printed here at once: a pipe, as in CI, would keep it until the end of the run. If it
    cannot be written (the disk is full, or nobody reads the output), say so on stderr and go on, without
    output: the exit code still tells the verdict. An OSError for another reason is raised."""
    try:
        yield
        reporter.flush()
    except OSError as error:
        if error.errno not in OUTPUT_LOST:
            raise
        _discard_output(reporter)
        sys.stderr.write(f"spatius-sim: nothing more can be printed: {error.strerror}\n")


def _discard_output(reporter: "pytest.TerminalReporter") -> None:
    """Let pytest print nothing more. Whenever pytest has captured what an item writes, it puts the output
    back in place: so this must be another file, and the old one must have nothing left to write."""
    discard_output(reporter._tw._file)
    reporter.flush()
    reporter._tw._file = nowhere = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
    reporter.config.add_cleanup(nowhere.close)
