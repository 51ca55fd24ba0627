"""The honest relay as a pure brain: events in, commands out. Its policy decides what the rules leave open."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from spatius_sim.model.relay.commands import ConnectUp, HangUp, RelayCommand, SendUp, Tell, WatchSilence
from spatius_sim.model.relay.policy import AudioStart, EndMark, MotionStart, RelayPolicy, SessionScope
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
    Speak,
    SpeakEnd,
    Unclear,
)

SAMPLE_RATE = 16000
TOKEN_LIFE_SECONDS = 3600


@dataclass(slots=True, eq=False)
class RelaySession:
    """An upstream session, from the first attempt to open it until it is hung up or lost."""

    name: str
    client: str
    attempt: int = 0
    """How many attempts have failed."""
    confirmed: bool = False
    turn: "RelayTurn | None" = None
    """The turn that it serves now."""


@dataclass(slots=True, eq=False)
class RelayTurn:
    """One turn of one client; its name is its turn id. It is over when its session no longer serves it."""

    client: str
    name: str
    number: int
    req_id: str
    session: RelaySession
    payloads: int = 0
    """How many payloads of it have been passed to `motion_down`."""
    audio_ended: bool = False
    """Whether the end of its audio has been given to the client."""
    unsent: list[AudioInput] = field(default_factory=list)
    """Audio that waits for Motion Server's confirmation."""
    held_audio: list[bytes] = field(default_factory=list)
    """The last chunk, if more audio or the end mark is to go down with it."""
    held_payloads: list[bytes] = field(default_factory=list)
    """Payloads that wait for their batch to be full."""
    held_until_start: list[RelayCommand] = field(default_factory=list)
    held_until_audio_end: list[RelayCommand] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether it has ended, failed or been dropped."""
        return self.session.turn is not self


class PlainRelay:
    """Keeps every rule, whatever its policy. A miniature overrides one of the small methods below."""

    policy = RelayPolicy()
    """What it does if it is given no policy."""
    waits_for_all = False
    """Whether a client that reads nothing keeps the others waiting."""
    drops_after = math.inf
    """Seconds after which a message that its client has not taken is dropped."""

    def __init__(self, api_key: str, new_id: Callable[[], str], policy: RelayPolicy | None = None) -> None:
        self.api_key = api_key
        self._new_id = new_id
        if policy is not None:
            self.policy = policy
        self.clients: list[str] = []
        self.sessions: dict[str, RelaySession] = {}
        self._speaking: dict[str, RelayTurn] = {}
        self._spoken: dict[str, int] = {}
        """The number of each client's newest turn."""

    # What a miniature may do otherwise.

    def greet(self, client: str) -> list[RelayCommand]:
        """Tell the client that has come which sample rates are spoken."""
        return [Tell(client, Ready(client, SAMPLE_RATE, SAMPLE_RATE))] if self.policy.greets else []

    def token_life(self, attempt: int) -> int:
        """Choose the seconds that a token is to live."""
        return TOKEN_LIFE_SECONDS

    def sample_rate(self, attempt: int) -> int:
        """Choose the rate in hertz that a session is configured with."""
        return SAMPLE_RATE

    def connect_up(self, session: RelaySession) -> list[RelayCommand]:
        """Open this upstream session, or try it again."""
        return [ConnectUp(session.name, self.token_life(session.attempt))]

    def may_start(self, turn: RelayTurn) -> bool:
        """Whether the client may get audio of this turn now."""
        at_once = self.policy.audio_start is AudioStart.AT_ONCE
        return at_once or turn.session.confirmed or turn.over

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        """Pass audio on to the client, in chunks of the policy's size."""
        commands: list[RelayCommand] = []
        for chunk in self._chunks(turn, pcm):
            commands.append(self.tell_audio(turn, chunk))
            if self.policy.chatty:
                commands.append(Tell(turn.client, Note("status")))
        return self._once_started(turn, commands)

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        """Give the client the rest of the audio, its end mark, and the motion that waited for it."""
        rest, turn.held_audio = turn.held_audio, []
        if self.policy.audio_end is EndMark.ON_ITS_OWN:
            rest = [*rest, b""]
        commands = [self.tell_audio(turn, chunk) for chunk in rest[:-1]]
        commands.append(self.tell_audio(turn, rest[-1] if rest else b"", last=True))
        turn.audio_ended = True
        motion, turn.held_until_audio_end = turn.held_until_audio_end, []
        return self._once_started(turn, [*commands, *motion])

    def end_up(self, turn: RelayTurn) -> AudioInput:
        """Compose the message that ends the turn's audio at Motion Server."""
        return AudioInput(turn.req_id, end=True)

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        """Pass a payload on to the client untouched, in batches of the policy's size."""
        turn.held_payloads.append(raw)
        commands: list[RelayCommand] = []
        if message.end or len(turn.held_payloads) >= self.policy.payloads_per_message:
            payloads, turn.held_payloads = turn.held_payloads, []
            apart = message.end and self.policy.motion_end is EndMark.ON_ITS_OWN
            commands.append(self.tell_motion(turn, *payloads, last=message.end and not apart))
            if apart:
                commands.append(self.tell_motion(turn, last=True))
        if self.policy.chatty:
            commands.insert(0, Tell(turn.client, Note("transcript")))
        if self.policy.motion_start is MotionStart.AFTER_AUDIO and not turn.audio_ended:
            turn.held_until_audio_end += commands
            return []
        return commands

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        """Tell the client that motion for the turn ends here, and why."""
        return [Tell(turn.client, Failed(why))]

    # Events.

    def client_came(self, client: str, session_key: str = "") -> list[RelayCommand]:
        """Take a client in; `session_key` is what it brought, which an honest relay has no use for."""
        self.clients.append(client)
        return self.greet(client)

    def client_left(self, client: str) -> list[RelayCommand]:
        """Drop the turn of a client that has left, and hang up its sessions."""
        self.clients.remove(client)
        commands = self._drop(client)
        for session in self._sessions_of(client):
            commands += self._hang_up(session)
        return commands

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        """Answer an action of a client; an action that the relay has no use for gets no answer."""
        match action:
            case Speak(pcm, last):
                commands = self._speak(client, pcm)
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
        """Configure a session that has been opened; hang it up if nobody needs it any more."""
        session = self.sessions.get(upstream)
        if session is None:
            return [HangUp(upstream)]
        return [SendUp(upstream, ConfigureSession(self.sample_rate(session.attempt)))]

    def upstream_said(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        """Act on a frame of Motion Server: `raw` as it came, and `value` as it was decoded."""
        session = self.sessions.get(upstream)
        if session is None:
            return []
        if isinstance(value, ConfirmSession):
            session.confirmed = True
        turn = session.turn
        if turn is None:
            return []
        match value:
            case ConfirmSession():
                unsent, turn.unsent = turn.unsent, []
                sent = [SendUp(upstream, audio) for audio in unsent]
                return [*self._start(turn), *sent, *self.watch(turn)]
            case MotionResponse(req_id=req_id) if not self._shares_sessions or req_id == turn.req_id:
                commands = self.motion_down(turn, raw, value)
                turn.payloads += 1
                return commands + (self._end(turn) if value.end else self.watch(turn))
            case ServerError(message=message) if session.confirmed:
                return self._fail(turn, message)
        return []

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        """Fail the turn that Motion Server is silent about, unless its client still speaks."""
        session = self.sessions.get(upstream)
        if session is None or session.turn is None:
            return []
        if session.confirmed and self._speaking.get(session.client) is session.turn:
            return self.watch(session.turn)
        return self._lose(session, "Motion Server went silent")

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        """Try a session again that was refused, if attempts are left; otherwise fail its turn."""
        session = self.sessions.get(upstream)
        if session is None:
            return []
        session.attempt += 1
        if session.turn and not session.confirmed and session.attempt < self.policy.attempts:
            return self.connect_up(session)
        return self._lose(session, why)

    # Turns and sessions.

    @property
    def _shares_sessions(self) -> bool:
        """Whether all turns of a client share a session."""
        return self.policy.session_scope is SessionScope.CLIENT

    def _speak(self, client: str, pcm: bytes) -> list[RelayCommand]:
        """Pass audio on and send it up. The first audio begins a turn, which replaces the turn before it."""
        commands: list[RelayCommand] = []
        turn = self._speaking.get(client)
        if turn is None:
            commands += self._drop(client)
            turn = self._begin(client)
            if turn.session.name not in self.sessions:
                self.sessions[turn.session.name] = turn.session
                commands += self.connect_up(turn.session)
            commands += self.watch(turn)
        return commands + self.audio_down(turn, pcm) + self._send_up(turn, AudioInput(turn.req_id, pcm))

    def _begin(self, client: str) -> RelayTurn:
        """Begin the client's next turn, on the session that the client has or on a new session."""
        number = self._spoken[client] = self._spoken.get(client, -1) + 1
        name = turn_name(client, number)
        upstream = f"session of {client}" if self._shares_sessions else name
        session = self.sessions.get(upstream) or RelaySession(upstream, client)
        turn = RelayTurn(client, name, number, self._new_id(), session)
        session.turn = self._speaking[client] = turn
        return turn

    def _send_up(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        """Send audio up, or keep it until Motion Server confirms; drop it if the turn is over."""
        if turn.over:
            return []
        if turn.session.confirmed:
            return [SendUp(turn.session.name, audio)]
        turn.unsent.append(audio)
        return []

    def watch(self, turn: RelayTurn) -> list[RelayCommand]:
        """Watch the session's silence from now on, unless the turn is over."""
        return [] if turn.over else [WatchSilence(turn.session.name, self.policy.silence_seconds)]

    def _end(self, turn: RelayTurn) -> list[RelayCommand]:
        """End the turn, and hang up its session unless other turns share it."""
        turn.session.turn = None
        return [] if self._shares_sessions else self._hang_up(turn.session)

    def _fail(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        """End the turn, and tell its client why motion ends."""
        hung_up = self._end(turn)
        return [*self._start(turn), *self.failure_down(turn, why), *hung_up]

    def _lose(self, session: RelaySession, why: str) -> list[RelayCommand]:
        """Fail the session's turn, and never use this session again."""
        commands = self._fail(session.turn, why) if session.turn else []
        return commands + self._hang_up(session)

    def _drop(self, client: str) -> list[RelayCommand]:
        """End whatever turn the client has, without a word to it."""
        self._speaking.pop(client, None)
        commands: list[RelayCommand] = []
        for session in self._sessions_of(client):
            if session.turn:
                commands += self._end(session.turn)
        return commands

    def _sessions_of(self, client: str) -> list[RelaySession]:
        return [session for session in self.sessions.values() if session.client == client]

    def _hang_up(self, session: RelaySession) -> list[RelayCommand]:
        """Forget the session and close it, unless that has been done."""
        known = self.sessions.pop(session.name, None)
        return [HangUp(session.name)] if known else []

    # What goes down.

    def _chunks(self, turn: RelayTurn, pcm: bytes) -> list[bytes]:
        """Add audio to the chunk that is held; return the chunks that can go down, hold the rest."""
        size = self.policy.audio_chunk_bytes
        chunks = [*turn.held_audio, pcm]
        whole = True
        if size is not None:
            audio = b"".join(chunks)
            chunks = [audio[start : start + size] for start in range(0, len(audio), size)]
            whole = len(audio) % size == 0
        sends_all = whole and self.policy.audio_end is EndMark.ON_ITS_OWN
        turn.held_audio = [] if sends_all else chunks[-1:]
        return chunks if sends_all else chunks[:-1]

    def _once_started(self, turn: RelayTurn, commands: list[RelayCommand]) -> list[RelayCommand]:
        """Return the commands if the turn may start; hold them until it may otherwise."""
        if self.may_start(turn):
            return commands
        turn.held_until_start += commands
        return []

    def _start(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return what has been held of the turn, if it may start."""
        if not self.may_start(turn):
            return []
        held, turn.held_until_start = turn.held_until_start, []
        return held

    def tell_audio(self, turn: RelayTurn, pcm: bytes, *, last: bool = False) -> RelayCommand:
        """Compose the message that brings the client this audio."""
        return Tell(turn.client, Audio(pcm, last=last, turn_id=self._turn_id(turn)))

    def tell_motion(self, turn: RelayTurn, *payloads: bytes, last: bool) -> RelayCommand:
        """Compose the message that brings the client these payloads, in this order."""
        return Tell(turn.client, Motion(payloads, last, self._turn_id(turn)))

    def _turn_id(self, turn: RelayTurn) -> str:
        return turn.name if self.policy.names_turns else ""


def turn_name(client: str, number: int) -> str:
    """Name a client's turn; the first is number 0."""
    return f"{client}-turn-{number}"
