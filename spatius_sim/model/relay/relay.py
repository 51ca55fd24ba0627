"""The honest relay as a state machine: events come in, commands go out. A policy decides what the rules leave
open."""

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
    PlayClip,
    Ready,
    Say,
    Speak,
    SpeakEnd,
    Unclear,
)

SAMPLE_RATE = 16000
TOKEN_LIFE_SECONDS = 3600


@dataclass(slots=True, eq=False)
class RelaySession:
    """An upstream session of a client, from the first attempt to open the session until its end."""

    name: str
    client: str
    attempt: int = 0
    """How many attempts have failed."""
    confirmed: bool = False
    turn: "RelayTurn | None" = None
    """The turn that the session serves now; None if there is none."""


@dataclass(slots=True, eq=False)
class RelayTurn:
    """One turn of one client; `name` is its turn id. The turn is over when its session no longer serves
    it."""

    client: str
    name: str
    number: int
    req_id: str
    session: RelaySession
    spoken_bytes: int = 0
    """How much audio of the turn has gone up."""
    payloads: int = 0
    """How many payloads of the turn have been passed to `motion_down`."""
    audio_ended: bool = False
    """Whether the client has been sent the end of the turn's audio."""
    unsent: list[AudioInput] = field(default_factory=list)
    """Audio that waits for Motion Server's confirmation."""
    held_audio: list[bytes] = field(default_factory=list)
    """The last chunk, if it must wait for more audio or for the end mark, to be sent together with it."""
    held_payloads: list[bytes] = field(default_factory=list)
    """Payloads that wait until there are enough for one message."""
    held_until_start: list[RelayCommand] = field(default_factory=list)
    """Messages to the client that wait until the turn may start."""
    held_until_audio_end: list[RelayCommand] = field(default_factory=list)
    """Messages to the client that wait for the end of the audio."""

    @property
    def is_over(self) -> bool:
        """Whether the turn has ended, failed or been dropped: its session no longer serves the turn."""
        return self.session.turn is not self


