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
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets
from spatius_sim.wires.events import Motion

_LARGEST_FRAME = 16 * 1_048_576
_OPEN_SECONDS = 10.0


def join_recorded_runs(path: Path) -> RecordedRun:
    """Return what Motion Server answered in all runs on a tape, joined to one long run that can be replayed.
    Raises UsageError if no request to Motion Server is on the tape."""
    joined_run = RecordedRun()
    for trace in read_traces(path):
        run = read_recorded_run(trace)
        joined_run.turns += run.turns
        joined_run.connections += run.connections
        joined_run.has_speech = run.has_speech  # The header of the tape decides it, for all its runs.
    if not joined_run.turns:
        raise UsageError(f"{path}: no request to Motion Server is on this tape")
    return joined_run


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
        """Says in words how many payloads of motion the client received in the replay, and how many on the
        tape; "" if both numbers are the same."""
        if self.payloads_now != self.payloads_then:
            return f"{self.client}: {self.payloads_now} payloads of motion; on the tape {self.payloads_then}"
        return ""


async def replay_clients(path: Path, url: str, *, speed: float, silence_seconds: float) -> list[ReplayResult]:
    """Replay the clients on a tape: send to the relay at `url` what they sent, one run after the other.
    Return for each client how much it received, on the tape and now.

    Each client has its own connection, and sends its frames at `speed` times the recorded pace (0: at once).
    It leaves when nothing has arrived for `silence_seconds`. Raises UsageError if no client is on the tape,
    and UnreachableError if the relay cannot be reached.
    """
    results: list[ReplayResult] = []
    for trace in read_traces(path):
        client_ids = sorted(
            {event.connection for event in trace.on_lane(Lane.DOWNSTREAM) if isinstance(event.content, Sent)}
        )
        replays = (_replay_client(trace, client_id, url, speed, silence_seconds) for client_id in client_ids)
        results += await asyncio.gather(*replays)
    if not results:
        raise UsageError(f"{path}: no client of a relay is on this tape")
    return results


async def _replay_client(
    trace: Trace, client_id: str, url: str, speed: float, silence_seconds: float
) -> ReplayResult:
    """Replay one client of the tape: send its recorded frames at `speed` times their pace (0: at once), and
    wait until nothing has arrived for `silence_seconds`. Return how much the client received."""
    client_events = [event for event in trace.on_lane(Lane.DOWNSTREAM) if event.connection == client_id]
    start_ns = next((event.at_ns for event in trace.on_lane(Lane.DOWNSTREAM)), 0)
    received: list[str | bytes] = []
    frame_arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        socket = await connect_directly(
            url, max_size=_LARGEST_FRAME, open_timeout=_OPEN_SECONDS, compression=None, proxy=None
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
        raise UnreachableError(f"{url_without_secrets(url)} cannot be reached: {error}") from error
    listening = asyncio.create_task(_collect_frames(socket, received, frame_arrived))
    began_at, sent_count = loop.time(), 0
    try:
        for event in client_events:
            if isinstance(event.content, Sent):
                if speed:
                    due_at = began_at + (event.at_ns - start_ns) / 1e9 / speed
                    await asyncio.sleep(max(0.0, due_at - loop.time()))
                with contextlib.suppress(ConnectionClosed):
                    await socket.send(event.content.raw)
                    sent_count += 1
        while not listening.done():
            frame_arrived.clear()
            try:
                await asyncio.wait_for(frame_arrived.wait(), silence_seconds)
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
    payloads_then = _count_payloads_to_client(trace, recorded)
    payloads_now = _count_payloads_to_client(trace, received)
    return ReplayResult(client_id, sent_count, len(recorded), len(received), payloads_then, payloads_now)


async def _collect_frames(
    socket: ClientConnection, received: list[str | bytes], frame_arrived: asyncio.Event
) -> None:
    """Append every frame that the replayed client receives from the relay to `received`, until the connection
    closes. Set `frame_arrived` after each frame, and when the connection has closed."""
    with contextlib.suppress(ConnectionClosed):
        async for frame in socket:
            received.append(frame)
            frame_arrived.set()
    frame_arrived.set()


def _count_payloads_to_client(trace: Trace, frames: list[str | bytes]) -> int:
    """Count the payloads of motion in these frames, which a relay sent to its client on the tape or in the
    replay. The frames are in the message format (the wire) that the trace names."""
    wire = wire_of(trace.header.wire, trace.header.declaration)
    events = (event for frame in frames for event in wire.read_relay_frame(frame))
    return sum(len(event.payloads) for event in events if isinstance(event, Motion))
