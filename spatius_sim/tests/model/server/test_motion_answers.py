"""How a request is answered: from the audio, or with what was recorded."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.model.server.motion_answers import RecordedAnswer, RequestMotion, SynthesizedAnswer
from spatius_sim.protocol.audio import PCM_SAMPLE_RATES, keyframe_count
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import Interrupt, MotionResponse

RATE = 16000
WINDOW = 2 * RATE // 25
"""Bytes of audio to a keyframe."""
PCM = np.random.Generator(np.random.PCG64(1)).integers(-6000, 6000, 7 * RATE).astype("<i2").tobytes()


def read(payload: bytes) -> MotionResponse:
    message = decode(payload)
    assert isinstance(message, MotionResponse)
    return message


def all_of(answer: RequestMotion, chunks: list[bytes]) -> list[bytes]:
    fed = [payload for chunk in chunks for payload in answer.feed(chunk)]
    return [*fed, *answer.finish()]


def synthesized(chunks: list[bytes], rate: int = RATE) -> list[bytes]:
    return all_of(SynthesizedAnswer("connection", "req", rate, 1), chunks)


def recorded(keyframes: int, *, end: bool = False) -> bytes:
    rows = np.zeros((keyframes, WIDTH), np.float32)
    return encode(MotionResponse("recorded connection", "20251223042742_Oja7E-8NzYGi", end, rows))


# Synthesized.


def test_synthesized_motion_has_the_recorded_segments() -> None:
    assert [len(read(payload).keyframes) for payload in synthesized([PCM])] == [50, 100, 25]


def test_the_last_response_and_it_alone_has_the_end() -> None:
    assert [read(payload).end for payload in synthesized([PCM])] == [False, False, True]


def test_every_response_has_the_ids_of_its_request() -> None:
    ids = {(read(payload).connection_id, read(payload).req_id) for payload in synthesized([PCM])}
    assert ids == {("connection", "req")}


def test_no_audio_is_answered_with_an_end_alone() -> None:
    assert [(len(read(p).keyframes), read(p).end) for p in synthesized([])] == [(0, True)]


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(0, len(PCM)), max_size=8))
def test_audio_chunked_any_way_gives_the_same_payloads(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), len(PCM)]
    assert synthesized([PCM[a:b] for a, b in pairwise(borders)]) == synthesized([PCM])


@pytest.mark.parametrize("rate", PCM_SAMPLE_RATES)
def test_the_keyframes_are_those_of_the_audio(rate: int) -> None:
    keyframes = sum(len(read(payload).keyframes) for payload in synthesized([PCM], rate))
    assert keyframes == keyframe_count(len(PCM) // 2, rate)


# Recorded.

RECORDING = [recorded(2), recorded(3), recorded(1, end=True)]


def test_a_recording_is_given_byte_for_byte() -> None:
    assert all_of(RecordedAnswer(RECORDING, RATE), [bytes(6 * WINDOW)]) == RECORDING


def test_a_recorded_payload_comes_when_a_sample_beyond_its_audio_has_come() -> None:
    answer = RecordedAnswer(RECORDING, RATE)
    assert answer.feed(bytes(2 * WINDOW)) == []
    assert answer.feed(bytes(1)) == []
    assert answer.feed(bytes(1)) == RECORDING[:1]
    assert answer.feed(bytes(3 * WINDOW - 2)) == []
    assert answer.feed(bytes(2)) == RECORDING[1:2]
    assert answer.finish() == RECORDING[2:]


def test_audio_longer_than_the_recording_has_no_more_motion() -> None:
    answer = RecordedAnswer(RECORDING, RATE)
    assert answer.feed(bytes(60 * WINDOW)) == RECORDING
    assert answer.feed(bytes(WINDOW)) == []
    assert answer.finish() == []


def test_audio_shorter_than_the_recording_gets_all_of_it_at_its_end() -> None:
    answer = RecordedAnswer(RECORDING, RATE)
    assert answer.feed(bytes(WINDOW)) == []
    assert answer.finish() == RECORDING


def test_a_recording_at_another_rate_keeps_its_time() -> None:
    answer = RecordedAnswer(RECORDING, 48000)
    assert answer.feed(bytes(6 * WINDOW)) == []
    assert answer.feed(bytes(2)) == RECORDING[:1]


def test_what_is_no_motion_comes_with_the_payload_before_it() -> None:
    odd = encode(Interrupt("req"))
    answer = RecordedAnswer([recorded(2), odd, recorded(1, end=True)], RATE)
    assert answer.feed(bytes(2 * WINDOW + 2)) == [recorded(2), odd]
