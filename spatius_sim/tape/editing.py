"""Cuts a piece out of a tape, and merges what a relay and its client saw of the same conversation."""

import hashlib
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.contents import Content, Record, Run, TapedEvent, TapedPiece, TapeHeader
from spatius_sim.tape.reader import header_of, records_of
from spatius_sim.tape.writer import TapeWriter
from spatius_sim.trace.events import Lane
from spatius_sim.wires.features import UPSTREAM

_ALWAYS = ("TokenRequested", "SecretKnown", "Opened")
_HANDSHAKE_FRAMES = 2
_MOTION = b"\x08\x05"


@dataclass(frozen=True, slots=True)
class TapeSlice:
    """What is to be cut out: nanoseconds of the tape (`until_ns` None: to its end), a run (1, 2, ...; 0:
    all) and connections (none: all)."""

    from_ns: int = 0
    until_ns: int | None = None
    run: int = 0
    connections: frozenset[str] = frozenset()

    def holds(self, run: int, event: TapedEvent) -> bool:
        """Whether the event belongs to the piece."""
        return (
            (not self.run or run == self.run)
            and self.from_ns <= event.at_ns
            and (self.until_ns is None or event.at_ns < self.until_ns)
            and (not self.connections or not event.connection or event.connection in self.connections)
        )


def cut(path: Path, out: Path, piece: TapeSlice) -> int:
    """Write a piece of a tape to `out`; how many events it has. The handshake of every connection in it
    comes along. Raises UsageError where nothing is in it, and where `out` is the tape itself."""
    apart(out, path)
    needed: set[tuple[int, str]] = set()
    for run, record in _numbered(path):
        if isinstance(record, TapedEvent) and piece.holds(run, record):
            needed.add((run, record.connection))
    if not needed:
        raise UsageError(f"{path}: nothing of it lies in that piece")
    events = 0
    frames: dict[tuple[int, str], int] = {}
    header = replace(header_of(path), note=f"cut out of a tape of {header_of(path).what}")
    with TapeWriter(out, header) as writer:
        for run, record in _numbered(path):
            if isinstance(record, Run):
                if not piece.run or run == piece.run:
                    writer.write(record)
                continue
            key = (run, record.connection)
            frames[key] = frames.get(key, 0) + (record.kind in ("Sent", "Received"))
            opening = record.kind in _ALWAYS or (record.kind != "Closed" and frames[key] <= _HANDSHAKE_FRAMES)
            before = record.at_ns < piece.from_ns and opening and (key in needed or not record.connection)
            if piece.holds(run, record) or (before and (not piece.run or run == piece.run)):
                writer.write(record)
                events += 1
    return events


def merge(first: Path, second: Path, out: Path) -> int:
    """Write what both tapes saw of the same time to `out`, on the first one's clock; by how many nanoseconds
    the second was moved. One of them may hold several runs: what the other saw then belongs to the run in
    which it happened. No payload arrives before it was sent; where none is on both tapes, the wall clocks
    in their headers are believed. Raises UsageError for tapes that are no two halves of one time."""
    apart(out, first, second)
    sides = [_Side.of(first), _Side.of(second)]
    common = sides[0].lanes & sides[1].lanes - {Lane.KIT, Lane.DECODER}
    if common:
        raise UsageError(f"{first} and {second} both hold the {min(common)} half: two halves are needed")
    if all(len(side.runs) > 1 for side in sides):
        raise UsageError(f"{first} and {second} both hold several runs: `tape cut --run` takes one out")
    shift = _shift(*sides)
    halves = "both" if {Lane.UPSTREAM, Lane.DOWNSTREAM} <= sides[0].lanes | sides[1].lanes else "upstream"
    header = sides[0].header
    merged = replace(
        header,
        rates=tuple(sorted({*header.rates, *sides[1].header.rates})),
        redactions=tuple(sorted({*header.redactions, *sides[1].header.redactions})),
        note="merged of two tapes",
    )
    earliest = min(0, shift)
    leader = int(len(sides[1].runs) > 1)
    streams = [
        _stamped(path, moved - earliest, runs=rank == leader)
        for rank, (path, moved) in enumerate([(first, 0), (second, shift)])
    ]
    if Lane.UPSTREAM in sides[1].lanes:
        streams.reverse()  # At the same time, what was sent comes before what arrived.
    # The client's half names the wire, and what it lacks.
    told = next((side.runs[0] for side in sides if side.runs[0].wire), sides[0].runs[0])
    runs = (
        replace(
            run,
            subject="relay",
            wire=told.wire,
            declaration=told.declaration,
            halves=halves,
            lacks=_without_upstream(f"{run.lacks} {told.lacks}"),
        )
        for run in sides[leader].runs
    )
    openings = _Openings()
    with TapeWriter(out, merged) as writer:
        writer.write(next(runs))
        begun = False
        for _, record in heapq.merge(*streams, key=lambda stamped: stamped[0]):
            if isinstance(record, TapedEvent):
                openings.note(record)
                writer.write(record)
            elif begun:
                writer.write(next(runs))
                for event in openings.still_open():
                    writer.write(event)
            else:
                begun = True  # Its record stands before whatever the other tape saw earlier.
    return shift


