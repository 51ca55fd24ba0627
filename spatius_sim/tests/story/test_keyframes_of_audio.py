"""How many keyframes belong to the audio of a request, as PCM and as Ogg Opus."""

import pytest

from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.protocol.ogg import write_ogg_opus
from spatius_sim.story.join_requests import join_requests
from spatius_sim.story.keyframes_of_audio import (
    find_keyframes_of_audio,
    is_answered_in_full,
    is_ogg_opus,
)
from spatius_sim.story.turn_story import UpstreamRequest
from spatius_sim.tests.rules.traces import KEYFRAME, RATE, Dialogue, voice


def asked(audio: bytes, audio_format: AudioFormat = AudioFormat.OGG_OPUS, answer: int = 0) -> UpstreamRequest:
    """A request with this audio, answered by so many keyframes."""
    said = Dialogue("server")
    said.configures("up", RATE, audio_format)
    said.audio_up("up", "req", audio, end=True)
    said.motion("up", "req", answer, end=True)
    (request,) = join_requests(said.trace)
    return request


def opus(packet_count: int) -> bytes:
    return write_ogg_opus([b"\x08packet"] * packet_count, 1)


def test_pcm_has_a_keyframe_for_each_25th_of_a_second() -> None:
    request = asked(voice("pcm", 5 * KEYFRAME + 1), AudioFormat.PCM_S16LE)
    assert not is_ogg_opus(request)
    assert find_keyframes_of_audio(request) == 5


@pytest.mark.parametrize(("packet_count", "keyframes"), [(1, 0), (13, 6), (103, 51)])
def test_ogg_opus_counts_what_its_pages_say(packet_count: int, keyframes: int) -> None:
    request = asked(opus(packet_count))
    assert is_ogg_opus(request)
    assert find_keyframes_of_audio(request) == keyframes


def test_a_stream_that_ends_with_a_keyframe_leaves_the_count_open() -> None:
    assert find_keyframes_of_audio(asked(opus(12))) is None


@pytest.mark.parametrize("audio", [b"", b"no Ogg", opus(13)[:-40]], ids=["nothing", "junk", "no last page"])
def test_of_what_is_damaged_or_incomplete_nobody_knows(audio: bytes) -> None:
    request = asked(audio)
    assert find_keyframes_of_audio(request) is None
    assert not is_answered_in_full(request)


@pytest.mark.parametrize(("answer", "in_full"), [(6, True), (5, False)])
def test_an_answer_in_full_has_all_keyframes(answer: int, in_full: bool) -> None:
    assert is_answered_in_full(asked(opus(13), answer=answer)) is in_full
