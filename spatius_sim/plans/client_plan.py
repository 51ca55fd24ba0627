"""Plans for clients: all calls are drawn before any is made. A plan names ids by reference, because the
client under test hands out the ids itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import TRANSLATION, WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import StarvationMode

JUNK = b"\xff" * 16
"""Bytes that no protobuf parser accepts: a tag that never ends."""


def _encode_number(number: int) -> bytes:
    """Return a number as protobuf writes it: seven bits in each byte (a varint)."""
    rest = number >> 7
    return bytes([number & 127 | 128]) + _encode_number(rest) if rest else bytes([number])


def _encode_field(number: int, wire_type: int, content: bytes = b"") -> bytes:
    """Return a protobuf field with this number, wire type and content."""
    return _encode_number(number << 3 | wire_type) + content


def _encode_text(number: int, content: bytes) -> bytes:
    """Return a protobuf field that holds these bytes."""
    return _encode_field(number, 2, _encode_number(len(content)) + content)


def _encode_every_type(number: int) -> bytes:
    """Return a protobuf field of this number with every wire type: a number, eight bytes, a text, a group,
    four bytes."""
    group = _encode_field(number, 3, _encode_field(1, 0, b"\x01") + _encode_field(number, 4))
    eight_bytes = _encode_field(number, 1, bytes(range(1, 9)))
    four_bytes = _encode_field(number, 5, bytes(range(1, 5)))
    number_field = _encode_field(number, 0, _encode_number(150))
    return number_field + eight_bytes + _encode_text(number, b"later") + group + four_bytes


UNKNOWN_FIELDS: dict[str, bytes] = {
    "unknown fields": _encode_every_type(127),
    "unknown long numbers": b"".join(
        _encode_field(100, 0, _encode_number(1 << (7 * size - 1))) for size in range(1, 10)
    )
    + _encode_field(100, 0, _encode_number((1 << 64) - 1)),
    "unknown high fields": b"".join(map(_encode_every_type, (12, 16, 2047, 2048, 300_000, (1 << 29) - 1))),
    "unknown texts": b"".join(_encode_text(90, b"x" * size) for size in (0, 1, 127, 128, 300)),
    "unknown fields nested": _encode_field(
        90,
        3,
        _encode_field(91, 3, _encode_text(1, bytes(200)) + _encode_field(91, 4)) + _encode_every_type(99),
    )
    + _encode_field(90, 4)
    + _encode_text(92, _encode_text(1, _encode_text(1, b""))),
    "unknown fields first": _encode_every_type(127),
}
"""Fields that no version of the protocol has, by the form of the payload that bears them.

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
    """Refers to the id of a conversation: the last (`back` 0), the one before (1), and so on. `twist` changes
    the id: it is one of TWISTS, `blank`, or `made up`. If there is no such conversation, the id is made
    up."""

    back: int = 0
    twist: str = ""

    def resolve(self, conversation_ids: list[str]) -> str:
        """Return the conversation id that this reference means, among all ids that the client has handed out,
        in order. `twist` changes the id; `blank` makes it "". For `made up`, or if there is no such id,
        return one that the client never handed out."""
        if self.twist == "blank":
            return ""
        if self.twist == "made up" or self.back >= len(conversation_ids):
            return f"nobodys-{self.back}"
        conversation_id = conversation_ids[-1 - self.back]
        return TWISTS[self.twist](conversation_id) if self.twist else conversation_id

    def __str__(self) -> str:
        """Say in words which conversation id this reference means, and how the id is changed."""
        words = (
            ("this conversation's id", "the id before")[self.back]
            if self.back < 2
            else f"id {self.back} back"
        )
        return words if not self.twist else f"{words}, {self.twist}"


CURRENT = Ref()


@dataclass(frozen=True, slots=True)
class PlannedPayload:
    """One payload of motion. Its `form` is `plain`, `last` (it bears the end mark of its request),
    `elsewhere` (it comes from another connection to Motion Server, under another req_id), one of
    UNKNOWN_FIELDS, `cut` or `junk`; the last two cannot be decoded. Or it is `again`: the same bytes as the
    payload before it, as two seconds of stillness are."""

    keyframes: int
    form: str = "plain"

    def encode(self, first_number: int) -> bytes:
        """Return the bytes of this motion payload, damaged or extended as its `form` says. Its keyframes are
        numbered from `first_number` on; the number is the first value of a keyframe's translation. (`junk`
        holds no keyframes.)"""
        if self.form == "junk":
            return JUNK
        raw = _encode_keyframes(self.keyframes, first_number, self.form)
        if self.form == "cut":
            return raw[:-CUT_BYTES]
        return _add_unknown_fields(raw, self.form) if self.form in UNKNOWN_FIELDS else raw


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
        """Say in words how many keyframes of motion the client is given, in which payloads, and for which
        conversation id."""
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
    """Return these steps with each end mark moved behind the motion that follows it, for a client that drops
    motion after the end mark. (The end mark says that the audio is over.) An empty piece of audio bears the
    moved mark."""
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


def _add_unknown_fields(payload: bytes, form: str) -> bytes:
    """Return an encoded motion payload with protobuf fields that no client knows (see UNKNOWN_FIELDS). They
    are added at every level: the envelope, the response, the motion, and each keyframe."""

    def extend(known_fields: bytes) -> bytes:
        """Return the fields of one level with the unknown ones after them, or before them."""
        unknown_fields = UNKNOWN_FIELDS[form]
        is_first = form == "unknown fields first"
        return unknown_fields + known_fields if is_first else known_fields + unknown_fields

    envelope, motion = wire.Message.FromString(payload), wire.Motion()
    response = envelope.server_response_animation
    motion.ParseFromString(response.animation)
    envelope.ClearField("server_response_animation")
    keyframes = b"".join(
        _encode_text(wire.Motion.KEYFRAMES_FIELD_NUMBER, extend(keyframe.SerializeToString()))
        for keyframe in motion.keyframes
    )
    response.animation = extend(keyframes)
    response_field = wire.Message.SERVER_RESPONSE_ANIMATION_FIELD_NUMBER
    known_fields = _encode_text(response_field, extend(response.SerializeToString()))
    return extend(envelope.SerializeToString() + known_fields)


@lru_cache(maxsize=512)
def _encode_keyframes(keyframe_count: int, first_number: int, form: str) -> bytes:
    """Return an encoded motion payload with so many keyframes, numbered from `first_number` on. The number is
    the first value of a keyframe's translation, by which we know the keyframe again when it is shown. `form`
    decides about the ids and the end mark."""
    rows = np.zeros((keyframe_count, WIDTH), np.float32)
    rows[:, TRANSLATION.start] = np.arange(first_number, first_number + keyframe_count)
    connection_id, req_id = ("plan 2", "request 2") if form == "elsewhere" else ("plan", "request")
    return encode(MotionResponse(connection_id, req_id, end=form == "last", keyframes=rows))
