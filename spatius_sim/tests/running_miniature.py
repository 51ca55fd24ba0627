"""A relay brain over real sockets, as a subject."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from spatius_sim.kit.plans import Plan
from spatius_sim.kit.subjects import Patience, RelaySubject, Subject, canary_key
from spatius_sim.model.plain_relay import PlainRelay
from spatius_sim.net.listening import LOOPBACK
from spatius_sim.net.miniature_relay import MiniatureRelay
from spatius_sim.net.motion_server import MotionServer
from spatius_sim.net.recorder import Recorder
from spatius_sim.net.relay_client import RelayAddress
from spatius_sim.tape.wire_file import find_wire

SEED = 1
PATIENCE = Patience(attach=5.0, settle=0.4)


@asynccontextmanager
async def miniature_relay(
    brain: type[PlainRelay], wire: str = "json-envelope", seed: int = SEED
) -> AsyncIterator[Subject[Plan]]:
    dialect = find_wire(wire)
    recorder = Recorder(dialect=dialect)
    async with MotionServer(seed=seed, sink=recorder) as server:
        numbers = count(1)
        relay = MiniatureRelay(
            brain(canary_key(seed), lambda: f"request-{next(numbers)}"),
            dialect,
            server.console_endpoint,
            server.ingress_endpoint,
        )
        async with await relay.listen() as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            url = f"ws://{LOOPBACK}:{port}"
            address = RelayAddress(url)
            yield RelaySubject(address, dialect, recorder, seed, PATIENCE, server)
