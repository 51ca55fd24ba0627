"""A failure in a short scenario is shown at ordinary length too, if somebody looks at pictures."""

import gzip
import json
from base64 import b64decode
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import strategies as st

from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.miniatures.relay.wrong_relays import NeverMarksAudioEnd
from spatius_sim.plans.plan import ORDINARY_SECONDS, PLAN_SAMPLE_RATE, SCARCELY_A_WORD, Plan, Sound, TurnPlan
from spatius_sim.plans.server_probes import TokenProbe
from spatius_sim.reporting.summary import Failure
from spatius_sim.tests.running_miniature import SEED, miniature_relay
from spatius_sim.virtual.virtual_loop import VirtualLoop

SHORT = Plan(((TurnPlan(PLAN_SAMPLE_RATE // 2, 3200),),))
LONGER = Plan(((TurnPlan(ORDINARY_SECONDS * PLAN_SAMPLE_RATE, 3200),),))


def failure_in(plan: Plan, longer: Callable[[Plan], Plan | None] | None, folder: Path) -> Failure:
    loop, stack = VirtualLoop(), AsyncExitStack()
    try:
        subject = loop.run(stack.enter_async_context(miniature_relay(NeverMarksAudioEnd)), 10.0)
        outcome = Trial(subject, loop, SEED, folder, 1, make_longer=longer).judge(
            "R-END-AUDIO", st.just(plan)
        )
        assert outcome.failure is not None
        return outcome.failure
    finally:
        loop.run(stack.aclose(), 10.0)
        loop.stop()


def test_a_short_failure_is_shown_at_ordinary_length_beside_it(tmp_path: Path) -> None:
    failure = failure_in(SHORT, Plan.with_ordinary_length, tmp_path)
    assert failure.scenario == str(SHORT)
    assert failure.longer is not None
    assert failure.longer.scenario == str(LONGER)
    values = json.loads(gzip.decompress(b64decode(failure.longer.player)))
    assert values["events"]["guilty"]
    assert values["end"] > ORDINARY_SECONDS * 1000


@pytest.mark.parametrize(("plan", "longer"), [(SHORT, None), (LONGER, Plan.with_ordinary_length)])
def test_nobody_waits_for_what_nobody_looks_at(
    plan: Plan, longer: Callable[[Plan], Plan | None] | None, tmp_path: Path
) -> None:
    assert failure_in(plan, longer, tmp_path).longer is None


def test_turns_that_ask_for_motion_are_lengthened_and_no_others() -> None:
    silent = TurnPlan(8000, 3200, sound=Sound.SILENCE)
    longer = Plan(((TurnPlan(8000, 2), silent),), step=True).with_ordinary_length()
    assert longer == Plan(((TurnPlan(ORDINARY_SECONDS * PLAN_SAMPLE_RATE, 640), silent),), step=True)
    assert Plan(((silent,),)).with_ordinary_length() is None
    assert Plan((), (TokenProbe(60),)).with_ordinary_length() is None
    assert SCARCELY_A_WORD.with_ordinary_length() is not None
