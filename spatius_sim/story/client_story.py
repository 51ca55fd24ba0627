"""What client rules judge: conversations, calls and observations. `join_client_calls` makes them out of a
trace."""

from dataclasses import dataclass, field
from enum import Enum

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.trace.decoder_events import PlaybackState
from spatius_sim.trace.events import Trace

VIRTUAL_SLACK_MS = 200
REAL_SLACK_MS = 600
"""How late a client may start something or report it, on a virtual and on a real clock (the testee
protocol)."""

APART = frozenset({"C-EMPTY", "C-ABNORMAL", "C-PAUSE"})
"""The rules whose situation changes how a whole conversation is played. Such a conversation is not
judged as a plain conversation."""


class Kind(Enum):
    """How a call with motion relates to the conversation that was current."""

    MATCH = "matched"
    MISMATCH = "given with another id"
    EARLY = "given before any audio"
    LATE = "given with the id that was interrupted"
    EMPTY = "empty"
    EMPTY_MISMATCH = "empty, with another id"
    STICKY = "given in audio-only"
    ABNORMAL = "undecodable"
    OPEN = "not judged"


@dataclass(slots=True)
class ClientConversation:
    """One conversation of a client. `values` are its keyframes, each as its translation[0].

    `taints` are the rules whose situation came up in the conversation. `open_motion`: no document fixes which
    motion is shown. `late`: some motion came after it was due. `unknown_from` is the first keyframe of a
    payload with unknown fields, `last_shown` the last keyframe that was rendered (-1: none).
    """

    id: str | None
    first_seq: int
    samples: int = 0
    ended: bool = False
    interrupted: bool = False
    audio_only: bool = False
    open_motion: bool = False
    late: bool = False
    payloads: int = 0
    values: list[float] = field(default_factory=list)
    unknown_from: int | None = None
    taints: set[str] = field(default_factory=set)
    last_shown: int = -1


@dataclass(frozen=True, slots=True)
class AudioCall:
    """A call of yieldAudioData. `seq` and `answered` are the events of the call and of its answer, `returned`
    is the id that came back. `conversation` is None for empty audio outside a conversation. `first`: the call
    started its conversation."""

    seq: int
    answered: int
    returned: str | None
    error: str | None
    conversation: ClientConversation | None
    first: bool


@dataclass(frozen=True, slots=True)
class MotionCall:
    """A call of yieldFramesData. `conversation` is the current conversation at that time; None if the motion
    belongs to an interrupted conversation."""

    seq: int
    answered: int
    kind: Kind
    error: str | None
    unknown_fields: bool
    conversation: ClientConversation | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What a client reported when it was observed, and what is certain about it. Positions are in samples;
    None means: not certain, or not reported.

    `low` and `high` are the positions of the slowest and of the fastest honest client. `over`: the
    conversation is over even for the slowest client. `dry_ms`: how long ago the audio of a conversation
    without an end mark ran out for the slowest client. `missing_ms`: how long the slowest client has played
    without motion. `held`: the client is paused for long enough to stand still. `stalls` and `runs`:
    strictSync surely stalls, or surely does not. `due`: the keyframe that the last step of the clock leads
    to. `blank`: that step is so long that even a slow client must have rendered something, and nothing was
    rendered. `own`: the rendered keyframes of this conversation, by number. `foreign`: the other rendered
    keyframes, as (value, the call that gave it). `shown_before`, `went_on_before`, `ended_well_before`:
    earlier this client was seen to render motion, to play on without motion, to play a plain conversation to
    its end. `id_fixed`: `current_id` is certain.
    """

    seq: int
    previous_seq: int
    state: str | None
    played: int | None
    stalled: bool | None
    conversation_id: object
    conversation: ClientConversation | None
    samples: int
    low: int
    high: int
    expected_state: PlaybackState | None
    id_fixed: bool
    current_id: str | None
    over: bool
    dry_ms: int | None
    held: bool
    missing_ms: int
    motion_end: int
    strict: bool
    stalls: bool
    runs: bool
    due: int | None
    blank: bool
    own: tuple[int, ...]
    in_order: bool
    foreign: tuple[tuple[float, MotionCall], ...]
    moved: bool
    taints: frozenset[str]
    shown_before: bool
    went_on_before: bool
    ended_well_before: bool


@dataclass(slots=True)
class ClientStory:
    """A client's joined trace. `lacks` names the requests and members of `observe` that the testee does not
    have."""

    trace: Trace
    lacks: set[str] = field(default_factory=set)
    modes: tuple[str, ...] = ()
    real_clock: bool = False
    sample_rate: int = 0
    audio_calls: list[AudioCall] = field(default_factory=list)
    motion_calls: list[MotionCall] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)

    @property
    def slack_ms(self) -> int:
        """How late a client may start or report something, in milliseconds."""
        return REAL_SLACK_MS if self.real_clock else VIRTUAL_SLACK_MS

    def samples(self, ms: int) -> int:
        """Return how many samples last this many milliseconds."""
        return ms * self.sample_rate // 1000

    def keyframe_at(self, samples: int) -> int:
        """Return the number of the keyframe that is due at this position (in samples) of a conversation."""
        return samples * KEYFRAMES_PER_SECOND // self.sample_rate
