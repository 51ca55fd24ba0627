"""The brain of Motion Server: who may come in, and what one session answers (protocol.md sections 1, 2)."""

from dataclasses import dataclass, field

from spatius_sim.model.answers import Answer, AnswerFactory
from spatius_sim.model.session_tokens import SessionToken, issue_token, read_token
from spatius_sim.model.trace import Undecodable
from spatius_sim.protocol.audio import PCM_SAMPLE_RATES
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console import (
    check_expiry,
    console_refusal,
    read_token_request,
    upgrade_refusal,
)
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    Message,
    ServerError,
)
from spatius_sim.protocol.session_table import SessionEvent, SessionState, next_session_state
from spatius_sim.protocol.turn_table import TurnEvent, TurnState, next_turn_state

INVALID_ARGUMENT = 3
UNAVAILABLE = 14
POLICY_VIOLATION = 1008
"""The close code after a refused handshake is ASSUMED; that it comes promptly is what SDKs need."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Who may come in. Empty sets accept any API key and any app id."""

    api_keys: frozenset[str] = frozenset()
    app_ids: frozenset[str] = frozenset()

    def issue(self, api_key: str, body: bytes, now: float, nonce: str) -> str:
        """The session token for a token request at `now` (unix seconds).

        Raises RequestRefusedError for a bad key, a malformed body and an expiry outside the window.
        """
        if not api_key or (self.api_keys and api_key not in self.api_keys):
            raise console_refusal(401, "UNAUTHENTICATED", "the API key is missing or unknown")
        asked = read_token_request(body)
        check_expiry(asked, now)
        return issue_token(SessionToken(asked.expire_at, asked.app_id), nonce)

    def admit(self, app_id: str, session_key: str, avatar_id: str, now: float) -> None:
        """Let an upgrade pass, or raise RequestRefusedError with the status and body of its case.

        An avatar id with `missing` in it does not exist.
        """
        token = read_token(session_key)
        if token is None:
            raise upgrade_refusal(400, "Invalid session token")
        if token.expire_at <= now:
            raise upgrade_refusal(401, "session token expired")
        if not app_id or (self.app_ids and app_id not in self.app_ids):
            raise upgrade_refusal(404, "app id unrecognized")
        if token.app_id and token.app_id != app_id:
            raise upgrade_refusal(400, "app id mismatch")
        if not avatar_id or "missing" in avatar_id:
            raise upgrade_refusal(404, f"Avatar not found: {avatar_id}")


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame; `answers` is the req_id that it answers, "" where it answers none."""

    raw: bytes
    answers: str = ""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection."""

    code: int
    reason: str


Command = Send | Close


@dataclass(slots=True)
class _Request:
    answer: Answer
    state: TurnState = TurnState.UPLOADING


@dataclass(slots=True)
class ServerSession:
    """One connection. Nothing that its peer sends raises: a bad message is answered with a ServerError."""

    connection_id: str
    new_answer: AnswerFactory
    state: SessionState = SessionState.AWAITING_CONFIGURE
    _sample_rate: int = 0
    _requests: dict[str, _Request] = field(default_factory=dict)

    def receive(self, value: Message | Undecodable) -> list[Command]:
        """What to do about a frame from the peer."""
        if self.state is SessionState.AWAITING_CONFIGURE:
            return self._configure(value)
        if self.state is not SessionState.OPEN:
            return []
        match value:
            case AudioInput():
                return self._audio(value)
            case Interrupt(req_id):
                return self._interrupt(req_id)
            case Undecodable(reason):
                return [self._error(INVALID_ARGUMENT, reason)]
            case _:
                return [self._error(INVALID_ARGUMENT, "unexpected message type")]

    def closed(self) -> None:
        """The connection is gone."""
        self.state = SessionState.CLOSED
        self._requests.clear()

    def _configure(self, value: Message | Undecodable) -> list[Command]:
        match value:
            case Undecodable(reason):
                return self._refuse(0, f"failed to unmarshal initial message: {reason}")
            case ConfigureSession():
                self._step(SessionEvent.CONFIGURE)
            case _:
                return self._refuse(0, "expected ClientConfigureSession message")
        if value.audio_format != AudioFormat.PCM_S16LE:
            return self._refuse(INVALID_ARGUMENT, "unsupported audio format: only PCM s16le")
        if value.sample_rate not in PCM_SAMPLE_RATES:
            return self._refuse(0, f"unsupported sample rate: {value.sample_rate}")
        if value.egress_type != EgressType.UNSPECIFIED:
            return self._refuse(UNAVAILABLE, "egress client is not configured on server")
        self._step(SessionEvent.CONFIRM)
        self._sample_rate = value.sample_rate
        return [Send(encode(ConfirmSession(self.connection_id)))]

    def _audio(self, audio: AudioInput) -> list[Command]:
        request = self._requests.get(audio.req_id)
        if request is None:
            answer = self.new_answer(self.connection_id, audio.req_id, self._sample_rate)
            request = self._requests[audio.req_id] = _Request(answer)
        event = TurnEvent.AUDIO_END if audio.end else TurnEvent.AUDIO
        after = next_turn_state(request.state, event)
        if after is None:
            # What the service says to audio under an ended req_id is not known: ASSUMED.
            text = f"request is already {request.state.value}"
            return [self._error(INVALID_ARGUMENT, text, audio.req_id)]
        request.state = after
        payloads = list(request.answer.feed(audio.audio))
        if audio.end:
            payloads += request.answer.finish()
            request.state = TurnState.ANSWERED
        return [Send(payload, audio.req_id) for payload in payloads]

    def _interrupt(self, req_id: str) -> list[Command]:
        request = self._requests.get(req_id)
        if request is not None:
            request.state = TurnState.INTERRUPTED
        return []

    def _refuse(self, code: int, message: str) -> list[Command]:
        self._step(SessionEvent.ERROR)
        return [self._error(code, message), Close(POLICY_VIOLATION, message[:100])]

    def _error(self, code: int, message: str, req_id: str = "") -> Send:
        return Send(encode(ServerError(self.connection_id, req_id, code, message)))

    def _step(self, event: SessionEvent) -> None:
        self.state = next_session_state(self.state, event, we_are_server=True)
