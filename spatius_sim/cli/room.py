"""`spatius-sim verify-room`: the egress of a Motion Server, judged in a real LiveKit room."""

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from spatius_sim.rules.findings import Judgement


@click.command("verify-room")
@click.option(
    "--server",
    default="",
    metavar="URL",
    help="A mock Motion Server, or console=URL,ingress=URL with credentials in SPATIUS_... variables.",
)
@click.option(
    "--agent-cmd",
    default="",
    metavar="COMMAND",
    help="Instead: an agent that ends by itself; judged together with our server.",
)
@click.option("--livekit-url", envvar="LIVEKIT_URL", default="", help="The LiveKit server. [LIVEKIT_URL]")
@click.option("--livekit-key", envvar="LIVEKIT_API_KEY", default="", help="Its API key. [LIVEKIT_API_KEY]")
@click.option(
    "--livekit-secret", envvar="LIVEKIT_API_SECRET", default="", help="Its secret. [LIVEKIT_API_SECRET]"
)
@click.option(
    "--container",
    type=click.Choice(["h264-sei", "vp8"]),
    default="h264-sei",
    show_default=True,
    help="How motion travels in the video.",
)
def verify_room(
    server: str, agent_cmd: str, livekit_url: str, livekit_key: str, livekit_secret: str, container: str
) -> None:
    """Judge the egress of a Motion Server in a real LiveKit room, by the E rules.

    The kit is the agent and two viewers: it speaks twice, interrupts once, watches and leaves. `serve
    --livekit` is such a server. With --agent-cmd an agent speaks instead: it finds the variables SPATIUS_...
    and LIVEKIT_..., with its room in LIVEKIT_ROOM.
    """
    from spatius_sim.engine.rooms.agent_run import OF_AGENTS, judge_agent
    from spatius_sim.engine.rooms.room_run import UNSEEN_RULES, LiveKitPlace, exit_code_of, judge_room
    from spatius_sim.engine.settings import Settings
    from spatius_sim.protocol.errors import UsageError
    from spatius_sim.protocol.video_container import Container

    place = LiveKitPlace(livekit_url, livekit_key, livekit_secret, Container(container))
    if bool(server) == bool(agent_cmd):
        raise UsageError("name one: --server, or --agent-cmd")
    if agent_cmd:
        judgements = asyncio.run(judge_agent(agent_cmd, place))
    else:
        settings = Settings(server=server, environment=os.environ, traces=Path())
        judgements = asyncio.run(judge_room(settings.place(), place))
    _print(judgements)
    sys.exit(exit_code_of(judgements, may_stay_open=OF_AGENTS if agent_cmd else UNSEEN_RULES))


def _print(judgements: "dict[str, Judgement]") -> None:
    """Print a line for each rule, and the sentence of each rule that failed."""
    from spatius_sim.reporting.harmless import some_lines
    from spatius_sim.rules.room_catalogue import ROOM_RULES

    lines = []
    for rule_id, judgement in judgements.items():
        times = f"{judgement.exercised} times" if judgement.exercised else judgement.reason
        lines.append(f"{judgement.verdict:14} {ROOM_RULES[rule_id].level:7} {rule_id:12} {times}")
        for broken in judgement.broken[:1]:
            lines.append(f"  {ROOM_RULES[rule_id].sentence}")
            lines.append(f"  expected {broken.expected}; found {broken.actual}")
    sys.stdout.write(some_lines("\n".join(lines)) + "\n")