class _Openings:
    """How every upstream session that is open was opened, for a run that finds it so."""

    def __init__(self) -> None:
        self._tokens: dict[str, TapedEvent] = {}
        self._sessions: dict[str, list[TapedEvent]] = {}

    def note(self, event: TapedEvent) -> None:
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
        for opening in self._sessions.values():
            token = self._tokens.get(str(opening[0].fields.get("token")))
            yield from [token, *opening] if token else opening


def _without_upstream(lacks: str) -> str:
    return " ".join(sorted({*lacks.split()} - {UPSTREAM}))


@dataclass(frozen=True, slots=True)
class _Side:
    header: TapeHeader
    runs: list[Run]
    lanes: frozenset[Lane]
    sent: dict[bytes, int]
    arrived: dict[bytes, int]

    @classmethod
    def of(cls, path: Path) -> "_Side":
        runs: list[Run] = []
        lanes: set[Lane] = set()
        sent: dict[bytes, int] = {}
        arrived: dict[bytes, int] = {}
        for record in records_of(path):
            if isinstance(record, Run):
                runs.append(record)
                continue
            lanes.add(record.lane)
            for digest in _payloads(record):
                times = sent if record.lane is Lane.UPSTREAM else arrived
                times.setdefault(digest, record.at_ns)
        if not runs:
            raise UsageError(f"{path}: there is no run on it")
        return cls(header_of(path), runs, frozenset(lanes), sent, arrived)


def _shift(first: _Side, second: _Side) -> int:
    """What must be added to the times of the second tape."""
    delays = [first.arrived[digest] - at for digest, at in second.sent.items() if digest in first.arrived]
    if delays:
        return min(delays)
    delays = [second.arrived[digest] - at for digest, at in first.sent.items() if digest in second.arrived]
    if delays:
        return -min(delays)
    return (second.header.recorded_unix_ms - first.header.recorded_unix_ms) * 1_000_000


def _payloads(event: TapedEvent) -> Iterator[bytes]:
    contents = (value for value in event.fields.values() if isinstance(value, Content))
    pieces = (part.content for content in contents for part in content.parts if isinstance(part, TapedPiece))
    for piece in pieces:
        if isinstance(piece, bytes) and piece.startswith(_MOTION):
            yield hashlib.blake2b(piece, digest_size=16).digest()


def _stamped(path: Path, shift: int, *, runs: bool) -> Iterator[tuple[int, Record]]:
    """Every event with its time, and every run, if `runs`, with that of its first event."""
    begun: Run | None = None
    for record in records_of(path):
        if isinstance(record, Run):
            begun = record
            continue
        at_ns = record.at_ns + shift
        if begun is not None and runs:
            yield at_ns, begun
        begun = None
        yield at_ns, record._replace(at_ns=at_ns)


def _numbered(path: Path) -> Iterator[tuple[int, Record]]:
    run = 0
    for record in records_of(path):
        run += isinstance(record, Run)
        yield run, record


def apart(out: Path, *tapes: Path) -> None:
    """Raises UsageError where `out` is one of the tapes that are read."""
    if any(out.resolve() == tape.resolve() for tape in tapes):
        raise UsageError(f"{out} is read and cannot be written at once: name another file")
