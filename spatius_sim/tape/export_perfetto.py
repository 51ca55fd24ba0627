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
        """Begin an empty Perfetto file. A run of the tape becomes a process of it, a connection becomes a
        thread, and an event becomes a slice: an interval of time that the viewer draws."""
        self.events: list[dict[str, Any]] = []
        self._run_number = 0
        self._thread_numbers: dict[str, int] = {}
        self._free_at_us: dict[tuple[int, int], int] = {}
        """When the last slice of each thread ends, by run number and thread number."""
        self._arrow_count = 0
        """How many arrows between slices the file has; an arrow's number is its id."""

    def add_run(self, trace: Trace) -> None:
        """Add one run of a tape to the Perfetto file: all its events, and how long each motion payload plays.
        A counter shows how many payloads the relay holds (received from Motion Server, not yet passed on). An
        arrow leads from each payload that was sent to the same payload at a client."""
        self._run_number += 1
        self._thread_numbers = {}
        header = trace.header
        self._name_track("process_name", 0, f"run {self._run_number}: {header.subject}, seed {header.seed}")
        sent_by_payload: dict[bytes, tuple[int, int]] = {}
        held_payloads: set[bytes] = set()
        for event in trace.events:
            begin_us, thread = self._add_event(event)
            payload = _payload_and_keyframe_count(event) if event.lane is Lane.UPSTREAM else None
            if payload is not None:
                raw, keyframe_count = payload
                sent_by_payload[raw] = begin_us, thread
                held_payloads.add(raw)
                self._add_playback(event, begin_us, keyframe_count)
                self._add_held_count(begin_us, len(held_payloads))
            for raw in _payloads_at_client(event):
                if raw in sent_by_payload:
                    self._add_arrow(*sent_by_payload[raw], begin_us, thread)
                if raw in held_payloads:
                    held_payloads.remove(raw)
                    self._add_held_count(begin_us, len(held_payloads))

    def as_json_values(self) -> dict[str, Any]:
        """Return the whole Perfetto file, as values for JSON; the events stand in the order of their
        times."""
        ordered = sorted(self.events, key=lambda event: (event["ph"] != "M", event.get("ts", 0)))
        return {"displayTimeUnit": "ms", "traceEvents": ordered}

    def _add_event(self, event: Event) -> tuple[int, int]:
        """Add an event to the Perfetto file as a slice of one microsecond. Return when the slice begins, in
        microseconds, and the number of its Perfetto thread (the event's connection)."""
        thread = self._find_or_add_thread(f"{event.lane} {event.connection}".strip())
        description = describe_event(event)
        begin_us = self._add_slice(
            thread, description[:_LONGEST_NAME], event.at_ns // 1000, 1, str(event.lane)
        )
        raw = getattr(event.content, "raw", b"")
        self.events[-1]["args"] = {"seq": event.seq, "words": description, "bytes": len(raw)}
        return begin_us, thread

    def _add_playback(self, event: Event, at_us: int, keyframe_count: int) -> None:
        """Add a Perfetto slice that shows how long a motion payload plays. The slice begins at `at_us` (in
        microseconds), or when the previous payload has been played. A payload without keyframes gets no
        slice."""
        if keyframe_count:
            thread = self._find_or_add_thread(f"motion of {event.connection}")
            self._add_slice(
                thread, f"{keyframe_count} keyframes", at_us, keyframe_count * _KEYFRAME_US, "motion"
            )

    def _add_slice(self, thread: int, name: str, at_us: int, duration_us: int, category: str) -> int:
        """Add a slice (an event with a length) to a thread of the Perfetto file. Return when the slice
        begins, in microseconds: at `at_us`, or when the slice before it ends, because slices of one thread
        must not overlap."""
        thread_key = self._run_number, thread
        begin_us = max(at_us, self._free_at_us.get(thread_key, 0))
        self._free_at_us[thread_key] = begin_us + duration_us
        self._append("X", thread, begin_us, name=name, dur=duration_us, cat=category)
        return begin_us

    def _add_arrow(self, from_us: int, from_thread: int, to_us: int, to_thread: int) -> None:
        """Add a Perfetto arrow from a payload that was sent (at `from_us`, in microseconds, on one thread) to
        the same payload at the client. An arrow that would lead back in time is left out."""
        if to_us >= from_us:
            self._arrow_count += 1
            # Perfetto wants two events with one id: the start ("s") and the finish ("f") of the arrow.
            self._append("s", from_thread, from_us, name="payload", cat="payload", id=self._arrow_count)
            self._append("f", to_thread, to_us, name="payload", cat="payload", id=self._arrow_count, bp="e")

    def _add_held_count(self, at_us: int, held_payloads: int) -> None:
        """Add to the Perfetto counter how many payloads the relay holds: sent by Motion Server and not yet
        passed on."""
        self._append("C", 0, at_us, name="payloads that the relay holds", args={"payloads": held_payloads})

    def _find_or_add_thread(self, name: str) -> int:
        """Return the number of the thread with this name in the current run of the Perfetto file. A new name
        adds a thread."""
        if name not in self._thread_numbers:
            self._thread_numbers[name] = len(self._thread_numbers) + 1
            self._name_track("thread_name", self._thread_numbers[name], name)
        return self._thread_numbers[name]

    def _name_track(self, what: str, thread: int, name: str) -> None:
        """Give a Perfetto process or thread a name for people."""
        self._append("M", thread, 0, name=what, args={"name": name})

    def _append(self, phase: str, thread: int, at_us: int, **members: Any) -> None:
        """Add one event in Perfetto's JSON form."""
        self.events.append({"ph": phase, "pid": self._run_number, "tid": thread, "ts": at_us, **members})


def make_perfetto_trace(traces: Iterable[Trace]) -> dict[str, Any]:
    """Make one trace file for Perfetto (a viewer of traces) from all runs of a tape, and return it as values
    for JSON."""
    writer = PerfettoWriter()
    for trace in traces:
        writer.add_run(trace)
    return writer.as_json_values()


def _payload_and_keyframe_count(event: Event) -> tuple[bytes, int] | None:
    """Return the motion payload in an event of a connection to Motion Server, and its number of keyframes, to
    be shown in Perfetto. None if the event holds no payload."""
    raw, value = getattr(event.content, "raw", None), getattr(event.content, "value", None)
    if isinstance(raw, bytes) and isinstance(value, MotionResponse):
        return raw, len(value.keyframes)
    return None


def _payloads_at_client(event: Event) -> tuple[bytes, ...]:
    """Return the payloads that reached a client with this event, to be shown in Perfetto; none for an event
    on another lane."""
    value = getattr(event.content, "value", None)
    return value.payloads if event.lane is Lane.DOWNSTREAM and isinstance(value, Motion) else ()
