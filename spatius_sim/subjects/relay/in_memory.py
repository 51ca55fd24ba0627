"""Connects the kit's clients to a relay in virtual time."""

import asyncio
import contextlib
from collections.abc import Callable

from spatius_sim.net.client.relay_socket import RelayAddress
from spatius_sim.subjects.relay.client import Dial
from spatius_sim.virtual.connection import IDEAL, NARROW, End
from spatius_sim.virtual.relay import VirtualRelay
from spatius_sim.wires.events import Frame

_CLOSE_SECONDS = 2.0
"""As over sockets."""


def dial_in_memory(relay: VirtualRelay) -> Dial:
    """Return the function by which clients connect to this relay; the URL of their address is not used."""

    async def dial(
        address: RelayAddress,
        seconds: float,
        on_frame: Callable[[Frame], None],
        on_over: Callable[[int], None],
    ) -> MemoryConnection:
        end = relay.accept(
            dict(address.headers).get("X-Session-Key", ""), NARROW if address.narrow else IDEAL
        )
        return MemoryConnection(end, on_frame, on_over)

    return dial


class MemoryConnection:
    """A client's connection in memory."""

    answer_headers = ""

    def __init__(self, end: End, on_frame: Callable[[Frame], None], on_over: Callable[[int], None]) -> None:
        self._end, self._on_over = end, on_over
        self._over = asyncio.Event()
        end.on_frame, end.on_over = on_frame, self._finish
        self.break_protocol = end.break_protocol
        self.pause, self.resume, self.abort = end.pause, end.resume, end.reset

    async def send(self, frame: Frame) -> None:
        """Send a frame; nothing happens on a connection that is over."""
        self._end.send(frame)

    async def close(self) -> None:
        """Close by the closing handshake, and wait until the relay knows."""
        self._end.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), _CLOSE_SECONDS)

    async def stop(self) -> None:
        """Do nothing: a connection in memory needs no task that listens."""

    def _finish(self, code: int, reason: str) -> None:
        self._over.set()
        self._on_over(code)
