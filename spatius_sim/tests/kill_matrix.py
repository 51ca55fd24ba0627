"""`python -m spatius_sim.tests.kill_matrix [--seeds N] [--first-seed N] [--processes N] [--out F] [NAME]...`:
judges every miniature and every honest subject by whole runs of the ci profile, and prints who was named by
what, or writes it to a file.

Ends with 1 unless each miniature was named by its own rule from every seed, and no honest subject by any. In
a whole run a fault also breaks what follows from it: that is told. `test_rules_bite.py` looks at it under the
plans of the miniature's own rule, where no other may name it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from spatius_sim.engine.run_profiles import profile_named
from spatius_sim.rules.catalogue import REVISION, RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.suspects import HONEST, WRONG, Hearing, Suspect


class Run(NamedTuple):
    """One suspect from one seed: the rules that named it, those that stayed open though ci promises them,
    and the seconds it took."""

    suspect: int
    seed: int
    named: tuple[str, ...]
    open: tuple[str, ...]
    seconds: float


SUSPECTS = [*WRONG, *HONEST]


def judged(number: int, seed: int) -> Run:
    """A whole run."""
    started = time.monotonic()
    suspect = SUSPECTS[number]
    with tempfile.TemporaryDirectory() as folder, Hearing(suspect, seed, Path(folder)) as hearing:
        outcomes = hearing.of_all_rules()
    named = tuple(name for name, outcome in outcomes.items() if outcome.verdict is Verdict.FAILED)
    # What a failed rule keeps from being judged is open for that reason.
    ci = profile_named("ci")
    stays = tuple(
        name
        for name, outcome in outcomes.items()
        if ci.requires(name)
        and outcome.verdict not in (Verdict.FAILED, _expected(suspect, name))
        and suspect.rule_id not in outcome.blocked_by
    )
    return Run(number, seed, named, stays, time.monotonic() - started)


def _expected(suspect: Suspect, rule_id: str) -> Verdict:
    applies = not RULES[rule_id].explain_not_applicable(suspect.lacks)
    return Verdict.PASSED if applies else Verdict.NOT_APPLICABLE


def row(suspect: Suspect, runs: Iterable[Run]) -> tuple[str, bool]:
    """A line of the table, and whether the judge was right every time."""
    runs = list(runs)
    accused = Counter(name for run in runs for name in run.named)
    killed = accused.pop(suspect.rule_id, 0)
    left_open = Counter(name for run in runs for name in run.open)
    right = killed == len(runs) if suspect.rule_id else not accused and not left_open
    told = f"killed {killed:2} of {len(runs)}" if suspect.rule_id else f"honest {len(runs):2} runs"
    others = "".join(f", also named by {name} {times} times" for name, times in accused.items())
    others += "".join(f", {name} left open {times} times" for name, times in left_open.items())
    mark = "  " if right else "! "
    return f"{mark}{suspect.rule_id:20} {suspect.name:28} {told}{others}", right


def run_all(suspects: Iterable[int], seeds: range, processes: int) -> Iterator[Run]:
    """Every suspect from every seed, in parallel."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(judged, number, seed) for seed in seeds for number in suspects]
        for task in as_completed(tasks):
            yield task.result()


def commit() -> str:
    """Return the date and the commit of now, in words."""
    asked = ["git", "rev-parse", "--short", "HEAD"]
    named = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {named}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument(
        "names", nargs="*", help="only these suspects, or kinds: relay, server, client, room, honest"
    )
    given = parser.parse_args()
    wanted = set(given.names)
    chosen = [
        number
        for number, suspect in enumerate(SUSPECTS)
        if not wanted or {suspect.name, suspect.kind, suspect.rule_id or "honest"} & wanted
    ]
    runs: dict[int, list[Run]] = {number: [] for number in chosen}
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    for run in run_all(chosen, seeds, given.processes):
        runs[run.suspect].append(run)
        line, _ = row(SUSPECTS[run.suspect], [run])
        sys.stderr.write(f"{line} (seed {run.seed}, {run.seconds:.0f} s)\n")
    rows = [row(SUSPECTS[number], of) for number, of in runs.items()]
    wrong = sum(not right for _, right in rows)
    told = "\n".join(line.rstrip() for line, _ in rows)
    told += f"\n{len(rows)} subjects from {given.seeds} seeds each; the judge was wrong of {wrong}\n"
    if given.out:
        origin = f"Whole runs of the ci profile in virtual time; catalogue revision {REVISION}; {commit()}."
        given.out.write_text(f"{origin}\n\n{told}")
    else:
        sys.stdout.write(told)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
