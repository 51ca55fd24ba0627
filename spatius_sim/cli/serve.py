"""`spatius-sim serve`: runs the mock Motion Server."""

import json
import sys
from typing import TYPE_CHECKING

import click

from spatius_sim.cli.common import host_option, port_option, seed_option
from spatius_sim.cli.print_output import print_while_serving
from spatius_sim.cli.shell_completion import complete_value
from spatius_sim.engine.handle_signals import watch_for_end_request

if TYPE_CHECKING:
    from spatius_sim.mock_server.mock_motion_server import MotionServer

AGORA_CERTIFICATE_VARIABLE = "AGORA_APP_CERTIFICATE"
"""The environment variable that Agora's own samples read the certificate from."""


@click.command()
@port_option
@host_option
@seed_option
@click.option("--api-key", multiple=True, help="Accept this API key only (repeatable). Default: any.")
@click.option("--app-id", multiple=True, help="Accept this app id only (repeatable). Default: any.")
@click.option(
    "--scenario",
    shell_complete=complete_value,
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
@click.option(
    "--most-sessions",
    type=click.IntRange(1),
    help="So many sessions of one app at once; more are refused (4003).",
)
@click.option(
    "--session-seconds", type=click.FloatRange(0, min_open=True), help="So long is a session at most (4002)."
)
@click.option(
    "--capability",
    multiple=True,
    type=click.Choice(["playback_control", "playback_state"]),
    help="Declare and do this in sessions with a room (repeatable): pause and resume; news of the playback.",
)
@click.option("--livekit", is_flag=True, help="Let an egress join its real LiveKit room.")
@click.option(
    "--container",
    type=click.Choice(["h264-sei", "vp8"]),
    default="h264-sei",
    show_default=True,
    help="How motion travels in the video of a LiveKit room.",
)
@click.option(
    "--agora-certificate",
    envvar=AGORA_CERTIFICATE_VARIABLE,
    default="",
    help="The app certificate that must have signed Agora tokens; better in the environment: "
    f"{AGORA_CERTIFICATE_VARIABLE}.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one machine-readable line when ready.")
def serve(
    port: int,
    host: str,
    seed: int,
    api_key: tuple[str, ...],
    app_id: tuple[str, ...],
    scenario: str,
    pace: str,
    latency: float | None,
    jitter: float | None,
    most_sessions: int | None,
    session_seconds: float | None,
    capability: tuple[str, ...],
    livekit: bool,
    container: str,
    agora_certificate: str,
    as_json: bool,
) -> None:
    """Run the mock Motion Server until Ctrl-C.

    Point a relay at it with the export lines that it prints. Ids with a meaning go wrong without a
    scenario: see `spatius-sim scenarios`. Each turn is one line when it ends.
    """
    import asyncio
    from dataclasses import replace

    from spatius_sim.net.garbage_collector import collect_seldom, pause_collector

    with pause_collector():
        from spatius_sim.mock_server.mock_motion_server import MotionServer
        from spatius_sim.model.server.access_control import AccessControl
        from spatius_sim.model.server.price_plan_limits import SessionPlan
        from spatius_sim.model.server.response_pace import PACES
        from spatius_sim.reporting.turn_lines import TurnSink
        from spatius_sim.trace.recorder import NullSink

    delays = {"latency": latency, "jitter": jitter}
    exact_pace = replace(PACES[pace], **{name: value for name, value in delays.items() if value is not None})
    access = AccessControl(frozenset(api_key), frozenset(app_id))
    sink = NullSink() if as_json else TurnSink(print_while_serving)
    plan = SessionPlan(most_sessions or 0, session_seconds or 0.0)
    server = MotionServer(
        port=port,
        host=host,
        seed=seed,
        access=access,
        scenario=scenario,
        pace=exact_pace,
        plan=plan,
        capabilities=capability,
        livekit=livekit,
        container=container,
        agora_certificate=agora_certificate,
        sink=sink,
        on_note=lambda note: click.echo(f"note: {note}", err=True),
    )
    collect_seldom()
    key = min(api_key, default="any-key-will-do")
    asyncio.run(_serve_until_ended(server, key, as_json=as_json, has_certificate=bool(agora_certificate)))


async def _serve_until_ended(
    server: "MotionServer", api_key: str, *, as_json: bool, has_certificate: bool
) -> None:
    """Start the mock Motion Server, print how to point a relay at it, and serve until the user ends it.

    `api_key` is the key that the printed lines tell the relay to use. `as_json`: print one line of JSON.
    `has_certificate`: say that Agora tokens must be signed."""
    import asyncio

    from spatius_sim.net.ports_and_hosts import describe_exposure
    from spatius_sim.net.report_out_of_descriptors import ExhaustionHandler

    ended = watch_for_end_request()
    asyncio.get_running_loop().set_exception_handler(ExhaustionHandler(_print_warning))
    server.on_unknown_path = lambda path: _print_warning(
        f"asked {path}, which no Motion Server has: answered 404"
    )
    async with server:
        environment = server.relay_environment(api_key)
        if as_json:
            ready = {"ready": True, "port": server.port, "seed": server.seed, "environment": environment}
            lines = [
                json.dumps(ready | {"control": server.control_endpoint, "inspector": server.inspector_url})
            ]
        else:
            lines = [
                f"Motion Server listens on port {server.port} (seed {server.seed}). Ctrl-C ends it.",
                f"  console endpoint  {server.console_endpoint}",
                f"  ingress endpoint  {server.ingress_endpoint}",
                f"  control           {server.control_endpoint}/openapi.json",
                f"  inspector         {server.inspector_url}",
                f"  scenario          {server.scenario.name}: {server.scenario.about}",
                *(["  agora tokens      need the signature of the certificate"] if has_certificate else []),
                "Point a relay here:",
                *(f"  export {name}={value}" for name, value in environment.items()),
            ]
        for line in describe_exposure(server.host, server.port):
            _print_warning(line)
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        await ended


def _print_warning(line: str) -> None:
    """Print this warning on stderr. Make it harmless first: a client of the mock Motion Server may have
    written a part of it, with control characters."""
    from spatius_sim.reporting.make_text_harmless import harmless_line

    sys.stderr.write(f"{harmless_line(line)}\n")
    sys.stderr.flush()
