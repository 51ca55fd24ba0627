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
    find_event_lanes,
    find_scenario_start_ns,
    list_lanes,
)
from spatius_sim.reporting.timeline.client_dialogue import label_call
from spatius_sim.reporting.timeline.event_labels import EventLabel, label_event
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.story.frames_and_closes_at_server import is_kit_client_of_server
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
        """Return the event in one line of text: its time, its place or its way, and its words."""
        place = f"{self.source} -> {self.target}" if self.target else self.source
        return harmless_line(f"{self.at:.3f} s  {place}: {self.words}", _MAX_CHARACTERS)


def event_lines(trace: Trace) -> Iterator[EventLine]:
    """Yield a line for each event of a trace: its second, who sent it to whom, and its words. For a client
    under test, the seconds are those of the virtual clock that the calls of `advance` move. Events that only
    name the secrets that the kit searches for, and empty answers, have no line."""
    lanes = list_lanes(trace)
    lane_of_servers_client = KIT if KIT in lanes else RELAY
    start_ns, client_clock_ms = find_scenario_start_ns(trace), 0
    kit_is_client = is_kit_client_of_server(trace)
    for event in trace.events:
        if isinstance(event.content, SecretKnown):
            continue
        call = getattr(event.content, "value", None)
        if event.lane is Lane.CLIENT and isinstance(call, TesteeRequest | TesteeAnswer):
            at_seconds = client_clock_ms / 1000
            client_clock_ms += call.ms if isinstance(call, TesteeRequest) and call.do == "advance" else 0
            source, target = (KIT, CLIENT) if isinstance(call, TesteeRequest) else (CLIENT, KIT)
            words = label_call(call).words
            # An answer without a value says nothing.
            if words:
                yield EventLine(at_seconds, event, source, target, words)
            continue
        label = label_event(event, kit_is_client=kit_is_client) or _plain_words(event)
        client_side, server_side = find_event_lanes(event, lanes, lane_of_servers_client)
        # `label.upward`: towards Motion Server; None at one place.
        source, target = (server_side, client_side) if label.upward is False else (client_side, server_side)
        target = "" if label.upward is None else target
        at_seconds = (event.at_ns - start_ns) / 1e9
        yield EventLine(at_seconds, event, source or SERVER, target, label.words)


def _plain_words(event: Event) -> EventLabel:
    """Return the class of an event in plain words, for an event that no time-line shows."""
    return EventLabel(MarkKind.KIT, _CAPITAL.sub(" ", type(event.content).__name__).lower())
