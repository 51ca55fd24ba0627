"""Motion Servers that are wrong in a request because of one before it, of its length, or of what it bears."""

from collections.abc import Callable

from spatius_sim.miniatures.server.plain_server import (
    DelayedFrame,
    PlainServer,
    PlainSession,
    WorksInRealTime,
)
from spatius_sim.protocol.messages import AudioInput

_LONGEST_TURN_SECONDS = 20.0
_NOT_SAMPLED = "-00"


class AnswersFromACache(PlainServer):
    """Answers a clip that it has heard before with the very responses that it sent the first time."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._answers: dict[tuple[str, bytes], list[bytes]] = {}

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        is_clip = audio.end and audio.req_id not in session.requests
        if not is_clip:
            return super().audio(session, audio)
        clip = session.connection_id, audio.audio
        if clip not in self._answers:
            self._answers[clip] = super().audio(session, audio)
        return self._answers[clip]


class DropsWhatItOwes(WorksInRealTime):
    """Drops the motion of a request that waits, if the next request comes."""

    def is_wanted(self, session: PlainSession, frame: DelayedFrame) -> bool:
        return super().is_wanted(session, frame) and frame.req_id == next(reversed(session.requests))


class LosesWhatIsNotSampled(PlainServer):
    """Loses the audio of a message whose trace is not sampled."""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        if audio.traceparent.endswith(_NOT_SAMPLED):
            audio = AudioInput(audio.req_id, end=audio.end)
        return super().audio(session, audio)


class GivesRestToTheNext(PlainServer):
    """Gives the rest of the speech of a client that left in mid-speech to the next request of anybody."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._unended: dict[str, bytes] = {}
        """The newest audio of each session whose request has not ended."""
        self._rest = b""

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        self._unended[session.connection_id] = b"" if audio.end else audio.audio
        if audio.req_id not in session.requests:
            rest, self._rest = self._rest, b""
            audio = AudioInput(audio.req_id, rest + audio.audio, audio.end)
        return super().audio(session, audio)

    def leave(self, session: PlainSession) -> None:
        self._rest = self._unended.pop(session.connection_id, b"")


class EndsLongTurns(PlainServer):
    """Ends a request that is spoken for more than 20 s, and hears nothing more of it."""

    def __init__(self, api_key: str, new_id: Callable[[], str], seed: int = 0) -> None:
        super().__init__(api_key, new_id, seed)
        self._began: dict[tuple[str, str], float] = {}

    def audio(self, session: PlainSession, audio: AudioInput) -> list[bytes]:
        began = self._began.setdefault((session.connection_id, audio.req_id), self.clock())
        if audio.req_id in session.ended:
            return []
        if self.clock() - began > _LONGEST_TURN_SECONDS and audio.audio:
            session.ended.append(audio.req_id)
            audio = AudioInput(audio.req_id, end=True)
        return super().audio(session, audio)
