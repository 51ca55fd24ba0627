"""The command line: all commands, and how errors end them. Heavy modules are imported only when needed."""

import atexit
import contextlib
import os
import sys
from traceback import format_exc
from typing import Any

import click

from spatius_sim import __version__
from spatius_sim.cli.bench import bench
from spatius_sim.cli.demo.demo import demo
from spatius_sim.cli.doctor.doctor import doctor
from spatius_sim.cli.examples import examples
from spatius_sim.cli.init import init
from spatius_sim.cli.report import report
from spatius_sim.cli.scenarios import scenarios
from spatius_sim.cli.schema import schema
from spatius_sim.cli.serve import serve
from spatius_sim.cli.simulate import simulate
from spatius_sim.cli.tape_commands import TAPE_COMMANDS
from spatius_sim.cli.verify import verify
from spatius_sim.cli.wire_commands import wire
from spatius_sim.engine.handle_signals import INTERRUPTION
from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError, UsageError
from spatius_sim.reporting.exit_code import ExitCode
from spatius_sim.reporting.lost_output import OUTPUT_LOST, discard_output


def main() -> None:
    """Run the command line `spatius-sim`, and exit with the exit code of its command. An error that we expect
    is printed without a traceback; any other error is a failure of the kit, and is printed with one."""
    INTERRUPTION.install_handlers()
    _open_missing_output()
    try:
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        _exit_with_error(error.format_message(), ExitCode.USAGE)
    except UsageError as error:
        _exit_with_error(str(error), ExitCode.USAGE)
    except UnreachableError as error:
        _exit_with_error(str(error), ExitCode.UNREACHABLE)
    except SpatiusSimError as error:
        _exit_with_error(str(error), ExitCode.KIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(ExitCode.INTERRUPTED)
    except OSError as error:
        if error.errno not in OUTPUT_LOST:
            _exit_with_error(f"the kit failed: {format_exc()}", ExitCode.KIT_FAILED)
        _give_up_printing(error.strerror)
    except _ReaderLeftError as error:
        _give_up_printing(str(error))
    except Exception:
        _exit_with_error(f"the kit failed: {format_exc()}", ExitCode.KIT_FAILED)


def run() -> None:
    """Run `main` as the program of this process. If LiveKit's library was used, end the process before the
    interpreter is taken down: a thread of the library that calls Python then aborts the process, and the exit
    code would be lost."""
    try:
        main()
    except SystemExit as ending:
        if "livekit.rtc" not in sys.modules or not isinstance(ending.code, int):
            raise
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(ending.code)


def _open_missing_output() -> None:
    """Replace standard output and standard error by the null device if the caller has closed them, as a
    service without a terminal may do. Otherwise every print would fail."""
    for stream_name in ("stdout", "stderr"):
        if getattr(sys, stream_name) is None:
            null_device = open(os.devnull, "w")  # noqa: SIM115 - it is open as long as the process.
            setattr(sys, stream_name, null_device)


def _give_up_printing(reason: str | None) -> None:
    """Print on stderr why the command can print nothing more on stdout, and exit with KIT_FAILED."""
    discard_output(sys.stdout)
    _exit_with_error(f"what was to be printed cannot be written: {reason}", ExitCode.KIT_FAILED)


def _exit_with_error(message: str, code: ExitCode) -> None:
    """Print this error message on stderr, without the logins in its URLs, and exit with this code."""
    from spatius_sim.reporting.make_text_harmless import harmless_lines
    from spatius_sim.trace.secrets_in_settings_and_urls import text_without_secrets

    # An error quotes what the user typed, and a traceback what a library was given: also URLs with logins.
    sys.stderr.write(f"spatius-sim: {harmless_lines(text_without_secrets(message))}\n")
    sys.exit(code)


class _ReaderLeftError(Exception):
    """Whoever read what is printed has closed the pipe."""


class _Commands(click.Group):
    """All commands. If the output is a closed pipe, click would exit with 1, which means a broken rule
    here."""

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Parse the command line of `spatius-sim`, as click does. This prints the texts of `--help` and
        `--version`. Raises _ReaderLeftError if the output is a pipe that its reader has closed."""
        try:
            return super().make_context(*arguments, **options)
        except BrokenPipeError as error:
            raise _ReaderLeftError(error.strerror) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that the user named, as click does, and return its exit code. Raises
        _ReaderLeftError if the output is a pipe that its reader has closed."""
        try:
            exit_code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise _ReaderLeftError(error.strerror) from error
        return exit_code


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spatius-sim", message="%(prog)s %(version)s")
def cli() -> None:
    """A mock Motion Server and a conformance kit for Spatius relays and clients."""


@cli.command()
@click.argument("subject", type=click.Choice(["relay", "server", "client", "room"]), required=False)
def rules(subject: str | None) -> None:
    """Print the catalogue: every rule with its sentence and its source."""
    from spatius_sim.reporting.formats.output_console import OutputConsole
    from spatius_sim.reporting.formats.text_report import print_catalogue
    from spatius_sim.rules.catalogue import RULES, rules_for

    shown_rules = list(rules_for(subject) if subject else RULES.values())
    print_catalogue(OutputConsole(), shown_rules, len(RULES))


for _command in (
    *TAPE_COMMANDS,
    serve,
    simulate,
    scenarios,
    demo,
    verify,
    bench,
    init,
    doctor,
    schema,
    examples,
    report,
    wire,
):
    cli.add_command(_command)
