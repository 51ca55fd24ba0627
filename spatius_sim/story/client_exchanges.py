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
    """A request to a testee, as event `seq`, and its answer, as event `answered` at the time `at_ns`."""

    seq: int
    request: TesteeRequest
    answered: int
    answer: TesteeAnswer
    at_ns: int


def exchanges(trace: Trace) -> Iterator[Exchange]:
    """Yield each request with its answer, in order; a request that was never answered is left out."""
    pending: tuple[int, TesteeRequest] | None = None
    for event in trace.on_lane(Lane.CLIENT):
        if isinstance(event.what, Sent) and isinstance(event.what.value, TesteeRequest):
            pending = event.seq, event.what.value
        elif pending and isinstance(event.what, Received) and isinstance(event.what.value, TesteeAnswer):
            yield Exchange(*pending, event.seq, event.what.value, event.at_ns)
            pending = None


@dataclass(frozen=True, slots=True)
class GivenPayload:
    """A payload in a call of the client. `values` are the translation[0] of its keyframes; `unknown` says
    whether the payload holds fields that the protocol lacks."""

    values: tuple[float, ...]
    unknown: bool


def read_payload(raw: bytes) -> GivenPayload | None:
    """Return the keyframes of a payload, each as its translation[0]; None if the bytes are no motion."""
    try:
        message = decode(raw)
    except RemoteProtocolError:
        return None
    if not isinstance(message, MotionResponse):
        return None
    values = tuple(float(value) for value in message.keyframes[:, 0])
    return GivenPayload(values, encode(message) != raw)
