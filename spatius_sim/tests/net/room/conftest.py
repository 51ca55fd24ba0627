"""A LiveKit server for all tests of a module."""

from collections.abc import Iterator

import pytest

from spatius_sim.tests.net.room.livekit_server import LiveKitServer, livekit_server


@pytest.fixture(scope="module")
def livekit() -> Iterator[LiveKitServer]:
    with livekit_server() as running:
        yield running
