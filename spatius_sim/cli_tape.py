"""The commands on tapes. Nothing heavy is imported before a command needs it."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import click

from spatius_sim.cli_report import as_click, report_paths
from spatius_sim.kit.interruption import told_to_end
from spatius_sim.kit.judge_options import JUDGE_OPTIONS, REPORT_OPTIONS

_FAILED = 1
_OF_A_TAPE = ("conformance", "baseline", "level", "rule", "lacks")
_ASKED = (*REPORT_OPTIONS, *(option for option in JUDGE_OPTIONS if option.name in _OF_A_TAPE))
"""What may be asked of a tape."""

_tape = click.argument("tape_path", metavar="TAPE", type=click.Path(path_type=Path))
_out = click.argument("out", type=click.Path(path_type=Path))
_keep_audio = click.option("--keep-audio", is_flag=True, help="Keep speech, not only its loudness and hash.")


def _say(*lines: str) -> None:
    from spatius_sim.reporting.harmless import harmless

    sys.stdout.write("".join(f"{harmless(line)}\n" for line in lines))
    sys.stdout.flush()


@click.group("tape")
def tape() -> None:
    """Look at tapes, and work on them."""


@tape.command()
@_tape
def show(tape_path: Path) -> None:
    """The tape as a readable dialogue. Arrows point at Motion Server and at the client (->: received by the
    kit, <-: sent by it)."""
    from spatius_sim.tape.dialogue import dialogue

    for line in dialogue(tape_path):
        _say(line)


@tape.command()
@_tape
@click.option("--json", "as_json", is_flag=True, help="As one machine-readable line.")
def stats(tape_path: Path, as_json: bool) -> None:
    """What is on the tape, in numbers."""
    from spatius_sim.tape.dialogue import statistics

    found = statistics(tape_path)
    header = found.header
    figures = {
        "recorded by": header.what,
        "taken out": ", ".join(header.redactions),
        "note": header.note,
        "runs": found.runs,
        "connections": found.connections,
        "seconds": round(found.seconds, 3),
        "events": dict(sorted(found.kinds.items())),
        "seconds of speech by rate": {str(r): round(s, 3) for r, s in sorted(found.speech_seconds.items())},
        "payloads": found.payloads,
        "keyframes": found.keyframes,
        "bytes of frames": found.frame_bytes,
        "bytes of the file": found.file_bytes,
    }
    if as_json:
        _say(json.dumps(figures))
        return
    for name, figure in figures.items():
        text = ", ".join(f"{k} {v}" for k, v in figure.items()) if isinstance(figure, dict) else str(figure)
        _say(f"{name:26} {text}")


@tape.command()
@_tape
@_out
@click.option("--from", "from_seconds", default=0.0, help="Seconds from the start of the tape.")
@click.option("--until", "until_seconds", type=float, help="Seconds from the start of the tape.")
@click.option("--run", default=0, help="This run only (1, 2, ...).")
@click.option("--connection", multiple=True, help="This connection only (repeatable).")
def cut(
    tape_path: Path,
    out: Path,
    from_seconds: float,
    until_seconds: float | None,
    run: int,
    connection: tuple[str, ...],
) -> None:
    """Write a piece of TAPE to OUT; handshakes come along."""
    from spatius_sim.tape import editing

    until = None if until_seconds is None else int(until_seconds * 1e9)
    piece = editing.Piecework(int(from_seconds * 1e9), until, run, frozenset(connection))
    _say(f"{editing.cut(tape_path, out, piece)} events")


@tape.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@_out
def merge(first: Path, second: Path, out: Path) -> None:
    """Make one tape of what was recorded before a relay and at its client."""
    from spatius_sim.tape import editing

    _say(f"the second tape was moved by {editing.merge(first, second, out) / 1e9:.3f} s")


@tape.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def diff(first: Path, second: Path) -> int:
    """How two tapes differ in meaning: ids, names, times and the cutting of audio aside.

    Prints nothing and exits 0 where they do not differ, 1 where they do.
    """
    from spatius_sim.tape.comparing import differences

    differing = False
    for line in differences(first, second):
        differing = True
        _say(line)
    return _FAILED if differing else 0


@tape.command()
@_tape
@_out
def repair(tape_path: Path, out: Path) -> int:
    """Write what is whole of TAPE to OUT; exits 1 where something was missing."""
    from spatius_sim.tape.editing import apart
    from spatius_sim.tape.reader import repair as save

    apart(out, tape_path)
    repaired = save(tape_path, out)
    _say(*repaired.damage, f"{repaired.events} events saved")
    return _FAILED if repaired.damage else 0


@tape.command("import")
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path))
@_out
@_keep_audio
def import_(recordings: tuple[Path, ...], out: Path, keep_audio: bool) -> None:
    """Make a tape of RECORDINGS in the JSON that the SDK's HTTP example writes."""
    from spatius_sim import __version__
    from spatius_sim.tape.exchange import import_recordings

    import_recordings(list(recordings), out, __version__, keep_audio=keep_audio)
    _say(f"{len(recordings)} runs")


