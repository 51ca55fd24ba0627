"""Measures how fast tapes are read and replayed. The rows are (name, value, unit, promise).

The promise is "" if there is none.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgpack

from spatius_sim.engine.tapes.replay_tape import join_recorded_runs
from spatius_sim.model.server.match_taped_turns import RecordedRun
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.server.replay_server import ReplayOptions, ReplayServer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession
from spatius_sim.tape.reader import TapeReader, open_tape, read_records
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.trace.events import Event, EventKind, Lane, Received, Sent, Trace, TraceHeader
from spatius_sim.trace.read_frames import read_upstream

Row = tuple[str, float, str, str]

SAMPLE_RATE = 16000
CHUNK_BYTES = 3200
SECONDS_OF_SPEECH = 20
_TIMEOUT_SECONDS = 120.0

LAST_MOTION_MARK, LAST_MOTION_MARK_WITHIN = b"\x18\x01", 64
"""The mark of the last motion response of a request: its field 3 is true. It stands after the two ids, in the
first 64 bytes."""


def measure_reading(session_count: int, round_count: int) -> list[Row]:
    """Measure how fast our reader reads a tape of `session_count` sessions: in MB/s, and compared with plain
    msgpack on the same bytes, without and with a check of each event. The least time of `round_count` rounds
    counts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        write_traces(
            path,
            TapeHeader("bench", redactions=("secrets",)),
            [make_session_trace(number) for number in range(session_count)],
        )
        our_seconds = min(_time_call(lambda: _read_tape(path)) for _ in range(round_count))
        msgpack_seconds = min(_time_call(lambda: _read_with_msgpack_alone(path)) for _ in range(round_count))
        event_seconds = min(_time_call(lambda: _read_events(path)) for _ in range(round_count))
        event_ratio = event_seconds / msgpack_seconds
        megabytes = path.stat().st_size / 1e6
    return [
        ("reading a tape, beside plain msgpack", our_seconds / msgpack_seconds, "x", "at most 1.5"),
        ("reading it as events, each checked, beside plain msgpack", event_ratio, "x", ""),
        ("reading a tape", megabytes / our_seconds, "MB/s", ""),
    ]


def measure_replaying(session_count: int) -> list[Row]:
    """Replay a tape of `session_count` sessions, ten at a time. Return one figure: how many times faster than
    real time that is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        header = TapeHeader("bench", redactions=("secrets",))
        write_traces(path, header, [make_session_trace(0)] * session_count)
        taped_run = join_recorded_runs(path)
    seconds = asyncio.run(_time_replay(taped_run, session_count))
    return [("replaying at once", session_count * SECONDS_OF_SPEECH / seconds, "x real time", "")]


def make_session_trace(session_number: int) -> Trace:
    """Return the trace of one session for the tape of the benchmark, as a proxy records it: all messages
    between relay and Motion Server. The speech comes in chunks of 100 ms, and motion answers it."""
    pcm = speech(f"bench {session_number}", SECONDS_OF_SPEECH * SAMPLE_RATE)
    answer = SynthesizedAnswer("connection", "request", SAMPLE_RATE, session_number)
    events: list[Event] = []

    def add_frame(raw: bytes, *, by_server: bool) -> None:
        """Add a frame to the trace, as one that the server sent or received."""
        content: EventKind = Sent(raw, read_upstream(raw)) if by_server else Received(raw, read_upstream(raw))
        events.append(Event(len(events), len(events), Lane.UPSTREAM, "upstream-1", content))

    add_frame(encode(ConfigureSession(SAMPLE_RATE)), by_server=False)
    add_frame(encode(ConfirmSession("connection")), by_server=True)
    for start in range(0, len(pcm), CHUNK_BYTES):
        chunk = pcm[start : start + CHUNK_BYTES]
        add_frame(encode(AudioInput("request", chunk)), by_server=False)
        for payload in answer.feed(chunk):
            add_frame(payload, by_server=True)
    add_frame(encode(AudioInput("request", end=True)), by_server=False)
    for payload in answer.finish():
        add_frame(payload, by_server=True)
    return Trace(TraceHeader("relay", "", session_number, "", "", halves="upstream"), tuple(events))


def _read_tape(path: Path) -> None:
    """Read all records of the tape at this path with our reader."""
    with open_tape(path) as file:
        for _ in TapeReader(file, str(path)).read_packed_records():
            pass


def _read_events(path: Path) -> None:
    """Read all records of the tape at this path as events, and check each."""
    for _ in read_records(path):
        pass


def _read_with_msgpack_alone(path: Path) -> None:
    """Read the tape at this path with the library msgpack alone, to compare our reader with it. Large bodies
    (BLOB) are not unpacked."""
    with path.open("rb") as file:
        for name, _, body in msgpack.Unpacker(file):
            if name != "BLOB":
                msgpack.unpackb(body)


def _time_call(function: Callable[[], None]) -> float:
    """Call this function once, and return how many seconds that takes."""
    started_at = time.perf_counter()
    function()
    return time.perf_counter() - started_at


async def _time_replay(taped_run: RecordedRun, session_count: int) -> float:
    """Replay a taped run to `session_count` sessions, ten at a time, and return how many seconds that
    takes."""
    pcm = bytes(taped_run.turns[0].audio)
    async with ReplayServer(taped_run, ReplayOptions(speed=0)) as server:
        started_at = time.perf_counter()
        for first in range(0, session_count, 10):
            count_at_once = min(10, session_count - first)
            await asyncio.gather(*(_speak_turn(server, pcm) for _ in range(count_at_once)))
        return time.perf_counter() - started_at


async def _speak_turn(server: ReplayServer, pcm: bytes) -> None:
    """Open a session with the server that replays the benchmark's tape. Send the audio of one turn (`pcm`) as
    fast as possible, and wait for the last motion that answers it. Raises TimeoutError after two minutes."""
    async with asyncio.timeout(_TIMEOUT_SECONDS), _make_replay_client(server) as client:
        await client.send(encode(ConfigureSession(SAMPLE_RATE)))
        for start in range(0, len(pcm), CHUNK_BYTES):
            await client.send(encode(AudioInput("request", pcm[start : start + CHUNK_BYTES])))
        await client.send(encode(AudioInput("request", end=True)))
        async for frame in client.frames():
            if isinstance(frame, bytes) and LAST_MOTION_MARK in frame[:LAST_MOTION_MARK_WITHIN]:
                break


def _make_replay_client(server: ReplayServer) -> UpstreamClient:
    """Return a new client, not yet connected, of the server that replays the tape of the benchmark."""
    return UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="a-key-of-the-benchmark",
        app_id="app",
        avatar_id="avatar",
        expire_at=int(time.time()) + 600,
    )
