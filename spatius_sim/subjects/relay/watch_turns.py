"""Watches what a client receives in a turn: audio and motion, or the error message that replaces motion."""

import asyncio
import contextlib
from collections.abc import Callable, Container

from spatius_sim.model.scenario.scenario import CloseWith, Refuse, Reset, Scenario, SendError, TruncatedFrame
from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.plans.turn_behaviour import TurnProgress
from spatius_sim.protocol.messages import AudioInput, MotionResponse
from spatius_sim.story.undisturbed_turns import select_failures
from spatius_sim.subjects.relay.detect_end_of_turn import (
    is_answered,
    is_motion_of_earlier_turn,
    own_turn_has_ended,
    turn_is_surely_over,
)
from spatius_sim.subjects.wait_for_events import NO_TIME, AdaptiveTimeout, MessageWatch, loop_time, wait_until
from spatius_sim.trace.events import Injected, Lane, Received
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Failed, Motion
from spatius_sim.wires.optional_features import (
    AUDIO,
    CLIENT_CHOOSES_SPEECH,
    END_MARKS,
    ERRORS,
    OWN_STREAM,
    PCM,
    UPSTREAM,
)

_LATE_SECONDS = 0.2
"""How much later than it happens an event may be recorded."""

_QUIET_SECONDS = 0.2
_MARK_SECONDS = 0.1
"""In a shortened wait, the end mark of audio is waited for so long once all else has come."""
_NOTICE_SECONDS = 0.1
"""So long a relay whose wire has no errors may take to tell a failure by an empty list."""
_NS_PER_SECOND = 1e9


_NOTICED_AT_ONCE = Refuse | SendError | CloseWith | Reset | TruncatedFrame
"""A relay is told of these faults. Of all others it only notices that nothing more comes."""


def fallback_timeout(seconds: float) -> AdaptiveTimeout:
    """Return how long a relay may take to go on after a failure in a turn: `seconds` at first."""
    return AdaptiveTimeout(seconds, patient_waits=1)


def least_fallback(scenario: Scenario) -> float:
    """Return how many seconds a shortened wait for a relay to go on takes at least after faults of this
    scenario: 1 if the relay is told of all of them, else 2."""
    at_once = all(isinstance(step, _NOTICED_AT_ONCE) for fault in scenario.faults for step in fault.what)
    return 1.0 if at_once else 2.0


