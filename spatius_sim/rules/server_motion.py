"""S rules: the motion that Motion Server returns."""

from collections.abc import Iterator

import numpy as np

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.messages import EgressType
from spatius_sim.rules.findings import Broken, Check, Kept
from spatius_sim.rules.turns import Request, Story


def motion_end(story: Story) -> Iterator[Kept | Broken]:
    """S-MOTION-END."""
    for request in _answered(story):
        ends = [payload.seq for payload in request.payloads if payload.response.end]
        if len(ends) == 1 and request.payloads[-1].response.end:
            yield Kept()
            continue
        actual = f"{len(ends)} of its {len(request.payloads)} responses had end=true"
        expected = f"end=true on the last response for {request.req_id}, once"
        yield Broken(expected, actual, (request.first_seq, *ends))


def motion_count(story: Story) -> Iterator[Kept | Broken]:
    """S-MOTION-COUNT."""
    for request in _answered(story):
        samples = len(request.audio) // BYTES_PER_SAMPLE
        wanted = keyframe_count(samples, request.sample_rate)
        got = sum(len(payload.response.keyframes) for payload in request.payloads)
        if got == wanted:
            yield Kept()
        else:
            expected = f"{wanted} keyframes for {samples} samples at {request.sample_rate} Hz"
            events = (request.first_seq, *(payload.seq for payload in request.payloads))
            yield Broken(expected, f"{got} keyframes", events)


def motion_shape(story: Story) -> Iterator[Kept | Broken]:
    """S-MOTION-SHAPE."""
    expected = "seven fields in their sizes in every keyframe, all finite"
    for request in story.requests:
        for payload in request.payloads:
            response = payload.response
            if response.shape_fault:
                yield Broken(expected, response.shape_fault, (payload.seq,))
            elif not np.isfinite(response.keyframes).all():
                row = int(np.argmin(np.isfinite(response.keyframes).all(axis=1)))
                yield Broken(expected, f"keyframe {row} is not finite", (payload.seq,))
            else:
                yield Kept()


def _answered(story: Story) -> list[Request]:
    """Requests that were configured and sent to their end, neither interrupted nor failed, waited for, and
    answered on the socket (no egress)."""
    return [
        request
        for request in story.requests
        if request.ends
        and request.sample_rate > 0
        and request.configured.egress_type == EgressType.UNSPECIFIED
        and not request.broken_off
        and request.turn is not None
        and request.turn.waited_seq is not None
    ]


CHECKS: dict[str, Check] = {
    "S-MOTION-END": motion_end,
    "S-MOTION-COUNT": motion_count,
    "S-MOTION-SHAPE": motion_shape,
}
