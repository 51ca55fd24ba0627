"""Plans for clients: a whole sequence of calls is drawn first, then run. Ids are symbolic references, for the
client under test hands them out itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import TRANSLATION, WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import StarvationMode
from spatius_sim.wires.testee import TesteeRequest

JUNK = b"\xff" * 16
"""Bytes that no protobuf parser accepts: a tag that never ends."""

UNKNOWN_FIELD = b"\xfa\x07\x05later"
"""Field 127, length-delimited: no version of the protocol names it."""

_CUT_BYTES = 10


@dataclass(frozen=True, slots=True)
class Ref:
    """Which id: that of the last conversation (`back` 0) or of one before it, changed as `twist` says: `cut`,
    `longer`, `other case`, `blank`, or `made up`. Where there is no such conversation the id is made up."""

    back: int = 0
    twist: str = ""

    def of(self, ids: list[str]) -> str:
        """The id, given all ids that were handed out."""
        if self.twist == "blank":
            return ""
        if self.twist == "made up" or self.back >= len(ids):
            return f"nobodys-{self.back}"
        known = ids[-1 - self.back]
        match self.twist:
            case "cut":
                return known[:-1]
            case "longer":
                return known + "0"
            case "other case":
                return known.swapcase()
        return known

    def __str__(self) -> str:
        place = (
            ("this conversation's id", "the id before")[self.back]
            if self.back < 2
            else f"id {self.back} back"
        )
        return place if not self.twist else f"{place}, {self.twist}"


CURRENT = Ref()


@dataclass(frozen=True, slots=True)
class PlannedPayload:
    """One payload of motion. `form`: `plain`, `unknown fields`, `cut` or `junk` (both undecodable)."""

    keyframes: int
    form: str = "plain"

    def encoded(self, first_value: int) -> bytes:
        """Its bytes; keyframe k has the translation[0] `first_value` + k."""
        if self.form == "junk":
            return JUNK
        raw = _encoded(self.keyframes, first_value)
        if self.form == "cut":
            return raw[:-_CUT_BYTES]
        return raw + UNKNOWN_FIELD if self.form == "unknown fields" else raw


@dataclass(frozen=True, slots=True)
class GiveAudio:
    """Audio, so many milliseconds of it."""

    ms: int
    end: bool = False

    def __str__(self) -> str:
        return f"say {self.ms} ms{', end' if self.end else ''}"


@dataclass(frozen=True, slots=True)
class Move:
    """Motion for an id; `payloads` None: no list at all."""

    payloads: tuple[PlannedPayload, ...] | None
    ref: Ref = CURRENT

    def __str__(self) -> str:
        if not self.payloads:
            what = "no list" if self.payloads is None else "an empty list"
        else:
            what = " + ".join(
                f"{one.keyframes} keyframes" + ("" if one.form == "plain" else f" ({one.form})")
                for one in self.payloads
            )
        return f"{what} for {self.ref}"


@dataclass(frozen=True, slots=True)
class Do:
    """`interrupt`, `pause` or `resume`."""

    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class Wait:
    """The clock goes on."""

    ms: int

    def __str__(self) -> str:
        return f"{self.ms} ms"


Step = GiveAudio | Move | Do | Wait


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """Calls in order, on a fresh client of that rate (Hz) and mode."""

    steps: tuple[Step, ...]
    sample_rate: int = 16000
    mode: str = StarvationMode.AUDIO_INDEPENDENT

    def shorter(self) -> Iterator["ClientPlan"]:
        """The same without one of its steps, the last one first."""
        for left_out in reversed(range(len(self.steps))):
            kept = self.steps[:left_out] + self.steps[left_out + 1 :]
            yield ClientPlan(kept, self.sample_rate, self.mode)

    def __str__(self) -> str:
        """The plan in words."""
        return f"{self.mode} at {self.sample_rate} Hz: " + "; ".join(map(str, self.steps))


class RequestWriter:
    """Turns the steps of one plan into requests, while the ids come in."""

    def __init__(self, plan: ClientPlan) -> None:
        self._plan = plan
        self._ids: list[str] = []
        self._next_value = 1

    def learn(self, conversation_id: object) -> None:
        """An id that the client handed out."""
        if isinstance(conversation_id, str) and conversation_id not in self._ids[-1:]:
            self._ids.append(conversation_id)

    def request(self, number: int, step: Step) -> TesteeRequest:
        """The request of a step."""
        match step:
            case GiveAudio(ms, end):
                return TesteeRequest(
                    number, "yieldAudioData", audio=_audio(self._plan.sample_rate, ms), end=end
                )
            case Move(payloads, ref):
                frames = None if payloads is None else tuple(map(self._encoded, payloads))
                return TesteeRequest(
                    number, "yieldFramesData", frames=frames, conversation_id=ref.of(self._ids)
                )
            case Wait(ms):
                return TesteeRequest(number, "advance", ms=ms)
            case Do(what):
                return TesteeRequest(number, what)

    def _encoded(self, payload: PlannedPayload) -> bytes:
        raw = payload.encoded(self._next_value)
        self._next_value += payload.keyframes
        return raw


@lru_cache(maxsize=64)
def _audio(sample_rate: int, ms: int) -> bytes:
    """A quiet ramp: what it sounds like decides nothing."""
    return (np.arange(sample_rate * ms // 1000) % 256).astype("<i2").tobytes()


@lru_cache(maxsize=512)
def _encoded(keyframes: int, first_value: int) -> bytes:
    rows = np.zeros((keyframes, WIDTH), np.float32)
    rows[:, TRANSLATION.start] = np.arange(first_value, first_value + keyframes)
    return encode(MotionResponse("plan", "request", False, rows))
