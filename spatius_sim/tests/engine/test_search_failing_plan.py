"""Plans are drawn from one seed, and the smallest that fails is found, whatever the subject does."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis.strategies import SearchStrategy

from spatius_sim.engine.search_failing_plan import DrawnPlans, shortest_failing, smallest_failing
from spatius_sim.miniatures.relay.wrong_relays import NeverMarksAudioEnd
from spatius_sim.model.scenario.scenario import Fault, Moment, Scenario, Stall, When
from spatius_sim.plans.draw_server_faults import server_failures
from spatius_sim.plans.draw_undisturbed_turns import (
    audible_conversations,
    conversations,
    crowds,
    long_speeches,
)
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, Sound, TurnPlan, speech
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.suspects import Hearing, Suspect

ONE_CLIENT = conversations()


def drawn(seed: int, examples: int = 30, plans: SearchStrategy[Plan] = ONE_CLIENT) -> list[Plan]:
    seen: list[Plan] = []

    def look(plan: Plan) -> bool:
        seen.append(plan)
        return False

    assert smallest_failing(plans, look, examples=examples, from_seed=seed) is None
    return seen


def test_the_same_seed_draws_the_same_plans_and_another_seed_others() -> None:
    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_plans_that_were_drawn_before_are_not_drawn_again_where_none_is_made_smaller() -> None:
    kept: DrawnPlans[Plan] = {}
    assert smallest_failing(ONE_CLIENT, lambda plan: False, examples=10, from_seed=1, drawn=kept) is None
    (plans,) = kept.values()
    tried: list[Plan] = []

    def fails(plan: Plan) -> bool:
        tried.append(plan)
        return plan == plans[3]

    found = smallest_failing(ONE_CLIENT, fails, examples=10, from_seed=1, shrink_seconds=0.0, drawn=kept)
    assert found == plans[3] and tried == list(plans[:4])


def test_what_else_is_loaded_does_not_change_the_plans(tmp_path: Path) -> None:
    program = tmp_path / "draws.py"
    program.write_text(
        "from spatius_sim.plans.draw_undisturbed_turns import conversations\n"
        "from spatius_sim.engine.search_failing_plan import smallest_failing\n"
        "seen = []\n"
        "smallest_failing(conversations(), seen.append, examples=60, from_seed=1)\n"
        "print(seen)\n"
    )
    constants = tmp_path / "constants.py"
    constants.write_text("\n".join(f"C{number} = {number}" for number in range(1_001, 64_000, 3_001)))

    def draws(*imports: str) -> str:
        text = "".join(f"import {name}\n" for name in imports) + program.read_text()
        command = [sys.executable, "-c", text]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert draws() == draws("constants") != ""


def test_every_plan_has_turns_that_ask_for_motion_and_some_have_others() -> None:
    plans = [plan for seed in range(5) for plan in drawn(seed, 60, conversations(least_turns=2))]
    assert all(sum(turn.asks_for_motion for turn in plan.clients[0]) >= 2 for plan in plans)
    others = [turn for plan in plans for turn in plan.clients[0] if not turn.asks_for_motion]
    assert {turn.samples for turn in others} >= {0, 1, 639}
    assert any(turn.sound is Sound.SILENCE and turn.samples >= 640 for turn in others)


def test_some_chunks_end_within_a_sample_and_there_are_not_too_many() -> None:
    turns = [turn for plan in drawn(3, 100) + drawn(3, 9, long_speeches()) for turn in plan.clients[0]]
    assert all(turn.chunk_bytes > 1 for turn in turns)
    assert {turn.chunk_bytes % 2 for turn in turns} == {0, 1}
    assert {0, 1} <= {size for turn in turns for size in turn.first_chunks}
    assert all(turn.samples <= 120 or turn.samples * 2 / turn.chunk_bytes <= 80 for turn in turns)


def test_a_minute_is_drawn_where_a_run_is_to_be_thorough_and_not_elsewhere() -> None:
    def longest(*, thorough: bool) -> int:
        exercise = exercise_of("R-MOTION-COMPLETE", thorough=thorough)
        plans = [plan for seed in range(3) for plan in drawn(seed, 40, exercise.plans)]
        return max(turn.samples for plan in plans for client in plan.clients for turn in client)

    assert longest(thorough=True) > 480_000
    assert longest(thorough=False) <= 192_000


@pytest.mark.parametrize("connection", [1, 2, 3])
def test_a_relay_is_turned_away_at_each_door_once_it_has_come_so_often(connection: int) -> None:
    doors = (Moment.TOKEN, Moment.UPGRADE, Moment.CONFIGURE)
    plans = [
        plan
        for seed in range(5)
        for plan in drawn(seed, 40, server_failures())
        if any(f.when.at in doors and f.when.connection == connection for f in plan.motion_server.faults)
    ]
    assert {plan.motion_server.faults[-1].when.at for plan in plans} == set(doors)
    assert all(len(plan.clients[0]) > connection for plan in plans)


def test_plans_reach_beyond_the_first_segment() -> None:
    longest = max(turn.samples for plan in drawn(1) for client in plan.clients for turn in client)
    assert longest > 32_000


def test_the_smallest_failing_plan_is_found() -> None:
    def fails(plan: Plan) -> bool:
        return len(plan.clients[0]) >= 2

    smallest = smallest_failing(audible_conversations(), fails, examples=50, from_seed=1)
    assert smallest is not None
    assert [turn.samples for turn in smallest.clients[0]] == [640, 640]


def test_a_plan_is_tried_once_even_by_a_subject_that_changes_its_mind() -> None:
    tried: Counter[Plan] = Counter()

    def fails(plan: Plan) -> bool:
        tried[plan] += 1
        return sum(tried.values()) % 3 == 0

    assert smallest_failing(conversations(), fails, examples=50, from_seed=1) is not None
    assert set(tried.values()) == {1}


def test_plans_that_are_sure_come_first_and_are_not_cut_down() -> None:
    turn = TurnPlan(64_000, 3200)
    first, second = Plan(((turn,),)), Plan(((turn, turn),))
    tried: list[Plan] = []

    def fails(plan: Plan) -> bool:
        tried.append(plan)
        return plan == second

    assert smallest_failing(conversations(), fails, sure=(first, second), examples=9, from_seed=1) == second
    assert tried == [first, second]


def test_a_strategy_that_was_drawn_from_is_asked_again_only_for_a_smaller_plan() -> None:
    asked: list[Plan] = []
    tried: list[Plan] = []

    def note(plan: Plan) -> Plan:
        asked.append(plan)
        return plan

    def passes(plan: Plan) -> bool:
        tried.append(plan)
        return False

    plans = conversations().map(note)
    drawn: DrawnPlans[Plan] = {}
    assert smallest_failing(plans, passes, examples=9, from_seed=1, drawn=drawn) is None
    times, first_tried = len(asked), tried.copy()
    assert smallest_failing(plans, passes, examples=9, from_seed=1, drawn=drawn) is None
    assert len(asked) == times
    assert tried == first_tried * 2 != []
    last = first_tried[-1]
    assert smallest_failing(plans, last.__eq__, examples=9, from_seed=1, drawn=drawn) == last
    assert len(asked) > times


def test_silence_and_a_long_pause_are_zeros() -> None:
    assert speech("one", 3200, Sound.SILENCE) == bytes(6400)
    pause = speech("one", 5000, Sound.PAUSES)
    assert pause[:2000] == speech("one", 5000)[:2000]
    assert pause[2000:8000] == bytes(6000)
    assert any(pause[8000:])


def test_speech_is_audible_and_nobody_elses() -> None:
    one, other = speech("one", 3200), speech("other", 3200)
    assert len(one) == 6400
    assert one == speech("one", 3200)
    assert one[:64] not in other
    assert max(abs(int.from_bytes(one[i : i + 2], "little", signed=True)) for i in range(0, 6400, 2)) > 1000


def test_a_plan_reads_as_words() -> None:
    turn = TurnPlan(32_000, 640)
    assert str(Plan(((turn,),))) == "2 s of speech in chunks of 640 bytes"
    silence = TurnPlan(32_000, 640, sound=Sound.SILENCE)
    assert str(Plan(((silence,),))) == "2 s of silence in chunks of 640 bytes"
    assert str(Plan(((TurnPlan(0, 2),),))) == "a turn that ends before anything was said"
    assert str(Plan(((turn, turn),))).count(", then ") == 1
    assert "at the same time: client-2" in str(Plan(((turn,), (turn,))))
    stalls = Scenario("drawn", "", (Fault(When(Moment.UPGRADE), (Stall(),)),))
    assert str(Plan(((turn,),), motion_server=stalls)).endswith("; Motion Server: stall at the upgrade")


@pytest.mark.parametrize("rule_id", RULES)
def test_every_rule_has_plans(rule_id: str) -> None:
    assert not exercise_of(rule_id).plans.is_empty


def test_crowds_have_several_clients() -> None:
    assert all(len(plan.clients) >= 2 for plan in drawn(1, plans=crowds()))


def test_relays_whose_wire_says_the_rate_are_spoken_to_at_other_rates() -> None:
    assert {plan.sample_rate for plan in exercise_of("U-RATE").sure} > {PLAN_SAMPLE_RATE}


def test_a_turn_is_cut_into_chunks_of_the_sizes_that_it_says() -> None:
    turn = TurnPlan(8, 6, first_chunks=(1, 0, 3), half_sample=True)
    pcm = turn.pcm("label")
    assert [len(chunk) for chunk in turn.split_into_chunks(pcm)] == [1, 0, 3, 6, 6, 1]
    assert b"".join(turn.split_into_chunks(pcm)) == pcm == speech("label", 9)[:-1]
    assert TurnPlan(0, 6).split_into_chunks(b"") == []
    assert TurnPlan(2, 6, first_chunks=(1, 3, 0)).split_into_chunks(bytes(4)) == [bytes(1), bytes(3)]


def test_the_failing_plan_of_a_relay_is_cut_down_to_what_breaks_the_rule(tmp_path: Path) -> None:
    told = {}
    for cut_down in (False, True):
        with Hearing(Suspect("relay", NeverMarksAudioEnd), 1, tmp_path) as hearing:
            if cut_down:
                hearing.cut_down_plans()
            failure = hearing.of("R-END-AUDIO").failure
        assert failure is not None and failure.confirmed
        told[cut_down] = failure.scenario
    assert told[False].count("then") == 3
    assert told[True] == "1 s of speech in chunks of 3200 bytes"


def test_a_smaller_plan_that_was_run_for_another_rule_shows_the_failure(tmp_path: Path) -> None:
    with Hearing(Suspect("relay", NeverMarksAudioEnd), 1, tmp_path) as hearing:
        hearing.cut_down_plans()
        assert hearing.of("U-TOKEN").verdict is Verdict.PASSED
        failure = hearing.of("R-END-AUDIO").failure
    assert failure is not None
    assert failure.scenario == "0.04 s of speech in chunks of 320 bytes"


def test_no_more_plans_are_tried_than_the_attempts_allow() -> None:
    tried: list[int] = []

    def fails(number: int) -> bool:
        tried.append(number)
        return number > 90

    assert shortest_failing(100, fails, lambda number: [0, number - 1], 60.0, max_attempts=6) == 97
    assert tried == [0, 99, 0, 98, 0, 97]


def test_a_plan_is_cut_by_clients_turns_and_faults_the_smallest_first() -> None:
    turn, other = TurnPlan(PLAN_SAMPLE_RATE, 3200), TurnPlan(2 * PLAN_SAMPLE_RATE, 3200)
    stall = Fault(When(Moment.RESPONSE, number=1), (Stall(),))
    plan = Plan(((turn, other), (other,)), motion_server=Scenario("stalls", "", (stall,)))
    assert [shorter.clients for shorter in plan.shorter_plans()] == [
        ((turn, other),),
        ((other,),),
        ((turn,), (other,)),
        ((other,), (other,)),
        ((turn,), (other,)),
        ((other,), (other,)),
        plan.clients,
    ]
    assert [bool(shorter.motion_server.faults) for shorter in plan.shorter_plans()] == [*[True] * 6, False]
    assert list(Plan(((turn,),)).shorter_plans()) == []
    assert all(shorter.size < plan.size for shorter in plan.shorter_plans())
    with_credentials = Plan(((turn,), (turn,)), bears_credentials=True)
    assert list(with_credentials.shorter_plans()) == []
