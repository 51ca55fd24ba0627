"""The commands on tapes. Nothing heavy is imported before a command needs it."""

import json
from pathlib import Path

import click

from spatius_sim.cli.check import check
from spatius_sim.cli.common import keep_audio_option, out_argument, tape_argument
from spatius_sim.cli.print_output import print_lines
from spatius_sim.cli.record import record
from spatius_sim.cli.replay import replay
from spatius_sim.reporting.exit_code import ExitCode


@click.group("tape")
def tape() -> None:
    """Look at tapes, and work on them."""


@tape.command()
@tape_argument
@click.option("--connection", multiple=True, help="This connection only, e.g. client-1 (repeatable).")
@click.option(
    "--turn", type=click.IntRange(min=1), default=None, help="This turn of a client only (1, 2, ...)."
)
@click.option("--grep", default="", help="Only the lines in which this regular expression is found.")
def show(tape_path: Path, connection: tuple[str, ...], turn: int | None, grep: str) -> None:
    """Print the tape as a readable dialogue, in the words of a report: a line for each event, with its number
    and its seconds since the scenario began."""
    from spatius_sim.cli.show_tape import TapeFilter, show_tape

    tape_filter = TapeFilter(frozenset(connection), turn or 0, grep)
    for line in show_tape(tape_path, tape_filter):
        print_lines(line)


@tape.command()
@tape_argument
@click.option("--json", "as_json", is_flag=True, help="As one machine-readable line.")
def stats(tape_path: Path, as_json: bool) -> None:
    """Print what is on the tape, in numbers."""
    from spatius_sim.tape.tape_statistics import count_tape_contents

    tape_statistics = count_tape_contents(tape_path)
    header = tape_statistics.header
    speech_seconds = sorted(tape_statistics.speech_seconds.items())
    figures = {
        "recorded by": header.what,
        "taken out": ", ".join(header.redactions),
        "note": header.note,
        "runs": tape_statistics.runs,
        "connections": tape_statistics.connections,
        "seconds": round(tape_statistics.seconds, 3),
        "events": dict(sorted(tape_statistics.kinds.items())),
        "seconds of speech by rate": {str(rate): round(seconds, 3) for rate, seconds in speech_seconds},
        "payloads": tape_statistics.payloads,
        "keyframes": tape_statistics.keyframes,
        "bytes of frames": tape_statistics.frame_bytes,
        "bytes of the file": tape_statistics.file_bytes,
    }
    if as_json:
        print_lines(json.dumps(figures))
        return
    for name, figure in figures.items():
        text = (
            ", ".join(f"{key} {amount}" for key, amount in figure.items())
            if isinstance(figure, dict)
            else str(figure)
        )
        print_lines(f"{name:26} {text}")


@tape.command()
@tape_argument
@out_argument
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
    """Write a piece of TAPE to OUT; the beginnings of its sessions come along."""
    from spatius_sim.tape import cut_and_merge

    from_ns = int(from_seconds * 1e9)
    until_ns = None if until_seconds is None else int(until_seconds * 1e9)
    tape_slice = cut_and_merge.TapeSlice(from_ns, until_ns, run, frozenset(connection))
    event_count = cut_and_merge.cut(tape_path, out, tape_slice)
    print_lines(f"{event_count} events")


@tape.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
@out_argument
def merge(first: Path, second: Path, out: Path) -> None:
    """Make one tape of what was recorded before a relay and at its client."""
    from spatius_sim.tape import cut_and_merge

    print_lines(f"the second tape was moved by {cut_and_merge.merge(first, second, out) / 1e9:.3f} s")


@tape.command()
@click.argument("first", type=click.Path(path_type=Path))
@click.argument("second", type=click.Path(path_type=Path))
def diff(first: Path, second: Path) -> int:
    """Print how two tapes differ in meaning: ids, names, times and the cutting of audio aside.

    Prints nothing and exits 0 if they do not differ, 1 if they do.
    """
    from spatius_sim.tape.compare_tapes import compare_tapes

    has_differences = False
    for line in compare_tapes(first, second):
        has_differences = True
        print_lines(line)
    return ExitCode.RULE_FAILED if has_differences else 0


@tape.command()
@tape_argument
@out_argument
def repair(tape_path: Path, out: Path) -> int:
    """Write what is whole of TAPE to OUT; exits 1 if something was missing."""
    from spatius_sim.tape.cut_and_merge import require_other_file
    from spatius_sim.tape.repair_tape import repair as repair_tape

    require_other_file(out, tape_path)
    repaired = repair_tape(tape_path, out)
    print_lines(*repaired.damage, f"{repaired.events} events saved")
    return ExitCode.RULE_FAILED if repaired.damage else 0


@tape.command("import")
@click.argument("recordings", nargs=-1, required=True, type=click.Path(path_type=Path))
@out_argument
@keep_audio_option
def import_(recordings: tuple[Path, ...], out: Path, keep_audio: bool) -> None:
    """Make a tape of RECORDINGS in the JSON that the SDK's HTTP example writes."""
    from spatius_sim import __version__
    from spatius_sim.tape.import_export import import_recordings

    import_recordings(list(recordings), out, __version__, keep_audio=keep_audio)
    print_lines(f"{len(recordings)} runs")


@tape.command()
@tape_argument
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "--as",
    "file_format",
    type=click.Choice(["json", "wav", "npz", "perfetto", "har"]),
    default="json",
    show_default=True,
    help="json: the SDK example's shape; wav: the speech; npz: the motion as arrays; perfetto: one trace for "
    "ui.perfetto.dev; har: one file for the developer tools of a browser.",
)
def export(tape_path: Path, folder: Path, file_format: str) -> None:
    """Write each request of TAPE to a file of its own in FOLDER, or all of it to one file (perfetto, har)."""
    from spatius_sim.tape import import_export

    export_by_format = {
        "json": import_export.export_recordings,
        "wav": import_export.export_speech,
        "npz": import_export.export_motion,
        "perfetto": import_export.export_perfetto,
        "har": import_export.export_har,
    }
    written_paths = export_by_format[file_format](tape_path, folder)
    print_lines(*map(str, written_paths))


@tape.command()
@tape_argument
@click.option("--out", type=click.Path(path_type=Path), help="The page. [default: TAPE with .html]")
def view(tape_path: Path, out: Path | None) -> None:
    """Write TAPE as a page to look at: a face that moves, and all messages on one clock. It opens offline."""
    from spatius_sim.cli.print_output import write_output_file
    from spatius_sim.reporting.player.runs_to_player_data import MOST_READ, build_player
    from spatius_sim.reporting.player.write_player_page import player_page
    from spatius_sim.tape.cut_and_merge import require_other_file
    from spatius_sim.tape.traces_on_tapes import read_damaged_traces

    page_path = out or tape_path.with_suffix(".html")
    traces, damage, has_more = read_damaged_traces(tape_path, MOST_READ)
    require_other_file(page_path, tape_path)
    notices = [f"The tape is damaged, and what is whole is shown: {line}" for line in damage[:3]]
    keeps_speech = any(trace.header.speech for trace in traces)
    if traces and not keeps_speech:
        notices.append("The tape keeps no speech: its loudness can be seen, and nothing can be heard.")
    player_data = build_player(traces, tape_path.name, notices, sound=keeps_speech, has_more_runs=has_more)
    write_output_file(page_path, player_page(player_data))
    print_lines(f"open {page_path} in a browser")


TAPE_COMMANDS: list[click.Command] = [tape, check, record, replay]
