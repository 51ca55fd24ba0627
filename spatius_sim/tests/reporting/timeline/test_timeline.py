"""What a time-line shows of a trace, and where the picture puts it."""

from collections.abc import Callable

import numpy as np
import pytest

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import JAW_POSE, WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.formats.histogram import histogram_of
from spatius_sim.reporting.timeline.build_timeline import build_timeline
from spatius_sim.reporting.timeline.event_lines import event_lines
from spatius_sim.reporting.timeline.timeline import MarkKind, Timeline
from spatius_sim.rules.findings import Broken
from spatius_sim.tests.corpus import SMALLEST
from spatius_sim.tests.corpus.scenes import SCENES, Scene
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of
from spatius_sim.trace.events import (
    Awaited,
    Event,
    EventKind,
    KitStalled,
    Lane,
    Opened,
    Published,
    Received,
    SecretKnown,
    Sent,
    Trace,
    TraceHeader,
    WaitEnded,
)
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest

RATE = 16000


def drawn(trace: Trace, *guilty: int) -> Timeline:
    timeline = build_timeline(trace, guilty)
    assert timeline is not None
    return timeline


def happened(subject: str, *events: tuple[Lane, str, EventKind]) -> Trace:
    header = TraceHeader(subject, "", 1, "", "")
    return Trace(
        header,
        tuple(Event(n, n * 1_000_000, lane, name, what) for n, (lane, name, what) in enumerate(events)),
    )


def motion(jaw: list[float], end: bool = True) -> MotionResponse:
    keyframes = np.zeros((len(jaw), WIDTH), np.float32)
    keyframes[:, JAW_POSE.start] = jaw
    return MotionResponse("connection", "request", end, keyframes)


def test_lanes_lead_from_the_clients_to_motion_server() -> None:
    assert drawn(SMALLEST["R-ISOLATION"]()).lanes == ("ann", "bob", "relay", "Motion Server")
    server = happened("server", (Lane.UPSTREAM, "kit", Received(b"", motion([0.1]))))
    assert drawn(server).lanes == ("kit", "Motion Server")


@pytest.mark.parametrize("jaw", [[], [float("nan"), float("inf")]])
def test_motion_that_cannot_be_drawn_spoils_nothing(jaw: list[float]) -> None:
    message = motion(jaw)
    trace = happened("server", (Lane.UPSTREAM, "kit", Received(encode(message), message)))
    timeline = drawn(trace, 0)
    assert [mark.guilty for mark in timeline.marks] == [True]


def test_evidence_is_shown_even_where_it_is_a_piece_of_audio() -> None:
    trace = Scene().told()
    assert 22 not in {mark.seq for mark in drawn(trace).marks}
    guilty = [mark for mark in drawn(trace, 22).marks if mark.guilty]
    assert [(mark.seq, mark.kind) for mark in guilty] == [(22, MarkKind.AUDIO)]


def test_a_long_run_keeps_its_evidence_and_says_what_is_left_out() -> None:
    trace = Scene().told(30)
    last = len(trace.events) - 2
    timeline = drawn(trace, 1, last)
    assert len(timeline.marks) == 120
    assert timeline.left_out > 0
    assert {1, last} <= {mark.seq for mark in timeline.marks}


TRACES = {f"scene {fault}": Scene(fault=fault).told for fault in SCENES} | SMALLEST


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_whatever_happens_can_be_drawn(trace: Callable[[], Trace]) -> None:
    told = trace()
    timeline = drawn(told, *range(len(told.events)))
    for mark in timeline.marks:
        assert {mark.source, mark.target} <= {*timeline.lanes, ""}


def test_a_time_line_begins_with_its_scenario() -> None:
    trace = happened(
        "relay",
        (Lane.UPSTREAM, "of an earlier scenario", Opened()),
        (Lane.DOWNSTREAM, "client-1", Opened()),
        (Lane.UPSTREAM, "up", Opened()),
    )
    assert [(mark.at, mark.seq) for mark in drawn(trace, 2).marks] == [(0.0, 1), (0.001, 2)]
    assert next((mark.at, mark.seq) for mark in drawn(trace, 0).marks) == (-0.001, 0)


def test_what_was_owed_and_never_came_is_a_ghost() -> None:
    raw = encode(motion([0.1]))
    trace = happened(
        "relay",
        (Lane.DOWNSTREAM, "client-1", Opened()),
        (Lane.UPSTREAM, "up", Sent(raw, motion([0.1]))),
        (Lane.KIT, "client-1", WaitEnded(Awaited.TURN, False, 0)),
    )
    ghosts = [mark for mark in drawn(trace, 1, 2).marks if mark.kind is MarkKind.GHOST]
    assert [(ghost.source, ghost.target, ghost.guilty) for ghost in ghosts] == [
        ("relay", "client-1", False)
    ] * 2
    assert [ghost.words.partition(":")[0] for ghost in ghosts] == ["owed, and never came"] * 2
    assert [mark.kind for mark in drawn(trace, 0).marks].count(MarkKind.GHOST) == 0


