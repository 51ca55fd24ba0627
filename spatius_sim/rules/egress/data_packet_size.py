"""E rule on the data packets of a relay that publishes by itself in a room."""

from collections import Counter
from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Level, Provenance, Speech, rule
from spatius_sim.story.turn_story import Story
from spatius_sim.trace.events import Received
from spatius_sim.trace.room_events import DataSeen
from spatius_sim.wires.optional_features import DATA_PACKETS

LARGEST_DATA_BYTES = 63_999
"""LiveKit refused a data packet of 64,000 bytes (tried)."""


@rule(
    "E-LIMIT",
    Level.MUST,
    "a data packet in a room MUST have fewer than 64,000 bytes",
    "tried: LiveKit refuses it, and the motion of longer answers is lost",
    Provenance.SAFETY,
    needs=(DATA_PACKETS,),
    speech=Speech.TELLS_TURNS_APART,
    advice=Advice(
        "short answers move the face, and longer ones do not",
        "each message travels as one data packet, and base64 adds a third",
        "send messages as byte or text streams, or cut them into several packets",
    ),
)
def check_data_packet_size(story: Story) -> Iterator[Kept | Broken]:
    """Check each data packet that a relay sent to a client in a room. The room's server passes on only
    packets below the limit, so each is Kept. Also check each payload that never came: if its packet must have
    been too large, yield Broken. Nobody sees that packet, so its size is estimated from those that came."""
    packets = [event for event in story.trace.events if isinstance(event.content, DataSeen)]
    yield from (Kept() for _ in packets)
    if not packets:
        return  # The relay is in no room.
    growth = _measure_packet_growth(story)
    for turn in story.turns:
        for payload in turn.payloads if turn.calm and not turn.failures else ():
            size = int(len(payload.raw) * growth)
            if size > LARGEST_DATA_BYTES and not any(
                delivery.client == turn.client for delivery in payload.deliveries
            ):
                yield Broken(
                    "data packets below 64,000 bytes",
                    f"a payload of {len(payload.raw):,} bytes never came: its packet has some {size:,}",
                    (payload.seq,),
                )


def _measure_packet_growth(story: Story) -> float:
    """Return how many times as large data packets are as the motion payloads in them, to estimate the size of
    a packet that never came; base64, for instance, adds a third. This is the least factor of all packets, but
    at least 1. Return 1 if no payload came."""
    payload_bytes_by_seq = Counter[int]()
    for delivery in story.deliveries:
        payload_bytes_by_seq[delivery.seq] += len(delivery.raw)
    packet_bytes_by_seq = {
        event.seq: len(event.content.raw)
        for event in story.trace.events
        if isinstance(event.content, Received)
    }
    return max(
        1.0,
        min(
            (
                packet_bytes_by_seq[seq] / payload_bytes
                for seq, payload_bytes in payload_bytes_by_seq.items()
                if payload_bytes
            ),
            default=1.0,
        ),
    )
