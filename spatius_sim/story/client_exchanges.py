"""Pairs the kit's requests to a testee with their answers, and reads the motion that the requests carry.

A testee is the program that connects a client under test to the kit."""

from collections.abc import Iterator
from dataclasses import dataclass

from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.events import Lane, Received, Sent, Trace
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request of the kit to a testee, as event `seq` at the time `asked_ns`, and the answer, as event
    `answered` at the time `answered_ns`."""

    seq: int
    asked_ns: int
    request: TesteeRequest
    answered: int
    answer: TesteeAnswer
    answered_ns: int


def pair_requests_with_answers(trace: Trace) -> Iterator[Exchange]:
    """Yield each request that the kit sent to the client under test, together with its answer, in order. A
    request that was never answered is left out."""
    unanswered_request: tuple[int, int, TesteeRequest] | None = None
    for event in trace.on_lane(Lane.CLIENT):
        if isinstance(event.content, Sent) and isinstance(event.content.value, TesteeRequest):
            unanswered_request = event.seq, event.at_ns, event.content.value
        elif (
            unanswered_request
            and isinstance(event.content, Received)
            and isinstance(event.content.value, TesteeAnswer)
        ):
            yield Exchange(*unanswered_request, event.seq, event.content.value, event.at_ns)
            unanswered_request = None


@dataclass(frozen=True, slots=True)
class GivenPayload:
    """A payload of motion that our kit gave to the client under test. `values` are the translation[0] of its
    keyframes; `has_unknown_fields` says whether the payload holds fields that the protocol lacks."""

    values: tuple[float, ...]
    has_unknown_fields: bool


def read_given_payload(raw: bytes) -> GivenPayload | None:
    """Read a payload of motion that the kit gave to the client under test. Return None if the bytes are no
    message with motion.

    Of each keyframe only the value translation[0] is kept. The kit puts a different value there in each
    keyframe, so that this value later shows which keyframe the client rendered."""
    try:
        message = decode(raw)
    except RemoteProtocolError:
        return None
    if not isinstance(message, MotionResponse):
        return None
    values = tuple(float(value) for value in message.keyframes[:, 0])
    # Fields that the protocol lacks are lost when the message is encoded again.
    has_unknown_fields = encode(message) != raw
    return GivenPayload(values, has_unknown_fields)