class TurnWatch:
    """Watches what a client receives of one turn: audio, motion and error messages of the relay.

    `speech`: the audio that the client speaks, which the relay must send back. `since`: the number of the
    first event whose faults concern this turn. If the relay `lacks` audio, the client counts as having all
    audio. If the relay lacks end marks, the turn counts as complete when the connection is `closed`."""

    def __init__(
        self,
        recorder: RealTimeRecorder,
        client: str,
        since: int,
        speech: bytes,
        lacks: Container[str] = (),
        closed: Callable[[], bool] = bool,
    ) -> None:
        """Begin to watch one turn of `client`: the messages of the relay that reach the client, from the next
        recorded event on. The docstring of the class explains the parameters."""
        self._recorder, self._client, self._first_fault_event = recorder, client, since
        self._first_event = len(recorder.events)
        self._speech = b"" if PCM in lacks or CLIENT_CHOOSES_SPEECH in lacks else speech
        self._relay_sends_no_audio = AUDIO in lacks
        self._reports_no_errors = ERRORS in lacks
        self._upstream_is_unseen = UPSTREAM in lacks
        self._all_hear_the_same = OWN_STREAM in lacks and bool(self._speech)
        self._connection_over = closed if END_MARKS in lacks else bool
        self._watches = {
            TurnProgress.AUDIO: MessageWatch(recorder, client, _is_audio),
            TurnProgress.MOTION: MessageWatch(recorder, client, _is_motion),
            TurnProgress.LAST_AUDIO: MessageWatch(recorder, client, _ends_audio),
        }
        self._motion_end = MessageWatch(recorder, client, self._ends_motion_of_turn)
        self._mark_alone = MessageWatch(recorder, client, _is_mark_alone)
        self._error_message = MessageWatch(recorder, client, _FailureNotice().is_said_by)

    def expect_end(self) -> None:
        """Watch for the end of the turn from now on: leave out the end marks that came while the client still
        spoke."""
        self._watches[TurnProgress.LAST_AUDIO] = MessageWatch(self._recorder, self._client, _ends_audio)
        self._motion_end = MessageWatch(self._recorder, self._client, self._ends_motion_of_turn)

    def has_all_arrived(self) -> bool:
        """Return whether the end of the turn's audio and the end of its motion have arrived, or the
        connection has ended instead."""
        audio_ended, motion_ended = self._audio_ended(), self._motion_ended()
        if audio_ended and motion_ended and self._all_hear_the_same:
            audio_ended = self._has_own_turn_ended()
        return (audio_ended and motion_ended) or self._connection_over()

    def check_for(self, progress: TurnProgress) -> Callable[[], bool]:
        """Return a function that says whether the watched turn has come as far as `progress` by now."""
        if self._relay_sends_no_audio and progress in (TurnProgress.AUDIO, TurnProgress.LAST_AUDIO):
            return self._audio_ended
        return self._watches[progress].has_arrived if progress in self._watches else self.has_all_arrived

    async def wait(
        self,
        settling: AdaptiveTimeout,
        fallback: AdaptiveTimeout,
        gone: Callable[[], bool],
        *,
        slowed_by: float,
        spoken: float,
        after_unfinished: bool,
        lacked_ends: bool,
    ) -> bool:
        """Wait until the watched turn is over, and return whether all its audio and motion have arrived.

        `gone` says whether the client has lost its connection. `slowed_by`: how many seconds longer the relay
        may be silent. `spoken`: how many seconds of speech the relay may have to play. If Motion Server
        fails, wait until the relay has ended the audio and reported the failure. `after_unfinished`: the turn
        before was not finished, so wait until nothing more comes, unless it is sure that the end is that of
        this turn. `lacked_ends`: earlier turns lacked an end, so the end mark of the audio is not waited for
        with the whole patience."""
        wait_started = loop_time()

        shortened = settling.current_seconds < settling.full_seconds or lacked_ends
        only_mark_since: float | None = None

        def turn_is_over() -> bool:
            """Return whether the kit need not watch this turn any longer: everything has arrived, or Motion
            Server has failed. If the wait is shortened and only the end mark of the audio is missing, wait
            for the mark only a moment."""
            nonlocal only_mark_since
            if self.has_all_arrived() or self._failed_at() is not None:
                return True
            if not (shortened and self._all_audio_has_come()):
                return False
            if not self._motion_ended() and self._has_relay_ended_speech():
                return False
            only_mark_since = loop_time() if only_mark_since is None else only_mark_since
            return loop_time() - only_mark_since >= _MARK_SECONDS

        await wait_until(self._recorder, turn_is_over, settling, gone, slowed_by=slowed_by, spoken=spoken)
        failed_at = self._failed_at()
        if only_mark_since is not None and not self.has_all_arrived():
            settling.note_wait_in_vain(cut_short=True)
        if failed_at is None and after_unfinished and self.has_all_arrived() and not self._is_surely_over():
            await wait_until(self._recorder, bool, AdaptiveTimeout(_QUIET_SECONDS), gone, spoken=spoken)
        elif failed_at is not None:
            await self._wait_for_fallback(max(wait_started, failed_at), fallback, gone)
        complete = self.has_all_arrived()
        settling.fulfilled |= complete
        return complete

    @property
    def failed(self) -> bool:
        """Whether Motion Server has failed by now."""
        return self._failed_at() is not None

    async def _wait_for_fallback(
        self, since: float, fallback: AdaptiveTimeout, gone: Callable[[], bool]
    ) -> None:
        """Wait until the client has the whole audio of the watched turn and the relay's error message, at
        most for the relay's fallback time, which counts from `since`. Note in `fallback` how long the relay
        took, or that the wait was in vain."""
        changed = self._recorder.changed
        deadline = since + fallback.current_seconds + _LATE_SECONDS
        was_told = False
        while not (self.has_all_arrived() or gone()):
            now = loop_time()
            if self._has_fallen_back(now - since):
                fallback.note_response_time(now - since)
                return
            if not was_told and self._lacks_only_the_mark():
                was_told = True
                fallback.note_response_time(now - since)
                if fallback.current_seconds < fallback.full_seconds:
                    deadline = min(deadline, now + _MARK_SECONDS)
            seconds_left = deadline - now
            if seconds_left <= NO_TIME:
                fallback.note_wait_in_vain()
                return
            notice_ends_in = since + _NOTICE_SECONDS - now
            if notice_ends_in > NO_TIME:
                seconds_left = min(seconds_left, notice_ends_in)
            changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), seconds_left)

    def _has_fallen_back(self, seconds_since: float) -> bool:
        """Return whether the client has received all audio of the turn, its end mark, and the message that no
        motion will come. A relay that reports no errors may send an empty list instead, but need not: it gets
        a moment for that. `seconds_since`: how long ago Motion Server failed."""
        failure_reported = self._error_message.has_arrived() or (
            self._reports_no_errors and _NOTICE_SECONDS - seconds_since <= NO_TIME
        )
        return self._audio_ended() and failure_reported and self._all_audio_has_come()

    def _lacks_only_the_mark(self) -> bool:
        """Return whether the client was told that no motion will come in this turn, and has all audio,
        perhaps without its end mark."""
        return self._error_message.has_arrived() and self._all_audio_has_come()

    def _all_audio_has_come(self) -> bool:
        return self._relay_sends_no_audio or self._count_audio_bytes() >= len(self._speech)

    def _has_relay_ended_speech(self) -> bool:
        """Return whether the relay has sent Motion Server an end of speech since this watch began; also True
        if the kit sees nothing of what the relay sends to Motion Server."""
        upstream = [
            event.content.value
            for event in self._recorder.events[self._first_event :]
            if event.lane is Lane.UPSTREAM and isinstance(event.content, Received)
        ]
        return not upstream or any(isinstance(value, AudioInput) and value.end for value in upstream)

    def _count_audio_bytes(self) -> int:
        """Return how many bytes of audio the relay's client has received since this watch of its turn
        began."""
        messages = (
            event.content.value
            for event in self._recorder.events[self._first_event :]
            if event.connection == self._client and isinstance(event.content, Received)
        )
        return sum(len(message.pcm) for message in messages if isinstance(message, Audio))

    def _audio_ended(self) -> bool:
        """Return whether the last audio of the watched turn has arrived, or the relay sends no audio at
        all."""
        return self._relay_sends_no_audio or self._watches[TurnProgress.LAST_AUDIO].has_arrived()

    def _is_surely_over(self) -> bool:
        """Return whether the watched turn is certainly over: the end marks that the client got belong to this
        turn, and nothing of an earlier turn can still come."""
        return turn_is_surely_over(
            self._recorder.events,
            self._first_event,
            self._client,
            self._speech,
            audio=not self._relay_sends_no_audio,
        )

    def _has_own_turn_ended(self) -> bool:
        """Return whether the audio and the motion of the watched turn have ended for its client. Is asked if
        the relay sends every client the same, so that the client also gets the ends of other turns."""
        return own_turn_has_ended(
            self._recorder.events,
            self._first_event,
            self._client,
            self._speech,
            audio=not self._relay_sends_no_audio,
        )

    def _motion_ended(self) -> bool:
        """Return whether the client has received the end of the turn's motion. A relay may send the end mark
        alone, without motion, and too early: it counts only if our Motion Server has sent the last response
        of the turn by now, or is not seen."""
        if self._motion_end.has_arrived() or not self._mark_alone.has_arrived():
            return self._motion_end.has_arrived()
        return self._upstream_is_unseen or is_answered(self._recorder.events, self._first_event, self._speech)

    def _ends_motion_of_turn(self, message: object) -> bool:
        """Return whether a message of the relay ends the motion of the watched turn, as far as can be told.
        Motion of an earlier turn may come late, with its own end."""
        return _ends_motion(message) and not (
            isinstance(message, Motion)
            and is_motion_of_earlier_turn(
                message, self._recorder.events, self._first_event, self._client, self._speech
            )
        )

    def _failed_at(self) -> float | None:
        """Return when Motion Server first failed in the turn that is watched, in seconds of the event loop's
        clock; None if it has not failed."""
        events = self._recorder.events[self._first_fault_event :]
        faults = [event for event in events if isinstance(event.content, Injected)]
        return min((event.at_ns / _NS_PER_SECOND for event in select_failures(faults)), default=None)


