"""Measures the speed of the client decoder and of the client suite. Each figure has its function."""

import asyncio
import time
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.net.client.testee_connection import StdioTestee, Testee
from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.draw_client_plans import client_plans_exercising
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee

_SEED = 1
_REPEATS = 1500
_OPERATIONS_A_REPEAT = 15
_SAMPLE_RATE = 16000
_CHUNK = bytes(2 * _SAMPLE_RATE // 10)
_TICK_NS = 100_000_000
_LEAST_OPERATIONS = 20_000.0
"""The decoder should do at least so many operations in a second."""


class ClientFigure(NamedTuple):
    """One measured figure of the client benchmark. `mark` is the value that it should reach at least."""

    name: str
    value: float
    unit: str
    mark: float


def measure_decoder() -> ClientFigure:
    """Benchmark the client decoder: measure how many operations it does in a second.

    An operation is one call: it gives the decoder audio or motion payloads, moves the decoder's clock, asks
    for the id of the conversation, interrupts the decoder, or takes its events."""
    numbers = iter(range(10**9))
    decoder = ClientDecoder(_SAMPLE_RATE, lambda: f"c{next(numbers)}")
    motion = MotionSynthesizer(_SAMPLE_RATE, _SEED)
    motion.feed(bytes(4 * _SAMPLE_RATE))
    payload = encode(MotionResponse("connection", "request", end=True, keyframes=motion.finish()))
    now_ns = 0
    started = time.perf_counter()
    for _ in range(_REPEATS):
        for _ in range(5):
            conversation_id = decoder.yield_audio_data(_CHUNK)
        decoder.yield_frames_data([payload], conversation_id)
        decoder.yield_frames_data([payload], "id of another conversation")
        for _ in range(5):
            now_ns += _TICK_NS
            decoder.advance(now_ns)
        decoder.get_current_conversation_id()
        decoder.interrupt()
        decoder.take_events()
    seconds = time.perf_counter() - started
    return ClientFigure(
        "client decoder", _REPEATS * _OPERATIONS_A_REPEAT / seconds, "operations/s", _LEAST_OPERATIONS
    )


def measure_plans_in_process(plans: int = 1000) -> ClientFigure:
    """Benchmark the client suite with our Python decoder in this process: measure how many plans are drawn,
    run and judged in a second."""
    value = asyncio.run(_measure_plans(InProcessTestee(), plans))
    return ClientFigure("C suite, Python in process", value, "plans/s", 1000 / 30)


def measure_plans_over_stdio(command: str, plans: int = 1000) -> ClientFigure:
    """Benchmark the client suite with a testee command over stdio: measure how many plans are drawn, run and
    judged in a second.

    Raises UnreachableError if the command does not answer."""
    value = asyncio.run(_measure_plans(StdioTestee(command), plans))
    return ClientFigure(f"C suite, {command}", value, "plans/s", 1000 / 60)


async def _measure_plans(testee: Testee, plans: int) -> float:
    """Draw, run and judge so many plans against the client under test behind this testee, and return how many
    plans this was in a second."""
    subject = ClientSubject(testee, "measured", _SEED)
    await subject.attach()
    ids = [rule.id for rule in rules_for("client")]
    started = time.perf_counter()
    runs = 0
    try:
        for number, rule_id in enumerate(ids):
            plans_of_rule = plans // len(ids) + (number < plans % len(ids))
            for plan in _draw_plans(rule_id, plans_of_rule):
                judge(await subject.run(plan))
                runs += 1
    finally:
        await subject.detach()
    return runs / (time.perf_counter() - started)


def _draw_plans(rule_id: str, examples: int) -> list[ClientPlan]:
    """Return `examples` client plans that exercise the rule, for the benchmark of the client suite; they are
    drawn as the suite draws them."""
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
        """Add a plan that Hypothesis has drawn to the plans that the benchmark of the client suite runs."""
        plans.append(plan)

    draw()
    return plans
