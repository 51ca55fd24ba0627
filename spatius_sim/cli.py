"""The command line: the composition root. Nothing heavy is imported before a command needs it."""

import asyncio
import json
import os
import sys
from traceback import format_exc
from typing import TYPE_CHECKING, Any

import click

from spatius_sim import __version__
from spatius_sim.cli_report import as_click, report, subject_argument
from spatius_sim.cli_tape import TAPE_COMMANDS
from spatius_sim.cli_team import TEAM_COMMANDS
from spatius_sim.cli_wire import wire
from spatius_sim.kit.interruption import INTERRUPTION, told_to_end
from spatius_sim.kit.judge_options import JUDGE_OPTIONS, as_arguments, refuse_empty, subject_named
from spatius_sim.protocol.errors import SpatiusSimError, UnreachableError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from spatius_sim.kit.demo import Act, Stage
    from spatius_sim.kit.simulator import MotionServer

_NAMED_BY_ARGUMENT = "target"

_FAILED, _INTERRUPTED, _KIT_FAILED, _USAGE, _UNREACHABLE = 1, 2, 3, 4, 6

_seed = click.option("--seed", default=1, show_default=True, help="What every random choice comes from.")


def main() -> None:
    """Run the command line; every error that is ours to tell is one line."""
    INTERRUPTION.listen()
    try:
        sys.exit(cli(standalone_mode=False))
    except click.ClickException as error:
        _complain(error.format_message(), _USAGE)
    except UsageError as error:
        _complain(str(error), _USAGE)
    except UnreachableError as error:
        _complain(str(error), _UNREACHABLE)
    except SpatiusSimError as error:
        _complain(str(error), _KIT_FAILED)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(_INTERRUPTED)
    except Exception:
        _complain(f"the kit failed: {format_exc()}", _KIT_FAILED)


def _complain(message: str, code: int) -> None:
    from spatius_sim.reporting.harmless import some_lines

    sys.stderr.write(f"spatius-sim: {some_lines(message)}\n")
    sys.exit(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="spatius-sim", message="%(prog)s %(version)s")
def cli() -> None:
    """A mock Motion Server and a conformance kit for Spatius relays and clients."""


