"""How fast studies are simulated: with TCP, without it, and with the judging of one turn in twenty."""

import time
from collections.abc import Iterator
from dataclasses import replace

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.study.judge_turns import TURNS_PER_JUDGED_TURN, judge_turn
from spatius_sim.study.pipeline_choices import Pipeline
from spatius_sim.study.simulate_turn import simulate_turn
from spatius_sim.study.turn_tally import Tally

_SEED = 1
_TURNS_PROMISED = 1000
_CORES_PROMISED = 2


def measure_study(turns: int) -> Iterator[tuple[str, float, str, str]]:
    """Measure how fast a study simulates: simulate `turns` turns on each network, and yield name, value, unit
    and promise of each figure.

    The minutes for 1,000 turns on each network are reckoned from these turns, and from one judged turn on
    each network."""
    unit = "session-s/CPU-s"
    with_tcp = _time_simulation(Pipeline(), turns)
    without_tcp = _time_simulation(replace(Pipeline(), tcp=False), turns)
    spoken_seconds = turns * len(shipped_networks()) * Pipeline().seconds
    yield "study, with TCP", spoken_seconds / with_tcp, unit, "at least 500"
    yield "study, without TCP", spoken_seconds / without_tcp, unit, ""
    judging = _time_judging()
    cpu_seconds = _TURNS_PROMISED * (with_tcp / turns + judging / TURNS_PER_JUDGED_TURN)
    name = "1,000 turns of 20 s on every network, two cores"
    yield name, cpu_seconds / _CORES_PROMISED / 60, "min", "at most 10"


def _time_simulation(pipeline: Pipeline, turns: int) -> float:
    """Benchmark the simulation: simulate so many turns of a study on each network, and return how many
    seconds of CPU that takes."""
    started = time.process_time()
    for network in shipped_networks().values():
        tally = Tally()
        for number in range(turns):
            tally.add(simulate_turn(pipeline, network, _SEED, number), pipeline.seconds)
    return time.process_time() - started


def _time_judging() -> float:
    """Benchmark the judging: judge one turn of a study on each network, and return how many seconds of CPU
    that takes."""
    started = time.process_time()
    for network in shipped_networks().values():
        judge_turn(Pipeline(), network, _SEED, 0)
    return time.process_time() - started
