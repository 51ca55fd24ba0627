"""Of two faults in one subject neither passes; and when the first is cured, the second is named."""

import pytest

from spatius_sim.miniatures.relay.seldom_wrong import LosesInThirdTurn
from spatius_sim.miniatures.relay.wrong_relays import LosesLastPayload, NeverEndsUpstream, NeverMarksAudioEnd
from spatius_sim.model.relay.policy import EndMark, RelayPolicy
from spatius_sim.tests.pairs import Pair, common_policy, compose, judge_pair, pairs, sample

pytestmark = pytest.mark.long

SEED = 7
SAMPLE = sample(pairs(["server"]), 4, SEED)
HIDDEN_IN_SOME_SCENARIOS = {"PassesStaleMotionOn", "EndsUnnamedAudioWithMotion"}
"""The first fault shows only in scenarios in which the second breaks what its rule presumes."""


def name_of(pair: Pair) -> str:
    return " and ".join(suspect.name for suspect in pair.suspects)


@pytest.mark.parametrize("pair", SAMPLE, ids=name_of)
def test_of_two_faults_neither_passes(pair: Pair) -> None:
    judged = judge_pair(pair)
    assert not judged.wrong, judged


def test_a_rule_that_a_fault_hides_in_some_scenarios_does_not_pass() -> None:
    (pair,) = (
        pair for pair in pairs(["relay"]) if {s.name for s in pair.suspects} == HIDDEN_IN_SOME_SCENARIOS
    )
    judged = judge_pair(pair)
    assert not judged.wrong, judged


def test_faults_that_may_hide_one_another_are_not_composed() -> None:
    assert compose(LosesLastPayload, LosesInThirdTurn) is None
    both = compose(NeverEndsUpstream, NeverMarksAudioEnd)
    assert both is not None
    assert both.make_audio_end is NeverEndsUpstream.make_audio_end
    assert both.end_audio_to_client is NeverMarksAudioEnd.end_audio_to_client


def test_two_policies_are_one_if_they_agree() -> None:
    plain, apart = RelayPolicy(), RelayPolicy(motion_end=EndMark.ON_ITS_OWN, greets=False)
    assert common_policy(plain, apart) == apart
    assert common_policy(RelayPolicy(attempts=2), RelayPolicy(attempts=3)) is None
