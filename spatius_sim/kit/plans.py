"""Plans: a whole scenario is drawn first, then run. The Hypothesis strategies that draw them."""

import hashlib
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from spatius_sim.kit.conduct import WHOLE_TURN, Act, Cue, Rubbish
from spatius_sim.kit.probes import Probe
from spatius_sim.model.scenario import NO_FAULTS, Scenario
from spatius_sim.model.told_faults import in_words
from spatius_sim.protocol.audio import (
    BYTES_PER_SAMPLE,
    KEYFRAMES_PER_SECOND,
    segment_end,
)

PLAN_SAMPLE_RATE = 16000
"""Hz. What json-envelope relays take from their clients."""

_SAMPLES_PER_KEYFRAME = PLAN_SAMPLE_RATE // KEYFRAMES_PER_SECOND
_LONGEST_SECONDS = 12
_MOST_CHUNKS = 60
_VOICE_PEAK = 6000.0
_SYLLABLES_PER_SECOND = 4.0


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

    def __str__(self) -> str:
        spoken = f"{self.samples / PLAN_SAMPLE_RATE:g} s of speech in chunks of {self.chunk_bytes} bytes"
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
    near = [_SAMPLES_PER_KEYFRAME * keyframe + offset for keyframe in keyframes for offset in (-1, 0, 1)]
    speakable = [samples for samples in near if samples >= _SAMPLES_PER_KEYFRAME]
    longest = _LONGEST_SECONDS * PLAN_SAMPLE_RATE
    short = st.integers(_SAMPLES_PER_KEYFRAME, longest)
    # Faults that begin with the third payload show from six seconds on.
    return st.sampled_from(speakable) | short | st.integers(longest // 2 + 1, longest)


@st.composite
def turn_plans(draw: st.DrawFn) -> TurnPlan:
    """One utterance of at least one keyframe."""
    samples = draw(_lengths())
    smallest = max(BYTES_PER_SAMPLE, samples * BYTES_PER_SAMPLE // _MOST_CHUNKS)
    chunk = draw(st.sampled_from([320, 640, 3200, 6400, 64000]) | st.integers(2, 64000))
    return TurnPlan(samples, max(smallest, chunk) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE)


def conversations(least_turns: int = 1) -> st.SearchStrategy[Plan]:
    """One client that speaks up to three times."""
    turns = st.lists(turn_plans(), min_size=least_turns, max_size=3)
    return turns.map(lambda drawn: Plan((tuple(drawn),)))


def crowds() -> st.SearchStrategy[Plan]:
    """Two or three clients that speak at the same time."""
    turns = st.lists(turn_plans(), min_size=1, max_size=2).map(tuple)
    return st.lists(turns, min_size=2, max_size=3).map(lambda drawn: Plan(tuple(drawn)))


def alone_or_not() -> st.SearchStrategy[Plan]:
    """Mostly one client; some relays err in company only."""
    return st.one_of(conversations(), conversations(), crowds())


def speech(label: str, samples: int) -> bytes:
    """Audible PCM that nobody else speaks: noise in syllables, the same for the same label."""
    seed = int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest())
    noise = np.random.Generator(np.random.PCG64(seed)).uniform(-1.0, 1.0, samples)
    seconds = np.arange(samples) / PLAN_SAMPLE_RATE
    loudness = 0.55 - 0.45 * np.cos(2 * np.pi * _SYLLABLES_PER_SECOND * seconds)
    return (noise * loudness * _VOICE_PEAK).astype("<i2").tobytes()
