"""Conversations through a good relay: over each wire, and beside faults of Motion Server that it survives."""

import hashlib
from itertools import count

import numpy as np

from spatius_sim.files.wire_file import find_wire, wire_names
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.tests.rules.traces import RATE, Dialogue
from spatius_sim.trace.events import SERVER_DIES, Closed, Lane, Opened, Received, Sent, Trace, TraceHeader
from spatius_sim.trace.read_frames import read_frame_values
from spatius_sim.wires import Wire
from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Motion,
    Ready,
    RelayEvent,
    Speak,
    SpeakEnd,
    Start,
)
from spatius_sim.wires.optional_features import PCM, SEVERAL_TURNS, STREAMING

SEED = 1
_SAMPLES = 6_400
_CHUNK_BYTES = 3200
_KEYFRAMES = (6, 4)

SCENES = ("Motion Server dies", "refused", "credits exhausted")
"""Faults of Motion Server that a good relay survives, by name."""

WIRES: tuple[Wire, ...] = tuple(
    wire
    for wire in map(find_wire, wire_names())
    if not wire.lacks & {STREAMING, PCM} and wire.write_client_action(Speak(b"ab"))
)
"""The wires on which a scene can be told frame by frame."""


class Scene(Dialogue):
    """A conversation through a relay, told event by event; `fault` names what goes wrong in it."""

    def __init__(self, wire: str = "json-envelope", fault: str = "") -> None:
        super().__init__()
        self._wire: Wire = find_wire(wire)
        self._fault = fault
        self._numbers = count(1)

    def told(self, turns: int = 1) -> Trace:
        """The whole scene."""
        self.secret_known("key#1")
        one_turn = SEVERAL_TURNS in self._wire.lacks
        for turn in range(turns):
            if turn == 0 or one_turn:
                self._comes("client-1")
            self._speaks("client-1", turn)
            if one_turn:
                self.relay_hangs_up("client-1")
        plan = self._fault or f"{turns} turns, nothing wrong"
        lacks = tuple(sorted(self._wire.lacks))
        header = TraceHeader(
            "relay", self._wire.name, SEED, plan, "0", lacks, declaration=self._wire.declaration
        )
        return Trace(header, self.trace.events)

    def _comes(self, client: str) -> None:
        self.happens(Lane.DOWNSTREAM, client, Opened())
        self._does(client, Start(RATE))
        self.hears(client, Ready("session", RATE, RATE))

    def _speaks(self, client: str, turn: int) -> None:
        pcm = _speech(f"{SEED}/{client}/{turn}")
        chunks = [pcm[start : start + _CHUNK_BYTES] for start in range(0, len(pcm), _CHUNK_BYTES)]
        self.starts(client, turn, pcm)
        for chunk in chunks:
            self._does(client, Speak(chunk))
        self._does(client, SpeakEnd())
        payloads = self._answered(chunks)
        for chunk in chunks:
            self.hears(client, Audio(chunk))
        self.hears(client, Audio(b"", True))
        for number, payload in enumerate(payloads, 1):
            self.hears(client, Motion((payload,), number == len(_KEYFRAMES)))
        if self._fault:
            self.hears(client, Failed(f"motion failed: {self._fault}"))
        self.ends(client, turn)

    def _answered(self, chunks: list[bytes]) -> list[bytes]:
        """Motion Server's side of a turn: its payloads."""
        number = next(self._numbers)
        up, req = f"upstream-{number}", f"request-{number}"
        self.token(token=f"token#{number}")
        if self._fault == "refused":
            self.refused(up, 404, '{"message":"Avatar not found: avatar"}', f"token#{number}")
            return []
        self.happens(Lane.UPSTREAM, up, Opened(f"token#{number}", "app", "avatar"))
        self.configures(up)
        self.confirms(up)
        for chunk in chunks:
            self.audio_up(up, req, chunk)
        self.audio_up(up, req, end=True)
        payloads = _motion(f"id of {up}", req)
        if self._fault == "credits exhausted":
            self.error(up, req)
            payloads = []
        elif self._fault == "Motion Server dies":
            payloads = payloads[:1]
        for payload in payloads:
            self.server_says_raw(up, payload, req)
        if self._fault == "Motion Server dies":
            self.fault(SERVER_DIES)
            self.happens(Lane.UPSTREAM, up, Closed(True, 1006))
        else:
            self.closed(up, by_kit=False)
        return payloads

    def hears(self, client: str, event: RelayEvent) -> int:
        for raw in self._wire.write_relay_event(event):
            for part, value in enumerate(
                read_frame_values(Lane.DOWNSTREAM, raw, sent_by_kit=False, wire=self._wire)
            ):
                self.happens(Lane.DOWNSTREAM, client, Received(raw, value, part))
        return self.last

    def _does(self, client: str, action: ClientAction) -> None:
        for raw in self._wire.write_client_action(action):
            self.happens(Lane.DOWNSTREAM, client, Sent(raw, self._wire.read_client_frame(raw)))


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
