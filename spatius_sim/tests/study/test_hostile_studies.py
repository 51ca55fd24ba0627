"""Studies, networks and traces that somebody wrote to do harm: one clear line, in bounded time and memory."""

import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spatius_sim.files.network_file import MAX_RATE_TRACE_BYTES, read_networks, read_rate_trace
from spatius_sim.protocol.errors import UsageError
from spatius_sim.study.simulate_turn import simulate_turn
from spatius_sim.study.study_file import read_study

STUDY = """about: ours
turns: 2
networks: [ours]
network-file: networks.yaml
pipeline: {seconds: 1, speech_pace: 2, speech_chunk: 0.1, wire: json, send_buffer: 9000, tcp: true}
policies: {plain: {}, paced: {audio: paced}}
sweep: {start_buffer: [0.1, 1]}
budgets: {first_motion_p95: 3 s}
"""
NETWORKS = """networks:
  ours:
    down:
      {log_mean: 1, log_sd: 0.9, correlation: 0.6, most: 100,
       outages: {per_minute: 11, mean: 0.4, p95: 0.9, longest: 1}}
    up: {csv: trace.csv}
    rtt: {p50: 60, p90: 90}
    loss: 0.01
    queue: 256
"""
CSV = "0,1\n0.5,2\n1,0\n2,4\n"
NUMBERS = ["nan", ".inf", "-1", "0", "-0.0", "1e308", "1e-320", "5e-324", "1e999", "999999999999", "9" * 400]
WORDS = [
    "[]",
    "{}",
    "null",
    "'",
    "&a [*a]",
    "!!python/object:os.system x",
    "\0",
    "\u00e9",
    "../../etc",
    "x" * 500,
]
NASTY = st.sampled_from([*NUMBERS, *WORDS])


def written(folder: Path, study: str = STUDY, networks: str = NETWORKS, csv: str = CSV) -> Path:
    for name, text in (("study.yaml", study), ("networks.yaml", networks), ("trace.csv", csv)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "study.yaml"


def told(path: Path) -> str:
    """Read a study and play a turn of each policy; return the error in words, or nothing."""
    try:
        study = read_study(path)
    except UsageError as error:
        return str(error)
    for cell in study.cells():
        simulate_turn(cell.pipeline, cell.network, 1, 0)
    return ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["study", "networks", "csv"]), st.integers(0, 200), NASTY)
@example("study", 3, "\0")
@example("csv", 2, "1e-320")
@example("study", 148, "1e-320")
@example("networks", 31, "1e308")
@example("networks", 24, "1e-320")
@example("networks", 31, "-1e308")
def test_whatever_stands_for_a_word_is_played_or_told_in_one_line(
    tmp_path: Path, where: str, place: int, nasty: str
) -> None:
    text = {"study": STUDY, "networks": NETWORKS, "csv": CSV}[where]
    words = list(re.finditer(r"[\w.\-]+", text))
    word = words[place % len(words)]
    path = written(tmp_path, **{where: text[: word.start()] + nasty + text[word.end() :]})
    line = told(path)
    assert "\n" not in line
    assert len(line) < 1000 + len(str(tmp_path)) * 3
    assert not line or re.match(r".*(yaml|csv)(:\d+)?: ", line)


@pytest.mark.parametrize(
    ("study", "error"),
    [
        (STUDY.replace("turns: 2", "turns: 2\nturns: 3"), ":3: turns stands here twice"),
        (STUDY.replace("plain: {}", "plain: {wire: json, wire: binary}"), "wire stands here twice"),
        (STUDY.replace("[0.1, 1]", str([number / 100 for number in range(8000)])), "8000 points"),
        (STUDY.replace("[0.1, 1]", str(list(range(1_000_000)))), "larger than 65536 bytes"),
        (STUDY + "about2: " + "[" * 500, "nested more than 32 deep"),
        ("a: &a [x]\nb: [*a, *a, *a]\n", ":2: aliases are not taken"),
        (STUDY.replace("seconds: 1,", "seconds: .nan,"), ":5: seconds must be a number"),
        (STUDY.replace("seconds: 1,", "seconds: -1,"), ":5: seconds: must lie between"),
        (STUDY.replace("send_buffer: 9000", "send_buffer: 1e9"), ":5: send_buffer must be a whole number"),
        (STUDY.replace("3 s}", "-3 s}"), ":8: first_motion_p95: '-3 s' is not a number"),
        (STUDY.replace("networks.yaml", "study.yaml"), "is unknown here"),
        ("\0", "study.yaml:1: no YAML: a character that no text has"),
    ],
)
def test_a_study_that_does_harm_is_refused(tmp_path: Path, study: str, error: str) -> None:
    assert error in told(written(tmp_path, study))


