"""Cuts a piece out of a tape, and merges what a relay and its client saw of the same conversation."""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.reader import header_of, records_of
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
    run: int = 0
    connections: frozenset[str] = frozenset()

    def contains(self, run: int, event: TapedEvent) -> bool:
        """Return whether this slice of the tape contains an event of run number `run`: by its run (0: every
        run), its time, and its connection (if none is named: every connection)."""
        return (
            (not self.run or run == self.run)
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
    for run, record in _with_run_numbers(path):
        if isinstance(record, TapedEvent) and tape_slice.contains(run, record):
            needed.add((run, record.connection))
    if not needed:
        raise UsageError(f"{path}: nothing of it lies in that piece")
    events = 0
    frame_counts: dict[tuple[int, str], int] = {}
    header = replace(header_of(path), note=f"cut out of a tape of {header_of(path).what}")
    with TapeWriter(out, header) as writer:
        for run, record in _with_run_numbers(path):
            if isinstance(record, TapedRun):
                if not tape_slice.run or run == tape_slice.run:
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
                opens_before_slice and (not tape_slice.run or run == tape_slice.run)
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
    sides = [_Side.read(first), _Side.read(second)]
    common_lanes = sides[0].lanes & sides[1].lanes - {Lane.KIT, Lane.DECODER}
    if common_lanes:
        raise UsageError(
            f"{first} and {second} both hold the {min(common_lanes)} half: two halves are needed"
        )
    if all(len(side.runs) > 1 for side in sides):
        raise UsageError(f"{first} and {second} both hold several runs: `tape cut --run` takes one out")
    shift_ns = _find_shift(*sides)
    halves = "both" if {Lane.UPSTREAM, Lane.DOWNSTREAM} <= sides[0].lanes | sides[1].lanes else "upstream"
    header = sides[0].header
    merged = replace(
        header,
        rates=tuple(sorted({*header.rates, *sides[1].header.rates})),
        redactions=tuple(sorted({*header.redactions, *sides[1].header.redactions})),
        note="merged of two tapes",
    )
    earliest_ns = min(0, shift_ns)
    side_with_runs = int(len(sides[1].runs) > 1)
    streams = [
        _with_times(path, moved_ns - earliest_ns, runs=side_number == side_with_runs)
        for side_number, (path, moved_ns) in enumerate([(first, 0), (second, shift_ns)])
    ]
    if Lane.UPSTREAM in sides[1].lanes:
        streams.reverse()  # Of two events at the same time, the one that was sent comes first.
    # The half of the client names the wire and the features that it lacks.
    client_run = next((side.runs[0] for side in sides if side.runs[0].wire), sides[0].runs[0])
    runs = (
        replace(
            run,
            subject="relay",
            wire=client_run.wire,
            declaration=client_run.declaration,
            halves=halves,
            lacks=_remove_upstream(f"{run.lacks} {client_run.lacks}"),
        )
        for run in sides[side_with_runs].runs
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
                for event in openings.still_open():
                    writer.write(event)
            else:
                # The record of the first run stands before earlier events of the other tape.
                first_run_written = True
    return shift_ns


class _Openings:
    """Remembers how each open upstream session was opened, for a run of merged tapes that begins while the
    session is open."""

    def __init__(self) -> None:
        self._tokens: dict[str, TapedEvent] = {}
        self._sessions: dict[str, list[TapedEvent]] = {}

    def note_opening(self, event: TapedEvent) -> None:
        """While tapes are merged, remember an event that belongs to the opening of a session: its token
        request or its handshake. Forget a session that ends."""
        if event.kind == "TokenRequested":
            self._tokens[str(event.fields["token"])] = event
        if event.lane is not Lane.UPSTREAM:
            return
        if event.kind in ("Closed", "Refused"):
            self._sessions.pop(event.connection, None)
            return
        opening = self._sessions.setdefault(event.connection, [])
        if len(opening) <= _HANDSHAKE_FRAMES:
            opening.append(event)

    def still_open(self) -> Iterator[TapedEvent]:
        """Yield the token request and the handshake of each session that is open, to repeat them in the next
        run of a merged tape."""
        for opening in self._sessions.values():
            token = self._tokens.get(str(opening[0].fields.get("token")))
            yield from [token, *opening] if token else opening


def _remove_upstream(lacks: str) -> str:
    """Return the names of the features in `lacks` without `upstream`, sorted and without repetitions: a
    merged tape has the upstream half."""
    return " ".join(sorted({*lacks.split()} - {UPSTREAM}))


@dataclass(frozen=True, slots=True)
class _Side:
    """One of two tapes to merge: its runs and lanes, and when each payload was sent or arrived."""

    header: TapeHeader
    runs: list[TapedRun]
    lanes: frozenset[Lane]
    sent: dict[bytes, int]
    arrived: dict[bytes, int]

    @classmethod
    def read(cls, path: Path) -> "_Side":
        """Read one of the tapes to merge, and return what is on it. Raises UsageError if the tape holds no
        run."""
        runs: list[TapedRun] = []
        lanes: set[Lane] = set()
        sent: dict[bytes, int] = {}
        arrived: dict[bytes, int] = {}
        for record in records_of(path):
            if isinstance(record, TapedRun):
                runs.append(record)
                continue
            lanes.add(record.lane)
            for digest in _digest_payloads(record):
                times = sent if record.lane is Lane.UPSTREAM else arrived
                times.setdefault(digest, record.at_ns)
        if not runs:
            raise UsageError(f"{path}: there is no run on it")
        return cls(header_of(path), runs, frozenset(lanes), sent, arrived)


def _find_shift(first: _Side, second: _Side) -> int:
    """Return how many nanoseconds must be added to the times of the second tape to merge it with the first,
    so that no payload arrives before it was sent. Without a common payload the wall clocks in the headers
    decide."""
    delays = [
        first.arrived[digest] - sent_ns for digest, sent_ns in second.sent.items() if digest in first.arrived
    ]
    if delays:
        return min(delays)
    delays = [
        second.arrived[digest] - sent_ns for digest, sent_ns in first.sent.items() if digest in second.arrived
    ]
    if delays:
        return -min(delays)
    return (second.header.recorded_unix_ms - first.header.recorded_unix_ms) * 1_000_000


def _digest_payloads(event: TapedEvent) -> Iterator[bytes]:
    """Yield a digest of each motion payload in an event of a tape, by which two tapes to merge are
    compared."""
    field_contents = (value for value in event.fields.values() if isinstance(value, Content))
    contents = (
        part.content for content in field_contents for part in content.parts if isinstance(part, TapedPiece)
    )
    for content in contents:
        if isinstance(content, bytes) and content.startswith(_MOTION_START):
            yield hashlib.blake2b(content, digest_size=16).digest()


def _with_times(path: Path, shift_ns: int, *, runs: bool) -> Iterator[tuple[int, Record]]:
    """Yield every event of one of the tapes that are merged, with its time, moved by `shift_ns` nanoseconds.
    If `runs`, also yield every run of the tape, with the time of the run's first event."""
    pending_run: TapedRun | None = None
    for record in records_of(path):
        if isinstance(record, TapedRun):
            pending_run = record
            continue
        at_ns = record.at_ns + shift_ns
        if pending_run is not None and runs:
            yield at_ns, pending_run
        pending_run = None
        yield at_ns, record._replace(at_ns=at_ns)


def _with_run_numbers(path: Path) -> Iterator[tuple[int, Record]]:
    """Yield every record of the tape to cut with the number of its run: 1, 2, ...; 0 for records before the
    first run."""
    run = 0
    for record in records_of(path):
        run += isinstance(record, TapedRun)
        yield run, record


def require_other_file(out: Path, *tapes: Path) -> None:
    """Raise UsageError if `out`, the tape to write, is also one of the tapes to read."""
    if any(out.resolve() == tape.resolve() for tape in tapes):
        raise UsageError(f"{out} is read and cannot be written at once: name another file")
