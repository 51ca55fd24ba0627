"""A plan survives the way through its token, whatever is in it."""

import zlib
from base64 import urlsafe_b64decode
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import CloseWith, Fault, Moment, Scenario, When
from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.plan import Plan, Sound, TurnPlan
from spatius_sim.plans.plan_token import plan_of, token_of
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.plans.server_probes import TokenProbe
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import RULES, find_rule
from spatius_sim.trace.events import Provocation

TURN = TurnPlan(16_000, 640)
FAULTS = Scenario("", "", (Fault(When(Moment.AUDIO, seconds=1.5), (CloseWith(1000),)),))


@settings(max_examples=40, database=None, deadline=None, derandomize=True)
@given(rule_id=st.sampled_from(sorted(RULES)), data=st.data())
def test_every_plan_that_is_drawn(rule_id: str, data: st.DataObject) -> None:
    plan: Plan | ClientPlan = data.draw(exercise_of(rule_id).plans)
    assert plan_of(token_of(plan), find_rule(rule_id).subject) == plan


@pytest.mark.parametrize("rule_id", RULES)
def test_every_plan_that_is_sure_to_be_run(rule_id: str) -> None:
    for plan in exercise_of(rule_id).sure:
        assert plan_of(token_of(plan), find_rule(rule_id).subject) == plan


def test_a_token_is_one_short_word() -> None:
    plan = Plan(((TURN,), (TURN, TURN)), (TokenProbe(3600, Provocation.WRONG_KEY),), motion_server=FAULTS)
    token = token_of(plan)
    assert plan_of(token, "relay") == plan
    assert token.replace("-", "").replace("_", "").isalnum()
    assert len(token) < 400


@pytest.mark.parametrize(
    "token",
    ["", "nonsense", "é", token_of(ClientPlan(())), token_of(Plan(((TURN,),)))[:-8], "eJyrVgIAAT8AoA"],
)
def test_what_is_no_plan_for_a_relay(token: str) -> None:
    with pytest.raises(UsageError, match="names no scenario for a relay"):
        plan_of(token, "relay")


def test_a_token_holds_no_words_that_may_change() -> None:
    plan = Plan(((replace(TURN, sound=Sound.PAUSES),),), (TokenProbe(3600, Provocation.WRONG_KEY),))
    packed = token_of(plan)
    written = zlib.decompress(urlsafe_b64decode(packed + "=" * (-len(packed) % 4))).decode()
    assert "PAUSES" in written and "WRONG_KEY" in written
    assert Sound.PAUSES not in written and Provocation.WRONG_KEY not in written
