"""The judge: three verdicts, and one accusation for one fault."""

import pytest

from spatius_sim.rules.catalogue import RULES, rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of
from spatius_sim.trace.events import Provocation
from spatius_sim.wires.optional_features import LATE_MOTION


def two_clients_two_turns(turn_ids: bool, lacks: str = "") -> Dialogue:
    said = Dialogue(lacks=(lacks,))
    said.secret_known("key#1")
    for number in (0, 1):
        for client in ("ann", "bob"):
            said.turn(client, number, f"{client}-{number}" if turn_ids else "")
    return said


BESIDE_PLAIN_TURNS = (
    "E-LIMIT",
    "U-RATE",
    "U-RETRY",
    "R-RECOVER",
    "R-FALLBACK",
    "R-ERROR-TOLD",
    "R-LARGE",
    "R-HUGE",
    "R-LATE-MARK",
)
"""Rules for what does not come up where Motion Server does nothing unusual, on a usual wire."""


def clients_who_misbehave(turn_ids: bool) -> Dialogue:
    """Ann interrupts, reads nothing for a while and sends rubbish, while Bob speaks on, and hangs up."""
    said = two_clients_two_turns(turn_ids)

    def turn(client: str, number: int) -> None:
        said.turn(client, number, f"{client}-{number}" if turn_ids else "")

    pcm = said.speaks("ann", 2)
    said.audio_up(up_of("ann", 2), req_of("ann", 2), pcm)
    said.client_interrupts("ann")
    turn("ann", 3)
    pcm = said.speaks("ann", 4)
    said.intends("ann", Provocation.UNREAD)
    turn("bob", 2)
    said.intends("ann", Provocation.READ_ON)
    turn_id = "ann-4" if turn_ids else ""
    said.echoes("ann", 4, pcm, turn_id)
    said.motion_down("ann", *said.answers("ann", 4), turn_id=turn_id)
    said.ends("ann", 4)
    said.intends("ann", Provocation.RUBBISH)
    turn("bob", 3)
    said.hangs_up("bob")
    for number in range(4):
        said.closed(up_of("bob", number), by_kit=False)
    said.watched_hang_up("bob")
    return said


@pytest.mark.parametrize("turn_ids", [True, False], ids=["with turn ids", "without"])
@pytest.mark.parametrize(
    "rule_id", [rule.id for rule in rules_for("relay") if rule.id not in BESIDE_PLAIN_TURNS]
)
def test_an_honest_relay_passes(rule_id: str, turn_ids: bool) -> None:
    assert clients_who_misbehave(turn_ids).verdict(rule_id) is Verdict.PASSED


@pytest.mark.parametrize("rule_id", [rule.id for rule in rules_for("relay")])
def test_nothing_is_judged_where_nothing_happened(rule_id: str) -> None:
    judgement = Dialogue(lacks=(LATE_MOTION,)).judged(rule_id)
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
    said = two_clients_two_turns(turn_ids=False, lacks=RULES[rule_id].only_lacking)
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
