"""Tests of a client's WebSocket to a relay over a real socket."""

import asyncio

from websockets.asyncio.server import ServerConnection, serve

from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.client.relay_socket import open_relay_websocket
from spatius_sim.wires.events import Frame

FRAMES = 8
FRAME_BYTES = 1_048_576


async def test_a_client_that_pauses_keeps_large_frames_waiting_and_gets_them_all_later() -> None:
    """A relay notices such a client after few frames, however large they are."""
    sent, received = 0, list[Frame]()
    some_sent, all_sent, all_received = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def send_large_frames(socket: ServerConnection) -> None:
        nonlocal sent
        async for _ in socket:
            for _ in range(FRAMES):
                some_sent.set()
                await socket.send(bytes(FRAME_BYTES))
                sent += 1
            all_sent.set()

    def keep(frame: Frame) -> None:
        received.append(frame)
        if len(received) == FRAMES:
            all_received.set()

    async with serve(send_large_frames, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = RelayAddress(f"ws://127.0.0.1:{port}", narrow=True)
        client = await open_relay_websocket(address, 5.0, keep, lambda code: None)
        client.pause()
        await client.send("go on")
        await some_sent.wait()
        # What the kernel takes is taken by then: some 1 MB at most of the 8 MB.
        finished, _ = await asyncio.wait({asyncio.create_task(all_sent.wait())}, timeout=0.5)
        assert not finished
        assert sent < FRAMES
        assert received == []
        client.resume()
        await all_received.wait()
        assert {len(frame) for frame in received} == {FRAME_BYTES}
        await client.close()
        await client.stop()


async def test_a_client_that_reads_nothing_can_still_close() -> None:
    closed = asyncio.Event()

    async def greet(socket: ServerConnection) -> None:
        await socket.send(b"hello")
        await socket.wait_closed()

    async with serve(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = RelayAddress(f"ws://127.0.0.1:{port}", narrow=True)
        client = await open_relay_websocket(address, 5.0, lambda frame: None, lambda code: closed.set())
        client.pause()
        await client.close()
        await closed.wait()
        await client.stop()
