"""A study from its file to its figures."""

import json
import math
import pickle
import re
from dataclasses import replace
from pathlib import Path

import joblib
import jsonschema
import pytest
from click.testing import CliRunner

from spatius_sim.cli.main import cli
from spatius_sim.files.network_file import read_networks, shipped_networks
from spatius_sim.protocol.errors import UsageError
from spatius_sim.study.pipeline_choices import AudioPacing, Pipeline, Sync, pipelines_with_one_change
from spatius_sim.study.run_study import Outcome, run_study
from spatius_sim.study.simulate_turn import simulate_turn
from spatius_sim.study.study_definition import MAX_CHANGES, Budget, BudgetVerdict, Study
from spatius_sim.study.study_figures import FIGURES, Estimate, estimate_quantile, estimate_share
from spatius_sim.study.study_file import EXAMPLE, read_study
from spatius_sim.study.study_json import outcome_values, study_schema
from spatius_sim.study.turn_tally import Distribution

NETWORKS = shipped_networks()


def study_text(**keys: str) -> str:
    return "".join(
        f"{key.replace('_', '-')}: {value}\n" for key, value in {"networks": "[cable]", **keys}.items()
    )


def read_text(folder: Path, text: str) -> Study:
    path = folder / "study.yaml"
    path.write_text(text)
    return read_study(path)


def small(**changes: object) -> Study:
    pipeline = Pipeline(seconds=6.0)
    study = Study("", (NETWORKS["lte-att-2016-driving"],), {"plain": pipeline}, turns=120)
    return replace(study, **changes)  # type: ignore[arg-type]


def values(outcome: Outcome) -> object:
    return outcome_values(outcome)


