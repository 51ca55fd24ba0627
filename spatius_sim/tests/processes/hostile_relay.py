"""`hostile_relay.py PORT`: greets as it should, and answers whatever it hears with what means harm to a
terminal, a CI log and a report."""

import asyncio
import json
import signal
import sys

from websockets.asyncio.server import ServerConnection, serve

from spatius_sim.tests.reporting.hostile import ATTACKS

LARGE = "::error::" * 1_000_000
"""Nine megabytes."""


async def converse(socket: ServerConnection) -> None:
    await socket.send(json.dumps({"type": "ready", "sessionId": "\x1b[2J::error::ready"}))
    number = 0
    async for _ in socket:
        attack = ATTACKS[number % len(ATTACKS)]
        number += 1
        await socket.send(json.dumps({"type": attack, "message": attack}))
        await socket.send(json.dumps({"type": "error", "message": attack}))
        if number == 1:
            await socket.send(json.dumps({"type": "error", "message": LARGE}))
            await socket.send(json.dumps({"type": LARGE}))


async def main() -> None:
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    print("\x1b[2J\n::error::from its own output", flush=True)
    async with serve(converse, "127.0.0.1", int(sys.argv[1])):
        await told.wait()


if __name__ == "__main__":
    asyncio.run(main())
