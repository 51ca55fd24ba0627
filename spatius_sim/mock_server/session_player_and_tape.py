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
_MAX_CONFIGURE_BYTES = 4_096
_MS_NS = 1_000_000


def _make_trace(entries: Iterable[LogEntry]) -> Trace:
    """Return what the session log still keeps of a session as a trace of the half between relay and Motion
    Server."""
    header = TraceHeader("relay", "", 0, "", version("spatius-sim"), halves="upstream")
    return Trace(header, tuple(_make_trace_event(number, entry) for number, entry in enumerate(entries)))


def make_live_player_data(entries: Iterable[LogEntry], now_ns: int) -> dict[str, Any]:
    """Return what the player on a session's web page shows of the newest events of the session, as JSON
    values. `entries` are the session log, and `now_ns` is the present time on its clock. The configuration of
    the session is always shown. The keys `zero` and `now` of the result are the first entry's time and the
    present, in ms after the first event that is shown."""
    newest_entries: deque[LogEntry] = deque(maxlen=MAX_LIVE_EVENTS)
    first_ns = now_ns
    configuration: LogEntry | None = None
    for entry in entries:
        first_ns = min(first_ns, entry.at_ns)
        if len(newest_entries) == MAX_LIVE_EVENTS:
            configuration = newest_entries[0] if _is_configure_session(newest_entries[0]) else configuration
        newest_entries.append(entry)
    shown_entries = (
        [configuration._replace(at_ns=newest_entries[0].at_ns), *newest_entries]
        if configuration is not None
        else [*newest_entries]
    )
    values = build_player([_make_trace(shown_entries)], "", sound=False)
    first_shown_ns = shown_entries[0].at_ns if shown_entries else now_ns
    values["zero"] = (first_ns - first_shown_ns) / _MS_NS
    values["now"] = round((now_ns - first_shown_ns) / _MS_NS)
    return values


def make_tape(entries: Iterable[LogEntry]) -> bytes:
    """Return a tape, that is a recording as a file, of what the session log still keeps of a session.
    Secrets, names and speech are left out."""
    header = TapeHeader("server", int(time.time() * 1000), version("spatius-sim"))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "session.tape"
        write_traces(path, header, [_make_trace(entries)])
        return path.read_bytes()


def _is_configure_session(entry: LogEntry) -> bool:
    """Return whether this entry of a session log is the message ConfigureSession. The player of the session's
    page always needs this message, because it holds the sample rate. Long frames are not decoded, because a
    ConfigureSession is short."""
    frame = entry.content
    if not isinstance(frame, bytes) or len(frame) > _MAX_CONFIGURE_BYTES:
        return False
    return isinstance(read_upstream(frame), ConfigureSession)


def _make_trace_event(number: int, entry: LogEntry) -> Event:
    """Return an entry of a session log as an event of the trace from which the player's data or the tape is
    made: a frame that Motion Server sent or received, or another event as it is. `number` is the event's
    place in the trace."""
    logged = entry.content
    if isinstance(logged, str | bytes):
        value = read_upstream(logged)
        content: EventKind = Sent(logged, value, entry.answers) if entry.sent else Received(logged, value)
    else:
        content = logged
    return Event(number, entry.at_ns, entry.lane, entry.connection, content)
