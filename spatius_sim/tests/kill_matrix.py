"""`python -m spatius_sim.tests.kill_matrix [--own-rules] [--seeds N] [--first-seed N] [--processes N]
[--keep F] [--out F] [NAME]...`: judges every miniature and every honest subject by whole runs of the ci
profile, and prints who was named by what, or writes it to a file. With `--keep`, what each run found is kept
in this file, and a matrix that was ended goes on from there, if it is of the same commit.

Ends with 1 unless each miniature was named by its own rule from every seed, and no honest subject by any. In
a whole run a fault also breaks what follows from it: that is told. With `--own-rules` the miniatures alone
are judged, by the plans of their own rule, until one of these is seen to fail twice: there no other rule may
name them.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from spatius_sim.engine.run_profiles import profile_named
from spatius_sim.rules.catalogue import REVISION, RULES
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.suspects import HONEST, WRONG, Hearing, Suspect
from spatius_sim.tests.worker_pool import worker_pool

_HEADINGS = {"relay": "Relays", "client": "Clients", "server": "Motion Servers", "room": "Egresses"}


class Run(NamedTuple):
    """One suspect from one seed: the rules that named it, those that stayed open though ci promises them, how
    many scenarios were run, and the seconds and CPU seconds it took."""

    suspect: int
    seed: int
    named: tuple[str, ...]
    open: tuple[str, ...]
    scenarios: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0


SUSPECTS = [*WRONG, *HONEST]


def judged(number: int, seed: int) -> Run:
    """A whole run."""
    suspect = SUSPECTS[number]
    with tempfile.TemporaryDirectory() as folder, Hearing(suspect, seed, Path(folder)) as hearing:
        outcomes = hearing.of_all_rules()
        scenarios = hearing.scenarios
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
    return Run(number, seed, named, stays, scenarios)


def judged_by_own_rule(number: int, seed: int) -> Run:
    """The plans of a miniature's own rule. It stays open if no scenario was seen to fail twice."""
    suspect = SUSPECTS[number]
    with tempfile.TemporaryDirectory() as folder, Hearing(suspect, seed, Path(folder)) as hearing:
        outcome = hearing.of(suspect.rule_id)
        accusations, scenarios = tuple(sorted(hearing.accusations)), hearing.scenarios
    is_certain = outcome.failure is not None and outcome.failure.confirmed
    return Run(number, seed, accusations, () if is_certain else (suspect.rule_id,), scenarios)


def timed(judge: Callable[[int, int], Run], number: int, seed: int) -> Run:
    """Judge this suspect from this seed, and note what it took."""
    started, cpu_before = time.monotonic(), time.process_time()
    run = judge(number, seed)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - cpu_before
    return run._replace(seconds=seconds, cpu_seconds=cpu_seconds)


def _expected(suspect: Suspect, rule_id: str) -> Verdict:
    applies = not RULES[rule_id].explain_not_applicable(suspect.lacks)
    return Verdict.PASSED if applies else Verdict.NOT_APPLICABLE


def row(suspect: Suspect, runs: Iterable[Run], *, alone: bool = False) -> tuple[str, bool]:
    """A line of the table, and whether the judge was right every time. `alone`: no other rule may name it."""
    runs = list(runs)
    accused = Counter(name for run in runs for name in run.named)
    killed = accused.pop(suspect.rule_id, 0)
    left_open = Counter(name for run in runs for name in run.open)
    is_let_off = not accused and not left_open
    right = killed == len(runs) and (is_let_off or not alone) if suspect.rule_id else is_let_off
    told = f"killed {killed:2} of {len(runs)}" if suspect.rule_id else f"honest {len(runs):2} runs"
    others = "".join(f", also named by {name} {times} times" for name, times in accused.items())
    others += "".join(f", {name} left open {times} times" for name, times in left_open.items())
    mark = "  " if right else "! "
    return f"{mark}{suspect.rule_id:20} {suspect.name:28} {told}{others}", right


def run_all(
    tasks: Iterable[tuple[int, int]], processes: int, judge: Callable[[int, int], Run] = judged
) -> Iterator[Run]:
    """Judge each of these suspects, by number, from the seed beside it, in parallel."""
    with worker_pool(processes) as pool:
        submitted = [pool.submit(timed, judge, number, seed) for number, seed in tasks]
        for task in as_completed(submitted):
            yield task.result()


