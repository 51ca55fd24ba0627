"""A Motion Server under test is given the time that it lawfully takes."""

from spatius_sim.model.server.response_pace import Pace
from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.subjects.server_subject import ServerAddress, ServerSubject
from spatius_sim.subjects.subject_base import Patience
from spatius_sim.trace.events import (
    Awaited,
    Lane,
    WaitEnded,
)


async def test_one_that_answers_in_real_time_is_waited_for() -> None:
    async with SocketMotionServer(pace=Pace(lead=1.0)) as server:
        place = ServerAddress(server.console_endpoint, server.ingress_endpoint, "any")
        subject = ServerSubject(place, RealTimeRecorder(), 1, Patience(settle=0.3))
        trace = await subject.run(Plan(((TurnPlan(3 * PLAN_SAMPLE_RATE, 3200),),)))
    ended = [event.content for event in trace.on_lane(Lane.KIT) if isinstance(event.content, WaitEnded)]
    assert [wait for wait in ended if wait.what_for is Awaited.TURN] == [WaitEnded(Awaited.TURN, True, 0)]
