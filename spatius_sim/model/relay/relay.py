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
_TAIL_BYTES = 640
"""So much audio is held back for the end mark if the audio is not cut into chunks of a size: 20 ms."""


@dataclass(slots=True, eq=False)
class RelaySession:
    """An upstream session of a client, from the first attempt to open the session until its end."""

    session_id: str
    client_id: str
    failed_attempts: int = 0
    """How many attempts to open the session have failed."""
    confirmed: bool = False
    turn: "RelayTurn | None" = None
    """The turn that the session serves now; None if there is none."""


@dataclass(slots=True, eq=False)
class RelayTurn:
    """One turn of one client: it speaks, and gets motion for its speech. The turn is over when its session no
    longer serves the turn."""

    client_id: str
    turn_id: str
    number: int
    req_id: str
    session: RelaySession
    spoken_bytes: int = 0
    """How much audio of the turn has gone up."""
    payload_count: int = 0
    """How many payloads of the turn have been passed to `send_motion_to_client`."""
    audio_ended: bool = False
    """Whether the client has been sent the end of the turn's audio."""
    unsent_audio: list[AudioInput] = field(default_factory=list)
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
        """Begin a relay without clients and sessions. `api_key` is the key for Motion Server, and
        `new_id()` returns a new id for each request to it. If `policy` is None, the relay uses the policy
        of its class."""
        self.api_key = api_key
        self._new_id = new_id
        if policy is not None:
            self.policy = policy
        self.clients: list[str] = []
        self.rates: dict[str, int] = {}
        """The sample rates in Hz of those clients that have named a rate; all others have SAMPLE_RATE."""
        self.sessions: dict[str, RelaySession] = {}
        self._speaking_turns: dict[str, RelayTurn] = {}
        self._turn_numbers: dict[str, int] = {}
        """The number of each client's newest turn."""
        self._gathered_speech: dict[str, bytes] = {}
        """What each client has said and not ended yet, if the policy gathers speech."""

    # Methods that a miniature may override.

    def greet(self, client_id: str) -> list[RelayCommand]:
        """Return the messages that greet a client that has just connected: one message with the sample rates.
        An empty list if the relay's policy has no greeting."""
        rate = self.rates.get(client_id, SAMPLE_RATE)
        return [Tell(client_id, Ready(client_id, rate, rate))] if self.policy.greets else []

    def token_life(self, attempt: int) -> int:
        """Return for how many seconds a new token is to be valid; `attempt` counts from 0."""
        return TOKEN_LIFE_SECONDS

    def sample_rate(self, session: RelaySession) -> int:
        """Return the sample rate in Hz with which the relay configures a session: the rate of its client's
        speech."""
        return self.rates.get(session.client_id, SAMPLE_RATE)

    def open_session(self, session: RelaySession) -> list[RelayCommand]:
        """Return the commands that open this upstream session, for the first time or again."""
        return [ConnectUp(session.session_id, self.token_life(session.failed_attempts))]

    def may_start(self, turn: RelayTurn) -> bool:
        """Return whether the relay may send audio of this turn to the client now: at once, or when Motion
        Server has confirmed the session or failed."""
        at_once = self.policy.audio_start is AudioStart.AT_ONCE
        return at_once or turn.session.confirmed or turn.is_over

    def send_audio_to_client(self, turn: RelayTurn, pcm: bytes) -> list[RelayCommand]:
        """Return the commands that send this audio to the client of the turn, in chunks of the size that the
        policy names. Audio that fills no chunk yet is kept in the turn. If the turn may not start yet, keep
        all messages in the turn, and return an empty list."""
        commands: list[RelayCommand] = []
        for chunk in self._take_full_chunks(turn, pcm):
            commands.append(self.tell_audio(turn, chunk))
            if self.policy.chatty:
                commands.append(Tell(turn.client_id, Note("status")))
        return self._hold_until_start(turn, commands)

    def end_audio_to_client(self, turn: RelayTurn) -> list[RelayCommand]:
        """End the audio that the client of this turn receives. Return the commands that send the rest of the
        audio, its end mark, and the motion that waited for the end mark. The end mark is on the last chunk or
        in a message without audio, as the policy says. If the turn may not start yet, keep them in the turn,
        and return an empty list."""
        chunks_left, turn.held_audio = turn.held_audio, []
        if self.policy.audio_end is EndMark.ON_ITS_OWN:
            chunks_left = [*chunks_left, b""]
        commands = [self.tell_audio(turn, chunk) for chunk in chunks_left[:-1]]
        commands.append(self.tell_audio(turn, chunks_left[-1] if chunks_left else b"", last=True))
        turn.audio_ended = True
        held_motion, turn.held_until_audio_end = turn.held_until_audio_end, []
        return self._hold_until_start(turn, [*commands, *held_motion])

    def make_audio_end(self, turn: RelayTurn) -> AudioInput:
        """Return the message to Motion Server that ends the audio of this turn. It also contains silence if
        the policy wants the audio to be a multiple of some size."""
        padding = bytes(-turn.spoken_bytes % self.policy.pads_speech_to)
        return AudioInput(turn.req_id, padding, end=True)

    def send_motion_to_client(
        self, turn: RelayTurn, raw: bytes, message: MotionResponse
    ) -> list[RelayCommand]:
        """Return the commands that send one motion payload from Motion Server, unchanged, to the client of
        the turn. `raw` is the payload, and `message` the same payload, decoded. If the policy sends several
        payloads in one message, or motion after the audio, keep the payload in the turn until then. If the
        policy is chatty, a note that no rule asks for comes before the payload."""
        turn.held_payloads.append(raw)
        commands: list[RelayCommand] = []
        if message.end or len(turn.held_payloads) >= self.policy.payloads_per_message:
            payloads, turn.held_payloads = turn.held_payloads, []
            end_on_its_own = message.end and self.policy.motion_end is EndMark.ON_ITS_OWN
            commands.append(self.tell_motion(turn, *payloads, last=message.end and not end_on_its_own))
            if end_on_its_own:
                commands.append(self.tell_motion(turn, last=True))
        if self.policy.chatty:
            commands.insert(0, Tell(turn.client_id, Note("transcript")))
        if self.policy.motion_start is MotionStart.AFTER_AUDIO and not turn.audio_ended:
            turn.held_until_audio_end += commands
            return []
        return commands

    def tell_failure(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        """Return the command that tells the client that its turn gets no more motion, and why."""
        return [Tell(turn.client_id, Failed(why))]

    # Events.

    def on_client_connected(
        self, client_id: str, session_key: str = "", sample_rate: int = 0
    ) -> list[RelayCommand]:
        """Add a client that has connected to the relay, and return the commands that greet it. `sample_rate`
        is the rate of the client's speech in Hz; 0 if the client named none. `session_key` is a token that
        the client brought; this relay does not use it."""
        self.clients.append(client_id)
        if sample_rate:
            self.rates[client_id] = sample_rate
        return self.greet(client_id)

    def on_client_disconnected(self, client_id: str) -> list[RelayCommand]:
        """Forget a client that has disconnected from the relay, and end its turns. Return the commands that
        close the client's sessions with Motion Server."""
        self.clients.remove(client_id)
        self.rates.pop(client_id, None)
        self._gathered_speech.pop(client_id, None)
        commands = self._drop_turns(client_id)
        for session in self._sessions_of(client_id):
            commands += self._close_session(session)
        return commands

    def on_client_action(self, client_id: str, action: ClientAction) -> list[RelayCommand]:
        """Return the commands with which the relay reacts to an action of a client, such as speech, a clip,
        an interrupt or a note. An empty list if the relay does nothing."""
        match action:
            case Speak(pcm, last):
                commands = [] if self.policy.gathers_speech else self._take_speech(client_id, pcm)
                if self.policy.gathers_speech:
                    self._gathered_speech[client_id] = self._gathered_speech.get(client_id, b"") + pcm
                return commands + (self.on_client_action(client_id, SpeakEnd()) if last else [])
            case SpeakEnd():
                gathered_pcm = self._gathered_speech.pop(client_id, b"")
                commands = self._take_speech(client_id, gathered_pcm) if gathered_pcm else []
                turn = self._speaking_turns.pop(client_id, None)
                if turn is None:
                    return commands
                return (
                    commands
                    + self.end_audio_to_client(turn)
                    + self._send_audio_to_server(turn, self.make_audio_end(turn))
                    + self.watch_for_silence(turn)
                )
            case PlayClip() | Say() if self.policy.clip:
                speech = Speak(self.policy.clip, last=True)
                return self._drop_turns(client_id) + self.on_client_action(client_id, speech)
            case InterruptTurn():
                return [*self._drop_turns(client_id), Tell(client_id, Interrupted("asked"))]
            case Note("ping"):
                return [Tell(client_id, Note("pong"))]
            case Unclear(reason):
                return [Tell(client_id, Failed(reason))]
        return []

    def on_session_opened(self, session_id: str) -> list[RelayCommand]:
        """React to a new session with Motion Server: return the command that configures the session. If the
        relay has already given up this session, return the command that closes it."""
        session = self.sessions.get(session_id)
        if session is None:
            return [HangUp(session_id)]
        return [SendUp(session_id, ConfigureSession(self.sample_rate(session)))]

    def on_server_frame(
        self, session_id: str, raw: bytes, value: Message | Undecodable
    ) -> list[RelayCommand]:
        """React to a frame that Motion Server sent in this session. `raw` is the frame, and `value` the same
        frame, decoded. Return the relay's commands; an empty list if no turn needs the frame."""
        session = self.sessions.get(session_id)
        if session is None:
            return []
        if isinstance(value, ConfirmSession):
            session.confirmed = True
        turn = session.turn
        if turn is None:
            return []
        match value:
            case ConfirmSession():
                unsent_audio, turn.unsent_audio = turn.unsent_audio, []
                audio_commands = [SendUp(session_id, audio) for audio in unsent_audio]
                return [*self._release_held_messages(turn), *audio_commands, *self.watch_for_silence(turn)]
            case MotionResponse(req_id=req_id) if not self._shares_sessions or req_id == turn.req_id:
                commands = self.send_motion_to_client(turn, raw, value)
                turn.payload_count += 1
                return commands + (self._end_turn(turn) if value.end else self.watch_for_silence(turn))
            case ServerError(message=message) if session.confirmed:
                return self._fail_turn(turn, message)
        return []

    def on_server_silent(self, session_id: str) -> list[RelayCommand]:
        """React to a silence that lasted too long in this session with Motion Server. Return the relay's
        commands.

        If the policy is that silence ends the client's speech, end the speech. If the client still sends
        audio in a confirmed session, wait on. Otherwise let the turn fail, and close the session."""
        speaking_turns = self._speaking_turns.values()
        turns_of_session = (turn for turn in speaking_turns if turn.session.session_id == session_id)
        silent_client = next((turn.client_id for turn in turns_of_session), None)
        if silent_client is not None and self.policy.ends_speech_after is not None:
            return self.on_client_action(silent_client, SpeakEnd())
        session = self.sessions.get(session_id)
        if session is None or session.turn is None:
            return []
        if session.confirmed and self._speaking_turns.get(session.client_id) is session.turn:
            return self.watch_for_silence(session.turn)
        return self._give_up_session(session, "Motion Server went silent")

    def on_session_lost(self, session_id: str, why: str) -> list[RelayCommand]:
        """React to a session with Motion Server that was refused or was closed; `why` says the reason. If the
        session was not confirmed and the policy allows another attempt, return the commands that open it
        again. Otherwise let its turn fail, and return the commands that tell the client."""
        session = self.sessions.get(session_id)
        if session is None:
            return []
        session.failed_attempts += 1
        if session.turn and not session.confirmed and session.failed_attempts < self.policy.attempts:
            return self.open_session(session)
        return self._give_up_session(session, why)

    # Turns and sessions.

    @property
    def _shares_sessions(self) -> bool:
        """Whether all turns of a client share a session."""
        return self.policy.session_scope is SessionScope.CLIENT

    def _take_speech(self, client_id: str, pcm: bytes) -> list[RelayCommand]:
        """Return the commands for audio `pcm` that a client has spoken: send it to Motion Server, and back to
        the client, whose avatar speaks it. If the client has no turn that still takes audio, first end its
        old turns and begin a new one."""
        commands: list[RelayCommand] = []
        turn = self._speaking_turns.get(client_id)
        if turn is None:
            commands += self._drop_turns(client_id)
            turn = self._begin_turn(client_id)
            if turn.session.session_id not in self.sessions:
                self.sessions[turn.session.session_id] = turn.session
                commands += self.open_session(turn.session)
            commands += self.watch_for_silence(turn)
        turn.spoken_bytes += len(pcm)
        commands += self.send_audio_to_client(turn, pcm)
        commands += self._send_audio_to_server(turn, AudioInput(turn.req_id, pcm))
        return commands + self._watch_client_speech(turn)

    def _begin_turn(self, client_id: str) -> RelayTurn:
        """Begin the next turn of a client, and return it. The turn uses the client's session with Motion
        Server if all turns of a client share one; otherwise it gets a new session."""
        number = self._turn_numbers[client_id] = self._turn_numbers.get(client_id, -1) + 1
        turn_id = make_turn_id(client_id, number)
        session_id = f"session of {client_id}" if self._shares_sessions else turn_id
        session = self.sessions.get(session_id) or RelaySession(session_id, client_id)
        turn = RelayTurn(client_id, turn_id, number, self._new_id(), session)
        session.turn = self._speaking_turns[client_id] = turn
        return turn

    def _send_audio_to_server(self, turn: RelayTurn, audio: AudioInput) -> list[RelayCommand]:
        """Return the command that sends audio of this turn to Motion Server. If the session is not confirmed
        yet, keep the audio in the turn, and return an empty list. If the turn is over, drop the audio."""
        if turn.is_over:
            return []
        if turn.session.confirmed:
            return [SendUp(turn.session.session_id, audio)]
        turn.unsent_audio.append(audio)
        return []

    def watch_for_silence(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the command that starts a timer for silence. If silence of the client ends its speech, the
        timer watches the client; otherwise it watches Motion Server. An empty list if the turn is over."""
        if turn.is_over:
            return []
        return self._watch_client_speech(turn) or [
            WatchSilence(turn.session.session_id, self.policy.silence_seconds)
        ]

    def _watch_client_speech(self, turn: RelayTurn) -> list[RelayCommand]:
        """Watch for the end of a client's speech: return the command that starts a timer for the client's
        silence, if the policy is that such silence ends the speech. An empty list if the client itself says
        when its speech ends, or if the speech has ended."""
        max_silence_seconds = self.policy.ends_speech_after
        if max_silence_seconds is None or self._speaking_turns.get(turn.client_id) is not turn:
            return []
        return [WatchSilence(turn.session.session_id, max_silence_seconds)]

    def _end_turn(self, turn: RelayTurn) -> list[RelayCommand]:
        """End a turn: its session with Motion Server no longer serves it. Return the command that closes the
        session; an empty list if all turns of a client share a session."""
        turn.session.turn = None
        return [] if self._shares_sessions else self._close_session(turn.session)

    def _fail_turn(self, turn: RelayTurn, why: str) -> list[RelayCommand]:
        """End a turn because Motion Server failed. Return the commands that send the client the messages that
        were held back, tell it `why` no more motion comes, and close the session. If silence ends the
        client's speech, the timer for this silence goes on."""
        closing_commands = self._end_turn(turn)
        return [
            *self._release_held_messages(turn),
            *self.tell_failure(turn, why),
            *closing_commands,
            *self._watch_client_speech(turn),
        ]

    def _give_up_session(self, session: RelaySession, why: str) -> list[RelayCommand]:
        """Give up a session with Motion Server that was lost. Return the commands that tell the client that
        its turn failed, close the session, and still watch for the end of the client's speech."""
        turn = session.turn
        commands = self._fail_turn(turn, why) if turn else []
        return commands + self._close_session(session) + (self._watch_client_speech(turn) if turn else [])

    def _drop_turns(self, client_id: str) -> list[RelayCommand]:
        """End all turns of a client, without a message to the client. Return the commands that close their
        sessions with Motion Server."""
        self._speaking_turns.pop(client_id, None)
        commands: list[RelayCommand] = []
        for session in self._sessions_of(client_id):
            if session.turn:
                commands += self._end_turn(session.turn)
        return commands

    def _sessions_of(self, client_id: str) -> list[RelaySession]:
        """Return all sessions with Motion Server that a client has."""
        return [session for session in self.sessions.values() if session.client_id == client_id]

    def _close_session(self, session: RelaySession) -> list[RelayCommand]:
        """Forget a session with Motion Server, and return the command that closes it; an empty list if it is
        forgotten already."""
        known_session = self.sessions.pop(session.session_id, None)
        return [HangUp(session.session_id)] if known_session else []

    # What is sent to the client.

    def _take_full_chunks(self, turn: RelayTurn, pcm: bytes) -> list[bytes]:
        """Add `pcm` to the audio that the turn holds back for its client, and cut this audio into chunks.
        Return the chunks that can be sent now; the turn holds back the rest. The last chunk is held back if
        it is not full, or if the end mark will be sent with it. If the policy names no size of chunks, hold
        back only a short tail for the end mark, not a whole chunk: when the speech pauses, motion may come,
        and the client must have audio before that."""
        chunk_bytes = self.policy.audio_chunk_bytes
        chunks = [*turn.held_audio, pcm]
        last_is_full = True
        if chunk_bytes is not None:
            audio = b"".join(chunks)
            chunks = [audio[start : start + chunk_bytes] for start in range(0, len(audio), chunk_bytes)]
            last_is_full = len(audio) % chunk_bytes == 0
        elif self.policy.audio_end is EndMark.ON_LAST:
            audio = b"".join(chunks)
            tail_start = max(0, len(audio) - _TAIL_BYTES)
            chunks = [part for part in (audio[:tail_start], audio[tail_start:]) if part]
        can_send_all = last_is_full and self.policy.audio_end is EndMark.ON_ITS_OWN
        turn.held_audio = [] if can_send_all else chunks[-1:]
        return chunks if can_send_all else chunks[:-1]

    def _hold_until_start(self, turn: RelayTurn, commands: list[RelayCommand]) -> list[RelayCommand]:
        """Return these commands, which send messages to the client, if the turn may start: at once, or when
        Motion Server has confirmed the session or failed (`may_start`). Otherwise keep them in the turn until
        then, and return an empty list."""
        if self.may_start(turn):
            return commands
        turn.held_until_start += commands
        return []

    def _release_held_messages(self, turn: RelayTurn) -> list[RelayCommand]:
        """Return the commands that were kept because the turn could not start, and forget them. Return an
        empty list if the turn still may not start."""
        if not self.may_start(turn):
            return []
        held_commands, turn.held_until_start = turn.held_until_start, []
        return held_commands

    def tell_audio(self, turn: RelayTurn, pcm: bytes, *, last: bool = False) -> RelayCommand:
        """Return the message that brings the client this audio."""
        return Tell(turn.client_id, Audio(pcm, last=last, turn_id=self._turn_id(turn)))

    def tell_motion(self, turn: RelayTurn, *payloads: bytes, last: bool) -> RelayCommand:
        """Return the message that brings the client these payloads, in this order."""
        return Tell(turn.client_id, Motion(payloads, last, self._turn_id(turn)))

    def _turn_id(self, turn: RelayTurn) -> str:
        """Return the turn's id for the client; "" if the policy names no turns."""
        return turn.turn_id if self.policy.names_turns else ""


def make_turn_id(client_id: str, number: int) -> str:
    """Return the name of a client's turn; the first turn has the number 0."""
    return f"{client_id}-turn-{number}"
