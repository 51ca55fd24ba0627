"""The judge: three verdicts, and one accusation for one fault."""

import pytest

from spatius_sim.rules.catalogue import RULES, Verdict, rules_for
from spatius_sim.rules.judge import judge
from spatius_sim.tests.rules.traces import Dialogue


def two_clients_two_turns(turn_ids: bool) -> Dialogue:
    said = Dialogue()
    said.secret_known("key#1")
    for number in (0, 1):
        for client in ("ann", "bob"):
            said.turn(client, number, f"{client}-{number}" if turn_ids else "")
    return said


BESIDE_PLAIN_TURNS = ("U-RETRY", "R-RECOVER", "R-FALLBACK", "R-ERROR-TOLD", "R-LARGE", "R-HUGE")
"""Rules for what does not come up where Motion Server does nothing unusual."""


@pytest.mark.parametrize("turn_ids", [True, False], ids=["with turn ids", "without"])
@pytest.mark.parametrize(
    "rule_id", [rule.id for rule in rules_for("relay") if rule.id not in BESIDE_PLAIN_TURNS]
)
def test_an_honest_relay_passes(rule_id: str, turn_ids: bool) -> None:
    assert two_clients_two_turns(turn_ids).verdict(rule_id) is Verdict.PASSED


@pytest.mark.parametrize("rule_id", [rule.id for rule in rules_for("relay")])
def test_nothing_is_judged_where_nothing_happened(rule_id: str) -> None:
    judgement = Dialogue().judged(rule_id)
    assert judgement.verdict is Verdict.UNEXERCISED
    assert judgement.exercised == 0
    assert judgement.reason == "its situation never came up"


@pytest.mark.parametrize("subject", ["relay", "server"])
def test_a_subject_is_judged_by_all_of_its_rules_and_no_other(subject: str) -> None:
    assert list(judge(Dialogue(subject).trace)) == [rule.id for rule in rules_for(subject)]


def test_a_broken_rule_counts_its_instances() -> None:
    said = Dialogue()
    said.turn()
    said.motion_down("ann", b"not from Motion Server")
    judgement = said.judged("R-MOTION-VERBATIM")
    assert judgement.verdict is Verdict.FAILED
    assert (judgement.exercised, len(judgement.broken)) == (3, 1)


PRESUMES_VERBATIM = [name for name, rule in RULES.items() if "R-MOTION-VERBATIM" in rule.presumes]


@pytest.mark.parametrize("rule_id", PRESUMES_VERBATIM)
def test_a_rule_is_not_judged_where_one_that_it_presumes_failed(rule_id: str) -> None:
    said = two_clients_two_turns(turn_ids=False)
    said.motion_down("ann", b"not from Motion Server")
    judgement = said.judged(rule_id)
    assert judgement.verdict is Verdict.UNEXERCISED
    assert judgement.reason == "not judged where R-MOTION-VERBATIM failed"


def test_all_presumed_rules_that_failed_are_named() -> None:
    said = Dialogue()
    pcm = said.speaks()
    said.echoes("ann", 0, pcm)
    said.audio_down("ann", last=True)
    said.motion_down("ann", b"not from Motion Server")
    said.ends("ann", 0)
    reason = said.judged("R-CONVERSATION").reason
    assert reason == "not judged where R-MOTION-VERBATIM, R-END-AUDIO failed"
