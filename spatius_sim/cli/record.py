"""`spatius-sim record`: records what passes between a subject and its Motion Server."""

import asyncio
from pathlib import Path

import click

from spatius_sim.cli.shared import _endpoint_lines, _keep_audio, _port, _say
from spatius_sim.engine.interruption import end_requested


@click.command()
@click.option(
    "--upstream",
    multiple=True,
    required=True,
    metavar="URL",
    help="Motion Server: its base URL, or --upstream twice with the console and the ingress endpoint.",
)
@_port
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
    from spatius_sim.engine.record_tape import recording_proxy
    from spatius_sim.net.garbage import collect_seldom

    opened = recording_proxy(upstream, out, port=port, keep_audio=keep_audio, keep_names=keep_names)
    ended = end_requested()
    collect_seldom()
    async with opened as (proxy, tape):
        _say(
            f"Recording onto {out}. Ctrl-C ends it. Point a relay here:",
            *_endpoint_lines(proxy.console_endpoint, proxy.ingress_endpoint),
        )
        failed = asyncio.ensure_future(tape.failed.wait())
        await asyncio.wait((ended, failed), return_when=asyncio.FIRST_COMPLETED)
        failed.cancel()
    return 0