@tape.command()
@_tape
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "shape",
    type=click.Choice(["json", "wav", "npz"]),
    default="json",
    show_default=True,
    help="json: the SDK example's shape; wav: the speech; npz: the motion as arrays.",
)
def export(tape_path: Path, folder: Path, shape: str) -> None:
    """Write each request of TAPE to a file of its own in FOLDER."""
    from spatius_sim.tape import exchange

    writers = {
        "json": exchange.export_recordings,
        "wav": exchange.export_speech,
        "npz": exchange.export_motion,
    }
    _say(*map(str, writers[shape](tape_path, folder)))


def _check_options(command: click.Command) -> click.Command:
    command.params.extend(as_click(option) for option in _ASKED)
    return command


@_check_options
@click.command()
@_tape
def check(tape_path: Path, **given: Any) -> int:
    """Judge what is on TAPE by every rule that it can exercise.

    What is not said here stands in conformance.yaml, in the working directory. A tape is no whole run: an
    entry of the baseline that passes here may stay.

    \b
    Exit codes:
      0  no rule was broken, and at least one was kept
      1  a rule was broken
      4  this is no whole tape
      5  no rule was exercised, or none of those that were named
    """
    from rich.console import Console

    from spatius_sim.kit.checking import asked_of_tapes, check_tape
    from spatius_sim.reporting.files import make_room, write_reports
    from spatius_sim.reporting.report import report_of
    from spatius_sim.reporting.summary import exit_code
    from spatius_sim.reporting.text_report import failure_text, print_run

    asked = asked_of_tapes({option.name: given[option.field] for option in _ASKED}, Path.cwd())
    paths = report_paths(asked.reports)
    make_room(paths)
    summaries = check_tape(tape_path, asked)
    for outcome in (outcome for summary in summaries for outcome in summary.new_failures):
        if outcome.failure is not None:
            _say(failure_text(outcome, outcome.failure))
    code = exit_code(summaries)
    print_run(Console(), summaries, code)
    _say(*write_reports(paths, report_of(summaries, code)).values())
    return int(code)


@click.command()
@click.option(
    "--upstream",
    multiple=True,
    required=True,
    metavar="URL",
    help="Motion Server: its base URL, or --upstream twice with the console and the ingress endpoint.",
)
@click.option("--port", default=8700, show_default=True, help="Where to listen on 127.0.0.1; 0: a free port.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The tape.")
@_keep_audio
@click.option("--keep-names", is_flag=True, help="Keep the names of apps and avatars.")
def record(upstream: tuple[str, ...], port: int, out: Path, keep_audio: bool, keep_names: bool) -> int:
    """Record what passes between a relay and Motion Server until Ctrl-C.

    Point the relay at the endpoints that this prints; its own API key and app id go through untouched, and
    reach no tape.
    """
    return asyncio.run(_record(upstream, port, out, keep_audio=keep_audio, keep_names=keep_names))


