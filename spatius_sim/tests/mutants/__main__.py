"""`python -m spatius_sim.tests.mutants [MODULE ...] [--limit N] [--seed N] [--processes N] [--keep FILE]`:
judges mutants of our own client decoder, relay and Motion Server as subjects, and prints what became of them,
as Markdown.

A mutant is killed if the judge says FAILED and names a rule. It is left open if the judge names none, but
does not pass it; it was not run if no plan runs what is mutated; it crashed if it raised an exception, and
timed out if it took some ten times the CPU time of the honest brain. With `--limit`, so many mutants of each
module are judged, drawn by the seed. With `--keep`, what became of each is kept in this file, and a run that
was ended goes on from there.

survivors.toml lists the survivors. Ends with 1 if it does not list one, or lists one that is killed now.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from spatius_sim.tests.mutants.judging import Fate, Judged, draw_plans
from spatius_sim.tests.mutants.making import make_mutants
from spatius_sim.tests.mutants.mutant import MODULES, Mutant
from spatius_sim.tests.mutants.processes import judge_all
from spatius_sim.tests.mutants.result import write_result
from spatius_sim.tests.mutants.survivors import find_disagreements, read_survivors


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help=f"of {', '.join(MODULES)}; all by default"
    )
    parser.add_argument("--limit", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    modules = given.modules or list(MODULES)
    unknown = set(modules) - set(MODULES)
    if unknown:
        parser.error(f"there is no module {', '.join(unknown)} to mutate")
    listed = read_survivors()
    made = {
        name: [mutant for mutant in make_mutants(name) if not listed.leaves_out(mutant)] for name in modules
    }
    chosen = [mutant for mutants in made.values() for mutant in _sample(mutants, given.limit, given.seed)]
    judged = _read_kept(given.keep, chosen) if given.keep else {}
    left = [mutant for mutant in chosen if mutant not in judged]
    for mutant, found in _judge_with_progress(left, given.seed, given.processes):
        judged[mutant] = found
        if given.keep:
            _keep(given.keep, mutant, found)
    heading = f"{datetime.now(UTC):%Y-%m-%d}, commit {_find_commit()}, seed {given.seed}."
    counts = {name: len(mutants) for name, mutants in made.items()}
    sys.stdout.write(write_result(judged, counts, listed, heading))
    all_made = [mutant for mutants in made.values() for mutant in mutants]
    disagreements = find_disagreements(all_made, judged, listed, modules)
    sys.stderr.write("".join(f"{line}\n" for line in disagreements))
    return 1 if disagreements else 0


def _sample(mutants: list[Mutant], limit: int | None, seed: int) -> list[Mutant]:
    """Return so many of these mutants, drawn by the seed; all if there is no limit."""
    if limit is None or limit >= len(mutants):
        return mutants
    return random.Random(seed).sample(mutants, limit)


def _read_kept(path: Path, chosen: Iterable[Mutant]) -> dict[Mutant, Judged]:
    """Return what an earlier run found out of these mutants and kept in this file, if there is one."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = {tuple(key): Judged(Fate(fate), by) for key, fate, by in map(json.loads, lines)}
    return {mutant: kept[mutant.key] for mutant in chosen if mutant.key in kept}


def _keep(path: Path, mutant: Mutant, found: Judged) -> None:
    with path.open("a", encoding="utf-8") as kept:
        kept.write(f"{json.dumps([mutant.key, found.fate, found.by])}\n")


def _judge_with_progress(chosen: list[Mutant], seed: int, processes: int) -> Iterator[tuple[Mutant, Judged]]:
    """Judge these mutants by the plans that their honest brains are judged by first, and yield each with its
    fate; tell on stderr what became of each, and how long the rest may take."""
    for kind in {MODULES[mutant.module].kind: None for mutant in chosen}:
        draw_plans(kind, seed)
    started = time.monotonic()
    for number, (mutant, found) in enumerate(judge_all(chosen, seed, processes, in_forks=True), 1):
        rest = (time.monotonic() - started) / number * (len(chosen) - number)
        sys.stderr.write(f"[{number}/{len(chosen)}, some {rest / 60:.0f} min left] {found}: {mutant}\n")
        yield mutant, found


def _find_commit() -> str:
    """Return the short id of the commit that is checked out; "unknown" outside of a repository."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
