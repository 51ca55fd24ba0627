"""How fast studies are simulated: with TCP, without it, and with the judging of one turn in twenty."""

import time
from collections.abc import Iterator
from dataclasses import replace

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.study.judge_turns import ONE_IN, judge_turn
from spatius_sim.study.pipeline import Pipeline
from spatius_sim.study.simulate_turn import simulate_turn
from spatius_sim.study.tally import Tally

_SEED = 1
_TURNS_PROMISED = 1000
_CORES_PROMISED = 2


def measure_study(turns: int) -> Iterator[tuple[str, float, str, str]]:
    """Yield name, value, unit and promise of each figure, from so many turns on each network.

    The minutes for 1,000 turns on each network are reckoned from these turns, and from one judged turn on
    each network."""
    unit = "session-s/CPU-s"
    with_tcp = _cpu_seconds(Pipeline(), turns)
    without = _cpu_seconds(replace(Pipeline(), tcp=False), turns)
    spoken = turns * len(shipped_networks()) * Pipeline().seconds
    yield "study, with TCP", spoken / with_tcp, unit, "at least 500"
    yield "study, without TCP", spoken / without, unit, ""
    judged = _cpu_seconds_of_judging()
    whole = _TURNS_PROMISED * (with_tcp / turns + judged / ONE_IN)
    name = "1,000 turns of 20 s on every network, two cores"
    yield name, whole / _CORES_PROMISED / 60, "min", "at most 10"


def _cpu_seconds(pipeline: Pipeline, turns: int) -> float:
    """Simulate so many turns on each network, and return the seconds of CPU."""
    started = time.process_time()
    for network in shipped_networks().values():
        tally = Tally()
        for number in range(turns):
            tally.add(simulate_turn(pipeline, network, _SEED, number), pipeline.seconds)
    return time.process_time() - started


def _cpu_seconds_of_judging() -> float:
    """Judge a turn on each network, and return the seconds of CPU."""
    started = time.process_time()
    for network in shipped_networks().values():
        judge_turn(Pipeline(), network, _SEED, 0)
    return time.process_time() - started
