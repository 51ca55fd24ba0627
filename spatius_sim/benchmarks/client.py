"""Measures how fast the decoder is, and how many plans a second the C suite runs: one function for each
figure."""

import asyncio
import time
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.net.client.testee import StdioTestee, Testee
from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.draw_client_calls import client_plans_exercising
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.client import ClientSubject, InProcessTestee

_SEED = 1
_REPEATS = 1500
_OPERATIONS_EACH = 15
_RATE = 16000
_CHUNK = bytes(2 * _RATE // 10)
_TICK_NS = 100_000_000


class ClientFigure(NamedTuple):
    """One measured figure; `mark` is the value that this class of machine should reach."""

    name: str
    value: float
    unit: str
    mark: float


def decoder_operations() -> ClientFigure:
    """Measure the operations a second of one decoder: audio, payloads of 50 keyframes, observing, clock
    steps."""
    numbers = iter(range(10**9))
    decoder = ClientDecoder(_RATE, lambda: f"c{next(numbers)}")
    motion = MotionSynthesizer(_RATE, _SEED)
    motion.feed(bytes(4 * _RATE))
    payload = encode(MotionResponse("connection", "request", True, motion.finish()))
    now_ns = 0
    started = time.perf_counter()
    for _ in range(_REPEATS):
        for _ in range(5):
            conversation_id = decoder.yield_audio_data(_CHUNK)
        decoder.yield_frames_data([payload], conversation_id)
        decoder.yield_frames_data([payload], "another")
        for _ in range(5):
            now_ns += _TICK_NS
            decoder.advance(now_ns)
        decoder.get_current_conversation_id()
        decoder.interrupt()
        decoder.take_events()
    passed = time.perf_counter() - started
    return ClientFigure("client decoder", _REPEATS * _OPERATIONS_EACH / passed, "operations/s", 20_000.0)


def plans_in_process(plans: int = 1000) -> ClientFigure:
    """Measure how many plans a second are drawn, run and judged, against the Python decoder in this
    process."""
    value = asyncio.run(_measure_plans(InProcessTestee(), plans))
    return ClientFigure("C suite, Python in process", value, "plans/s", 1000 / 30)


def plans_over_stdio(command: str, plans: int = 1000) -> ClientFigure:
    """Measure the same against a command over stdio, such as `node reference_testee.js`. Raises
    UnreachableError."""
    value = asyncio.run(_measure_plans(StdioTestee(command), plans))
    return ClientFigure(f"C suite, {command}", value, "plans/s", 1000 / 60)


async def _measure_plans(testee: Testee, plans: int) -> float:
    """Draw, run and judge so many plans, and return how many a second that is."""
    subject = ClientSubject(testee, "measured", _SEED)
    await subject.attach()
    ids = [rule.id for rule in rules_for("client")]
    started = time.perf_counter()
    runs = 0
    try:
        for number, rule_id in enumerate(ids):
            drawn = _draw_plans(rule_id, plans // len(ids) + (number < plans % len(ids)))
            for plan in drawn:
                judge(await subject.run(plan))
                runs += 1
    finally:
        await subject.detach()
    return runs / (time.perf_counter() - started)


def _draw_plans(rule_id: str, examples: int) -> list[ClientPlan]:
    """Draw so many plans that exercise the rule, as the suite does."""
    plans: list[ClientPlan] = []

    @seed(_SEED)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(client_plans_exercising(rule_id))
    def draw(plan: ClientPlan) -> None:
        plans.append(plan)

    draw()
    return plans
