"""Motion Servers that are wrong in exactly one named way: the judge is judged by them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from spatius_sim.miniatures.server.left_servers import EndsAtAGap, FallsWithWhoLeaves
from spatius_sim.miniatures.server.limited_servers import (
    AnswersFourSessions,
    ClosesOneTooManyAsUsual,
    LeavesOneTooManyOpen,
    LeavesOneTooManyWaiting,
    LosesCount,
    MixesManySessionsUp,
    SharesTheRate,
    WaitsForSilentClients,
)
from spatius_sim.miniatures.server.opus_servers import (
    KeepsDamageToItself,
    LosesLastPacket,
    ReadsOneStreamForAll,
    TakesOpusAtRatesOfPcm,
    TakesOpusForPcm,
)
from spatius_sim.miniatures.server.plain_server import (
    DelayedFrame,
    PlainServer,
    PlainSession,
    WorksInRealTime,
)
from spatius_sim.miniatures.server.wrong_in_next_request import (
    AnswersFromACache,
    DropsWhatItOwes,
    EndsLongTurns,
    GivesRestToTheNext,
    LosesWhatIsNotSampled,
)
from spatius_sim.model.server.session_tokens import SessionToken
from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, SEGMENT_KEYFRAMES
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import (
    HttpAnswer,
    RequestRefusedError,
    TokenRequest,
    session_token_in,
    upgrade_refusal,
)
from spatius_sim.protocol.keyframes import JAW_POSE, WIDTH, Keyframes
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    EgressType,
    Interrupt,
    Message,
    MotionResponse,
    Pause,
    PlaybackNews,
    PlaybackPhase,
    ServerError,
)
from spatius_sim.trace.events import Undecodable

_MOST_OPEN = 64


class GrantsAnyExpiry(PlainServer):
    """Issues tokens for ever, and tokens that have expired."""

    def check_window(self, asked: TokenRequest, now: float) -> None:
        return


class AcceptsAnyKey(PlainServer):
    """Issues tokens to everybody, though it has keys."""

    def check_key(self, key: str) -> None:
        return


class ForbidsUnknownAvatars(PlainServer):
    """Refuses an unknown avatar with 403."""

    def avatar_refusal(self, avatar_id: str) -> RequestRefusedError:
        return upgrade_refusal(403, "forbidden")


class ForgetsExpiry(PlainServer):
    """Lets expired tokens in."""

    def check_expired(self, token: SessionToken, now: float) -> None:
        return


class ClosesAtExpiry(PlainServer):
    """Closes a session when its token expires."""

    def closes_at(self, session: PlainSession) -> float | None:
        return session.expire_at


class TrustsUsedTokens(PlainServer):
    """Lets a token in after its expiry if it let it in before."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._asked = ""
        self._used: set[str] = set()

    def admit(self, session_key: str, avatar_id: str, now: float) -> float:
        self._asked = session_key
        expire_at = super().admit(session_key, avatar_id, now)
        self._used.add(session_key)
        return expire_at

    def check_expired(self, token: SessionToken, now: float) -> None:
        if self._asked not in self._used:
            super().check_expired(token, now)


class TrustsOpenTokens(PlainServer):
    """Lets a token in after its expiry as long as a session is open that it opened."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._asked = ""
        self._open: dict[str, str] = {}
        """The token of each connection that is open."""

    def admit(self, session_key: str, avatar_id: str, now: float) -> float:
        self._asked = session_key
        return super().admit(session_key, avatar_id, now)

    def open_session(self, expire_at: float) -> PlainSession:
        session = super().open_session(expire_at)
        self._open[session.connection_id] = self._asked
        return session

    def leave(self, session: PlainSession) -> None:
        del self._open[session.connection_id]

    def check_expired(self, token: SessionToken, now: float) -> None:
        if self._asked not in self._open.values():
            super().check_expired(token, now)


class ReadsHeadersAlone(PlainServer):
    """Refuses good credentials in the query."""

    def admit(self, session_key: str, avatar_id: str, now: float) -> float:
        expire_at = super().admit(session_key, avatar_id, now)
        if self.asked_in_query:
            raise upgrade_refusal(400, "Invalid session token")
        return expire_at


class KeepsOneToken(PlainServer):
    """Takes no token any more as soon as it has given out another one."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._newest = ""

    def ask_token(self, key: str, body: bytes, now: float) -> HttpAnswer:
        answer = super().ask_token(key, body, now)
        self._newest = session_token_in(answer) or self._newest
        return answer

    def admit(self, session_key: str, avatar_id: str, now: float) -> float:
        return super().admit(session_key if session_key == self._newest else "", avatar_id, now)


