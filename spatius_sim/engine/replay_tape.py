"""Replays tapes: as Motion Server, or as the client of a relay."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from spatius_sim.files.wire_file import wire_of
from spatius_sim.model.server.replay import RecordedRun, read_recorded_run
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.tape.traces import read_traces
from spatius_sim.trace.events import Lane, Received, Sent, Trace
from spatius_sim.trace.logins import shown_url
from spatius_sim.wires.events import Motion

_LARGEST_FRAME = 16 * 1_048_576
_OPEN_SECONDS = 10.0


def read_script(path: Path) -> RecordedRun:
    """What Motion Server did on a tape, all its runs one after another; raises UsageError if no request
    is on it."""
    whole = RecordedRun()
    for trace in read_traces(path):
        script = read_recorded_run(trace)
        whole.turns += script.turns
        whole.connections += script.connections
        whole.has_speech = script.has_speech
    if not whole.turns:
        raise UsageError(f"{path}: no request to Motion Server is on this tape")
    return whole


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What one client of the tape heard, then and now: frames, and payloads of motion in them."""

    client: str
    sent: int
    frames_then: int
    frames_now: int
    payloads_then: int
    payloads_now: int

    @property
    def difference(self) -> str:
        """The first difference in words, "" if there is none."""
        if self.payloads_now != self.payloads_then:
            return f"{self.client}: {self.payloads_now} payloads of motion; on the tape {self.payloads_then}"
        return ""


async def replay_clients(path: Path, url: str, *, speed: float, settle: float) -> list[ReplayResult]:
    """Play the clients' half of a tape against the relay at `url`, run after run: each client on a
    connection of its own, its frames as recorded, at `speed` times the recorded pace (0: at once). A client
    leaves when nothing has come for `settle` seconds.

    Raises UsageError if no client is on the tape, UnreachableError if the relay is not there.
    """
    heard: list[ReplayResult] = []
    for trace in read_traces(path):
        clients = sorted({e.connection for e in trace.on_lane(Lane.DOWNSTREAM) if isinstance(e.what, Sent)})
        playing = (_replay_client(trace, client, url, speed, settle) for client in clients)
        heard += await asyncio.gather(*playing)
    if not heard:
        raise UsageError(f"{path}: no client of a relay is on this tape")
    return heard


async def _replay_client(trace: Trace, client: str, url: str, speed: float, settle: float) -> ReplayResult:
    """Send one client's recorded frames at their recorded times, and wait until the relay has been silent for
    `settle` seconds."""
    own = [event for event in trace.on_lane(Lane.DOWNSTREAM) if event.connection == client]
    start = next((event.at_ns for event in trace.on_lane(Lane.DOWNSTREAM)), 0)
    received: list[str | bytes] = []
    last_sign = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        socket = await connect(
            url, max_size=_LARGEST_FRAME, open_timeout=_OPEN_SECONDS, compression=None, proxy=None
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise UnreachableError(f"{shown_url(url)} cannot be reached: {error}") from error
    listening = asyncio.create_task(_collect_frames(socket, received, last_sign))
    begun, sent = loop.time(), 0
    try:
        for event in own:
            if isinstance(event.what, Sent):
                if speed:
                    due = begun + (event.at_ns - start) / 1e9 / speed
                    await asyncio.sleep(max(0.0, due - loop.time()))
                with contextlib.suppress(ConnectionClosed):
                    await socket.send(event.what.raw)
                    sent += 1
        while not listening.done():
            last_sign.clear()
            try:
                await asyncio.wait_for(last_sign.wait(), settle)
            except TimeoutError:
                break
    finally:
        await socket.close()
        await listening
    then = [event.what.raw for event in own if isinstance(event.what, Received) and not event.what.part]
    payloads = (_count_payloads(trace, then), _count_payloads(trace, received))
    return ReplayResult(client, sent, len(then), len(received), *payloads)


async def _collect_frames(socket: ClientConnection, received: list[str | bytes], sign: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for frame in socket:
            received.append(frame)
            sign.set()
    sign.set()


def _count_payloads(trace: Trace, frames: list[str | bytes]) -> int:
    spoken_wire = wire_of(trace.header.wire, trace.header.declaration)
    read = (event for frame in frames for event in spoken_wire.read_relay(frame))
    return sum(len(event.payloads) for event in read if isinstance(event, Motion))
