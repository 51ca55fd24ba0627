"""Fields that no document names: every decoder passes over them, and none has to merge anything."""

import numpy as np
import pytest

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import ConfirmSession, Message, MotionResponse, ServerError
from spatius_sim.protocol.unknown_fields import add_field_to_envelope_and_content

FIELD = b"\xfa\x7f\x03new"


@pytest.mark.parametrize(
    ("message", "times"),
    [
        (MotionResponse("c", "r", False, np.zeros((1, 120), "<f4")), 2),
        (ConfirmSession("c"), 2),
        (ServerError("c"), 1),
    ],
)
def test_the_field_stands_in_the_envelope_and_once_inside(message: Message, times: int) -> None:
    raw = encode(message)
    longer = add_field_to_envelope_and_content(raw, FIELD)
    assert longer.count(FIELD) == times
    assert longer.endswith(FIELD)
    # Nothing but the length of what is inside changes, so that nothing stands twice.
    assert len(longer) == len(raw) + times * len(FIELD)


def test_what_cannot_be_decoded_stays_as_it_is() -> None:
    assert add_field_to_envelope_and_content(b"\x07", FIELD) == b"\x07"
