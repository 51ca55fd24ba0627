"""A Motion Server, the reference relay and one client, connected."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.subjects.embed_reference_relay import embed_reference_relay, relay_url
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.wires import published_wire
from spatius_sim.wires.events import ClientAction, Motion, RelayEvent, Speak, SpeakEnd

API_KEY = "a-canary-key-of-thirty-two-chars"
_SECONDS = 20.0


@dataclass
class Pipeline:
    server: SocketMotionServer
    recorder: RealTimeRecorder
    url: str
    client: RelayClient

    async def do(self, *actions: ClientAction) -> None:
        for action in actions:
            await self.client.do(action)

    async def speak(self, pcm: bytes, chunk: int = 6400) -> None:
        for start in range(0, len(pcm), chunk):
            await self.do(Speak(pcm[start : start + chunk]))
        await self.do(SpeakEnd())

    async def hear(self, until: Callable[[RelayEvent], bool]) -> list[RelayEvent]:
        """What the client hears, up to and including the first event that `until` names."""
        heard: list[RelayEvent] = []
        while not heard or not until(heard[-1]):
            heard.append(await asyncio.wait_for(self.client.relay_events.get(), _SECONDS))
        return heard

    def another_client(self, name: str) -> RelayClient:
        return RelayClient(RelayAddress(self.url), published_wire("json-envelope"), self.recorder, name)


@asynccontextmanager
async def pipeline(server: SocketMotionServer | None = None) -> AsyncIterator[Pipeline]:
    wire = published_wire("json-envelope")
    recorder = RealTimeRecorder(wire=wire)
    async with server or SocketMotionServer(sink=recorder) as motion_server:
        relay = await embed_reference_relay(motion_server, API_KEY)
        try:
            url = relay_url(relay)
            async with RelayClient(RelayAddress(url), wire, recorder, "client-1") as client:
                yield Pipeline(motion_server, recorder, url, client)
        finally:
            relay.close()
            await relay.wait_closed()


def motion_ended(event: RelayEvent) -> bool:
    return isinstance(event, Motion) and event.last


def payloads(heard: list[RelayEvent]) -> list[bytes]:
    return [payload for event in heard if isinstance(event, Motion) for payload in event.payloads]
