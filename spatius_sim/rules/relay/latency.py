"""The R rule that measures the time which a relay adds to each payload."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Kept, Late
from spatius_sim.rules.rule import Advice, Level, Provenance, rule
from spatius_sim.rules.subtract_kit_stalls import kit_stall_seconds
from spatius_sim.story.turn_story import Story

_NS_IN_A_MS = 1e6


@rule(
    "R-LATENCY",
    Level.MAY,
    "the time that a relay adds to each payload is measured, and MAY be anything",
    "no document says it",
    Provenance.ASSUMED,
    unit="ms",
    advice=Advice(
        "the more a relay adds, the later the face starts",
        "queues, and work between the callback and the send",
        "nothing must be mended; if it is much, pass each payload on as it comes",
    ),
)
def measure_latency(story: Story) -> Iterator[Kept | Late]:
    """Measure only, and judge nothing: yield Kept for each payload that arrived, with the milliseconds from
    Motion Server's send to the client's receipt. Yield Late instead if the kit itself was stalled in
    between."""
    events = story.trace.events
    for turn in story.clean_turns:
        for payload in turn.payloads:
            for delivery in payload.deliveries[:1]:
                stalled_seconds = kit_stall_seconds(story.trace, payload.seq, delivery.seq)
                milliseconds = (events[delivery.seq].at_ns - events[payload.seq].at_ns) / _NS_IN_A_MS
                yield Late(stalled_seconds) if stalled_seconds else Kept(milliseconds)
