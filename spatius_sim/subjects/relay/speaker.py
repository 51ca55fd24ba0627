"""Speaks the turns of one planned client to a relay, and then behaves as the plan says."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, TurnPlan
from spatius_sim.plans.turn_behaviour import WHOLE_TURN, Behaviour, Cue, MalformedInput, TurnProgress
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.subjects.relay.malformed_input import make_malformed_frames
from spatius_sim.subjects.relay.start_turns import TurnStart, TurnToStart
from spatius_sim.subjects.relay.watch_turns import TurnWatch
from spatius_sim.subjects.wait_for_events import AdaptiveTimeout, wait_until
from spatius_sim.trace.events import (
    Awaited,
    Lane,
    Provocation,
    Provoked,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires import Wire
from spatius_sim.wires.events import Failed, InterruptTurn, Note, Ready, Speak, SpeakEnd
from spatius_sim.wires.optional_features import INTERRUPTS, SEVERAL_TURNS

_REFUSAL_SECONDS = 1.0
"""How long a relay that does not greet is given to refuse an unusual sample rate."""
_CUE_SECONDS = 1.0
"""A client stops waiting for its cue after this many seconds in which nothing shows that the relay works."""

_PAUSE_MARGIN_SECONDS = 0.2
"""How much longer than a relay needs the client pauses, if silence ends its speech."""

_PING = Note("ping")

_UNREAD_SECONDS = 15.0
"""A client that has stopped reading reads again after this time: a relay may hang up if no ping is
answered."""


@dataclass(slots=True)
class Speaker:
    """Speaks the turns of one client to a relay, at `sample_rate` in Hz, or at the rate that the greeting
    asks for.

    `lacks`: the features that the relay lacks. `greeting_seconds`: how long Ready is waited for on each
    connection; 0 if the relay does not greet. `silence_timeout`: how long the relay may be silent.
    `silence_timeout_without_motion`: the same for a turn that asks for no motion, and may stay unanswered.
    `silence_timeout_after_failure`: the same for a turn after Motion Server has failed. `fallback_timeout`:
    how long the relay may take to go on without Motion Server. `fault_delay_seconds`: how many seconds a
    fault may delay Motion Server. `turn_start`: starts a turn if the relay chooses the speech, or None.
    `marks_motion`: the relay has marked the end of a turn's motion before."""

    name: str
    client: RelayClient
    wire: Wire
    recorder: RealTimeRecorder
    silence_timeout: AdaptiveTimeout
    silence_timeout_without_motion: AdaptiveTimeout
    silence_timeout_after_failure: AdaptiveTimeout
    lacks: frozenset[str]
    greeting_seconds: float
    sample_rate: int
    fallback_timeout: AdaptiveTimeout
    fault_delay_seconds: float
    turn_start: TurnStart | None = None
    marks_motion: bool = False
    _session_id: str = ""
    _cue_timeout: AdaptiveTimeout = field(default_factory=lambda: AdaptiveTimeout(_CUE_SECONDS))
    _events_before_turn: int = 0
    """How many events were recorded when the previous turn was over."""
    _server_failed_before: bool = False
    """Whether Motion Server failed in the previous turn."""
    _previous_turn_unfinished: bool = False
    """Whether the previous turn was cut off, or did not come to its end."""

    async def begin(self) -> None:
        """Begin to talk to the relay: send the start message, read the greeting, and keep its session id and
        sample rate. If the relay refuses an unusual sample rate, connect again and speak at the usual rate,
        because no document says that a relay must take every rate."""
        is_usual = self.sample_rate == PLAN_SAMPLE_RATE
        wait_seconds = self.greeting_seconds or (0.0 if is_usual else _REFUSAL_SECONDS)
        greeting = await self.client.start(self.sample_rate, wait_seconds)
        self._session_id = greeting.session_id if isinstance(greeting, Ready) else ""
        if isinstance(greeting, Ready):
            self.sample_rate = greeting.input_sample_rate or self.sample_rate
        elif not is_usual and (isinstance(greeting, Failed) or self.client.was_hung_up_on):
            self.sample_rate = PLAN_SAMPLE_RATE
            await self.client.reconnect()
            await self.begin()

    async def speak(
        self, number: int, turn: TurnPlan, pcm: bytes, others_finished: asyncio.Event | None = None
    ) -> None:
        """Speak one turn to the relay, wait for the moment that its plan names (the cue), then do what the
        plan says: interrupt, hang up, and so on.

        If the relay takes one turn in each connection, or has hung up, connect again first. The client reads
        nothing until the event `others_finished`, if one is given. If the wire has no interrupts, speak the
        whole turn; the next turn follows at once. Raises UnreachableError if the relay cannot be reached."""
        if turn.act in (Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE) and INTERRUPTS in self.lacks:
            turn = replace(turn, act=Behaviour.GO_ON, cue=Cue(None, turn.cue.heard))
        if number and (SEVERAL_TURNS in self.lacks or self.client.was_hung_up_on):
            await self.client.reconnect()
            await self.begin()
        # If the relay chooses the speech, nobody knows the speech beforehand.
        speech, rate = (pcm, self.sample_rate) if self.turn_start is None else (b"", 0)
        self._record_kit_event(TurnStarted(number, speech, rate))
        is_closed = self.client.closed.is_set
        watch = TurnWatch(
            self.recorder,
            self.name,
            self._events_before_turn,
            pcm,
            self.lacks,
            is_closed,
            marks_motion=self.marks_motion,
        )
        if others_finished is None:
            await self._speak_audio_of_turn(number, turn, pcm, watch)
        else:
            await self._speak_turn_without_reading(number, turn, pcm, watch, others_finished)
        complete = False
        if turn.cue == WHOLE_TURN:
            # After a failure, a relay may pause before it asks Motion Server again.
            timeout = (
                self.silence_timeout_after_failure
                if self._server_failed_before
                else self._silence_timeout_for(turn)
            )
            speech_seconds = len(pcm) / BYTES_PER_SAMPLE / self.sample_rate
            complete = await watch.wait(
                timeout,
                self.fallback_timeout,
                is_closed,
                fault_delay_seconds=self.fault_delay_seconds,
                speech_seconds=speech_seconds,
                after_unfinished=self._previous_turn_unfinished,
                lacked_ends=self.silence_timeout.current_seconds < self.silence_timeout.full_seconds,
            )
            self._record_kit_event(WaitEnded(Awaited.TURN, complete, number))
        elif turn.cue.heard is not TurnProgress.NOTHING:
            await self._wait_until(watch.check_for(turn.cue.heard), self._cue_timeout)
        self._events_before_turn, self._server_failed_before = len(self.recorder.events), watch.failed
        self._previous_turn_unfinished = not complete
        await self._act_as_planned(turn, pcm)
        # Two turns without this pause between them would be one.
        ends_speech = self.wire.speech_pause
        margin = _PAUSE_MARGIN_SECONDS if ends_speech else 0.0
        await asyncio.sleep(max(turn.pause_ms / 1000, ends_speech + margin))

    def _silence_timeout_for(self, turn: TurnPlan) -> AdaptiveTimeout:
        """Return how long the relay may be silent in a turn: `silence_timeout`, or
        `silence_timeout_without_motion` if the turn asks for no motion."""
        is_owed_motion = turn.asks_for_motion or self.turn_start is not None
        return self.silence_timeout if is_owed_motion else self.silence_timeout_without_motion

    async def _speak_audio_of_turn(self, number: int, turn: TurnPlan, pcm: bytes, watch: TurnWatch) -> None:
        """Speak the audio `pcm` of turn `number` to the relay, chunk by chunk, and then the end of speech. If
        the client interrupts or leaves before the end of its speech, as the turn's cue may say, speak only
        the chunks before. If the relay chooses the speech, make it start the turn instead. With the last
        chunk, `watch` begins to look for the turn's end."""
        if self.turn_start is not None:
            if turn.cue.chunks == 0:
                return
            turn_to_start = TurnToStart(self.name, number, self._session_id, pcm, self.sample_rate)
            await self.turn_start.start(self.client, turn_to_start)
            return
        # A client that cannot interrupt speaks the whole turn: otherwise a relay would take the next turn
        # for the rest of this one.
        interrupts = turn.act in (Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE)
        chunk_count = None if interrupts and INTERRUPTS in self.lacks else turn.cue.chunks
        # Without an end of speech in the wire, a relay may take a pause for the end.
        pause_ms = turn.chunk_pause_ms if self.wire.write_client_action(SpeakEnd()) else 0
        chunks = turn.split_into_chunks(pcm)[:chunk_count]
        for chunk_number, chunk in enumerate(chunks, 1):
            if chunk_number == len(chunks):
                watch.expect_end()
            if turn.pings:
                await self.client.do(_PING)
            await self.client.do(Speak(chunk))
            if pause_ms:
                await asyncio.sleep(pause_ms / 1000)
        if turn.pings:
            await self.client.do(_PING)
        if chunk_count is None:
            await self.client.do(SpeakEnd())

    async def _speak_turn_without_reading(
        self, number: int, turn: TurnPlan, pcm: bytes, watch: TurnWatch, others_finished: asyncio.Event
    ) -> None:
        """Speak a turn to the relay without reading what the relay sends, until the other clients have
        finished, or for 15 s at most. Record when the client stops reading and when it reads again."""
        self._record_kit_event(Provoked(Provocation.UNREAD))
        self.client.stop_reading()
        # Speak in a task: a relay that answers from its reading task may read nothing more until we read.
        speaking = asyncio.create_task(self._speak_audio_of_turn(number, turn, pcm, watch))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(others_finished.wait(), _UNREAD_SECONDS)
        self._record_kit_event(Provoked(Provocation.READ_ON))
        self.client.resume_reading()
        await speaking

    async def _act_as_planned(self, turn: TurnPlan, pcm: bytes) -> None:
        """Do what the plan says for the end of a turn: interrupt the relay once or twice, hang up, cut the
        connection, or send malformed input. Do nothing if the plan says nothing. `pcm` is the turn's
        audio."""
        match turn.act:
            case Behaviour.INTERRUPT | Behaviour.INTERRUPT_TWICE:
                for _ in range(2 if turn.act is Behaviour.INTERRUPT_TWICE else 1):
                    await self.client.do(InterruptTurn())
            case Behaviour.HANG_UP:
                await self.client.hang_up()
            case Behaviour.VANISH:
                self.client.cut_connection()
            case MalformedInput():
                self._record_kit_event(Provoked(Provocation.RUBBISH))
                for frame in make_malformed_frames(turn.act, self.wire, pcm[: turn.chunk_bytes]):
                    await self.client.send(frame)
                if turn.act is MalformedInput.BROKEN_FRAME:
                    self.client.break_protocol()
            case _:
                return

    async def _wait_until(self, is_over: Callable[[], bool], silence_limit: AdaptiveTimeout) -> bool:
        return await wait_until(self.recorder, is_over, silence_limit, self.client.closed.is_set)

    def _record_kit_event(self, event: TurnStarted | WaitEnded | Provoked) -> None:
        self.recorder.emit(Lane.KIT, self.name, event)
