"""Makes the events by which a trace records faults: what the kit did on purpose, and what that excuses."""

from dataclasses import replace

from spatius_sim.model.scenario.scenario import (
    NAME_BY_ACTION,
    Delay,
    Fault,
    FaultAction,
    GrowTo,
    Scenario,
    UnknownFields,
    When,
)
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES
from spatius_sim.trace.events import Excuse, Injected


def make_fault_event(action: FaultAction) -> Injected:
    """Return the event that a trace records when this action of a fault happens. It has the name of the
    action, what the fault excuses, the most seconds that the action waits, and its settings as text. Settings
    that are empty or 0 are left out."""
    all_values = {name: getattr(action, name) for name in type(action).__slots__}
    value_by_setting = {name: value for name, value in all_values.items() if value not in ("", 0, None)}
    detail = ", ".join(f"{name} {value}" for name, value in value_by_setting.items())
    return Injected(
        NAME_BY_ACTION[type(action)], _choose_excuse(action), _longest_wait_seconds(action), detail
    )


def longest_delay(scenario: Scenario) -> float:
    """Return the most seconds for which one fault of the scenario may keep a relay waiting. If the response
    before is late, too, only the delay after that late response counts."""
    late = {fault.when: _seconds_of(fault) for fault in scenario.faults if fault.when.number}
    return max(
        (_seconds_of(fault) - late.get(_response_before(fault.when), 0.0) for fault in scenario.faults),
        default=0.0,
    )


def _seconds_of(fault: Fault) -> float:
    """Return the most seconds that all actions of a fault wait."""
    return sum(map(_longest_wait_seconds, fault.what))


def _response_before(when: When) -> When:
    """Return the moment of the response before this one; `when` itself without a number if there is none."""
    return replace(when, number=max(0, when.number - 1))


def _choose_excuse(action: FaultAction) -> Excuse:
    """Return the excuse that the event of this fault action holds: what a relay is excused from after it. A
    delay excuses late motion; most other faults excuse missing motion. Unknown fields, and a message that is
    grown but not too large for an SDK, excuse nothing."""
    match action:
        case Delay():
            return Excuse.LATENESS
        case UnknownFields():
            return Excuse.NOTHING
        case GrowTo(size) if size <= MAX_MESSAGE_BYTES:
            return Excuse.NOTHING
    return Excuse.FAILURE


def _longest_wait_seconds(action: FaultAction) -> float:
    """Return the most seconds that a fault waits; 0 if it is not a Delay."""
    return action.seconds + action.jitter if isinstance(action, Delay) else 0.0
