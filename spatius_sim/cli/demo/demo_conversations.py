"""The demo: a conversation through the whole pipeline, and one in which Motion Server dies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from spatius_sim import __version__
from spatius_sim.cli.demo.draw_conversation import ConversationFigures
from spatius_sim.files.clip_file import Clip
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.keyframes import JAW_POSE
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.summary import RuleOutcome, Summary
from spatius_sim.rules.catalogue import REVISION
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.embed_reference_relay import embed_reference_relay, relay_url
from spatius_sim.subjects.relay.avatar_client import AvatarClient
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.trace.decoder_events import (
    AudioOnlyEntered,
    MotionDiscarded,
    MotionTaken,
    PlaybackState,
    StateChanged,
    StateReason,
)
from spatius_sim.trace.events import (
    Awaited,
    EventKind,
    Lane,
    Received,
    Sent,
    Trace,
    TraceHeader,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires import published_wire
from spatius_sim.wires.events import Failed, Speak, SpeakEnd

CLIENT = "client-1"
_CHUNK_SECONDS = 0.1
_TICK_SECONDS = 0.025
"""One chunk is sent at each tick: four times as fast as it plays, as a TTS does. So motion comes early."""
_LONGEST_WAIT_SECONDS = 30.0
_WIRE = "json-envelope"
_RULES_OF_ONE_CLEAN_TURN = (
    "U-TOKEN",
    "U-CONFIGURE",
    "U-AUDIO-END",
    "R-MOTION-VERBATIM",
    "R-MOTION-COMPLETE",
    "R-MOTION-ORDER",
    "R-END-AUDIO",
    "R-AUDIO-COMPLETE",
    "R-AUDIO-FIRST",
    "R-CONVERSATION",
    "R-SECRETS",
)

SPEECH_RATE = 16000
"""The sample rate that the reference relay takes, in Hz."""


@dataclass(slots=True)
class DemoSetup:
    """Everything that one conversation of the demo needs: a Motion Server, and a client of a relay with its
    avatar."""

    server: SocketMotionServer
    relay: RelayClient
    avatar: AvatarClient
    recorder: RealTimeRecorder


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What happened in a conversation of the demo.

    `played_out`: whether the avatar came back to idle by itself. `audio_only`: whether the client changed to
    audio-only. `failure_message`: what the relay told its client of a failure, or ""."""

    trace: Trace
    played_out: bool
    audio_only: bool
    failure_message: str


DemoWatcher = Callable[[DemoSetup, int], None]
"""A function that is called 40 times a second, with the setup and the number of samples spoken so far."""


async def play_clean_conversation(clip: Clip, seed: int, watch: DemoWatcher) -> DemoResult:
    """Play the demo's first conversation: speak a clip through a relay while nothing goes wrong. Return what
    happened."""
    async with _start_setup(seed, "one clean turn of real speech") as setup:
        return await _speak_clip(setup, clip, watch, server_dies=False)


async def play_dying_motion_server(clip: Clip, seed: int, watch: DemoWatcher) -> DemoResult:
    """Play the demo's second conversation: speak a clip, and let Motion Server die after the first motion.
    Return what happened."""
    async with _start_setup(seed, "Motion Server dies in mid-turn") as setup:
        return await _speak_clip(setup, clip, watch, server_dies=True)


@asynccontextmanager
async def _start_setup(seed: int, title: str) -> AsyncIterator[DemoSetup]:
    """Start what a conversation of the demo needs: Motion Server, the reference relay, and one client with
    its avatar. Stop them all when the conversation is over. The recording of it gets the title. The relay has
    a false API key, which the kit recognises if the relay sends it to the client."""
    wire = published_wire(_WIRE)
    recorder = RealTimeRecorder(wire=wire)
    conversation_ids = (f"conversation-{number}" for number in count(1))
    async with SocketMotionServer(seed=seed, sink=recorder) as server:
        relay = await embed_reference_relay(server, canary_key(seed))
        try:
            recorder.start(TraceHeader("relay", _WIRE, seed, title, __version__))
            async with RelayClient(RelayAddress(relay_url(relay)), wire, recorder, CLIENT) as client:
                avatar = AvatarClient(client, recorder, CLIENT, lambda: next(conversation_ids))
                try:
                    yield DemoSetup(server, client, avatar, recorder)
                finally:
                    await avatar.stop()
        finally:
            relay.close()
            await relay.wait_closed()


