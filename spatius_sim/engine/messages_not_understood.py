"""Finds the messages of a relay that the kit did not understand."""

from spatius_sim.trace.events import Lane, Received, Trace
from spatius_sim.wires.events import NotUnderstood


def find_reasons_not_understood(trace: Trace) -> list[str]:
    """Return why the kit did not understand messages of the relay in this trace: one reason for each message
    that does not follow the relay's message format, in the order of the messages. Reports show the first."""
    return [
        event.content.value.reason
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.content, Received) and isinstance(event.content.value, NotUnderstood)
    ]


def describe_messages_not_understood(trace: Trace) -> str:
    """Return in brackets, to be put after another text, how many messages of the relay were not understood,
    and why the first was not; "" if all were understood."""
    reasons = find_reasons_not_understood(trace)
    return f" ({len(reasons)} messages were not understood; the first: {reasons[0]})" if reasons else ""
