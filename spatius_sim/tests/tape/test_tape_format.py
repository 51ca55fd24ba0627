"""Tapes: what was written is read back, and nothing short, damaged or hostile passes for a tape."""

import errno
import os
import random
import tempfile
import tracemalloc
from collections.abc import Callable
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.reader import TapeReader, open_tape, read_records
from spatius_sim.tape.recent_blobs import WINDOW_BYTES
from spatius_sim.tape.repair_tape import repair
from spatius_sim.tape.tape_sections import (
    BLOB,
    FOOTER,
    HEADER,
    RECORDS,
    IncompleteError,
    SectionWriter,
    TapeError,
)
from spatius_sim.tape.tape_values import Content, Record, TapedEvent, TapedPiece, TapedRun, TapeHeader
from spatius_sim.tape.traces_on_tapes import read_traces, write_traces
from spatius_sim.tape.writer import TapeWriter
from spatius_sim.tests.tape import tiny_reader
from spatius_sim.tests.tape.samples import KEPT, MOTION, WHATS, trace_of
from spatius_sim.trace.events import EventKind, Lane, Trace

HEAD = msgpack.packb({"format": "spatius-sim tape", "version": 1, "what": "suite"})
NO_FOOTER = {"runs": 0, "events": 0, "blobs": 0, "blob_bytes": 0, "last_ns": 0}


def all_of(path: Path) -> tuple[TapeHeader, list[Record]]:
    with open_tape(path) as file:
        reader = TapeReader(file, str(path))
        return reader.header, list(reader)


def written_by_hand(path: Path, *sections: tuple[bytes, bytes]) -> Path:
    with path.open("wb", buffering=0) as file:
        writer = SectionWriter(file)
        for kind, body in sections:
            writer.write(kind, body)
    return path


@given(st.lists(st.lists(st.sampled_from(WHATS), max_size=12), max_size=3))
def test_any_trace_is_read_back_as_it_was_written(runs: list[list[tuple[Lane, EventKind]]]) -> None:
    traces = [trace_of(whats) for whats in runs]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new" / "a.tape"
        write_traces(path, KEPT, traces)
        back = list(read_traces(path))
    assert [trace.header for trace in back] == [trace.header for trace in traces]
    assert [timeless(trace) for trace in back] == [timeless(trace) for trace in traces]
    for one, other in zip(back, traces, strict=True):
        values = [getattr(event.content, "value", None) for event in one.events]
        assert values == [getattr(event.content, "value", None) for event in other.events]


def timeless(trace: Trace) -> list[tuple[Lane, str, EventKind]]:
    return [(event.lane, event.connection, event.content) for event in trace.events]


plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20)
pieces = st.binary(min_size=64, max_size=300).map(TapedPiece)
contents = st.one_of(
    st.builds(
        lambda parts: Content(False, tuple(parts)),
        st.lists(st.binary(min_size=1, max_size=90) | pieces, max_size=5),
    ),
    st.builds(
        lambda parts: Content(True, tuple(parts)),
        st.lists(
            st.text(min_size=1, max_size=90)
            | st.builds(TapedPiece, st.binary(min_size=64, max_size=99), st.just(True)),
            max_size=5,
        ),
    ),
)
events = st.builds(
    TapedEvent,
    st.integers(0, 2**63),
    st.sampled_from(list(Lane)),
    st.text(max_size=20),
    st.text(max_size=20),
    st.dictionaries(st.text(max_size=9), plain | contents, max_size=4),
)
subjects = st.sampled_from(("relay", "server", "client"))
records = st.lists(events | st.builds(TapedRun, subjects, seed=st.integers(0, 9)), max_size=20)