def test_the_example_is_a_study() -> None:
    study = read_study(EXAMPLE)
    assert study.what_would_help
    assert list(study.policies) == ["as-it-comes", "paced"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ":1: the file is empty"),
        ("turns: 3\n", ":1: networks is missing"),
        (study_text(colour="red"), ":2: 'colour' is unknown here"),
        ("networks: [mars]\n", ":1: networks: 'mars' is unknown"),
        ("networks: []\n", "no name stands here"),
        (study_text(turns="0"), "turns must lie between"),
        (study_text(turns="1000001"), "turns must lie between"),
        (study_text(pipeline="{seconds: 1e9}"), ":2: seconds: must lie between 0.2 and 120"),
        (study_text(pipeline="{speech_chunk: 0}"), "speech_chunk: must lie between"),
        (study_text(pipeline="{wire: pigeon}"), "wire: 'pigeon' is none of json, binary"),
        (study_text(pipeline="{region: moon}"), "region: must be one of"),
        (study_text(pipeline="{sample_rate: 7}"), "sample_rate: must be one of"),
        (study_text(pipeline="{speed: 7}"), "'speed' is unknown here"),
        (study_text(policies="{}"), "policies: 1 to"),
        (study_text(sweep="{start_buffer: []}"), "sweep: 0 points"),
        (study_text(sweep="{start_buffer: [-1]}"), ":2: start_buffer: must lie between"),
        (
            study_text(sweep=f"{{start_buffer: {list(range(50))}, audio_lead: {list(range(50))}}}"),
            "sweep: 2500 points with audio_lead; 1 to 400 are taken",
        ),
        (study_text(budgets="{speed: 3}"), "'speed' is unknown here"),
        (study_text(budgets="{first_motion_p95: 3 kB}"), "is not a number with the unit s"),
        (study_text(budgets="{stalls_per_minute: 3 s}"), "is not a number without a unit"),
        (study_text(network_file="/nowhere.yaml"), "No such file"),
        (
            study_text(turns="100000", pipeline="{seconds: 120}", policies="{a: , b: , c: , d: , e: }"),
            "fewer turns",
        ),
        (study_text(turns="100000", sweep="{seconds: [1, 120]}", policies="{a: , b: , c: }"), "fewer turns"),
        (study_text(turns="100000", pipeline="{seconds: 50}", what_would_help="true"), "fewer turns"),
    ],
)
def test_a_mistake_in_a_study_is_told_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_text(tmp_path, text)
    assert told in str(caught.value)
    assert "study.yaml:" in str(caught.value) or "nowhere.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("network", "told"),
    [
        ("{down: {rate: 0}, rtt: {p50: 1}}", "down.rate: the rate must be above 0"),
        ("{down: {rate: 1}, rtt: {p50: -1}}", "rtt: a round trip needs"),
        ("{down: {rate: 1}}", "rtt is missing"),
        ("{down: {rate: 1, log_mean: 1}, rtt: {p50: 1}}", "one of rate, log_mean, mahimahi and csv"),
        ("{down: {rate: 1, most: 1}, rtt: {p50: 1}}", "most does not go with rate"),
        ("{down: {log_mean: 1, log_sd: 1}, rtt: {p50: 1}}", "correlation is missing"),
        (
            "{down: {log_mean: 1, log_sd: 1, correlation: 0.5, outages: {mean: 1}}, rtt: {p50: 1}}",
            "per_minute is",
        ),
        ("{down: {csv: ../secret.csv}, rtt: {p50: 1}}", "lies outside the folder"),
        ("{down: {csv: silent.csv}, rtt: {p50: 1}}", "silent.csv:1: the trace never delivers"),
        ("{down: {csv: back.csv}, rtt: {p50: 1}}", "back.csv:3: the times must rise"),
        ("{down: {csv: words.csv}, rtt: {p50: 1}}", "words.csv:2: 'b,c' is not"),
        ("{down: {mahimahi: zero.mahi}, rtt: {p50: 1}}", "zero.mahi:2: the trace never delivers"),
        ("{down: {mahimahi: back.mahi}, rtt: {p50: 1}}", "back.mahi:2: 3 ms lies before 9 ms"),
        ("{down: {mahimahi: words.mahi}, rtt: {p50: 1}}", "words.mahi:1: 'x' is not a time"),
        ("{down: {mahimahi: far.mahi}, rtt: {p50: 1}}", "far.mahi:1: longer than"),
        ("{down: {mahimahi: none.mahi}, rtt: {p50: 1}}", "No such file"),
        ("{down: {rate: 1}, rtt: {p50: 1}, loss: 0.9}", "loss must lie"),
    ],
)
def test_a_mistake_in_a_network_is_told_with_its_place(tmp_path: Path, network: str, told: str) -> None:
    (tmp_path / "silent.csv").write_text("time,rate\n0,0\n1,0\n")
    (tmp_path / "back.csv").write_text("0,1\n2,1\n1,1\n")
    (tmp_path / "words.csv").write_text("0,1\nb,c\n")
    (tmp_path / "zero.mahi").write_text("0\n0\n")
    (tmp_path / "back.mahi").write_text("9\n3\n")
    (tmp_path / "words.mahi").write_text("x\n")
    (tmp_path / "far.mahi").write_text("999999999\n")
    path = tmp_path / "ours.yaml"
    path.write_text(f"networks:\n  ours: {network}\n")
    with pytest.raises(UsageError) as caught:
        read_networks(path)
    assert told in str(caught.value)


def test_traces_of_mahimahi_and_csv_carry_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "even.mahi").write_text("".join(f"{at}\n" for at in range(1, 2001)))
    (tmp_path / "steps.csv").write_text("# made up\ntime,rate\n0,12\n0.5,12\n")
    path = tmp_path / "ours.yaml"
    path.write_text(
        "networks:\n  ours: {down: {mahimahi: even.mahi}, up: {csv: steps.csv}, "
        "rtt: {p50: 50, p90: 60}, queue: 64}\n"
    )
    network = read_networks(path)["ours"]
    import numpy as np

    rng = np.random.default_rng(1)
    assert network.down.draw(rng, 2.0).mean == pytest.approx(12e6)
    assert network.up.draw(rng, 2.0).mean == pytest.approx(12e6)
    assert network.queue == 65536


