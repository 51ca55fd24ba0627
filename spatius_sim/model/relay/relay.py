"""A plain relay as a pure brain: the honest ground that the miniatures depart from.

One upstream session for each turn, json-envelope's turn ids, payloads passed on untouched.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Message,
    MotionResponse,
    ServerError,
)
from spatius_sim.trace.events import Undecodable
from spatius_sim.wires.events import (
    Audio,
    ClientAction,
    Failed,
    Interrupted,
    InterruptTurn,
    Motion,
    Note,
    Ready,
    RelayEvent,
    Speak,
    SpeakEnd,
    Unclear,
)

SAMPLE_RATE = 16000
TOKEN_LIFE_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Tell:
    """Say that to the client."""

    client: str
    event: RelayEvent


@dataclass(frozen=True, slots=True)
class ConnectUp:
    """Ask for a token that lives `token_life` seconds, or take the last one again where it is not to be
    `fresh`, and open an upstream session with it."""

    upstream: str
    token_life: int
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class SendUp:
    upstream: str
    message: Message


@dataclass(frozen=True, slots=True)
class HangUp:
    upstream: str


@dataclass(frozen=True, slots=True)
class WatchSilence:
    """Say so when this upstream session has been silent for `seconds` from now; an earlier watch over it
    ends."""

    upstream: str
    seconds: float


RelayCommand = Tell | ConnectUp | SendUp | HangUp | WatchSilence


@dataclass(slots=True)
class RelayTurn:
    """One turn of one client. Its upstream session and its turn id bear the same name."""

    client: str
    name: str
    number: int
    req_id: str
    attempt: int = 0
    confirmed: bool = False
    waiting: list[AudioInput] = field(default_factory=list)
    payloads: int = 0
    motion_ended: bool = False


class PlainRelay:
    """Honest in everything. A miniature overrides one of the small methods in the middle."""

    attempts = 1
    silence_seconds = 1.5
    """How long Motion Server may be silent when it is asked to speak. A real relay would wait longer."""
    waits_for_all = False
    """Whether one client that takes nothing keeps the others waiting."""
    drops_after = math.inf
    """Seconds after which what a client has not taken is dropped."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        self.api_key = api_key
        self._new_id = new_id
        self.clients: list[str] = []
        self._speaking: dict[str, RelayTurn] = {}
        self.turns: dict[str, RelayTurn] = {}
        self._spoken: dict[str, int] = {}

    # What a miniature may do otherwise.

    def greet(self, client: str) -> list[RelayCommand]:
        return [Tell(client, Ready(client, SAMPLE_RATE, SAMPLE_RATE))]

    def token_life(self, attempt: int) -> int:
        return TOKEN_LIFE_SECONDS

    def sample_rate(self, attempt: int) -> int:
        return SAMPLE_RATE

    def connect_up(self, turn: RelayTurn) -> list[RelayCommand]:
        return [ConnectUp(turn.name, self.token_life(turn.attempt))]

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        return [Tell(turn.client, Audio(pcm, turn_id=turn.name))]

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return [Tell(turn.client, Audio(b"", last=True, turn_id=turn.name))]

    def end_up(self, turn: RelayTurn) -> AudioInput:
        return AudioInput(turn.req_id, end=True)

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return [Tell(turn.client, Motion((raw,), message.end, turn.name))]

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return [Tell(turn.client, Failed(why))]

    # Events.

    def client_came(self, client: str, session_key: str = "") -> list[RelayCommand]:
        """A client has connected; `session_key` is what it brought, which an honest relay has no use for."""
        self.clients.append(client)
        return self.greet(client)

    def client_left(self, client: str) -> list[RelayCommand]:
        self.clients.remove(client)
        return self._drop(client)

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        match action:
            case Speak(pcm, last):
                commands: list[RelayCommand] = []
                turn = self._speaking.get(client)
                if turn is None:
                    commands += self._drop(client)
                    turn = self._begin(client)
                    commands += self.connect_up(turn) + self.watch(turn)
                commands += self.audio_down(turn, pcm)
                commands += self._send_up(turn, AudioInput(turn.req_id, pcm))
                return commands + (self.client_did(client, SpeakEnd()) if last else [])
            case SpeakEnd():
                turn = self._speaking.pop(client, None)
                if turn is None:
                    return []
                return self.end_down(turn) + self._send_up(turn, self.end_up(turn)) + self.watch(turn)
            case InterruptTurn():
                return [*self._drop(client), Tell(client, Interrupted("asked"))]
            case Note("ping"):
                return [Tell(client, Note("pong"))]
            case Unclear(reason):
                return [Tell(client, Failed(reason))]
        return []

    def upstream_opened(self, upstream: str) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        if turn is None:
            return [HangUp(upstream)]
        return [SendUp(upstream, ConfigureSession(self.sample_rate(turn.attempt)))]

    def upstream_said(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        if turn is None:
            return []
        match value:
            case ConfirmSession():
                turn.confirmed = True
                waiting, turn.waiting = turn.waiting, []
                return [*(SendUp(upstream, audio) for audio in waiting), *self.watch(turn)]
            case MotionResponse():
                commands = self.motion_down(turn, raw, value)
                turn.payloads += 1
                if value.end:
                    turn.motion_ended = True
                    return [*commands, HangUp(upstream)]
                return commands + self.watch(turn)
            case ServerError(message=message) if turn.confirmed and not turn.motion_ended:
                return self._fail(turn, message)
        return []

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        if turn is None or turn.motion_ended:
            return []
        if turn.confirmed and self._speaking.get(turn.client) is turn:
            return self.watch(turn)
        return self._fail(turn, "Motion Server went silent")

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        if turn is None or turn.motion_ended:
            return []
        turn.attempt += 1
        if not turn.confirmed and turn.attempt < self.attempts:
            return self.connect_up(turn)
        return self._fail(turn, why)

    def _begin(self, client: str) -> RelayTurn:
        number = self._spoken[client] = self._spoken.get(client, -1) + 1
        turn = RelayTurn(client, f"{client}-turn-{number}", number, self._new_id())
        self.turns[turn.name] = self._speaking[client] = turn
        return turn

    def watch(self, turn: RelayTurn) -> list[RelayCommand]:
        return [WatchSilence(turn.name, self.silence_seconds)] if turn.name in self.turns else []

    def _fail(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        del self.turns[turn.name]
        return [*self.failure_down(turn, why), HangUp(turn.name)]

    def _send_up(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        if turn.confirmed and turn.name in self.turns:
            return [SendUp(turn.name, audio)]
        turn.waiting.append(audio)
        return []

    def _drop(self, client: str) -> list[RelayCommand]:
        self._speaking.pop(client, None)
        dropped = [turn.name for turn in self.turns.values() if turn.client == client]
        for name in dropped:
            del self.turns[name]
        return [HangUp(name) for name in dropped]
