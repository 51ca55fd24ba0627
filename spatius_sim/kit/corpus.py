"""The corpus of small tapes: each wire, scenarios of note, and each rule's smallest failure.

Nothing in it depends on a clock, a socket, chance or the rounding of a machine: the same seed makes the same
bytes everywhere.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np

from spatius_sim.dialects import dialect_named, dialect_names
from spatius_sim.dialects.events import Audio, Failed, Motion, Ready, Speak, SpeakEnd, Start
from spatius_sim.dialects.features import SEVERAL_TURNS
from spatius_sim.model.trace import (
    Closed,
    Event,
    Injected,
    Lane,
    Opened,
    Received,
    Refused,
    SecretKnown,
    SecretSeen,
    Sent,
    TokenRequested,
    Trace,
    TraceHeader,
    TurnStarted,
    WaitEnded,
    What,
    read_frame,
)
from spatius_sim.protocol.codec import decode, encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    MotionResponse,
    ServerError,
)
from spatius_sim.tape.contents import TapeHeader
from spatius_sim.tape.taping import write_traces

SEED = 1
_RATE = 16000
_NO_FORMAT = 7
_SAMPLES = 6_400
_CHUNK_BYTES = 3200
_KEYFRAMES = (6, 4)
_TICK_NS = 10_000_000
_NOW = 1_760_000_000.0
_HEADER = TapeHeader("fixture", int(_NOW * 1000), "", SEED, (_RATE,), ("secrets", "names"))


@dataclass(slots=True)
class Scene:
    """A conversation through a relay, told event by event; `fault` names what goes wrong in it."""

    wire: str
    fault: str = ""
    _events: list[Event] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def trace(self, turns: int = 1, clients: int = 1) -> Trace:
        """The whole scene."""
        self._happens(Lane.KIT, "", SecretKnown("key#1", 32))
        names = [f"client-{number}" for number in range(1, clients + 1)]
        lacks = dialect_named(self.wire).lacks
        one_turn = SEVERAL_TURNS in lacks
        for turn in range(turns):
            for name in names:
                if turn == 0 or one_turn:
                    self._connects(name)
                self._turn(name, turn)
                if one_turn:
                    self._happens(Lane.DOWNSTREAM, name, Closed(False, 1000))
        plan = self.fault or f"{clients} clients, {turns} turns, nothing wrong"
        header = TraceHeader("relay", self.wire, SEED, plan, "", tuple(sorted(lacks)))
        return Trace(header, tuple(self._events))

    def _connects(self, client: str) -> None:
        self._happens(Lane.DOWNSTREAM, client, Opened())
        self._does(client, Start(_RATE))
        self._hears(client, Ready("session", _RATE, _RATE))

    def _turn(self, client: str, turn: int) -> None:
        pcm = _speech(f"{SEED}/{client}/{turn}")
        self._happens(Lane.KIT, client, TurnStarted(turn, pcm, _RATE))
        for start in range(0, len(pcm), _CHUNK_BYTES):
            self._does(client, Speak(pcm[start : start + _CHUNK_BYTES]))
        self._does(client, SpeakEnd())
        payloads = self._upstream(pcm)
        self._downstream(client, pcm, payloads)
        if self.fault == "Motion Server dies":
            self._hears(client, Failed("motion failed: Motion Server went away"))
        self._happens(Lane.KIT, client, WaitEnded(turn, True))

    def _upstream(self, pcm: bytes) -> list[bytes]:
        number = next(self._numbers)
        up, req_id, connection_id = f"upstream-{number}", f"request-{number}", f"connection-{number}"
        life = 3600 * (25 if self.fault == "U-TOKEN" else 1)
        token = f"token#{number}"
        asked = TokenRequested("key#1", int(_NOW) + life, _NOW, 200, token)
        self._happens(Lane.CONSOLE, "", asked)
        if self.fault == "refused":
            body = '{"message":"Avatar not found: avatar"}'
            self._happens(Lane.UPSTREAM, up, Refused(404, body, token))
            return []
        self._happens(Lane.UPSTREAM, up, Opened(token, "app", "avatar"))
        audio_format = _NO_FORMAT if self.fault == "U-CONFIGURE" else 0
        self._asks(up, encode(ConfigureSession(_RATE, audio_format=audio_format)))
        self._answers(up, encode(ConfirmSession(connection_id)), "")
        for start in range(0, len(pcm), _CHUNK_BYTES):
            self._asks(up, encode(AudioInput(req_id, pcm[start : start + _CHUNK_BYTES])))
        for _ in range(2 if self.fault == "U-AUDIO-END" else 1):
            self._asks(up, encode(AudioInput(req_id, end=True)))
        payloads = _motion(connection_id, req_id)
        if self.fault == "Motion Server dies":
            self._answers(up, payloads[0], req_id)
            self._happens(Lane.KIT, "", Injected("Motion Server dies"))
            self._happens(Lane.UPSTREAM, up, Closed(True, 1006))
            return payloads[:1]
        if self.fault == "credits exhausted":
            error = ServerError(connection_id, req_id, 4001, "Credits exhausted")
            self._answers(up, encode(error), req_id)
        for payload in payloads:
            self._answers(up, payload, req_id)
        self._happens(Lane.UPSTREAM, up, Closed(False, 1000))
        return payloads

    def _downstream(self, client: str, pcm: bytes, payloads: list[bytes]) -> None:
        audio = [Audio(pcm[start : start + _CHUNK_BYTES]) for start in range(0, len(pcm), _CHUNK_BYTES)]
        motion = [Motion((payload,)) for payload in payloads]
        match self.fault:
            case "R-MOTION-VERBATIM":
                motion[0] = Motion((_under_another_id(payloads[0]),))
            case "R-MOTION-COMPLETE":
                motion = motion[1:]
            case "R-MOTION-ORDER":
                motion.reverse()
            case "R-AUDIO-COMPLETE":
                audio = audio[:-1]
            case "R-SECRETS":
                self._happens(Lane.DOWNSTREAM, client, SecretSeen("key#1", "in a message, plain"))
        events: list[Audio | Motion] = [*motion[: self.fault == "R-AUDIO-FIRST"], *audio]
        for event in events:
            self._hears(client, event)
        if self.fault != "R-END-AUDIO":
            self._hears(client, Audio(b"", True))
        for event in motion[1:] if self.fault == "R-AUDIO-FIRST" else motion:
            self._hears(client, event)

    def _does(self, client: str, action: Start | Speak | SpeakEnd) -> None:
        for frame in dialect_named(self.wire).write_client(action):
            self._frame(Lane.DOWNSTREAM, client, frame, sent=True)

    def _hears(self, client: str, event: Ready | Audio | Motion | Failed) -> None:
        for frame in dialect_named(self.wire).write_relay(event):
            self._frame(Lane.DOWNSTREAM, client, frame, sent=False)

    def _asks(self, up: str, raw: bytes) -> None:
        self._frame(Lane.UPSTREAM, up, raw, sent=False)

    def _answers(self, up: str, raw: bytes, answers: str) -> None:
        value = read_frame(Lane.UPSTREAM, raw, sent=True, dialect=None)
        self._happens(Lane.UPSTREAM, up, Sent(raw, value, answers))

    def _frame(self, lane: Lane, name: str, raw: str | bytes, *, sent: bool) -> None:
        value = read_frame(lane, raw, sent=sent, dialect=dialect_named(self.wire))
        self._happens(lane, name, Sent(raw, value) if sent else Received(raw, value))

    def _happens(self, lane: Lane, connection: str, what: What) -> None:
        number = len(self._events)
        self._events.append(Event(number, number * _TICK_NS, lane, connection, what))


def _speech(label: str) -> bytes:
    """Noise that no other label has."""
    noise = np.frombuffer(hashlib.shake_128(label.encode()).digest(2 * _SAMPLES), "<i2")
    return (noise // 8).astype("<i2").tobytes()


def _motion(connection_id: str, req_id: str) -> list[bytes]:
    """Keyframes that are exact in any arithmetic, in two payloads."""
    payloads = []
    for number, keyframes in enumerate(_KEYFRAMES):
        drawn = hashlib.shake_128(f"{SEED}/{req_id}/{number}".encode()).digest(keyframes * WIDTH)
        rows = np.frombuffer(drawn, np.uint8).reshape(keyframes, WIDTH).astype(np.float32) / np.float32(256)
        payloads.append(encode(MotionResponse(connection_id, req_id, number > 0, rows)))
    return payloads


def _under_another_id(payload: bytes) -> bytes:
    message = decode(payload)
    assert isinstance(message, MotionResponse)
    return encode(MotionResponse(message.connection_id, "an id of its own", message.end, message.keyframes))


FAILING = (
    "U-TOKEN",
    "U-CONFIGURE",
    "U-AUDIO-END",
    "R-MOTION-VERBATIM",
    "R-MOTION-COMPLETE",
    "R-MOTION-ORDER",
    "R-AUDIO-COMPLETE",
    "R-AUDIO-FIRST",
    "R-END-AUDIO",
    "R-SECRETS",
)
"""Rules whose smallest failure is in the corpus: the tape of that name."""

SCENES = ("Motion Server dies", "refused", "credits exhausted")
"""Faults of Motion Server that a good relay survives, by name."""


def make_corpus(folder: Path) -> list[Path]:
    """Write every tape of the corpus into `folder`; their paths."""
    tapes: dict[str, Trace] = {f"wire-{wire}": Scene(wire).trace(2) for wire in dialect_names()}
    tapes |= {f"fails-{rule_id}": Scene("json-envelope", rule_id).trace() for rule_id in FAILING}
    tapes |= {f"scene-{name.replace(' ', '-')}": Scene("json-envelope", name).trace() for name in SCENES}
    written = []
    for name, trace in sorted(tapes.items()):
        written.append(folder / f"{name}.tape")
        write_traces(written[-1], _HEADER, [trace])
    muted = folder / "without-speech.tape"
    header = TapeHeader("fixture", int(_NOW * 1000), "", SEED, (_RATE,))
    write_traces(muted, header, [Scene("json-envelope").trace()])
    return [*written, muted]
