"""A relay whose upstream is not ours to see: the downstream half alone is judged."""

import numpy as np
import pytest

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.rules.traces import Dialogue
from spatius_sim.wires.optional_features import UPSTREAM

JUDGED = ["R-END-AUDIO", "R-AUDIO-FIRST", "R-CONVERSATION", "R-ALIVE"]
ROW = np.zeros((1, WIDTH), np.float32)
PAYLOADS = tuple(encode(MotionResponse("somewhere", "req-1", end, ROW)) for end in (False, True))


def observed(*, motion_first: bool = False, turn: int = 0) -> Dialogue:
    said = Dialogue(lacks=(UPSTREAM,))
    said.starts("ann", turn, pcm := bytes(range(256)) * 40)
    if motion_first:
        said.motion_down("ann", *PAYLOADS)
    said.audio_down("ann", pcm)
    if not motion_first:
        said.motion_down("ann", *PAYLOADS)
    said.audio_down("ann", last=True)
    said.ends("ann", turn)
    return said


def test_a_good_turn_passes_what_can_be_seen_and_leaves_the_rest_out() -> None:
    verdicts = {name: one.verdict for name, one in judge(observed().trace).items()}
    assert [name for name, verdict in verdicts.items() if verdict is Verdict.PASSED] == JUDGED
    left_out = {verdict for name, verdict in verdicts.items() if name not in [*JUDGED, "R-SECRETS"]}
    assert left_out == {Verdict.NOT_APPLICABLE}


@pytest.mark.parametrize("rule_id", [rule.id for rule in rules_for("relay") if rule.id.startswith("U-")])
def test_no_upstream_rule_is_judged(rule_id: str) -> None:
    judged = observed().judged(rule_id)
    assert judged.verdict is Verdict.NOT_APPLICABLE
    assert judged.reason == "the subject lacks upstream"


def test_motion_before_the_first_audio_is_seen() -> None:
    assert observed(motion_first=True).failed == ["R-AUDIO-FIRST"]


def test_motion_before_a_later_turns_audio_may_be_the_earlier_turns() -> None:
    assert observed(motion_first=True, turn=1).verdict("R-AUDIO-FIRST") is Verdict.UNEXERCISED


def test_an_empty_list_is_seen() -> None:
    said = Dialogue(lacks=(UPSTREAM,))
    said.starts("ann", 0, pcm := bytes(range(256)) * 40)
    said.audio_down("ann", pcm)
    said.motion_down("ann")
    said.motion_down("ann", *PAYLOADS)
    said.audio_down("ann", last=True)
    said.ends("ann", 0)
    assert said.failed == ["R-CONVERSATION"]


def test_a_turn_without_any_motion_is_not_judged_as_played() -> None:
    said = Dialogue(lacks=(UPSTREAM,))
    said.starts("ann", 0, pcm := bytes(range(256)) * 40)
    said.audio_down("ann", pcm, last=True)
    said.ends("ann", 0, complete=False)
    assert said.verdict("R-CONVERSATION") is Verdict.UNEXERCISED