def _is_audio(message: object) -> bool:
    """Return whether a message carries audio."""
    return isinstance(message, Audio) and bool(message.pcm)


def _is_motion(message: object) -> bool:
    """Return whether a message carries motion."""
    return isinstance(message, Motion) and bool(message.payloads)


def _ends_audio(message: object) -> bool:
    """Return whether a message marks the end of the audio."""
    return isinstance(message, Audio) and message.last


def _ends_motion(message: object) -> bool:
    """Return whether a message of the relay ends the motion of the watched turn: it carries motion, and is
    marked as the last, or one of its payloads has end=true."""
    if not isinstance(message, Motion) or not message.payloads:
        return False
    messages = map(read_upstream, message.payloads)
    return message.last or any(isinstance(value, MotionResponse) and value.end for value in messages)


def _is_mark_alone(message: object) -> bool:
    """Return whether a message of the relay marks the end of the motion and carries no motion itself."""
    return isinstance(message, Motion) and message.last and not message.payloads


class _FailureNotice:
    """Looks for the message that says that no motion will come: an error, or an empty list of motion
    (seed:002). An empty list that bears the end mark says nothing of this if motion has come."""

    def __init__(self) -> None:
        """Begin before the first message of a turn."""
        self._motion_has_come = False

    def is_said_by(self, message: object) -> bool:
        """Return whether this message of the relay tells the watched client that no motion will come in the
        turn. All messages of the turn must be given in their order, because it counts whether motion has come
        before."""
        self._motion_has_come |= _is_motion(message)
        if isinstance(message, Motion) and not message.payloads:
            return not (message.last and self._motion_has_come)
        return isinstance(message, Failed)
