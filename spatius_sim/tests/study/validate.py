"""Holds the model against real TCP, turn by turn.

`python -m spatius_sim.tests.study.validate TURNS AT_ONCE` prints the table of six networks and three
policies; with `rank` at its end, what each change of the first policy saves on two networks, by the model and
measured."""

import math
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import fmean, median

import numpy as np

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.model.network.message_overhead import WireKind
from spatius_sim.model.network.network_profile import NetworkProfile
from spatius_sim.study.pipeline_choices import AudioPacing, Pipeline, Sessions, pipelines_with_one_change
from spatius_sim.study.simulate_turn import SimulatedTurn, TurnNetwork, play_arrivals, simulate_turn
from spatius_sim.tests.study.real_link import Link, real_link

NETWORKS = (
    "lte-att-2016-driving",
    "lte-tmobile-driving",
    "lte-verizon-short",
    "umts-tmobile-driving",
    "5g-ireland-static",
    "3g",
)
_BASE = Pipeline(seconds=10.0, sessions=Sessions.KEPT, interrupted_share=0.0)
POLICIES = {
    "json, as it comes": _BASE,
    "json, paced": Pipeline(
        seconds=10.0, sessions=Sessions.KEPT, interrupted_share=0.0, audio=AudioPacing.PACED
    ),
    "binary, as it comes": Pipeline(
        seconds=10.0, sessions=Sessions.KEPT, interrupted_share=0.0, wire=WireKind.BINARY
    ),
}
MAX_SECONDS = 40.0
SHARE, LEAST = 0.15, 0.060
"""The error of the first motion that is taken at the median: the larger of a share and of seconds."""


RANKED = ("lte-att-2016-driving", "umts-tmobile-driving")
"""The networks on which the ranking of changes is measured."""


@dataclass(frozen=True)
class Pair:
    """One turn by the model and by real TCP: first motions in seconds, stalls, seconds of trouble, and how
    many seconds the first payload took from relay to client."""

    model: float
    real: float
    model_stalls: int
    real_stalls: int
    model_trouble: float = 0.0
    real_trouble: float = 0.0
    model_crossing: float = 0.0
    real_crossing: float = 0.0

    @property
    def error(self) -> float:
        """The error of the first motion, in multiples of what is taken at the median."""
        if math.isinf(self.model) or math.isinf(self.real):
            return 0.0 if self.model == self.real else math.inf
        return abs(self.model - self.real) / max(SHARE * self.real, LEAST)


def play_pair(link: Link, pipeline: Pipeline, network: NetworkProfile, seed: int, number: int) -> Pair:
    """Play a turn by the model and over the link, with the same capacity."""
    model = simulate_turn(pipeline, network, seed, number)
    turn_network = TurnNetwork.draw(network, seed, number, pipeline.seconds)
    messages = [(message.at, message.size) for message in model.messages]
    arrivals = link.play(messages, turn_network.down, turn_network.round_trip, network.queue, MAX_SECONDS)
    real = simulate_turn(pipeline, network, seed, number)
    play_arrivals(real, pipeline, arrivals)
    # The model knows no end after 40 s: what comes later counts as never in both.
    known = [at if at <= MAX_SECONDS else math.inf for at in _arrivals_of(model)]
    play_arrivals(model, pipeline, known)
    return Pair(
        model.playback.first_motion,
        real.playback.first_motion,
        len(model.playback.stalls),
        len(real.playback.stalls),
        model.trouble,
        real.trouble,
        _crossing(model),
        _crossing(real),
    )


def _crossing(turn: SimulatedTurn) -> float:
    """Return how long the first payload took: what the network does, and nothing that is shared."""
    written = next(message.at for message in turn.messages if not message.audio_end)
    return min(MAX_SECONDS, turn.motion[0][0]) - written


def _arrivals_of(turn: SimulatedTurn) -> list[float]:
    audio, motion = iter(turn.audio), iter(turn.motion)
    return [next(audio if message.audio_end else motion)[0] for message in turn.messages]


