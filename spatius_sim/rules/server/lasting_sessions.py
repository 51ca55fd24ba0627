"""S rules on sessions that last: they are not ended as idle while they are spoken to, and a pause harms
nothing."""

from collections.abc import Iterator
from itertools import pairwise, starmap

from spatius_sim.model.server.capabilities import PLAYBACK_STATE
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Pause,
    PlaybackNews,
    ServerError,
)
from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import kit_stall_seconds
from spatius_sim.story.turn_story import Story
from spatius_sim.trace.events import Awaited, Event, Lane, Received, Sent, WaitEnded
from spatius_sim.wires.optional_features import EGRESS

_MAX_LAG_SECONDS = 0.2
"""If the kit was blocked for longer, nobody knows when its audio reached the server."""

_ENDED_AS_IDLE = "no audio input for"
"""What the SDKs look for in the ServerError of an idle time-out, in small letters."""


@rule(
    "S-IDLE",
    Level.MUST,
    "a session with an egress MUST not be ended for want of audio while the gaps in its audio are shorter "
    "than its idle_timeout",
    "sdk-py",
    Provenance.OBSERVED,
    presumes=("S-CONFIRM",),
    needs=(EGRESS,),
    waits="the idle time-out has to pass while the session is spoken to",
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the avatar leaves in the middle of a sentence",
        "the idle time is counted from the configuration, or from the first audio, instead of the last",
        "count the idle time from the last ClientAudioInput, and begin anew with each",
    ),
)
def check_idle_sessions(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each session with an idle time-out that the kit spoke to for longer than that, in pieces with
    much shorter gaps. No error may say that no audio came, unless the time-out has passed since the last
    piece."""
    for connection, limit_seconds in _map_idle_timeouts(story).items():
        audio, ending = _find_audio_and_ending(story, connection)
        if ending is None or not audio or _find_longest_gap(audio) >= limit_seconds / 2:
            continue
        silent_seconds = _seconds_between(audio[-1], ending)
        stalled_seconds = kit_stall_seconds(story.trace, audio[0].seq, ending.seq)
        if not isinstance(ending.content, WaitEnded) and silent_seconds < limit_seconds:
            if stalled_seconds > _MAX_LAG_SECONDS:
                yield Late(stalled_seconds)
                continue
            expected = f"no audio for {limit_seconds} s before the session is ended as idle"
            actual = f"a ServerError {silent_seconds:.1f} s after audio says that there was none"
            yield Broken(expected, actual, (audio[-1].seq, ending.seq))
        elif _seconds_between(audio[0], audio[-1]) > limit_seconds:
            yield Kept()


@rule(
    "S-PLAYBACK-STATE",
    Level.SHOULD,
    "a server that has not confirmed playback_state SHOULD send no ServerPlaybackState",
    "spatialreal",
    Provenance.OBSERVED,
    presumes=("S-CONFIRM",),
    waits="it is seen in a session beside which others have to wait",
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "an SDK of today meets a message that it does not know",
        "the answer to ClientPause does not look at what the session has confirmed",
        "confirm playback_state, or ignore ClientPause and ClientResume",
    ),
)
def check_playback_news(story: Story) -> Iterator[Kept | Broken]:
    """Check each session in which the kit paused a request, and the server had not confirmed that it reports
    playbacks: no such report may come."""
    paused: dict[str, int] = {}
    reporting: set[str] = set()
    told: dict[str, int] = {}
    waited: set[str] = set()
    for event in story.trace.events:
        value = event.content.value if isinstance(event.content, Sent | Received) else None
        match value:
            case ConfirmSession(_, capabilities) if PLAYBACK_STATE in capabilities:
                reporting.add(event.connection)
            case Pause():
                paused.setdefault(event.connection, event.seq)
            case PlaybackNews():
                told.setdefault(event.connection, event.seq)
        if isinstance(event.content, WaitEnded) and event.connection in paused:
            waited.add(event.connection)
    for connection, pause_seq in paused.items():
        if connection in reporting:
            continue
        if connection in told:
            expected = "no ServerPlaybackState, because playback_state was not confirmed"
            yield Broken(expected, "a ServerPlaybackState", (pause_seq, told[connection]))
        elif connection in waited:
            yield Kept()


def _map_idle_timeouts(story: Story) -> dict[str, int]:
    """Return the idle time-out, in seconds, of each connection whose egress has one."""
    timeouts: dict[str, int] = {}
    for event in story.trace.on_lane(Lane.UPSTREAM):
        match event.content:
            case Sent(value=ConfigureSession(livekit_egress=egress)) if egress is not None:
                if egress.idle_timeout:
                    timeouts[event.connection] = egress.idle_timeout
    return timeouts


def _find_audio_and_ending(story: Story, connection: str) -> tuple[list[Event], Event | None]:
    """Return the events with audio of a connection, and its ending. This is the error that ends the session
    as idle; otherwise the last event WaitEnded (for silence) of the kit's wait after the audio; None if
    neither is there."""
    audio: list[Event] = []
    ending = None
    for event in story.trace.events:
        if event.connection != connection:
            continue
        match event.content:
            case Sent(value=AudioInput()):
                audio.append(event)
            case Received(value=ServerError(message=message)) if _ENDED_AS_IDLE in message.lower():
                return audio, event
            case WaitEnded(Awaited.SILENCE):
                ending = event
    return audio, ending


def _find_longest_gap(audio: list[Event]) -> float:
    """Return the longest time between two of these events, in seconds; 0 for one event."""
    return max(starmap(_seconds_between, pairwise(audio)), default=0.0)


def _seconds_between(earlier: Event, later: Event) -> float:
    """Return how many seconds lie between two events."""
    return (later.at_ns - earlier.at_ns) / 1e9
