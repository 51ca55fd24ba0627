"""The commands about wires. Nothing heavy is imported before a command needs it."""

import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import click

from spatius_sim.cli.print_output import print_short_lines
from spatius_sim.engine.option_table import DEFAULT_MOTION_PORT
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.exit_code import ExitCode

if TYPE_CHECKING:
    from spatius_sim.cli.try_wire import WireFit
    from spatius_sim.subjects.relay.start_turns import TurnStart
    from spatius_sim.wires import Wire


@click.group()
def wire() -> None:
    """Work on wires: a wire is what travels between a relay and its client."""


@wire.command("list")
def list_wires() -> None:
    """List the names of the published wires."""
    from spatius_sim.files.wire_file import read_shipped_wire, wire_names

    for name in wire_names():
        print_short_lines(f"{name:20}{read_shipped_wire(name).declares.about}")


@wire.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a published wire as a file, with which the declaration of another wire can begin."""
    from spatius_sim.files.wire_file import read_shipped_wire

    sys.stdout.write(read_shipped_wire(name).declaration)


@wire.command("try")
@click.argument("file", metavar="FILE|NAME")
@click.argument("url")
@click.option("--speak", default=2.0, show_default=True, help="Seconds of speech to send; 0: only listen.")
@click.option("--silence", default=5.0, show_default=True, help="Stop when nothing came for so many seconds.")
@click.option(
    "--motion-port", default=DEFAULT_MOTION_PORT, show_default=True, help="Where our Motion Server listens."
)
@click.option("--turn", default="", help="How a turn is started: clip:NAME, text:WORDS or http:URL.")
def try_wire(file: str, url: str, speak: float, silence: float, motion_port: int, turn: str) -> int:
    """Speak this wire to the relay at URL, and show every frame: what it is taken for, and what is not
    understood.

    A Motion Server listens meanwhile, unless its port is taken: what listens there then answers the relay.
    Exits with 0 if everything was understood, and motion came.
    """
    import asyncio

    from spatius_sim.files.wire_file import find_wire
    from spatius_sim.plans.plan import PLAN_SAMPLE_RATE
    from spatius_sim.subjects.relay.start_turns import check_sayable, read_turn_start
    from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets

    if not url.startswith(("ws://", "wss://", "http://", "https://")):
        raise UsageError(
            f"{url_without_secrets(url)}: a URL that begins with ws://, wss://, http:// or https:// is needed"
        )
    wire, sample_count = find_wire(file), int(max(0.0, speak) * PLAN_SAMPLE_RATE)
    turn_start = read_turn_start(turn, None) if turn else None
    check_sayable(turn_start, wire)
    wire_fit = asyncio.run(_try_wire(wire, url, silence, sample_count, motion_port, turn_start))
    print_short_lines(wire_fit.describe())
    return 0 if wire_fit.fits else ExitCode.RULE_FAILED


async def _try_wire(
    wire: "Wire",
    url: str,
    silence_seconds: float,
    sample_count: int,
    motion_port: int,
    turn_start: "TurnStart | None",
) -> "WireFit":
    """Try a wire (message format) on the relay at this URL, and return how well the wire fits: see
    `trying_wire.try_wire`. Start our Motion Server first, unless something else listens on its port.

    Print the environment variables that the relay needs, and what each frame means."""
    from spatius_sim.cli import try_wire as trying_wire
    from spatius_sim.net.client.relay_address import RelayAddress
    from spatius_sim.net.server.socket_motion_server import SocketMotionServer
    from spatius_sim.subjects.subject_base import canary_key, relay_environment

    async with AsyncExitStack() as stack:
        try:
            server = await stack.enter_async_context(SocketMotionServer(port=motion_port))
        except UsageError as error:
            print_short_lines(f"{error}: what listens there answers the relay")
        else:
            print_short_lines("Motion Server listens; the relay needs this environment:")
            environment = relay_environment(server, canary_key(1))
            print_short_lines(*(f"  {name}={value}" for name, value in environment.items()))
        return await trying_wire.try_wire(
            wire,
            RelayAddress(url),
            silence_seconds=silence_seconds,
            sample_count=sample_count,
            turn_start=turn_start,
            print_line=lambda line: print_short_lines(*line.split("\n")),
        )
