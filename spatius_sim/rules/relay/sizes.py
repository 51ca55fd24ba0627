"""R rules on payloads that are larger than usual."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Level, Provenance, rule
from spatius_sim.rules.turn_losses import MOTION_LOST
from spatius_sim.story.turn_story import ORDINARY_BYTES, Story

LARGE_BYTES = 65_536
"""The largest payload of R-LARGE."""
HUGE_BYTES = 1_048_576
"""The largest payload of R-HUGE, and the largest that sdk-py takes."""


@rule(
    "R-LARGE",
    Level.MUST,
    "payloads of up to 65,536 bytes MUST pass",
    "recording (49.9 kB)",
    Provenance.OBSERVED,
    presumes=("R-MOTION-COMPLETE",),
    advice=Advice(
        "the face is still in long sentences, or the connection breaks in them",
        "a limit on messages: of the WebSocket library, of a proxy, of a queue or of a buffer",
        "allow messages of 65,536 bytes, and what the wire adds (base64: a third more)",
    ),
)
def check_large_payloads(story: Story) -> Iterator[Kept | Broken]:
    """Look at turns whose largest payload has more than ORDINARY_BYTES, and at most 65,536 bytes: each
    payload arrived exactly once."""
    return _judge_arrivals(story, ORDINARY_BYTES, LARGE_BYTES)


@rule(
    "R-HUGE",
    Level.SHOULD,
    "payloads of up to 1,048,576 bytes, the most that sdk-py takes, SHOULD pass",
    "sdk-py; no document names a size",
    Provenance.ASSUMED,
    presumes=("R-LARGE",),
    advice=Advice(
        "the face is still in very long sentences, or the connection breaks in them",
        "a limit on messages: of the WebSocket library, of a proxy, of a queue or of a buffer",
        "allow messages of 1,048,576 bytes, and what the wire adds (base64: a third more)",
    ),
)
def check_huge_payloads(story: Story) -> Iterator[Kept | Broken]:
    """Look at turns whose largest payload has more than 65,536 and at most 1,048,576 bytes: each payload
    arrived exactly once."""
    return _judge_arrivals(story, LARGE_BYTES, HUGE_BYTES)


def _judge_arrivals(story: Story, more_than_bytes: int, at_most_bytes: int) -> Iterator[Kept | Broken]:
    """Judge the undisturbed (calm) turns without failures whose largest payload has more than
    `more_than_bytes` and at most `at_most_bytes`. Yield Kept for each of their payloads that came to the
    client exactly once, and Broken for each other one."""
    for turn in story.turns:
        if not turn.calm or turn.failures or not more_than_bytes < turn.largest <= at_most_bytes:
            continue
        for number, payload in enumerate(turn.payloads, 1):
            arrived = [delivery for delivery in payload.deliveries if delivery.client == turn.client]
            if len(arrived) == 1:
                yield Kept()
                continue
            arrival = f"arrived {len(arrived)} times" if arrived else "never arrived"
            yield Broken(
                f"the payloads of {turn.name} once and byte for byte, the largest of {turn.largest} bytes",
                f"payload {number}, of {len(payload.raw)} bytes, {arrival}",
                (payload.seq, *(delivery.seq for delivery in arrived)),
                MOTION_LOST,
            )
