"""What client rules judge: conversations, calls and observations. The ledger makes them; no client rule joins by
itself."""

from dataclasses import dataclass, field
from enum import Enum

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.trace.decoder_events import PlaybackState
from spatius_sim.trace.events import Trace

VIRTUAL_SLACK_MS = 200
REAL_SLACK_MS = 600
"""How late a client may start something, or report it (the testee protocol)."""

APART = frozenset({"C-EMPTY", "C-ABNORMAL", "C-PAUSE"})
"""The rules whose situation sets the whole playback of a conversation apart."""


class Kind(Enum):
    """What a call with motion was, seen from the conversation that was current."""

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
    """One conversation of audio. `values` are the keyframes that belong to it, told by their translation[0];
    `taints` are the rules whose situation came up in it."""

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
    """`conversation` is None for empty audio outside a conversation; `first` where the call started its conversation."""

    seq: int
    answered: int
    returned: str | None
    error: str | None
    conversation: ClientConversation | None
    first: bool


@dataclass(frozen=True, slots=True)
class MotionCall:
    seq: int
    answered: int
    kind: Kind
    error: str | None
    unknown_fields: bool
    conversation: ClientConversation | None


@dataclass(frozen=True, slots=True)
class Observation:
    """What was seen, and what is fixed of it. Positions in samples; None for what is not fixed or not told.

    `low` and `high`: the latest and the earliest client. `over`: the conversation is over for the latest one, too;
    `dry_ms`: how long ago the audio of a conversation without an end mark ran out for it; `missing_ms`: how long it
    has played without motion. `held`: paused, and settled. `stalls` and `runs`: strictSync surely stalls, or
    surely does not. `due`: the keyframe that this step leads to; `blank`: it leads so far that even a client
    that lags must have rendered something, and nothing was; `own`: keyframes of this conversation that were
    rendered, by number; `foreign`: others, as (value, their call). `shown_before`, `went_on_before`,
    `ended_well_before`: this client was seen to render motion, to play on without it, to play a plain conversation
    to its end. `id_fixed` says whether `current_id` is.
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
    """The joined trace. `lacks`: requests and members of `observe` that the testee does not have."""

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
        """How late anything may be."""
        return REAL_SLACK_MS if self.real_clock else VIRTUAL_SLACK_MS

    def samples(self, ms: int) -> int:
        """That much time in samples."""
        return ms * self.sample_rate // 1000

    def keyframe_at(self, samples: int) -> int:
        """The keyframe that is on the face at that place of a conversation."""
        return samples * KEYFRAMES_PER_SECOND // self.sample_rate
