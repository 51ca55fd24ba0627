"""The reference relay is right about turns, interrupts, failures, clips and leaving clients."""

import asyncio

from spatius_sim.files.clip_file import read_clip
from spatius_sim.files.find_resources import resource
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import speech
from spatius_sim.protocol.audio import keyframe_count
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tests.subjects.running_relay import motion_ended, payloads, pipeline
from spatius_sim.trace.events import Closed, Lane, TraceHeader
from spatius_sim.wires.events import (
    Audio,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    PlayClip,
    Ready,
    RelayEvent,
    Speak,
    SpeakEnd,
    Unclear,
)

PCM = speech("reference relay", 100_000)


def keyframes(heard: list[RelayEvent]) -> int:
    messages = [decode(payload) for payload in payloads(heard)]
    return sum(len(m.keyframes) for m in messages if isinstance(m, MotionResponse))


def failed(event: RelayEvent) -> bool:
    return isinstance(event, Failed)


async def test_it_greets_and_answers_a_ping() -> None:
    async with pipeline() as pipe:
        await pipe.do(Note("ping"))
        greeting, pong = await pipe.hear(lambda event: event == Note("pong"))
    assert isinstance(greeting, Ready)
    assert greeting.input_sample_rate == greeting.output_sample_rate == 16000
    assert pong == Note("pong")


async def test_audio_comes_back_before_motion_and_both_are_marked() -> None:
    async with pipeline() as pipe:
        await pipe.speak(PCM)
        heard = await pipe.hear(motion_ended)
    audio = [event for event in heard if isinstance(event, Audio)]
    assert b"".join(event.pcm for event in audio) == PCM
    assert [event.last for event in audio] == [False] * (len(audio) - 1) + [True]
    assert keyframes(heard) == keyframe_count(len(PCM) // 2, 16000)
    assert next(i for i, e in enumerate(heard) if isinstance(e, Audio)) < next(
        i for i, e in enumerate(heard) if isinstance(e, Motion)
    )


async def test_it_plays_the_bundled_clips() -> None:
    clip = read_clip(resource("fixtures") / "speech" / "hello.wav")
    async with pipeline() as pipe:
        await pipe.do(PlayClip("hello"))
        heard = await pipe.hear(motion_ended)
    assert b"".join(event.pcm for event in heard if isinstance(event, Audio)) == clip.pcm
    assert keyframes(heard) == keyframe_count(len(clip.pcm) // 2, 16000)


async def test_an_unknown_clip_is_told() -> None:
    async with pipeline() as pipe:
        await pipe.do(PlayClip("../secret"))
        heard = await pipe.hear(failed)
    assert "no clip is named" in str(heard[-1])


async def test_nothing_of_a_turn_follows_its_interrupt() -> None:
    async with pipeline() as pipe:
        await pipe.do(Speak(PCM), InterruptTurn())
        await pipe.hear(lambda event: isinstance(event, Interrupted))
        await pipe.speak(PCM[:6400])
        heard = await pipe.hear(motion_ended)
    turn_ids = {event.turn_id for event in heard if isinstance(event, Audio | Motion)}
    assert turn_ids == {"turn-2"}
    assert keyframes(heard) == keyframe_count(3200, 16000)


async def test_a_new_turn_drops_the_one_under_way() -> None:
    async with pipeline() as pipe:
        await pipe.do(PlayClip("relay"), PlayClip("hello"))
        heard = await pipe.hear(
            lambda event: isinstance(event, Motion) and event.last and event.turn_id == "turn-2"
        )
    last_of_first = max(
        (i for i, e in enumerate(heard) if isinstance(e, Audio | Motion) and e.turn_id == "turn-1"),
        default=-1,
    )
    first_of_second = next(
        i for i, e in enumerate(heard) if isinstance(e, Audio | Motion) and e.turn_id == "turn-2"
    )
    assert last_of_first < first_of_second


async def test_a_refusal_is_told_and_the_audio_still_comes_to_its_end() -> None:
    async with pipeline() as pipe:
        await pipe.do(Unclear('{"type":"set_avatar","avatarId":"missing-avatar"}'))
        await pipe.speak(PCM)
        heard = await pipe.hear(failed)
        heard += [] if any(ends(event) for event in heard) else await pipe.hear(ends)
    told = next(event for event in heard if isinstance(event, Failed))
    assert "Avatar not found" in told.message
    assert b"".join(event.pcm for event in heard if isinstance(event, Audio)) == PCM


async def test_a_dying_motion_server_is_told_once_and_the_next_turn_works() -> None:
    async with pipeline() as pipe:
        await pipe.do(Speak(PCM))
        await pipe.hear(lambda event: isinstance(event, Motion))
        pipe.server.die()
        await pipe.hear(failed)
        await pipe.do(SpeakEnd())
        await pipe.speak(PCM[:6400])
        heard = await pipe.hear(motion_ended)
    assert not any(isinstance(event, Failed) for event in heard)
    assert keyframes(heard) == keyframe_count(3200, 16000)


async def test_a_leaving_client_takes_its_upstream_session_along() -> None:
    async with pipeline() as pipe:
        pipe.recorder.start(TraceHeader("relay", "json-envelope", 0, "", ""))
        async with pipe.another_client("leaver") as leaver:
            await leaver.do(Speak(PCM))
            while not isinstance(await asyncio.wait_for(leaver.relay_events.get(), 20), Motion):
                pass
        async with asyncio.timeout(20):
            while not any(
                isinstance(e.content, Closed) and e.lane is Lane.UPSTREAM for e in pipe.recorder.events
            ):
                pipe.recorder.changed.clear()
                await pipe.recorder.changed.wait()


async def test_rubbish_is_answered_and_harms_nobody() -> None:
    rubbish = ["{", "[]", "null", '{"type":7}', '{"type":"mic_audio","audio":"?"}', '{"type":"x"}']
    async with pipeline() as pipe:
        await pipe.do(*(Unclear(text) for text in rubbish))
        for _ in rubbish:
            await pipe.hear(failed)
        await pipe.speak(PCM[:6400])
        assert keyframes(await pipe.hear(motion_ended)) == keyframe_count(3200, 16000)


async def test_an_unreachable_motion_server_is_told() -> None:
    async with pipeline() as pipe:
        await pipe.server.__aexit__(None, None, None)
        await pipe.speak(PCM[:6400])
        heard = await pipe.hear(failed)
    assert "motion failed" in str(heard[-1])


async def test_two_clients_are_served_apart() -> None:
    other = speech("another client", 40_000)
    async with pipeline() as pipe, pipe.another_client("client-2") as second:
        await asyncio.gather(pipe.speak(PCM), second.do(Speak(other)))
        await second.do(SpeakEnd())
        heard = await pipe.hear(motion_ended)
        theirs: list[RelayEvent] = []
        while not theirs or not motion_ended(theirs[-1]):
            theirs.append(await asyncio.wait_for(second.relay_events.get(), 20))
    assert keyframes(heard) == keyframe_count(len(PCM) // 2, 16000)
    assert keyframes(theirs) == keyframe_count(40_000, 16000)
    assert not set(payloads(heard)) & set(payloads(theirs))


async def test_a_motion_server_of_a_named_key_refuses_it() -> None:
    from spatius_sim.model.server.access_control import AccessControl

    server = SocketMotionServer(access=AccessControl(api_keys=frozenset({"another key"})))
    async with pipeline(server) as pipe:
        await pipe.speak(PCM[:6400])
        assert "API key" in str((await pipe.hear(failed))[-1])


def ends(event: RelayEvent) -> bool:
    return isinstance(event, Audio) and event.last