def test_the_same_seed_gives_the_same_figures_on_one_process_and_on_two() -> None:
    study = small(what_would_help=True, turns=60)
    one = values(run_study(study, 7, 1))
    assert one == values(run_study(study, 7, 2))
    assert one != values(run_study(study, 8, 1))


def test_a_dask_cluster_gives_the_same_figures() -> None:
    distributed = pytest.importorskip("distributed")
    study = small(turns=60)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster),
        joblib.parallel_config(backend="dask"),
    ):
        spread = values(run_study(study, 7, None))
    assert spread == values(run_study(study, 7, 1))


def test_the_report_keeps_its_schema() -> None:
    study = small(budgets=(Budget("first_motion_p95", 1.0),), what_would_help=True, turns=40)
    jsonschema.validate(json.loads(json.dumps(values(run_study(study, 1)))), study_schema())


def test_binary_and_a_larger_start_buffer_help_where_they_must() -> None:
    slow = small(networks=(NETWORKS["umts-tmobile-driving"],), what_would_help=True)
    (helps,) = run_study(slow, 1).helps.values()
    saved = {help_.change: help_.saved for help_ in helps}
    assert saved["binary wire instead of base64"].low > 0
    assert [help_.saved.value for help_ in helps] == sorted(
        (help_.saved.value for help_ in helps), reverse=True
    )


def test_the_sketch_comes_out_again() -> None:
    """Without TCP the figures are those of the sketch on LTE of T-Mobile, audio as it comes."""
    pipeline = Pipeline(motion_latency=0.4, motion_jitter=0.0, motion_lead=-1, interrupted_share=0, tcp=False)
    network = NETWORKS["lte-tmobile-driving"]
    (cell,) = run_study(Study("", (network,), {"plain": pipeline}, turns=300), 1).cells
    assert cell.figures["first_motion_p50"].value == pytest.approx(1.45, abs=0.1)
    assert cell.figures["stalls_per_minute"].value < 0.6
    assert cell.figures["keyframes_late"].value == pytest.approx(0.12, abs=0.02)


def test_tcp_never_makes_a_turn_faster() -> None:
    pipeline = Pipeline(seconds=6.0, interrupted_share=0)
    for number in range(20):
        network = NETWORKS["lte-att-2016-driving"]
        with_tcp = simulate_turn(pipeline, network, 1, number)
        without = simulate_turn(replace(pipeline, tcp=False), network, 1, number)
        assert with_tcp.playback.first_audio >= without.playback.first_audio - 1e-9
        assert with_tcp.motion[0][0] >= without.motion[0][0] - 1e-9


def test_what_a_relay_sent_ahead_still_comes_after_an_interrupt() -> None:
    network = NETWORKS["cable"]
    ahead = Pipeline(interrupted_share=1.0)
    paced = replace(ahead, audio=AudioPacing.PACED)
    slow = replace(NETWORKS["3g"], name="slow")
    assert simulate_turn(ahead, network, 1, 0).bytes_after > 0
    assert simulate_turn(ahead, slow, 1, 0).bytes_after > simulate_turn(paced, slow, 1, 0).bytes_after


def test_in_strict_sync_the_audio_waits_and_no_keyframe_is_late() -> None:
    strict = simulate_turn(Pipeline(sync=Sync.STRICT_SYNC), NETWORKS["cable"], 1, 0)
    free = simulate_turn(Pipeline(), NETWORKS["cable"], 1, 0)
    assert strict.playback.late == 0 < free.playback.late
    assert strict.playback.stalls
    assert not free.playback.stalls


