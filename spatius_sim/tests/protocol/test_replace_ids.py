"""Ids are replaced wherever they stand, and nothing else is."""

import numpy as np

from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import AudioInput, MotionResponse, ServerError
from spatius_sim.protocol.replace_ids import replace_ids

UNKNOWN_FIELD = b"\xaa\x06\x05extra"


def test_a_response_bears_the_new_ids_and_the_same_motion() -> None:
    rows = np.arange(2 * WIDTH, dtype=np.float32).reshape(2, WIDTH)
    raw = encode(MotionResponse("connection", "request", True, rows)) + UNKNOWN_FIELD
    there = replace_ids(raw, "other", "another")
    assert decode(there) == MotionResponse("other", "another", True, rows)
    assert there.endswith(UNKNOWN_FIELD)
    assert replace_ids(there, "connection", "request") == raw


def test_an_error_bears_ids_only_where_it_did() -> None:
    raw = encode(ServerError("connection", "", 4001, "Credits exhausted"))
    assert decode(replace_ids(raw, "other", "x")) == ServerError("other", "", 4001, "Credits exhausted")
    raw = encode(ServerError("", "request", 3, "no"))
    assert decode(replace_ids(raw, "x", "other")) == ServerError("", "other", 3, "no")


def test_anything_else_stays_as_it_is() -> None:
    for raw in (encode(AudioInput("request", b"ab")), b"\xff\xff"):
        assert replace_ids(raw, "a", "b") == raw