async def _speak_clip(setup: DemoSetup, clip: Clip, watch: DemoWatcher, *, server_dies: bool) -> DemoResult:
    """Speak a clip through the relay in a conversation of the demo, wait until it has played to its end, and
    return what happened.

    If `server_dies`, Motion Server dies after the first motion."""
    recorder = setup.recorder
    recorder.emit(Lane.KIT, CLIENT, TurnStarted(0, clip.pcm, clip.sample_rate))
    chunk_bytes = int(clip.sample_rate * _CHUNK_SECONDS) * BYTES_PER_SAMPLE
    for start in range(0, len(clip.pcm), chunk_bytes):
        await setup.relay.do(Speak(clip.pcm[start : start + chunk_bytes]))
        watch(setup, min(start + chunk_bytes, len(clip.pcm)) // BYTES_PER_SAMPLE)
        await asyncio.sleep(_TICK_SECONDS)
        if server_dies and has_happened(recorder, lambda content: isinstance(content, MotionTaken)):
            setup.server.die()
            server_dies = False
    await setup.relay.do(SpeakEnd())
    for _ in range(int(_LONGEST_WAIT_SECONDS / _TICK_SECONDS)):
        if has_happened(recorder, _playback_ended):
            break
        watch(setup, len(clip.pcm) // BYTES_PER_SAMPLE)
        await asyncio.sleep(_TICK_SECONDS)
    played_out = has_happened(recorder, _playback_ended)
    recorder.emit(Lane.KIT, CLIENT, WaitEnded(Awaited.TURN, played_out, 0))
    audio_only = has_happened(recorder, lambda content: isinstance(content, AudioOnlyEntered))
    failures = [
        event.content.value.message
        for event in recorder.events
        if isinstance(event.content, Received) and isinstance(event.content.value, Failed)
    ]
    return DemoResult(
        trace=recorder.finish(),
        played_out=played_out,
        audio_only=audio_only,
        failure_message=failures[0] if failures else "",
    )


def has_happened(recorder: RealTimeRecorder, is_wanted: Callable[[EventKind], bool]) -> bool:
    """Return whether an event for which `is_wanted` is true was recorded by now."""
    return any(is_wanted(event.content) for event in recorder.events)


def _playback_ended(content: EventKind) -> bool:
    """Return whether this is the avatar's change to idle at the end of playback."""
    return content == StateChanged(PlaybackState.IDLE, StateReason.PLAYBACK_END)


def figures_now(setup: DemoSetup, spoken_samples: int, total_samples: int) -> ConversationFigures:
    """Return the figures that the demo shows at this moment of its conversation: how much was spoken and
    played, how many motion payloads came, and what the avatar does."""
    decoder = setup.avatar.decoder
    contents = [event.content for event in setup.recorder.events]
    keyframe = decoder.current_keyframe
    return ConversationFigures(
        spoken_seconds=spoken_samples / SPEECH_RATE,
        total_seconds=total_samples / SPEECH_RATE,
        payloads_sent=sum(_is_motion_sent(content) for content in contents),
        payloads_taken=sum(isinstance(content, MotionTaken) for content in contents),
        payloads_discarded=sum(isinstance(content, MotionDiscarded) for content in contents),
        state=str(decoder.state),
        conversation_id=decoder.get_current_conversation_id() or "no conversation",
        played_seconds=decoder.played_seconds,
        audio_only=decoder.audio_only,
        jaw_radians=None if keyframe is None else float(keyframe[JAW_POSE][0]),
    )


def judge_conversation(trace: Trace, seed: int) -> Summary:
    """Judge the recorded conversation of the demo by the rules, and return a summary of the verdicts. It has
    only those rules that one turn without faults can exercise."""
    outcomes = tuple(
        RuleOutcome(judgement.rule_id, judgement.verdict, judgement.exercised, 1, judgement.reason, None)
        for judgement in judge(trace).values()
        if judgement.rule_id in _RULES_OF_ONE_CLEAN_TURN
    )
    return Summary("relay", "reference relay", seed, __version__, REVISION, outcomes)


def _is_motion_sent(content: EventKind) -> bool:
    """Return whether Motion Server sent motion."""
    return isinstance(content, Sent) and isinstance(content.value, MotionResponse)
