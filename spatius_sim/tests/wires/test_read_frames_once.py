"""What is remembered of frames changes nothing but the time, and is bounded."""

import pytest

from spatius_sim.wires import json_fields
from spatius_sim.wires.binary_header import BinaryHeader
from spatius_sim.wires.events import Frame, Speak
from spatius_sim.wires.json_envelope import JsonEnvelope
from spatius_sim.wires.read_frames_once import MAX_REMEMBERED_FRAMES, MAX_REMEMBERED_LENGTH, remember_results
from spatius_sim.wires.typed_json import TypedJson


def test_a_frame_that_comes_again_soon_is_read_once() -> None:
    read: list[Frame] = []

    @remember_results
    def describe(frame: Frame) -> str:
        read.append(frame)
        return f"{type(frame).__name__} of {len(frame)}"

    assert [describe("abc"), describe("abc"), describe(b"abc")] == ["str of 3", "str of 3", "bytes of 3"]
    assert read == ["abc", b"abc"]
    for number in range(MAX_REMEMBERED_FRAMES):
        describe(str(number))
    describe("abc")
    assert read[-1] == "abc"


def test_a_long_frame_is_not_remembered() -> None:
    read: list[int] = []

    @remember_results
    def measure(frame: Frame) -> int:
        read.append(len(frame))
        return len(frame)

    for size in (MAX_REMEMBERED_LENGTH, MAX_REMEMBERED_LENGTH + 1) * 2:
        measure("x" * size)
    assert read == [MAX_REMEMBERED_LENGTH, MAX_REMEMBERED_LENGTH + 1, MAX_REMEMBERED_LENGTH + 1]


@pytest.mark.parametrize(
    "wire", [JsonEnvelope(), TypedJson(), BinaryHeader()], ids=lambda wire: str(wire.name)
)
def test_more_speech_than_is_remembered_is_read_as_it_was_written(
    wire: JsonEnvelope | TypedJson | BinaryHeader,
) -> None:
    speech = [Speak(number.to_bytes(2, "big") * 40) for number in range(2 * MAX_REMEMBERED_FRAMES)]
    frames = [frame for action in speech for frame in wire.write_client_action(action)]
    for _ in range(2):
        assert [wire.read_client_frame(frame) for frame in frames] == speech
    assert len(json_fields._text_by_bytes) <= MAX_REMEMBERED_FRAMES
    assert len(json_fields._bytes_by_text) == len(json_fields._text_by_bytes)


def test_a_long_payload_is_not_remembered_and_is_read_as_it_was_written() -> None:
    pcm = bytes(range(256)) * 64
    (frame,) = JsonEnvelope().write_client_action(Speak(pcm))
    assert JsonEnvelope().read_client_frame(frame) == Speak(pcm)
    assert pcm not in json_fields._text_by_bytes
