"""The sizes that are computed are those that the wires really have."""

import numpy as np
import pytest

from spatius_sim.model.network.message_overhead import (
    AUDIO_UP_BYTES,
    KEYFRAME_BYTES,
    PAYLOAD_BYTES,
    WireKind,
    count_audio_message_bytes,
    count_bytes_on_tcp,
    count_motion_message_bytes,
)
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.wires import published_wire
from spatius_sim.wires.events import Audio, Motion, RelayEvent, Speak

NAMES = {WireKind.JSON: "json-envelope", WireKind.BINARY: "binary-header"}
TURN = "c1-turn-0"
REQUEST = "20251223042742_Oja7E-8NzYGi"


def written(kind: WireKind, event: RelayEvent) -> int:
    frames = published_wire(NAMES[kind]).write_relay_event(event)
    return sum(len(frame) for frame in frames)


@pytest.mark.parametrize("kind", WireKind)
@pytest.mark.parametrize("size", [0, 1, 3200, 40_000])
def test_audio_takes_what_the_wire_writes(kind: WireKind, size: int) -> None:
    if kind is WireKind.JSON:
        assert count_audio_message_bytes(kind, size) == written(kind, Audio(bytes(size), turn_id=TURN))
    else:
        # The published binary wire brings no audio down: its client has it. Up it has the same frames.
        (frame,) = published_wire(NAMES[kind]).write_client_action(Speak(bytes(size)))
        assert count_audio_message_bytes(kind, size) == len(frame)


@pytest.mark.parametrize("kind", WireKind)
@pytest.mark.parametrize("sizes", [[1000], [24_970, 49_870], [1, 2, 3]])
def test_motion_takes_what_the_wire_writes(kind: WireKind, sizes: list[int]) -> None:
    payloads = tuple(bytes(size) for size in sizes)
    written_bytes = written(kind, Motion(payloads, False, TURN))
    assert count_motion_message_bytes(kind, sizes) == pytest.approx(written_bytes, abs=2 * len(sizes))


@pytest.mark.parametrize("keyframes", [0, 7, 50, 100])
def test_payloads_and_audio_take_what_the_codec_writes(keyframes: int) -> None:
    rows = np.ones((keyframes, 120), np.float32)
    payload = encode(MotionResponse("connection-1", REQUEST, False, rows))
    assert PAYLOAD_BYTES + keyframes * KEYFRAME_BYTES == pytest.approx(len(payload), abs=70)
    up = encode(AudioInput(REQUEST, bytes(3200)))
    assert pytest.approx(len(up), abs=12) == 3200 + AUDIO_UP_BYTES


@pytest.mark.parametrize(
    ("size", "masked", "expected"),
    [
        (100, False, 100 + 2 + 22),
        (100, True, 100 + 6 + 22),
        (126, False, 126 + 4 + 22),
        (16_380, False, 16_384 + 22),
        (16_381, False, 16_385 + 44),
        (65_536, False, 65_546 + 5 * 22),
    ],
)
def test_frames_and_records_add_their_headers(size: int, masked: bool, expected: int) -> None:
    assert count_bytes_on_tcp(size, masked=masked) == expected
