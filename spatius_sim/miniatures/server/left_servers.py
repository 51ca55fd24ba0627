"""Motion Servers that are left while motion is under way, or while audio is: some that do not get over it,
and an honest one that goes on with what was said."""

from collections import defaultdict
from collections.abc import Callable

from spatius_sim.miniatures.server.plain_server import (
    DelayedFrame,
    PlainServer,
    PlainSession,
    WorksInRealTime,
)
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioInput

_MOMENT = 0.01
_LONGEST_GAP = 2.5
_RESTART_SECONDS = 25.0
_TIMES_REAL_TIME = 20.0


class FallsWithWhoLeaves(WorksInRealTime):
    """Answers nobody for 25 s if a client leaves whose motion is under way."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._done_at: defaultdict[str, float] = defaultdict(float)
        """When the motion of each connection has been sent that was not interrupted."""
        self._answers_again_at = 0.0

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if self.clock() >= self._answers_again_at:
            super().audio(session, audio)
        waiting = [frame.seconds for frame in session.later]
        self._done_at[session.connection_id] = max(
            [self._done_at[session.connection_id], *(self.clock() + seconds for seconds in waiting)]
        )
        return []

    def leave(self, session: PlainSession) -> None:
        if self.clock() + _MOMENT < self._done_at[session.connection_id] and not session.interrupted:
            self._answers_again_at = self.clock() + _RESTART_SECONDS


class MakesMotionInOneQueue(PlainServer):
    """Makes all motion one after the other, twenty times as fast as it is spoken. What a client leaves behind
    is made, too."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._free_at = 0.0

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if audio.req_id not in session.requests:
            super().audio(session, AudioInput(audio.req_id))
        for keyframes, end in self.due(session, audio):
            seconds = (len(keyframes) + 1) / KEYFRAMES_PER_SECOND / _TIMES_REAL_TIME
            self._free_at = max(self._free_at, self.clock()) + seconds
            raw = self.motion(session, audio.req_id, keyframes, end)
            if self.answers(session):
                session.later.append(DelayedFrame(self._free_at - self.clock(), audio.req_id, raw))
        return []


class EndsAtAGap(PlainServer):
    """Takes a request whose audio has stopped for 2.5 s for over: ends it, and drops the rest."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._heard_at: dict[tuple[str, str], float] = {}
        """When audio of each request came last, by connection and req_id."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        request = session.connection_id, audio.req_id
        has_stopped = self.clock() - self._heard_at.get(request, self.clock()) > _LONGEST_GAP
        if audio.audio:
            self._heard_at[request] = self.clock()
        if audio.req_id in session.ended:
            return []
        if has_stopped and not audio.end:
            session.ended.append(audio.req_id)
            audio = AudioInput(audio.req_id, end=True)
        return super().audio(session, audio)
