"""E rule on the data packets of a relay that publishes by itself in a room."""

from collections import Counter
from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Level, Provenance, Speech, rule
from spatius_sim.story.join_turns import Story
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
def data_limit(story: Story) -> Iterator[Kept | Broken]:
    """Look at each data packet of a relay that came to a client in a room: it has fewer bytes than the limit.
    And look at each payload that did not come because a data packet with it was too large: nobody sees such a
    packet, so its size is reckoned from the packets that came."""
    packets = [event for event in story.trace.events if isinstance(event.content, DataSeen)]
    yield from (Kept() for _ in packets)
    if not packets:
        return  # The relay is in no room.
    growth = _packet_bytes_per_payload_byte(story)
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


def _packet_bytes_per_payload_byte(story: Story) -> float:
    """Return by which factor data packets in the room are larger than the motion payloads in them; base64,
    for instance, adds a third. This is the least factor of all packets, at least 1, and 1 if no payload
    came."""
    payloads = Counter[int]()
    for delivery in story.deliveries:
        payloads[delivery.seq] += len(delivery.raw)
    packets = {
        event.seq: len(event.content.raw)
        for event in story.trace.events
        if isinstance(event.content, Received)
    }
    return max(1.0, min((packets[seq] / size for seq, size in payloads.items() if size), default=1.0))
