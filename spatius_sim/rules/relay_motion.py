"""R rules on motion: verbatim, complete, in order."""

from collections.abc import Iterator
from itertools import pairwise

from spatius_sim.rules.findings import Broken, Check, Kept
from spatius_sim.rules.turns import Delivery, Story


def motion_verbatim(story: Story) -> Iterator[Kept | Broken]:
    """R-MOTION-VERBATIM."""
    for delivery in story.deliveries:
        if delivery.sent is not None:
            yield Kept()
        else:
            yield Broken(
                "the bytes of a payload that Motion Server sent",
                f"{delivery.client} got {len(delivery.raw)} bytes that Motion Server never sent",
                (delivery.seq,),
            )


def motion_complete(story: Story) -> Iterator[Kept | Broken]:
    """R-MOTION-COMPLETE."""
    for turn in story.clean_turns:
        payloads = turn.payloads
        for number, payload in enumerate(payloads, 1):
            arrived = [d for d in payload.deliveries if d.client == turn.client]
            if len(arrived) == 1:
                yield Kept()
                continue
            times = "never" if not arrived else f"{len(arrived)} times"
            yield Broken(
                f"each of the {len(payloads)} payloads of {turn.name} once",
                f"payload {number} of {len(payloads)} arrived {times}",
                (payload.seq, *(delivery.seq for delivery in arrived)),
            )


def motion_order(story: Story) -> Iterator[Kept | Broken]:
    """R-MOTION-ORDER."""
    by_conversation: dict[tuple[str, int], list[tuple[int, Delivery]]] = {}
    for delivery in story.deliveries:
        if delivery.sent is not None and not delivery.doubled:
            key = (delivery.client, id(delivery.conversation))
            by_conversation.setdefault(key, []).append((delivery.sent.seq, delivery))
    for arrived in by_conversation.values():
        for (sent_before, before), (sent_after, after) in pairwise(arrived):
            if sent_before < sent_after:
                yield Kept()
            else:
                yield Broken(
                    "payloads of one conversation in the order in which they were sent",
                    f"{after.client} got the payload sent as event {sent_after} behind the one sent as "
                    f"event {sent_before}",
                    (sent_after, sent_before, before.seq, after.seq),
                )


CHECKS: dict[str, Check] = {
    "R-MOTION-VERBATIM": motion_verbatim,
    "R-MOTION-COMPLETE": motion_complete,
    "R-MOTION-ORDER": motion_order,
}
