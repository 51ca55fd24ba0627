"""Makes the events by which a trace records faults: what the kit did on purpose, and what that excuses."""

from spatius_sim.model.scenario.scenario import IDS, Delay, FaultAction, GrowTo, Scenario, UnknownFields
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES
from spatius_sim.trace.events import Excuse, Injected


def make_fault_event(step: FaultAction) -> Injected:
    """Return the event by which a trace records that this fault of a scenario happens now."""
    settings = {
        name: value for name in type(step).__slots__ if (value := getattr(step, name)) not in ("", 0, None)
    }
    detail = ", ".join(f"{name} {value}" for name, value in settings.items())
    return Injected(IDS[type(step)], _excuse_for(step), _longest_wait(step), detail)


def longest_delay(scenario: Scenario) -> float:
    """Return the most seconds by which one fault of the scenario may delay messages."""
    return max((sum(map(_longest_wait, fault.what)) for fault in scenario.faults), default=0.0)


def _excuse_for(step: FaultAction) -> Excuse:
    """Return what the event of a fault excuses a relay from: a delay excuses late motion, any other fault
    missing motion. Unknown fields, and a message no larger than an SDK accepts, excuse nothing."""
    match step:
        case Delay():
            return Excuse.LATENESS
        case UnknownFields():
            return Excuse.NOTHING
        case GrowTo(size) if size <= MAX_MESSAGE_BYTES:
            return Excuse.NOTHING
    return Excuse.FAILURE


def _longest_wait(step: FaultAction) -> float:
    """Return the most seconds that a fault waits; 0 if it is not a Delay."""
    return step.seconds + step.jitter if isinstance(step, Delay) else 0.0
