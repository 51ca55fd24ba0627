"""Measures how long the kit itself was blocked between two events; timing rules subtract this time."""

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.trace.events import KitStalled, Lane, Trace

_NS_IN_A_SECOND = 1e9


def kit_stall_seconds(trace: Trace, since_seq: int, until_seq: int) -> float:
    """Return how many seconds between the events number `since_seq` and `until_seq` the kit itself was
    stalled. It could neither send nor record then, so this time does not count against the subject."""
    since_ns, until_ns = trace.events[since_seq].at_ns, trace.events[until_seq].at_ns
    stalled_seconds = 0.0
    for event in trace.on_lane(Lane.KIT):
        if isinstance(event.content, KitStalled):
            woke_at_seconds = event.at_ns / _NS_IN_A_SECOND
            stalled_seconds += max(
                0.0,
                min(woke_at_seconds, until_ns / _NS_IN_A_SECOND)
                - max(woke_at_seconds - event.content.seconds, since_ns / _NS_IN_A_SECOND),
            )
    return stalled_seconds


def describe_lateness(seconds: float) -> str:
    """Return why nothing can be said if the kit itself was late by so many seconds."""
    return f"the kit itself was late by {seconds:.1f} s: a quieter machine can tell"


def judge_time_limit(
    trace: Trace, since_seq: int, until_seq: int, limit_seconds: float, broken: Broken
) -> Kept | Broken | Late:
    """Return Kept if event number `until_seq` came at most `limit_seconds` after event number `since_seq`.
    Otherwise return `broken`; but return Late if the time is within the limit once the stalls of the kit
    itself are subtracted."""
    passed_seconds = (trace.events[until_seq].at_ns - trace.events[since_seq].at_ns) / _NS_IN_A_SECOND
    stalled_seconds = kit_stall_seconds(trace, since_seq, until_seq)
    if passed_seconds <= limit_seconds:
        return Kept()
    return broken if passed_seconds - stalled_seconds > limit_seconds else Late(stalled_seconds)
