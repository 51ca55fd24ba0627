"""Replays tapes: as Motion Server, or as the client of a relay."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from spatius_sim.files.wire_file import wire_of
from spatius_sim.model.server.match_taped_turns import RecordedRun, read_recorded_run
from spatius_sim.net.client.refuse_redirects import connect_directly
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.trace.events import Lane, Received, Sent, Trace
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_logins
from spatius_sim.wires.events import Motion

_LARGEST_FRAME = 16 * 1_048_576
_OPEN_SECONDS = 10.0


def read_script(path: Path) -> RecordedRun:
    """Return what Motion Server did in all runs of a tape, one after another, to be replayed. Raises
    UsageError if the tape holds no request."""
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
    """How much one client of the tape received in the recording (`_then`) and in the replay (`_now`): frames,
    and payloads of motion in them. `sent` are the frames that the replay sent."""

    client: str
    sent: int
    frames_then: int
    frames_now: int
    payloads_then: int
    payloads_now: int

    @property
    def difference(self) -> str:
        """The difference between the replay and the tape in words: how many payloads of motion came; "" if
        as many came."""
        if self.payloads_now != self.payloads_then:
            return f"{self.client}: {self.payloads_now} payloads of motion; on the tape {self.payloads_then}"
        return ""


async def replay_clients(path: Path, url: str, *, speed: float, settle: float) -> list[ReplayResult]:
    """Replay the clients of a tape: send what they sent to the relay at `url`, run after run, and return
    what each of them received.

    Each client has a connection of its own, and sends its frames at `speed` times the recorded pace (0: at
    once). It leaves when nothing has arrived for `settle` seconds. Raises UsageError if no client is on the
    tape, and UnreachableError if the relay is not there.
    """
    results: list[ReplayResult] = []
    for trace in read_traces(path):
        clients = sorted(
            {event.connection for event in trace.on_lane(Lane.DOWNSTREAM) if isinstance(event.content, Sent)}
        )
        playing = (_replay_client(trace, client, url, speed, settle) for client in clients)
        results += await asyncio.gather(*playing)
    if not results:
        raise UsageError(f"{path}: no client of a relay is on this tape")
    return results


async def _replay_client(trace: Trace, client: str, url: str, speed: float, settle: float) -> ReplayResult:
    """Replay one client of the tape: send its recorded frames at their recorded times, wait until nothing
    has arrived for `settle` seconds, and return what the client received."""
    client_events = [event for event in trace.on_lane(Lane.DOWNSTREAM) if event.connection == client]
    start = next((event.at_ns for event in trace.on_lane(Lane.DOWNSTREAM)), 0)
    received: list[str | bytes] = []
    sign_of_life = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        socket = await connect_directly(
            url, max_size=_LARGEST_FRAME, open_timeout=_OPEN_SECONDS, compression=None, proxy=None
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise UnreachableError(f"{url_without_logins(url)} cannot be reached: {error}") from error
    listening = asyncio.create_task(_collect_frames(socket, received, sign_of_life))
    begun, sent = loop.time(), 0
    try:
        for event in client_events:
            if isinstance(event.content, Sent):
                if speed:
                    due = begun + (event.at_ns - start) / 1e9 / speed
                    await asyncio.sleep(max(0.0, due - loop.time()))
                with contextlib.suppress(ConnectionClosed):
                    await socket.send(event.content.raw)
                    sent += 1
        while not listening.done():
            sign_of_life.clear()
            try:
                await asyncio.wait_for(sign_of_life.wait(), settle)
            except TimeoutError:
                break
    finally:
        await socket.close()
        await listening
    recorded = [
        event.content.raw
        for event in client_events
        if isinstance(event.content, Received) and not event.content.part
    ]
    payloads_then, payloads_now = _count_payloads(trace, recorded), _count_payloads(trace, received)
    return ReplayResult(client, sent, len(recorded), len(received), payloads_then, payloads_now)


async def _collect_frames(
    socket: ClientConnection, received: list[str | bytes], sign_of_life: asyncio.Event
) -> None:
    """While a client from the tape is replayed, append every frame that it receives from the relay to
    `received`, until the connection closes. Set `sign_of_life` for each frame, and at the end."""
    with contextlib.suppress(ConnectionClosed):
        async for frame in socket:
            received.append(frame)
            sign_of_life.set()
    sign_of_life.set()


def _count_payloads(trace: Trace, frames: list[str | bytes]) -> int:
    """Count the payloads of motion in these frames of a relay. The relay speaks the wire that the trace of
    the replayed tape names."""
    spoken_wire = wire_of(trace.header.wire, trace.header.declaration)
    read = (event for frame in frames for event in spoken_wire.read_relay(frame))
    return sum(len(event.payloads) for event in read if isinstance(event, Motion))