@given(records)
def test_any_record_is_read_back_and_the_tiny_reader_agrees(stored: list[Record]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        with TapeWriter(path, KEPT) as writer:
            for record in stored:
                writer.write(record)
        header, back = all_of(path)
        tiny_header, tiny_records, footer = tiny_reader.read(path)
        assert list(read_records(path)) == back
    assert (header, back) == (KEPT, stored)
    assert tiny_header["seed"] == KEPT.seed
    assert [as_plain(record) for record in stored] == tiny_records
    assert footer["events"] == sum(isinstance(record, TapedEvent) for record in stored)


def as_plain(record: Record) -> list[Any]:
    if isinstance(record, TapedRun):
        return [
            "run",
            {
                name: getattr(record, name)
                for name in (
                    "subject",
                    "wire",
                    "seed",
                    "plan",
                    "kit_version",
                    "halves",
                    "lacks",
                    "fallback_wait",
                    "declaration",
                    "plan_token",
                )
            },
        ]
    fields = {
        name: value.join_parts() if isinstance(value, Content) else value
        for name, value in record.fields.items()
    }
    return ["event", record.at_ns, str(record.lane), record.connection, record.kind, fields]


def test_a_payload_that_occurs_again_is_stored_once(tmp_path: Path) -> None:
    write_traces(tmp_path / "once", KEPT, [trace_of(WHATS)])
    write_traces(tmp_path / "often", KEPT, [trace_of(WHATS * 20)])
    once = (tmp_path / "once").read_bytes()
    often = (tmp_path / "often").read_bytes()
    assert often.count(MOTION) == once.count(MOTION) == 1
    assert len(often) < 20 * len(once) / 2


def test_no_peer_can_know_by_what_a_writer_tells_payloads_apart(tmp_path: Path) -> None:
    digests: set[bytes] = set()
    for name in ("a.tape", "b.tape"):
        with TapeWriter(tmp_path / name, KEPT) as writer:
            writer.write(TapedEvent(0, Lane.UPSTREAM, "c", "Sent", {"raw": Content(False, (MOTION,))}))
            digests |= set(writer._blob_numbers)
    assert len(digests) == 2


def test_hours_are_written_and_read_in_constant_memory(tmp_path: Path) -> None:
    path, noise = tmp_path / "a.tape", random.Random(1)

    def peak(work: Callable[[], None]) -> int:
        tracemalloc.start()
        work()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    def write() -> None:
        with TapeWriter(path, KEPT) as writer:
            writer.write(TapedRun("relay"))
            for number in range(6000):
                content = Content(False, (TapedPiece(noise.randbytes(20_000)),))
                writer.write(TapedEvent(number, Lane.UPSTREAM, "c", "Received", {"raw": content}))

    def read() -> None:
        assert sum(1 for _ in read_records(path)) == 6001

    assert peak(write) < 8_000_000
    assert peak(read) < 8_000_000
    assert path.stat().st_size > 6000 * 20_000


def test_what_was_stored_long_ago_is_read_again_and_stored_again_after_the_window(tmp_path: Path) -> None:
    path, noise = tmp_path / "a.tape", random.Random(1)
    repeated = noise.randbytes(20_000)
    often = Content(False, (TapedPiece(repeated),))
    stored: list[Record] = []
    with TapeWriter(path, KEPT) as writer:
        for number in range(2 * WINDOW_BYTES // 20_000):
            once = Content(False, (TapedPiece(noise.randbytes(20_000)),))
            stored.append(TapedEvent(number, Lane.UPSTREAM, "c", "Received", {"raw": once}))
            if number % 400 == 0:
                stored.append(TapedEvent(number, Lane.UPSTREAM, "c", "Received", {"raw": often}))
        for record in stored:
            writer.write(record)
    assert 2 <= path.read_bytes().count(repeated) <= 5
    assert all(read == wrote for read, wrote in zip(read_records(path), stored, strict=True))


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "a.tape"
    write_traces(path, KEPT, [trace_of(WHATS)])
    return path


def test_a_tape_cut_off_anywhere_is_told_with_its_place(written: Path) -> None:
    whole = written.read_bytes()
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        with pytest.raises(TapeError, match=r"a\.tape: byte \d+: ") as told:
            list(read_traces(written))
        assert told.value.offset <= length
        assert isinstance(told.value, IncompleteError) is (length > 0)


def test_a_flipped_byte_is_told_with_its_place(written: Path) -> None:
    whole = written.read_bytes()
    for place in range(len(whole)):
        for flip in (1, 0x80, 0xFF):
            written.write_bytes(whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            with pytest.raises(TapeError, match=r"a\.tape: byte \d+: ") as told:
                list(read_traces(written))
            assert told.value.offset <= place


@given(st.binary(max_size=300))
def test_bytes_from_anywhere_are_no_tape(junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tape"
        for raw in (junk, b"\x93\xa4TAPE" + junk):
            path.write_bytes(raw)
            with pytest.raises(TapeError):
                list(read_traces(path))
        for body in (junk, HEAD[:-5] + junk):
            written_by_hand(path, (HEADER, body))
            with pytest.raises(TapeError):
                list(read_traces(path))
        for kind in (RECORDS, FOOTER, HEADER):
            written_by_hand(path, (HEADER, HEAD), (kind, junk))
            with pytest.raises(TapeError):
                list(read_traces(path))


EVENT = ["event", 0, "upstream", "c", "Closed", {"by_kit": True, "code": 1000}]


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([["event", 0, "nowhere", "c", "Closed", {}]], "neither a run nor an event"),
        ([["event", 0, "upstream", "c" * 300, "Closed", {}]], "name is too long"),
        ([["event", 0, "upstream", "c", "Closed", {"code": [False, 7]}]], "blob 7"),
        ([["event", 0, "upstream", "c", "Closed", {"code": [7]}]], "a field is a list"),
        ([["event", 0, "upstream", "c", "Closed", {"code": [False] + [b""] * 300}]], "a field is"),
        ([["event", 0, "upstream", "c", "Closed", {"code": [False, "text"]}]], "a part of a frame"),
        ([["event", 0, "upstream", "c", "Closed", {"code": [False, True]}]], "no number"),
        ([["event", 0, "upstream", "c", "Closed", {"code": [True, [[1]]]}]], "a part of a frame is"),
        (
            [["event", 0, "upstream", "c", "C", {"x": [False, {"length": -1, "hash": b"", "levels": b""}]}]],
            "impossible length",
        ),
        (
            [
                [
                    "event",
                    0,
                    "upstream",
                    "c",
                    "C",
                    {"x": [False, {"length": 2, "hash": b"0" * 16, "levels": b"0" * 9}]},
                ]
            ],
            "more levels",
        ),
        ([["run", {"subject": 1}]], "'subject' is a int"),
        ([["run", {}]], "'subject' is missing"),
        ([["run", {"wire": "json-envelope"}]], "'subject' is missing"),
        ([["run", {"subject": "camera"}]], "subject 'camera'"),
        ([["run", {"subject": "relay", "halves": "none"}]], "halves 'none'"),
        ([["run", {"subject": "relay", "path": "/etc"}]], "'path' is not known"),
        ([["run", {"subject": "relay"}], ["event", 0, "kit", "", "Nonsense", {}]], "Nonsense"),
        ([["run", {"subject": "relay"}], ["event", 0, "kit", "", "Closed", {"code": "x"}]], "code is a str"),
        ([["run", {"subject": "relay"}], ["event", 0, "kit", "", "Closed", {"size": 1}]], "no field 'size'"),
        ([["run", {"subject": "relay"}], ["event", 0, "kit", "", "Closed", {}]], "missing"),
        ([["run", {"subject": "relay", "wire": "smoke"}], EVENT], "no wire is named"),
        ([EVENT], "before the first run"),
        ([["run", {"subject": "relay"}], EVENT], "the footer says"),
    ],
)
def test_what_no_writer_has_written_is_refused(tmp_path: Path, records: list[Any], reason: str) -> None:
    path = written_by_hand(
        tmp_path / "a.tape",
        (HEADER, HEAD),
        (RECORDS, msgpack.packb([0, [], records])),
        (FOOTER, msgpack.packb(NO_FOOTER)),
    )
    with pytest.raises(UsageError, match=r"a\.tape: ") as told:
        list(read_traces(path))
    assert reason in str(told.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x90" * 1_000_000, "no MessagePack"),
        (b"\x93\x00\x90\xdd\x00\x0f\xff\xf0" + b"\x90" * 0xFFFF0, "neither a run nor an event"),
        (b"\x91" * 1_000_000, "no MessagePack"),
        (b"\xdd\xff\xff\xff\xff", "no MessagePack"),
        (b"\xc6\xff\xff\xff\xff", "no MessagePack"),
        (b"\xdf\xff\xff\xff\xff", "no MessagePack"),
        (b"\xc1", "no MessagePack"),
        (b"\x91\xc7\x05\x01hello", "no MessagePack"),
        (b"\xc0", "not an array"),
        (b"\x90", "not an array"),
        (b"\x93\xc3\x90\x90", "not an array"),
        (b"\x93\x00\x91\x00\x90", "not binary"),
    ],
)
def test_a_bomb_is_refused_in_bounded_memory(tmp_path: Path, body: bytes, reason: str) -> None:
    path = written_by_hand(tmp_path / "a.tape", (HEADER, HEAD), (RECORDS, body))
    tracemalloc.start()
    with pytest.raises(TapeError, match=reason) as told:
        list(read_traces(path))
    assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()
    assert told.value.offset == 20 + len(HEAD)


@pytest.mark.parametrize("length", [2**20 + 1, 2**32 - 1])
def test_a_huge_section_is_refused_before_it_is_read(tmp_path: Path, length: int) -> None:
    path = written_by_hand(tmp_path / "a.tape", (HEADER, HEAD))
    path.write_bytes(path.read_bytes() + b"\x93\xa4DATA\xcf" + bytes(8) + b"\xc6" + length.to_bytes(4, "big"))
    with pytest.raises(TapeError, match="larger than any is"):
        list(read_traces(path))


def test_other_files_and_other_versions_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    for version in (0, 2, "1", None):
        written_by_hand(path, (HEADER, msgpack.packb({"format": "spatius-sim tape", "version": version})))
        with pytest.raises(TapeError, match="tape format"):
            list(read_traces(path))
    for wrong in ({"rates": ["x"]}, {"redactions": [1]}, {"seed": "x"}, {"folder": "x"}, {"seed": True}):
        head = {"format": "spatius-sim tape", "version": 1, "what": "suite"} | wrong
        written_by_hand(path, (HEADER, msgpack.packb(head)))
        with pytest.raises(TapeError, match=next(iter(wrong))[:4]):
            list(read_traces(path))
    written_by_hand(path, (HEADER, msgpack.packb({"format": "spatius-sim tape", "version": 1, "seed": 1})))
    with pytest.raises(TapeError, match="'what' is missing"):
        list(read_traces(path))
    written_by_hand(path, (HEADER, msgpack.packb({"format": "else", "version": 1})))
    with pytest.raises(TapeError, match="this is not a tape"):
        list(read_traces(path))
    written_by_hand(path, (RECORDS, msgpack.packb([])))
    with pytest.raises(TapeError, match="not a header"):
        list(read_traces(path))
    for missing in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match="no such file"):
            list(read_traces(missing))


