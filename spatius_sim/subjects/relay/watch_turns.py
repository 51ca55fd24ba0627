"""Watches what a client receives until its turn is over: audio and motion, or the error message that replaces
motion."""

import asyncio
import contextlib
from collections.abc import Callable, Container

from spatius_sim.model.scenario.fault_events import longest_delay
from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    Refuse,
    Reset,
    Scenario,
    SendError,
    TruncatedFrame,
)
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.plans.turn_behaviour import TurnProgress
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.story.faults_of_turns import LONGEST_BORNE_DELAY, select_failures
from spatius_sim.subjects.relay.detect_end_of_turn import (
    FailureNotice,
    carries_audio,
    carries_motion,
    ends_audio,
    ends_motion,
    has_own_audio_ended,
    has_own_motion_ended,
    is_motion_mark,
    is_motion_mark_alone,
    is_motion_of_earlier_turn,
    is_motion_of_other_requests_due,
    is_speech_in_one_request,
    is_turn_answered,
    is_turn_surely_over,
)
from spatius_sim.subjects.wait_for_events import (
    TIMER_TOLERANCE_SECONDS,
    AdaptiveTimeout,
    MessageWatch,
    is_never_true,
    loop_time,
    wait_until,
)
from spatius_sim.trace.events import Injected, Lane, Received
from spatius_sim.wires.events import Audio, Motion
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
"""A relay notices these faults at once. Of all others it only notices that nothing more comes."""


def make_fallback_timeout(seconds: float) -> AdaptiveTimeout:
    """Return how long a relay may take to go on after a failure in a turn: `seconds` at first."""
    return AdaptiveTimeout(seconds, patient_waits=1)


def least_fallback_seconds(scenario: Scenario) -> float:
    """Return for how many seconds the kit, while it watches a turn, at least waits for the relay's fallback:
    after Motion Server has failed by a fault of this scenario, the relay must go on with audio alone. 1 if
    the relay notices all faults of the scenario at once, else 2. A delay that a relay must bear is no
    failure."""
    steps = [step for fault in scenario.faults for step in fault.what]
    are_all_noticed = all(isinstance(step, _NOTICED_AT_ONCE | Delay) for step in steps)
    return 1.0 if are_all_noticed and longest_delay(scenario) <= LONGEST_BORNE_DELAY else 2.0


