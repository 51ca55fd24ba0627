"""Relays that differ in all that the rules leave open, and keep every one of them."""

from collections.abc import Callable

from spatius_sim.model.relay.relay import (
    SAMPLE_RATE,
    ConnectUp,
    HangUp,
    PlainRelay,
    RelayCommand,
    RelayTurn,
    SendUp,
    Tell,
)
from spatius_sim.protocol.messages import ConfigureSession, ConfirmSession, Message, MotionResponse
from spatius_sim.trace.events import Undecodable
from spatius_sim.wires.events import Audio, ClientAction, Motion, Note

_OWN_CHUNK_BYTES = 2048


class BatchesPayloads(PlainRelay):
    """Delivers payloads two by two, and what is left with the last one."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._held: dict[str, tuple[bytes, ...]] = {}

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        held = (*self._held.pop(turn.name, ()), raw)
        if len(held) < 2 and not message.end:
            self._held[turn.name] = held
            return []
        return [Tell(turn.client, Motion(held, message.end, turn.name))]


class CutsAudioAnew(PlainRelay):
    """Passes audio on in chunks of its own size, the rest with the end mark."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._left: dict[str, bytes] = {}

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        audio = self._left.pop(turn.name, b"") + pcm
        whole = len(audio) // _OWN_CHUNK_BYTES * _OWN_CHUNK_BYTES
        self._left[turn.name] = audio[whole:]
        starts = range(0, whole, _OWN_CHUNK_BYTES)
        pieces = [audio[start : start + _OWN_CHUNK_BYTES] for start in starts]
        return [Tell(turn.client, Audio(piece, turn_id=turn.name)) for piece in pieces]

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return [Tell(turn.client, Audio(self._left.pop(turn.name, b""), last=True, turn_id=turn.name))]


class MarksLastChunk(PlainRelay):
    """Holds one chunk back, so that the last one bears the end mark itself."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._held: dict[str, bytes] = {}

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        before, self._held[turn.name] = self._held.get(turn.name), pcm
        return [] if before is None else super().audio_down(turn, before)

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return [Tell(turn.client, Audio(self._held.pop(turn.name, b""), last=True, turn_id=turn.name))]


class SendsAllAudioFirst(PlainRelay):
    """Lets no motion through before all audio of the turn has gone down."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._held: dict[str, list[RelayCommand]] = {}
        self._through: set[str] = set()

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        self._through.add(turn.name)
        return super().end_down(turn) + self._held.pop(turn.name, [])

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        motion = super().motion_down(turn, raw, message)
        if turn.name in self._through:
            return motion
        self._held.setdefault(turn.name, []).extend(motion)
        return []


class MarksMotionApart(PlainRelay):
    """Marks the end of motion with an empty list of its own."""

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        told: list[RelayCommand] = [Tell(turn.client, Motion((raw,), False, turn.name))]
        return told + ([Tell(turn.client, Motion((), True, turn.name))] if message.end else [])


class NamesNoTurns(PlainRelay):
    """Has no turn ids, as the demos' second generation."""

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        return [Tell(turn.client, Audio(pcm))]

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return [Tell(turn.client, Audio(b"", last=True))]

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return [Tell(turn.client, Motion((raw,), message.end))]


class GreetsNobody(PlainRelay):
    """Says nothing before it is spoken to, and then says much that nobody asked for."""

    def greet(self, client: str) -> list[RelayCommand]:
        return []

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        return [*super().audio_down(turn, pcm), Tell(turn.client, Note("status"))]

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        return [Tell(turn.client, Note("transcript")), *super().motion_down(turn, raw, message)]


class StartsSlowly(PlainRelay):
    """Gives its client nothing of a turn before Motion Server is there for it."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._held: dict[str, list[RelayCommand]] = {}

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        return self._when_confirmed(turn, super().audio_down(turn, pcm))

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        return self._when_confirmed(turn, super().end_down(turn))

    def upstream_said(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        held = self._held.pop(upstream, []) if isinstance(value, ConfirmSession) else []
        return held + super().upstream_said(upstream, raw, value)

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        return self._held.pop(turn.name, []) + super().failure_down(turn, why)

    def _when_confirmed(self, turn: RelayTurn, commands: list[RelayCommand]) -> list[RelayCommand]:
        if turn.confirmed or turn.name not in self.turns:
            return commands
        self._held.setdefault(turn.name, []).extend(commands)
        return []


class KeepsItsSession(PlainRelay):
    """Keeps one upstream session for all turns of a client."""

    def __init__(self, api_key: str, new_id: Callable[[], str]) -> None:
        super().__init__(api_key, new_id)
        self._confirmed: dict[str, bool] = {}
        """For each client that has a session, by the session's name."""

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        session = f"session of {client}"
        commands: list[RelayCommand] = []
        for command in super().client_did(client, action):
            match command:
                case ConnectUp(upstream, token_life):
                    if upstream == session or session not in self._confirmed:
                        self._confirmed.setdefault(session, False)
                        commands.append(ConnectUp(session, token_life))
                case SendUp(_, message):
                    commands.append(SendUp(session, message))
                case HangUp():
                    pass
                case _:
                    commands.append(command)
        return commands

    def client_left(self, client: str) -> list[RelayCommand]:
        super().client_left(client)
        session = f"session of {client}"
        return [HangUp(session)] if self._confirmed.pop(session, None) is not None else []

    def upstream_opened(self, upstream: str) -> list[RelayCommand]:
        return [SendUp(upstream, ConfigureSession(SAMPLE_RATE))]

    def upstream_said(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        if isinstance(value, ConfirmSession):
            self._confirmed[upstream] = True
        commands: list[RelayCommand] = []
        for turn in self._turns_of(upstream):
            if not isinstance(value, MotionResponse) or value.req_id == turn.req_id:
                commands += super().upstream_said(turn.name, raw, value)
        commands = [command for command in commands if not isinstance(command, HangUp)]
        return [SendUp(upstream, c.message) if isinstance(c, SendUp) else c for c in commands]

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        self._confirmed.pop(upstream, None)
        commands: list[RelayCommand] = []
        for turn in self._turns_of(upstream):
            commands += super().upstream_lost(turn.name, why)
        return commands

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        turn = self.turns.get(upstream)
        commands = super().upstream_silent(upstream)
        if turn is None or turn.name in self.turns:
            return commands
        # What has gone silent is not asked again.
        session = f"session of {turn.client}"
        self._confirmed.pop(session, None)
        return [*commands, HangUp(session)]

    def _begin(self, client: str) -> RelayTurn:
        turn = super()._begin(client)
        turn.confirmed = self._confirmed.get(f"session of {client}", False)
        return turn

    def _turns_of(self, session: str) -> list[RelayTurn]:
        return [turn for turn in self.turns.values() if session == f"session of {turn.client}"]


HONEST_RELAYS: tuple[type[PlainRelay], ...] = (
    PlainRelay,
    BatchesPayloads,
    CutsAudioAnew,
    MarksLastChunk,
    SendsAllAudioFirst,
    MarksMotionApart,
    NamesNoTurns,
    GreetsNobody,
    StartsSlowly,
    KeepsItsSession,
)
"""The honest ground, and nine that stand on others."""
