"""Judged turns: honest choices break no rule on any network, and a relay that is wrong is found there too."""

from collections import Counter
from dataclasses import replace

import pytest

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.miniatures.relay.seldom_wrong import LosesBehindAnInterrupt
from spatius_sim.miniatures.relay.wrong_relays import LosesLastPayload, SendsMotionFirst
from spatius_sim.model.network.message_overhead import WireKind
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.study.judge_turns import TURNS_PER_JUDGED_TURN, judge_turn, turns_to_judge
from spatius_sim.study.pipeline_choices import AudioPacing, Pipeline, Sessions, Sync
from spatius_sim.study.run_study import run_study
from spatius_sim.study.study_definition import Study

NETWORKS = shipped_networks()
HONEST = [
    Pipeline(seconds=6.0, speech_pace=0, sync=Sync.STRICT_SYNC, region="ap-south-1"),
    Pipeline(seconds=6.0, wire=WireKind.BINARY, speech_chunk=0.04, audio_chunk=0.5, sessions=Sessions.KEPT),
    Pipeline(seconds=6.0, audio=AudioPacing.PACED, payloads_per_message=2, send_buffer=16_384),
    Pipeline(seconds=6.0, speech_pace=5, client_reads=0.6, clients=8, relay_rate=2),
]


@pytest.mark.parametrize("name", NETWORKS)
def test_honest_choices_break_no_rule_on_any_network(name: str) -> None:
    for pipeline in HONEST:
        for interrupted_share in (0.0, 1.0):
            played = replace(pipeline, interrupted_share=interrupted_share)
            assert judge_turn(played, NETWORKS[name], 1, 3) == []
            assert judge_turn(played, replace(NETWORKS[name], loss=0.03), 1, 3) == []


def test_a_link_that_gives_the_connection_up_makes_no_relay_guilty() -> None:
    hopeless = replace(NETWORKS["gprs"], loss=0.5)
    assert judge_turn(replace(HONEST[2], seconds=2.5, clients_on_link=100), hopeless, 1, 3) == []


def test_of_each_twenty_turns_one_is_drawn_by_the_seed() -> None:
    drawn = Counter(number for seed in range(200) for number in turns_to_judge(41, seed))
    assert set(drawn) == set(range(41))
    assert turns_to_judge(60, 7) == turns_to_judge(60, 7) != turns_to_judge(60, 8)
    assert [number // TURNS_PER_JUDGED_TURN for number in turns_to_judge(1000, -1)] == list(range(50))


def test_one_turn_in_twenty_is_judged_and_told() -> None:
    study = Study("", (NETWORKS["cable"],), {"plain": Pipeline(seconds=2.0)}, turns=2 * TURNS_PER_JUDGED_TURN)
    (judged,) = run_study(study, 1).judged
    assert (judged.network, judged.policy) == ("cable", "plain")
    assert (judged.turns, judged.broken) == (turns_to_judge(2 * TURNS_PER_JUDGED_TURN, 1), [])


@pytest.mark.parametrize(
    ("relay", "rule"), [(LosesLastPayload, "R-MOTION-COMPLETE"), (SendsMotionFirst, "R-AUDIO-FIRST")]
)
def test_a_relay_that_is_wrong_is_found_over_a_network_too(relay: type[PlainRelay], rule: str) -> None:
    broken = judge_turn(HONEST[0], NETWORKS["lte-att-2016-driving"], 1, 3, relay)
    assert rule in {one.rule for one in broken}


def test_an_interrupt_is_judged_with_the_turn_after_it() -> None:
    network = NETWORKS["lte-att-2016-driving"]
    spoken_on = replace(HONEST[0], interrupted_share=0.0)
    assert judge_turn(spoken_on, network, 1, 3, LosesBehindAnInterrupt) == []
    broken = judge_turn(replace(HONEST[0], interrupted_share=1.0), network, 1, 3, LosesBehindAnInterrupt)
    assert "R-MOTION-COMPLETE" in {one.rule for one in broken}