class TurnWatch:
    """Watches what a client receives of one turn: audio, motion and error messages of the relay.

    If the relay sends no audio, the client counts as having all audio. If the relay sends no end marks, the
    turn counts as complete when the connection is closed."""

    def __init__(
        self,
        recorder: RealTimeRecorder,
        client_name: str,
        first_fault_index: int,
        speech: bytes,
        lacks: Container[str] = (),
        is_closed: Callable[[], bool] = is_never_true,
        *,
        marks_motion: bool = False,
    ) -> None:
        """Begin to watch a client's turn: all that the client receives from now on. `speech`: the audio that
        it speaks, which the relay must send back. Faults that were recorded from event `first_fault_index` on
        concern this turn. `lacks`: the features that the relay lacks. `is_closed` returns whether the
        connection has ended, as a relay without end marks ends a turn. `marks_motion`: the relay has marked
        the end of a turn's motion before."""
        self._recorder, self._client_name = recorder, client_name
        self._first_fault_index, self._first_index = first_fault_index, len(recorder.events)
        self._speech = b"" if PCM in lacks or CLIENT_CHOOSES_SPEECH in lacks else speech
        self._relay_chooses_speech = CLIENT_CHOOSES_SPEECH in lacks
        self._relay_sends_no_audio = AUDIO in lacks
        self._reports_no_errors = ERRORS in lacks
        self._upstream_is_unseen = UPSTREAM in lacks
        self._all_clients_receive_all_turns = OWN_STREAM in lacks and bool(self._speech)
        self._has_connection_ended = is_closed if END_MARKS in lacks else is_never_true
        self._watches = {
            TurnProgress.AUDIO: MessageWatch(recorder, client_name, carries_audio),
            TurnProgress.MOTION: MessageWatch(recorder, client_name, carries_motion),
            TurnProgress.LAST_AUDIO: MessageWatch(recorder, client_name, ends_audio),
        }
        self._marks_motion = marks_motion
        self._motion_end_mark = MessageWatch(recorder, client_name, is_motion_mark)
        self._motion_end = MessageWatch(recorder, client_name, self._ends_motion_of_watched_turn)
        self._end_mark_without_motion = MessageWatch(recorder, client_name, is_motion_mark_alone)
        self._error_message = MessageWatch(recorder, client_name, FailureNotice().says_no_motion_comes)

    def expect_end(self) -> None:
        """Watch for the end of the turn from now on: leave out the end marks that came while the client still
        spoke."""
        self._watches[TurnProgress.LAST_AUDIO] = MessageWatch(self._recorder, self._client_name, ends_audio)
        self._motion_end = MessageWatch(self._recorder, self._client_name, self._ends_motion_of_watched_turn)

    def is_turn_complete(self) -> bool:
        """Return whether the turn is complete: the client has received the end of the audio and the end of
        the motion. If the relay sends no end marks, the end of the connection completes the turn, too."""
        return (self._has_audio_ended() and self._has_motion_ended()) or self._has_connection_ended()

    def check_for(self, progress: TurnProgress) -> Callable[[], bool]:
        """Return a function that says whether the watched turn has come as far as `progress` by now."""
        if self._relay_sends_no_audio and progress in (TurnProgress.AUDIO, TurnProgress.LAST_AUDIO):
            return self._has_audio_ended
        return self._watches[progress].has_arrived if progress in self._watches else self.is_turn_complete

    async def wait(
        self,
        silence_timeout: AdaptiveTimeout,
        fallback_timeout: AdaptiveTimeout,
        is_gone: Callable[[], bool],
        *,
        fault_delay_seconds: float,
        speech_seconds: float,
        after_unfinished: bool,
        lacked_ends: bool,
    ) -> bool:
        """Wait until the watched turn is over, and return whether all its audio and motion have arrived.

        `is_gone` returns whether the client has lost its connection. `fault_delay_seconds`: how much longer
        the relay may be silent. `speech_seconds`: how much speech the relay may have to play. If Motion
        Server fails, wait until the relay has ended the audio and reported the failure. `after_unfinished`:
        the turn before was not finished, so wait until nothing more comes, unless it is sure that the end is
        that of this turn. `lacked_ends`: earlier turns lacked an end, so the end mark of the audio is not
        waited for with the whole patience."""
        wait_started_at = loop_time()

        is_shortened = silence_timeout.current_seconds < silence_timeout.full_seconds or lacked_ends
        only_mark_missing_since: float | None = None
        audio_byte_count = 0

        def is_turn_over() -> bool:
            """Return whether the kit need not wait for this turn any longer: the turn is complete, or Motion
            Server has failed. A wait is shortened after earlier waits that ended without success. Then also
            return True 0.1 s after all audio has arrived, if no more motion is expected: either the motion
            has ended, or the relay has not told Motion Server that the speech ended. If the relay chooses the
            speech, nobody knows how much it is: return True 0.2 s after the last audio, then."""
            nonlocal only_mark_missing_since, audio_byte_count
            if self.is_turn_complete() or self._first_failure_at() is not None:
                return True
            if not (is_shortened and self._has_all_audio_arrived()):
                return False
            if not self._has_motion_ended() and self._has_relay_ended_speech():
                return False
            if only_mark_missing_since is None or self._count_audio_bytes() != audio_byte_count:
                only_mark_missing_since, audio_byte_count = loop_time(), self._count_audio_bytes()
            patience = _QUIET_SECONDS if self._relay_chooses_speech else _MARK_SECONDS
            return loop_time() - only_mark_missing_since >= patience

        await wait_until(
            self._recorder,
            is_turn_over,
            silence_timeout,
            is_gone,
            slowed_by=fault_delay_seconds,
            spoken=speech_seconds,
        )
        failed_at = self._first_failure_at()
        if only_mark_missing_since is not None and not self.is_turn_complete():
            silence_timeout.note_wait_in_vain(cut_short=True)
        if (
            failed_at is None
            and after_unfinished
            and self.is_turn_complete()
            and not self._is_turn_surely_over()
        ):
            await wait_until(
                self._recorder,
                is_never_true,
                AdaptiveTimeout(_QUIET_SECONDS),
                is_gone,
                slowed_by=fault_delay_seconds,
                spoken=speech_seconds,
            )
        elif failed_at is not None:
            await self._wait_for_fallback(
                max(wait_started_at, failed_at), fallback_timeout, is_gone, speech_seconds
            )
        complete = self.is_turn_complete()
        silence_timeout.fulfilled |= complete
        return complete

    @property
    def failed(self) -> bool:
        """Whether Motion Server has failed by now."""
        return self._first_failure_at() is not None

    async def _wait_for_fallback(
        self,
        failed_at: float,
        fallback_timeout: AdaptiveTimeout,
        is_gone: Callable[[], bool],
        speech_seconds: float,
    ) -> None:
        """Motion Server has failed at `failed_at`: wait until the relay has fallen back to audio alone. Then
        the client has the turn's whole audio and an error message. Give up when `fallback_timeout` is over,
        or the client `is_gone`. A relay that plays the audio at the pace at which it is heard may take
        `speech_seconds`, unless the wait is shortened. Note in `fallback_timeout` how long the relay took, or
        that the wait was in vain."""
        changed = self._recorder.changed
        is_shortened = fallback_timeout.current_seconds < fallback_timeout.full_seconds
        least_seconds = 0.0 if is_shortened else speech_seconds
        deadline = failed_at + max(fallback_timeout.current_seconds, least_seconds) + _LATE_SECONDS
        is_response_noted = False
        while not (self.is_turn_complete() or is_gone()):
            now = loop_time()
            if self._has_relay_gone_on_without_motion(now - failed_at):
                fallback_timeout.note_response_time(now - failed_at)
                return
            if not is_response_noted and self._lacks_only_end_mark():
                is_response_noted = True
                fallback_timeout.note_response_time(now - failed_at)
                if fallback_timeout.current_seconds < fallback_timeout.full_seconds:
                    deadline = min(deadline, now + _MARK_SECONDS)
            seconds_left = deadline - now
            if seconds_left <= TIMER_TOLERANCE_SECONDS:
                fallback_timeout.note_wait_in_vain()
                return
            notice_seconds_left = failed_at + _NOTICE_SECONDS - now
            if notice_seconds_left > TIMER_TOLERANCE_SECONDS:
                seconds_left = min(seconds_left, notice_seconds_left)
            changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), seconds_left)

    def _has_relay_gone_on_without_motion(self, seconds_since_failure: float) -> bool:
        """Return whether the relay has gone on with audio alone after Motion Server failed: the client has
        all audio of the watched turn, its end mark, and the message that no motion will come. From a relay
        that reports no errors, this message is no longer required 0.1 s after the failure."""
        failure_reported = self._error_message.has_arrived() or (
            self._reports_no_errors and _NOTICE_SECONDS - seconds_since_failure <= TIMER_TOLERANCE_SECONDS
        )
        return self._has_audio_ended() and failure_reported and self._has_all_audio_arrived()

    def _lacks_only_end_mark(self) -> bool:
        """Return whether the client was told that no motion will come in this turn, and has all audio,
        perhaps without its end mark."""
        return self._error_message.has_arrived() and self._has_all_audio_arrived()

    def _has_all_audio_arrived(self) -> bool:
        """Return whether the client has received as much audio as the watched turn has. If all clients
        receive the turns of all clients, it must also have received the end of its own speech. An end mark is
        not needed."""
        if self._relay_sends_no_audio:
            return True
        return self._count_audio_bytes() >= len(self._speech) and (
            not self._all_clients_receive_all_turns or self._has_own_audio_ended(with_end_mark=False)
        )

    def _has_relay_ended_speech(self) -> bool:
        """Return whether the relay has told Motion Server that the speech has ended, since the kit began to
        watch this turn. Also True if the kit has seen no message from the relay to Motion Server since then:
        nothing shows that it has not."""
        messages = [
            event.content.value
            for event in self._recorder.events[self._first_index :]
            if event.lane is Lane.UPSTREAM and isinstance(event.content, Received)
        ]
        return not messages or any(isinstance(message, AudioInput) and message.end for message in messages)

    def _count_audio_bytes(self) -> int:
        """Return how many bytes of audio the client has received from the relay in the turn that is
        watched."""
        messages = (
            event.content.value
            for event in self._recorder.events[self._first_index :]
            if event.connection == self._client_name and isinstance(event.content, Received)
        )
        return sum(len(message.pcm) for message in messages if isinstance(message, Audio))

    def _has_audio_ended(self) -> bool:
        """Return whether the last audio of the watched turn has arrived, or the relay sends no audio at
        all."""
        if self._relay_sends_no_audio:
            return True
        return self._watches[TurnProgress.LAST_AUDIO].has_arrived() and (
            not self._all_clients_receive_all_turns or self._has_own_audio_ended(with_end_mark=True)
        )

    def _is_turn_surely_over(self) -> bool:
        """Return whether it is certain that the watched turn is over: the ends of audio and motion that the
        client received belong to this turn, and no motion of an earlier turn can still come."""
        return is_turn_surely_over(
            self._recorder.events,
            self._first_index,
            self._client_name,
            self._speech,
            sends_audio=not self._relay_sends_no_audio,
        )

    def _has_own_audio_ended(self, *, with_end_mark: bool) -> bool:
        """Return whether the client has received the end of its own speech, and the end mark with it if
        `with_end_mark`. This is for a relay that sends the same to all clients: the client also receives the
        audio and the marks of others' turns."""
        return has_own_audio_ended(
            self._recorder.events,
            self._first_index,
            self._client_name,
            self._speech,
            with_end_mark=with_end_mark,
        )

    def _has_motion_ended(self) -> bool:
        """Return whether the client has received the end of the watched turn's motion: the last motion of a
        request, while no other request of the turn still owes motion; or only an end mark without motion,
        which may come too early. So this mark counts only if Motion Server has sent its last response to the
        turn by now, or if the kit cannot see Motion Server."""
        # The client also receives the motion of other clients: that of its own request must have ended.
        if self._all_clients_receive_all_turns and not self._has_own_motion_ended():
            return False
        if self._motion_end.has_arrived():
            return not self._is_motion_of_other_requests_due()
        if self._end_mark_without_motion.has_arrived():
            return self._upstream_is_unseen or is_turn_answered(
                self._recorder.events, self._first_index, self._speech
            )
        return False

    def _has_own_motion_ended(self) -> bool:
        """Return whether the motion of the client's own speech has ended, for a relay that sends the same to
        all clients."""
        return has_own_motion_ended(self._recorder.events, self._first_index, self._client_name, self._speech)

    def _is_motion_of_other_requests_due(self) -> bool:
        """Return whether motion of the watched turn is still to come, although the motion of one request has
        ended: a relay may send each sentence of a turn in a request of its own. If the relay usually marks
        the end of a turn's motion, motion is due until the mark comes: a request may not even have begun. If
        the speech is known, and one request has all of it, no other request is due."""
        events = self._recorder.events
        lacks_usual_mark = self._marks_motion and not self._motion_end_mark.has_arrived()
        if not self._relay_chooses_speech:
            is_one_request = self._upstream_is_unseen or is_speech_in_one_request(
                events, self._first_index, self._speech
            )
            return lacks_usual_mark and not is_one_request
        return lacks_usual_mark or is_motion_of_other_requests_due(
            events, self._first_index, self._client_name
        )

    def _ends_motion_of_watched_turn(self, message: object) -> bool:
        """Return whether a message of the relay ends the motion of the watched turn. Return False for a
        message that ends the motion of an earlier turn, if the kit can recognize it: such motion may come
        late."""
        return ends_motion(message) and not (
            isinstance(message, Motion)
            and is_motion_of_earlier_turn(
                message, self._recorder.events, self._first_index, self._client_name, self._speech
            )
        )

    def _first_failure_at(self) -> float | None:
        """Return when Motion Server first failed in the turn that is watched, by the event loop's clock in
        seconds. None if it has not failed."""
        events = self._recorder.events[self._first_fault_index :]
        faults = [event for event in events if isinstance(event.content, Injected)]
        return min(
            (event.at_ns / _NS_PER_SECOND for event in select_failures(faults, self._recorder.events)),
            default=None,
        )