class ConfirmsWithoutId(PlainServer):
    """Confirms with an empty connection_id."""

    def shown_id(self, session: PlainSession) -> str:
        return ""


class RefusesWithoutWords(PlainServer):
    """Refuses a handshake with a code and no known text."""

    def refusal(self, text: str) -> bytes:
        return encode(ServerError(code=3, message="no"))


class LeavesRefusedOpen(PlainServer):
    """Refuses a handshake, and leaves the connection open."""

    def hangs_up(self, session: PlainSession) -> bool:
        return False


class AnswersTheFirstRequest(PlainServer):
    """Gives every response of a session the req_id of its first request."""

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        return super().motion(session, next(iter(session.requests)), keyframes, end)


class StandsStillLater(PlainServer):
    """Gives a still face from the third request of a session on."""

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        if len(session.requests) > 2:
            keyframes = np.repeat(keyframes[:1], len(keyframes), axis=0)
        return super().motion(session, req_id, keyframes, end)


class RepeatsItsSecondSegment(PlainServer):
    """Gives the motion of a request's second segment again for each whole segment after it."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._second: dict[str, Keyframes] = {}

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        if len(keyframes) == SEGMENT_KEYFRAMES:
            keyframes = self._second.setdefault(req_id, keyframes)
        return super().motion(session, req_id, keyframes, end)


class AnswersAnotherRequest(PlainServer):
    """Gives every response a req_id that nobody sent."""

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        return super().motion(session, f"{req_id}-x", keyframes, end)


class NeverEndsMotion(PlainServer):
    """Gives all motion, and no end=true."""

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        return super().motion(session, req_id, keyframes, end=False)


class EndsWithEachResponse(PlainServer):
    """Sends every response with end=true if the speech comes in one message with its end mark."""

    def due(self, session: PlainSession, audio: AudioInput) -> list[tuple[Keyframes, bool]]:
        due = super().due(session, audio)
        return [(keyframes, end or audio.end) for keyframes, end in due]


class SharesInterrupts(PlainServer):
    """Stops a request on every connection if one of them interrupts its req_id."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._interrupted: list[str] = []

    def open_session(self, expire_at: float) -> PlainSession:
        session = super().open_session(expire_at)
        session.interrupted = self._interrupted
        return session


class EndsWithAnyConnection(PlainServer):
    """Drops the requests of every connection under the req_ids that are open on one that leaves."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._open: list[PlainSession] = []

    def open_session(self, expire_at: float) -> PlainSession:
        session = super().open_session(expire_at)
        self._open.append(session)
        return session

    def leave(self, session: PlainSession) -> None:
        self._open.remove(session)
        for other in self._open:
            other.interrupted += [req_id for req_id in session.requests if req_id in other.requests]


class RemembersEveryReqId(PlainServer):
    """Ignores what comes under a req_id that a connection has used which has left."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._used: set[str] = set()

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        is_known = audio.req_id in session.requests or audio.req_id not in self._used
        return super().audio(session, audio) if is_known else []

    def leave(self, session: PlainSession) -> None:
        self._used.update(session.requests)


class TakesNoClip(PlainServer):
    """Ignores a message with more than a mebibyte of audio."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        return [] if len(audio.audio) > 1_048_576 else super().audio(session, audio)


class StopsNewest(PlainServer):
    """Stops the newest request if a request is interrupted that has ended."""

    def receive(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        if isinstance(value, Interrupt) and session.requests:
            session.interrupted.append(list(session.requests)[-1])
        return super().receive(session, value)


class RefusesSecondRequest(PlainServer):
    """Answers the second request of a session with an error."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        answers = super().audio(session, audio)
        if len(session.requests) != 2:
            return answers
        return (
            [encode(ServerError(req_id=audio.req_id, code=3, message="one at a time"))] if audio.end else []
        )


class DropsLastKeyframe(PlainServer):
    """Gives one keyframe less than belongs to the audio."""

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        return super().motion(session, req_id, keyframes[:-1] if end else keyframes, end)


