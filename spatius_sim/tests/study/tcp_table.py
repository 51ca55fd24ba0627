"""Prints what TCP adds to the figures of a network: `python -m spatius_sim.tests.study.tcp_table TURNS`."""

import sys
from dataclasses import replace

from spatius_sim.files.network_file import shipped_networks
from spatius_sim.model.network.message_overhead import WireKind
from spatius_sim.model.network.network_profile import NetworkProfile, RoundTrip
from spatius_sim.study.pipeline_choices import AudioPacing, Pipeline, Sessions
from spatius_sim.study.simulate_turn import simulate_turn
from spatius_sim.study.study_figures import estimates
from spatius_sim.study.turn_tally import Distribution, Tally

NETWORKS = ("lte-tmobile-driving", "lte-att-2016-driving", "umts-tmobile-driving")
BASE = Pipeline(
    motion_latency=0.4,
    motion_jitter=0.0,
    motion_lead=-1.0,
    sessions=Sessions.KEPT,
    audio_lead=0.2,
    interrupted_share=0.0,
)
HEAD = (
    "| network | wire | audio | first motion p50/p95/p99, s | with TCP | stalls a minute | with TCP "
    "| turns with a stall | with TCP | keyframes late p50/p95 of turns, % | with TCP |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)


def figures(pipeline: Pipeline, network: NetworkProfile, turns: int) -> list[str]:
    """Return first motion, stalls, turns with a stall and late keyframes in words."""
    tally, late = Tally(), Distribution()
    for number in range(turns):
        turn = simulate_turn(pipeline, network, 1, number)
        tally.add(turn, pipeline.seconds)
        late.add(100 * turn.playback.late / turn.playback.keyframes)
    found = {key: estimate.value for key, estimate in estimates(tally).items()}
    late50, late95 = (late.value_at_rank(round(share * turns)) for share in (0.5, 0.95))
    return [
        "/".join(f"{found[f'first_motion_p{share}']:.2f}" for share in (50, 95, 99)),
        f"{found['stalls_per_minute']:.2f}",
        f"{100 * found['turns_with_stall']:.0f} %",
        f"{late50:.0f}/{late95:.0f}",
    ]


def main(turns: int) -> None:
    """Print the table: three networks, two wires, audio as it comes and paced; without TCP and with it."""
    print(HEAD, flush=True)
    for name in NETWORKS:
        network = replace(shipped_networks()[name], round_trip=RoundTrip(0.06, 0.06))
        for wire in WireKind:
            for audio, word in ((AudioPacing.AT_ONCE, "as it comes"), (AudioPacing.PACED, "paced")):
                pipeline = replace(BASE, wire=wire, audio=audio)
                both = zip(
                    figures(replace(pipeline, tcp=False), network, turns),
                    figures(pipeline, network, turns),
                    strict=True,
                )
                cells = " | ".join(f"{without} | {with_tcp}" for without, with_tcp in both)
                print(f"| {name} | {wire.value} | {word} | {cells} |", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
