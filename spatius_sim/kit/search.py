"""Looks for a plan that breaks a rule, and for the smallest such plan."""

import time
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.strategies import SearchStrategy

from spatius_sim.kit.plans import Plan

SHRINK_SECONDS = 5.0
"""Shrinking is bounded by time: nearly the same minimum, in a fraction of it (practice.md)."""


class _FoundError(Exception):
    pass


def smallest_failing(
    plans: SearchStrategy[Plan], fails: Callable[[Plan], bool], *, examples: int, from_seed: int
) -> Plan | None:
    """The smallest plan found for which `fails` is true, or None after so many plans. A plan is tried
    once: its verdict is remembered, so that a subject that changes its mind cannot confuse the search."""
    verdicts: dict[Plan, bool] = {}
    smallest: list[Plan] = []
    deadline = float("inf")

    @seed(from_seed)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(plans)
    def look(plan: Plan) -> None:
        nonlocal deadline
        if plan not in verdicts:
            verdicts[plan] = time.monotonic() < deadline and fails(plan)
        if verdicts[plan]:
            deadline = min(deadline, time.monotonic() + SHRINK_SECONDS)
            smallest[:] = [plan]
            raise _FoundError

    try:
        look()
    except _FoundError:
        return smallest[0]
    return None
