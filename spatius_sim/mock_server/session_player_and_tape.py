"""Makes what a page shows of one session while it goes on: the data of its player, and its tape."""

import time
from collections import deque
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spatius_sim.net.server.session_log import LogEntry
from spatius_sim.protocol.messages import ConfigureSession
from spatius_sim.reporting.player.runs_to_player_data import build_player
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.trace.events import Event, EventKind, Received, Sent, Trace, TraceHeader
from spatius_sim.trace.read_frames import read_upstream

MAX_LIVE_EVENTS = 3_000
"""A live page shows the newest events of a session: so many at most, because it asks again and again."""
_FEW_BYTES = 4_096
_MS_NS = 1_000_000


def trace_of(entries: Iterable[LogEntry]) -> Trace:
    """Return the events that the session log still keeps of a session as a trace of the upstream half."""
    header = TraceHeader("relay", "", 0, "", version("spatius-sim"), halves="upstream")
    return Trace(header, tuple(_event_from_entry(number, entry) for number, entry in enumerate(entries)))


def live_player(entries: Iterable[LogEntry], now_ns: int) -> dict[str, Any]:
    """Return, as values for JSON, what the player on the page of a session shows while the session may still
    go on: its newest events, after the configuration of the session. `now_ns` is the present moment on the
    clock of the entries. The page counts its seconds from the first entry of the session log."""
    newest: deque[LogEntry] = deque(maxlen=MAX_LIVE_EVENTS)
    first_ns = now_ns
    configuration: LogEntry | None = None
    for entry in entries:
        first_ns = min(first_ns, entry.at_ns)
        if len(newest) == MAX_LIVE_EVENTS:
            configuration = newest[0] if _is_configure_session(newest[0]) else configuration
        newest.append(entry)
    shown = (
        [configuration._replace(at_ns=newest[0].at_ns), *newest] if configuration is not None else [*newest]
    )
    values = build_player([trace_of(shown)], "", sound=False)
    first_shown_ns = shown[0].at_ns if shown else now_ns
    values["zero"] = (first_ns - first_shown_ns) / _MS_NS
    values["now"] = round((now_ns - first_shown_ns) / _MS_NS)
    return values


def tape_of(entries: Iterable[LogEntry]) -> bytes:
    """Return a tape of what the session log keeps of a session, without secrets, names and speech."""
    header = TapeHeader("server", int(time.time() * 1000), version("spatius-sim"))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "session.tape"
        write_traces(path, header, [trace_of(entries)])
        return path.read_bytes()


def _is_configure_session(entry: LogEntry) -> bool:
    """Return whether this entry of the session log is the frame ConfigureSession with the sample rate. The
    session's player needs this frame even if it shows only the newest frames, because the audio cannot be
    drawn without the rate."""
    frame = entry.content
    if not isinstance(frame, bytes) or len(frame) > _FEW_BYTES:
        return False
    return isinstance(read_upstream(frame), ConfigureSession)


def _event_from_entry(number: int, entry: LogEntry) -> Event:
    """Return an entry of the session log as an event of a trace, for the player or the tape of the session.
    `number` is the event's place in the trace."""
    logged = entry.content
    if isinstance(logged, str | bytes):
        value = read_upstream(logged)
        content: EventKind = Sent(logged, value, entry.answers) if entry.sent else Received(logged, value)
    else:
        content = logged
    return Event(number, entry.at_ns, entry.lane, entry.connection, content)
