"""`miniature_relay_process.py PORT [RULE]`: a relay that breaks that rule, or an honest one, until it is told
to stop. The environment says where Motion Server is."""

import asyncio
import os
import signal
import sys
from itertools import count

from websockets.asyncio.server import serve

from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.miniatures.relay.wrong_relays import RELAY_MINIATURES
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.wires import published_wire


async def main(brain: type[PlainRelay]) -> None:
    numbers = count(1)
    relay = MiniatureRelay(
        brain(os.environ["SPATIUS_API_KEY"], lambda: f"request-{next(numbers)}"),
        published_wire("json-envelope"),
        os.environ["SPATIUS_CONSOLE_ENDPOINT"],
        os.environ["SPATIUS_INGRESS_ENDPOINT"],
    )
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with serve(relay.converse, "127.0.0.1", int(sys.argv[1])):
        await told.wait()


if __name__ == "__main__":
    asyncio.run(main(RELAY_MINIATURES[sys.argv[2]][0] if len(sys.argv) > 2 else PlainRelay))
