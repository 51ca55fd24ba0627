"""Scenarios in words, for people alone."""

from spatius_sim.model.scenario.fault_events import make_fault_event
from spatius_sim.model.scenario.scenario import Fault, Moment, Scenario, When
from spatius_sim.trace.event_text import describe_fault

_MOMENTS = {
    Moment.TOKEN: "at the token request",
    Moment.UPGRADE: "at the upgrade",
    Moment.CONFIGURE: "at the confirmation",
    Moment.INTERRUPT: "at the interrupt",
}


def describe_scenario(scenario: Scenario) -> str:
    """Return a scenario in words: its own text `about`, or, if that is empty, a list of its faults."""
    return scenario.about or "; ".join(map(_describe_fault, scenario.faults))


def _describe_fault(fault: Fault) -> str:
    """Return in words what a fault of a scenario does, and when."""
    steps = ", ".join(describe_fault(make_fault_event(step)) for step in fault.what)
    return f"{steps} {_describe_moment(fault.when)}"


def _describe_moment(when: When) -> str:
    """Return in words when a fault of a scenario happens, for example `at response 2 of request 1, 50% of the
    time`: the moment, the request, the connection and the probability."""
    match when.at:
        case Moment.OPEN:
            words = f"{when.seconds:g} s after the confirmation"
        case Moment.SILENCE:
            words = f"after {when.seconds:g} s without audio"
        case Moment.AUDIO if when.seconds is None:
            words = f"after {when.messages} messages of audio"
        case Moment.AUDIO:
            words = f"after {when.seconds:g} s of audio"
        case Moment.RESPONSE:
            words = f"at response {when.number}" if when.number else "at every response"
        case moment:
            words = _MOMENTS[moment]
    if when.request:
        words += f"{', since' if when.at is Moment.UPGRADE else ' of'} request {when.request}"
    words += f" of connection {when.connection}" if when.connection else ""
    return words + (f", {when.probability:.0%} of the time" if when.probability < 1 else "")
