"""The JavaScript reference client in a browser, over the WebSocket: a dialogue, and the C suite."""

from pathlib import Path

import pytest

from spatius_sim.net.client import testee_connection as attached
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.tests.client_js.dialogue import converse
from spatius_sim.tests.client_js.judged import judged
from spatius_sim.tests.client_js.running import CLIENT, SECONDS, browsing, chromium, served

pytestmark = pytest.mark.long


async def test_a_dialogue_and_another_when_its_socket_was_closed() -> None:
    chromium()
    testee = attached.SocketTestee(f"ws://127.0.0.1:{free_port()}")
    port = await testee.listen()
    try:
        with served(CLIENT) as address, browsing(f"{address}/testee.html?kit=ws://127.0.0.1:{port}"):
            for _ in range(2):
                await testee.open(3 * SECONDS)
                await converse(testee)
                await testee.close()
    finally:
        await testee.close()
        await testee.stop()


def test_it_keeps_every_rule(tmp_path: Path) -> None:
    chromium()
    kit = f"ws://127.0.0.1:{free_port()}"
    # The page knocks until the suite listens. It has the client that Node has, which is judged at length.
    with served(CLIENT) as address, browsing(f"{address}/testee.html?kit={kit}"):
        code, rules, output = judged(kit, tmp_path, "--wait", str(2 * SECONDS), "--profile", "smoke")
    assert (code, set(rules.values())) == (0, {"PASSED"}), output
