"""Writes what stands above a run: the subject, the seed, and how a relay is pointed at our Motion Server."""

from collections.abc import Mapping

from spatius_sim.engine.run_request import RunRequest
from spatius_sim.engine.run_settings import Settings
from spatius_sim.mock_server.session_pages import PREFIX
from spatius_sim.net.ports_and_hosts import describe_exposure, host_for_urls, is_loopback_address
from spatius_sim.net.server.one_port_server import OnePort
from spatius_sim.subjects.subject_base import canary_key, relay_environment


def header_lines(
    request: RunRequest, environment: Mapping[str, str], inspector_url: str, *, is_started: bool = True
) -> list[str]:
    """Return the lines that are printed before a run: the subject, the seed, and how a relay reaches our
    Motion Server. `environment` holds the environment variables that the relay needs. `inspector_url` is the
    page that shows the sessions, or "". `is_started`: whether Motion Server listens already."""
    settings = request.settings
    named_subjects = " and ".join(request.subject_by_kind.values())
    lines = [f"spatius-sim: judging {named_subjects}, profile {settings.profile}, from seed {settings.seed}"]
    if request.file is not None:
        option_names = ", ".join(request.values_from_file) or "nothing for this run"
        lines.append(f"spatius-sim: {request.file.path} says {option_names}")
    if environment:
        listen_verb = "listens" if is_started else "will listen"
        gets_or_needs = "is given" if settings.relay_start.command else "needs"
        exposure = describe_exposure(settings.motion_host, settings.motion_server_port or 0)
        lines += [f"spatius-sim: {line}" for line in exposure]
        lines.append(f"spatius-sim: Motion Server {listen_verb}; the relay {gets_or_needs} this environment:")
    lines += [f"  {name}={value}" for name, value in environment.items()]
    if inspector_url:
        lines.append(f"spatius-sim: its sessions can be looked at: {inspector_url}")
    return lines


def environment_before_start(settings: Settings) -> dict[str, str]:
    """Return, for the header of the run, the environment variables that give a relay the address and the API
    key of our Motion Server, before that server is started: a worker of pytest-xdist will start it. Return no
    variables if the port of the server is not fixed."""
    if not settings.motion_server_port:
        return {}
    # The kit makes this API key itself, and notices it if a relay sends it to a client.
    return relay_environment(
        OnePort(settings.motion_server_port, host=settings.motion_host), canary_key(settings.seed)
    )


def inspector_url_before_start(settings: Settings) -> str:
    """Return, for the header of the run, the URL of the inspector: the page of sessions that our Motion
    Server will serve as soon as a worker of pytest-xdist has started it. Return "" if the port is not fixed,
    or if other machines can reach it: then the page needs a token that only the worker knows."""
    if not (settings.motion_server_port and is_loopback_address(settings.motion_host)):
        return ""
    return f"http://{host_for_urls(settings.motion_host)}:{settings.motion_server_port}{PREFIX}/"
