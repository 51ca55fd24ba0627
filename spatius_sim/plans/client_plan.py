"""Plans for clients, and the steps that they are made of. All calls are drawn before any is made. A plan
names ids by reference, because the client under test hands out the ids itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import TRANSLATION, WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.protocol.unknown_fields import (
    add_fields_at_every_level,
    encode_field,
    encode_field_of_every_type,
    encode_length_delimited,
    encode_number,
)
from spatius_sim.trace.decoder_events import StarvationMode

JUNK_PAYLOAD = b"\xff" * 16
"""Bytes that no protobuf parser accepts: a tag that never ends."""

_UNKNOWN_FIELDS_FIRST = "unknown fields first"

UNKNOWN_FIELDS: dict[str, bytes] = {
    "unknown fields": encode_field_of_every_type(127),
    "unknown long numbers": b"".join(
        encode_field(100, 0, encode_number(1 << (7 * size - 1))) for size in range(1, 10)
    )
    + encode_field(100, 0, encode_number((1 << 64) - 1)),
    "unknown high fields": b"".join(
        map(encode_field_of_every_type, (12, 16, 2047, 2048, 300_000, (1 << 29) - 1))
    ),
    "unknown texts": b"".join(encode_length_delimited(90, b"x" * size) for size in (0, 1, 127, 128, 300)),
    "unknown fields nested": encode_field(
        90,
        3,
        encode_field(91, 3, encode_length_delimited(1, bytes(200)) + encode_field(91, 4))
        + encode_field_of_every_type(99),
    )
    + encode_field(90, 4)
    + encode_length_delimited(92, encode_length_delimited(1, encode_length_delimited(1, b""))),
    _UNKNOWN_FIELDS_FIRST: encode_field_of_every_type(127),
}
"""Fields that no version of the protocol has, by the form of the payload that carries them.

