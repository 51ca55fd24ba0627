"""Honest Motion Servers, as small as can be: the ground from which the miniatures depart by one method.

It refuses what it must, confirms, answers each request with motion in the recorded segments, and says
nothing on the socket of an egress session.
"""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from spatius_sim.model.server.capabilities import CAPABILITIES
from spatius_sim.model.server.session_tokens import SessionToken, issue_token, read_token
from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, PCM_SAMPLE_RATES
from spatius_sim.protocol.close_codes import NORMAL_CLOSE
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import (
    HttpAnswer,
    RequestRefusedError,
    TokenRequest,
    check_expiry,
    console_refusal,
    read_token_request,
    upgrade_refusal,
)
from spatius_sim.protocol.keyframes import WIDTH, Keyframes
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    Message,
    MotionResponse,
    Pause,
    PlaybackNews,
    PlaybackPhase,
    Resume,
    ServerError,
)
from spatius_sim.trace.events import Undecodable

_UNAUTHENTICATED = 401
_LEAD_SECONDS = 5.0
_TIMER_SECONDS = 1e-5


@dataclass(frozen=True, slots=True)
class DelayedFrame:
    """A frame to send in so many `seconds`, unless it is not wanted any more by then. It answers the request
    `req_id`, or none if that is ""."""

    seconds: float
    req_id: str
    raw: bytes


@dataclass(slots=True)
class PlainSession:
    """One connection. `sample_rate` in Hz, 0 before it is configured; `expire_at` of its token in unix
    seconds; `later` is what the host is to send later; `close_code` is that of a refused session.
    `idle_timeout` is in seconds; 0: none."""

    connection_id: str
    expire_at: float
    sample_rate: int = 0
    egress: bool = False
    refused: bool = False
    requests: dict[str, MotionSynthesizer] = field(default_factory=dict)
    interrupted: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    later: list["DelayedFrame"] = field(default_factory=list)
    idle_timeout: int = 0
    close_code: int = NORMAL_CLOSE


