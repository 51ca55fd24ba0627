"""A relay brain as a subject: in virtual time if the running loop is virtual, otherwise over real sockets."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from spatius_sim.files.wire_file import find_wire
from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import Plan
from spatius_sim.subjects.relay.connect_to_relay import RelayInMemory
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.relay.start_turns import CLIENT_AUDIO_START, read_turn_start
from spatius_sim.subjects.subject_base import Patience, Subject, canary_key
from spatius_sim.tests.model.relay.dialogue import MakeRelay
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_relay import VirtualRelay
from spatius_sim.wires import Wire
from spatius_sim.wires.events import RelayEvent
from spatius_sim.wires.json_envelope import JsonEnvelope

SEED = 1
UNKNOWN_MESSAGE = json.dumps({"type": "weather", "degrees": 21})
PATIENCE = Patience(attach=5.0, settle=0.4, fallback=2.2)
"""For what is driven over real sockets and not judged."""


class Talkative(JsonEnvelope):
    """Says things that the wire does not know, between the messages and within them."""

    def write_relay_event(self, event: RelayEvent) -> tuple[str, ...]:
        known = [json.loads(frame) for frame in super().write_relay_event(event)]
        return (UNKNOWN_MESSAGE, *(json.dumps(message | {"mood": [1, None]}) for message in known))


@asynccontextmanager
async def miniature_relay(
    brain: MakeRelay,
    wire: str = "json-envelope",
    seed: int = SEED,
    speaks: Wire | None = None,
    max_events: float = math.inf,
    patience: Patience | None = None,
    turn: str = CLIENT_AUDIO_START,
) -> AsyncIterator[Subject[Plan]]:
    """Serve this brain over a Motion Server of our own while the block runs, judged with the patience that
    users have."""
    spoken_wire = find_wire(wire)
    patience = patience or Patience()
    numbers = count(1)
    lacks = tuple(sorted(getattr(brain, "lacks", ())))
    relay_brain = brain(canary_key(seed), lambda: f"request-{next(numbers)}")
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        recorder = RealTimeRecorder(clock_ns=loop.time_ns, wire=spoken_wire, max_events=max_events)
        motion_server = VirtualMotionServer(loop, seed, recorder)
        virtual_relay = VirtualRelay(loop, relay_brain, speaks or spoken_wire, motion_server)
        yield RelaySubject(
            RelayAddress("ws://relay.invalid"),
            spoken_wire,
            recorder,
            seed,
            patience,
            motion_server,
            lacks,
            starts=read_turn_start(turn, None),
            access=RelayInMemory(loop, virtual_relay, data_packets=getattr(brain, "in_data_packets", False)),
        )
        return
    recorder = RealTimeRecorder(wire=spoken_wire, max_events=max_events)
    async with SocketMotionServer(seed=seed, sink=recorder) as server:
        relay = MiniatureRelay(
            relay_brain,
            speaks or spoken_wire,
            server.console_endpoint,
            server.ingress_endpoint,
        )
        async with await relay.listen() as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            url = f"ws://{LOOPBACK}:{port}"
            address = RelayAddress(url)
            starts = read_turn_start(turn, None)
            yield RelaySubject(address, spoken_wire, recorder, seed, patience, server, lacks, starts=starts)
