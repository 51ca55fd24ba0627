"""Measures what it costs to read and to replay tapes. The rows are (name, value, unit, mark).

The mark is the promise, "" if there is none.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgpack

from spatius_sim.engine.replay_tape import read_script
from spatius_sim.model.server.answers import SynthesizedAnswer
from spatius_sim.model.server.replay import RecordedRun
from spatius_sim.net.client.motion_server import UpstreamClient
from spatius_sim.net.server.replay_server import Playing, ReplayServer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession
from spatius_sim.tape.contents import TapeHeader
from spatius_sim.tape.reader import TapeReader, open_tape, records_of
from spatius_sim.tape.traces import write_traces
from spatius_sim.trace.events import Event, EventKind, Lane, Received, Sent, Trace, TraceHeader
from spatius_sim.trace.reading import read_upstream

Row = tuple[str, float, str, str]

RATE = 16000
CHUNK_BYTES = 3200
SECONDS_OF_SPEECH = 20
_LONGEST_SECONDS = 120.0


def reading(sessions: int, rounds: int) -> list[Row]:
    """Measure how fast a tape is read and checked, compared with plain msgpack on the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        write_traces(
            path, TapeHeader("bench", redactions=("secrets",)), [session(n) for n in range(sessions)]
        )
        ours = min(_time(lambda: _read_tape(path)) for _ in range(rounds))
        plain = min(_time(lambda: _read_plainly(path)) for _ in range(rounds))
        events = min(_time(lambda: _read_events(path)) for _ in range(rounds))
        megabytes = path.stat().st_size / 1e6
    return [
        ("reading a tape, beside plain msgpack", ours / plain, "x", "at most 1.5"),
        ("reading it as events, each checked, beside plain msgpack", events / plain, "x", ""),
        ("reading a tape", megabytes / ours, "MB/s", ""),
    ]


def replaying(sessions: int) -> list[Row]:
    """Measure how fast sessions are replayed, ten at a time, in multiples of the time that their speech
    takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        write_traces(path, TapeHeader("bench", redactions=("secrets",)), [session(0)] * sessions)
        script = read_script(path)
    spent = asyncio.run(_replay(script, sessions))
    return [("replaying at once", sessions * SECONDS_OF_SPEECH / spent, "x real time", "")]


def session(number: int) -> Trace:
    """Make the trace of one session as a proxy sees it: speech in chunks of 100 ms, and its motion."""
    pcm = speech(f"bench {number}", SECONDS_OF_SPEECH * RATE)
    answer = SynthesizedAnswer("connection", "request", RATE, number)
    events: list[Event] = []

    def add(raw: bytes, *, sent: bool) -> None:
        what: EventKind = Sent(raw, read_upstream(raw)) if sent else Received(raw, read_upstream(raw))
        events.append(Event(len(events), len(events), Lane.UPSTREAM, "upstream-1", what))

    add(encode(ConfigureSession(RATE)), sent=False)
    add(encode(ConfirmSession("connection")), sent=True)
    for start in range(0, len(pcm), CHUNK_BYTES):
        chunk = pcm[start : start + CHUNK_BYTES]
        add(encode(AudioInput("request", chunk)), sent=False)
        for payload in answer.feed(chunk):
            add(payload, sent=True)
    add(encode(AudioInput("request", end=True)), sent=False)
    for payload in answer.finish():
        add(payload, sent=True)
    return Trace(TraceHeader("relay", "", number, "", "", halves="upstream"), tuple(events))


def _read_tape(path: Path) -> None:
    with open_tape(path) as file:
        for _ in TapeReader(file, str(path)).stored_records():
            pass


def _read_events(path: Path) -> None:
    for _ in records_of(path):
        pass


def _read_plainly(path: Path) -> None:
    with path.open("rb") as file:
        for name, _, body in msgpack.Unpacker(file):
            if name != "BLOB":
                msgpack.unpackb(body)


def _time(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


async def _replay(script: RecordedRun, sessions: int) -> float:
    """Replay all sessions, and return how many seconds that takes."""
    pcm = bytes(script.turns[0].audio)
    async with ReplayServer(script, Playing(speed=0)) as server:
        begun = time.perf_counter()
        for begin in range(0, sessions, 10):
            await asyncio.gather(*(_speak(server, pcm) for _ in range(begin, min(begin + 10, sessions))))
        return time.perf_counter() - begun


async def _speak(server: ReplayServer, pcm: bytes) -> None:
    """Speak one turn as fast as possible, and wait for the end of its motion."""
    async with asyncio.timeout(_LONGEST_SECONDS), _make_client(server) as client:
        await client.send(encode(ConfigureSession(RATE)))
        for start in range(0, len(pcm), CHUNK_BYTES):
            await client.send(encode(AudioInput("request", pcm[start : start + CHUNK_BYTES])))
        await client.send(encode(AudioInput("request", end=True)))
        async for frame in client.frames():
            # The end mark of motion stands after the two ids, within the first bytes.
            if isinstance(frame, bytes) and b"\x18\x01" in frame[:64]:
                break


def _make_client(server: ReplayServer) -> UpstreamClient:
    """Make a client that connects to this server."""
    return UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="a-key-of-the-benchmark",
        app_id="app",
        avatar_id="avatar",
        expire_at=int(time.time()) + 600,
    )
