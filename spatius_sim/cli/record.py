"""`spatius-sim record`: records what passes between a subject and its Motion Server."""

import asyncio
from pathlib import Path

import click

from spatius_sim.cli.common import endpoint_lines, keep_audio_option, port_option, print_lines
from spatius_sim.engine.interruption import end_requested


@click.command()
@click.option(
    "--upstream",
    multiple=True,
    required=True,
    metavar="URL",
    help="Motion Server: its base URL, or --upstream twice with the console and the ingress endpoint.",
)
@port_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The tape.")
@keep_audio_option
@click.option("--keep-names", is_flag=True, help="Keep the names of apps and avatars.")
def record(upstream: tuple[str, ...], port: int, out: Path, keep_audio: bool, keep_names: bool) -> int:
    """Record what passes between a relay and Motion Server until Ctrl-C.

    Point the relay at the endpoints that this prints; its own API key and app id go through untouched, and
    reach no tape.
    """
    return asyncio.run(_record_until_ended(upstream, port, out, keep_audio=keep_audio, keep_names=keep_names))


async def _record_until_ended(
    upstream: tuple[str, ...], port: int, out: Path, *, keep_audio: bool, keep_names: bool
) -> int:
    """Run the recording proxy until the user ends it or the tape cannot be written; return 0."""
    from spatius_sim.engine.record_with_proxy import recording_proxy
    from spatius_sim.net.garbage import collect_seldom

    recording = recording_proxy(upstream, out, port=port, keep_audio=keep_audio, keep_names=keep_names)
    ended = end_requested()
    collect_seldom()
    async with recording as (proxy, tape):
        print_lines(
            f"Recording onto {out}. Ctrl-C ends it. Point a relay here:",
            *endpoint_lines(proxy.console_endpoint, proxy.ingress_endpoint),
        )
        failed = asyncio.ensure_future(tape.failed.wait())
        await asyncio.wait((ended, failed), return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()
    return 0
