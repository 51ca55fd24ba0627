"""What client rules judge: conversations, calls and observations. build_client_story.py makes them out of
a trace."""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.trace.decoder_events import PlaybackState
from spatius_sim.trace.events import Trace

VIRTUAL_SLACK_MS = 200
REAL_SLACK_MS = 600
"""How late a client may start something or report it, on a virtual and on a real clock (the testee
protocol)."""

AUDIO_TOLERANCE_MS = 40
"""How far the audio may be from its expected position: a client plays in blocks, so a keyframe's length is
no fault."""

VIRTUAL_KEYFRAME_TOLERANCE = 1
REAL_KEYFRAME_TOLERANCE = 4
"""How many keyframes a client may be away from k/25 s, on a virtual and on a real clock."""

IDS, STABLE_IDS = "ids", "stableIds"
"""Features that a client may lack: `yieldFramesData` takes an id; the id of a conversation never changes."""


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
    OVER = "given when the audio may have been over"
    EMPTY_OVER = "an empty list when the audio may have been over"
    OPEN = "not judged"


@dataclass(slots=True)
class ClientConversation:
    """One conversation of a client. `values` are its keyframes, each as its translation[0].

    `samples` are the fewest samples that a correct client may play of its audio, `most_samples` the most:
    they differ if a chunk ends within a sample, because no document says what becomes of half a sample.
    `open_motion`: no document fixes which motion is shown. `abnormal`: some of it is undecodable.
    `unknown_from` is the first keyframe of a payload with unknown fields, `overdue_from` that of a payload
    which came after the time of all its keyframes, `after_foreign_from` the first keyframe that came, or may
    still come, after foreign motion. `last_shown` is the last keyframe that was rendered (-1: none).
    `was_active`: the client was seen in another state than idle. `payload_starts` are the first keyframes of
    the payloads.
    """

    id: str | None
    first_seq: int
    samples: int = 0
    audio_bytes: int = 0
    ended: bool = False
    interrupted: bool = False
    audio_only: bool = False
    open_motion: bool = False
    abnormal: bool = False
    values: list[float] = field(default_factory=list)
    unknown_from: float = math.inf
    overdue_from: float = math.inf
    after_foreign_from: int = 0
    last_shown: int = -1
    was_active: bool = False
    payload_starts: list[int] = field(default_factory=list)

    def payload_number_of(self, keyframe: int | None) -> int:
        """Return the number of the payload (1, 2, ...) that holds this keyframe; 0 if `keyframe` is None."""
        return 0 if keyframe is None else sum(start <= keyframe for start in self.payload_starts)

    @property
    def most_samples(self) -> int:
        """The most samples that a correct client may play."""
        return -(-self.audio_bytes // BYTES_PER_SAMPLE)


@dataclass(frozen=True, slots=True)
class AudioCall:
    """A call of yieldAudioData. `seq` and `answered` are the events of the call and of its answer, `returned`
    is the id that came back, `id_before` the id that the conversation had before. `conversation` is None for
    empty audio outside a conversation. `first`: the call surely started its conversation, not in a pause."""

    seq: int
    answered: int
    returned: str | None
    error: str | None
    conversation: ClientConversation | None
    first: bool
    id_before: str | None = None


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
class ThrownCall:
    """A call of `do` (advance, interrupt, pause or resume) at which the client threw `error`, although it is
    fixed what the call does there. `seq` and `answered` are the events of the call and of its answer."""

    do: str
    seq: int
    answered: int
    error: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What a client reported when it was observed, and what is certain about it. Positions are in samples;
    None means: not certain, or not reported.

    `low` and `high` are the positions of the slowest and of the fastest correct client. `is_over`: the
    conversation is over even for the slowest client. `dry_ms`: how long ago the audio of a conversation
    without an end mark ran out for the slowest client. `held`: the client is paused for long enough to stand
    still. `stalls` and `runs`: in strictSync, the audio must surely stall, or must surely go on; `stalled` is
    what the client reported. `stall_rule`: the rule to which a stall that is missing, or that lasts, belongs
    ("": not certain). `stall_situations`: the rules whose situation came up since a stall was last seen
    right. `due`: the keyframe that the last step of the clock leads to. `blank`: that step is so long that
    even a slow client must have rendered something, and nothing was rendered. `silent`: no client has
    anything left to play. `own`: the rendered keyframes of this conversation, by number. `foreign`: the other
    rendered keyframes, as (value, the call that gave it). `catching_up`: late motion came so lately that a
    client may not yet show it at its place. `moved`: time has passed since the conversation began, or since
    an interrupt. `id_fixed`: it is certain that the client must report `current_id`.

    `motion_situations` and `audio_situations` are the rules whose situation came up since motion or audio was
    last seen unharmed; `motion_rule` and `audio_rule` are the rules to which a harm that is seen now belongs
    ("": not certain). `controlled`: in a plain conversation (one without situations), the client was seen
    to show as much motion as is due now. `starved`: the slowest client has played without motion for some
    time. `audio_harm` says what was expected of the audio and what was seen; it is None if the audio is not
    harmed, and `audio_checked` is whether that is certain.
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
    silent: bool
    id_fixed: bool
    current_id: str | None
    is_over: bool
    dry_ms: int | None
    held: bool
    motion_end: int
    strict: bool
    stalls: bool
    runs: bool
    stall_rule: str
    stall_situations: frozenset[str]
    due: int | None
    blank: bool
    own: tuple[int, ...]
    in_order: bool
    foreign: tuple[tuple[float, MotionCall], ...]
    moved: bool
    catching_up: bool
    motion_situations: frozenset[str]
    motion_rule: str
    controlled: bool
    audio_situations: frozenset[str]
    audio_rule: str
    audio_checked: bool
    starved: bool
    audio_harm: tuple[str, str] | None

    @property
    def rules_if_ended_early(self) -> tuple[str, ...]:
        """The rules to blame if this observation shows that the client of the story ended its conversation
        too early: those on an empty list and on bytes that cannot be decoded, as far as such came. Empty if
        neither came."""
        if self.conversation is None:
            return ()
        situations = (("C-EMPTY", self.conversation.audio_only), ("C-ABNORMAL", self.conversation.abnormal))
        return tuple(rule_id for rule_id, came_up in situations if came_up)

    def shows_motion_in_place(self, tolerance_keyframes: int) -> bool:
        """Return whether the client of the story, at this observation, showed its motion at the right place.
        The newest keyframe of the conversation that it rendered (the last of `own`) must be at most
        `tolerance_keyframes` away from the keyframe that was `due`. Return False if none was due or rendered.
        Any keyframe is in place if the client does not report its position (`played` is None)."""
        if self.due is None or not self.own:
            return False
        return self.played is None or abs(self.own[-1] - self.due) <= tolerance_keyframes

    @property
    def may_lag(self) -> bool:
        """Whether the client rendered motion that need not be in its place: after late motion, it may still
        be catching up."""
        return self.catching_up and bool(self.own)


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
    thrown_calls: list[ThrownCall] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)

    @property
    def slack_ms(self) -> int:
        """How late a client may start or report something, in milliseconds."""
        return REAL_SLACK_MS if self.real_clock else VIRTUAL_SLACK_MS

    @property
    def keyframe_tolerance(self) -> int:
        """How many keyframes a client may be away from k/25 s."""
        return REAL_KEYFRAME_TOLERANCE if self.real_clock else VIRTUAL_KEYFRAME_TOLERANCE

    def note_hello(self, result: dict[str, Any]) -> None:
        """Note in the story what the client under test answered to `hello`: whether its clock is real, its
        modes, and the features that it lacks."""
        self.real_clock = result.get("clock") == "real"
        self.modes = tuple(str(mode) for mode in result.get("modes") or ())
        self.lacks.update(str(name) for name in result.get("lacks") or ())

    def samples(self, ms: int) -> int:
        """Return how many samples last this many milliseconds."""
        return ms * self.sample_rate // 1000

    def keyframe_at(self, samples: int) -> int:
        """Return the number of the keyframe that is due at this position (in samples) of a conversation."""
        return samples * KEYFRAMES_PER_SECOND // self.sample_rate
