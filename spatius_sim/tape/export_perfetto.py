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
    """Collects the Perfetto events of all runs of a tape."""

    def __init__(self) -> None:
        """Begin an empty Perfetto file, without processes (runs), threads (connections) and arrows."""
        self.events: list[dict[str, Any]] = []
        self._process = 0
        self._threads: dict[str, int] = {}
        self._playback_free_us: dict[tuple[int, int], int] = {}
        self._arrows = 0

    def add_run(self, trace: Trace) -> None:
        """Add all events of one run of a tape to the Perfetto file, with arrows for the payloads, their
        playback, and how many the relay holds."""
        self._process += 1
        self._threads = {}
        header = trace.header
        self._add_name("process_name", 0, f"run {self._process}: {header.subject}, seed {header.seed}")
        sent: dict[bytes, tuple[int, int]] = {}
        held_payloads: set[bytes] = set()
        for event in trace.events:
            begin_us, thread = self._add_event(event)
            if event.lane is Lane.UPSTREAM and (payload := _payload_of(event)) is not None:
                raw, keyframes = payload
                sent[raw] = begin_us, thread
                held_payloads.add(raw)
                self._add_playback(event, begin_us, keyframes)
                self._add_count(begin_us, len(held_payloads))
            for raw in _payloads_at_client(event):
                if raw in sent:
                    self._add_arrow(*sent[raw], begin_us, thread)
                if raw in held_payloads:
                    held_payloads.remove(raw)
                    self._add_count(begin_us, len(held_payloads))

    def as_json_values(self) -> dict[str, Any]:
        """Return the whole Perfetto file, as values for JSON; the events stand in the order of their
        times."""
        ordered = sorted(self.events, key=lambda event: (event["ph"] != "M", event.get("ts", 0)))
        return {"displayTimeUnit": "ms", "traceEvents": ordered}

    def _add_event(self, event: Event) -> tuple[int, int]:
        """Add an event to the Perfetto file as a slice of the shortest length. Return when the slice begins,
        in microseconds, and the number of its Perfetto thread."""
        thread = self._thread_number(f"{event.lane} {event.connection}".strip())
        words = describe_event(event)
        begin_us = self._add_slice(thread, words[:_LONGEST_NAME], event.at_ns // 1000, 1, str(event.lane))
        raw = getattr(event.content, "raw", b"")
        self.events[-1]["args"] = {"seq": event.seq, "words": words, "bytes": len(raw)}
        return begin_us, thread

    def _add_playback(self, event: Event, at_us: int, keyframes: int) -> None:
        """Add a Perfetto slice that shows a payload for as long as it plays, after the slice of the previous
        payload. A payload without keyframes gets no slice."""
        if keyframes:
            thread = self._thread_number(f"motion of {event.connection}")
            self._add_slice(thread, f"{keyframes} keyframes", at_us, keyframes * _KEYFRAME_US, "motion")

    def _add_slice(self, thread: int, name: str, at_us: int, duration_us: int, category: str) -> int:
        """Add a slice (an event that has a length) to a thread of the Perfetto trace, and return when it
        begins, in microseconds: at `at_us`, or at the end of the slice before it, because slices of one
        thread never overlap."""
        track = self._process, thread
        begin_us = max(at_us, self._playback_free_us.get(track, 0))
        self._playback_free_us[track] = begin_us + duration_us
        self._append("X", thread, begin_us, name=name, dur=duration_us, cat=category)
        return begin_us

    def _add_arrow(self, from_us: int, from_thread: int, to_us: int, to_thread: int) -> None:
        """Add a Perfetto arrow from a sent payload to the same payload at the client. An arrow that would
        lead back in time is left out."""
        if to_us >= from_us:
            self._arrows += 1
            self._append("s", from_thread, from_us, name="payload", cat="payload", id=self._arrows)
            self._append("f", to_thread, to_us, name="payload", cat="payload", id=self._arrows, bp="e")

    def _add_count(self, at_us: int, held_payloads: int) -> None:
        """Add to the Perfetto counter how many payloads the relay holds: sent by Motion Server and not yet
        passed on."""
        self._append("C", 0, at_us, name="payloads that the relay holds", args={"payloads": held_payloads})

    def _thread_number(self, name: str) -> int:
        """Return the number of the Perfetto thread with this name in this run; add the thread if it is
        new."""
        if name not in self._threads:
            self._threads[name] = len(self._threads) + 1
            self._add_name("thread_name", self._threads[name], name)
        return self._threads[name]

    def _add_name(self, what: str, thread: int, name: str) -> None:
        """Give a Perfetto process or thread a name for people."""
        self._append("M", thread, 0, name=what, args={"name": name})

    def _append(self, phase: str, thread: int, at_us: int, **members: Any) -> None:
        """Add one event in Perfetto's JSON form."""
        self.events.append({"ph": phase, "pid": self._process, "tid": thread, "ts": at_us, **members})


def perfetto_of(traces: Iterable[Trace]) -> dict[str, Any]:
    """Return these runs of a tape as a trace file for Perfetto, as values for JSON."""
    writer = PerfettoWriter()
    for trace in traces:
        writer.add_run(trace)
    return writer.as_json_values()


def _payload_of(event: Event) -> tuple[bytes, int] | None:
    """Return the payload that Motion Server sent in this event, with its number of keyframes, to be shown in
    Perfetto; None if the event holds no payload."""
    raw, value = getattr(event.content, "raw", None), getattr(event.content, "value", None)
    if isinstance(raw, bytes) and isinstance(value, MotionResponse):
        return raw, len(value.keyframes)
    return None


def _payloads_at_client(event: Event) -> tuple[bytes, ...]:
    """Return the payloads that reached a client with this event, to be shown in Perfetto; none for an event
    on another lane."""
    value = getattr(event.content, "value", None)
    return value.payloads if event.lane is Lane.DOWNSTREAM and isinstance(value, Motion) else ()