def test_what_follows_the_footer_is_an_error(written: Path) -> None:
    written.write_bytes(written.read_bytes() + b"x")
    with pytest.raises(TapeError, match="something follows"):
        list(read_traces(written))


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where a folder should be")
    with pytest.raises(UsageError, match="cannot be written"):
        write_traces(tmp_path / "reports" / "a.tape", KEPT, [])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no full disk to offer")
def test_a_full_disk_is_told() -> None:
    with pytest.raises(UsageError, match="No space left"):
        write_traces(Path("/dev/full"), KEPT, [trace_of(WHATS)])


# Repair.


def many(path: Path, count: int = 60) -> list[Record]:
    noise = random.Random(2)
    stored: list[Record] = [TapedRun("relay", "json-envelope", halves="both")]
    with TapeWriter(path, KEPT) as writer:
        for number in range(count):
            content = Content(False, (TapedPiece(noise.randbytes(200_000 if number % 20 == 9 else 2_000)),))
            stored.append(TapedEvent(number, Lane.UPSTREAM, "c", "Received", {"raw": content}))
        for record in stored:
            writer.write(record)
            writer.flush()
    return stored


def sections_of(raw: bytes) -> list[int]:
    places = [0]
    while places[-1] < len(raw):
        places.append(places[-1] + 20 + int.from_bytes(raw[places[-1] + 16 : places[-1] + 20], "big"))
    return places


