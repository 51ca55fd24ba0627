"""`python -m spatius_sim.tests.same_verdicts [--processes N]`: judges every miniature by the plans of its own
rule, over sockets and in virtual time, and prints a table of both verdicts. Ends with 1 if two differ."""

import argparse
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from spatius_sim.tests.suspects import WRONG, Hearing

OVER_BOTH = [suspect for suspect in WRONG if suspect.kind != "room"]
"""The miniatures that there are over sockets, too; wrong rooms are virtual ones."""


class Verdicts(NamedTuple):
    """What became of one suspect: the verdict of its own rule, and all rules that any scenario broke."""

    verdict: str
    accusations: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.verdict}: {', '.join(self.accusations) or 'none'}"


def judge_by(number: int, *, over_sockets: bool) -> Verdicts:
    """Judge a suspect by the plans of its own rule, from seed 1."""
    suspect = OVER_BOTH[number]
    with (
        tempfile.TemporaryDirectory() as folder,
        Hearing(suspect, 1, Path(folder), over_sockets=over_sockets) as hearing,
    ):
        outcome = hearing.of(suspect.rule_id)
        return Verdicts(outcome.verdict, tuple(sorted(hearing.accusations)))


def judge_twice(number: int) -> tuple[Verdicts, Verdicts]:
    """Judge a suspect over sockets, then in virtual time."""
    return judge_by(number, over_sockets=True), judge_by(number, over_sockets=False)


def main() -> int:
    """Print a row for each miniature as soon as it is judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    processes = parser.parse_args().processes
    sys.stdout.write("| miniature | over sockets | in virtual time | |\n|---|---|---|---|\n")
    differ = 0
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for suspect, pair in zip(OVER_BOTH, pool.map(judge_twice, range(len(OVER_BOTH))), strict=True):
            same = pair[0] == pair[1]
            differ += not same
            row = f"| {suspect.name} | {pair[0]} | {pair[1]} | {'same' if same else 'DIFFERENT'} |\n"
            sys.stdout.write(row)
            sys.stdout.flush()
    sys.stdout.write(f"\n{len(OVER_BOTH)} miniatures, {differ} of them with different verdicts.\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
