"""How long the kit itself was blocked within a span; timing rules subtract this time."""

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.trace.events import KitStalled, Lane, Trace

_NS = 1e9


def lag_seconds(trace: Trace, since: int, until: int) -> float:
    """Count the seconds for which the kit was blocked between two events, given by their sequence numbers."""
    begun, ended = trace.events[since].at_ns, trace.events[until].at_ns
    late = 0.0
    for event in trace.on_lane(Lane.KIT):
        if isinstance(event.what, KitStalled):
            woke = event.at_ns / _NS
            late += max(0.0, min(woke, ended / _NS) - max(woke - event.what.seconds, begun / _NS))
    return late


def in_time(trace: Trace, since: int, until: int, seconds: float, broken: Broken) -> Kept | Broken | Late:
    """Judge whether the event `until` came within `seconds` of the event `since`. Returns `broken` if it came
    too late, and Late if the kit may only have seen it too late."""
    took = (trace.events[until].at_ns - trace.events[since].at_ns) / _NS
    late = lag_seconds(trace, since, until)
    if took <= seconds:
        return Kept()
    return broken if took - late > seconds else Late(late)
