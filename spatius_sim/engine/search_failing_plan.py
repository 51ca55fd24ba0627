"""Looks for a plan that breaks a rule, and for the smallest such plan."""

import math
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar
from unittest.mock import patch

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from hypothesis.strategies import SearchStrategy

P = TypeVar("P", bound=Hashable)
"""A kind of plan."""

SHRINK_SECONDS = 5.0
"""Shrinking is bounded by time: nearly the same minimum, in a fraction of it (practice.md)."""

_NO_CONSTANTS = Constants()
_CONSTANTS_CACHE_SIZE = 1024


class _PlanFailedError(Exception):
    """Tells Hypothesis that a plan fails, so that it looks for a smaller one."""


def shortest_failing(
    plan: P,
    fails: Callable[[P], bool],
    list_shorter: Callable[[P], Iterable[P]],
    max_seconds: float,
    max_attempts: float = math.inf,
) -> P:
    """Leave parts of a failing `plan` out, one by one, as long as the rest still fails, and return the
    shortest plan that failed. Stop after `max_seconds` or `max_attempts`. `fails` runs a plan; `list_shorter`
    returns the plans that have one part less than the given plan."""
    deadline = time.monotonic() + max_seconds
    attempt_count = 0
    shorter_failing: P | None = plan
    while shorter_failing is not None:
        plan, shorter_failing = shorter_failing, None
        for candidate in list_shorter(plan):
            if attempt_count >= max_attempts or time.monotonic() >= deadline:
                break
            attempt_count += 1
            if fails(candidate):
                shorter_failing = candidate
                break
    return plan


DrawnPlans = dict[tuple[SearchStrategy[P], int, int], tuple[P, ...]]
"""The plans that were drawn from a strategy, by the strategy, the number of examples and the seed."""

_MAX_SOURCES = 256
"""So many are kept at once: more than the rules of all suites have."""


def smallest_failing(
    plans: SearchStrategy[P],
    fails: Callable[[P], bool],
    *,
    sure: Sequence[P] = (),
    examples: int,
    from_seed: int,
    shrink_seconds: float = SHRINK_SECONDS,
    drawn: DrawnPlans[P] | None = None,
) -> P | None:
    """Return the smallest plan found for which `fails` is true; None if all of `examples` drawn plans pass.

    The plans in `sure` are tried first, and are not made smaller. Each plan is tried once and its verdict is
    kept, so that a subject that behaves differently the second time cannot confuse the search. In `drawn`
    earlier searches have left the plans that they drew: many rules share a strategy, and the same seed draws
    the same plans from it.
    """
    for plan in sure:
        if fails(plan):
            return plan
    drawn = {} if drawn is None else drawn
    source = (plans, examples, from_seed)
    if source in drawn:
        failing = next(filter(fails, drawn[source]), None)
        if failing is None or shrink_seconds <= 0:
            return failing
    verdicts: dict[P, bool] = dict.fromkeys(sure, False)
    tried: dict[P, None] = {}
    smallest: list[P] = []
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
    def try_plan(plan: P) -> None:
        """Run a plan that Hypothesis has drawn, and raise _PlanFailedError if it fails, so that Hypothesis
        looks for a smaller plan. No plan is run twice. The first failure sets a deadline: a new plan that
        comes after it is not run, and counts as passed."""
        nonlocal deadline
        tried[plan] = None
        if plan not in verdicts:
            verdicts[plan] = time.monotonic() < deadline and fails(plan)
        if verdicts[plan]:
            deadline = min(deadline, time.monotonic() + shrink_seconds)
            smallest[:] = [plan]
            raise _PlanFailedError

    try:
        with _search_without_constants_of_modules():
            try_plan()
    except _PlanFailedError:
        return smallest[0]
    if len(drawn) >= _MAX_SOURCES:
        del drawn[next(iter(drawn))]
    drawn[source] = tuple(tried)
    return None


@contextmanager
def _search_without_constants_of_modules() -> Iterator[None]:
    """While the context lasts, let Hypothesis search for a failing plan without the constants that stand in
    loaded modules. With these constants, the same seed would draw other plans as soon as more modules are
    imported."""
    with ExitStack() as stack:
        if hasattr(providers.HypothesisProvider, "_local_constants"):
            stack.enter_context(patch.object(providers.HypothesisProvider, "_local_constants", _NO_CONSTANTS))
            stack.enter_context(patch.object(providers, "CONSTANTS_CACHE", LRUCache(_CONSTANTS_CACHE_SIZE)))
        yield