class OfABrokenDisk(FileIO):
    """The file of a tape, of which some bytes cannot be read."""

    def __init__(self, path: Path, first_bad_byte: int) -> None:
        super().__init__(path)
        self._first_bad_byte = first_bad_byte

    def read(self, size: int | None = -1, /) -> bytes:
        self._check(size or 0)
        return super().read(size)

    def readinto(self, buffer: Any, /) -> int:
        self._check(len(buffer))
        return super().readinto(buffer)

    def _check(self, size: int) -> None:
        if self.tell() + size > self._first_bad_byte:
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_disk_that_cannot_be_read_is_told_with_the_place(written: Path) -> None:
    for first_bad_byte in range(written.stat().st_size):
        with (
            OfABrokenDisk(written, first_bad_byte) as file,
            pytest.raises(TapeError, match=r"it cannot be read on: Input/output error"),
        ):
            list(TapeReader(file, "a.tape"))


def test_repair_saves_all_that_is_whole_of_a_tape_that_broke_off(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tape", tmp_path / "b.tape"
    stored = many(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    repaired = repair(path, out)
    assert len(repaired.damage) == 1
    header, saved = all_of(out)
    assert saved == stored[: len(saved)]
    assert len(saved) >= len(stored) - 1
    assert header.note.startswith("repaired")
    assert repaired.events == len(saved) - 1


def test_repair_leaves_out_what_is_damaged_and_what_refers_to_it(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tape", tmp_path / "b.tape"
    stored = many(path)
    whole = path.read_bytes()
    for start, end in list(pairwise(sections_of(whole)))[1:-1:7]:
        place = (start + 20 + end) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        repaired = repair(path, out)
        saved = all_of(out)[1]
        assert [record for record in saved if record not in stored] == []
        assert len(stored) - 2 <= len(saved) < len(stored)
        assert f"byte {start}" in repaired.damage[0]


def test_repair_stops_where_no_section_can_be_found(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tape", tmp_path / "b.tape"
    stored = many(path)
    whole = path.read_bytes()
    start = sections_of(whole)[len(sections_of(whole)) // 2]
    path.write_bytes(whole[:start] + b"\0" + whole[start + 1 :])
    repaired = repair(path, out)
    saved = all_of(out)[1]
    assert saved == stored[: len(saved)]
    assert 20 < len(saved) < 40
    assert "no section" in repaired.damage[0]


def test_repair_of_a_whole_tape_changes_nothing_and_of_no_tape_is_an_error(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tape", tmp_path / "b.tape"
    stored = many(path)
    assert repair(path, out).damage == ()
    assert all_of(out)[1] == stored
    path.write_bytes(b"junk")
    with pytest.raises(TapeError, match="not a tape"):
        repair(path, out)


@pytest.mark.parametrize("second", [0, 1])
def test_numbers_of_blobs_rise(tmp_path: Path, second: int) -> None:
    first = msgpack.packb([0, [b"frame", b"another"], []])
    path = written_by_hand(
        tmp_path / "a.tape",
        (HEADER, HEAD),
        (RECORDS, first),
        (RECORDS, msgpack.packb([second, [b"x"], []])),
    )
    with pytest.raises(TapeError, match=f"blob {second} comes after blob 1"):
        list(read_traces(path))


def test_a_blob_section_stands_for_its_number(tmp_path: Path) -> None:
    event = ["event", 5, "upstream", "c", "Received", {"raw": [False, 0]}]
    path = written_by_hand(
        tmp_path / "a.tape",
        (HEADER, HEAD),
        (BLOB, (0).to_bytes(8, "big") + b"frame"),
        (RECORDS, msgpack.packb([1, [], [["run", {"subject": "server"}], event]])),
        (FOOTER, msgpack.packb({"runs": 1, "events": 1, "blobs": 1, "blob_bytes": 5, "last_ns": 5})),
    )
    (trace,) = read_traces(path)
    assert getattr(trace.events[0].content, "raw", b"") == b"frame"
