"""Writes a tape as a trace for ui.perfetto.dev, in the JSON of Chrome's Trace Event Format.

A run is a process and each connection a thread. Every event is a slice of one microsecond. An arrow leads
from a payload that Motion Server sent to the same payload at the client. A second track of a session shows
each payload for as long as it plays; a counter shows how many payloads the relay holds.
"""

from collections.abc import Iterable
from typing import Any

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.event_text import describe_event
from spatius_sim.trace.events import Event, Lane, Trace
from spatius_sim.wires.events import Motion

_KEYFRAME_US = 1_000_000 // KEYFRAMES_PER_SECOND
_LONGEST_NAME = 60


class PerfettoWriter:
    """Collects the trace events of all runs."""

    def __init__(self) -> None:
        """Begin an empty trace file, without processes (runs), threads (connections) and arrows."""
        self.events: list[dict[str, Any]] = []
        self._process = 0
        self._threads: dict[str, int] = {}
        self._playback_free_us: dict[tuple[int, int], int] = {}
        self._arrows = 0

    def add_run(self, trace: Trace) -> None:
        """Add all events of one run."""
        self._process += 1
        self._threads = {}
        header = trace.header
        self._name("process_name", 0, f"run {self._process}: {header.subject}, seed {header.seed}")
        sent: dict[bytes, tuple[int, int]] = {}
        held: set[bytes] = set()
        for event in trace.events:
            begin, thread = self._add_event(event)
            if event.lane is Lane.UPSTREAM and (payload := _payload_of(event)) is not None:
                raw, keyframes = payload
                sent[raw] = begin, thread
                held.add(raw)
                self._add_playback(event, begin, keyframes)
                self._count(begin, len(held))
            for raw in _passed_on(event):
                if raw in sent:
                    self._draw_arrow(*sent[raw], begin, thread)
                if raw in held:
                    held.remove(raw)
                    self._count(begin, len(held))

    def document(self) -> dict[str, Any]:
        """Return the whole file, as values for JSON; the events stand in the order of their times."""
        ordered = sorted(self.events, key=lambda event: (event["ph"] != "M", event.get("ts", 0)))
        return {"displayTimeUnit": "ms", "traceEvents": ordered}

    def _add_event(self, event: Event) -> tuple[int, int]:
        """Add an event as a slice; return when it begins, in microseconds, and its thread."""
        thread = self._thread(f"{event.lane} {event.connection}".strip())
        words = describe_event(event)
        begin = self._slice(thread, words[:_LONGEST_NAME], event.at_ns // 1000, 1, str(event.lane))
        raw = getattr(event.what, "raw", b"")
        self.events[-1]["args"] = {"seq": event.seq, "words": words, "bytes": len(raw)}
        return begin, thread

    def _add_playback(self, event: Event, at_us: int, keyframes: int) -> None:
        """Add a payload for as long as it plays, after the payload before."""
        if keyframes:
            thread = self._thread(f"motion of {event.connection}")
            self._slice(thread, f"{keyframes} keyframes", at_us, keyframes * _KEYFRAME_US, "motion")

    def _slice(self, thread: int, name: str, at_us: int, duration_us: int, category: str) -> int:
        """Add a slice after all that its thread holds: slices of one thread never overlap. Return its
        beginning."""
        track = self._process, thread
        begin = max(at_us, self._playback_free_us.get(track, 0))
        self._playback_free_us[track] = begin + duration_us
        self._put("X", thread, begin, name=name, dur=duration_us, cat=category)
        return begin

    def _draw_arrow(self, from_us: int, from_thread: int, to_us: int, to_thread: int) -> None:
        """Add an arrow, with an id of its own. An arrow never leads back in time."""
        if to_us >= from_us:
            self._arrows += 1
            self._put("s", from_thread, from_us, name="payload", cat="payload", id=self._arrows)
            self._put("f", to_thread, to_us, name="payload", cat="payload", id=self._arrows, bp="e")

    def _count(self, at_us: int, held: int) -> None:
        """Add how many payloads are sent and not passed on."""
        self._put("C", 0, at_us, name="payloads that the relay holds", args={"payloads": held})

    def _thread(self, name: str) -> int:
        """Return the number of a thread of this run, which is named if it is new."""
        if name not in self._threads:
            self._threads[name] = len(self._threads) + 1
            self._name("thread_name", self._threads[name], name)
        return self._threads[name]

    def _name(self, what: str, thread: int, name: str) -> None:
        """Name a process or a thread."""
        self._put("M", thread, 0, name=what, args={"name": name})

    def _put(self, phase: str, thread: int, at_us: int, **members: Any) -> None:
        """Add one trace event."""
        self.events.append({"ph": phase, "pid": self._process, "tid": thread, "ts": at_us, **members})


def perfetto_of(traces: Iterable[Trace]) -> dict[str, Any]:
    """Return these runs as a trace for Perfetto, as values for JSON."""
    writer = PerfettoWriter()
    for trace in traces:
        writer.add_run(trace)
    return writer.document()


def _payload_of(event: Event) -> tuple[bytes, int] | None:
    """Return the payload that Motion Server sent in this event and its number of keyframes; else None."""
    raw, value = getattr(event.what, "raw", None), getattr(event.what, "value", None)
    if isinstance(raw, bytes) and isinstance(value, MotionResponse):
        return raw, len(value.keyframes)
    return None


def _passed_on(event: Event) -> tuple[bytes, ...]:
    """Return the payloads that reached a client with this event."""
    value = getattr(event.what, "value", None)
    return value.payloads if event.lane is Lane.DOWNSTREAM and isinstance(value, Motion) else ()
