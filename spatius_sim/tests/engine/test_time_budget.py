"""The time budget holds against a subject that never comes to an end; what it cuts off is not judged."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatius_sim.engine.trial import run_scenarios
from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.miniatures.client.wrong_clients import CLIENT_MINIATURES
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.draw_client_plans import client_plans_exercising
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.client_subject import ClientSubject, InProcessTestee
from spatius_sim.subjects.decoder_as_client import own_client_factory
from spatius_sim.trace.events import Trace

RULE = "C-EMPTY"
PLANS = client_plans_exercising(RULE)


class DripsForever(ClientSubject):
    """Comes to an end in its first scenarios, `ends` of them, and in no other."""

    ends = 1
    runs = 0

    async def run(self, plan: ClientPlan, *, patient: bool = False) -> Trace:
        self.runs += 1
        if self.runs > self.ends:
            await asyncio.Event().wait()
        return await super().run(plan, patient=patient)


@pytest.fixture
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.stop()


def trial_of(brain: type[ClientDecoder], loop: BackgroundLoop, folder: Path) -> Trial[ClientPlan]:
    subject = DripsForever(InProcessTestee(own_client_factory(brain)), "ours", 1)
    return Trial(subject, loop, 1, folder, 20, deadline=time.monotonic() + 1.0)


def test_a_scenario_that_the_budget_cuts_off_is_not_judged(loop: BackgroundLoop, tmp_path: Path) -> None:
    outcome = trial_of(ClientDecoder, loop, tmp_path).judge(RULE, PLANS)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.reason == "out of time: a scenario was cut off; 1 were run before"


def test_a_breach_that_the_budget_leaves_no_time_to_repeat_is_told(
    loop: BackgroundLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_scenarios, "_OVERTIME_SECONDS", 0.2)
    trial = trial_of(CLIENT_MINIATURES[RULE][0], loop, tmp_path)
    trial.deadline = time.monotonic() + 0.2
    outcome = trial.judge(RULE, PLANS)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.reason.startswith("broken once (")
    assert outcome.reason.endswith("), but there was no time to repeat it")
