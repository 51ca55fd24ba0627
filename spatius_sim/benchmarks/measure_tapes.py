"""Measures how fast tapes are read and replayed. The rows are (name, value, unit, mark).

The mark is the promise, or "" if there is none.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgpack

from spatius_sim.engine.tapes.replay_tape import read_script
from spatius_sim.model.server.match_taped_turns import RecordedRun
from spatius_sim.model.server.motion_answers import SynthesizedAnswer
from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.net.server.replay_server import Playing, ReplayServer
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
_LONGEST_SECONDS = 120.0

END_MARK, END_MARK_WITHIN = b"\x18\x01", 64
"""The end mark of a motion response: field 3 is true. It stands after the two ids, in the first bytes."""


def measure_reading(sessions: int, rounds: int) -> list[Row]:
    """Benchmark the reading of tapes: return how fast a tape of so many sessions is read, compared with plain
    msgpack on the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        write_traces(
            path,
            TapeHeader("bench", redactions=("secrets",)),
            [make_session_trace(number) for number in range(sessions)],
        )
        ours = min(_time_call(lambda: _read_tape(path)) for _ in range(rounds))
        plain_msgpack = min(_time_call(lambda: _read_with_msgpack_alone(path)) for _ in range(rounds))
        events = min(_time_call(lambda: _read_events(path)) for _ in range(rounds))
        megabytes = path.stat().st_size / 1e6
    return [
        ("reading a tape, beside plain msgpack", ours / plain_msgpack, "x", "at most 1.5"),
        ("reading it as events, each checked, beside plain msgpack", events / plain_msgpack, "x", ""),
        ("reading a tape", megabytes / ours, "MB/s", ""),
    ]


def measure_replaying(sessions: int) -> list[Row]:
    """Benchmark the replay of tapes: replay `sessions` sessions, ten at a time, and return how many times
    faster than real time that is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        write_traces(path, TapeHeader("bench", redactions=("secrets",)), [make_session_trace(0)] * sessions)
        script = read_script(path)
    seconds = asyncio.run(_replay_run(script, sessions))
    return [("replaying at once", sessions * SECONDS_OF_SPEECH / seconds, "x real time", "")]


def make_session_trace(number: int) -> Trace:
    """Return the trace of one session for the benchmark's tape, as a proxy records it: speech in chunks of
    100 ms, and its motion."""
    pcm = speech(f"bench {number}", SECONDS_OF_SPEECH * SAMPLE_RATE)
    answer = SynthesizedAnswer("connection", "request", SAMPLE_RATE, number)
    events: list[Event] = []

    def add_frame(raw: bytes, *, sent: bool) -> None:
        """Add a frame that the server sent or received to the trace."""
        content: EventKind = Sent(raw, read_upstream(raw)) if sent else Received(raw, read_upstream(raw))
        events.append(Event(len(events), len(events), Lane.UPSTREAM, "upstream-1", content))

    add_frame(encode(ConfigureSession(SAMPLE_RATE)), sent=False)
    add_frame(encode(ConfirmSession("connection")), sent=True)
    for start in range(0, len(pcm), CHUNK_BYTES):
        chunk = pcm[start : start + CHUNK_BYTES]
        add_frame(encode(AudioInput("request", chunk)), sent=False)
        for payload in answer.feed(chunk):
            add_frame(payload, sent=True)
    add_frame(encode(AudioInput("request", end=True)), sent=False)
    for payload in answer.finish():
        add_frame(payload, sent=True)
    return Trace(TraceHeader("relay", "", number, "", "", halves="upstream"), tuple(events))


def _read_tape(path: Path) -> None:
    """Read all records of the benchmark's tape."""
    with open_tape(path) as file:
        for _ in TapeReader(file, str(path)).read_packed_records():
            pass


def _read_events(path: Path) -> None:
    """Read all records of the benchmark's tape as events, and check each."""
    for _ in read_records(path):
        pass


def _read_with_msgpack_alone(path: Path) -> None:
    """Read the bytes of the benchmark's tape with msgpack alone, to compare our reader with it."""
    with path.open("rb") as file:
        for name, _, body in msgpack.Unpacker(file):
            if name != "BLOB":
                msgpack.unpackb(body)


def _time_call(function: Callable[[], None]) -> float:
    """Return how many seconds a call of this function takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


async def _replay_run(script: RecordedRun, sessions: int) -> float:
    """Let a replay server replay a tape's run to `sessions` relays, ten at a time, and return how many
    seconds that takes."""
    pcm = bytes(script.turns[0].audio)
    async with ReplayServer(script, Playing(speed=0)) as server:
        started = time.perf_counter()
        for first in range(0, sessions, 10):
            await asyncio.gather(*(_speak_turn(server, pcm) for _ in range(first, min(first + 10, sessions))))
        return time.perf_counter() - started


async def _speak_turn(server: ReplayServer, pcm: bytes) -> None:
    """Speak one turn, as fast as possible, to the replay server that replays the benchmark's tape, and wait
    for the end of the turn's motion."""
    async with asyncio.timeout(_LONGEST_SECONDS), _make_replay_client(server) as client:
        await client.send(encode(ConfigureSession(SAMPLE_RATE)))
        for start in range(0, len(pcm), CHUNK_BYTES):
            await client.send(encode(AudioInput("request", pcm[start : start + CHUNK_BYTES])))
        await client.send(encode(AudioInput("request", end=True)))
        async for frame in client.frames():
            if isinstance(frame, bytes) and END_MARK in frame[:END_MARK_WITHIN]:
                break


def _make_replay_client(server: ReplayServer) -> UpstreamClient:
    """Return a client, not yet connected, for the benchmark that measures how fast a tape is replayed by this
    server."""
    return UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="a-key-of-the-benchmark",
        app_id="app",
        avatar_id="avatar",
        expire_at=int(time.time()) + 600,
    )