def read_kept(path: Path, of: str) -> list[Run]:
    """Return the runs that an ended matrix kept in this file; none if there is no file. Runs of anything else
    than `of`, which says how they were judged and by which commit, are left out."""
    numbers = {suspect.name: number for number, suspect in enumerate(SUSPECTS)}
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [
        Run(numbers[name], seed, tuple(named), tuple(stays), *rest)
        for kept_of, name, seed, named, stays, *rest in map(json.loads, lines)
        if kept_of == of
    ]


def keep(path: Path, of: str, run: Run) -> None:
    """Add a run to those that are kept in this file. `of`: see `read_kept`."""
    with path.open("a", encoding="utf-8") as kept:
        kept.write(f"{json.dumps([of, SUSPECTS[run.suspect].name, *run[1:]])}\n")


def commit() -> str:
    """Return the date and the commit of now, in words."""
    return f"{datetime.now(UTC):%Y-%m-%d}, commit {_short_commit()}"


def _short_commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def table(runs: Iterable[Run], origin: str, *, alone: bool = False) -> tuple[str, int]:
    """Return a table of these runs for each kind of subject, and of how many subjects the judge was wrong.
    `origin` says what was run, when, and of which commit; `alone`: no other rule may name a miniature."""
    by_suspect: dict[int, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.suspect, run.seed)):
        by_suspect.setdefault(run.suspect, []).append(run)
    lines, wrong = [origin], 0
    for kind, heading in _HEADINGS.items():
        rows = [
            row(SUSPECTS[number], of, alone=alone)
            for number, of in by_suspect.items()
            if SUSPECTS[number].kind == kind
        ]
        if rows:
            wrong_here = sum(not right for _, right in rows)
            lines += ["", f"{heading}:", "", *(line.rstrip() for line, _ in rows)]
            lines += [f"{len(rows)} subjects; the judge was wrong of {wrong_here}"]
            wrong += wrong_here
    every_run = [run for of in by_suspect.values() for run in of]
    cpu_minutes = sum(run.cpu_seconds for run in every_run) / 60
    lines += ["", f"{sum(run.scenarios for run in every_run)} scenarios, {cpu_minutes:.1f} CPU-minutes"]
    return "\n".join(lines) + "\n", wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--own-rules", action="store_true")
    parser.add_argument(
        "names", nargs="*", help="only these suspects, or kinds: relay, server, client, room, honest"
    )
    given = parser.parse_args()
    wanted = set(given.names)
    chosen = [
        number
        for number, suspect in enumerate(SUSPECTS)
        if (not wanted or {suspect.name, suspect.kind, suspect.rule_id or "honest"} & wanted)
        and (suspect.rule_id or not given.own_rules)
    ]
    if not chosen:
        parser.error(f"nobody is called {', '.join(given.names)}, or no miniature")
    if given.seeds < 1:
        parser.error("--seeds is at least 1")
    judge = judged_by_own_rule if given.own_rules else judged
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    tasks = {(number, seed): None for seed in seeds for number in chosen}
    of = f"{judge.__name__} at {_short_commit()}"
    kept = read_kept(given.keep, of) if given.keep else []
    runs = {(run.suspect, run.seed): run for run in kept if (run.suspect, run.seed) in tasks}
    for run in run_all((task for task in tasks if task not in runs), given.processes, judge):
        runs[run.suspect, run.seed] = run
        if given.keep:
            keep(given.keep, of, run)
        line, _ = row(SUSPECTS[run.suspect], [run], alone=given.own_rules)
        sys.stderr.write(f"{line} (seed {run.seed}, {run.scenarios} scenarios, {run.seconds:.0f} s)\n")
    what = "The plans of each miniature's own rule" if given.own_rules else "Whole runs of the ci profile"
    origin = (
        f"{what} in virtual time, seeds {seeds[0]} to {seeds[-1]}; catalogue revision {REVISION}; {commit()}."
    )
    told, wrong = table(runs.values(), origin, alone=given.own_rules)
    if given.out:
        given.out.write_text(told)
    else:
        sys.stdout.write(told)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
