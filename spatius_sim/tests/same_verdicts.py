"""`python -m spatius_sim.tests.same_verdicts [--processes N] [NAME ...]`: judges every miniature by the
plans of its own rule, and every honest subject by a whole run of the ci profile, over sockets and in virtual
time, and prints a table of both verdicts: that of the miniature's rule, or how often each verdict fell on an
honest subject, and who was accused by what. Ends with 1 if two differ. With names, it judges these alone."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.kill_matrix import commit
from spatius_sim.tests.suspects import HONEST, WRONG, Hearing
from spatius_sim.tests.worker_pool import worker_pool

OVER_BOTH = [
    suspect
    for suspect in (*WRONG, *HONEST)
    if suspect.kind != "room" and not getattr(suspect.brain, "in_data_packets", False)
]
"""The subjects that there are over sockets, too; rooms are virtual ones, and what is sent in data packets."""


class Verdicts(NamedTuple):
    """What became of one suspect: the verdict of its own rule, or of all rules, by id; and the rules that
    any scenario broke."""

    by_rule: tuple[tuple[str, Verdict], ...]
    accusations: tuple[str, ...]

    def __str__(self) -> str:
        counts = Counter(verdict for _, verdict in self.by_rule)
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
        return f"{verdicts}; broken: {', '.join(self.accusations) or 'none'}"

    def differences(self, other: "Verdicts") -> str:
        """Return the rules whose verdict is another one in `other`, in words."""
        pairs = zip(self.by_rule, other.by_rule, strict=True)
        return ", ".join(f"{name} {one} and {two}" for (name, one), (_, two) in pairs if one is not two)


def judge_by(number: int, *, over_sockets: bool) -> Verdicts:
    """Judge a suspect from seed 1: by the plans of its own rule, or by those of all rules if it is honest."""
    suspect = OVER_BOTH[number]
    with (
        tempfile.TemporaryDirectory() as folder,
        Hearing(suspect, 1, Path(folder), over_sockets=over_sockets) as hearing,
    ):
        own = suspect.rule_id
        outcomes = {own: hearing.of(own)} if own else hearing.of_all_rules()
        by_rule = tuple((name, outcome.verdict) for name, outcome in outcomes.items())
        return Verdicts(by_rule, tuple(sorted(hearing.accusations)))


def judge_twice(number: int) -> tuple[Verdicts, Verdicts]:
    """Judge a suspect over sockets, then in virtual time."""
    return judge_by(number, over_sockets=True), judge_by(number, over_sockets=False)


def main() -> int:
    """Print a row for each subject as soon as it is judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("names", nargs="*", metavar="NAME")
    given = parser.parse_args()
    chosen = [n for n, suspect in enumerate(OVER_BOTH) if not given.names or suspect.name in given.names]
    if not chosen:
        parser.error(f"nobody is called {', '.join(given.names)}")
    sys.stdout.write(f"{commit()}, seed 1.\n\n")
    sys.stdout.write("| subject | over sockets | in virtual time | |\n|---|---|---|---|\n")
    differ = 0
    with worker_pool(given.processes) as pool:
        for number, pair in zip(chosen, pool.map(judge_twice, chosen), strict=True):
            same = pair[0] == pair[1]
            differ += not same
            told = "same" if same else f"DIFFERENT {pair[0].differences(pair[1])}".strip()
            sys.stdout.write(f"| {OVER_BOTH[number].name} | {pair[0]} | {pair[1]} | {told} |\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{len(chosen)} subjects, {differ} of them with different verdicts.\n")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
