"""`spatius-sim record`: records what passes between a subject and its Motion Server."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spatius_sim.cli.common import host_option, keep_audio_option, port_option
from spatius_sim.cli.print_output import endpoint_lines, print_lines, print_while_serving
from spatius_sim.engine.handle_signals import watch_for_end_request
from spatius_sim.protocol.errors import UsageError

if TYPE_CHECKING:
    from spatius_sim.engine.tapes.write_proxy_tape import ProxyTape
    from spatius_sim.net.proxy.proxy import RecordingProxy
    from spatius_sim.net.server.session_log import SessionLog


@click.command()
@click.option(
    "--upstream",
    multiple=True,
    required=True,
    metavar="URL",
    help="Motion Server: its base URL, or --upstream twice with the console and the ingress endpoint.",
)
@port_option
@host_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The tape.")
@keep_audio_option
@click.option("--keep-names", is_flag=True, help="Keep the names of apps and avatars.")
@click.option("--overwrite", is_flag=True, help="Replace the tape if it exists.")
def record(
    upstream: tuple[str, ...],
    port: int,
    host: str,
    out: Path,
    keep_audio: bool,
    keep_names: bool,
    overwrite: bool,
) -> int:
    """Record what passes between a relay and Motion Server until Ctrl-C.

    Point the relay at the endpoints that this prints; its own API key and app id go through untouched, and
    reach no tape.

    The page that shows the sessions while they are recorded has a port of its own, which this prints: the
    proxy's port has nothing but Motion Server, and what --host opens to others is that port alone.
    """
    import asyncio

    from spatius_sim.engine.tapes.write_proxy_tape import recording_proxy
    from spatius_sim.net.server.session_log import SessionLog, add_proxy_event_to_session_log
    from spatius_sim.reporting.turn_lines import TurnLines
    from spatius_sim.trace.events import Closed, Event
    from spatius_sim.trace.recorder import NullSink

    if out.is_file() and not overwrite:
        raise UsageError(f"{out} exists already: name another file, or --overwrite it")
    turn_lines, session_log = TurnLines(), SessionLog(NullSink())

    def keep_event_and_print_turns(event: Event) -> None:
        """Keep this recorded event for the inspector, the web page that shows the sessions. Print a line for
        each turn that the event ends."""
        add_proxy_event_to_session_log(session_log, event)
        content = event.content
        message = content if isinstance(content, Closed) else getattr(content, "value", None)
        for line in turn_lines.lines_of_ended_turns(event.at_ns, event.connection, message):
            print_while_serving(line)

    recording = recording_proxy(
        upstream,
        out,
        port=port,
        host=host,
        keep_audio=keep_audio,
        keep_names=keep_names,
        on_event=keep_event_and_print_turns,
    )
    return asyncio.run(_record_until_ended(recording, out, session_log))


async def _record_until_ended(
    recording: "AbstractAsyncContextManager[tuple[RecordingProxy, ProxyTape]]",
    out: Path,
    session_log: "SessionLog",
) -> int:
    """Run the recording proxy until the user ends it, and return 0. If the tape cannot be written any more,
    say so and go on: the sessions that pass through the proxy must not suffer."""
    import asyncio

    from spatius_sim.mock_server.session_pages import PagesAlone
    from spatius_sim.net.garbage_collector import collect_seldom
    from spatius_sim.net.ports_and_hosts import describe_exposure
    from spatius_sim.net.report_out_of_descriptors import ExhaustionHandler

    ended = watch_for_end_request()
    asyncio.get_running_loop().set_exception_handler(ExhaustionHandler(print_lines))
    collect_seldom()
    pages = PagesAlone(session_log)
    async with recording as (proxy, tape), pages:
        print_lines(
            f"Recording onto {out}; look inside at {pages.url} now. Ctrl-C ends it. Point a relay here:",
            *endpoint_lines(proxy.console_endpoint, proxy.ingress_endpoint),
            *describe_exposure(proxy.host, proxy.port),
        )
        reachability_check = asyncio.create_task(_print_unreachable_targets(proxy))
        failed = asyncio.ensure_future(tape.failed.wait())
        await asyncio.wait((ended, failed), return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            print_lines(f"{tape.fault}. The tape ends here; what passes goes on. Ctrl-C ends it.")
            await ended
        failed.cancel()
        reachability_check.cancel()
    return 0


async def _print_unreachable_targets(proxy: "RecordingProxy") -> None:
    """Print which servers behind the proxy take no connection. So the user learns it at the start of the
    recording, and not from the first client."""
    for fault in await proxy.unreachable_targets():
        print_lines(f"Motion Server does not answer now: {fault}")