def play_pairs(task: tuple[int, str, str, int]) -> tuple[str, str, list[Pair]]:
    """Play the turns of one network and one policy, or one change of the first policy."""
    number, network, policy, turns = task
    with real_link(number) as link:
        profile = shipped_networks()[network]
        pipeline = POLICIES.get(policy) or pipelines_with_one_change(_BASE)[policy]
        return network, policy, [play_pair(link, pipeline, profile, 1, turn) for turn in range(turns)]


def row(network: str, policy: str, pairs: Sequence[Pair]) -> str:
    """One line of the table."""
    errors = [pair.error for pair in pairs]
    p50, p90 = float(np.quantile(errors, 0.5)), float(np.quantile(errors, 0.9, method="lower"))
    minutes = len(pairs) * _BASE.seconds / 60
    model = sum(pair.model_stalls for pair in pairs) / minutes
    real = sum(pair.real_stalls for pair in pairs) / minutes
    # Counts of stalls: what lies exactly on the bound keeps it.
    stalls_kept = abs(model - real) <= max(0.2 * real, 0.2) + 1e-9
    kept = p50 <= 1 and p90 <= 2 and stalls_kept
    crossings = [(pair.real_crossing, pair.model_crossing) for pair in pairs]
    real_ms, model_ms = (1000 * median(column) for column in zip(*crossings, strict=True))
    apart = [1000 * abs(real_one - model_one) for real_one, model_one in crossings]
    apart50, apart90 = (float(np.quantile(apart, share)) for share in (0.5, 0.9))
    first = median(pair.real for pair in pairs), median(pair.model for pair in pairs)
    return (
        f"| {network} | {policy} | {len(pairs)} | {first[0]:.2f} / {first[1]:.2f} | {p50:.2f} | {p90:.2f} "
        f"| {real:.2f} / {model:.2f} | {'kept' if kept else 'MISSED'} "
        f"| {real_ms:.0f} / {model_ms:.0f} | {apart50:.0f} | {apart90:.0f} |"
    )


HEAD = (
    "| network | policy | turns | first motion real / model, median s | error p50 (taken: 1) "
    "| error p90 (taken: 2) | stalls a minute real / model | "
    "| first payload's way real / model, median ms | apart p50, ms | apart p90, ms |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def main(turns: int, at_once: int) -> None:
    """Print the whole table; so many pairs are played at once."""
    tasks = [
        (number, network, policy, turns)
        for number, (network, policy) in enumerate((n, p) for n in NETWORKS for p in POLICIES)
    ]
    print(HEAD, flush=True)
    with ThreadPoolExecutor(at_once) as executor:
        for network, policy, pairs in executor.map(_in_a_process, tasks):
            print(row(network, policy, pairs), flush=True)


def rank(turns: int, at_once: int) -> None:
    """Print what each change saves in a turn on two networks, by the model and by real TCP."""
    first = next(iter(POLICIES))
    names = [first, *pipelines_with_one_change(_BASE)]
    tasks = [
        (50 + number, network, name, turns)
        for number, (network, name) in enumerate((n, p) for n in RANKED for p in names)
    ]
    trouble: dict[tuple[str, str], tuple[float, float]] = {}
    with ThreadPoolExecutor(at_once) as executor:
        for network, name, pairs in executor.map(_in_a_process, tasks):
            trouble[network, name] = (
                fmean(pair.model_trouble for pair in pairs),
                fmean(pair.real_trouble for pair in pairs),
            )
    print("| network | change | saved by the model, s | measured, s |\n|---|---|---|---|")
    for network in RANKED:
        model, real = trouble[network, first]
        saved = {
            name: (model - trouble[network, name][0], real - trouble[network, name][1]) for name in names[1:]
        }
        for name, (by_model, measured) in sorted(saved.items(), key=lambda item: -item[1][1]):
            print(f"| {network} | {name} | {by_model:+.2f} | {measured:+.2f} |")


def _in_a_process(task: tuple[int, str, str, int]) -> tuple[str, str, list[Pair]]:
    """Play one task in a process of its own, which may have children."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, task))
    process.start()
    answer: tuple[str, str, list[Pair]] = ours.recv()
    process.join()
    return answer


def _answer(pipe: Connection, task: tuple[int, str, str, int]) -> None:
    pipe.send(play_pairs(task))


if __name__ == "__main__":
    (rank if "rank" in sys.argv else main)(int(sys.argv[1]), int(sys.argv[2]))