async def _record(
    upstream: tuple[str, ...], port: int, out: Path, *, keep_audio: bool, keep_names: bool
) -> int:
    from spatius_sim.kit.collecting import collect_seldom
    from spatius_sim.kit.recording import recording_proxy

    opened = recording_proxy(upstream, out, port=port, keep_audio=keep_audio, keep_names=keep_names)
    told = told_to_end()
    collect_seldom()
    async with opened as (proxy, tape):
        _say(
            f"Recording onto {out}. Ctrl-C ends it. Point a relay here:",
            f"  export SPATIUS_CONSOLE_ENDPOINT={proxy.console_endpoint}",
            f"  export SPATIUS_INGRESS_ENDPOINT={proxy.ingress_endpoint}",
        )
        failed = asyncio.ensure_future(tape.failed.wait())
        await asyncio.wait((told, failed), return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()
    return 0


@click.command()
@_tape
@click.argument("relay", required=False)
@click.option("--as", "role", type=click.Choice(["server", "client"]), default="server", show_default=True)
@click.option("--port", default=8700, show_default=True, help="Where to listen on 127.0.0.1; 0: a free port.")
@click.option(
    "--match",
    type=click.Choice(["order", "audio"]),
    default="order",
    show_default=True,
    help="Requests find their turn by order, or by what is said in them.",
)
@click.option("--speed", default=1.0, show_default=True, help="Times the recorded pace; 0: at once.")
@click.option("--original-ids", is_flag=True, help="Send the recorded ids instead of fresh ones.")
@click.option(
    "--settle", default=3.0, show_default=True, help="As client: seconds of silence to leave after."
)
def replay(
    tape_path: Path,
    relay: str | None,
    role: str,
    port: int,
    match: str,
    speed: float,
    original_ids: bool,
    settle: float,
) -> int:
    """Play TAPE again: as the Motion Server of a relay until Ctrl-C, or with --as client RELAY (ws://...) as
    the clients of a relay.

    Exits 1 where a request came that the tape does not hold, or a client heard something else.
    """
    if speed < 0:
        raise click.UsageError("--speed is a positive number, or 0")
    if role == "client":
        if relay is None:
            raise click.UsageError("--as client needs the URL of a relay")
        return asyncio.run(_replay_clients(tape_path, relay, speed, settle))
    if relay is not None:
        raise click.UsageError("a relay is named with --as client only")
    return asyncio.run(_replay(tape_path, port, match, speed, original_ids=original_ids))


async def _replay(tape_path: Path, port: int, match: str, speed: float, *, original_ids: bool) -> int:
    from spatius_sim.kit.replaying import read_script
    from spatius_sim.model.replay import Match
    from spatius_sim.net.replay_server import Playing, ReplayServer

    script = read_script(tape_path)
    playing = Playing(Match(match), speed, original_ids)
    told = told_to_end()
    async with ReplayServer(script, playing, port=port, on_mismatch=_say) as server:
        _say(
            f"{len(script.turns)} requests of {tape_path} are ready. Ctrl-C ends it. Point a relay here:",
            f"  export SPATIUS_CONSOLE_ENDPOINT={server.console_endpoint}",
            f"  export SPATIUS_INGRESS_ENDPOINT={server.ingress_endpoint}",
        )
        await told
    return _FAILED if server.mismatches else 0


async def _replay_clients(tape_path: Path, relay: str, speed: float, settle: float) -> int:
    from spatius_sim.kit.replaying import replay_clients

    heard = await replay_clients(tape_path, relay, speed=speed, settle=settle)
    for one in heard:
        _say(
            f"{one.client}: {one.sent} frames sent, {one.frames_now} heard ({one.frames_then} on the tape), "
            f"{one.payloads_now} payloads ({one.payloads_then})"
        )
    return _FAILED if any(one.difference for one in heard) else 0


TAPE_COMMANDS: list[click.Command] = [tape, check, record, replay]