def test_every_shipped_network_and_corner_of_a_pipeline_comes_to_its_end() -> None:
    corners = [
        Pipeline(seconds=0.2, interrupted_share=1),
        Pipeline(seconds=4.0, speech_pace=0, audio_chunk=120, speech_chunk=120, payloads_per_message=100),
        Pipeline(seconds=4.0, send_buffer=4096, sync=Sync.STRICT_SYNC),
        Pipeline(seconds=4.0, tcp=False, interrupted_share=1),
        Pipeline(seconds=4.0, client_reads=1e-9, clients=100, relay_rate=0.1, interrupted_share=1),
        Pipeline(seconds=4.0, speech_pace=0.01),
    ]
    for network in NETWORKS.values():
        for pipeline in corners:
            assert simulate_turn(pipeline, replace(network, loss=0.5), 1, 1).trouble <= 600


def test_a_pace_is_0_or_one_that_ends() -> None:
    with pytest.raises(UsageError, match="speech_pace must be 0"):
        Pipeline(speech_pace=1e-320)
    with pytest.raises(UsageError, match="client_reads must be 0"):
        Pipeline(client_reads=1e-320)


def test_clients_that_share_a_link_have_less_of_it() -> None:
    alone = Pipeline(seconds=6.0)
    shared = replace(alone, clients_on_link=5)
    network = NETWORKS["cable"]
    assert (
        simulate_turn(shared, network, 1, 0).motion[0][0] > simulate_turn(alone, network, 1, 0).motion[0][0]
    )


def test_a_slow_client_hears_and_sees_later_and_gets_more_after_an_interrupt() -> None:
    network = NETWORKS["lte"]
    quick = Pipeline(interrupted_share=1.0)
    for tcp in (True, False):
        one = simulate_turn(replace(quick, tcp=tcp), network, 1, 0)
        other = simulate_turn(replace(quick, tcp=tcp, client_reads=0.8), network, 1, 0)
        assert other.motion[0][0] > one.motion[0][0]
        assert other.seconds_after > one.seconds_after


def test_clients_of_one_relay_share_what_leaves_it_and_nothing_else() -> None:
    network = NETWORKS["fios"]

    def first_motions(**changes: object) -> list[float]:
        pipeline = replace(Pipeline(seconds=6.0), **changes)  # type: ignore[arg-type]
        return [simulate_turn(pipeline, network, 1, number).motion[0][0] for number in range(5)]

    alone, few, many = first_motions(), first_motions(clients=20), first_motions(clients=20, relay_rate=3.0)
    assert few == pytest.approx(alone, abs=0.02)
    assert all(before <= after for before, after in zip(few, many, strict=True))
    assert max(many) > max(alone) + 0.1


def test_the_sums_take_no_more_room_for_more_turns() -> None:
    def room(turns: int) -> int:
        (cell,) = run_study(small(turns=turns), 1).cells
        return len(pickle.dumps(cell.tally))

    # Ten times the turns fill some more bins of the distributions, and nothing else.
    assert room(600) < 2 * room(60)


def test_an_interrupted_run_holds_what_was_found() -> None:
    def stop(done: int, total: int) -> None:
        if done >= 50:
            raise KeyboardInterrupt

    outcome = run_study(small(), 1, 1, stop)
    assert not outcome.complete
    assert outcome.cells[0].tally.turns == 50


def test_a_budget_within_its_interval_is_inconclusive() -> None:
    budget = Budget("first_motion_p95", 1.5)
    assert budget.judge(Estimate(1.0, 0.9, 1.5)) is BudgetVerdict.KEPT
    assert budget.judge(Estimate(1.4, 0.9, 1.6)) is BudgetVerdict.INCONCLUSIVE
    assert budget.judge(Estimate(1.8, 1.6, math.inf)) is BudgetVerdict.FAILED


def test_intervals_of_shares_and_quantiles_hold_the_truth_as_often_as_they_say() -> None:
    import numpy as np

    rng = np.random.default_rng(1)
    held_share = held_quantile = 0
    for _ in range(300):
        sample = rng.exponential(1.0, 200)
        share = estimate_share(int((sample > 1).sum()), 200)
        held_share += share.low <= math.exp(-1) <= share.high
        distribution = Distribution()
        for value in sample:
            distribution.add(float(value))
        p90 = estimate_quantile(distribution, 0.9)
        held_quantile += p90.low * 0.99 <= -math.log(0.1) <= p90.high * 1.01
    assert held_share > 275
    assert held_quantile > 275


