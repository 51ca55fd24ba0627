"""Cuts a piece out of a tape, and merges what a relay and its client saw of the same conversation."""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.reader import read_header, read_records
from spatius_sim.tape.tape_values import Content, Record, TapedEvent, TapedPiece, TapedRun, TapeHeader
from spatius_sim.tape.writer import TapeWriter
from spatius_sim.trace.events import Lane
from spatius_sim.wires.optional_features import UPSTREAM

_OPENING_KINDS = ("TokenRequested", "SecretKnown", "Opened")
_HANDSHAKE_FRAMES = 2
"""The configuration and its confirmation."""
_MOTION_START = b"\x08\x05"
"""The first bytes of every motion payload: field 1, the type of the message, is 5."""


@dataclass(frozen=True, slots=True)
class TapeSlice:
    """Which part of a tape to cut out: nanoseconds of the tape (`until_ns` None: to its end), a run (1, 2,
    ...; 0: all) and connections (none: all)."""

    from_ns: int = 0
    until_ns: int | None = None
    run_number: int = 0
    connections: frozenset[str] = frozenset()

    def contains(self, run_number: int, event: TapedEvent) -> bool:
        """Return whether an event lies in this slice of the tape. It must be of the slice's run (number 0:
        any run), in its time, and on one of its connections (if the slice names any). An event without a
        connection counts as being on each of them."""
        return (
            (not self.run_number or run_number == self.run_number)
            and self.from_ns <= event.at_ns
            and (self.until_ns is None or event.at_ns < self.until_ns)
            and (not self.connections or not event.connection or event.connection in self.connections)
        )


def cut(path: Path, out: Path, tape_slice: TapeSlice) -> int:
    """Cut a slice out of a tape: write its events to the tape `out`, and return how many there are. The
    handshake of every connection in the slice is written too.

    Raises UsageError if the slice is empty, or if `out` is the tape itself."""
    require_other_file(out, path)
    needed: set[tuple[int, str]] = set()
    for run, record in _read_with_run_numbers(path):
        if isinstance(record, TapedEvent) and tape_slice.contains(run, record):
            needed.add((run, record.connection))
    if not needed:
        raise UsageError(f"{path}: nothing of it lies in that piece")
    events = 0
    frame_counts: dict[tuple[int, str], int] = {}
    header = replace(read_header(path), note=f"cut out of a tape of {read_header(path).what}")
    with TapeWriter(out, header) as writer:
        for run, record in _read_with_run_numbers(path):
            if isinstance(record, TapedRun):
                if not tape_slice.run_number or run == tape_slice.run_number:
                    writer.write(record)
                continue
            key = (run, record.connection)
            frame_counts[key] = frame_counts.get(key, 0) + (record.kind in ("Sent", "Received"))
            is_opening = record.kind in _OPENING_KINDS or (
                record.kind != "Closed" and frame_counts[key] <= _HANDSHAKE_FRAMES
            )
            opens_before_slice = (
                record.at_ns < tape_slice.from_ns and is_opening and (key in needed or not record.connection)
            )
            if tape_slice.contains(run, record) or (
                opens_before_slice and (not tape_slice.run_number or run == tape_slice.run_number)
            ):
                writer.write(record)
                events += 1
    return events


