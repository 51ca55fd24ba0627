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


def measure_study(turn_count: int) -> Iterator[tuple[str, float, str, str]]:
    """Measure how fast a study simulates `turn_count` turns on each network. Yield name, value, unit and
    promise (the limit that must be kept, or "") of each figure.

    How long 1,000 turns on each network take is not measured, but estimated from these turns and from one
    judged turn on each network."""
    unit = "session-s/CPU-s"
    cpu_with_tcp = _time_simulation(Pipeline(), turn_count)
    cpu_without_tcp = _time_simulation(replace(Pipeline(), tcp=False), turn_count)
    spoken_seconds = turn_count * len(shipped_networks()) * Pipeline().seconds
    yield "study, with TCP", spoken_seconds / cpu_with_tcp, unit, "at least 500"
    yield "study, without TCP", spoken_seconds / cpu_without_tcp, unit, ""
    cpu_per_turn = cpu_with_tcp / turn_count + _time_judging() / TURNS_PER_JUDGED_TURN
    cpu_seconds = _TURNS_PROMISED * cpu_per_turn
    name = "1,000 turns of 20 s on every network, two cores"
    yield name, cpu_seconds / _CORES_PROMISED / 60, "min", "at most 10"


def _time_simulation(pipeline: Pipeline, turn_count: int) -> float:
    """Simulate `turn_count` turns on each network, and return how many seconds of CPU that takes in all.
    `pipeline` says how server, relay and client are set up."""
    started_at = time.process_time()
    for network in shipped_networks().values():
        tally = Tally()
        for turn_number in range(turn_count):
            tally.add(simulate_turn(pipeline, network, _SEED, turn_number), pipeline.seconds)
    return time.process_time() - started_at


def _time_judging() -> float:
    """Judge one simulated turn on each network by the rules, and return how many seconds of CPU that takes in
    all."""
    started_at = time.process_time()
    for network in shipped_networks().values():
        judge_turn(Pipeline(), network, _SEED, 0)
    return time.process_time() - started_at
