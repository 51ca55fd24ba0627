"""One client of a plan: it speaks its turns to a relay, and conducts itself as planned."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from spatius_sim.net.client.relay import RelayClient
from spatius_sim.net.recorder import LiveRecorder
from spatius_sim.plans.behaviour import WHOLE_TURN, Behaviour, Cue, MalformedInput, TurnProgress
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, TurnPlan
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.subjects.relay.malformed_input import malformed_frames
from spatius_sim.subjects.relay.turn_starts import TurnStart, TurnToStart
from spatius_sim.subjects.relay.turn_watch import TurnWatch
from spatius_sim.subjects.waiting import AdaptiveTimeout, chunks, wait_until
from spatius_sim.trace.events import Lane, Provocation, Provoked, TurnStarted, WaitEnded
from spatius_sim.wires import Wire
from spatius_sim.wires.events import InterruptTurn, Ready, Speak, SpeakEnd
from spatius_sim.wires.features import INTERRUPTS, SEVERAL_TURNS

GREETING_SECONDS = 2.0

_CUE_SECONDS = 1.0
"""Without a sign of life for so long, a client stops waiting for its cue."""

_UNREAD_SECONDS = 15.0
"""A client leaves nothing unread for longer: a relay may hang up on one that answers no ping."""


@dataclass(slots=True)
class Speaker:
    """One client and what it is to say, at `sample_rate` in Hz. `lacks`: the features that the relay lacks;
    `greets`: whether it says Ready on each connection. `settling`: how long it may be silent, `recovering`:
    and how long in the turn after one in which Motion Server failed; `fallback`: the time that it has when
    that fails; `slowed_by`: by so many seconds Motion Server may be slower than it is. A turn that asks for
    no motion may stay unanswered: how long it is waited for is a matter of its own, `settling_of_nothing`.
    Where the relay chooses what is spoken, `starts` has it do so, and its speech is not known beforehand."""

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
    _hears: AdaptiveTimeout = field(default_factory=lambda: AdaptiveTimeout(_CUE_SECONDS))
    _through: int = 0
    """Events that were there when the turn before was through."""
    _recovering: bool = False
    """Whether Motion Server failed in the turn before."""
    _behind_unfinished: bool = False
    """Whether the turn before was cut off, or did not come to its end."""

    async def begin(self) -> None:
        """On a new connection: say what the wire wants to hear first, and let the relay greet."""
        heard = await self.client.start(PLAN_SAMPLE_RATE, GREETING_SECONDS if self.greets else 0.0)
        self._session_id = heard.session_id if isinstance(heard, Ready) else ""

    async def speak(
        self, number: int, turn: TurnPlan, pcm: bytes, others_through: asyncio.Event | None = None
    ) -> None:
        """Turn number `number`, on a new connection where each turn needs one, and where the relay has ended
        the last; what comes is left unread until `others_through`, where it is to be. Where nobody can
        interrupt, a turn is spoken to its end, and spoken over. Raises UnreachableError."""
        if turn.act in (Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE) and INTERRUPTS in self.lacks:
            turn = replace(turn, act=Behaviour.GO_ON, cue=Cue(None, turn.cue.heard))
        if number and (SEVERAL_TURNS in self.lacks or self.client.was_hung_up_on):
            await self.client.renew()
            await self.begin()
        known = (pcm, self.sample_rate) if self.starts is None else (b"", 0)
        self._tell(TurnStarted(number, *known))
        closed = self.client.closed.is_set
        watch = TurnWatch(self.recorder, self.name, self._through, len(pcm), self.lacks, closed)
        if others_through is None:
            await self._say(number, turn, pcm)
        else:
            await self._say_unread(number, turn, pcm, others_through)
        complete = False
        if turn.cue == WHOLE_TURN:
            # A relay may pause before it asks a Motion Server again that has failed.
            settling = self.recovering if self._recovering else self._settling_for(turn)
            spoken = len(pcm) / BYTES_PER_SAMPLE / PLAN_SAMPLE_RATE
            complete = await watch.wait(
                settling,
                self.fallback,
                closed,
                slowed_by=self.slowed_by,
                spoken=spoken,
                behind_unfinished=self._behind_unfinished,
            )
            self._tell(WaitEnded(number, complete))
        elif turn.cue.heard is not TurnProgress.NOTHING:
            await self._wait(watch.by(turn.cue.heard), self._hears)
        self._through, self._recovering = len(self.recorder.events), watch.failed
        self._behind_unfinished = not complete
        await self._act(turn, pcm)
        await asyncio.sleep(turn.pause_ms / 1000)

    def _settling_for(self, turn: TurnPlan) -> AdaptiveTimeout:
        answerable = turn.asks_for_motion or self.starts is not None
        return self.settling if answerable else self.settling_of_nothing

    async def _say(self, number: int, turn: TurnPlan, pcm: bytes) -> None:
        if self.starts is not None:
            order = TurnToStart(self.name, number, self._session_id, pcm, self.sample_rate)
            await self.starts.start(self.client, order)
            return
        # Who cannot interrupt cannot cut a turn short: a relay would take what follows for the rest of it.
        interrupts = turn.act in (Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE)
        spoken = None if interrupts and INTERRUPTS in self.lacks else turn.cue.chunks
        for chunk in chunks(pcm, turn.chunk_bytes)[:spoken]:
            await self.client.do(Speak(chunk))
        if spoken is None:
            await self.client.do(SpeakEnd())

    async def _say_unread(
        self, number: int, turn: TurnPlan, pcm: bytes, others_through: asyncio.Event
    ) -> None:
        self._tell(Provoked(Provocation.UNREAD))
        self.client.stop_reading()
        # A relay that answers within its reader may take nothing more from us until we read.
        saying = asyncio.create_task(self._say(number, turn, pcm))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(others_through.wait(), _UNREAD_SECONDS)
        self._tell(Provoked(Provocation.READ_ON))
        self.client.read_on()
        await saying

    async def _act(self, turn: TurnPlan, pcm: bytes) -> None:
        match turn.act:
            case Behaviour.INTERRUPT | Behaviour.INTERRUPT_TWICE:
                for _ in range(2 if turn.act is Behaviour.INTERRUPT_TWICE else 1):
                    await self.client.do(InterruptTurn())
            case Behaviour.HANG_UP:
                await self.client.hang_up()
            case Behaviour.VANISH:
                self.client.vanish()
            case MalformedInput():
                self._tell(Provoked(Provocation.RUBBISH))
                for frame in malformed_frames(turn.act, self.wire, pcm[: turn.chunk_bytes]):
                    await self.client.send(frame)
                if turn.act is MalformedInput.BROKEN_FRAME:
                    self.client.break_protocol()
            case _:
                return

    async def _wait(self, over: Callable[[], bool], settling: AdaptiveTimeout) -> bool:
        return await wait_until(self.recorder, over, settling, self.client.closed.is_set)

    def _tell(self, what: TurnStarted | WaitEnded | Provoked) -> None:
        self.recorder.emit(Lane.KIT, self.name, what)
