"""Writes the tape of a proxy: everything that passes through the proxy while it runs."""

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
from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import TapeRecorder
from spatius_sim.tape.writer import TapeWriter
from spatius_sim.trace.events import Event, TraceHeader

_FLUSH_SECONDS = 1.0
_MOST_WAITING = 64
_MOST_WAITING_BYTES = 256 * 1024
"""How many events, or bytes of frames, wait at most until they are written together."""


class ProxyTape:
    """The tape to which a proxy's events are written while they happen, some at a time. If it cannot be
    written any more, as when the disk is full, `fault` says why and `failed` is set. The sessions that are
    recorded go on undisturbed."""

    def __init__(self, path: Path, header: TapeHeader) -> None:
        """Create the tape of a proxy, a file at `path`. Events wait in memory until enough of them can be
        written to the tape together. If writing fails, `fault` says why, and `failed` is set; until then
        `fault` is ""."""
        self._writer = TapeWriter(path, header)
        self._tape_recorder = TapeRecorder(self._writer, header)
        self._waiting: list[Event] = []
        self._waiting_bytes = 0
        self.fault = ""
        self.failed = asyncio.Event()

    def begin_run(self, header: TraceHeader) -> None:
        """Write the beginning of a run to the proxy's tape."""
        self._tape_recorder.begin_run(header)

    def write_event(self, event: Event) -> None:
        """Write an event of the proxy to its tape. The event waits in memory until there are many events, or
        many bytes; then they are written together. Do nothing if writing to the tape has failed before."""
        if not self.fault:
            self._waiting.append(event)
            self._waiting_bytes += len(getattr(event.content, "raw", b""))
            if len(self._waiting) >= _MOST_WAITING or self._waiting_bytes >= _MOST_WAITING_BYTES:
                self._write_waiting_events()

    async def flush_every_second(self) -> None:
        """Every second, write the events that wait in memory to the proxy's tape, and hand them to the
        operating system: a killed proxy loses only the last second. Return as soon as writing fails."""
        while not self.fault:
            await asyncio.sleep(_FLUSH_SECONDS)
            self._write_waiting_events(flush=True)

    def close(self) -> None:
        """Finish the tape of the proxy: write the events that still wait in memory, and the footer. Raises
        UsageError if writing fails now or has failed before: the tape is then incomplete."""
        self._write_waiting_events()
        if self.fault:
            raise UsageError(f"{self.fault}; the tape is incomplete")
        self._writer.close()

    def _write_waiting_events(self, *, flush: bool = False) -> None:
        """Write the events that wait in memory to the proxy's tape. With `flush`, also hand them to the
        operating system. If writing fails, keep the text of the error in `fault`, and write nothing from then
        on."""
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
) -> AsyncIterator[tuple[RecordingProxy, ProxyTape]]:
    """Run a recording proxy, and write its sessions to the tape `out`; `on_event` is called with each event,
    too. Raises UsageError if the port or the file cannot be opened, and at the end if the tape could not be
    written."""
    # An upstream that is wrong raises UsageError here, before a file is made.
    read_proxy_targets(upstream)
    tape = ProxyTape(out, proxy_header(keep_audio=keep_audio, keep_names=keep_names))
    tape.begin_run(TraceHeader("relay", "", 0, "", __version__, halves="upstream"))

    def write_and_show(event: Event) -> None:
        """Write an event of the proxy to its tape, and call `on_event` with it."""
        tape.write_event(event)
        if on_event is not None:
            on_event(event)

    async with RecordingProxy(upstream, write_and_show, port=port, host=host) as proxy:
        flushing = asyncio.create_task(tape.flush_every_second())
        try:
            yield proxy, tape
        finally:
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing
    tape.close()
