"""Pairs a testee's requests with their answers, and reads the motion that the requests carry."""

from collections.abc import Iterator
from dataclasses import dataclass

from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.events import Lane, Received, Sent, Trace
from spatius_sim.wires.testee import TesteeAnswer, TesteeRequest


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to a testee and its answer. `seq` and `answered` are their sequence numbers; the answer came
    at `at_ns`."""

    seq: int
    request: TesteeRequest
    answered: int
    answer: TesteeAnswer
    at_ns: int


def exchanges(trace: Trace) -> Iterator[Exchange]:
    """Yield each request with its answer, in order; a request that was never answered is left out."""
    asked: tuple[int, TesteeRequest] | None = None
    for event in trace.on_lane(Lane.CLIENT):
        if isinstance(event.what, Sent) and isinstance(event.what.value, TesteeRequest):
            asked = event.seq, event.what.value
        elif asked and isinstance(event.what, Received) and isinstance(event.what.value, TesteeAnswer):
            yield Exchange(*asked, event.seq, event.what.value, event.at_ns)
            asked = None


@dataclass(frozen=True, slots=True)
class GivenPayload:
    """A payload that a client was given. `values` are the translation[0] of its keyframes; `unknown` says
    whether it holds fields that the protocol lacks."""

    values: tuple[float, ...]
    unknown: bool


def read_payload(raw: bytes) -> GivenPayload | None:
    """Read a payload's keyframes, each as its translation[0]; None for bytes that are no motion."""
    try:
        message = decode(raw)
    except RemoteProtocolError:
        return None
    if not isinstance(message, MotionResponse):
        return None
    values = tuple(float(value) for value in message.keyframes[:, 0])
    return GivenPayload(values, encode(message) != raw)
