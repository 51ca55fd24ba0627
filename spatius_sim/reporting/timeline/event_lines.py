"""Says each event of a trace in one line, in the words of the time-line: for evidence and `tape show`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from spatius_sim.reporting.make_text_harmless import harmless_line
from spatius_sim.reporting.timeline.build_timeline import (
    CLIENT,
    KIT,
    RELAY,
    SERVER,
    lanes_of,
    list_lanes,
    scenario_start_ns,
)
from spatius_sim.reporting.timeline.client_dialogue import words_for_call
from spatius_sim.reporting.timeline.event_labels import EventWords, words_for
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.trace.events import Event, Lane, SecretKnown, Trace
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_MAX_CHARACTERS = 240


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event in words: `at` seconds from the start of the scenario, from `source` to `target` ("" if it
    happened at one place)."""

    at: float
    event: Event
    source: str
    target: str
    words: str

    def __str__(self) -> str:
        """Return the event in one line: when, from where to where, and its words."""
        place = f"{self.source} -> {self.target}" if self.target else self.source
        return harmless_line(f"{self.at:.3f} s  {place}: {self.words}", _MAX_CHARACTERS)


def event_lines(trace: Trace) -> Iterator[EventLine]:
    """Yield a line for each event of a trace: who sent what to whom, and at which second. For a client under
    test, the seconds are those of the virtual clock that the kit sets by its calls. Events that only name the
    secrets that the kit searches for have no line."""
    lanes = list_lanes(trace)
    client_of_server = KIT if KIT in lanes else RELAY
    start_ns, clock_ms = scenario_start_ns(trace), 0
    for event in trace.events:
        if isinstance(event.content, SecretKnown):
            continue
        call = getattr(event.content, "value", None)
        if event.lane is Lane.CLIENT and isinstance(call, TesteeRequest | TesteeAnswer):
            at_seconds = clock_ms / 1000
            clock_ms += call.ms if isinstance(call, TesteeRequest) and call.do == "advance" else 0
            source, target = (KIT, CLIENT) if isinstance(call, TesteeRequest) else (CLIENT, KIT)
            words = words_for_call(call).words
            # An answer without a value says nothing.
            if words:
                yield EventLine(at_seconds, event, source, target, words)
            continue
        words_of_event = words_for(event) or _plain_words(event)
        nearer, farther = lanes_of(event, lanes, client_of_server)
        source, target = (farther, nearer) if words_of_event.upward is False else (nearer, farther)
        target = "" if words_of_event.upward is None else target
        at_seconds = (event.at_ns - start_ns) / 1e9
        yield EventLine(at_seconds, event, source or SERVER, target, words_of_event.words)


def _plain_words(event: Event) -> EventWords:
    """Return the class of an event in plain words, for an event that no time-line shows."""
    return EventWords(MarkKind.KIT, _CAPITAL.sub(" ", type(event.content).__name__).lower())
