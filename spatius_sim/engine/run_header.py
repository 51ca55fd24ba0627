"""What stands above a run: the subject, the seed, and how a relay is pointed at our Motion Server."""

from collections.abc import Mapping

from spatius_sim.engine.run_request import RunRequest
from spatius_sim.engine.settings import Settings
from spatius_sim.net.server.one_port import OnePort
from spatius_sim.subjects.subject import canary_key, relay_environment


def header_lines(request: RunRequest, environment: Mapping[str, str], when: str = "listens") -> list[str]:
    """The lines; `environment` is what the relay needs, and `when` says whether Motion Server listens yet."""
    settings = request.settings
    [subject] = request.subject.values()
    lines = [f"spatius-sim: judging {subject}, profile {settings.profile}, from seed {settings.seed}"]
    if request.file is not None:
        said = ", ".join(request.filled) or "nothing for this run"
        lines.append(f"spatius-sim: {request.file.path} says {said}")
    if environment:
        whose = "is given" if settings.attachment.command else "needs"
        lines.append(f"spatius-sim: Motion Server {when}; the relay {whose} this environment:")
    return lines + [f"  {name}={value}" for name, value in environment.items()]


def environment_to_come(settings: Settings) -> dict[str, str]:
    """The environment that will point a relay at the Motion Server which a worker opens; empty if that is at
    no fixed port."""
    if not settings.listens_at:
        return {}
    return relay_environment(OnePort(settings.listens_at), canary_key(settings.seed))
