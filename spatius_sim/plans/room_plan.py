"""Plans for a Motion Server with an egress: what is spoken into a room, and what is cut off there."""

from dataclasses import dataclass

import numpy as np

_TONE_SECONDS, _PAUSE_SECONDS = 0.4, 0.3

_TONE_HZ, _TONE_LEVEL = 440, 9000

MILLISECONDS = 1000


@dataclass(frozen=True, slots=True)
class RoomTurn:
    """One request with marks of sound, so many `milliseconds` of speech. If it is `interrupted`, it is cut
    off as soon as some of it was shown."""

    milliseconds: int
    interrupted: bool = False

    def __str__(self) -> str:
        """Return the turn in words."""
        return f"{self.milliseconds / MILLISECONDS:g} s of speech{', interrupted' * self.interrupted}"


@dataclass(frozen=True, slots=True)
class RoomPlan:
    """The `turns` of one session with an egress, spoken at `sample_rate` Hz one after another. If the room
    `refuses`, another session names a room that it cannot join. Without turns, an agent under test decides
    what is spoken."""

    turns: tuple[RoomTurn, ...]
    sample_rate: int = 16_000
    refuses: bool = False

    def __str__(self) -> str:
        """Describe the plan for a session with a room in words. A plan without turns leaves it to the agent
        under test what is spoken."""
        if not self.turns:
            return "what the agent does"
        rate_texts = [] if self.sample_rate == 16_000 else [f"at {self.sample_rate} Hz"]
        refusal_texts = ["a session whose room cannot be joined"] if self.refuses else []
        return "; ".join([*rate_texts, f"in a room: {', then '.join(map(str, self.turns))}", *refusal_texts])


TWO_TURNS_AND_AN_INTERRUPT = RoomPlan(
    (RoomTurn(2000), RoomTurn(6000, interrupted=True), RoomTurn(1500)), refuses=True
)
AT_ANOTHER_RATE = RoomPlan((RoomTurn(1200), RoomTurn(4000, interrupted=True), RoomTurn(2200)), 24_000)
AS_THE_AGENT_SPEAKS = RoomPlan(())


def make_tones(seconds: float, sample_rate: int = 16_000) -> bytes:
    """Return the audio (PCM, mono s16le) that the kit sends in place of speech to a subject in a room: tones
    of 0.4 s with 0.3 s of silence between them. The kit counts in the sound of the room how many tones were
    played."""
    times_seconds = np.arange(int(seconds * sample_rate)) / sample_rate
    is_tone = times_seconds % (_TONE_SECONDS + _PAUSE_SECONDS) < _TONE_SECONDS
    samples = np.where(is_tone, _TONE_LEVEL * np.sin(2 * np.pi * _TONE_HZ * times_seconds), 0)
    return samples.astype("<i2").tobytes()
