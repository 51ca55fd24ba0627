"""Faults as a trace records them: what happened on purpose, and what it excuses."""

from spatius_sim.model.scenario.scenario import IDS, Delay, FaultAction, GrowTo, Scenario, UnknownFields
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES
from spatius_sim.trace.events import Excuse, Injected


def injected(step: FaultAction) -> Injected:
    """Return the event that says that this fault happens now."""
    figures = {
        name: value for name in type(step).__slots__ if (value := getattr(step, name)) not in ("", 0, None)
    }
    detail = ", ".join(f"{name} {value}" for name, value in figures.items())
    return Injected(IDS[type(step)], _excuse_for(step), _longest_wait(step), detail)


def longest_delay(scenario: Scenario) -> float:
    """Return the seconds by which one fault of the scenario holds back what follows, at most."""
    return max((sum(map(_longest_wait, fault.what)) for fault in scenario.faults), default=0.0)


def _excuse_for(step: FaultAction) -> Excuse:
    """Return what a fault excuses: unknown fields, and a size that an SDK takes, excuse no relay."""
    match step:
        case Delay():
            return Excuse.LATENESS
        case UnknownFields():
            return Excuse.NOTHING
        case GrowTo(size) if size <= MAX_MESSAGE_BYTES:
            return Excuse.NOTHING
    return Excuse.FAILURE


def _longest_wait(step: FaultAction) -> float:
    return step.seconds + step.jitter if isinstance(step, Delay) else 0.0
