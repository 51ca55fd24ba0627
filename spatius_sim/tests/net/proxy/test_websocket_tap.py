"""Frames as the proxy reads along: the cost is that of their bytes and their number, however they are cut."""

from collections.abc import Callable

import pytest
from websockets.frames import Frame, Opcode

from spatius_sim.net.proxy.websocket_tap import WebSocketTap
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.tests.net.work import seconds_at_most, times_the_work

SECONDS = 30.0


def frames(kind: bytes, step: int) -> Callable[[int], Callable[[], object]]:
    """A message of so many frames after its first, which comes in pieces of `step` bytes."""

    def prepare(number: int) -> Callable[[], object]:
        stream = Frame(Opcode.BINARY, b"", fin=False).serialize(mask=True) + kind * number
        heard: list[str | bytes] = []
        tap = WebSocketTap(heard.append, lambda code, reason: None)

        def feed() -> None:
            for place in range(0, len(stream), step):
                tap.feed(stream[place : place + step])

        return feed

    return prepare


@pytest.mark.parametrize("step", [1, 10**9], ids=["bytes", "whole"])
@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "of one byte"])
def test_a_message_of_many_frames_takes_time_by_their_number(payload: bytes, step: int) -> None:
    kind = Frame(Opcode.CONT, payload, fin=False).serialize(mask=True)
    with seconds_at_most(SECONDS):
        assert times_the_work(frames(kind, step), 2_000) < 24


def with_first_byte(first: int, payload: bytes = b"x") -> bytes:
    return bytes([first, len(payload)]) + payload


NO_FRAMES = {
    "RSV2": with_first_byte(0xA2),
    "RSV3": with_first_byte(0x92),
    "RSV1 on a ping": with_first_byte(0xC9),
    "RSV1 on a continuation": with_first_byte(0x02) + with_first_byte(0xC0),
    "an unknown opcode": with_first_byte(0x83),
    "an unknown control opcode": with_first_byte(0x8B),
    "a continuation of nothing": with_first_byte(0x80),
    "a message within a message": with_first_byte(0x02) + with_first_byte(0x82),
    "a ping in two frames": with_first_byte(0x09),
    "a ping of 126 bytes": b"\x89\x7e\x00\x7e" + bytes(126),
    "a length of 2^63": b"\x82\x7f\x80" + bytes(7),
    "a length of 2^64 - 1": b"\x82\x7f" + b"\xff" * 8,
}


@pytest.mark.parametrize("stream", NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_is_no_frame_is_not_followed(stream: bytes) -> None:
    tap = WebSocketTap(lambda message: None, lambda code, reason: None, "permessage-deflate")
    with pytest.raises(RemoteProtocolError):
        tap.feed(stream)
