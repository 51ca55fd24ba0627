"""`spatius-sim replay`: answers with what is on a tape."""

from pathlib import Path

import click

from spatius_sim.cli.common import port_option, tape_argument
from spatius_sim.cli.print_output import endpoint_lines, print_lines
from spatius_sim.engine.handle_signals import watch_for_end_request
from spatius_sim.reporting.exit_code import ExitCode


@click.command()
@tape_argument
@click.argument("relay", required=False)
@click.option("--as", "role", type=click.Choice(["server", "client"]), default="server", show_default=True)
@port_option
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

    Exits 1 if a request came that the tape does not hold, or a client heard something else.
    """
    import asyncio

    if speed < 0:
        raise click.UsageError("--speed is a positive number, or 0")
    if role == "client":
        if relay is None:
            raise click.UsageError("--as client needs the URL of a relay")
        return asyncio.run(_replay_clients(tape_path, relay, speed, settle))
    if relay is not None:
        raise click.UsageError("a relay is named with --as client only")
    return asyncio.run(_replay_as_server(tape_path, port, match, speed, original_ids=original_ids))


async def _replay_as_server(
    tape_path: Path, port: int, match: str, speed: float, *, original_ids: bool
) -> int:
    """Act as a Motion Server that answers a relay with what is on the tape, until the user ends it. Return
    the exit code: 1 if a request came that the tape does not hold, otherwise 0.

    `match`: how a request finds its answer, by `order` or by `audio`. `speed`: 2 is twice as fast as the
    tape, 0 at once. `original_ids`: send the ids of the tape, not new ones."""
    from spatius_sim.engine.tapes.replay_tape import join_recorded_runs
    from spatius_sim.model.server.match_taped_turns import Match
    from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer

    taped_run = join_recorded_runs(tape_path)
    replay_options = ReplayOptions(Match(match), speed, original_ids)
    ended = watch_for_end_request()
    async with ReplayServer(taped_run, replay_options, port=port, on_mismatch=print_lines) as server:
        print_lines(
            f"{len(taped_run.turns)} requests of {tape_path} are ready. Ctrl-C ends it. Point a relay here:",
            *endpoint_lines(server.console_endpoint, server.ingress_endpoint),
        )
        await ended
    return ExitCode.RULE_FAILED if server.mismatches else 0


async def _replay_clients(tape_path: Path, relay_url: str, speed: float, silence_seconds: float) -> int:
    """Send to a relay what the clients on the tape sent, and print how much each client received. Return the
    exit code: 1 if a client received something else than on the tape, otherwise 0.

    `speed`: 2 is twice as fast as the tape, 0 at once. `silence_seconds`: end after this much silence."""
    from spatius_sim.engine.tapes.replay_tape import replay_clients

    client_results = await replay_clients(tape_path, relay_url, speed=speed, silence_seconds=silence_seconds)
    for result in client_results:
        print_lines(
            f"{result.client}: {result.sent} frames sent, "
            f"{result.frames_now} heard ({result.frames_then} on the tape), "
            f"{result.payloads_now} payloads ({result.payloads_then})"
        )
    return ExitCode.RULE_FAILED if any(result.difference for result in client_results) else 0
