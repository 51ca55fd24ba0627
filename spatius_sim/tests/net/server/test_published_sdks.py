"""The published Server SDKs meet our Motion Server: their whole life, both generations, both credentials."""

import asyncio

import numpy as np
import pytest

from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.audio import keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tests.log_ids import is_log_id
from spatius_sim.tests.net.server.running_sdk import Life, live

SAMPLES = 100_001
PCM = speech("published sdks", SAMPLES)


def responses(life: Life) -> list[MotionResponse]:
    messages = [decode(payload) for payload in life.payloads]
    return [message for message in messages if isinstance(message, MotionResponse)]


@pytest.mark.parametrize("query_auth", [False, True], ids=["headers", "query"])
@pytest.mark.parametrize("sdk", ["spatius", "avatarkit"])
async def test_the_whole_life_of_an_sdk(sdk: str, query_auth: bool) -> None:
    async with SocketMotionServer() as server:
        life = await live(server, [PCM, PCM[:6400]], sdk=sdk, query_auth=query_auth)
    motion = responses(life)
    assert life.errors == []
    assert life.closed
    assert is_log_id(life.connection_id)
    assert len(set(life.req_ids)) == 2
    assert {response.connection_id for response in motion} == {life.connection_id}
    first, second = ([r for r in motion if r.req_id == req_id] for req_id in life.req_ids)
    assert [len(response.keyframes) for response in first] == [50, 100, 6]
    assert [response.end for response in first] == [False, False, True]
    assert sum(len(r.keyframes) for r in second) == keyframe_count(3200, 16000)


@pytest.mark.parametrize("chunk", [1, 999, 3200, 64_000])
async def test_keyframes_do_not_depend_on_how_the_audio_was_cut(chunk: int) -> None:
    pcm = PCM[:20_000] if chunk == 1 else PCM
    async with SocketMotionServer(seed=7) as server:
        whole, cut = await asyncio.gather(live(server, [pcm], chunk=64_000), live(server, [pcm], chunk=chunk))
    assert [r.end for r in responses(cut)] == [r.end for r in responses(whole)]
    for one, other in zip(responses(cut), responses(whole), strict=True):
        assert np.array_equal(one.keyframes, other.keyframes)


@pytest.mark.parametrize("sample_rate", [8000, 22050, 48000])
async def test_other_rates_have_their_own_keyframe_count(sample_rate: int) -> None:
    async with SocketMotionServer() as server:
        life = await live(server, [PCM], sample_rate=sample_rate)
    keyframes = sum(len(response.keyframes) for response in responses(life))
    assert keyframes == keyframe_count(SAMPLES, sample_rate)
