"""Plans: a whole scenario is drawn first, then run. The Hypothesis strategies that draw them."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from hypothesis import strategies as st

from spatius_sim.kit.conduct import WHOLE_TURN, Act, Cue, Rubbish
from spatius_sim.kit.probes import Probe
from spatius_sim.model.scenario import NO_FAULTS, Scenario
from spatius_sim.model.told_faults import in_words
from spatius_sim.protocol.audio import (
    BYTES_PER_SAMPLE,
    KEYFRAMES_PER_SECOND,
    keyframe_count,
    segment_end,
)

PLAN_SAMPLE_RATE = 16000
"""Hz. What json-envelope relays take from their clients."""

_SAMPLES_PER_KEYFRAME = PLAN_SAMPLE_RATE // KEYFRAMES_PER_SECOND
_LONGEST_SECONDS = 12
_MINUTE = 60 * PLAN_SAMPLE_RATE
_MOST_CHUNKS = 60
_VOICE_PEAK = 6000.0
_SYLLABLES_PER_SECOND = 4.0


class Sound(StrEnum):
    """What is heard in a turn."""

    SPEECH = "speech"
    PAUSES = "speech with a long pause"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """One utterance: so many samples, sent in chunks of so many bytes. At the `cue` its client does what it
    is to do, and rests for `pause_ms` before its next turn. One that does not `read` leaves all that comes
    unread until the turns of the others are over."""

    samples: int
    chunk_bytes: int
    cue: Cue = WHOLE_TURN
    act: Act | Rubbish = Act.GO_ON
    pause_ms: int = 0
    reads: bool = True
    sound: Sound = Sound.SPEECH

    @property
    def asks_for_motion(self) -> bool:
        """Whether it is long enough for a keyframe, and not silent: what a relay, and Motion Server, make of
        a shorter turn, or a relay of one in which nobody speaks, no document says."""
        return keyframe_count(self.samples, PLAN_SAMPLE_RATE) > 0 and self.sound is not Sound.SILENCE

    def __str__(self) -> str:
        seconds = self.samples / PLAN_SAMPLE_RATE
        spoken = f"{seconds:g} s of {self.sound} in chunks of {self.chunk_bytes} bytes"
        if not self.samples:
            spoken = "a turn that ends before anything was said"
        if not self.reads:
            spoken += ", nothing read until the others are through"
        if isinstance(self.act, Rubbish):
            spoken += f", {self.act} sent {self.cue}"
        elif self.act is not Act.GO_ON or self.cue != WHOLE_TURN:
            spoken += f", {self.act} {self.cue}"
        return spoken + (f", a pause of {self.pause_ms} ms" if self.pause_ms else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """The turns of each client. Clients speak at the same time, the turns of one behind each other; where
    they keep `step`, each waits for the others before its next turn. A Motion Server is probed before. In
    front of a relay, `motion_server` is what ours plays; where one `bears_credentials`, it is the last."""

    clients: tuple[tuple[TurnPlan, ...], ...]
    probes: tuple[Probe, ...] = ()
    step: bool = False
    motion_server: Scenario = NO_FAULTS
    bears_credentials: bool = False

    def __str__(self) -> str:
        """The plan in words."""
        in_step = ["in step"] if self.step else []
        played = [f"Motion Server: {in_words(self.motion_server)}"] if self.motion_server.faults else []
        borne = ["the last client bears Spatius credentials"] if self.bears_credentials else []
        return "; ".join([*map(str, self.probes), *in_step, self._spoken(), *played, *borne])

    def _spoken(self) -> str:
        if len(self.clients) == 1:
            return ", then ".join(map(str, self.clients[0]))
        return "; at the same time: ".join(
            f"client-{number}: " + ", then ".join(map(str, turns))
            for number, turns in enumerate(self.clients, 1)
        )


def _lengths() -> st.SearchStrategy[int]:
    """Samples around the borders where keyframes and segments begin, and anything between."""
    keyframes = (1, 2, *map(segment_end, range(3)))
    offsets = (-PLAN_SAMPLE_RATE // 100, -1, 0, 1)
    near = [_SAMPLES_PER_KEYFRAME * keyframe + offset for keyframe in keyframes for offset in offsets]
    speakable = [samples for samples in near if samples >= _SAMPLES_PER_KEYFRAME]
    longest = _LONGEST_SECONDS * PLAN_SAMPLE_RATE
    short = st.integers(_SAMPLES_PER_KEYFRAME, longest)
    # Faults that begin with the third payload show from six seconds on.
    return st.sampled_from(speakable) | short | st.integers(longest // 2 + 1, longest)


@st.composite
def _in_chunks(
    draw: st.DrawFn, lengths: st.SearchStrategy[int], sounds: st.SearchStrategy[Sound]
) -> TurnPlan:
    samples = draw(lengths)
    smallest = max(BYTES_PER_SAMPLE, samples * BYTES_PER_SAMPLE // _MOST_CHUNKS)
    chunk = draw(st.sampled_from([320, 640, 3200, 6400, 64000]) | st.integers(2, 64000))
    chunk_bytes = max(smallest, chunk) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
    return TurnPlan(samples, chunk_bytes, sound=draw(sounds))


def turn_plans() -> st.SearchStrategy[TurnPlan]:
    """One utterance of at least one keyframe, some with a long pause in the middle."""
    return _in_chunks(_lengths(), st.sampled_from((*[Sound.SPEECH] * 4, Sound.PAUSES)))


def soundless_turns() -> st.SearchStrategy[TurnPlan]:
    """A turn that asks for no motion: with no sample, one, or not enough for a keyframe; or silence."""
    slight = st.sampled_from((0, 1, _SAMPLES_PER_KEYFRAME - 1)) | st.integers(0, _SAMPLES_PER_KEYFRAME - 1)
    return _in_chunks(slight, st.just(Sound.SPEECH)) | _in_chunks(_lengths(), st.just(Sound.SILENCE))


def audible_conversations(least_turns: int = 1) -> st.SearchStrategy[Plan]:
    """One client that speaks up to three times."""
    turns = st.lists(turn_plans(), min_size=least_turns, max_size=3)
    return turns.map(lambda drawn: Plan((tuple(drawn),)))


@st.composite
def conversations(draw: st.DrawFn, least_turns: int = 1) -> Plan:
    """One client that speaks up to three times, so many times at least; now and then it says nothing between
    two turns, before the first, or behind the last."""
    [spoken] = draw(audible_conversations(least_turns)).clients
    turns = list(spoken)
    if draw(st.sampled_from((False, False, False, True))):
        turns.insert(draw(st.integers(0, len(turns))), draw(soundless_turns()))
    return Plan((tuple(turns),))


SCARCELY_A_WORD = Plan(
    (
        (
            TurnPlan(PLAN_SAMPLE_RATE, 3200),
            TurnPlan(0, 3200),
            TurnPlan(_SAMPLES_PER_KEYFRAME, 640),
            TurnPlan(1, 3200),
            TurnPlan(5 * PLAN_SAMPLE_RATE // 2, 3200, sound=Sound.SILENCE),
            TurnPlan(_SAMPLES_PER_KEYFRAME - 1, 640),
            TurnPlan(PLAN_SAMPLE_RATE, 3200),
        ),
    )
)
"""Every kind of turn in which nothing is to be heard, among others."""


def crowds() -> st.SearchStrategy[Plan]:
    """Two or three clients that speak at the same time."""
    turns = st.lists(turn_plans(), min_size=1, max_size=2).map(tuple)
    return st.lists(turns, min_size=2, max_size=3).map(lambda drawn: Plan(tuple(drawn)))


def alone_or_not() -> st.SearchStrategy[Plan]:
    """Mostly one client; some relays err in company only."""
    return st.one_of(conversations(), conversations(), crowds())


def long_speeches() -> st.SearchStrategy[Plan]:
    """One client that speaks for up to a minute, and a second time."""
    lengths = st.sampled_from((_MINUTE // 2, _MINUTE)) | st.integers(_MINUTE // 2, _MINUTE)
    long = _in_chunks(lengths, st.sampled_from((Sound.SPEECH, Sound.PAUSES)))
    return st.builds(lambda long, short: Plan(((long, short),)), long, turn_plans())


def speech(label: str, samples: int, sound: Sound = Sound.SPEECH) -> bytes:
    """Audible PCM that nobody else speaks: noise in syllables, the same for the same label. A long
    pause takes three fifths of it, and silence all."""
    if sound is Sound.SILENCE:
        return bytes(samples * BYTES_PER_SAMPLE)
    seed = int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest())
    noise = np.random.Generator(np.random.PCG64(seed)).uniform(-1.0, 1.0, samples)
    seconds = np.arange(samples) / PLAN_SAMPLE_RATE
    loudness = 0.55 - 0.45 * np.cos(2 * np.pi * _SYLLABLES_PER_SECOND * seconds)
    spoken = (noise * loudness * _VOICE_PEAK).astype("<i2")
    if sound is Sound.PAUSES:
        spoken[samples // 5 : samples * 4 // 5] = 0
    return spoken.tobytes()
