"""A Motion Server under test is given the time that it lawfully takes."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest

from spatius_sim.miniatures.server.limited_servers import LimitsSessions
from spatius_sim.miniatures.server.plain_server import PlainServer, PlainSession, WorksInRealTime
from spatius_sim.miniatures.server.serve_server import VirtualMiniatureServer
from spatius_sim.miniatures.server.wrong_servers import NeverEndsMotion
from spatius_sim.model.server.response_pace import Pace
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.draw_server_probes import LASTING, departures, long_clips
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.plans.server_probes import ExpiryProbe, ManySessionsProbe
from spatius_sim.protocol.console_api import UpgradeRefusedError, upgrade_refusal
from spatius_sim.protocol.messages import ConfigureSession, EgressType
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.server_access import ServerInMemory
from spatius_sim.subjects.server_sessions import ServerAddress
from spatius_sim.subjects.server_subject import ServerSubject
from spatius_sim.subjects.subject_base import Patience
from spatius_sim.tests.suspects import NOWHERE
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Refused,
    Sent,
    Trace,
    WaitEnded,
)
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.virtual.virtual_motion_server import VirtualMotionServer
from spatius_sim.virtual.virtual_server_sdk import VirtualSession
from spatius_sim.wires.optional_features import EGRESS

SAMPLES = PLAN_SAMPLE_RATE // 2


async def test_one_that_answers_in_real_time_is_waited_for() -> None:
    async with SocketMotionServer(pace=Pace(lead=1.0)) as server:
        place = ServerAddress(server.console_endpoint, server.ingress_endpoint, "any")
        subject = ServerSubject(place, RealTimeRecorder(), 1, Patience(settle=0.3))
        trace = await subject.run(Plan(((TurnPlan(3 * PLAN_SAMPLE_RATE, 3200),),)))
    ended = [event.content for event in trace.on_lane(Lane.KIT) if isinstance(event.content, WaitEnded)]
    assert [wait for wait in ended if wait.what_for is Awaited.TURN] == [WaitEnded(Awaited.TURN, True, 0)]


class NotesTokens(ServerInMemory):
    """Notes each token with which a session is asked for, and whether it came in the query."""

    def __init__(self, loop: VirtualLoop, server: VirtualMotionServer) -> None:
        super().__init__(loop, server)
        self.asked: list[tuple[str, bool]] = []

    @asynccontextmanager
    async def open_session(
        self, token: str, app_id: str, avatar_id: str, *, token_in_query: bool = False
    ) -> AsyncIterator[VirtualSession]:
        self.asked.append((token, token_in_query))
        async with super().open_session(token, app_id, avatar_id, token_in_query=token_in_query) as session:
            yield session


def test_expired_tokens_are_tried_in_headers_and_in_the_query_used_ones_too() -> None:
    loop = VirtualLoop()
    access = NotesTokens(loop, VirtualMotionServer(loop))
    recorder = RealTimeRecorder(clock_ns=loop.time_ns)
    subject = ServerSubject(ServerAddress(NOWHERE, NOWHERE, "any"), recorder, 1, Patience(), access)
    try:
        loop.run(subject.run(Plan((), (ExpiryProbe(SAMPLES),))), None)
    finally:
        loop.stop()
    (used, _), *late = access.asked
    [unused] = {token for token, _ in late} - {used}
    assert late == [(used, False), (unused, False), (unused, True), (used, False), (used, True)]


class NotesDepartures(PlainServer):
    """Notes how many requests there were in each session that ends."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self.left: list[int] = []

    def leave(self, session: PlainSession) -> None:
        self.left.append(len(session.requests))


def test_sessions_are_left_in_each_way_and_others_speak_after_them() -> None:
    loop, numbers = VirtualLoop(), count(1)
    brain = NotesDepartures("any", lambda: f"connection-{next(numbers)}")
    access = ServerInMemory(loop, VirtualMiniatureServer(loop, brain))
    recorder = RealTimeRecorder(clock_ns=loop.time_ns)
    subject = ServerSubject(ServerAddress(NOWHERE, NOWHERE, "any"), recorder, 1, Patience(), access)
    try:
        trace = loop.run(subject.run(departures()[0]), None)
    finally:
        loop.stop()
    closes = [event.content for event in trace.on_lane(Lane.UPSTREAM) if isinstance(event.content, Closed)]
    assert [close.code for close in closes] == [1006, 1000] * 3 + [1000] * 6
    assert all(close.by_kit for close in closes)
    assert len(brain.left) == 12
    assert judge(trace)["S-MOTION-END"].exercised == 6


class NoticesLate(LimitsSessions):
    """Has one session, and takes so many seconds to notice that its client has left."""

    seconds = 2.0

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self.free_at = 0.0

    def is_one_too_many(self, session: PlainSession) -> bool:
        return self.clock() < self.free_at

    def leave(self, session: PlainSession) -> None:
        super().leave(session)
        if session.sample_rate:
            self.free_at = self.clock() + self.seconds