class DropsOddBytes(PlainServer):
    """Drops the odd byte of every message of audio that ends within a sample."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        whole = len(audio.audio) // BYTES_PER_SAMPLE * BYTES_PER_SAMPLE
        return super().audio(session, replace(audio, audio=audio.audio[:whole]))


class SharesRequests(PlainServer):
    """Takes what two connections say under one req_id for one request."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._open: dict[str, MotionSynthesizer] = {}

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        known = self._open.get(audio.req_id)
        if known is not None:
            session.requests[audio.req_id] = known
        answers = super().audio(session, audio)
        self._open[audio.req_id] = session.requests[audio.req_id]
        if audio.end:
            del self._open[audio.req_id]
        return answers


class HoldsMotionBack(PlainServer):
    """Gives all motion of a request in its last response."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._held: dict[tuple[str, str], list[Keyframes]] = {}

    def due(self, session: PlainSession, audio: AudioInput) -> list[tuple[Keyframes, bool]]:
        held = self._held.setdefault((session.connection_id, audio.req_id), [])
        held += [keyframes for keyframes, _ in super().due(session, audio)]
        return [(np.concatenate(held), True)] if audio.end else []


class AnswersClipsInBulk(PlainServer):
    """Answers a message with more than a minute of speech in one response."""

    def due(self, session: PlainSession, audio: AudioInput) -> list[tuple[Keyframes, bool]]:
        due = super().due(session, audio)
        if len(audio.audio) <= 60 * session.sample_rate * BYTES_PER_SAMPLE:
            return due
        return [(np.concatenate([keyframes for keyframes, _ in due]), audio.end)]


class CountsAt16kHz(PlainServer):
    """Counts keyframes as if every session were configured at 16 kHz."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        session.requests.setdefault(audio.req_id, MotionSynthesizer(16000, self.seed))
        return super().audio(session, audio)


class CountsInMilliseconds(PlainServer):
    """Takes whole samples for a millisecond, which is wrong at 22,050 and 44,100 Hz."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        whole_rate = session.sample_rate // 1000 * 1000
        session.requests.setdefault(audio.req_id, MotionSynthesizer(whole_rate, self.seed))
        return super().audio(session, audio)


class AnswersSilenceWithNan(PlainServer):
    """Gives motion that is not a number for a request of nothing but silence."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._audible: set[str] = set()
        """The requests with a sound."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if any(audio.audio):
            self._audible.add(audio.req_id)
        return super().audio(session, audio)

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        wrong = keyframes if req_id in self._audible else np.full_like(keyframes, np.nan)
        return super().motion(session, req_id, wrong, end)


class GivesInfiniteJaw(PlainServer):
    """Opens the jaw of a response's first keyframe infinitely wide."""

    def motion(self, session: PlainSession, req_id: str, keyframes: Keyframes, end: bool) -> bytes:
        wrong = keyframes.copy()
        wrong[:1, JAW_POSE] = np.inf
        return super().motion(session, req_id, wrong, end)


class AnswersBesideEgress(PlainServer):
    """Sends motion on the socket of an egress session too."""

    def answers(self, session: PlainSession) -> bool:
        return True


