"""Traces of clients: plans run against a brain in process, and dialogues written by hand."""

import asyncio
from typing import Any

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.plans.client_plan import ClientPlan, Move, PlannedPayload, Ref, Step
from spatius_sim.rules.findings import Judgement
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.client_shim import Factory
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.trace.decoder_events import StarvationMode
from spatius_sim.trace.events import Event, Lane, Received, Sent, Trace, TraceHeader
from spatius_sim.wires.testee_messages import TesteeAnswer, TesteeRequest

INDEPENDENT, STRICT = StarvationMode


def motion(keyframes: int, ref: Ref | None = None, form: str = "plain") -> Move:
    return Move((PlannedPayload(keyframes, form),), ref or Ref())


def played(*steps: Step, client: Factory | None = None, mode: str = INDEPENDENT) -> Trace:
    """Those steps, at 16 kHz, against a client; without one, against our own decoder."""
    subject = ClientSubject(InProcessTestee(client or own_client_factory(ClientDecoder)), "in process", 1)

    async def run() -> Trace:
        await subject.attach()
        return await subject.run(ClientPlan(steps, mode=mode))

    return asyncio.run(run())


def judged(*steps: Step, client: Factory | None = None, mode: str = INDEPENDENT) -> dict[str, Judgement]:
    return judge(played(*steps, client=client, mode=mode))


class Said:
    """A dialogue written by hand: what was asked, and what was answered."""

    def __init__(self, **hello: Any) -> None:
        self._events: list[Event] = []
        self._number = 0
        self.now_ms = 0
        self.says(TesteeRequest(0, "hello"), {"modes": ["audioIndependent", "strictSync"], **hello})
        self.says(TesteeRequest(0, "reset", sample_rate=16000, mode="audioIndependent"))

    def says(
        self,
        request: TesteeRequest,
        result: dict[str, Any] | None = None,
        error: str | None = None,
        took_ms: int = 0,
    ) -> None:
        """One exchange, whose answer took so long; without a result it is answered with an empty one."""
        self.now_ms += request.ms
        self._note(Sent("", request))
        self.now_ms += took_ms
        self._note(Received("", TesteeAnswer(request.id, result or {}, error=error)))

    def audio(
        self, samples: int, end: bool, returned: Any, error: str | None = None, took_ms: int = 0
    ) -> None:
        result = {"conversationId": returned}
        request = TesteeRequest(0, "yieldAudioData", audio=bytes(2 * samples), end=end)
        self.says(request, result, error, took_ms)

    def motion(self, first_value: int, keyframes: int, conversation_id: str) -> None:
        """Motion in one payload; its keyframe k has the translation[0] `first_value` + k."""
        frames = (PlannedPayload(keyframes).encode(first_value),)
        self.says(TesteeRequest(0, "yieldFramesData", frames=frames, conversation_id=conversation_id))

    def passes(self, ms: int) -> None:
        self.says(TesteeRequest(0, "advance", ms=ms))

    def seen(self, took_ms: int = 0, **members: Any) -> None:
        everything: dict[str, Any] = {
            "state": "idle",
            "conversationId": None,
            "samplesPlayed": 0,
            "keyframesRendered": [],
        }
        self.says(TesteeRequest(0, "observe"), everything | members, took_ms=took_ms)

    def lacks(self, request: TesteeRequest) -> None:
        self.asks(request)
        self._note(Received("", TesteeAnswer(request.id, unimplemented=True)))

    def answers(self) -> None:
        self._note(Received("", TesteeAnswer(0)))

    def asks(self, request: TesteeRequest) -> None:
        self._note(Sent("", request))

    @property
    def trace(self) -> Trace:
        return Trace(TraceHeader("client", "", 1, "", "0"), tuple(self._events))

    def judged(self) -> dict[str, Judgement]:
        return judge(self.trace)

    def _note(self, what: Sent | Received) -> None:
        at_ns = self.now_ms * 1_000_000
        self._events.append(Event(len(self._events), at_ns, Lane.CLIENT, "client", what))