class PlainRelay:
    """A relay that keeps every rule, whatever its policy. Its methods send nothing themselves: they return
    commands. A miniature overrides one of the small methods at the beginning."""

    policy = RelayPolicy()
    """The policy that is used if none is passed to the constructor."""
    waits_for_all = False
    """Whether all clients wait for a client that reads nothing."""
    drops_after = math.inf
    """Seconds after which a message is dropped that the client has not read."""

    def __init__(self, api_key: str, new_id: Callable[[], str], policy: RelayPolicy | None = None) -> None:
        """Begin a relay without clients and sessions. `new_id` returns a new id for a request to Motion
        Server. Without a `policy`, the class's own policy is used."""
        self.api_key = api_key
        self._new_id = new_id
        if policy is not None:
            self.policy = policy
        self.clients: list[str] = []
        self.rates: dict[str, int] = {}
        """The sample rates in Hz of those clients that have named a rate; all others have SAMPLE_RATE."""
        self.sessions: dict[str, RelaySession] = {}
        self._speaking: dict[str, RelayTurn] = {}
        self._spoken: dict[str, int] = {}
        """The number of each client's newest turn."""
        self._gathered: dict[str, bytes] = {}
        """What each client has said and not ended yet, if the policy gathers speech."""

    # Methods that a miniature may override.

    def greet(self, client: str) -> list[RelayCommand]:
        """Return the relay's greeting for a client that has connected: the sample rates. An empty list if the
        policy has no greeting."""
        rate = self.rates.get(client, SAMPLE_RATE)
        return [Tell(client, Ready(client, rate, rate))] if self.policy.greets else []

    def token_life(self, attempt: int) -> int:
        """Return for how many seconds a new token is to be valid; `attempt` counts from 0."""
        return TOKEN_LIFE_SECONDS

    def sample_rate(self, session: RelaySession) -> int:
        """Return the sample rate in Hz with which the relay configures a session: the rate of its client's
        speech."""
        return self.rates.get(session.client, SAMPLE_RATE)

    def connect_up(self, session: RelaySession) -> list[RelayCommand]:
        """Return the commands that open this upstream session, for the first time or again."""
        return [ConnectUp(session.name, self.token_life(session.attempt))]

    def may_start(self, turn: RelayTurn) -> bool:
        """Return whether the relay may send audio of this turn to the client now: at once, or when Motion
        Server has confirmed the session or failed."""
        at_once = self.policy.audio_start is AudioStart.AT_ONCE
        return at_once or turn.session.confirmed or turn.is_over

    def audio_down(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        """Return the relay's messages that bring the client this audio, in chunks of the policy's size. The
        relay's turn keeps the audio that must wait."""
        commands: list[RelayCommand] = []
        for chunk in self._chunks(turn, pcm):
            commands.append(self.tell_audio(turn, chunk))
            if self.policy.chatty:
                commands.append(Tell(turn.client, Note("status")))
        return self._hold_until_start(turn, commands)

    def end_down(self, turn: RelayTurn) -> list[RelayCommand]:
        """End the turn's audio at the relay's client. Return the commands that send the rest of the audio,
        its end mark, and the motion that waited for this end mark; none yet if the relay must wait until the
        session starts."""
        rest, turn.held_audio = turn.held_audio, []
        if self.policy.audio_end is EndMark.ON_ITS_OWN:
            rest = [*rest, b""]
        commands = [self.tell_audio(turn, chunk) for chunk in rest[:-1]]
        commands.append(self.tell_audio(turn, rest[-1] if rest else b"", last=True))
        turn.audio_ended = True
        motion, turn.held_until_audio_end = turn.held_until_audio_end, []
        return self._hold_until_start(turn, [*commands, *motion])

    def end_up(self, turn: RelayTurn) -> AudioInput:
        """Return the relay's message to Motion Server that ends the turn's audio. The message has silence in
        it if the policy fills the speech up to full chunks."""
        padding = bytes(-turn.spoken_bytes % self.policy.pads_speech_to)
        return AudioInput(turn.req_id, padding, end=True)

    def motion_down(self, turn: RelayTurn, raw: bytes, message: MotionResponse) -> list[RelayCommand]:
        """Return the relay's messages that bring the client this motion payload, unchanged. Keep the payload
        in the turn if the policy sends several payloads in one message, or motion only after the audio."""
        turn.held_payloads.append(raw)
        commands: list[RelayCommand] = []
        if message.end or len(turn.held_payloads) >= self.policy.payloads_per_message:
            payloads, turn.held_payloads = turn.held_payloads, []
            end_on_its_own = message.end and self.policy.motion_end is EndMark.ON_ITS_OWN
            commands.append(self.tell_motion(turn, *payloads, last=message.end and not end_on_its_own))
            if end_on_its_own:
                commands.append(self.tell_motion(turn, last=True))
        if self.policy.chatty:
            commands.insert(0, Tell(turn.client, Note("transcript")))
        if self.policy.motion_start is MotionStart.AFTER_AUDIO and not turn.audio_ended:
            turn.held_until_audio_end += commands
            return []
        return commands

    def failure_down(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        """Return the message that tells the client that the turn gets no more motion, and why."""
        return [Tell(turn.client, Failed(why))]

    # Events.

    def client_came(self, client: str, session_key: str = "", sample_rate: int = 0) -> list[RelayCommand]:
        """Add a client that has connected to the relay, and return the greeting. `session_key` is what the
        client sent along; an honest relay does not use it. `sample_rate` is that of the client's speech in
        Hz, 0 if the client named none."""
        self.clients.append(client)
        if sample_rate:
            self.rates[client] = sample_rate
        return self.greet(client)

    def client_left(self, client: str) -> list[RelayCommand]:
        """Forget a client that has disconnected from the relay, and drop the client's turn. Return the
        commands that end its upstream sessions."""
        self.clients.remove(client)
        self.rates.pop(client, None)
        self._gathered.pop(client, None)
        commands = self._drop(client)
        for session in self._sessions_of(client):
            commands += self._hang_up(session)
        return commands

    def client_did(self, client: str, action: ClientAction) -> list[RelayCommand]:
        """Return the relay's commands that follow from an action of a client: from speech, a clip, an
        interrupt, a note. An empty list if the relay ignores the action."""
        match action:
            case Speak(pcm, last):
                commands = [] if self.policy.gathers_speech else self._speak(client, pcm)
                if self.policy.gathers_speech:
                    self._gathered[client] = self._gathered.get(client, b"") + pcm
                return commands + (self.client_did(client, SpeakEnd()) if last else [])
            case SpeakEnd():
                gathered = self._gathered.pop(client, b"")
                commands = self._speak(client, gathered) if gathered else []
                turn = self._speaking.pop(client, None)
                if turn is None:
                    return commands
                return (
                    commands
                    + self.end_down(turn)
                    + self._send_up(turn, self.end_up(turn))
                    + self.watch_for_silence(turn)
                )
            case PlayClip() | Say() if self.policy.clip:
                speech = Speak(self.policy.clip, last=True)
                return self._drop(client) + self.client_did(client, speech)
            case InterruptTurn():
                return [*self._drop(client), Tell(client, Interrupted("asked"))]
            case Note("ping"):
                return [Tell(client, Note("pong"))]
            case Unclear(reason):
                return [Tell(client, Failed(reason))]
        return []

    def upstream_opened(self, upstream: str) -> list[RelayCommand]:
        """Return the relay's command that configures an upstream session, which was just opened. If no client
        needs the session any more, return the command that closes it."""
        session = self.sessions.get(upstream)
        if session is None:
            return [HangUp(upstream)]
        return [SendUp(upstream, ConfigureSession(self.sample_rate(session)))]

    def upstream_said(self, upstream: str, raw: bytes, value: Message | Undecodable) -> list[RelayCommand]:
        """Return the relay's commands that follow from a frame of Motion Server; `value` is the frame `raw`
        as it was decoded. An empty list if no turn needs the frame."""
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
                send_audio = [SendUp(upstream, audio) for audio in unsent]
                return [*self._release_held_messages(turn), *send_audio, *self.watch_for_silence(turn)]
            case MotionResponse(req_id=req_id) if not self._shares_sessions or req_id == turn.req_id:
                commands = self.motion_down(turn, raw, value)
                turn.payloads += 1
                return commands + (self._end(turn) if value.end else self.watch_for_silence(turn))
            case ServerError(message=message) if session.confirmed:
                return self._fail(turn, message)
        return []

    def upstream_silent(self, upstream: str) -> list[RelayCommand]:
        """Tell the relay that Motion Server has been silent for too long in this upstream session. Return the
        relay's commands.

        A relay whose policy is to end the client's speech after silence does that first. A relay whose client
        still sends audio in a confirmed session waits on. Any other relay lets its turn fail."""
        speaking = (turn for turn in self._speaking.values() if turn.session.name == upstream)
        silent_client = next((turn.client for turn in speaking), None)
        if silent_client is not None and self.policy.ends_speech_after is not None:
            return self.client_did(silent_client, SpeakEnd())
        session = self.sessions.get(upstream)
        if session is None or session.turn is None:
            return []
        if session.confirmed and self._speaking.get(session.client) is session.turn:
            return self.watch_for_silence(session.turn)
        return self._lose(session, "Motion Server went silent")

    def upstream_lost(self, upstream: str, why: str) -> list[RelayCommand]:
        """Return the commands that open a refused upstream session again, if the relay's policy allows
        another attempt. Otherwise fail the session's turn, and return the commands that tell the client."""
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
        """Return the relay's commands after its client has spoken the audio `pcm`: send the audio up to
        Motion Server, and down again to the client. If the client has no turn that still takes audio, drop
        its old turn, and begin a new one."""
        commands: list[RelayCommand] = []
        turn = self._speaking.get(client)
        if turn is None:
            commands += self._drop(client)
            turn = self._begin(client)
            if turn.session.name not in self.sessions:
                self.sessions[turn.session.name] = turn.session
                commands += self.connect_up(turn.session)
            commands += self.watch_for_silence(turn)
        turn.spoken_bytes += len(pcm)
        commands += self.audio_down(turn, pcm) + self._send_up(turn, AudioInput(turn.req_id, pcm))
        return commands + self._watch_client_speech(turn)

    def _begin(self, client: str) -> RelayTurn:
        """Begin the client's next turn and return the turn. The turn uses the client's upstream session if
        all turns of a client share one, otherwise a new session."""
        number = self._spoken[client] = self._spoken.get(client, -1) + 1
        name = turn_name(client, number)
        upstream = f"session of {client}" if self._shares_sessions else name
        session = self.sessions.get(upstream) or RelaySession(upstream, client)
        turn = RelayTurn(client, name, number, self._new_id(), session)
        session.turn = self._speaking[client] = turn
        return turn

    def _send_up(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        """Return the relay's command that sends audio to Motion Server. Before the session is confirmed, keep
        the audio in the turn instead; if the turn is over, drop the audio."""
        if turn.is_over:
            return []
        if turn.session.confirmed:
            return [SendUp(turn.session.name, audio)]
        turn.unsent.append(audio)
        return []

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the relay's command to watch for silence from now on: of Motion Server, or of the client if
        by the relay's policy silence ends the client's speech. Return no command if the turn is over."""
        if turn.is_over:
            return []
        return self._watch_client_speech(turn) or [
            WatchSilence(turn.session.name, self.policy.silence_seconds)
        ]

    def _watch_client_speech(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the command by which the relay watches for the client's silence, if this silence ends the
        client's speech (even if the turn is over). No command if the client says itself when it ends, or has
        ended it."""
        seconds = self.policy.ends_speech_after
        if seconds is None or self._speaking.get(turn.client) is not turn:
            return []
        return [WatchSilence(turn.session.name, seconds)]

    def _end(self, turn: RelayTurn) -> list[RelayCommand]:
        """Take the turn off its session with Motion Server. Return the command that closes the session; an
        empty list if all turns of a client share a session."""
        turn.session.turn = None
        return [] if self._shares_sessions else self._hang_up(turn.session)

    def _fail(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        """Give up the motion of a turn, because Motion Server failed. Return the relay's commands: send the
        messages that were held back, tell the client `why` no more motion comes, and close the turn's session
        with Motion Server."""
        hang_up = self._end(turn)
        return [
            *self._release_held_messages(turn),
            *self.failure_down(turn, why),
            *hang_up,
            *self._watch_client_speech(turn),
        ]

    def _lose(self, session: RelaySession, why: str) -> list[RelayCommand]:
        """Give up an upstream session that the relay has lost: return the commands that tell the client that
        its turn has failed, and close the session."""
        turn = session.turn
        commands = self._fail(turn, why) if turn else []
        return commands + self._hang_up(session) + (self._watch_client_speech(turn) if turn else [])

    def _drop(self, client: str) -> list[RelayCommand]:
        """End all turns that this client has in the relay, and tell the client nothing. Return the commands
        that close their upstream sessions."""
        self._speaking.pop(client, None)
        commands: list[RelayCommand] = []
        for session in self._sessions_of(client):
            if session.turn:
                commands += self._end(session.turn)
        return commands

    def _sessions_of(self, client: str) -> list[RelaySession]:
        """Return all upstream sessions of a client."""
        return [session for session in self.sessions.values() if session.client == client]

    def _hang_up(self, session: RelaySession) -> list[RelayCommand]:
        """Forget the relay's session with Motion Server, and return the command that closes the session; an
        empty list if the session is forgotten already."""
        known_session = self.sessions.pop(session.name, None)
        return [HangUp(session.name)] if known_session else []

    # What is sent to the client.

    def _chunks(self, turn: RelayTurn, pcm: bytes) -> list[bytes]:
        """Add audio for the relay's client to the audio that the turn holds back. Return the chunks that the
        relay can send now; the turn holds back the rest."""
        size = self.policy.audio_chunk_bytes
        chunks = [*turn.held_audio, pcm]
        last_is_full = True
        if size is not None:
            audio = b"".join(chunks)
            chunks = [audio[start : start + size] for start in range(0, len(audio), size)]
            last_is_full = len(audio) % size == 0
        sends_all = last_is_full and self.policy.audio_end is EndMark.ON_ITS_OWN
        turn.held_audio = [] if sends_all else chunks[-1:]
        return chunks if sends_all else chunks[:-1]

    def _hold_until_start(self, turn: RelayTurn, commands: list[RelayCommand]) -> list[RelayCommand]:
        """Return the relay's messages to the client if the turn may start. Otherwise hold them back in the
        turn until it may start, and return an empty list."""
        if self.may_start(turn):
            return commands
        turn.held_until_start += commands
        return []

    def _release_held_messages(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the messages to the client that the relay has held back until this turn may start, and empty
        the list of held messages. Return no messages if the turn may not start yet."""
        if not self.may_start(turn):
            return []
        held, turn.held_until_start = turn.held_until_start, []
        return held

    def tell_audio(self, turn: RelayTurn, pcm: bytes, *, last: bool = False) -> RelayCommand:
        """Return the message that brings the client this audio."""
        return Tell(turn.client, Audio(pcm, last=last, turn_id=self._turn_id(turn)))

    def tell_motion(self, turn: RelayTurn, *payloads: bytes, last: bool) -> RelayCommand:
        """Return the message that brings the client these payloads, in this order."""
        return Tell(turn.client, Motion(payloads, last, self._turn_id(turn)))

    def _turn_id(self, turn: RelayTurn) -> str:
        """Return the turn's id for the client; "" if the policy names no turns."""
        return turn.name if self.policy.names_turns else ""


def turn_name(client: str, number: int) -> str:
    """Return the name of a client's turn; the first turn has the number 0."""
    return f"{client}-turn-{number}"
