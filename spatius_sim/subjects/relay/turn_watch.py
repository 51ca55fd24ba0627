"""Watches a turn at its client: audio and motion, and what replaces them when Motion Server fails."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Container

from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.plans.behaviour import TurnProgress
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.story.join_turns import failures_among
from spatius_sim.subjects.waiting import AdaptiveTimeout, MessageWatch, wait_until
from spatius_sim.trace.events import Injected, Received
from spatius_sim.trace.reading import read_upstream
from spatius_sim.wires.events import Audio, Failed, Motion
from spatius_sim.wires.features import AUDIO, CLIENT_AUDIO, END_MARKS, ERRORS, PCM

_LATE_SECONDS = 0.2
"""An event of the last moment is recorded a little later."""

_QUIET_SECONDS = 0.3


def fallback_timeout(seconds: float) -> AdaptiveTimeout:
    """Make the timeout for a relay to go on without a failed Motion Server: `seconds`, and at least two."""
    return AdaptiveTimeout(seconds, least=2.0, patient_waits=2)


class TurnWatch:
    """Watches what a client receives of one turn: `owed` bytes of audio if all comes.

    Faults since event number `since` concern this turn. If the relay `lacks` audio, the client has audio of
    its own; if the relay lacks end marks, the client has everything when the connection is `closed`."""

    def __init__(
        self,
        recorder: LiveRecorder,
        client: str,
        since: int,
        owed: int,
        lacks: Container[str] = (),
        closed: Callable[[], bool] = bool,
    ) -> None:
        self._recorder, self._client, self._since = recorder, client, since
        self._first_event = len(recorder.events)
        self._owed = 0 if PCM in lacks or CLIENT_AUDIO in lacks else owed
        self._has_audio = AUDIO in lacks
        self._reports_no_errors = ERRORS in lacks
        self._connection_over = closed if END_MARKS in lacks else bool
        self._watches = {
            TurnProgress.AUDIO: MessageWatch(recorder, client, _is_audio),
            TurnProgress.MOTION: MessageWatch(recorder, client, _is_motion),
            TurnProgress.LAST_AUDIO: MessageWatch(recorder, client, _ends_audio),
        }
        self._motion_end = MessageWatch(recorder, client, _ends_motion)
        self._error_message = MessageWatch(recorder, client, _gives_motion_up)

    def have_come(self) -> bool:
        """Whether audio and motion, both marked as ended, have been received by now."""
        audio, motion = self._audio_ended(), self._motion_end.has_come()
        return (audio and motion) or self._connection_over()

    def check_for(self, progress: TurnProgress) -> Callable[[], bool]:
        """Return a check whether this much has been received by now."""
        if self._has_audio and progress in (TurnProgress.AUDIO, TurnProgress.LAST_AUDIO):
            return self._audio_ended
        return self._watches[progress].has_come if progress in self._watches else self.have_come

    async def wait(
        self,
        settling: AdaptiveTimeout,
        fallback: AdaptiveTimeout,
        gone: Callable[[], bool],
        *,
        slowed_by: float,
        spoken: float,
        after_unfinished: bool,
    ) -> bool:
        """Wait until the turn is over, and return whether audio and motion have come.

        If Motion Server is `slowed_by` some seconds, the relay has as many more to show life; if Motion
        Server fails, the relay has time to end the audio and to report the failure. A relay that plays audio
        at its own pace may take the `spoken` seconds. After an unfinished turn, what has come may belong to
        that turn: then this turn is over when nothing more comes."""
        spoken_at = time.monotonic()

        def turn_is_over() -> bool:
            return self.have_come() or self._failed_at() is not None

        await wait_until(self._recorder, turn_is_over, settling, gone, grace=slowed_by, spoken=spoken)
        failed_at = self._failed_at()
        if failed_at is None and after_unfinished and self.have_come():
            await wait_until(self._recorder, bool, AdaptiveTimeout(_QUIET_SECONDS), gone, spoken=spoken)
        elif failed_at is not None:
            await self._wait_for_fallback(max(spoken_at, failed_at), fallback, gone)
        return self.have_come()

    @property
    def failed(self) -> bool:
        """Whether Motion Server has failed by now."""
        return self._failed_at() is not None

    async def _wait_for_fallback(
        self, since: float, fallback: AdaptiveTimeout, gone: Callable[[], bool]
    ) -> None:
        """Wait until the client has the audio and the error message, or until the fallback time is up."""
        changed = self._recorder.changed
        deadline = since + fallback.now + _LATE_SECONDS
        while not (self.have_come() or gone()):
            now = time.monotonic()
            if self._has_fallen_back():
                fallback.note_response_time(now - since)
                return
            left = deadline - now
            if left <= 0:
                fallback.ended_in_vain()
                return
            changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left)

    def _has_fallen_back(self) -> bool:
        """Whether the client has all audio, and was told that no motion will come."""
        audio, reported = self._audio_ended(), self._reports_no_errors or self._error_message.has_come()
        return audio and reported and (self._has_audio or self._count_audio_bytes() >= self._owed)

    def _count_audio_bytes(self) -> int:
        """Count the bytes of audio that the client has received in this turn."""
        messages = (
            event.what.value
            for event in self._recorder.events[self._first_event :]
            if event.connection == self._client and isinstance(event.what, Received)
        )
        return sum(len(message.pcm) for message in messages if isinstance(message, Audio))

    def _audio_ended(self) -> bool:
        return self._has_audio or self._watches[TurnProgress.LAST_AUDIO].has_come()

    def _failed_at(self) -> float | None:
        """Return when the first failure came, in seconds on the monotonic clock; None if nothing failed."""
        events = self._recorder.events[self._since :]
        faults = [event for event in events if isinstance(event.what, Injected)]
        return min((event.at_ns / 1e9 for event in failures_among(faults)), default=None)


def _is_audio(message: object) -> bool:
    return isinstance(message, Audio) and bool(message.pcm)


def _is_motion(message: object) -> bool:
    return isinstance(message, Motion) and bool(message.payloads)


def _ends_audio(message: object) -> bool:
    return isinstance(message, Audio) and message.last


def _ends_motion(message: object) -> bool:
    if not isinstance(message, Motion):
        return False
    messages = map(read_upstream, message.payloads)
    return message.last or any(isinstance(m, MotionResponse) and m.end for m in messages)


def _gives_motion_up(message: object) -> bool:
    """An empty list makes a client go on with audio alone (seed:002)."""
    return isinstance(message, Failed) or (isinstance(message, Motion) and not message.payloads)
