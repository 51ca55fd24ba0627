"""`spatius-sim wire`: what a declaration makes of a live relay."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from spatius_sim.cli.main import cli
from spatius_sim.cli.try_wire import WireFit, try_wire
from spatius_sim.files.wire_file import find_wire, wire_names
from spatius_sim.miniatures.relay.honest_relays import PLAIN, PLAYS_CLIPS
from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.subjects.relay.start_turns import read_turn_start
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.tests.running_miniature import SEED


@asynccontextmanager
async def relay_on(wire: str, policy: RelayPolicy = PLAIN) -> AsyncIterator[RelayAddress]:
    async with SocketMotionServer(seed=SEED) as server:
        numbers = count(1)
        brain = PlainRelay(canary_key(SEED), lambda: f"request-{next(numbers)}", policy=policy)
        relay = MiniatureRelay(brain, find_wire(wire), server.console_endpoint, server.ingress_endpoint)
        async with await relay.listen() as listening:
            yield RelayAddress(f"ws://{LOOPBACK}:{next(iter(listening.sockets)).getsockname()[1]}")


async def tried(wire: str, declared: str, samples: int = 8000) -> tuple[WireFit, list[str]]:
    lines: list[str] = []
    async with relay_on(wire) as address:
        result = await try_wire(
            find_wire(declared), address, silence_seconds=0.3, sample_count=samples, print_line=lines.append
        )
    return result, lines


async def test_every_frame_is_told_in_words() -> None:
    result, lines = await tried("json-envelope", "json-envelope")
    assert result.fits
    assert result.describe().endswith("motion among them: the wire fits")
    told = [line.split("  ")[-1] for line in lines]
    assert told[0] == "connected"
    assert told[1] == "ready: session c1, audio at 16000 Hz, takes 16000 Hz"
    assert "speech: 6400 bytes" in told
    assert "the speech is complete" in told
    assert "audio: 6400 bytes, of turn c1-turn-0" in told
    assert "audio: 0 bytes, the last, of turn c1-turn-0" in told
    assert "motion: 1 payloads, the last, of turn c1-turn-0" in told
    assert told[-1] == "closed by us, code 1000"


async def test_a_relay_that_chooses_the_speech_is_asked_for_it() -> None:
    wire, start = find_wire("typed-json-voice"), read_turn_start("clip:alto", None)
    lines: list[str] = []
    async with relay_on(wire.name, PLAYS_CLIPS) as address:
        result = await try_wire(
            wire, address, silence_seconds=0.5, sample_count=8000, print_line=lines.append, turn_start=start
        )
    assert result.fits, lines
    assert any("PlayClip" in line for line in lines) and not any("speech:" in line for line in lines)


async def test_what_is_not_understood_is_shown() -> None:
    result, lines = await tried("json-envelope", "typed-json")
    assert (result.fits, result.understood_count) == (False, 0)
    assert any("NOT UNDERSTOOD: type 'ready' is not one of a typed-json relay's" in line for line in lines)
    assert "need a message in the file" in result.describe()


async def test_a_wire_that_hangs_up_and_payloads_that_are_none() -> None:
    result, lines = await tried("binary-header", "binary-header")
    assert result.fits
    assert lines[-1] == "closed by the relay, code 1000"
    _, lines = await tried("binary-header", "binary-header-bare")
    assert any("1 OF THEM NO ENVELOPE OF MOTION SERVER" in line for line in lines)


async def test_listening_alone_brings_no_motion() -> None:
    result, _ = await tried("json-envelope", "json-envelope", samples=0)
    assert (
        result.describe()
        == "1 of 1 messages were understood, but no motion came: does the relay reach a Motion Server?"
    )
    result, _ = await tried("typed-json", "typed-json", samples=0)
    assert result.describe().startswith("the relay said nothing")


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(cli, ["wire", *arguments], catch_exceptions=False, standalone_mode=False)
    return result.output


def test_wires_are_listed_and_shown(tmp_path: Path) -> None:
    assert [line.split()[0] for line in invoke("list").splitlines()] == wire_names()
    shown = tmp_path / "ours.yaml"
    shown.write_text(invoke("show", "binary-header"))
    assert find_wire(str(shown)).lacks == find_wire("binary-header").lacks


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["show", "nonsense"], UsageError),
        (["try", "nonsense", "ws://127.0.0.1:1"], UsageError),
        (["try", "typed-json", "ftp://127.0.0.1:1"], UsageError),
        (["try", "typed-json", "ws://127.0.0.1:1", "--motion-port", "0"], UnreachableError),
    ],
)
def test_what_cannot_be_tried_is_told(arguments: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        invoke(*arguments)