def test_what_people_see_out_of_step_is_more_than_what_they_do_not_accept() -> None:
    (cell,) = run_study(small(turns=60), 1).cells
    assert cell.figures["offset_seen"].value >= cell.figures["offset_outside"].value > 0


def test_a_few_turns_bound_no_high_quantile() -> None:
    distribution = Distribution()
    for _ in range(10):
        distribution.add(1.0)
    assert estimate_quantile(distribution, 0.95).high == math.inf


def test_the_command_prints_writes_and_tells_the_budgets(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(study_text(turns="200", pipeline="{seconds: 3}", budgets="{first_motion_p95: 0.1 s}"))
    runner = CliRunner()
    result = runner.invoke(cli, ["simulate", str(path), "--report-dir", str(tmp_path)], standalone_mode=False)
    assert result.return_value == 1
    assert "FAILED: cable" in result.output
    report = json.loads((tmp_path / "study.json").read_text())
    assert report["cells"][0]["budgets"] == {"first_motion_p95": "FAILED"}
    page = (tmp_path / "study.html").read_text()
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_a_budget_that_so_few_turns_do_not_decide_ends_the_command_with_6(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(study_text(turns="3", pipeline="{seconds: 3}", budgets="{first_motion_p95: 100 s}"))
    result = CliRunner().invoke(cli, ["simulate", str(path)], standalone_mode=False)
    assert result.return_value == 6
    assert "INCONCLUSIVE: cable" in result.output


def test_the_command_writes_an_example_and_asks_for_a_file() -> None:
    runner = CliRunner()
    assert runner.invoke(cli, ["simulate", "--example"]).output == EXAMPLE.read_text()
    with pytest.raises(UsageError, match="FILE is missing"):
        runner.invoke(cli, ["simulate"], catch_exceptions=False, standalone_mode=False)


def test_a_hostile_name_of_a_policy_is_harmless_on_the_page() -> None:
    from spatius_sim.study.study_page import make_study_page

    name = "<script>alert(1)</script>"
    study = small(policies={name: Pipeline(seconds=2.0)}, turns=3, sweep={"start_buffer": (0.1, 1.0)})
    assert "<script>" not in make_study_page(run_study(study, 1))


def test_a_distribution_rises_only_where_turns_lie() -> None:
    from spatius_sim.study.draw_charts import draw_distribution

    distribution = Distribution()
    for value in (2.0, 2.0, 4.0, math.inf):
        distribution.add(value)
    (points,) = re.findall(r'points="([^"]*)"', draw_distribution({"plain": distribution}, "seconds"))
    heights = [float(point.split(",")[1]) for point in points.split()]
    assert heights[0] == heights[1] > heights[2] == heights[3] > heights[4]


def test_a_sweep_of_one_number_is_drawn_over_its_values() -> None:
    from spatius_sim.study.draw_charts import draw_sweep

    row = {"plain": [Estimate(2.0, 1.0, 3.0), Estimate(1.0, 1.0, 1.0)]}
    drawn = draw_sweep(["start_buffer 1", "start_buffer 4"], row, "trouble")
    assert ">start_buffer</text>" in drawn
    assert ">4</text>" in drawn
    assert ">1</text>" in draw_sweep(["wire json", "wire binary"], row, "trouble")


def test_what_would_help_tries_as_many_changes_as_a_study_counts() -> None:
    unlike_all = Pipeline(region="us-east-1", audio=AudioPacing.PACED)
    assert len(pipelines_with_one_change(unlike_all)) == MAX_CHANGES


def test_every_figure_has_a_definition() -> None:
    assert all(figure.definition.endswith(".") for figure in FIGURES.values())
