"""Plans for relays and servers: all turns, probes and faults are drawn before anything runs."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from itertools import chain, repeat
from typing import TypeVar

import numpy as np

from spatius_sim.model.scenario.scenario import NO_FAULTS, Scenario
from spatius_sim.model.scenario.scenario_text import describe_scenario
from spatius_sim.plans.server_probes import Probe
from spatius_sim.plans.turn_behaviour import WHOLE_TURN, Behaviour, Cue, MalformedInput
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, keyframe_count

T = TypeVar("T")

PLAN_SAMPLE_RATE = 16000
"""Hz. The sample rate that json-envelope relays accept from their clients."""

SAMPLES_PER_KEYFRAME = PLAN_SAMPLE_RATE // KEYFRAMES_PER_SECOND
"""Speech that is shorter gets no keyframe."""
ORDINARY_SECONDS = 2
"""How long an ordinary turn is at least: several syllables."""
_ORDINARY_CHUNK = 640
_VOICE_PEAK, _CLIPPED_PEAK = 6000.0, 600_000.0
_LIMITS = -32_768, 32_767
_SYLLABLES_PER_SECOND = 4.0
_MEAN_LOUDNESS, _LOUDNESS_SWING = 0.55, 0.45


class Sound(StrEnum):
    """What a turn sounds like."""

    SPEECH = "speech"
    PAUSES = "speech with a long pause"
    SILENCE = "silence"
    CLIPPED = "clipped speech"


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """One utterance: `samples` samples, sent in chunks of `chunk_bytes` bytes, after chunks with the sizes in
    `first_chunks`. With `half_sample` the first byte of one more sample ends the speech. After each chunk the
    client waits `chunk_pause_ms` milliseconds, also before its end of speech. If it `pings`, and its wire has
    a ping, it sends one before each chunk and before its end of speech. At the moment `cue` it does what
    `act` says, then rests for `pause_ms` milliseconds before its next turn. Without `reads` the client leaves
    all messages unread until the turns of the others are over."""

    samples: int
    chunk_bytes: int
    cue: Cue = WHOLE_TURN
    act: Behaviour | MalformedInput = Behaviour.GO_ON
    pause_ms: int = 0
    reads: bool = True
    sound: Sound = Sound.SPEECH
    first_chunks: tuple[int, ...] = ()
    chunk_pause_ms: int = 0
    half_sample: bool = False
    pings: bool = False

    @property
    def asks_for_motion(self) -> bool:
        """Whether this turn is long enough for a keyframe, and not silent. No document says what must come
        back for other turns."""
        return keyframe_count(self.samples, PLAN_SAMPLE_RATE) > 0 and self.sound is not Sound.SILENCE

    def __str__(self) -> str:
        """Describe the planned turn in words, for the usual sample rate."""
        return self.describe(PLAN_SAMPLE_RATE)

    def describe(self, sample_rate: int) -> str:
        """Describe this turn of a plan in words; the seconds of speech follow from `sample_rate` (Hz). `act`
        is what the client does, and `cue` the moment of the turn at which it does so."""
        seconds = self.samples / sample_rate
        text = f"{seconds:g} s of {self.sound} in chunks of {self.chunk_bytes} bytes"
        if self.half_sample:
            text = f"{text}, which end within a sample"
        if self.first_chunks:
            text += f", but first of {', '.join(map(str, self.first_chunks))} bytes"
        if self.chunk_pause_ms:
            text += f", a pause of {self.chunk_pause_ms} ms after each"
        if self.pings:
            text += ", a ping before each"
        if not self.samples:
            text = "a turn that ends before anything was said"
        if not self.reads:
            text += ", nothing read until the others are through"
        if isinstance(self.act, MalformedInput):
            text += f", {self.act} sent {self.cue}"
        elif self.act is not Behaviour.GO_ON or self.cue != WHOLE_TURN:
            text += f", {self.act} {self.cue}"
        return text + (f", a pause of {self.pause_ms} ms" if self.pause_ms else "")

    def pcm(self, label: str) -> bytes:
        """Return the speech of this turn for a label, as PCM; the same label gives the same speech."""
        if self.half_sample:
            return speech(label, self.samples + 1, self.sound)[:-1]
        return speech(label, self.samples, self.sound)

    def split_into_chunks(self, pcm: bytes) -> list[bytes]:
        """Return `pcm`, the speech of this turn, cut into the chunks in which the client sends it: first
        chunks of the sizes in `first_chunks`, then chunks of `chunk_bytes` bytes. The last may be shorter."""
        chunks: list[bytes] = []
        start = 0
        for size in chain(self.first_chunks, repeat(self.chunk_bytes)):
            if start >= len(pcm):
                break
            chunks.append(pcm[start : start + size])
            start += size
        return chunks


@dataclass(frozen=True, slots=True)
class Plan:
    """The turns of each client, one after another; the clients speak at the same time.

    With `step` all clients begin each turn at the same time. With `last_comes_later` the last client
    connects when the others have left; those who stay speak their last turn at the same time as it. The
    `probes` are for a Motion Server under test and come before all turns. For a relay under test, our Motion
    Server plays the scenario `motion_server`; with `bears_credentials` the last client has Spatius
    credentials. The last client speaks at `sample_rate` Hz, and all others at the usual rate; a relay's
    clients do so if their wire can say the rate.
    """

    clients: tuple[tuple[TurnPlan, ...], ...]
    probes: tuple[Probe, ...] = ()
    step: bool = False
    motion_server: Scenario = NO_FAULTS
    bears_credentials: bool = False
    sample_rate: int = PLAN_SAMPLE_RATE
    last_comes_later: bool = False

    @property
    def sample_rates(self) -> tuple[int, ...]:
        """The sample rate of each client in Hz, in order."""
        return (*[PLAN_SAMPLE_RATE] * (len(self.clients) - 1), self.sample_rate)[: len(self.clients)]

    @property
    def size(self) -> tuple[int, int, int, int]:
        """How much happens in this plan, to find the smallest of several: the numbers of its clients, turns
        and unusual settings (each fault of Motion Server, another sample rate), and its samples of speech."""
        all_turns = [turn for turns in self.clients for turn in turns]
        sample_count = sum(turn.samples for turn in all_turns)
        unusual_count = len(self.motion_server.faults) + (self.sample_rate != PLAN_SAMPLE_RATE)
        return len(self.clients), len(all_turns), unusual_count, sample_count

    def shorter_plans(self) -> Iterator["Plan"]:
        """Yield smaller copies of this plan. First come copies without one client, unless the last client has
        credentials: it is compared with the others. Then come a copy with the first turn of each client
        alone, and one with the last; then copies without one turn, and copies without one fault of Motion
        Server."""
        clients = self.clients
        if len(clients) > 1 and not self.bears_credentials:
            for omitted_index in reversed(range(len(clients))):
                yield replace(self, clients=_without_item(clients, omitted_index))
        if any(len(turns) > 1 for turns in clients):
            yield replace(self, clients=tuple(turns[:1] for turns in clients))
            yield replace(self, clients=tuple(turns[-1:] for turns in clients))
        for client_index, turns in enumerate(clients):
            for omitted_index in reversed(range(len(turns) if len(turns) > 1 else 0)):
                fewer_turns = _without_item(turns, omitted_index)
                yield replace(
                    self, clients=(*clients[:client_index], fewer_turns, *clients[client_index + 1 :])
                )
        faults = self.motion_server.faults
        for omitted_index in reversed(range(len(faults))):
            fewer_faults = _without_item(faults, omitted_index)
            scenario = replace(self.motion_server, faults=fewer_faults) if fewer_faults else NO_FAULTS
            yield replace(self, motion_server=scenario)

    def with_ordinary_length(self) -> "Plan | None":
        """Return this plan with turns of ordinary length (2 s), so that a viewer of the report sees a mouth
        move. Return None if a turn is that long already, or if no turn asks for motion."""
        ordinary_samples = ORDINARY_SECONDS * self.sample_rate
        turns = [turn for turns in self.clients for turn in turns if turn.asks_for_motion]
        if not turns or any(turn.samples >= ordinary_samples for turn in turns):
            return None

        def lengthen_turn(turn: TurnPlan) -> TurnPlan:
            """Return a copy of this turn of the `Plan` with the ordinary length, in which a viewer sees the
            mouth move, and with chunks at least as large as those of real clients. A turn that asks for no
            motion is returned as it is."""
            if not turn.asks_for_motion:
                return turn
            return replace(turn, samples=ordinary_samples, chunk_bytes=max(turn.chunk_bytes, _ORDINARY_CHUNK))

        return replace(self, clients=tuple(tuple(map(lengthen_turn, turns)) for turns in self.clients))

    def __str__(self) -> str:
        """Describe the plan in words, in one line: its probes, sample rate, turns, and faults of Motion
        Server, and what else is unusual. "in step" means that all clients begin each turn at the same
        time."""
        steps_together = ["in step"] if self.step else []
        faults = (
            [f"Motion Server: {describe_scenario(self.motion_server)}"] if self.motion_server.faults else []
        )
        credentials = ["the last client sends Spatius credentials"] if self.bears_credentials else []
        last_client = ["the last client connects when others have left"] if self.last_comes_later else []
        speakers = "the last client " if len(self.clients) > 1 else ""
        rate = [f"{speakers}at {self.sample_rate} Hz"] if self.sample_rate != PLAN_SAMPLE_RATE else []
        parts = (
            *map(str, self.probes),
            *rate,
            *steps_together,
            *([self._describe_turns()] if self.clients else []),
            *last_client,
            *faults,
            *credentials,
        )
        return "; ".join(parts)

    def _describe_turns(self) -> str:
        """Describe the turns of all clients of this plan in words. Clients are numbered if there are
        several."""
        turns_of_clients = [
            ", then ".join(turn.describe(rate) for turn in turns)
            for turns, rate in zip(self.clients, self.sample_rates, strict=True)
        ]
        if len(turns_of_clients) == 1:
            return turns_of_clients[0]
        return "; at the same time: ".join(
            f"client-{number}: {turns}" for number, turns in enumerate(turns_of_clients, 1)
        )


def _without_item(items: tuple[T, ...], index: int) -> tuple[T, ...]:
    """Return a copy of this tuple without the item at `index`."""
    return items[:index] + items[index + 1 :]


def limit_chunk_bytes(plan: Plan, max_bytes: int) -> Plan:
    """Return a copy of the plan with the same turns, in which no chunk of audio has more than `max_bytes`
    bytes."""

    def limit_in_turn(turn: TurnPlan) -> TurnPlan:
        """Return a copy of this turn, in which no chunk of audio has more than `max_bytes` bytes."""
        first_chunks = tuple(min(size, max_bytes) for size in turn.first_chunks)
        return replace(turn, chunk_bytes=min(turn.chunk_bytes, max_bytes), first_chunks=first_chunks)

    return replace(plan, clients=tuple(tuple(map(limit_in_turn, turns)) for turns in plan.clients))


SCARCELY_A_WORD = Plan(
    (
        (
            TurnPlan(PLAN_SAMPLE_RATE, 3200),
            TurnPlan(0, 3200),
            TurnPlan(SAMPLES_PER_KEYFRAME, 640),
            TurnPlan(1, 3200),
            TurnPlan(5 * PLAN_SAMPLE_RATE // 2, 3200, sound=Sound.SILENCE),
            TurnPlan(SAMPLES_PER_KEYFRAME - 1, 640),
            TurnPlan(PLAN_SAMPLE_RATE, 3200),
        ),
    )
)
"""Every kind of turn that asks for no motion, between ordinary turns."""


def speech(label: str, samples: int, sound: Sound = Sound.SPEECH) -> bytes:
    """Return the speech of a turn of a plan, as PCM (mono s16le): noise in syllables, `samples` samples long.
    The same `label` always gives the same speech, another label gives another. `sound` can make a part of it
    silent (PAUSES), all of it (SILENCE), or make it so loud that it is clipped (CLIPPED)."""
    if sound is Sound.SILENCE:
        return bytes(samples * BYTES_PER_SAMPLE)
    seed = int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest())
    noise = np.random.Generator(np.random.PCG64(seed)).uniform(-1.0, 1.0, samples)
    noise *= _loudness(samples.bit_length())[:samples]
    noise *= _VOICE_PEAK if sound is not Sound.CLIPPED else _CLIPPED_PEAK
    if sound is Sound.CLIPPED:
        np.clip(noise, *_LIMITS, out=noise)
    pcm_samples = noise.astype("<i2")
    if sound is Sound.PAUSES:
        pcm_samples[samples // 5 : samples * 4 // 5] = 0
    return pcm_samples.tobytes()


@cache
def _loudness(bits: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return how loud each of the first 2 ** `bits` samples of speech is, from 0.1 to 1."""
    seconds = np.arange(1 << bits) / PLAN_SAMPLE_RATE
    return _MEAN_LOUDNESS - _LOUDNESS_SWING * np.cos(2 * np.pi * _SYLLABLES_PER_SECOND * seconds)
