"""A broken rule with its evidence, as a failure that every report shows."""

from dataclasses import replace
from pathlib import Path

from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.timeline.build_timeline import timeline_of
from spatius_sim.reporting.timeline.client_dialogue import dialogue
from spatius_sim.rules.findings import Broken
from spatius_sim.trace.event_text import line_of
from spatius_sim.trace.events import Closed, Lane, Received, Refused, TokenRequested, Trace
from spatius_sim.wires.events import Failed, NotUnderstood

_MOST_EVENTS = 6


def failure_of(broken: Broken, trace: Trace, scenario: str, tape: Path, *, confirmed: bool) -> Failure:
    """What was broken in that trace, which lies on that tape; `confirmed` if it was seen again."""
    guilty = broken.events
    return Failure(
        broken.expected,
        broken.actual + what_was_not_understood(trace),
        scenario,
        str(tape),
        confirmed,
        dialogue(trace, guilty),
        tuple(
            _describe_numbered_event(trace, seq) for seq in guilty[:_MOST_EVENTS] if seq < len(trace.events)
        ),
        timeline_of(trace, guilty),
    )


def _describe_numbered_event(trace: Trace, seq: int) -> str:
    """One event in words, timed from the first one."""
    event = trace.events[seq]
    return line_of(replace(event, at_ns=event.at_ns - trace.events[0].at_ns)).strip()


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
    for event in trace.on_lane(Lane.CONSOLE):
        if isinstance(event.what, TokenRequested) and event.what.status != 200:
            return f"its token request was refused with HTTP {event.what.status}"
    for event in trace.on_lane(Lane.DOWNSTREAM):
        if isinstance(event.what, Closed) and not event.what.by_kit:
            return f"it closed the connection with code {event.what.code}" + what_was_not_understood(trace)
        if isinstance(event.what, Received) and isinstance(event.what.value, Failed):
            return f"it said: {event.what.value.message}"
    return ""


def what_was_not_understood(trace: Trace) -> str:
    """How many messages of the relay were not understood, and the first of them; "" for none."""
    reasons = [
        event.what.value.reason
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.what, Received) and isinstance(event.what.value, NotUnderstood)
    ]
    return f" ({len(reasons)} messages were not understood; the first: {reasons[0]})" if reasons else ""
