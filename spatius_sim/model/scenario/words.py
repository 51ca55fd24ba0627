"""Faults in words, as plans and traces name them, and read back."""

import re

from spatius_sim.model.scenario.scenario import (
    WORDS,
    Delay,
    Fault,
    FaultAction,
    GrowTo,
    Moment,
    Scenario,
    UnknownFields,
    When,
)
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES

LONGEST_EXCUSED_DELAY = 4.0
"""Seconds that Motion Server may hold back in one turn without an excuse for its relay: spoken at real-time
pace, its segments lie that far apart (the recording)."""

_HARMLESS = frozenset(WORDS[kind] for kind in (Delay, UnknownFields))
_DELAY = re.compile(r"(?:seconds|jitter) ([0-9.e+-]+)")

_MOMENTS = {
    Moment.TOKEN: "at the token request",
    Moment.UPGRADE: "at the upgrade",
    Moment.CONFIGURE: "at the confirmation",
    Moment.INTERRUPT: "at the interrupt",
}


def told(step: FaultAction) -> str:
    """A fault as a trace names it."""
    figures = {
        name: value for name in type(step).__slots__ if (value := getattr(step, name)) not in ("", 0, None)
    }
    inside = ", ".join(f"{name} {value}" for name, value in figures.items())
    return f"{WORDS[type(step)]}: {inside}" if inside else WORDS[type(step)]


def is_harmless(fault: str) -> bool:
    """Whether a turn into which this fault fell may stay clean: a relay has no excuse in slowness, unknown
    fields, and a size that an SDK takes. `fault` as a trace names it."""
    word, _, figures = fault.partition(":")
    if word == WORDS[GrowTo]:
        return int(figures.removeprefix(" bytes ")) <= MAX_MESSAGE_BYTES
    return word in _HARMLESS


def delay_of(fault: str) -> float:
    """The seconds by which this fault, as a trace names it, holds back what follows, at most."""
    word, _, figures = fault.partition(":")
    return sum(map(float, _DELAY.findall(figures))) if word == WORDS[Delay] else 0.0


def longest_delay(scenario: Scenario) -> float:
    """The seconds by which one fault of it holds back what follows, at most."""
    return max((sum(delay_of(told(step)) for step in fault.what) for fault in scenario.faults), default=0.0)


def in_words(scenario: Scenario) -> str:
    """What it says of itself, or else its faults one by one."""
    return scenario.about or "; ".join(map(_fault_in_words, scenario.faults))


def _fault_in_words(fault: Fault) -> str:
    return f"{', '.join(map(told, fault.what))} {_moment_in_words(fault.when)}"


def _moment_in_words(when: When) -> str:
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
    words += f" of request {when.request}" if when.request else ""
    words += f" of connection {when.connection}" if when.connection else ""
    return words + (f", {when.probability:.0%} of the time" if when.probability < 1 else "")
