"""`telltale_relay_process.py PORT`: a relay that repeats to its clients what it was told in confidence, and
breaks R-SECRETS besides. With DIES in its environment it prints what it was told, and ends."""

import asyncio
import json
import os
import signal
import sys
from itertools import count

from websockets.asyncio.server import ServerConnection, serve

from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.miniatures.relay.wrong_relays import RELAY_MINIATURES
from spatius_sim.wires import published_wire

TOLD = ("MODEL_KEY", "DATABASE_URL")
BROUGHT = ("Authorization", "Proxy-Authorization", "Cookie")


async def main(port: int) -> None:
    if "DIES" in os.environ:
        sys.exit("I was told " + " ".join([*(os.environ[name] for name in TOLD), *sys.argv[2:]]))
    numbers = count(1)
    brain = RELAY_MINIATURES["R-SECRETS"][0]
    relay = MiniatureRelay(
        brain(os.environ["SPATIUS_API_KEY"], lambda: f"request-{next(numbers)}"),
        published_wire("json-envelope"),
        os.environ["SPATIUS_CONSOLE_ENDPOINT"],
        os.environ["SPATIUS_INGRESS_ENDPOINT"],
    )

    async def tell_and_converse(socket: ServerConnection) -> None:
        assert socket.request is not None
        said = [*(os.environ[name] for name in TOLD), *sys.argv[2:]]
        said += [value for name in BROUGHT for value in socket.request.headers.get_all(name)]
        for text in [*said, socket.request.path]:
            await socket.send(text)
            await socket.send(json.dumps({"type": "debug", "told": text}))
        await relay.converse(socket)

    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with serve(tell_and_converse, "127.0.0.1", port):
        await told.wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
