"""`python -m spatius_sim.tests.net.room.room_relay packets|streams`: the json-envelope relay, in a room.

Each participant that comes is a client; its frames travel as data packets, or as byte streams."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

from livekit import rtc

from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.room.data_connection import TOPIC, frame_from_packet
from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token
from spatius_sim.wires.events import Frame
from spatius_sim.wires.json_envelope import JsonEnvelope


class RoomSocket:
    """One participant, as a relay sees the socket of a client."""

    request = None

    def __init__(self, room: rtc.Room, identity: str, *, streams: bool) -> None:
        self._room, self._identity, self._streams = room, identity, streams
        self.arrived: asyncio.Queue[Frame | None] = asyncio.Queue()

    async def recv(self) -> Frame | None:
        return await self.arrived.get()

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while (frame := await self.arrived.get()) is not None:
            yield frame

    async def send(self, frame: Frame) -> None:
        raw = frame.encode() if isinstance(frame, str) else frame
        participant = self._room.local_participant
        if not self._streams:
            try:
                await participant.publish_data(raw, destination_identities=[self._identity])
            except rtc.participant.PublishDataError as error:
                sys.stderr.write(f"a packet of {len(raw)} bytes is lost: {error}\n")
            return
        writer = await participant.stream_bytes(
            "frame", total_size=len(raw), topic=TOPIC, destination_identities=[self._identity]
        )
        await writer.write(raw)
        await writer.aclose()

    async def close(self) -> None:
        self.arrived.put_nowait(None)


async def serve(*, streams: bool) -> None:
    environment, numbers = os.environ, count(1)
    brain = PlainRelay(environment["SPATIUS_API_KEY"], lambda: f"request-{next(numbers)}")
    places = environment["SPATIUS_CONSOLE_ENDPOINT"], environment["SPATIUS_INGRESS_ENDPOINT"]
    relay = MiniatureRelay(brain, JsonEnvelope(), *places)
    room, sockets, tasks = rtc.Room(), dict[str, RoomSocket](), set[asyncio.Task[None]]()

    def start(work: Any) -> None:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def came(who: Any) -> None:
        if who.identity not in sockets:
            socket = sockets[who.identity] = RoomSocket(room, who.identity, streams=streams)
            start(relay.converse(socket))  # type: ignore[arg-type]

    def left(who: Any) -> None:
        if who.identity in sockets:
            sockets.pop(who.identity).arrived.put_nowait(None)

    def took(packet: rtc.DataPacket) -> None:
        if packet.participant is not None:
            came(packet.participant)
            sockets[packet.participant.identity].arrived.put_nowait(frame_from_packet(packet.data))

    readers: asyncio.Queue[tuple[Any, str]] = asyncio.Queue()

    async def read_streams() -> None:
        while True:
            reader, identity = await readers.get()
            raw = b"".join([chunk async for chunk in reader])
            if identity in sockets:
                sockets[identity].arrived.put_nowait(frame_from_packet(raw))

    room.on("participant_connected", came)
    room.on("participant_disconnected", left)
    room.on("data_received", took)
    room.register_byte_stream_handler(TOPIC, lambda reader, identity: readers.put_nowait((reader, identity)))
    start(read_streams())
    grant = RoomGrant(environment["LIVEKIT_ROOM"], "relay")
    token = make_livekit_token(
        environment["LIVEKIT_API_KEY"], environment["LIVEKIT_API_SECRET"], grant, time.time()
    )
    await room.connect(environment["LIVEKIT_URL"], token)
    for who in room.remote_participants.values():
        came(who)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(streams=sys.argv[1] == "streams"))
