"""What tapes and the recording proxy cost. Each function returns rows of (name, value, unit, mark); a mark is
what the value is to keep, "" where it is only told."""

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgpack

from spatius_sim.kit.plans import speech
from spatius_sim.kit.recording import OpenTape, proxy_header
from spatius_sim.kit.replaying import read_script
from spatius_sim.model.answers import SynthesizedAnswer
from spatius_sim.model.replay import Script, script_of
from spatius_sim.model.trace import Event, Lane, Received, Sent, Trace, TraceHeader, What, read_upstream
from spatius_sim.net.proxy import RecordingProxy
from spatius_sim.net.replay_server import Playing, ReplayServer
from spatius_sim.net.upstream_client import UpstreamClient
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, ConfirmSession
from spatius_sim.tape.contents import TapeHeader
from spatius_sim.tape.reader import TapeReader, open_tape, records_of
from spatius_sim.tape.taping import write_traces

Row = tuple[str, float, str, str]

_RATE = 16000
_CHUNK_BYTES = 3200
_SECONDS_OF_SPEECH = 20
_READ_RUNS = 5
_LONGEST_SECONDS = 120.0


def reading() -> list[Row]:
    """A tape read and checked, beside the same bytes and the same values read by plain msgpack."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        write_traces(path, TapeHeader("bench", redactions=("secrets",)), [_session(n) for n in range(40)])
        ours = min(_seconds(lambda: _read_tape(path)) for _ in range(_READ_RUNS))
        plain = min(_seconds(lambda: _read_plainly(path)) for _ in range(_READ_RUNS))
        events = min(_seconds(lambda: _read_events(path)) for _ in range(_READ_RUNS))
        megabytes = path.stat().st_size / 1e6
    return [
        ("reading a tape, beside plain msgpack", ours / plain, "times", "<= 1.5"),
        ("reading it as events, each checked, beside plain msgpack", events / plain, "times", ""),
        ("reading a tape", megabytes / ours, "MB/s", ""),
    ]


def replaying() -> list[Row]:
    """Sessions replayed at once, ten at a time, in multiples of the time that their speech takes."""
    sessions = 40
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        write_traces(path, TapeHeader("bench", redactions=("secrets",)), [_session(0)] * sessions)
        script = read_script(path)
    spent = asyncio.run(_replay(script, sessions))
    return [("replaying at once", sessions * _SECONDS_OF_SPEECH / spent, "times real time", "")]


def proxying() -> list[Row]:
    """The CPU time of a proxy that records, for each second of a session, beside a client and a server alone;
    and what it adds to a payload with 100 sessions."""
    sessions = 20
    with tempfile.TemporaryDirectory() as folder:
        tape = Path(folder) / "a.tape"
        direct = asyncio.run(_proxied(sessions, None))
        through = asyncio.run(_proxied(sessions, tape))
        waits = asyncio.run(_delays(100, tape))
        alone = asyncio.run(_delays(100, None))
    seconds = sessions * _SECONDS_OF_SPEECH
    return [
        ("a session-second without a proxy", direct / seconds * 1e6, "us of CPU", ""),
        ("the proxy adds to a session-second", (through - direct) / seconds * 1e6, "us of CPU", ""),
        ("a session-second with the proxy, beside none", through / direct, "times", ""),
        ("the proxy adds to a payload, p50", (_rank(waits, 0.5) - _rank(alone, 0.5)) * 1e3, "ms", ""),
        ("the proxy adds to a payload, p99", (_rank(waits, 0.99) - _rank(alone, 0.99)) * 1e3, "ms", ""),
    ]


BENCHMARKS: tuple[Callable[[], list[Row]], ...] = (reading, replaying, proxying)


def _session(number: int) -> Trace:
    """One session as a proxy sees it: speech in chunks of 100 ms, and its motion."""
    pcm = speech(f"bench {number}", _SECONDS_OF_SPEECH * _RATE)
    answer = SynthesizedAnswer("connection", "request", _RATE, number)
    events: list[Event] = []

    def told(raw: bytes, *, sent: bool) -> None:
        what: What = Sent(raw, read_upstream(raw)) if sent else Received(raw, read_upstream(raw))
        events.append(Event(len(events), len(events), Lane.UPSTREAM, "upstream-1", what))

    told(encode(ConfigureSession(_RATE)), sent=False)
    told(encode(ConfirmSession("connection")), sent=True)
    for start in range(0, len(pcm), _CHUNK_BYTES):
        chunk = pcm[start : start + _CHUNK_BYTES]
        told(encode(AudioInput("request", chunk)), sent=False)
        for payload in answer.feed(chunk):
            told(payload, sent=True)
    told(encode(AudioInput("request", end=True)), sent=False)
    for payload in answer.finish():
        told(payload, sent=True)
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


def _seconds(work: Callable[[], None]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _rank(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def _replay(script: Script, sessions: int) -> float:
    pcm = bytes(script.turns[0].audio)
    async with ReplayServer(script, Playing(speed=0)) as server:
        begun = time.perf_counter()
        for _ in range(0, sessions, 10):
            await asyncio.gather(*(_speak(server, pcm) for _ in range(10)))
        return time.perf_counter() - begun


async def _proxied(sessions: int, tape: Path | None) -> float:
    """The CPU seconds of so many sessions; through a recording proxy where a tape is named."""
    trace = _session(0)
    script = script_of(trace)
    script.turns *= sessions
    pcm = bytes(script.turns[0].audio)
    async with ReplayServer(script, Playing(speed=0)) as server:
        if tape is None:
            begun = time.process_time()
            await asyncio.gather(*(_speak(server, pcm) for _ in range(sessions)))
            return time.process_time() - begun
        opened = _taping(tape)
        async with RecordingProxy((f"http://127.0.0.1:{server.port}",), opened.take) as proxy:
            begun = time.process_time()
            await asyncio.gather(*(_speak(proxy, pcm) for _ in range(sessions)))
            spent = time.process_time() - begun
        opened.close()
        return spent


async def _delays(sessions: int, tape: Path | None) -> list[float]:
    """Seconds from the end of a short request to its payload, with so many sessions at a time, each in its
    own tenth of a second."""
    trace = _session(0)
    script = script_of(trace)
    turn = script.turns[0]
    turn.replies = turn.replies[:1]
    script.turns *= sessions
    async with ReplayServer(script, Playing(speed=0)) as server:
        if tape is None:
            return await _all_delays(server, sessions)
        opened = _taping(tape)
        async with RecordingProxy((f"http://127.0.0.1:{server.port}",), opened.take) as proxy:
            delays = await _all_delays(proxy, sessions)
        opened.close()
        return delays


async def _all_delays(server: ReplayServer | RecordingProxy, sessions: int) -> list[float]:
    return list(await asyncio.gather(*(_delay(server, n / sessions) for n in range(sessions))))


async def _delay(server: ReplayServer | RecordingProxy, start: float) -> float:
    async with asyncio.timeout(_LONGEST_SECONDS), _client(server) as client:
        await client.send(encode(ConfigureSession(_RATE)))
        frames = client.frames()
        await anext(frames)
        await asyncio.sleep(start)
        begun = time.perf_counter()
        await client.send(encode(AudioInput("request", bytes(_CHUNK_BYTES), True)))
        await anext(frames)
        return time.perf_counter() - begun


async def _speak(server: ReplayServer | RecordingProxy, pcm: bytes) -> None:
    async with asyncio.timeout(_LONGEST_SECONDS), _client(server) as client:
        await client.send(encode(ConfigureSession(_RATE)))
        for start in range(0, len(pcm), _CHUNK_BYTES):
            await client.send(encode(AudioInput("request", pcm[start : start + _CHUNK_BYTES])))
        await client.send(encode(AudioInput("request", end=True)))
        async for frame in client.frames():
            # Motion carries its end mark behind the two ids, within its first bytes.
            if isinstance(frame, bytes) and b"\x18\x01" in frame[:64]:
                break


def _client(server: ReplayServer | RecordingProxy) -> UpstreamClient:
    return UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="a-key-of-the-benchmark",
        app_id="app",
        avatar_id="avatar",
        expire_at=int(time.time()) + 600,
    )


def _taping(tape: Path) -> OpenTape:
    opened = OpenTape(tape, proxy_header(keep_audio=False, keep_names=False))
    opened.start(TraceHeader("relay", "", 0, "", "", halves="upstream"))
    return opened
