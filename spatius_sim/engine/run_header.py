"""Writes what stands above a run: the subject, the seed, and how a relay is pointed at our Motion Server."""

from collections.abc import Mapping

from spatius_sim.engine.run_request import RunRequest
from spatius_sim.engine.run_settings import Settings
from spatius_sim.mock_server.session_pages import PREFIX
from spatius_sim.net.ports_and_hosts import describe_exposure, host_for_urls, is_loopback_address
from spatius_sim.net.server.one_port_server import OnePort
from spatius_sim.subjects.subject_base import canary_key, relay_environment


def header_lines(
    request: RunRequest, environment: Mapping[str, str], inspector: str, when: str = "listens"
) -> list[str]:
    """Return the lines of the header above a run: the subject, the seed, and how a relay reaches our Motion
    Server. `environment` is what the relay needs; `inspector` is the URL of the page that shows the sessions,
    or "". `when` says whether Motion Server "listens" already or will listen later."""
    settings = request.settings
    subject = " and ".join(request.subject.values())
    lines = [f"spatius-sim: judging {subject}, profile {settings.profile}, from seed {settings.seed}"]
    if request.file is not None:
        options = ", ".join(request.filled) or "nothing for this run"
        lines.append(f"spatius-sim: {request.file.path} says {options}")
    if environment:
        verb = "is given" if settings.relay_start.command else "needs"
        exposure = describe_exposure(settings.motion_host, settings.listens_at or 0)
        lines += [f"spatius-sim: {line}" for line in exposure]
        lines.append(f"spatius-sim: Motion Server {when}; the relay {verb} this environment:")
    lines += [f"  {name}={value}" for name, value in environment.items()]
    if inspector:
        lines.append(f"spatius-sim: its sessions can be looked at: {inspector}")
    return lines


def environment_to_come(settings: Settings) -> dict[str, str]:
    """Return the environment variables that will point a relay at our Motion Server, for the header of a run,
    before a worker of pytest-xdist has started this server. Return none if the port of the server is not
    fixed."""
    if not settings.listens_at:
        return {}
    return relay_environment(
        OnePort(settings.listens_at, host=settings.motion_host), canary_key(settings.seed)
    )


def inspector_to_come(settings: Settings) -> str:
    """Return the URL of the inspector page that a worker of pytest-xdist will serve later, for the header of
    the run. Return "" if the port is not fixed yet, or if other machines can reach it: then the page needs a
    token that only the worker knows."""
    if not (settings.listens_at and is_loopback_address(settings.motion_host)):
        return ""
    return f"http://{host_for_urls(settings.motion_host)}:{settings.listens_at}{PREFIX}/"
