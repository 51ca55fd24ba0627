"""Speaks the turns of one client of a plan to a relay, and behaves as planned."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from spatius_sim.net.client.relay import RelayClient
from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.plans.behaviour import WHOLE_TURN, Behaviour, Cue, MalformedInput, TurnProgress
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, TurnPlan
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.subjects.relay.malformed_input import malformed_frames
from spatius_sim.subjects.relay.turn_starts import TurnStart, TurnToStart
from spatius_sim.subjects.relay.turn_watch import TurnWatch
from spatius_sim.subjects.waiting import AdaptiveTimeout, chunks, wait_until
from spatius_sim.trace.events import (
    Awaited,
    Lane,
    Provocation,
    Provoked,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires import Wire
from spatius_sim.wires.events import InterruptTurn, Ready, Speak, SpeakEnd
from spatius_sim.wires.features import INTERRUPTS, SEVERAL_TURNS

GREETING_SECONDS = 2.0

_CUE_SECONDS = 1.0
"""After so many seconds without a sign of life, a client stops waiting for its cue."""

_UNREAD_SECONDS = 15.0
"""A client that does not read begins again after this time: a relay may hang up if no ping is answered."""


@dataclass(slots=True)
class Speaker:
    """Speaks for one client, at `sample_rate` in Hz.

    `lacks`: the features that the relay lacks. `greets`: whether the relay says Ready on each connection.
    `settling`: how long the relay may be silent. `settling_of_nothing`: the same for a turn that asks for no
    motion, because such a turn may stay unanswered. `recovering`: the same for the turn after Motion Server
    failed. `fallback`: how long the relay has when Motion Server fails. `slowed_by`: by how many seconds a
    fault may delay Motion Server. `starts`: makes the relay speak if the relay chooses the speech; then the
    speech is not known beforehand."""

    name: str
    client: RelayClient
    wire: Wire
    recorder: LiveRecorder
    settling: AdaptiveTimeout
    settling_of_nothing: AdaptiveTimeout
    recovering: AdaptiveTimeout
    lacks: frozenset[str]
    greets: bool
    sample_rate: int
    fallback: AdaptiveTimeout
    slowed_by: float
    starts: TurnStart | None = None
    _session_id: str = ""
    _cue_timeout: AdaptiveTimeout = field(default_factory=lambda: AdaptiveTimeout(_CUE_SECONDS))
    _seen_before: int = 0
    """How many events were recorded when the turn before was over."""
    _recovering: bool = False
    """Whether Motion Server failed in the turn before."""
    _after_unfinished: bool = False
    """Whether the turn before was cut off, or did not come to its end."""

    async def begin(self) -> None:
        """Begin a new connection: send what the wire demands first, and let the relay greet."""
        greeting = await self.client.start(PLAN_SAMPLE_RATE, GREETING_SECONDS if self.greets else 0.0)
        self._session_id = greeting.session_id if isinstance(greeting, Ready) else ""

    async def speak(
        self, number: int, turn: TurnPlan, pcm: bytes, others_through: asyncio.Event | None = None
    ) -> None:
        """Speak turn number `number`, wait as its cue says, then behave as planned. Raises UnreachableError.

        The turn gets a new connection if each turn needs one, or if the relay has ended the last. If
        `others_through` is given, the client reads nothing until that event. If the relay knows no
        interrupts, the turn is spoken to its end, and the next turn is spoken over it."""
        if turn.act in (Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE) and INTERRUPTS in self.lacks:
            turn = replace(turn, act=Behaviour.GO_ON, cue=Cue(None, turn.cue.heard))
        if number and (SEVERAL_TURNS in self.lacks or self.client.was_hung_up_on):
            await self.client.renew()
            await self.begin()
        known = (pcm, self.sample_rate) if self.starts is None else (b"", 0)
        self._record_kit_event(TurnStarted(number, *known))
        closed = self.client.closed.is_set
        watch = TurnWatch(self.recorder, self.name, self._seen_before, len(pcm), self.lacks, closed)
        if others_through is None:
            await self._say_turn(number, turn, pcm)
        else:
            await self._say_unread(number, turn, pcm, others_through)
        complete = False
        if turn.cue == WHOLE_TURN:
            # A relay may pause before it asks again a Motion Server that has failed.
            settling = self.recovering if self._recovering else self._settling_for(turn)
            spoken = len(pcm) / BYTES_PER_SAMPLE / PLAN_SAMPLE_RATE
            complete = await watch.wait(
                settling,
                self.fallback,
                closed,
                slowed_by=self.slowed_by,
                spoken=spoken,
                after_unfinished=self._after_unfinished,
            )
            self._record_kit_event(WaitEnded(Awaited.TURN, complete, number))
        elif turn.cue.heard is not TurnProgress.NOTHING:
            await self._wait(watch.check_for(turn.cue.heard), self._cue_timeout)
        self._seen_before, self._recovering = len(self.recorder.events), watch.failed
        self._after_unfinished = not complete
        await self._behave(turn, pcm)
        await asyncio.sleep(turn.pause_ms / 1000)

    def _settling_for(self, turn: TurnPlan) -> AdaptiveTimeout:
        """Return the timeout for a turn: another one if the turn asks for no motion."""
        answerable = turn.asks_for_motion or self.starts is not None
        return self.settling if answerable else self.settling_of_nothing

    async def _say_turn(self, number: int, turn: TurnPlan, pcm: bytes) -> None:
        """Speak the turn, up to its cue, or make the relay start it."""
        if self.starts is not None:
            order = TurnToStart(self.name, number, self._session_id, pcm, self.sample_rate)
            await self.starts.start(self.client, order)
            return
        # A client that cannot interrupt cannot cut a turn short: a relay would take the next turn for its
        # rest.
        interrupts = turn.act in (Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE)
        spoken = None if interrupts and INTERRUPTS in self.lacks else turn.cue.chunks
        for chunk in chunks(pcm, turn.chunk_bytes)[:spoken]:
            await self.client.do(Speak(chunk))
        if spoken is None:
            await self.client.do(SpeakEnd())

    async def _say_unread(
        self, number: int, turn: TurnPlan, pcm: bytes, others_through: asyncio.Event
    ) -> None:
        """Speak the turn and read nothing until the other clients are through, or time is up."""
        self._record_kit_event(Provoked(Provocation.UNREAD))
        self.client.stop_reading()
        # A relay that answers in its reading task may take nothing more from us until we read.
        saying = asyncio.create_task(self._say_turn(number, turn, pcm))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(others_through.wait(), _UNREAD_SECONDS)
        self._record_kit_event(Provoked(Provocation.READ_ON))
        self.client.read_on()
        await saying

    async def _behave(self, turn: TurnPlan, pcm: bytes) -> None:
        """Do what the plan wants after the cue: interrupt, hang up, vanish, or send malformed input."""
        match turn.act:
            case Behaviour.INTERRUPT | Behaviour.INTERRUPT_TWICE:
                for _ in range(2 if turn.act is Behaviour.INTERRUPT_TWICE else 1):
                    await self.client.do(InterruptTurn())
            case Behaviour.HANG_UP:
                await self.client.hang_up()
            case Behaviour.VANISH:
                self.client.vanish()
            case MalformedInput():
                self._record_kit_event(Provoked(Provocation.RUBBISH))
                for frame in malformed_frames(turn.act, self.wire, pcm[: turn.chunk_bytes]):
                    await self.client.send(frame)
                if turn.act is MalformedInput.BROKEN_FRAME:
                    self.client.break_protocol()
            case _:
                return

    async def _wait(self, over: Callable[[], bool], settling: AdaptiveTimeout) -> bool:
        return await wait_until(self.recorder, over, settling, self.client.closed.is_set)

    def _record_kit_event(self, what: TurnStarted | WaitEnded | Provoked) -> None:
        self.recorder.emit(Lane.KIT, self.name, what)