The numbers have 1 to 10 bytes; those with 10 are negative ones. The tags have 1 to 5 bytes. The texts are
empty, short and long. Groups lie within groups. `unknown fields first` stand before all that is known."""

CUT_BYTES = 10
"""How many bytes are missing at the end of a payload that was cut."""


TWISTS: dict[str, Callable[[str], str]] = {
    "cut": lambda known: known[:-1],
    "cut in front": lambda known: known[1:],
    "longer": lambda known: known + "0",
    "longer in front": lambda known: "0" + known,
    "other case": str.swapcase,
    "other end": lambda known: known[:-1] + chr(ord(known[-1]) ^ 1),
    "other start": lambda known: chr(ord(known[0]) ^ 1) + known[1:],
    "space after": lambda known: known + " ",
    "space before": lambda known: " " + known,
    "line end": lambda known: known + "\n",
    "letters and digits": lambda known: "".join(filter(str.isalnum, known)),
    "quoted": lambda known: f'"{known}"',
}
"""Ways to change an id a little. Most of them are equal to it for a comparison that is not exact."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Refers to the id of a conversation: the newest (`back` 0), the one before (1), and so on. `twist` says
    how the id is changed: it is one of TWISTS, `blank`, or `made up`. If there is no such conversation, the
    id is made up: one that the client never handed out."""

    back: int = 0
    twist: str = ""

    def resolve(self, conversation_ids: list[str]) -> str:
        """Return the conversation id that this reference of a client plan means. `conversation_ids`: all ids
        that the client has handed out, in order; `back` says how many of them are newer. `twist` says how the
        id is changed; `blank` makes it "". For `made up`, or if there is no such id, return one that the
        client never handed out."""
        if self.twist == "blank":
            return ""
        if self.twist == "made up" or self.back >= len(conversation_ids):
            return f"nobodys-{self.back}"
        conversation_id = conversation_ids[-1 - self.back]
        return TWISTS[self.twist](conversation_id) if self.twist else conversation_id

    def __str__(self) -> str:
        """Say in words which conversation id this reference of a client plan means (`back`: how many ids are
        newer), and how the id is changed (`twist`)."""
        words = (
            ("this conversation's id", "the id before")[self.back]
            if self.back < 2
            else f"id {self.back} back"
        )
        return words if not self.twist else f"{words}, {self.twist}"


CURRENT = Ref()
"""Refers to the newest id: that of the current conversation."""


@dataclass(frozen=True, slots=True)
class PlannedPayload:
    """One payload of motion. Its `form` is `plain`, `last` (it carries the end mark of its request),
    `elsewhere` (it comes from another connection to Motion Server, under another req_id), one of
    UNKNOWN_FIELDS, `cut` or `junk`; the last two cannot be decoded. Or it is `again`: the same bytes as the
    payload before it, as two seconds of stillness are."""

    keyframes: int
    form: str = "plain"

    def encode(self, first_number: int) -> bytes:
        """Return the bytes of this motion payload of a client plan, damaged or extended as its `form` says.
        Its keyframes are numbered from `first_number` on; the number is the first value of a keyframe's
        translation. (`junk` holds no keyframes.)"""
        if self.form == "junk":
            return JUNK_PAYLOAD
        raw = _encode_keyframes(self.keyframes, first_number, self.form)
        if self.form == "cut":
            return raw[:-CUT_BYTES]
        if self.form not in UNKNOWN_FIELDS:
            return raw
        is_first = self.form == _UNKNOWN_FIELDS_FIRST
        return add_fields_at_every_level(raw, UNKNOWN_FIELDS[self.form], first=is_first)


@dataclass(frozen=True, slots=True)
class GiveAudio:
    """Give the client `ms` milliseconds of audio, and `more_bytes`, which may end within a sample."""

    ms: int
    end: bool = False
    more_bytes: int = 0

    def __str__(self) -> str:
        """Describe in words the call of a client plan that gives the client audio."""
        more = f" + {self.more_bytes} bytes" if self.more_bytes else ""
        return f"say {self.ms} ms{more}{', end' if self.end else ''}"


@dataclass(frozen=True, slots=True)
class Move:
    """Give the client motion for an id; if `payloads` is None, give no list at all."""

    payloads: tuple[PlannedPayload, ...] | None
    ref: Ref = CURRENT

    def __str__(self) -> str:
        """Describe in words the call of a client plan that gives the client motion: how many keyframes, in
        which payloads, and for which conversation id."""
        if not self.payloads:
            words = "no list" if self.payloads is None else "an empty list"
        else:
            words = " + ".join(
                f"{payload.keyframes} keyframes" + ("" if payload.form == "plain" else f" ({payload.form})")
                for payload in self.payloads
            )
        return f"{words} for {self.ref}"


@dataclass(frozen=True, slots=True)
class Do:
    """Call `interrupt`, `pause` or `resume`."""

    what: str

    def __str__(self) -> str:
        """Return the name of the call."""
        return self.what


@dataclass(frozen=True, slots=True)
class Wait:
    """Let the clock go on for `ms` milliseconds."""

    ms: int

    def __str__(self) -> str:
        return f"{self.ms} ms"


Step = GiveAudio | Move | Do | Wait


@dataclass(frozen=True, slots=True)
class ClientPlan:
    """Calls in order, on a fresh client with this sample rate (Hz) and mode."""

    steps: tuple[Step, ...]
    sample_rate: int = 16000
    mode: str = StarvationMode.AUDIO_INDEPENDENT

    def shorter_plans(self) -> Iterator["ClientPlan"]:
        """Yield copies of this client plan, each without one step; the first copy lacks the last step."""
        for omitted in reversed(range(len(self.steps))):
            remaining = self.steps[:omitted] + self.steps[omitted + 1 :]
            yield ClientPlan(remaining, self.sample_rate, self.mode)

    def __str__(self) -> str:
        """Return the plan in words."""
        return f"{self.mode} at {self.sample_rate} Hz: " + "; ".join(map(str, self.steps))


def mark_end_after_motion(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Return these steps of a client plan with each end mark moved after the motion that follows it, for a
    client that drops motion after the end mark. (The end mark says that the audio is over.) An empty piece of
    audio carries the moved mark."""
    new_steps: list[Step] = []
    owes_end_mark = False
    for step in steps:
        if owes_end_mark and not isinstance(step, Move):
            new_steps.append(GiveAudio(0, end=True))
            owes_end_mark = False
        if isinstance(step, GiveAudio) and step.end:
            owes_end_mark = True
            step = replace(step, end=False)
        new_steps.append(step)
    return (*new_steps, GiveAudio(0, end=True)) if owes_end_mark else tuple(new_steps)


def keep_legal_steps(steps: list[Step]) -> list[Step]:
    """Return these steps of a client plan without the illegal calls: a `pause` while paused or when no audio
    is left, a `resume` while not paused, and audio while paused. How much audio is left is estimated
    roughly."""
    legal_steps: list[Step] = []
    unplayed_ms = 0
    is_paused = False
    for step in steps:
        match step:
            case Do("pause"):
                if is_paused or unplayed_ms <= 0:
                    continue
                is_paused = True
            case Do("resume"):
                if not is_paused:
                    continue
                is_paused = False
            case Do(_):
                is_paused, unplayed_ms = False, 0
            case GiveAudio(ms, _):
                if is_paused:
                    continue
                unplayed_ms += ms
            case Wait(ms):
                unplayed_ms -= 0 if is_paused else ms
        legal_steps.append(step)
    return legal_steps


@lru_cache(maxsize=512)
def _encode_keyframes(keyframe_count: int, first_number: int, form: str) -> bytes:
    """Return an encoded motion payload with `keyframe_count` keyframes, numbered from `first_number` on. The
    number is the first value of a keyframe's translation, by which the kit recognises the keyframe when it is
    shown. The form `elsewhere` gives the payload other ids, and the form `last` gives it the end mark."""
    rows = np.zeros((keyframe_count, WIDTH), np.float32)
    rows[:, TRANSLATION.start] = np.arange(first_number, first_number + keyframe_count)
    connection_id, req_id = ("plan 2", "request 2") if form == "elsewhere" else ("plan", "request")
    return encode(MotionResponse(connection_id, req_id, end=form == "last", keyframes=rows))
