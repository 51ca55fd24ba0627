"""How commands print: lines, verdicts, pages, and where the output goes. Nothing heavy is imported."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spatius_sim.cli.common import OUTPUT_LOST
from spatius_sim.protocol.environment_variables import endpoint_variables


def print_lines(*lines: str) -> None:
    """Print these lines of a command on stdout. They are made harmless first, because text from outside may
    be in them."""
    from spatius_sim.reporting.make_text_harmless import make_harmless

    sys.stdout.write("".join(f"{make_harmless(line)}\n" for line in lines))
    sys.stdout.flush()


def endpoint_lines(console: str, ingress: str) -> list[str]:
    """Return the shell commands that point a relay at these two endpoints."""
    return [f"  export {name}={value}" for name, value in endpoint_variables(console, ingress).items()]


def print_short_lines(*lines: str) -> None:
    """Print each of these lines of a command on stdout: cut to one short line, and made harmless, because
    text from outside may be in it."""
    from spatius_sim.reporting.make_text_harmless import one_line

    sys.stdout.write("".join(f"{one_line(line)}\n" for line in lines))
    sys.stdout.flush()


def change_texts(change: Callable[[str], str], value: Any) -> Any:
    """Return the value of an option of the command line, with `change` applied to each text in it: to the
    value itself, or to the members of a tuple. A value that is neither a text nor a tuple is returned as it
    is."""
    if isinstance(value, tuple):
        return tuple(map(change, value))
    return change(value) if isinstance(value, str) else value


def print_verdicts(print_all: Callable[[], None]) -> None:
    """Print the verdicts of a command, which each command does by its own function `print_all`. If they
    cannot be printed (the disk is full, or nobody reads the output), say so on stderr and go on: the exit
    code still tells the verdict."""
    try:
        print_all()
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in OUTPUT_LOST:
            raise
        leave_output()
        sys.stderr.write(f"spatius-sim: the verdicts cannot be printed: {error.strerror}\n")


def leave_output() -> None:
    """Redirect standard output to nowhere when a command cannot write it any more: otherwise Python would
    report a second error when the command ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def print_while_serving(line: str) -> None:
    """Print this line, made harmless. If it cannot be printed, do nothing: the sessions that a command
    serves must not suffer."""
    with contextlib.suppress(OSError):
        print_lines(line)


def write_page(path: Path, text: str) -> None:
    """Write a page that a command has made to a file, whole or not at all, and make the file's folder if it
    is missing. Raises UsageError if the file cannot be written."""
    from spatius_sim.files.write_whole_file import write_whole
    from spatius_sim.protocol.errors import UsageError

    try:
        write_whole(path, text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