class PlainServer:
    """Takes one API key. Whatever a session receives, `receive` answers with the frames to send; it never
    raises. Its host sets `clock`, which tells seconds, and whether the newest upgrade had its credentials in
    the query."""

    asked_in_query = False
    clock: Callable[[], float] = time.monotonic

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        self.api_key, self.new_id, self.seed = api_key, new_id, seed

    # Console API and ingress.

    def ask_token(self, key: str, body: bytes, now: float) -> HttpAnswer:
        """The answer to a token request at `now` (unix seconds)."""
        try:
            self.check_key(key)
            asked = read_token_request(body)
            self.check_window(asked, now)
        except RequestRefusedError as refused:
            return refused.answer
        token = issue_token(SessionToken(asked.expire_at, asked.app_id), self.new_id())
        return HttpAnswer(200, json.dumps({"sessionToken": token}))

    def check_key(self, key: str) -> None:
        """Raises RequestRefusedError for a wrong API key."""
        if key != self.api_key:
            raise console_refusal(_UNAUTHENTICATED, "UNAUTHENTICATED", "the API key is missing or unknown")

    def check_window(self, asked: TokenRequest, now: float) -> None:
        """Raises RequestRefusedError for an expiry outside the window."""
        check_expiry(asked, now)

    def knock(self, session_key: str, avatar_id: str, now: float) -> HttpAnswer | PlainSession:
        """A session, or the refusal of the upgrade."""
        try:
            return self.open_session(self.admit(session_key, avatar_id, now))
        except RequestRefusedError as refused:
            return refused.answer

    def open_session(self, expire_at: float) -> PlainSession:
        """A new session, whose token expires at `expire_at` (unix seconds)."""
        return PlainSession(self.new_id(), expire_at)

    def admit(self, session_key: str, avatar_id: str, now: float) -> float:
        """When the token expires; raises RequestRefusedError for a bad one, and for an unknown avatar."""
        token = read_token(session_key)
        if token is None:
            raise upgrade_refusal(400, "Invalid session token")
        self.check_expired(token, now)
        if "missing" in avatar_id:
            raise self.avatar_refusal(avatar_id)
        return token.expire_at

    def check_expired(self, token: SessionToken, now: float) -> None:
        """Raises RequestRefusedError for an expired token."""
        if token.expire_at <= now:
            raise upgrade_refusal(401, "session token expired")

    def avatar_refusal(self, avatar_id: str) -> RequestRefusedError:
        """How an unknown avatar is refused."""
        return upgrade_refusal(404, f"Avatar not found: {avatar_id}")

    # Sessions.

    def receive(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        """The frames to send in answer to a frame."""
        if not session.sample_rate:
            answers = self.configure(session, value)
            session.refused = not session.sample_rate
            return answers
        match value:
            case AudioInput(req_id) if req_id not in session.interrupted:
                return self.audio(session, value)
            case Interrupt(req_id):
                session.interrupted.append(req_id)
        return []

    def configure(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        """The answer to the first message."""
        match value:
            case ConfigureSession() if not self.takes(value):
                return [self.refusal("unsupported audio format")]
            case ConfigureSession(sample_rate=rate) if rate in PCM_SAMPLE_RATES:
                session.sample_rate = rate
                session.egress = value.egress_type != EgressType.UNSPECIFIED
                session.idle_timeout = value.livekit_egress.idle_timeout if value.livekit_egress else 0
                return self.confirm(session)
            case ConfigureSession(sample_rate=rate):
                return [self.refusal(f"unsupported sample rate: {rate}")]
            case Undecodable(reason):
                return [self.refusal(f"failed to unmarshal initial message: {reason}")]
        return [self.refusal("expected ClientConfigureSession message")]

    def takes(self, configuration: ConfigureSession) -> bool:
        """Return whether it takes the audio format of this configuration."""
        return configuration.audio_format == AudioFormat.PCM_S16LE

    def confirm(self, session: PlainSession) -> list[bytes]:
        """How a session is confirmed."""
        return [encode(ConfirmSession(self.shown_id(session)))]

    def shown_id(self, session: PlainSession) -> str:
        """The connection_id that is told."""
        return session.connection_id

    def refusal(self, text: str) -> bytes:
        """How a handshake is refused."""
        return encode(ServerError(message=text))

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        """The motion that is due now that this audio has come."""
        if audio.req_id not in session.requests:
            session.requests[audio.req_id] = MotionSynthesizer(session.sample_rate, self.seed)
        due = self.due(session, audio)
        return [self.motion(session, audio.req_id, *one) for one in due] if self.answers(session) else []

    def due(self, session: PlainSession, audio: AudioInput) -> list[tuple[Keyframes, bool]]:
        """Segments and whether each is the last of its request."""
        synthesizer = session.requests[audio.req_id]
        segments = [(segment, False) for segment in synthesizer.feed(audio.audio)]
        if audio.end:
            segments.append((synthesizer.finish(), True))
        return segments

    def answers(self, session: PlainSession) -> bool:
        """Return whether motion comes back on the socket."""
        return not session.egress

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        """One response."""
        return encode(MotionResponse(session.connection_id, req_id, end, keyframes))

    def hangs_up(self, session: PlainSession) -> bool:
        """Return whether the server closes the session now."""
        return session.refused

    def is_wanted(self, session: PlainSession, frame: DelayedFrame) -> bool:
        """Return whether a frame that waited is still to be sent."""
        return frame.req_id not in session.interrupted

    def leave(self, session: PlainSession) -> None:
        """The client of this session has gone."""

    def closes_at(self, session: PlainSession) -> float | None:
        """When the server closes the session of its own accord, in unix seconds; None for never."""
        return None


class SignalsPlayout(PlainServer):
    """Says on the socket of an egress session when its playout begins and ends: by responses without
    motion."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        answers = super().audio(session, audio)
        nothing = np.zeros((0, WIDTH), np.float32)
        signals = [False, True] if session.egress and audio.end else []
        return answers + [self.motion(session, audio.req_id, nothing, end) for end in signals]


class IgnoresSilence(PlainServer):
    """Does not answer a request of nothing but silence. Silence before the first sound counts."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._silence: dict[str, bytes] = {}
        """What has come of each request before its first sound."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        pcm = self._silence.pop(audio.req_id, b"") + audio.audio
        if any(pcm) or audio.req_id in session.requests:
            return super().audio(session, replace(audio, audio=pcm))
        self._silence[audio.req_id] = pcm
        return []


class TakesOneAtATime(PlainServer):
    """Adds audio of an older request to the newest one. No SDK opens a request before it has ended or
    interrupted the one before, and no document says what comes of two that are open."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        known = audio.req_id in session.requests
        return super().audio(
            session, replace(audio, req_id=next(reversed(session.requests))) if known else audio
        )


class TakesTokensOnce(PlainServer):
    """Opens one session with each token. Tokens are designed for a single use, and no document says whether
    the service takes one twice."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._used: set[str] = set()

    def admit(self, session_key: str, avatar_id: str, now: float) -> float:
        if session_key in self._used:
            raise upgrade_refusal(400, "Invalid session token")
        expire_at = super().admit(session_key, avatar_id, now)
        self._used.add(session_key)
        return expire_at


class RefusesLongClips(PlainServer):
    """Answers a message with more than a minute of speech with an error. No document says how long a clip may
    be."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if len(audio.audio) <= 60 * session.sample_rate * BYTES_PER_SAMPLE:
            return super().audio(session, audio)
        return [encode(ServerError(session.connection_id, audio.req_id, 3, "the clip is too long"))]


class TakesReqIdsOnce(PlainServer):
    """Answers with an error what comes under a req_id that another connection has used. No SDK does that, and
    no document says that a server must take it."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._owners: dict[str, str] = {}
        """The connection that has used each req_id first."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if self._owners.setdefault(audio.req_id, session.connection_id) == session.connection_id:
            return super().audio(session, audio)
        return [encode(ServerError(session.connection_id, audio.req_id, 3, "this req_id is in use"))]


class WorksInRealTime(PlainServer):
    """Makes motion five seconds ahead of real time at most, and drops what waits at an interrupt."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._began: dict[tuple[str, str], float] = {}
        self._made: Counter[tuple[str, str]] = Counter()
        self._due_at: defaultdict[tuple[str, str], float] = defaultdict(float)
        """When the newest frame of each request is sent."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        key, now = (session.connection_id, audio.req_id), self.clock()
        began = self._began.setdefault(key, now)
        if audio.req_id not in session.requests:
            session.requests[audio.req_id] = MotionSynthesizer(session.sample_rate, self.seed)
        for keyframes, end in self.due(session, audio):
            self._made[key] += len(keyframes)
            due_at = max(now, began + self._made[key] / KEYFRAMES_PER_SECOND - _LEAD_SECONDS)
            # Two timers for the same time may ring in any order.
            self._due_at[key] = max(due_at, self._due_at[key] + _TIMER_SECONDS)
            seconds = self._due_at[key] - now
            raw = self.motion(session, audio.req_id, keyframes, end)
            if self.answers(session):
                session.later.append(DelayedFrame(seconds, audio.req_id, raw))
        return []


class RefusesWhatItDoesNotKnow(PlainServer):
    """Answers a pause, and an interrupt of a request that has ended, with an error. No document says that
    a server must take them where nothing plays."""

    def receive(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        match value:
            case Pause(req_id) | Resume(req_id):
                return [encode(ServerError(session.connection_id, req_id, 3, "unexpected message type"))]
            case Interrupt(req_id) if req_id in session.ended:
                return [encode(ServerError(session.connection_id, "", 3, "this request has ended"))]
        return super().receive(session, value)

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if audio.end:
            session.ended.append(audio.req_id)
        return super().audio(session, audio)


class TellsWherePlaybackStands(PlainServer):
    """Confirms that it reports playbacks, and says of a paused request that it does not know it."""

    def confirm(self, session: PlainSession) -> list[bytes]:
        return [encode(ConfirmSession(self.shown_id(session), CAPABILITIES))]

    def receive(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        if isinstance(value, Pause | Resume):
            return [encode(PlaybackNews(session.connection_id, value.req_id, PlaybackPhase.UNKNOWN))]
        return super().receive(session, value)


class EndsIdleSessions(PlainServer):
    """Says that no audio came as soon as the idle time-out has passed since the last audio."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._audio_counts: Counter[str] = Counter()

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        self._audio_counts[session.connection_id] += 1
        if session.idle_timeout:
            error = ServerError(session.connection_id, "", 0, f"no audio input for {session.idle_timeout} s")
            number = str(self._audio_counts[session.connection_id])
            session.later.append(DelayedFrame(session.idle_timeout, number, encode(error)))
        return super().audio(session, audio)

    def is_wanted(self, session: PlainSession, frame: DelayedFrame) -> bool:
        return frame.req_id == str(self._audio_counts[session.connection_id])