@pytest.mark.parametrize(("seconds", "is_broken"), [(2.0, False), (3600.0, True)])
def test_one_that_has_too_many_sessions_for_no_reason_is_asked_again(seconds: float, is_broken: bool) -> None:
    class Server(NoticesLate):
        pass

    Server.seconds = seconds
    loop, numbers = VirtualLoop(), count(1)
    access = ServerInMemory(loop, VirtualMiniatureServer(loop, Server("any", lambda: f"{next(numbers)}")))
    recorder = RealTimeRecorder(clock_ns=loop.time_ns)
    subject = ServerSubject(ServerAddress(NOWHERE, NOWHERE, "any"), recorder, 1, Patience(), access)
    turn = TurnPlan(SAMPLES, 3200)
    plan, traces = Plan(((turn,),)), []
    try:
        for patient in (False, False, False, False, False, True):
            traces.append(loop.run(subject.run(plan, patient=patient), None))
    finally:
        loop.stop()
    again = ["session-1-again" in {event.connection for event in trace.events} for trace in traces]
    assert any(judge(trace)["S-CONFIRM"].broken for trace in traces) == is_broken
    assert again == [False, True, True, True, False, True]


def test_every_third_session_has_its_credentials_in_the_query() -> None:
    loop = VirtualLoop()
    access = NotesTokens(loop, VirtualMotionServer(loop))
    recorder = RealTimeRecorder(clock_ns=loop.time_ns)
    subject = ServerSubject(ServerAddress(NOWHERE, NOWHERE, "any"), recorder, 1, Patience(), access)
    try:
        loop.run(subject.run(Plan((), (ManySessionsProbe(6, SAMPLES),))), None)
    finally:
        loop.stop()
    silent, *spoken_to = [in_query for _, in_query in access.asked]
    assert not silent
    assert spoken_to == [False, False, True] * 2


@pytest.mark.parametrize(
    ("brain", "is_spoken"), [(PlainServer, True), (WorksInRealTime, False), (NeverEndsMotion, False)]
)
def test_a_long_clip_is_spoken_to_one_that_answers_soon(brain: type[PlainServer], is_spoken: bool) -> None:
    loop, numbers = VirtualLoop(), count(1)
    server = VirtualMiniatureServer(loop, brain("any", lambda: f"{next(numbers)}"))
    recorder = RealTimeRecorder(clock_ns=loop.time_ns)
    place, access = ServerAddress(NOWHERE, NOWHERE, "any"), ServerInMemory(loop, server)
    subject = ServerSubject(place, recorder, 1, Patience(), access)
    try:
        trace = loop.run(subject.run(long_clips()[0]), None)
    finally:
        loop.stop()
    provoked = [event.content for event in trace.on_lane(Lane.KIT)]
    assert (Provoked(Provocation.LONG_CLIP) in provoked) == is_spoken
    assert judge(trace)["S-MOTION-COUNT"].exercised == (0 if brain is NeverEndsMotion else 2 + is_spoken)


def run_many_sessions(status: int) -> Trace:
    """The trace of six sessions at once with a server that lets two in, and refuses others with this HTTP
    status."""

    class Door(LimitsSessions):
        def open_session(self, expire_at: float) -> PlainSession:
            if len(self.open) >= 2:
                raise upgrade_refusal(status, "no")
            return super().open_session(expire_at)

    loop, numbers = VirtualLoop(), count(1)
    brain = Door("any", lambda: f"connection-{next(numbers)}")
    access = ServerInMemory(loop, VirtualMiniatureServer(loop, brain))
    recorder = RealTimeRecorder(clock_ns=loop.time_ns)
    subject = ServerSubject(ServerAddress(NOWHERE, NOWHERE, "any"), recorder, 1, Patience(), access)
    try:
        return loop.run(subject.run(Plan((), (ManySessionsProbe(6, SAMPLES),))), None)
    finally:
        loop.stop()


def test_one_session_too_many_may_be_refused_at_the_upgrade() -> None:
    trace = run_many_sessions(429)
    refused = [event for event in trace.on_lane(Lane.UPSTREAM) if isinstance(event.content, Refused)]
    assert len(refused) == 5, "the silent session is one of the two"
    assert not [rule_id for rule_id, one in judge(trace).items() if one.verdict is Verdict.FAILED]


def test_an_upgrade_that_is_refused_for_no_reason_ends_the_run() -> None:
    with pytest.raises(UpgradeRefusedError, match="HTTP 500"):
        run_many_sessions(500)


@pytest.mark.parametrize("rule_id", ["S-MOTION-END", "S-EGRESS-SILENT"])
def test_a_run_without_patience_does_without_what_takes_long(rule_id: str) -> None:
    assert LASTING in exercise_of(rule_id).sure
    assert LASTING not in exercise_of(rule_id, patient=False).sure


@pytest.mark.parametrize("lacks", [(), (EGRESS,)], ids=["with egress", "without egress"])
def test_what_takes_long_goes_on_in_two_sessions_at_once_at_most(lacks: tuple[str, ...]) -> None:
    loop = VirtualLoop()
    access = ServerInMemory(loop, VirtualMotionServer(loop))
    recorder = RealTimeRecorder(clock_ns=loop.time_ns)
    subject = ServerSubject(
        ServerAddress(NOWHERE, NOWHERE, "any", lacks=lacks), recorder, 1, Patience(), access
    )
    try:
        trace = loop.run(subject.run(LASTING), None)
    finally:
        loop.stop()
    open_now: set[str] = set()
    most = 0
    for event in trace.on_lane(Lane.UPSTREAM):
        match event.content:
            case Opened():
                open_now.add(event.connection)
            case Closed():
                open_now.remove(event.connection)
        most = max(most, len(open_now))
    assert most == 2
    rooms = [
        event
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.content, Sent)
        and isinstance(event.content.value, ConfigureSession)
        and event.content.value.egress_type != EgressType.UNSPECIFIED
    ]
    assert len(rooms) == (0 if lacks else 2)
    assert 24.0 < (trace.events[-1].at_ns - trace.events[0].at_ns) / 1e9 < 26.0