def merge(first: Path, second: Path, out: Path) -> int:
    """Merge two tapes of the same time, of a relay's half and a client's half, into `out`, on the clock of
    the first tape.

    Returns by how many nanoseconds the second tape was moved: so far that no payload arrives before it was
    sent. If no payload is on both tapes, the wall clocks in their headers decide. One tape may hold several
    runs: then each event of the other belongs to the run in which it happened. Raises UsageError if the tapes
    are not two halves of one time."""
    require_other_file(out, first, second)
    tapes = [_TapeToMerge.read(first), _TapeToMerge.read(second)]
    common_lanes = tapes[0].lanes & tapes[1].lanes - {Lane.KIT, Lane.DECODER}
    if common_lanes:
        raise UsageError(
            f"{first} and {second} both hold the {min(common_lanes)} half: two halves are needed"
        )
    if all(len(tape.runs) > 1 for tape in tapes):
        raise UsageError(f"{first} and {second} both hold several runs: `tape cut --run` takes one out")
    shift_ns = _find_shift(*tapes)
    halves = "both" if {Lane.UPSTREAM, Lane.DOWNSTREAM} <= tapes[0].lanes | tapes[1].lanes else "upstream"
    header = tapes[0].header
    merged = replace(
        header,
        rates=tuple(sorted({*header.rates, *tapes[1].header.rates})),
        redactions=tuple(sorted({*header.redactions, *tapes[1].header.redactions})),
        note="merged of two tapes",
    )
    earliest_ns = min(0, shift_ns)
    index_of_tape_with_runs = int(len(tapes[1].runs) > 1)
    streams = [
        _read_with_times(path, moved_ns - earliest_ns, include_runs=tape_index == index_of_tape_with_runs)
        for tape_index, (path, moved_ns) in enumerate([(first, 0), (second, shift_ns)])
    ]
    if Lane.UPSTREAM in tapes[1].lanes:
        streams.reverse()  # Of two events at the same time, the one that was sent comes first.
    # The half of the client names the wire and the features that it lacks.
    client_run = next((tape.runs[0] for tape in tapes if tape.runs[0].wire), tapes[0].runs[0])
    runs = (
        replace(
            run,
            subject="relay",
            wire=client_run.wire,
            declaration=client_run.declaration,
            halves=halves,
            lacks=_remove_upstream(f"{run.lacks} {client_run.lacks}"),
        )
        for run in tapes[index_of_tape_with_runs].runs
    )
    openings = _Openings()
    with TapeWriter(out, merged) as writer:
        writer.write(next(runs))
        first_run_written = False
        for _, record in heapq.merge(*streams, key=lambda timed_record: timed_record[0]):
            if isinstance(record, TapedEvent):
                openings.note_opening(record)
                writer.write(record)
            elif first_run_written:
                writer.write(next(runs))
                for event in openings.events_of_open_sessions():
                    writer.write(event)
            else:
                # The record of the first run stands before earlier events of the other tape.
                first_run_written = True
    return shift_ns


class _Openings:
    """Remembers how each open upstream session was opened, for a run of merged tapes that begins while the
    session is open."""

    def __init__(self) -> None:
        self._requests_by_token: dict[str, TapedEvent] = {}
        self._events_by_connection: dict[str, list[TapedEvent]] = {}

    def note_opening(self, event: TapedEvent) -> None:
        """Keep an event if it shows how a session was opened: its token request, its opening or its
        handshake. Forget a session that ends. This serves the merging of tapes."""
        if event.kind == "TokenRequested":
            self._requests_by_token[str(event.fields["token"])] = event
        if event.lane is not Lane.UPSTREAM:
            return
        if event.kind in ("Closed", "Refused"):
            self._events_by_connection.pop(event.connection, None)
            return
        opening_events = self._events_by_connection.setdefault(event.connection, [])
        if len(opening_events) <= _HANDSHAKE_FRAMES:
            opening_events.append(event)

    def events_of_open_sessions(self) -> Iterator[TapedEvent]:
        """Yield the events that opened each session which is still open: its token request, if known, and its
        handshake. They are repeated in the next run of a merged tape."""
        for opening_events in self._events_by_connection.values():
            token_request = self._requests_by_token.get(str(opening_events[0].fields.get("token")))
            yield from [token_request, *opening_events] if token_request else opening_events


def _remove_upstream(lacks: str) -> str:
    """Return the names of the features in `lacks` without `upstream`, sorted and without repetitions: a
    merged tape has the upstream half."""
    return " ".join(sorted({*lacks.split()} - {UPSTREAM}))


