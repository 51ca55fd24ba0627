"""Ogg Opus sessions: as many keyframes as the PCM that was encoded, however the stream was cut."""

import io
from importlib.util import find_spec

import numpy as np
import pytest

from spatius_sim.net.server import socket_motion_server
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.opus_speech import damage, ogg_opus_speech
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.audio import OPUS_SAMPLE_RATES, keyframe_count
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    ServerError,
)
from spatius_sim.protocol.ogg import SAMPLES_PER_PACKET
from spatius_sim.tests.net.talk import talk

needs_opus = pytest.mark.skipif(find_spec("av") is None, reason="the opus extra is not installed")


def ogg_opus(pcm: bytes, sample_rate: int) -> bytes:
    """That PCM as one Ogg Opus stream, by libopus."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=sample_rate)
        stream.layout = "mono"
        samples = np.frombuffer(pcm, "<i2").reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = sample_rate
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


@needs_opus
def test_what_the_kit_speaks_is_audible_to_other_decoders_and_as_long_as_its_pages_say() -> None:
    import av

    with av.open(io.BytesIO(ogg_opus_speech("a", 103)), "r") as container:
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert sound.size == 103 * SAMPLES_PER_PACKET - 312
    assert np.abs(sound).max() > 0.1
    with av.open(io.BytesIO(damage(ogg_opus_speech("a", 103))), "r") as container:
        left = sum(frame.to_ndarray().size for frame in container.decode(audio=0))
    assert 0 < left < sound.size


@needs_opus
@pytest.mark.parametrize("samples", [1, 7_777, 16_000, 100_003])
@pytest.mark.parametrize("sample_rate", OPUS_SAMPLE_RATES)
async def test_keyframes_are_those_of_the_pcm(sample_rate: int, samples: int) -> None:
    stream = ogg_opus(speech("opus", samples), sample_rate)
    asked = ConfigureSession(sample_rate, audio_format=AudioFormat.OGG_OPUS)
    async with SocketMotionServer() as server, talk(server, asked) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        counts = []
        for req_id, chunk in (("a", len(stream)), ("b", 333)):
            pieces = [stream[start : start + chunk] for start in range(0, len(stream), chunk)]
            await session.say(*(AudioInput(req_id, piece) for piece in pieces), AudioInput(req_id, b"", True))
            responses = await session.hear_motion()
            counts.append([len(response.keyframes) for response in responses])
    assert counts[0] == counts[1]
    assert sum(counts[0]) == keyframe_count(samples, sample_rate)


@needs_opus
@pytest.mark.parametrize("junk", [b"no ogg", b"OggS\0" + bytes(100)])
async def test_a_damaged_stream_is_told_and_the_session_lives(junk: bytes) -> None:
    asked = ConfigureSession(48000, audio_format=AudioFormat.OGG_OPUS)
    stream = ogg_opus(speech("opus", 48_000), 48_000)
    async with SocketMotionServer() as server, talk(server, asked) as session:
        assert isinstance(await session.hear(), ConfirmSession)
        await session.say(AudioInput("a", junk + b"x" * 100, True))
        assert isinstance(await session.hear(), ServerError)
        await session.say(AudioInput("b", stream, True))
        assert sum(len(response.keyframes) for response in await session.hear_motion()) == 25


async def test_without_the_extra_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_motion_server, "find_opus_codec", lambda: None)
    asked = ConfigureSession(48000, audio_format=AudioFormat.OGG_OPUS)
    async with SocketMotionServer() as server, talk(server, asked) as session:
        refused = await session.hear()
    assert isinstance(refused, ServerError)
    assert "pip install 'av>=14,<19'" in refused.message
