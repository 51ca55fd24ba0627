"""Measures the speed of the client decoder and of the client suite. Each figure has its function."""

import asyncio
import shlex
import shutil
import time
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, seed, settings

from spatius_sim.benchmarks.figure import BenchSize, Figure
from spatius_sim.files.find_resources import resource
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
_OPERATIONS_PER_REPEAT = 15
_SAMPLE_RATE = 16000
_SILENT_CHUNK = bytes(2 * _SAMPLE_RATE // 10)
_TICK_NS = 100_000_000
_LEAST_OPERATIONS_PER_SECOND = 20_000.0


class ClientFigure(NamedTuple):
    """One measured figure of the client benchmark. `least_value` is the value that it should reach."""

    name: str
    value: float
    unit: str
    least_value: float


def measure_client(size: BenchSize) -> Iterator[Figure]:
    """Yield the figures of our client decoder, and of the suite of tests for clients. If Node is installed,
    the suite also tests a client in JavaScript, over stdio."""
    client_figures = [measure_decoder(), measure_plans_in_process(size.plan_count)]
    if shutil.which("node"):
        script = resource("conformance") / "client" / "js" / "reference_testee.js"
        command = shlex.join(["node", str(script)])
        javascript_figure = measure_plans_over_stdio(command, size.plan_count)
        client_figures.append(javascript_figure._replace(name="C suite, JavaScript over stdio"))
    for name, value, unit, least_value in client_figures:
        yield Figure(name, value, unit, f"at least {least_value:.0f}")


def measure_decoder() -> ClientFigure:
    """Measure how many operations the client decoder does in a second.

    Each operation is one call of the decoder: give it audio or motion, move its clock, ask for its
    conversation id, interrupt it, or take its events."""
    numbers = count()
    decoder = ClientDecoder(_SAMPLE_RATE, lambda: f"c{next(numbers)}")
    synthesizer = MotionSynthesizer(_SAMPLE_RATE, _SEED)
    synthesizer.feed(bytes(4 * _SAMPLE_RATE))
    payload = encode(MotionResponse("connection", "request", end=True, keyframes=synthesizer.finish()))
    now_ns = 0
    started_at = time.perf_counter()
    for _ in range(_REPEATS):
        for _ in range(5):
            conversation_id = decoder.yield_audio_data(_SILENT_CHUNK)
        decoder.yield_frames_data([payload], conversation_id)
        decoder.yield_frames_data([payload], "id of another conversation")
        for _ in range(5):
            now_ns += _TICK_NS
            decoder.advance(now_ns)
        decoder.get_current_conversation_id()
        decoder.interrupt()
        decoder.take_events()
    operations_per_second = _REPEATS * _OPERATIONS_PER_REPEAT / (time.perf_counter() - started_at)
    return ClientFigure("client decoder", operations_per_second, "operations/s", _LEAST_OPERATIONS_PER_SECOND)


def measure_plans_in_process(plan_count: int = 1000) -> ClientFigure:
    """Measure how many plans (test scenarios for a client) the client suite draws, runs and judges in a
    second. The client under test is our Python decoder, in this process."""
    plans_per_second = asyncio.run(_measure_plans_per_second(InProcessTestee(), plan_count))
    return ClientFigure("C suite, Python in process", plans_per_second, "plans/s", 1000 / 30)


def measure_plans_over_stdio(command: str, plan_count: int = 1000) -> ClientFigure:
    """Measure how many plans (test scenarios for a client) the client suite draws, runs and judges in a
    second. The client under test is the program that `command` starts; it talks to the suite over stdio.

    Raises UnreachableError if the program does not answer."""
    plans_per_second = asyncio.run(_measure_plans_per_second(StdioTestee(command), plan_count))
    return ClientFigure(f"C suite, {command}", plans_per_second, "plans/s", 1000 / 60)


async def _measure_plans_per_second(testee: Testee, plan_count: int) -> float:
    """Draw `plan_count` plans, a nearly equal share for each rule for clients. Run each plan with the client
    under test, to which `testee` is the connection, and judge the run. Return how many plans per second this
    was."""
    subject = ClientSubject(testee, "measured", _SEED)
    await subject.attach()
    rule_ids = [rule.id for rule in rules_for("client")]
    started_at = time.perf_counter()
    run_count = 0
    try:
        for rule_number, rule_id in enumerate(rule_ids):
            plan_count_of_rule = plan_count // len(rule_ids) + (rule_number < plan_count % len(rule_ids))
            for plan in _draw_plans(rule_id, plan_count_of_rule):
                judge(await subject.run(plan))
                run_count += 1
    finally:
        await subject.detach()
    return run_count / (time.perf_counter() - started_at)


def _draw_plans(rule_id: str, plan_count: int) -> list[ClientPlan]:
    """Return `plan_count` plans (test scenarios for a client) that exercise this rule. Hypothesis draws them
    at random, always the same ones."""
    plans: list[ClientPlan] = []

    @seed(_SEED)
    @settings(
        max_examples=plan_count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(client_plans_exercising(rule_id))
    def keep_plan(plan: ClientPlan) -> None:
        """Append a plan that Hypothesis has drawn to `plans`, the plans that the benchmark will run."""
        plans.append(plan)

    keep_plan()  # Hypothesis calls it once for each plan.
    return plans