@dataclass(frozen=True, slots=True)
class _TapeToMerge:
    """One of two tapes to merge: its runs and lanes, and when each payload was sent or arrived."""

    header: TapeHeader
    runs: list[TapedRun]
    lanes: frozenset[Lane]
    sent_ns_by_digest: dict[bytes, int]
    arrived_ns_by_digest: dict[bytes, int]

    @classmethod
    def read(cls, path: Path) -> "_TapeToMerge":
        """Read one of the tapes to merge, and return its header, runs and lanes, and when each motion payload
        was first sent or arrived. Raises UsageError if the tape holds no run."""
        runs: list[TapedRun] = []
        lanes: set[Lane] = set()
        sent_ns_by_digest: dict[bytes, int] = {}
        arrived_ns_by_digest: dict[bytes, int] = {}
        for record in read_records(path):
            if isinstance(record, TapedRun):
                runs.append(record)
                continue
            lanes.add(record.lane)
            for digest in _digest_payloads(record):
                if record.lane is Lane.UPSTREAM:
                    sent_ns_by_digest.setdefault(digest, record.at_ns)
                else:
                    arrived_ns_by_digest.setdefault(digest, record.at_ns)
        if not runs:
            raise UsageError(f"{path}: there is no run on it")
        return cls(read_header(path), runs, frozenset(lanes), sent_ns_by_digest, arrived_ns_by_digest)


def _find_shift(first: _TapeToMerge, second: _TapeToMerge) -> int:
    """Return how many nanoseconds to add to all times of the second tape when it is merged with the first. If
    payloads are on both tapes, the fastest of them then arrives at the moment when it was sent, and none
    earlier. If no payload is on both, the wall clocks in the two headers decide."""
    delays_to_first = [
        first.arrived_ns_by_digest[digest] - sent_ns
        for digest, sent_ns in second.sent_ns_by_digest.items()
        if digest in first.arrived_ns_by_digest
    ]
    if delays_to_first:  # The second tape is the sender's.
        return min(delays_to_first)
    delays_to_second = [
        second.arrived_ns_by_digest[digest] - sent_ns
        for digest, sent_ns in first.sent_ns_by_digest.items()
        if digest in second.arrived_ns_by_digest
    ]
    if delays_to_second:  # The first tape is the sender's.
        return -min(delays_to_second)
    return (second.header.recorded_unix_ms - first.header.recorded_unix_ms) * 1_000_000


def _digest_payloads(event: TapedEvent) -> Iterator[bytes]:
    """Yield a digest (a hash) of each motion payload in an event of a tape. Equal digests show that a payload
    is on both tapes to merge."""
    taped_contents = (value for value in event.fields.values() if isinstance(value, Content))
    piece_contents = (
        part.content
        for taped_content in taped_contents
        for part in taped_content.parts
        if isinstance(part, TapedPiece)
    )
    for piece_bytes in piece_contents:
        if isinstance(piece_bytes, bytes) and piece_bytes.startswith(_MOTION_START):
            yield hashlib.blake2b(piece_bytes, digest_size=16).digest()


def _read_with_times(path: Path, shift_ns: int, *, include_runs: bool) -> Iterator[tuple[int, Record]]:
    """Read one of the tapes to merge, and yield each event with its time, moved by `shift_ns` nanoseconds. If
    `include_runs` is true, also yield the record that begins each run, with the time of its first event. A
    run without events is left out."""
    pending_run: TapedRun | None = None
    for record in read_records(path):
        if isinstance(record, TapedRun):
            pending_run = record
            continue
        at_ns = record.at_ns + shift_ns
        if pending_run is not None and include_runs:
            yield at_ns, pending_run
        pending_run = None
        yield at_ns, record._replace(at_ns=at_ns)


def _read_with_run_numbers(path: Path) -> Iterator[tuple[int, Record]]:
    """Read the tape to cut, and yield each record with the number of its run: 1, 2, ... Records before the
    first run have number 0."""
    run_number = 0
    for record in read_records(path):
        run_number += isinstance(record, TapedRun)
        yield run_number, record


def require_other_file(out: Path, *tapes: Path) -> None:
    """Raise UsageError if `out`, the tape to write, is also one of the tapes to read."""
    if any(out.resolve() == tape.resolve() for tape in tapes):
        raise UsageError(f"{out} is read and cannot be written at once: name another file")