class AnswersBesideAgora(PlainServer):
    """Sends motion on the socket of a session with an egress to Agora."""

    def configure(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        answers = super().configure(session, value)
        if isinstance(value, ConfigureSession) and value.egress_type == EgressType.AGORA:
            session.egress = False
        return answers


class RemembersInterrupted(PlainServer):
    """Sends a keyframe of an interrupted request when audio of another one comes."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        rest = np.zeros((1, WIDTH), np.float32)
        late = [encode(MotionResponse(session.connection_id, r, False, rest)) for r in session.interrupted]
        return late + super().audio(session, audio)


class SendsWhatWaits(WorksInRealTime):
    """Sends the motion that waits at an interrupt, too."""

    def is_wanted(self, session: PlainSession, frame: DelayedFrame) -> bool:
        return True


class IgnoresInterrupts(WorksInRealTime):
    """Ignores every interrupt."""

    def receive(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        return [] if isinstance(value, Interrupt) else super().receive(session, value)


class CountsInterruptedAsOpen(PlainServer):
    """Takes no new request on a connection on which 64 were interrupted."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if len(session.interrupted) < _MOST_OPEN or audio.req_id in session.requests:
            return super().audio(session, audio)
        return [encode(ServerError(session.connection_id, audio.req_id, 8, "too many requests are open"))]


class ClosesAfter15Seconds(PlainServer):
    """Closes every session 15 s after it was opened."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._opened_at: dict[str, float] = {}

    def knock(self, session_key: str, avatar_id: str, now: float) -> HttpAnswer | PlainSession:
        session = super().knock(session_key, avatar_id, now)
        if isinstance(session, PlainSession):
            self._opened_at[session.connection_id] = now
        return session

    def closes_at(self, session: PlainSession) -> float | None:
        return self._opened_at[session.connection_id] + 15


class StopsAtPause(PlainServer):
    """Stops a request that is paused, and does not let it go on."""

    def receive(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        if isinstance(value, Pause):
            session.interrupted.append(value.req_id)
        return super().receive(session, value)


class CountsIdleTimeFromStart(PlainServer):
    """Says that no audio came when the idle time-out has passed since the first audio."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if session.idle_timeout and not session.requests:
            error = ServerError(session.connection_id, "", 0, f"no audio input for {session.idle_timeout} s")
            session.later.append(DelayedFrame(session.idle_timeout, "", encode(error)))
        return super().audio(session, audio)


class TellsPlaybackUnasked(PlainServer):
    """Answers a pause with a report of the playback, though it has not confirmed that it reports it."""

    def receive(self, session: PlainSession, value: Message | Undecodable) -> list[bytes]:
        if isinstance(value, Pause):
            return [encode(PlaybackNews(session.connection_id, value.req_id, PlaybackPhase.UNKNOWN))]
        return super().receive(session, value)


SERVER_MINIATURES: dict[str, tuple[type[PlainServer], ...]] = {
    "S-TOKEN-WINDOW": (GrantsAnyExpiry,),
    "S-TOKEN-KEY": (AcceptsAnyKey,),
    "S-UPGRADE-REFUSED": (ForbidsUnknownAvatars,),
    "S-TOKEN-EXPIRY": (ForgetsExpiry, ClosesAtExpiry, TrustsUsedTokens, TrustsOpenTokens),
    "S-CONFIRM": (
        ConfirmsWithoutId,
        LeavesOneTooManyWaiting,
        WaitsForSilentClients,
        TakesOpusAtRatesOfPcm,
        ReadsHeadersAlone,
        KeepsOneToken,
        LosesCount,
    ),
    "S-HANDSHAKE-REFUSED": (RefusesWithoutWords,),
    "S-HANDSHAKE-CLOSED": (LeavesRefusedOpen, LeavesOneTooManyOpen, ClosesOneTooManyAsUsual),
    "S-MOTION-IDS": (AnswersAnotherRequest, AnswersTheFirstRequest, MixesManySessionsUp, AnswersFromACache),
    "S-MOTION-END": (
        NeverEndsMotion,
        EndsWithEachResponse,
        TakesNoClip,
        StopsNewest,
        RefusesSecondRequest,
        SharesInterrupts,
        EndsWithAnyConnection,
        RemembersEveryReqId,
        KeepsDamageToItself,
        AnswersFourSessions,
        CountsInterruptedAsOpen,
        ClosesAfter15Seconds,
        StopsAtPause,
        FallsWithWhoLeaves,
        DropsWhatItOwes,
    ),
    "S-MOTION-COUNT": (
        DropsLastKeyframe,
        DropsOddBytes,
        CountsAt16kHz,
        CountsInMilliseconds,
        SharesRequests,
        SharesTheRate,
        EndsAtAGap,
        EndsLongTurns,
        GivesRestToTheNext,
        LosesWhatIsNotSampled,
        LosesLastPacket,
        ReadsOneStreamForAll,
        TakesOpusForPcm,
    ),
    "S-MOTION-SEGMENTS": (HoldsMotionBack,),
    "S-MOTION-SHAPE": (GivesInfiniteJaw, AnswersSilenceWithNan, AnswersClipsInBulk),
    "S-MOTION-MOVES": (StandsStillLater, RepeatsItsSecondSegment),
    "S-EGRESS-SILENT": (AnswersBesideEgress, AnswersBesideAgora),
    "S-INTERRUPT": (RemembersInterrupted, SendsWhatWaits, IgnoresInterrupts),
    "S-IDLE": (CountsIdleTimeFromStart,),
    "S-PLAYBACK-STATE": (TellsPlaybackUnasked,),
}
"""The rule that each wrong Motion Server breaks, and it alone."""
