"""R rules on motion: verbatim, complete, in order."""

from collections.abc import Iterator
from itertools import pairwise

from spatius_sim.rules.findings import Broken, Check, Kept
from spatius_sim.rules.turns import ORDINARY_BYTES, Delivery, SentPayload, Story


def motion_verbatim(story: Story) -> Iterator[Kept | Broken]:
    """R-MOTION-VERBATIM."""
    for delivery in story.deliveries:
        if delivery.sent is not None:
            yield Kept()
        elif not _beside_a_larger_one(story, delivery):
            yield Broken(
                "the bytes of a payload that Motion Server sent",
                f"{delivery.client} got {len(delivery.raw)} bytes that Motion Server never sent",
                (delivery.seq,),
            )


def _beside_a_larger_one(story: Story, delivery: Delivery) -> bool:
    """Whether it came in a turn with larger payloads than usual: what becomes of these is for R-LARGE and
    R-HUGE."""
    return any(
        turn.client == delivery.client
        and turn.started_seq < delivery.seq < turn.until_seq
        and turn.largest > ORDINARY_BYTES
        for turn in story.turns
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
            arrival = f"arrived {len(arrived)} times" if arrived else "never arrived"
            yield Broken(
                f"each of the {len(payloads)} payloads of {turn.name} once",
                f"payload {number} of {len(payloads)} {arrival}",
                (payload.seq, *(delivery.seq for delivery in arrived)),
            )


def motion_order(story: Story) -> Iterator[Kept | Broken]:
    """R-MOTION-ORDER. Between requests that were answered at the same time either order passes."""
    for arrived in _by_conversation(story).values():
        for (sent_before, before), (sent_after, after) in pairwise(arrived):
            started_before = sent_before.request.first_seq
            if sent_before.seq < sent_after.seq or started_before < sent_after.request.first_seq:
                yield Kept()
            else:
                yield Broken(
                    "payloads of one conversation in the order in which they were sent",
                    f"{after.client} got the payload sent as event {sent_after.seq} behind the one sent "
                    f"as event {sent_before.seq}",
                    (sent_after.seq, sent_before.seq, before.seq, after.seq),
                )


def _by_conversation(story: Story) -> dict[tuple[str, int], list[tuple[SentPayload, Delivery]]]:
    """What arrived in each conversation, doubles and what belongs to other clients aside."""
    arrived: dict[tuple[str, int], list[tuple[SentPayload, Delivery]]] = {}
    for delivery in story.deliveries:
        if delivery.sent is None or delivery.doubled:
            continue
        meant = delivery.sent.request.turn
        if meant is None or meant.client == delivery.client:
            key = (delivery.client, id(delivery.conversation))
            arrived.setdefault(key, []).append((delivery.sent, delivery))
    return arrived


CHECKS: dict[str, Check] = {
    "R-MOTION-VERBATIM": motion_verbatim,
    "R-MOTION-COMPLETE": motion_complete,
    "R-MOTION-ORDER": motion_order,
}
