"""What a player page knows of a tape: every event, each payload once, and what the client shows and why."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatius_sim.files.find_resources import resource
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.player import runs_to_player_data as building
from spatius_sim.reporting.player.avatar_playback import AUDIO_ONLY, IDLE, MOVING, STARVED
from spatius_sim.reporting.player.curves import CHANNELS, RANGES, Payloads
from spatius_sim.reporting.player.player_data_to_json import MAX_WORDS
from spatius_sim.reporting.player.runs_to_player_data import build_failure, build_player
from spatius_sim.reporting.timeline.build_timeline import build_timeline
from spatius_sim.reporting.timeline.timeline import Mark, MarkKind
from spatius_sim.tape.traces_on_tapes import read_damaged_traces, read_traces
from spatius_sim.tests.corpus import SMALLEST
from spatius_sim.tests.corpus.scenes import Scene
from spatius_sim.tests.reporting.hostile import ATTACKS
from spatius_sim.tests.rules.traces import Dialogue, req_of
from spatius_sim.trace.events import (
    Event,
    EventKind,
    Excuse,
    Injected,
    KitStalled,
    Lane,
    Opened,
    Trace,
    TraceHeader,
)

TAPES = resource("fixtures") / "tapes"


def traces_of(name: str) -> list[Trace]:
    return list(read_traces(TAPES / f"{name}.tape"))


@pytest.mark.parametrize("path", sorted(TAPES.glob("*.tape")), ids=lambda path: path.stem)
def test_every_tape_has_all_its_events_in_order(path: Path) -> None:
    traces = list(read_traces(path))
    values = build_player(traces, path.name)
    json.dumps(values)
    at = values["events"]["at"]
    assert at == sorted(at)
    if traces[0].header.subject != "client":
        assert len(at) >= sum(len(trace.events) for trace in traces)
    assert values["end"] >= max(at)
    assert all(client["at"] == sorted(client["at"]) for client in values["clients"])


def test_a_payload_that_was_passed_on_is_stored_once() -> None:
    values = build_player(traces_of("wire-json-envelope"), "a")
    assert len(values["payloads"]["starts"]) == len(values["server"]) == 4
    curves = b64decode(values["payloads"]["curves"])
    assert len(curves) == values["payloads"]["keyframes"] * len(CHANNELS)


def test_the_jaw_that_is_kept_is_the_jaw_that_came() -> None:
    payloads = Payloads()
    keyframes = np.zeros((3, WIDTH), np.float32)
    keyframes[:, 9] = (0.0, 0.05, np.nan)
    assert (payloads.add(b"one", keyframes), payloads.add(b"one", keyframes)) == (0, 0)
    jaws = np.frombuffer(payloads.curves(), np.uint8)[:3] / 255 * RANGES[0][1]
    assert np.abs(jaws - (0.0, 0.05, 0.0)).max() < 0.0005


def test_a_discarded_payload_leaves_the_face_still_and_is_named() -> None:
    (client,) = build_player(traces_of("fails-C-MISMATCH"), "a")["clients"]
    assert set(client["keyframe"]) == {-1}
    assert set(client["status"]) == {IDLE, STARVED}
    assert "the client discarded motion: mismatched id" in client["causes"]


def test_after_motion_server_died_the_client_plays_audio_only_and_says_why() -> None:
    (client,) = build_player(traces_of("scene-Motion-Server-dies"), "a")["clients"]
    assert MOVING in client["status"]
    assert AUDIO_ONLY in client["status"]
    assert any("Motion Server dies" in cause for cause in client["causes"])


def test_sound_is_in_the_page_only_on_demand() -> None:
    for sound in (True, False):
        (client,) = build_player(traces_of("wire-json-envelope"), "a", sound=sound)["clients"]
        assert all(bool(one["pcm"]) is sound for one in client["conversations"])


def test_what_is_more_than_a_page_can_show_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MAX_EVENTS", 10)
    values = build_player(traces_of("wire-json-envelope"), "a")
    assert any("tape cut" in notice for notice in values["notices"])
    assert len(values["events"]["at"]) <= 12


def test_two_runs_stand_after_one_another_whatever_their_clocks_say() -> None:
    header = TraceHeader("relay", "json-envelope", 1, "", "0")
    fault = Injected("late", Excuse.NOTHING)
    runs = [Trace(header, (Event(0, begin, Lane.KIT, "", fault),)) for begin in (10**15, 10**15, 9 * 10**15)]
    values = build_player([*runs, Trace(header, ())], "a")
    assert [run["at"] for run in values["runs"]] == [0, 500, 1000]
    assert values["notices"] == [
        "This tape holds no motion: the face stays still.",
        "This tape holds no speech.",
    ]


def test_a_tape_of_hours_ends_after_one_and_says_so() -> None:
    header = TraceHeader("relay", "json-envelope", 1, "", "0")
    faults = (Injected("late", Excuse.NOTHING), Injected("later", Excuse.NOTHING))
    hours = tuple(Event(n, n * 7200 * 10**9, Lane.KIT, "client-1", fault) for n, fault in enumerate(faults))
    values = build_player([Trace(header, hours)], "a")
    assert len(values["events"]["at"]) == 1
    assert any("tape cut" in notice for notice in values["notices"])


def test_an_empty_tape_says_so() -> None:
    values = build_player([], "a")
    assert values["end"] == 0
    assert "no events" in values["notices"][0]


def test_hostile_text_is_short_and_harmless() -> None:
    header = TraceHeader("relay", "json-envelope", 1, "", "0")
    for text in ATTACKS:
        fault = Injected("x", Excuse.NOTHING, detail=text * 1000)
        values = build_player([Trace(header, (Event(0, 0, Lane.KIT, text * 1000, fault),))], text)
        assert max(len(one) for one in values["texts"]) <= MAX_WORDS
        assert not any(ord(character) < 32 for one in values["texts"] for character in one)


def test_a_tape_that_broke_off_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    whole = (TAPES / "wire-json-envelope.tape").read_bytes()
    path = tmp_path / "cut.tape"
    path.write_bytes(whole[: len(whole) - 40])
    traces, damage, _ = read_damaged_traces(path, 1000)
    assert damage
    assert traces
    whole_tape = TAPES / "wire-json-envelope.tape"
    assert read_damaged_traces(whole_tape, 1000) == (traces_of("wire-json-envelope"), [], False)


def test_of_a_long_tape_only_the_beginning_is_read_and_the_page_says_so() -> None:
    traces, _, goes_on = read_damaged_traces(TAPES / "wire-json-envelope.tape", 20)
    (whole,) = traces_of("wire-json-envelope")
    assert [trace.events for trace in traces] == [whole.events[:20]]
    for more in (True, False):
        values = build_player(traces, "a", has_more_runs=goes_on and more)
        assert any("The tape holds more than a page can show" in one for one in values["notices"]) is more


def failure_of(trace: Trace, *evidence: int) -> dict[str, Any]:
    timeline = build_timeline(trace, evidence)
    assert timeline is not None
    ghosts = [mark for mark in timeline.marks if mark.kind is MarkKind.GHOST]
    return build_failure(trace, evidence, ghosts)


def shown(values: dict[str, Any], index: int) -> tuple[float, str, str]:
    events = values["events"]
    kind = values["kinds"][events["kind"][index]]
    return events["at"][index] - values["zero"], kind, values["texts"][events["words"][index]]


@pytest.mark.parametrize("trace", SMALLEST.values(), ids=SMALLEST)
def test_every_failure_has_a_player_that_points_at_its_evidence(trace: Callable[[], Trace]) -> None:
    told = trace()
    values = failure_of(told, len(told.events) // 2, len(told.events) - 1)
    json.dumps(values)
    guilty = values["events"]["guilty"]
    assert len(guilty) == len({len(told.events) // 2, len(told.events) - 1})
    assert all(0 <= values["events"]["at"][index] <= values["end"] for index in guilty)
    assert not any(one["pcm"] for client in values["clients"] for one in client["conversations"])


def test_the_player_of_a_failure_begins_with_its_scenario() -> None:
    header = TraceHeader("relay", "json-envelope", 1, "", "0")
    kinds: list[tuple[Lane, str, EventKind]] = [
        (Lane.UPSTREAM, "of an earlier scenario", Opened()),
        (Lane.DOWNSTREAM, "client-1", Opened()),
        (Lane.UPSTREAM, "up", Opened()),
    ]
    events = tuple(Event(n, n * 1_000_000, lane, name, what) for n, (lane, name, what) in enumerate(kinds))
    values = failure_of(Trace(header, events), 2)
    assert (len(values["events"]["at"]), values["zero"], shown(values, 0)[0]) == (2, 0.0, 0.0)
    # What an earlier scenario left is shown if it is evidence, before the moment that counts as 0 s.
    values = failure_of(Trace(header, events), 0)
    assert (len(values["events"]["at"]), values["zero"], shown(values, 0)[0]) == (3, 1.0, -1.0)
    assert [run["begins"] for run in values["runs"]] == [1.0]


def test_of_two_clients_each_is_told_what_was_sent_for_it() -> None:
    said = Dialogue()
    said.turn("bob")
    said.echoes("ann", 0, said.speaks("ann"))
    first, second = said.answers("ann")
    said.motion_down("bob", first, second, last=True)
    said.passes(0.5)
    said.ends("ann", 0, complete=False)
    values = failure_of(said.trace, said.last)
    clients = {client["name"]: client for client in values["clients"]}
    assert clients["ann"]["requests"] == [req_of("ann", 0)]
    assert clients["bob"]["requests"] == [req_of("bob", 0)]
    assert "Motion Server has sent 2 payloads that the relay has not passed on" in clients["ann"]["causes"]


def test_a_failure_begins_with_the_client_whom_the_evidence_concerns() -> None:
    said = Dialogue()
    said.turn("bob")
    said.echoes("bob", 0, said.speaks("bob"))
    guilty = said.echoes("ann", 0, said.speaks("ann"))
    said.passes(0.5)
    said.ends("ann", 0, complete=False)
    values = failure_of(said.trace, guilty)
    assert values["clients"][values["client"]]["name"] == "ann"
    assert values["clients"][0]["name"] == "bob"
    # What was owed to a client counts more than the event after which it was owed.
    owed = Mark(0.5, guilty, "relay", "bob", MarkKind.GHOST, "owed, and never came: motion")
    values = build_failure(said.trace, (guilty,), [owed])
    assert values["clients"][values["client"]]["name"] == "bob"
    assert build_player([said.trace], "a")["client"] == 0


def test_what_never_came_and_when_the_kit_was_late_are_on_the_player_of_a_failure() -> None:
    trace = SMALLEST["R-MOTION-COMPLETE"]()
    sent = [e for e in trace.events if isinstance(getattr(e.content, "value", None), MotionResponse)]
    values = failure_of(trace, *(event.seq for event in sent))
    assert "ghost" in {shown(values, index)[1] for index in range(len(values["events"]["at"]))}
    header = TraceHeader("server", "", 1, "", "0")
    late = Event(1, 900_000_000, Lane.KIT, "", KitStalled(0.25))
    values = failure_of(Trace(header, (Event(0, 0, Lane.UPSTREAM, "kit", Opened()), late)), 1)
    assert values["late"] == [[650.0, 900.0]]


def test_a_long_failure_keeps_what_is_near_to_its_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "MAX_EVENTS_OF_A_FAILURE", 20)
    trace = Scene().told(5)
    last = len(trace.events) - 2
    values = failure_of(trace, 1, last)
    assert len(values["events"]["at"]) == 20
    assert len(values["events"]["guilty"]) == 2
