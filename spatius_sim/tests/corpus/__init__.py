"""The corpus of small tapes: each wire, scenes of note, and each rule's smallest failure.

Nothing in it depends on a clock, a socket, chance or the rounding of a machine: the same seed makes the same
bytes everywhere.
"""

from pathlib import Path

from spatius_sim.tape.tape_values import TapeHeader
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.tests.corpus import client_failures, relay_failures, room_failures, server_failures
from spatius_sim.tests.corpus.failures import SMALLEST
from spatius_sim.tests.corpus.scenes import SCENES, SEED, WIRES, Scene
from spatius_sim.tests.rules.traces import NOW, RATE
from spatius_sim.trace.events import Trace

__all__ = [
    "SMALLEST",
    "client_failures",
    "make_corpus",
    "relay_failures",
    "room_failures",
    "server_failures",
]


def make_corpus(folder: Path) -> list[Path]:
    """Write every tape of the corpus into `folder`; their paths."""
    honest = Scene().told()
    traces: dict[str, Trace] = {f"wire-{wire.name}": Scene(wire.name).told(2) for wire in WIRES}
    traces |= {f"fails-{rule_id}": trace() for rule_id, trace in SMALLEST.items()}
    traces |= {f"scene-{name.replace(' ', '-')}": Scene(fault=name).told() for name in SCENES}
    kept = TapeHeader("fixture", int(NOW * 1000), "", SEED, (RATE,), ("secrets", "names"))
    muted = TapeHeader("fixture", int(NOW * 1000), "", SEED, (RATE,))
    written = []
    for name, trace in sorted(traces.items()):
        written.append(folder / f"{name}.tape")
        write_traces(written[-1], kept, [trace])
    write_traces(folder / "without-speech.tape", muted, [honest])
    return [*written, folder / "without-speech.tape"]
