"""What a trace shows to somebody who wonders why nothing came."""

from spatius_sim.dialects.events import Failed, Garbage
from spatius_sim.model.trace import Closed, Lane, Received, Refused, TokenRequested, Trace


def what_was_seen(trace: Trace) -> str:
    """Why a subject may have completed no turn, and what to do."""
    if trouble := sign_of_trouble(trace):
        return trouble
    if trace.header.subject == "server":
        return "it gave no motion for any audio"
    advice = "no audio reached our Motion Server; point the relay there with the environment above"
    return advice + what_was_not_understood(trace)


def sign_of_trouble(trace: Trace) -> str:
    """What was refused, or what the subject itself said of it; "" for nothing."""
    refused = [event.what for event in trace.events if isinstance(event.what, Refused)]
    if refused:
        return f"it reached Motion Server, which refused it: HTTP {refused[0].status} {refused[0].reason}"
    for event in trace.on(Lane.CONSOLE):
        if isinstance(event.what, TokenRequested) and event.what.status != 200:
            return f"its token request was refused with HTTP {event.what.status}"
    for event in trace.on(Lane.DOWNSTREAM):
        if isinstance(event.what, Closed) and not event.what.by_kit:
            return f"it closed the connection with code {event.what.code}" + what_was_not_understood(trace)
        if isinstance(event.what, Received) and isinstance(event.what.value, Failed):
            return f"it said: {event.what.value.message}"
    return ""


def what_was_not_understood(trace: Trace) -> str:
    """How many messages of the relay were not understood, and the first of them; "" for none."""
    reasons = [
        event.what.value.reason
        for event in trace.on(Lane.DOWNSTREAM)
        if isinstance(event.what, Received) and isinstance(event.what.value, Garbage)
    ]
    return f" ({len(reasons)} messages were not understood; the first: {reasons[0]})" if reasons else ""
