"""Looks for a plan that breaks a rule, and for the smallest such plan."""

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
_CONSTANTS_KEPT = 1024


class _FoundError(Exception):
    pass


def shortest_failing(
    plan: P, fails: Callable[[P], bool], shorter: Callable[[P], Iterable[P]], seconds: float
) -> P:
    """The plan without every part that can be left out one by one, as far as the time goes."""
    deadline = time.monotonic() + seconds
    found: P | None = plan
    while found is not None:
        plan, found = found, None
        for candidate in shorter(plan):
            if time.monotonic() < deadline and fails(candidate):
                found = candidate
                break
    return plan


def smallest_failing(
    plans: SearchStrategy[P],
    fails: Callable[[P], bool],
    *,
    sure: Sequence[P] = (),
    examples: int,
    from_seed: int,
    shrink_seconds: float = SHRINK_SECONDS,
) -> P | None:
    """The smallest plan found for which `fails` is true, or None after so many plans. What is `sure` to be
    tried comes before, and is as small as it gets. A plan is tried once: its verdict is remembered, so that
    a subject that changes its mind cannot confuse the search."""
    for plan in sure:
        if fails(plan):
            return plan
    verdicts: dict[P, bool] = dict.fromkeys(sure, False)
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
        """Raise _FoundError if the plan fails; every plan is run once, and none after the deadline."""
        nonlocal deadline
        if plan not in verdicts:
            verdicts[plan] = time.monotonic() < deadline and fails(plan)
        if verdicts[plan]:
            deadline = min(deadline, time.monotonic() + shrink_seconds)
            smallest[:] = [plan]
            raise _FoundError

    try:
        with _constants_of_no_module():
            try_plan()
    except _FoundError:
        return smallest[0]
    return None


@contextmanager
def _constants_of_no_module() -> Iterator[None]:
    """Hypothesis mixes the constants of all local modules that happen to be loaded into what it draws: the
    same seed would draw other plans in a run that has imported more."""
    with ExitStack() as stack:
        if hasattr(providers.HypothesisProvider, "_local_constants"):
            stack.enter_context(patch.object(providers.HypothesisProvider, "_local_constants", _NO_CONSTANTS))
            stack.enter_context(patch.object(providers, "CONSTANTS_CACHE", LRUCache(_CONSTANTS_KEPT)))
        yield
