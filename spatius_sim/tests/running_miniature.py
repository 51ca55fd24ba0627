"""A relay brain over real sockets, as a subject."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from spatius_sim.files.wire_file import find_wire
from spatius_sim.miniatures.serve_relay import MiniatureRelay
from spatius_sim.net.client.relay import RelayAddress
from spatius_sim.net.listening import LOOPBACK
from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.net.server.motion_server import MotionServerShell
from spatius_sim.plans.plan import Plan
from spatius_sim.subjects.relay.subject import RelaySubject
from spatius_sim.subjects.subject import Patience, Subject, canary_key
from spatius_sim.tests.model.relay.dialogue import MakeRelay
from spatius_sim.wires import Wire
from spatius_sim.wires.events import RelayEvent
from spatius_sim.wires.json_envelope import JsonEnvelope

SEED = 1
UNKNOWN_MESSAGE = json.dumps({"type": "weather", "degrees": 21})
PATIENCE = Patience(attach=5.0, settle=0.4, fallback=2.2)


class Talkative(JsonEnvelope):
    """Says things that the wire does not know, between the messages and within them."""

    def write_relay(self, event: RelayEvent) -> tuple[str, ...]:
        known = [json.loads(frame) for frame in super().write_relay(event)]
        return (UNKNOWN_MESSAGE, *(json.dumps(message | {"mood": [1, None]}) for message in known))


@asynccontextmanager
async def miniature_relay(
    brain: MakeRelay,
    wire: str = "json-envelope",
    seed: int = SEED,
    speaks: Wire | None = None,
    most_events: float = math.inf,
    patience: Patience = PATIENCE,
) -> AsyncIterator[Subject[Plan]]:
    """Serve this brain over a Motion Server of our own while the block runs."""
    spoken_wire = find_wire(wire)
    recorder = LiveRecorder(wire=spoken_wire, most_events=most_events)
    async with MotionServerShell(seed=seed, sink=recorder) as server:
        numbers = count(1)
        relay = MiniatureRelay(
            brain(canary_key(seed), lambda: f"request-{next(numbers)}"),
            speaks or spoken_wire,
            server.console_endpoint,
            server.ingress_endpoint,
        )
        async with await relay.listen() as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            url = f"ws://{LOOPBACK}:{port}"
            address = RelayAddress(url)
            yield RelaySubject(address, spoken_wire, recorder, seed, patience, server)