def test_a_million_points_are_counted_and_never_made(tmp_path: Path) -> None:
    values = f"[{', '.join(['1'] * 400)}]"
    path = written(tmp_path, STUDY.replace("[0.1, 1]", f"{values}, audio_lead: {values}"))
    tracemalloc.start()
    assert "160000 points with audio_lead; 1 to 400 are taken" in told(path)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20e6


@pytest.mark.parametrize(
    ("csv", "error"),
    [
        ("", "trace.csv:1: a trace needs two lines"),
        ("time,rate\n", "trace.csv:1: a trace needs two lines"),
        ("0,1\n", "trace.csv:1: a trace needs two lines"),
        ("0,nan\n1,1\n", "trace.csv:1: the rate must lie between"),
        ("0,inf\n1,1\n", "trace.csv:1: the rate must lie between"),
        ("0,-1\n1,1\n", "trace.csv:1: the rate must lie between"),
        ("nan,1\n1,1\n", "trace.csv:1: the times must rise"),
        ("-1,1\n1,1\n", "trace.csv:1: the times must rise"),
        ("0,1\n0,1\n", "trace.csv:2: the times must rise"),
        ("0,1,2\n", "trace.csv:1: '0,1,2' is not"),
        ("0;1\n", "trace.csv:1: '0;1' is not"),
        ("0,1\n1,1\nEND\n", "trace.csv:3: 'END' is not"),
        ("0,1\n0.000001,1\n", "more than 1000 steps a second: thin it out"),
        ("0,1\n1e-300,1\n5,1\n", "two steps of the trace lie within a millionth of a second"),
        ("0,1\n" + "1" * 300, "trace.csv:2: the line is too long"),
        ("".join(f"{at},1\n" for at in range(200_001)), "trace.csv:200001: more than 200000 lines"),
        ("0,0\n1,0\n2,0\n", "trace.csv:1: the trace never delivers"),
        ("\0\0\n", "trace.csv:1: '\\x00\\x00' is not"),
    ],
)
def test_a_trace_in_csv_that_is_none_is_told_with_its_line(tmp_path: Path, csv: str, error: str) -> None:
    assert error in told(written(tmp_path, csv=csv))


@pytest.mark.parametrize(
    ("trace", "error"),
    [
        ("", "trace.mahi:1: the trace never delivers"),
        ("# nothing\n\n", "the trace never delivers"),
        ("0\n", "trace.mahi:1: the trace never delivers"),
        ("-1\n", "trace.mahi:1: '-1' is not a time"),
        ("1.5\n", "trace.mahi:1: '1.5' is not a time"),
        ("nan\n", "trace.mahi:1: 'nan' is not a time"),
        ("1\n1000000000000\n", "trace.mahi:2: '1000000000000' is not a time"),
        ("10000001\n", "trace.mahi:1: longer than 10000 s"),
        ("5\n4\n", "trace.mahi:2: 4 ms lies before 5 ms"),
        ("\u0665\n", "is not a time in whole milliseconds"),
        ("1" * 1000, "trace.mahi:1: the line is too long"),
    ],
)
def test_a_trace_of_mahimahi_that_is_none_is_told_with_its_line(
    tmp_path: Path, trace: str, error: str
) -> None:
    path = tmp_path / "trace.mahi"
    path.write_text(trace, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        read_rate_trace(path, "mahimahi")
    assert error in str(caught.value)


def test_a_trace_file_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trace.mahi"
    with path.open("wb") as file:
        file.truncate(MAX_RATE_TRACE_BYTES + 1)
    with pytest.raises(UsageError, match="larger than"):
        read_rate_trace(path, "mahimahi")
    with pytest.raises(UsageError, match="Is a directory"):
        read_rate_trace(tmp_path, "csv")


def test_many_packets_at_one_moment_are_one_step(tmp_path: Path) -> None:
    path = tmp_path / "trace.mahi"
    path.write_text("1\n" * 100_000)
    trace = read_rate_trace(path, "mahimahi")
    assert len(trace.rates) == 1
    assert trace.draw(np.random.default_rng(1), 300.0).mean == pytest.approx(100_000 * 12_000 / 0.05)


def test_the_finest_trace_is_drawn_in_bounded_room(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("0,1\n0.001,0\n0.002,2\n")
    tracemalloc.start()
    read_rate_trace(path, "csv").draw(np.random.default_rng(1), 60.0)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20e6


def test_more_networks_than_a_page_shows_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "networks.yaml"
    lines = (f"  n{number}: {{down: {{rate: 1}}, rtt: {{p50: 1}}}}" for number in range(65))
    path.write_text("networks:\n" + "\n".join(lines))
    with pytest.raises(UsageError, match="networks: more than 64"):
        read_networks(path)
