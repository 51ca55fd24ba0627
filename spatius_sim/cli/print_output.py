"""How commands print: lines, verdicts, pages, and where the output goes. Nothing heavy is imported."""

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from spatius_sim.protocol.environment_variables import endpoint_variables
from spatius_sim.reporting.lost_output import OUTPUT_LOST, discard_output


def print_lines(*lines: str) -> None:
    """Print these lines on stdout. Make them harmless first: text from outside may be in them, with control
    characters."""
    from spatius_sim.reporting.make_text_harmless import make_harmless

    sys.stdout.write("".join(f"{make_harmless(line)}\n" for line in lines))
    sys.stdout.flush()


def endpoint_lines(console_url: str, ingress_url: str) -> list[str]:
    """Return the shell commands that point a relay at these two endpoints."""
    return [
        f"  export {name}={value}" for name, value in endpoint_variables(console_url, ingress_url).items()
    ]


def print_short_lines(*lines: str) -> None:
    """Print these lines on stdout, each cut to one short line. Make them harmless first: text from outside
    may be in them, with control characters."""
    from spatius_sim.reporting.make_text_harmless import harmless_line

    sys.stdout.write("".join(f"{harmless_line(line)}\n" for line in lines))
    sys.stdout.flush()


def print_verdicts(print_judgement: Callable[[], None]) -> None:
    """Call `print_judgement`, the function by which a command prints its verdicts. If stdout cannot be
    written (the disk is full, or nobody reads the output), say so on stderr and go on: the exit code still
    tells the verdict. An OSError for another reason is raised."""
    try:
        print_judgement()
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in OUTPUT_LOST:
            raise
        discard_output(sys.stdout)
        sys.stderr.write(f"spatius-sim: the verdicts cannot be printed: {error.strerror}\n")


def print_while_serving(line: str) -> None:
    """Print this line of a server, made harmless. If it cannot be printed, do nothing: the server's sessions
    must go on."""
    with contextlib.suppress(OSError):
        print_lines(line)


def write_output_file(path: Path, text: str) -> None:
    """Write the output of a command, such as an HTML page, to this file, whole or not at all. Make the file's
    folder if it is missing. Raises UsageError if the file cannot be written."""
    from spatius_sim.files.write_whole_file import write_file_atomically
    from spatius_sim.protocol.errors import UsageError

    try:
        write_file_atomically(path, text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from error
