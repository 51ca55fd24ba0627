"""The choices of everybody between speech and face, as values: speech, relay, Motion Server, client."""

import math
from dataclasses import dataclass, replace
from enum import Enum

from spatius_sim.model.network.message_overhead import WireKind
from spatius_sim.model.network.network_profile import REGIONS
from spatius_sim.model.server.response_pace import REALTIME_JITTER, REALTIME_LATENCY, REALTIME_LEAD, Pace
from spatius_sim.protocol.audio import PCM_SAMPLE_RATES
from spatius_sim.protocol.errors import UsageError


class AudioPacing(Enum):
    """When a relay sends audio to its client."""

    AT_ONCE = "at-once"
    """As soon as the relay has it."""
    PACED = "paced"
    """At the pace of speech, `audio_lead` seconds ahead."""


class Sessions(Enum):
    """How long a session with Motion Server lives."""

    KEPT = "kept"
    PER_TURN = "per-turn"


class Sync(Enum):
    """What a client does if motion is late (docs:sdk-capabilities)."""

    AUDIO_INDEPENDENT = "audioIndependent"
    STRICT_SYNC = "strictSync"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One way to build the whole. Times are in seconds.

    `speech_pace`: how many seconds of speech reach the relay in a second; 0: all of it at once.
    `speech_chunk` and `audio_chunk`: seconds of audio in one message to the relay, and in one to the client.
    `start_buffer`: seconds of audio that the client has in hand before it starts. `send_buffer`: bytes that
    the relay's socket to the client holds. `payloads_per_message`: motion payloads in one message.
    `motion_latency`, `motion_jitter`, `motion_lead`: Motion Server's pace (see Pace); a negative lead: none.
    `interrupt_after`: the user interrupts so many seconds after the first sound, in a share
    `interrupted_share` of all turns."""

    seconds: float = 20.0
    sample_rate: int = 16000
    speech_pace: float = 2.0
    speech_chunk: float = 0.1
    wire: WireKind = WireKind.JSON
    audio: AudioPacing = AudioPacing.AT_ONCE
    audio_lead: float = 0.3
    audio_chunk: float = 0.1
    payloads_per_message: int = 1
    sessions: Sessions = Sessions.PER_TURN
    region: str = "same"
    send_buffer: int = 256 * 1024
    motion_latency: float = REALTIME_LATENCY
    motion_jitter: float = REALTIME_JITTER
    motion_lead: float = REALTIME_LEAD
    start_buffer: float = 0.2
    sync: Sync = Sync.AUDIO_INDEPENDENT
    clients_on_link: int = 1
    """So many clients speak at the same time behind the same link, which is fair: each has an equal share."""
    client_reads: float = 0.0
    """Mbit/s that a slow client takes out of its socket; 0: it takes all at once."""
    clients: int = 1
    """So many clients speak to the relay, each over a link of its own; all share what leaves the relay."""
    relay_rate: float = 1000.0
    """Mbit/s that leave the relay for all its clients."""
    interrupt_after: float = 3.0
    interrupted_share: float = 0.1
    tcp: bool = True
    """Whether the links behave as TCP does; otherwise nothing but capacity and delay count."""

    def __post_init__(self) -> None:
        """Raise UsageError if one of the pipeline's choices is out of range, or if a pace is so slow that a
        turn would hardly end. Raise it, too, if the sample rate or the region is unknown."""
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                raise UsageError(f"{name} must lie between {least:g} and {most:g}")
        for name, least in _SLOWEST.items():
            if 0 < getattr(self, name) < least:
                raise UsageError(f"{name} must be 0 (as fast as can be), or at least {least:g}")
        if self.sample_rate not in PCM_SAMPLE_RATES:
            raise UsageError(f"sample_rate must be one of {', '.join(map(str, PCM_SAMPLE_RATES))}")
        if self.region not in REGIONS:
            raise UsageError(f"region must be one of {', '.join(REGIONS)}")

    @property
    def pace(self) -> Pace:
        """The pace of Motion Server."""
        lead = None if self.motion_lead < 0 else self.motion_lead
        return Pace(self.motion_latency, self.motion_jitter, lead)


_SLOWEST = {"speech_pace": 0.01, "client_reads": 1e-9}
"""The least of each pace that is not 0. With less, times grow too large for a number to tell."""

_BOUNDS: dict[str, tuple[float, float]] = {
    "seconds": (0.2, 120),
    "speech_pace": (0, 100),
    "speech_chunk": (0.01, 120),
    "audio_lead": (0, 60),
    "audio_chunk": (0.01, 120),
    "payloads_per_message": (1, 100),
    "send_buffer": (4096, 64 * 1024 * 1024),
    "motion_latency": (0, 60),
    "motion_jitter": (0, 60),
    "motion_lead": (-1, 3600),
    "start_buffer": (0, 60),
    "clients_on_link": (1, 100),
    "client_reads": (0, 100_000),
    "clients": (1, 100),
    "relay_rate": (0.1, 100_000),
    "interrupt_after": (0, 120),
    "interrupted_share": (0, 1),
}
"""The least and the most of each number. A chunk has at least 10 ms, so that a turn has 12,000 messages at
most."""


def pipelines_with_one_change(pipeline: Pipeline) -> dict[str, Pipeline]:
    """Return the pipelines that differ from `pipeline` in one documented choice, each by the name of its
    change; "in hand" is audio that the client holds. A study tries them to find which change helps. Changes
    that `pipeline` has made already are left out."""
    pipeline_by_change = {
        "binary wire instead of base64": replace(pipeline, wire=WireKind.BINARY),
        "audio as it comes, not paced": replace(pipeline, audio=AudioPacing.AT_ONCE),
        "audio paced, 1 s ahead": replace(pipeline, audio=AudioPacing.PACED, audio_lead=1.0),
        "chunks of 40 ms": replace(pipeline, audio_chunk=0.04),
        "chunks of 500 ms": replace(pipeline, audio_chunk=0.5),
        "the client starts with 1 s in hand": replace(pipeline, start_buffer=1.0),
        "the client starts with 4 s in hand": replace(pipeline, start_buffer=4.0),
        "Motion Server in the relay's region": replace(pipeline, region="same"),
        "sessions with Motion Server kept": replace(pipeline, sessions=Sessions.KEPT),
        "speech at five times its pace": replace(pipeline, speech_pace=5.0),
    }
    return {change: changed for change, changed in pipeline_by_change.items() if changed != pipeline}


def format_value_for_file(value: object) -> str:
    """Return a value of a pipeline as the text that stands for it in a study file: an enum as its value, a
    bool as "true" or "false", a number in its short form."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)
