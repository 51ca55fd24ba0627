"""A broken rule with its evidence, as a failure that every report shows."""

from dataclasses import replace
from pathlib import Path

from spatius_sim.kit.hints import what_was_not_understood
from spatius_sim.model.trace import Trace
from spatius_sim.reporting.client_dialogue import dialogue
from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.trace_timeline import timeline_of
from spatius_sim.rules.findings import Broken
from spatius_sim.tape.dialogue import line_of

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
        tuple(_line(trace, seq) for seq in guilty[:_MOST_EVENTS] if seq < len(trace.events)),
        timeline_of(trace, guilty),
    )


def _line(trace: Trace, seq: int) -> str:
    """One event in words, timed from the first one."""
    event = trace.events[seq]
    return line_of(replace(event, at_ns=event.at_ns - trace.events[0].at_ns)).strip()
