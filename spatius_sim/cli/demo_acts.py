"""The demo: a conversation through the whole pipeline, and one in which Motion Server dies."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

from spatius_sim import __version__
from spatius_sim.cli.demo_view import ConversationFigures
from spatius_sim.files.clip import Clip
from spatius_sim.net.client.relay_socket import RelayAddress
from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.net.server.motion_server import MotionServerShell
from spatius_sim.protocol.keyframes import JAW_POSE
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.reporting.summary import RuleOutcome, Summary
from spatius_sim.rules.catalogue import REVISION
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.embedded import relay_url, start_reference_relay
from spatius_sim.subjects.relay.avatar import AvatarClient
from spatius_sim.subjects.relay.client import RelayClient
from spatius_sim.subjects.subject import canary_key
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
"""Speech goes up four times as fast as it plays, as a TTS gives it: so motion comes before its moment."""
_LONGEST_WAIT_SECONDS = 30.0
_WIRE = "json-envelope"
_OF_ONE_CLEAN_TURN = (
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
"""Hz. What the reference relay takes."""


@dataclass(slots=True)
class Stage:
    """Everything that one act needs, connected."""

    server: MotionServerShell
    relay: RelayClient
    avatar: AvatarClient
    recorder: LiveRecorder


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What an act left behind; `played_out` if the avatar came back to idle by itself."""

    trace: Trace
    played_out: bool
    audio_only: bool
    told: str


DemoWatcher = Callable[[Stage, int], None]
"""Called forty times a second with the stage and the number of samples spoken so far."""


async def clean_conversation(clip: Clip, seed: int, watch: DemoWatcher) -> DemoResult:
    """Real speech goes up, motion comes down, the avatar plays both to the end."""
    async with _relay_and_client(seed, "one clean turn of real speech") as stage:
        return await _speak_clip(stage, clip, watch, dies=False)


async def dying_motion_server(clip: Clip, seed: int, watch: DemoWatcher) -> DemoResult:
    """Motion Server is cut off as soon as the avatar has its first motion."""
    async with _relay_and_client(seed, "Motion Server dies in mid-turn") as stage:
        return await _speak_clip(stage, clip, watch, dies=True)


@asynccontextmanager
async def _relay_and_client(seed: int, plan: str) -> AsyncIterator[Stage]:
    """Start Motion Server, the reference relay and one client, and stop them afterwards."""
    wire = published_wire(_WIRE)
    recorder = LiveRecorder(wire=wire)
    ids = (f"conversation-{number}" for number in count(1))
    async with MotionServerShell(seed=seed, sink=recorder) as server:
        relay = await start_reference_relay(server, canary_key(seed))
        try:
            recorder.start(TraceHeader("relay", _WIRE, seed, plan, __version__))
            async with RelayClient(RelayAddress(relay_url(relay)), wire, recorder, CLIENT) as client:
                avatar = AvatarClient(client, recorder, CLIENT, lambda: next(ids))
                try:
                    yield Stage(server, client, avatar, recorder)
                finally:
                    await avatar.stop()
        finally:
            relay.close()
            await relay.wait_closed()


async def _speak_clip(stage: Stage, clip: Clip, watch: DemoWatcher, *, dies: bool) -> DemoResult:
    """Speak a clip through the relay in real time and wait for its end; if `dies`, Motion Server dies after
    the first motion."""
    recorder = stage.recorder
    recorder.emit(Lane.KIT, CLIENT, TurnStarted(0, clip.pcm, clip.sample_rate))
    size = int(clip.sample_rate * _CHUNK_SECONDS) * 2
    for start in range(0, len(clip.pcm), size):
        await stage.relay.do(Speak(clip.pcm[start : start + size]))
        watch(stage, min(start + size, len(clip.pcm)) // 2)
        await asyncio.sleep(_TICK_SECONDS)
        if dies and has_happened(recorder, lambda what: isinstance(what, MotionTaken)):
            stage.server.die()
            dies = False
    await stage.relay.do(SpeakEnd())
    for _ in range(int(_LONGEST_WAIT_SECONDS / _TICK_SECONDS)):
        if has_happened(recorder, _playback_ended):
            break
        watch(stage, len(clip.pcm) // 2)
        await asyncio.sleep(_TICK_SECONDS)
    played_out = has_happened(recorder, _playback_ended)
    recorder.emit(Lane.KIT, CLIENT, WaitEnded(Awaited.TURN, played_out, 0))
    audio_only = has_happened(recorder, lambda what: isinstance(what, AudioOnlyEntered))
    failures = [
        event.what.value.message
        for event in recorder.events
        if isinstance(event.what, Received) and isinstance(event.what.value, Failed)
    ]
    return DemoResult(
        trace=recorder.finish(),
        played_out=played_out,
        audio_only=audio_only,
        told=failures[0] if failures else "",
    )


def has_happened(recorder: LiveRecorder, what: Callable[[EventKind], bool]) -> bool:
    return any(what(event.what) for event in recorder.events)


def _playback_ended(what: EventKind) -> bool:
    return what == StateChanged(PlaybackState.IDLE, StateReason.PLAYBACK_END)


def figures(stage: Stage, spoken: int, total: int) -> ConversationFigures:
    """The figures of this moment; `spoken` and `total` in samples."""
    decoder = stage.avatar.decoder
    events = [event.what for event in stage.recorder.events]
    row = decoder.keyframe_row
    return ConversationFigures(
        spoken=spoken / SPEECH_RATE,
        total=total / SPEECH_RATE,
        payloads_sent=sum(_is_motion_sent(what) for what in events),
        payloads_taken=sum(isinstance(what, MotionTaken) for what in events),
        payloads_discarded=sum(isinstance(what, MotionDiscarded) for what in events),
        state=str(decoder.state),
        conversation=decoder.get_current_conversation_id() or "no conversation",
        played=decoder.played_seconds,
        audio_only=decoder.audio_only,
        jaw=None if row is None else float(row[JAW_POSE][0]),
    )


def summarise(trace: Trace, seed: int) -> Summary:
    """What the rules say of an act. Rules that take more than one clean turn stay out of it."""
    outcomes = tuple(
        RuleOutcome(judgement.rule_id, judgement.verdict, judgement.exercised, 1, judgement.reason, None)
        for judgement in judge(trace).values()
        if judgement.rule_id in _OF_ONE_CLEAN_TURN
    )
    return Summary("relay", "reference relay", seed, __version__, REVISION, outcomes)


def _is_motion_sent(what: EventKind) -> bool:
    return isinstance(what, Sent) and isinstance(what.value, MotionResponse)
