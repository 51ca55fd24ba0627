"""Draws plans in which Motion Server sends its motion in large payloads, which a relay must pass on, or in
huge payloads, which it should pass on. They excuse no relay, unlike the faults in draw_server_faults.py."""

from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import Fault, GrowTo, Moment, Scenario, When
from spatius_sim.plans.draw_undisturbed_turns import turn_plans
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.rules.relay.sizes import HUGE_BYTES, LARGE_BYTES
from spatius_sim.story.turn_story import ORDINARY_BYTES


def plans_with_large_payloads() -> st.SearchStrategy[Plan]:
    """Draw a plan in which a client speaks a turn twice. Motion Server answers the first time with payloads
    of the usual size, and the second time with large payloads, of at most 64 KiB, which a relay must pass
    on."""
    least_bytes = ORDINARY_BYTES + 1
    return st.builds(
        _repeat_with_larger_payloads,
        turn_plans(),
        st.sampled_from((least_bytes, LARGE_BYTES)) | st.integers(least_bytes, LARGE_BYTES),
    )


def plans_with_huge_payloads() -> st.SearchStrategy[Plan]:
    """Draw a plan in which a client speaks a turn three times. Motion Server answers with payloads of the
    usual size, then with large payloads, which a relay must pass on, and then with huge payloads, of at most
    1 MiB, which it should pass on."""
    least_bytes = LARGE_BYTES + 1
    return st.builds(
        lambda turn, huge_bytes: _repeat_with_larger_payloads(turn, LARGE_BYTES, huge_bytes),
        turn_plans(),
        st.sampled_from((least_bytes, 2 * LARGE_BYTES, HUGE_BYTES)) | st.integers(least_bytes, HUGE_BYTES),
    )


def _repeat_with_larger_payloads(turn: TurnPlan, *payload_sizes: int) -> Plan:
    """Return a plan in which a client speaks this turn once, and once more for each of `payload_sizes`.
    Motion Server answers the first time with payloads of the usual size, and each further time with large
    payloads, of at least that many bytes."""
    faults = (
        Fault(When(Moment.RESPONSE, request=request_number), (GrowTo(least_bytes),))
        for request_number, least_bytes in enumerate(payload_sizes, start=2)
    )
    return Plan(((turn,) * (1 + len(payload_sizes)),), motion_server=Scenario("drawn", "", tuple(faults)))


LARGEST_PAYLOADS = _repeat_with_larger_payloads(TurnPlan(80_000, 6_400), LARGE_BYTES, HUGE_BYTES)
"""Three turns of five seconds: an ordinary turn, a turn with the largest payloads that must pass, and a turn
with the largest that should."""