def test_what_a_rule_says_was_owed_is_a_ghost_at_the_client_that_it_was_owed_to() -> None:
    said = Dialogue()
    said.turn("bob")
    said.echoes("ann", 0, said.speaks("ann"))
    first, _ = said.answers("ann")
    said.motion_down("ann", first)
    said.ends("ann", 0, complete=False)
    [broken] = said.judged("R-MOTION-COMPLETE").broken
    assert ghosts_of(said, broken) == [("relay", "ann", "owed, and never came: payload 2 of turn 1 of ann")]


def test_an_end_that_never_went_up_is_a_ghost() -> None:
    unended = Dialogue()
    pcm = unended.speaks("ann")
    unended.audio_up(up_of("ann", 0), req_of("ann", 0), pcm)
    unended.ends("ann", 0, complete=False)
    [broken] = unended.judged("U-AUDIO-END").broken
    words = f"owed, and never came: end=true of {req_of('ann', 0)}"
    assert ghosts_of(unended, broken) == [("relay", "Motion Server", words)]


def ghosts_of(said: Dialogue, broken: Broken) -> list[tuple[str, str, str]]:
    timeline = build_timeline(said.trace, broken.events, broken.owed)
    assert timeline is not None
    ghosts = [mark for mark in timeline.marks if mark.kind is MarkKind.GHOST]
    return [(ghost.source, ghost.target, ghost.words) for ghost in ghosts]


@pytest.mark.parametrize("fault", ["", *SCENES])
def test_what_failed_is_drawn_as_a_fault(fault: str) -> None:
    kinds = {mark.kind for mark in drawn(Scene(fault=fault).told()).marks}
    assert (MarkKind.FAULT in kinds) == bool(fault)


def test_a_client_is_shown_on_its_own_clock() -> None:
    pcm = bytes(RATE)
    calls = [
        TesteeRequest(1, "reset", sample_rate=RATE),
        TesteeRequest(2, "yieldAudioData", audio=pcm),
        TesteeRequest(3, "yieldFramesData", frames=(encode(motion([0.03])),), conversation_id="c"),
        TesteeRequest(4, "advance", ms=400),
        TesteeRequest(5, "interrupt"),
    ]
    events = [(Lane.CLIENT, "client", Sent("", call)) for call in calls]
    answer = (Lane.CLIENT, "client", Received("", TesteeAnswer(5, error="boom")))
    timeline = drawn(happened("client", *events, answer), 4)
    assert timeline.lanes == ("kit", "client")
    assert timeline.clock == "of the client's clock"
    assert [(mark.at, mark.words) for mark in timeline.marks[-2:]] == [
        (0.4, "interrupt()"),
        (0.4, "threw boom"),
    ]


def test_nothing_at_all_is_no_time_line() -> None:
    assert build_timeline(Trace(TraceHeader("relay", "", 1, "", ""), ()), ()) is None


def test_a_histogram_counts_every_measurement() -> None:
    found = histogram_of([1.0, 2.0, 2.0, 3.0, float("nan")], "ms")
    assert found is not None
    assert (found.count, found.least, found.median, found.most) == (4, 1.0, 2.0, 3.0)
    assert len(found.bars) == 3
    assert max(bar.height for bar in found.bars) == found.height
    assert histogram_of([], "ms") is None
    assert histogram_of([5.0], "ms") is not None


@pytest.mark.parametrize(
    ("lane", "what", "words"),
    [
        (Lane.KIT, KitStalled(0.25), "the kit itself was late by 0.25 s"),
        (Lane.KIT, WaitEnded(Awaited.HANG_UP, False), "the wait for the upstream sessions of a client"),
        (Lane.KIT, SecretKnown("key#1", 32), "key#1, 32 characters"),
        (Lane.EGRESS, Published("studio", b"", motion([0.1])), "in the room studio: motion of request"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_evidence_of_every_kind_is_drawn(lane: Lane, what: EventKind, words: str) -> None:
    (mark,) = drawn(happened("server", (lane, "", what)), 0).marks
    assert mark.guilty
    assert words in mark.words


@pytest.mark.parametrize("by_kit", [True, False])
def test_the_side_that_closed_a_server_under_test_is_the_source(by_kit: bool) -> None:
    said = Dialogue("server")
    said.configures("session-1")
    said.closed("session-1", by_kit=by_kit)
    *_, line = event_lines(said.trace)
    kit, server = "kit", "Motion Server"
    assert (line.source, line.target) == ((kit, server) if by_kit else (server, kit))


def test_the_kit_that_closes_in_the_place_of_motion_server_is_the_source() -> None:
    said = Dialogue("relay")
    said.closed("upstream-1", by_kit=True)
    *_, line = event_lines(said.trace)
    assert (line.source, line.target) == ("Motion Server", "relay")
