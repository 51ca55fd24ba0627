"""Measures how long the kit itself was blocked between two events; timing rules subtract this time."""

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.trace.events import KitStalled, Lane, Trace

_NS_IN_A_SECOND = 1e9


def lag_seconds(trace: Trace, since: int, until: int) -> float:
    """Return how many seconds of the time between the events `since` and `until` are not the subject's: the
    kit itself was stalled then, and could neither send nor record."""
    since_ns, until_ns = trace.events[since].at_ns, trace.events[until].at_ns
    blocked = 0.0
    for event in trace.on_lane(Lane.KIT):
        if isinstance(event.content, KitStalled):
            woke_at = event.at_ns / _NS_IN_A_SECOND
            blocked += max(
                0.0,
                min(woke_at, until_ns / _NS_IN_A_SECOND)
                - max(woke_at - event.content.seconds, since_ns / _NS_IN_A_SECOND),
            )
    return blocked


def in_time(trace: Trace, since: int, until: int, seconds: float, broken: Broken) -> Kept | Broken | Late:
    """Judge a time limit: return Kept if the event `until` came within `seconds` after the event `since`,
    else `broken`. Return Late if the time is short enough once the stalls of the kit itself are
    subtracted."""
    passed = (trace.events[until].at_ns - trace.events[since].at_ns) / _NS_IN_A_SECOND
    blocked = lag_seconds(trace, since, until)
    if passed <= seconds:
        return Kept()
    return broken if passed - blocked > seconds else Late(blocked)
