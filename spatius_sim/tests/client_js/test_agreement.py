"""Two implementations that agree: whatever legal sequence of calls is drawn, the JavaScript client and the
Python model show the same after each step of the clock, in both modes.

Left out is what the documents leave open: what shows before time passes, undecodable motion and what follows
it, whether a paused client still counts as stalled. And two finer points, which the two read differently: an
open conversation whose audio ends within a keyframe, and a keyframe that would begin with the very end of a
conversation.
"""

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spatius_sim.net.client import testee_connection as attached
from spatius_sim.plans.client_plan import ClientPlan, GiveAudio, Move, Step, Wait
from spatius_sim.plans.hypothesis_strategies import client_plans
from spatius_sim.plans.write_client_requests import RequestWriter
from spatius_sim.subjects.client_shim import Shim
from spatius_sim.subjects.decoder_as_client import OWN
from spatius_sim.tests.client_js.running import CLIENT, SECONDS, node
from spatius_sim.trace.decoder_events import StarvationMode
from spatius_sim.wires.testee_messages import TesteeRequest, write_request

pytestmark = pytest.mark.long

_KEYFRAME_MS = 40
_REST_MS = 7
_UNDECODABLE = ("cut", "junk")

Answering = Callable[[str], Awaitable[str | bytes]]


def _decodable(step: Step) -> bool:
    return not isinstance(step, Move) or all(one.form not in _UNDECODABLE for one in step.payloads or ())


def _settled(step: Step) -> Step:
    """Open audio ends with a keyframe, a conversation within one."""
    if not isinstance(step, GiveAudio):
        return step
    whole = max(step.ms // _KEYFRAME_MS, 1) * _KEYFRAME_MS
    return GiveAudio(whole + (_REST_MS if step.end else 0), step.end)


def _fixed(plan: ClientPlan, mode: StarvationMode) -> ClientPlan:
    return replace(plan, steps=tuple(map(_settled, filter(_decodable, plan.steps))), mode=mode)


async def _shown(answering: Answering, plan: ClientPlan) -> list[dict[str, Any]]:
    """What the client lets see after each step of the clock; its ids by their number."""
    script, ids, shown = RequestWriter(plan), [None], list[dict[str, Any]]()
    rendered: list[float] = []

    async def ask(request: TesteeRequest) -> dict[str, Any]:
        answer = json.loads(await answering(write_request(request)))
        assert answer["id"] == request.id
        result: dict[str, Any] = answer["result"]
        return result

    await ask(TesteeRequest(0, "reset", sample_rate=plan.sample_rate, mode=plan.mode))
    for number, step in enumerate(plan.steps):
        result = await ask(script.make_request(2 * number + 1, step))
        if isinstance(step, GiveAudio):
            script.learn_id(result["conversationId"])
            ids += [result["conversationId"]] if result["conversationId"] not in ids else []
        seen = await ask(TesteeRequest(2 * number + 2, "observe"))
        rendered += seen["keyframesRendered"]
        if isinstance(step, Wait):
            stalled = None if seen["state"] == "paused" else seen["stalled"]
            current = ids.index(seen["conversationId"])
            shown.append(
                seen | {"keyframesRendered": rendered, "stalled": stalled, "conversationId": current}
            )
            rendered = []
    return shown


@contextmanager
def _reference() -> Iterator[tuple[asyncio.Runner, Answering]]:
    """The JavaScript client in Node, and the event loop in which it answers."""
    testee = attached.StdioTestee(shlex.join([node(), str(CLIENT / "reference_testee.js")]))
    with asyncio.Runner() as runner:
        runner.run(testee.open(SECONDS))
        try:
            yield runner, lambda line: testee.ask(line, SECONDS)
        finally:
            runner.run(testee.close())


def test_they_agree_on_every_legal_sequence() -> None:
    shim = Shim(OWN)

    async def model(line: str) -> str:
        return shim.answer(line)

    with _reference() as (runner, client):

        @settings(
            max_examples=1000,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.builds(_fixed, client_plans(), st.sampled_from(StarvationMode)))
        def agree(plan: ClientPlan) -> None:
            assert runner.run(_shown(client, plan)) == runner.run(_shown(model, plan)), str(plan)

        agree()
