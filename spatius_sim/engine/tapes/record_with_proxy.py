"""Records everything that passes through a proxy onto a tape."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from spatius_sim import __version__
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.proxy.proxy import RecordingProxy
from spatius_sim.net.proxy.proxy_target import read_proxy_targets
from spatius_sim.net.server.session_log import SessionLog, SessionRecord
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.messages import ConfirmSession
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import TapeRecorder
from spatius_sim.tape.writer import TapeWriter
from spatius_sim.trace.events import Closed, Event, Opened, Received, Sent, TraceHeader

_FLUSH_SECONDS = 1.0
_MOST_WAITING = 64
_MOST_WAITING_BYTES = 256 * 1024
"""How many events, or bytes of frames, wait at most until they are written together."""


class LiveTape:
    """A tape to which a proxy's events are written while they happen, some at a time. If it cannot be written
    any more, as when the disk is full, `fault` says why and `failed` is set. The sessions that are recorded
    go on undisturbed."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        """Create the tape, a recording file, at `path`. Events wait in memory until enough of them can be
        written together. `fault` says why writing failed, and `failed` is then set; "" if nothing failed."""
        self._writer = TapeWriter(path, header)
        self._tape_recorder = TapeRecorder(self._writer, header)
        self._waiting: list[Event] = []
        self._waiting_bytes = 0
        self.fault = ""
        self.failed = asyncio.Event()

    def begin_run(self, header: TraceHeader) -> None:
        """Write the beginning of a run."""
        self._tape_recorder.begin_run(header)

    def record_event(self, event: Event) -> None:
        """Add an event of the proxy to the tape. The event waits in memory until there are many events, or
        many bytes; then they are written together. Do nothing if writing has failed before."""
        if not self.fault:
            self._waiting.append(event)
            self._waiting_bytes += len(getattr(event.content, "raw", b""))
            if len(self._waiting) >= _MOST_WAITING or self._waiting_bytes >= _MOST_WAITING_BYTES:
                self._write_waiting_events()

    async def flush_every_second(self) -> None:
        """Every second, write the events that wait in memory onto the tape, and hand them to the operating
        system: a killed proxy loses only the last second. Return as soon as writing fails."""
        while not self.fault:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._write_waiting_events(flush=True)

    def close(self) -> None:
        """Finish the tape: write the events that still wait in memory, and the footer. Raises UsageError if
        writing fails now or has failed before: the tape is then incomplete."""
        self._write_waiting_events()
        if self.fault:
            raise UsageError(f"{self.fault}; the tape is incomplete")
        self._writer.close()

    def _write_waiting_events(self, *, flush: bool = False) -> None:
        """Write the events that wait in memory onto the tape. With `flush`, also hand them to the operating
        system. If writing fails, keep the text of the error in `fault`, and write nothing from then on."""
        events, self._waiting, self._waiting_bytes = self._waiting, [], 0
        if self.fault:
            return
        try:
            self._tape_recorder.record_events(events)
            if flush:
                self._writer.flush()
        except UsageError as error:
            self.fault = str(error)
            self.failed.set()


def add_proxy_event_to_session_log(session_log: SessionLog, event: Event) -> None:
    """Add an event of the recording proxy to the session log, from which the inspector page shows sessions
    while they are recorded. A frame is kept; an opened or closed connection begins or ends a session."""
    content = event.content
    if type(content) is Received:  # Nearly all events are frames.
        session_log.keep_frame(event.at_ns, event.lane, event.connection, content.raw, sent=False)
    elif type(content) is Sent:
        if isinstance(content.value, ConfirmSession) and event.connection in session_log.open_sessions:
            session_log.open_sessions[event.connection].connection_id = content.value.connection_id
        session_log.keep_frame(event.at_ns, event.lane, event.connection, content.raw, sent=True)
    elif isinstance(content, Opened):
        record = SessionRecord(event.connection, "", content.app_id, content.avatar_id, time.time())
        session_log.add_session(record)
        session_log.emit(event.lane, event.connection, content)
    elif isinstance(content, Closed) and event.connection in session_log.open_sessions:
        session_log.end_session(event.connection, content)
    else:
        session_log.emit(event.lane, event.connection, content)


def proxy_header(*, keep_audio: bool, keep_names: bool) -> TapeHeader:
    """Return the header of the tape that a recording proxy writes. Secrets are never on such a tape."""
    keep_by_name = {"names": keep_names, "speech": keep_audio}
    redactions = ("secrets", *(name for name, keep in keep_by_name.items() if not keep))
    return TapeHeader("proxy", int(time.time() * 1000), __version__, redactions=redactions)


@asynccontextmanager
async def recording_proxy(
    upstream: tuple[str, ...],
    out: Path,
    *,
    port: int = 0,
    host: str = LOOPBACK,
    keep_audio: bool = False,
    keep_names: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> AsyncIterator[tuple[RecordingProxy, LiveTape]]:
    """Run a recording proxy, which writes its sessions onto the tape `out`; `on_event` is called with each
    event, too. Raises UsageError if the port or the file cannot be opened, and at the end if the tape could
    not be written."""
    # An upstream that is wrong raises UsageError here, before a file is made.
    read_proxy_targets(upstream)
    tape = LiveTape(out, proxy_header(keep_audio=keep_audio, keep_names=keep_names))
    tape.begin_run(TraceHeader("relay", "", 0, "", __version__, halves="upstream"))

    def record_and_show(event: Event) -> None:
        """Write an event onto the tape, and call `on_event` with it."""
        tape.record_event(event)
        if on_event is not None:
            on_event(event)

    async with RecordingProxy(upstream, record_and_show, port=port, host=host) as proxy:
        flushing = asyncio.create_task(tape.flush_every_second())
        try:
            yield proxy, tape
        finally:
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing
    tape.close()
