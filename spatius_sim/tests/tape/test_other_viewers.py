"""A tape in other people's viewers keeps the laws of their formats, whatever the tape holds."""

import json
import os
from base64 import b64decode
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.jsonschema import DRAFT6

from spatius_sim.files.find_resources import resource
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tape.export_har import make_har
from spatius_sim.tape.export_perfetto import make_perfetto_trace
from spatius_sim.tape.import_export import export_har, export_perfetto
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.tape.samples import WHATS, trace_of
from spatius_sim.trace.events import Event, Lane, Trace

TAPES = sorted((resource("fixtures") / "tapes").glob("*.tape"))

_CHROMES_MESSAGE = {
    "type": "object",
    "required": ["type", "time", "opcode", "data"],
    "properties": {
        "type": {"enum": ["send", "receive"]},
        "time": {"type": "number", "minimum": 0},
        "opcode": {"enum": [1, 2]},
        "data": {"type": "string"},
    },
}
"""A message of a WebSocket, as Chrome writes it: HAR itself has none."""

_ANY_TIME = st.integers(0, 2**62)
_RUN = st.lists(st.sampled_from(WHATS), max_size=30)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """A run of any events, on few connections, at any times in order."""
    trace = trace_of(draw(_RUN))
    times = sorted(draw(st.lists(_ANY_TIME, min_size=len(trace.events), max_size=len(trace.events))))
    events = tuple(
        Event(event.seq, at_ns, event.lane, draw(st.sampled_from("ab")), event.content)
        for event, at_ns in zip(trace.events, times, strict=True)
    )
    return Trace(trace.header, events)


runs = st.lists(traces(), max_size=3)


def break_no_law_of_perfetto(document: dict[str, Any]) -> None:
    """Trace Event Format: known phases, times in order, slices of a track nest, an arrow has one beginning
    and one end, in this order, each within a slice of its track; every track is named."""
    events = document["traceEvents"]
    assert {event["ph"] for event in events} <= set("MXCsf")
    times = [event["ts"] for event in events if event["ph"] != "M"]
    assert times == sorted(times)
    assert all(isinstance(event[key], int) for event in events for key in ("pid", "tid", "ts"))
    named = {(event["pid"], event["tid"]) for event in events if event["name"] == "thread_name"}
    slices: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    arrows: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event["ph"] == "X":
            assert (event["pid"], event["tid"]) in named
            slices[event["pid"], event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        elif event["ph"] in "sf":
            arrows[event["id"]].append(event)
    for track in slices.values():
        assert all(end <= begin for (_, end), (begin, _) in pairwise(track))
    for ends in arrows.values():
        assert [event["ph"] for event in ends] == ["s", "f"]
        for event in ends:
            assert any(begin <= event["ts"] < end for begin, end in slices[event["pid"], event["tid"]])


@given(runs)
def test_any_run_keeps_the_laws_of_perfetto(given_runs: list[Trace]) -> None:
    document = make_perfetto_trace(given_runs)
    json.dumps(document)
    break_no_law_of_perfetto(document)
    told = [event["args"] for event in document["traceEvents"] if "seq" in event.get("args", {})]
    assert len(told) == sum(len(trace.events) for trace in given_runs)


@pytest.mark.parametrize("path", TAPES, ids=lambda path: path.stem)
def test_perfetto_holds_every_payload_and_an_arrow_to_each_that_was_passed_on(path: Path) -> None:
    given_runs = list(read_traces(path))
    document = make_perfetto_trace(given_runs)
    break_no_law_of_perfetto(document)
    sent = [
        event
        for trace in given_runs
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(getattr(event.content, "value", None), MotionResponse)
    ]
    played = [event for event in document["traceEvents"] if event.get("cat") == "motion"]
    assert len(played) == sum(len(event.content.value.keyframes) > 0 for event in sent)  # type: ignore[union-attr]
    if path.stem.startswith("wire-"):
        arrows = [event for event in document["traceEvents"] if event["ph"] == "s"]
        assert len(arrows) == len(sent) > 0


@pytest.fixture(scope="module")
def har_schemas() -> Validator:
    """The published JSON schemas of HAR 1.2, which npm installed where SPATIUS_SIM_NODE_MODULES says, and
    what Chrome adds for WebSockets. Without them the test is skipped, or fails where they are required."""
    folder = Path(os.environ.get("SPATIUS_SIM_NODE_MODULES", "nowhere")) / "har-schema" / "lib"
    schemas = {path.name: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}
    if not schemas:
        missing = "SPATIUS_SIM_NODE_MODULES names no folder with har-schema"
        if os.environ.get("SPATIUS_SIM_REQUIRE") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    registry: Registry[Any] = Registry().with_resources(
        (f"{name}#", DRAFT6.create_resource(schema)) for name, schema in schemas.items()
    )
    return jsonschema.Draft6Validator(schemas["har.json"], registry=registry)


def keeps_the_schema_of_har(har: dict[str, Any], published: Validator) -> None:
    published.validate(har)
    for entry in har["log"]["entries"]:
        assert entry["time"] >= 0
        for message in entry.get("_webSocketMessages", []):
            jsonschema.validate(message, _CHROMES_MESSAGE)


def test_the_schema_of_har_refuses_what_lacks_a_member(har_schemas: Validator) -> None:
    har = make_har(read_traces(TAPES[-1]), 0, "0")
    del har["log"]["entries"][0]["request"]["headersSize"]
    with pytest.raises(jsonschema.ValidationError, match="'headersSize' is a required property"):
        har_schemas.validate(har)


@given(given_runs=runs, start_ms=st.integers(0, 2**62))
def test_any_run_passes_the_schema_of_har(
    given_runs: list[Trace], start_ms: int, har_schemas: Validator
) -> None:
    har = make_har(given_runs, start_ms, "0")
    json.dumps(har)
    keeps_the_schema_of_har(har, har_schemas)
    started = [entry["startedDateTime"] for entry in har["log"]["entries"]]
    assert started == sorted(started)
    assert all(datetime.fromisoformat(text) for text in started)


@pytest.mark.parametrize("path", TAPES, ids=lambda path: path.stem)
def test_har_holds_every_frame_of_a_websocket(path: Path, har_schemas: Validator) -> None:
    given_runs = list(read_traces(path))
    har = make_har(given_runs, 0, "0")
    keeps_the_schema_of_har(har, har_schemas)
    frames = [
        event.content.raw
        for trace in given_runs
        for event in trace.events
        if hasattr(event.content, "raw")
        and getattr(event.content, "part", 0) == 0
        and event.lane is not Lane.EGRESS
    ]
    messages = [one for entry in har["log"]["entries"] for one in entry.get("_webSocketMessages", [])]
    told = [one["data"] if one["opcode"] == 1 else b64decode(one["data"]) for one in messages]
    assert sorted(map(repr, told)) == sorted(map(repr, frames))


def test_both_are_written_as_files(tmp_path: Path) -> None:
    tape = TAPES[-1]
    assert "traceEvents" in json.loads(export_perfetto(tape, tmp_path)[0].read_text("utf-8"))
    assert "log" in json.loads(export_har(tape, tmp_path)[0].read_text("utf-8"))
