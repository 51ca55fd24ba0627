"""A relay whose clients all hear the same: a turn ends for its speaker with its own audio and motion."""

from spatius_sim.miniatures.relay.honest_relays import OneRoomForAll
from spatius_sim.model.scenario.scenario import Delay, Fault, Moment, Scenario, When
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.tests.running_miniature import miniature_relay
from spatius_sim.tests.virtual_time import run_in_virtual_time
from spatius_sim.trace.events import Awaited, Trace, WaitEnded

TURN = TurnPlan(2 * PLAN_SAMPLE_RATE, 3200)
SLOW_SERVER = Scenario("slow", "", (Fault(When(Moment.RESPONSE), (Delay(0.3),)),))
AT_ONCE = Plan(((TURN,) * 3,) * 2, motion_server=SLOW_SERVER)


async def speak_at_once() -> Trace:
    """Two clients speak at once to a relay that answers one after the other; waits have become short."""
    async with miniature_relay(OneRoomForAll) as subject:
        assert isinstance(subject, RelaySubject)
        await subject.attach()
        await subject.run(AT_ONCE)
        subject._silence_timeout.waits_in_vain = subject._silence_timeout.patient_waits
        return await subject.run(AT_ONCE)


def test_a_short_wait_too_lasts_until_the_own_turn_has_ended() -> None:
    trace = run_in_virtual_time(speak_at_once())
    waits = [event.content for event in trace.events if isinstance(event.content, WaitEnded)]
    assert [wait.complete for wait in waits if wait.what_for is Awaited.TURN] == [True] * 6
