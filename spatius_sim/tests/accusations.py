"""`python -m spatius_sim.tests.accusations [--processes N] [--sample N] [--out FILE] [KIND ...]`: judges all
miniatures, or a sample that the seed draws, by a whole run of the ci profile, and tells how many rules accuse
each: one fault ought to be one accusation.

Prints a table in Markdown, those with the most accusations first, or writes it to a file. Ends with 1 if they
are more than 1.1 on average, if a miniature is accused by more than two rules, or if one is not accused by
its own."""

import argparse
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from spatius_sim.rules.catalogue import REVISION
from spatius_sim.tests.kill_matrix import SUSPECTS, Run, commit, run_all

MAX_ON_AVERAGE, MAX_OF_ONE = 1.1, 2
_SEED = 1


def wrong_of(runs: Sequence[Run]) -> list[Run]:
    """Return the runs in which a miniature was accused by too many rules, or not by its own."""
    return [
        run for run in runs if len(run.named) > MAX_OF_ONE or SUSPECTS[run.suspect].rule_id not in run.named
    ]


def average(runs: Sequence[Run]) -> float:
    """Return how many rules accuse a miniature on average; 0 if there is none."""
    return sum(len(run.named) for run in runs) / max(len(runs), 1)


def table(runs: Iterable[Run], of: int, origin: str) -> str:
    """Return the table in Markdown; `of` miniatures could have been judged. `origin` says when, and of which
    commit, it was made."""
    ordered = sorted(runs, key=lambda run: (-len(run.named), run.suspect))
    lines = [
        "# How many rules accuse a miniature",
        "",
        f"Whole runs of the ci profile at default settings in virtual time, seed {_SEED}; catalogue revision "
        f"{REVISION}; {origin}.",
        "",
        f"{len(ordered)} of {of} miniatures, {average(ordered):.2f} accusations on average, at most "
        f"{max((len(run.named) for run in ordered), default=0)}.",
        "",
        "| miniature | kind | its rule | accused by |",
        "|---|---|---|---|",
    ]
    for run in ordered:
        suspect = SUSPECTS[run.suspect]
        lines.append(
            f"| {suspect.name} | {suspect.kind} | {suspect.rule_id} | {', '.join(run.named) or '-'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sample", type=int, default=sys.maxsize)
    parser.add_argument("--out", type=Path)
    parser.add_argument("kinds", nargs="*", help="only these kinds: relay, server, client, room")
    given = parser.parse_args()
    chosen = [
        number
        for number, suspect in enumerate(SUSPECTS)
        if suspect.rule_id and (not given.kinds or suspect.kind in given.kinds)
    ]
    if not chosen:
        parser.error(f"there is no miniature of the kind {', '.join(given.kinds)}")
    sampled = sorted(random.Random(_SEED).sample(chosen, min(given.sample, len(chosen))))
    runs = []
    for run in run_all([(number, _SEED) for number in sampled], given.processes):
        runs.append(run)
        sys.stderr.write(f"{SUSPECTS[run.suspect].name}: {', '.join(run.named) or '-'}\n")
    made = table(runs, len(chosen), commit())
    if given.out:
        given.out.write_text(made)
    else:
        sys.stdout.write(made)
    return 1 if wrong_of(runs) or average(runs) > MAX_ON_AVERAGE else 0


if __name__ == "__main__":
    sys.exit(main())