@cli.command()
@_seed
def demo(seed: int) -> int:
    """Two conversations through the whole pipeline.

    Real speech goes through the reference relay (on the published Server SDK) and our Motion Server to our
    client. The rules judge the first conversation; in the second Motion Server dies, and it shows how
    audio-only looks.
    """
    from rich.console import Console

    from spatius_sim.kit.demo import clean_conversation, dying_motion_server
    from spatius_sim.kit.resources import resource
    from spatius_sim.tape.clip import read_clip

    console = Console()
    clip = read_clip(resource("fixtures") / "speech" / "hello.wav")
    console.rule("act one: a clean conversation")
    with _Watch(console, len(clip.pcm) // 2) as watch:
        act = asyncio.run(clean_conversation(clip, seed, watch))
    clean = _tell_clean(console, act, seed)
    console.rule("act two: Motion Server dies in mid-turn")
    with _Watch(console, len(clip.pcm) // 2) as watch:
        act = asyncio.run(dying_motion_server(clip, seed, watch))
    survived = _tell_survival(console, act)
    return 0 if clean and survived else _FAILED


@cli.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8700,
    show_default=True,
    help="Where to listen on 127.0.0.1; 0: a free port.",
)
@_seed
@click.option("--api-key", multiple=True, help="Accept this API key only (repeatable). Default: any.")
@click.option("--app-id", multiple=True, help="Accept this app id only (repeatable). Default: any.")
@click.option(
    "--scenario",
    default="none",
    metavar="NAME|FILE",
    help="What goes wrong: see `spatius-sim scenarios`, or a .yaml file.",
)
@click.option(
    "--pace",
    type=click.Choice(["fast", "realtime"]),
    default="fast",
    show_default=True,
    help="realtime: motion takes time, and comes no faster than the audio is spoken.",
)
@click.option("--latency", type=float, help="Seconds before a first response, whatever the pace.")
@click.option("--jitter", type=float, help="Seconds at most that any response comes later.")
@click.option("--json", "as_json", is_flag=True, help="Print one machine-readable line when ready.")
def serve(
    port: int,
    seed: int,
    api_key: tuple[str, ...],
    app_id: tuple[str, ...],
    scenario: str,
    pace: str,
    latency: float | None,
    jitter: float | None,
    as_json: bool,
) -> None:
    """Run the mock Motion Server until Ctrl-C.

    Point a relay at it with the export lines that it prints. Ids with a meaning go wrong without a
    scenario: see `spatius-sim scenarios`.
    """
    from dataclasses import replace

    from spatius_sim.kit.collecting import collect_seldom
    from spatius_sim.kit.simulator import MotionServer
    from spatius_sim.model.motion_server import Gate
    from spatius_sim.model.pace import PACES

    given = {"latency": latency, "jitter": jitter}
    exact = replace(PACES[pace], **{name: value for name, value in given.items() if value is not None})
    gate = Gate(frozenset(api_key), frozenset(app_id))
    server = MotionServer(port=port, seed=seed, gate=gate, scenario=scenario, pace=exact)
    collect_seldom()
    asyncio.run(_serve_until_told(server, min(api_key, default="any-key-will-do"), as_json=as_json))


@cli.command()
def scenarios() -> None:
    """What can go wrong, by name, and the ids that mean something."""
    from spatius_sim.model.meaningful_ids import glossary
    from spatius_sim.tape.scenarios import shipped_scenarios

    lines = [f"{scenario.name:24}{scenario.about}" for scenario in shipped_scenarios()]
    lines += ["", "Ids with a meaning, by how they begin, need no scenario:"]
    lines += [f"{begins:24}{means}" for begins, means in glossary()]
    sys.stdout.write("\n".join(lines) + "\n")


def _judge_options(command: click.Command) -> click.Command:
    """Gives a command every option of the judge."""
    for option in JUDGE_OPTIONS:
        if option.name != _NAMED_BY_ARGUMENT:
            command.params.append(as_click(option))
    return command


@_judge_options
@cli.command()
@subject_argument(required=False)
def verify(target: str | None, **given: Any) -> int:
    """Judge the relay at TARGET (ws://...), rule by rule; or --server, or --client.

    What is not said here stands in conformance.yaml, in the working directory, or has a default. A relay's
    upstream must be pointed at our Motion Server, which listens while this runs; the environment that it
    needs is printed first.

    \b
    Exit codes:
      0  every required rule passed
      1  a rule failed
      2  interrupted; the reports say what was found by then
      3  the kit failed
      4  usage
      5  a required rule was not exercised
      6  the relay was not reached, or completed no turn
    """
    from pathlib import Path

    import pytest

    from spatius_sim.kit.conformance_file import find_conformance_file
    from spatius_sim.kit.resources import resource

    said = {option.name: given.get(option.field) for option in JUDGE_OPTIONS} | {_NAMED_BY_ARGUMENT: target}
    if not subject_named(said):
        said[_NAMED_BY_ARGUMENT] = os.environ.get("SPATIUS_TARGET")
    kind = subject_named(said)
    if not kind and (file := find_conformance_file(said["conformance"], Path.cwd())):
        kind, said["conformance"] = file.subject, str(file.path)
    if not kind:
        refuse_empty({"SPATIUS_TARGET": said[_NAMED_BY_ARGUMENT]})
        raise UsageError(
            "nothing to judge: name a relay's URL, --server or --client, here or in conformance.yaml "
            "(`spatius-sim init URL` writes it)"
        )
    suite = resource("conformance") / kind
    arguments = [str(suite), f"--rootdir={suite}", "-c", str(suite.parent / "pytest.ini")]
    arguments += ["-p", "no:cacheprovider", *as_arguments(said, "--spatius-")]
    return int(pytest.main(arguments))


@cli.command()
@click.option("--quick", is_flag=True, help="Every figure in a few seconds, none of them worth reading.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@click.option(
    "--mitmdump",
    metavar="PATH",
    help="Where mitmproxy's mitmdump is, to measure beside it; default: on the path.",
)
def bench(quick: bool, as_json: bool, mitmdump: str | None) -> int:
    """How fast the simulator is, beside the least that could do its job.

    Takes four minutes. Ends with 1 where a promised figure is missed on this machine.
    """
    from rich.console import Console

    from spatius_sim.kit.benchmarks import FULL, QUICK, figures
    from spatius_sim.reporting.bench_table import print_figures

    console = Console(stderr=True)
    found = []
    with console.status("measuring") as status:
        for figure in figures(QUICK if quick else FULL, mitmdump):
            status.update(f"measured: {figure.name}")
            found.append(figure)
    if as_json:
        lines = [figure._asdict() | {"kept": figure.kept} for figure in found]
        sys.stdout.write(json.dumps(lines, indent=2) + "\n")
    else:
        print_figures(Console(), [(*figure, figure.kept) for figure in found])
    return 0 if quick or all(figure.kept for figure in found) else _FAILED


@cli.command()
@click.argument("subject", type=click.Choice(["relay", "server", "client"]), required=False)
@click.option("--markdown", "folder", metavar="DIR", help="Write a page for each rule there, as Markdown.")
def rules(subject: str | None, folder: str | None) -> None:
    """The catalogue: every rule with its sentence and its source."""
    from pathlib import Path

    from rich.console import Console

    from spatius_sim.reporting.rule_pages import write_rule_pages
    from spatius_sim.reporting.text_report import print_catalogue
    from spatius_sim.rules.catalogue import RULES, rules_for

    if folder is not None:
        write_rule_pages(Path(folder))
    else:
        print_catalogue(Console(), list(rules_for(subject) if subject else RULES.values()))


for _command in (*TAPE_COMMANDS, *TEAM_COMMANDS, report, wire):
    cli.add_command(_command)


async def _serve_until_told(server: "MotionServer", api_key: str, *, as_json: bool) -> None:
    told = told_to_end()
    async with server:
        environment = server.relay_environment(api_key)
        if as_json:
            ready = {"ready": True, "port": server.port, "seed": server.seed, "environment": environment}
            lines = [json.dumps(ready | {"control": server.control_endpoint})]
        else:
            lines = [
                f"Motion Server listens on port {server.port} (seed {server.seed}). Ctrl-C ends it.",
                f"  console endpoint  {server.console_endpoint}",
                f"  ingress endpoint  {server.ingress_endpoint}",
                f"  control           {server.control_endpoint}/openapi.json",
                f"  scenario          {server.scenario.name}: {server.scenario.about}",
                "Point a relay here:",
                *(f"  export {name}={value}" for name, value in environment.items()),
            ]
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        await told


class _Watch:
    """Draws an act while it happens: live on a terminal, a line every two seconds elsewhere."""

    _CALLS_FOR_A_PICTURE = 4
    _CALLS_FOR_A_LINE = 80

    def __init__(self, console: "Console", total_samples: int) -> None:
        from rich.live import Live

        from spatius_sim.reporting.conversation_view import ConversationView

        self._console, self._total = console, total_samples
        self._view = ConversationView()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._calls = 0

    def __enter__(self) -> "_Watch":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, stage: "Stage", spoken: int) -> None:
        from spatius_sim.kit.demo import figures

        now = figures(stage, spoken, self._total)
        if self._live is not None and self._calls % self._CALLS_FOR_A_PICTURE == 0:
            self._live.update(self._view.draw(now), refresh=True)
        elif self._live is None and self._calls % self._CALLS_FOR_A_LINE == 0:
            self._console.print(
                f"{now.spoken:4.1f} s spoken, {now.payloads_taken} payloads taken, avatar {now.state}"
            )
        self._calls += 1


def _tell_clean(console: "Console", act: "Act", seed: int) -> bool:
    from spatius_sim.kit.demo import summarise
    from spatius_sim.reporting.summary import ExitCode, exit_code
    from spatius_sim.reporting.text_report import print_summary

    summary = summarise(act.trace, seed)
    print_summary(console, summary)
    return exit_code([summary]) is ExitCode.PASSED


def _tell_survival(console: "Console", act: "Act") -> bool:
    steps = {
        f"the relay told its client: {act.told or 'nothing'}": bool(act.told),
        "the client called yieldFramesData with an empty list: audio-only": act.audio_only,
        "the audio played out, and the avatar came back to idle": act.played_out,
    }
    for text, happened in steps.items():
        console.print(f"{'yes' if happened else 'NO ':3}  {text}", highlight=False)
    return all(steps.values())
