"""`python -m spatius_sim.tests.pairs [--sample N] [--seed S] [--processes N] [--out FILE] [KIND ...]`: judges
subjects that are wrong in two ways by whole runs. Of two faults neither may pass; and once one of them is
cured, the other is named, by the plans of its own rule.

The two miniatures change different methods and agree in their policy, so that neither hides the other. Prints
a table in Markdown, or writes it to a file. Ends with 1 if a fault passed, or was not named once the other
was cured.
"""

import argparse
import random
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import as_completed
from dataclasses import fields, replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from spatius_sim.miniatures.server.plain_server import PlainServer
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.rules.catalogue import REVISION
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.kill_matrix import commit
from spatius_sim.tests.suspects import WRONG, Hearing, Suspect
from spatius_sim.tests.worker_pool import worker_pool

_HONEST: tuple[type[Any], ...] = (PlainRelay, PlainServer, ClientDecoder)


class Pair(NamedTuple):
    """Two suspects of one kind, by their numbers in WRONG."""

    first: int
    second: int

    @property
    def suspects(self) -> tuple[Suspect, Suspect]:
        """Return the two suspects."""
        return WRONG[self.first], WRONG[self.second]


class Judged(NamedTuple):
    """What a whole run said of a pair: the verdicts on the rules of the two, and all rules that failed. And
    the verdict on the rule of each once the other is cured."""

    pair: Pair
    verdicts: tuple[str, str]
    failed: tuple[str, ...]
    alone: tuple[str, str]

    @property
    def wrong(self) -> bool:
        """Whether one of the two faults passed, or was not named alone, or no rule failed."""
        named_alone = self.alone == (Verdict.FAILED.value, Verdict.FAILED.value)
        return not self.failed or Verdict.PASSED.value in self.verdicts or not named_alone


def changed_by(brain: type[Any]) -> set[str]:
    """Return the names of what this brain changes of the honest one."""
    wrong = [cls for cls in brain.__mro__ if cls is not object and cls not in _HONEST]
    return {name for cls in wrong for name in vars(cls) if not _is_neutral(name)}


def _is_neutral(name: str) -> bool:
    """Whether two brains may both define this name without a conflict."""
    return name == "policy" or (name.startswith("__") and name.endswith("__"))


def common_policy(first: RelayPolicy, second: RelayPolicy) -> RelayPolicy | None:
    """Return the policy in which both have what they need; None if they want different things."""
    wanted: dict[str, Any] = {}
    for field in fields(RelayPolicy):
        values = {getattr(policy, field.name) for policy in (first, second)} - {field.default}
        if len(values) > 1:
            return None
        for value in values:
            wanted[field.name] = value
    return replace(RelayPolicy(), **wanted)


def compose(first: type[Any], second: type[Any]) -> type[Any] | None:
    """Return a brain with both faults; None if one of them may hide the other."""
    if changed_by(first) & changed_by(second) or issubclass(first, second) or issubclass(second, first):
        return None
    body: dict[str, Any] = {}
    if issubclass(first, PlainRelay):
        body["policy"] = common_policy(first.policy, second.policy)
        if body["policy"] is None:
            return None
    try:
        return type(f"{first.__name__}And{second.__name__}", (first, second), body)
    except TypeError:  # No order of the two sets of parents fits both.
        return None


def pairs(kinds: Iterable[str]) -> list[Pair]:
    """Return all pairs of suspects of these kinds that can be composed."""
    wanted = set(kinds)
    found = [Pair(one, other) for one, other in combinations(range(len(WRONG)), 2)]
    return [
        pair
        for pair in found
        if (suspects := pair.suspects)
        and suspects[0].kind == suspects[1].kind
        and suspects[0].kind in wanted
        and suspects[0].wire == suspects[1].wire
        and suspects[0].rule_id != suspects[1].rule_id
        and suspects[0].plays_clips == suspects[1].plays_clips
        and compose(suspects[0].brain, suspects[1].brain) is not None
    ]


def sample(of: list[Pair], most: int, seed: int) -> list[Pair]:
    """Draw at most so many of these pairs, by the seed."""
    return of if len(of) <= most else sorted(random.Random(seed).sample(of, most))


def judge_pair(pair: Pair, seed: int = 1) -> Judged:
    """Judge a pair by a whole run."""
    one, other = pair.suspects
    both = compose(one.brain, other.brain)
    assert both is not None
    suspect = replace(one, brain=both)
    with tempfile.TemporaryDirectory() as folder, Hearing(suspect, seed, Path(folder)) as hearing:
        outcomes = hearing.of_all_rules()
    failed = tuple(name for name, outcome in outcomes.items() if outcome.verdict is Verdict.FAILED)
    said = (outcomes[one.rule_id].verdict.value, outcomes[other.rule_id].verdict.value)
    return Judged(pair, said, failed, (judge_alone(one, seed), judge_alone(other, seed)))


def judge_alone(suspect: Suspect, seed: int) -> str:
    """Return the verdict on a suspect by the plans of its own rule."""
    with tempfile.TemporaryDirectory() as folder, Hearing(suspect, seed, Path(folder)) as hearing:
        return hearing.of(suspect.rule_id).verdict.value


def table(judged: Iterable[Judged], composed: int, origin: str) -> str:
    """Return the table in Markdown; `composed` pairs could have been judged. `origin` says when, and of which
    commit, it was made."""
    rows = sorted(judged)
    lines = [
        "# Two faults in one subject",
        "",
        f"Whole runs of the ci profile in virtual time, seed 1; catalogue revision {REVISION}; {origin}.",
        "",
        f"{len(rows)} of the {composed} pairs that can be composed; in {sum(row.wrong for row in rows)} a "
        "fault passed, or was not named once the other was cured.",
        "",
        "| the faults | their rules | verdicts | failed in all | each once the other is cured |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        one, other = row.pair.suspects
        lines.append(
            f"| {one.name} and {other.name} | {one.rule_id}, {other.rule_id} | {', '.join(row.verdicts)} "
            f"| {', '.join(row.failed)} | {', '.join(row.alone)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("kinds", nargs="*", default=["relay", "server"])
    given = parser.parse_args()
    composed = pairs(given.kinds)
    if not composed:
        parser.error(f"there are no pairs of the kind {', '.join(given.kinds)}")
    judged = []
    with worker_pool(given.processes) as pool:
        tasks = [pool.submit(judge_pair, pair) for pair in sample(composed, given.sample, given.seed)]
        for task in as_completed(tasks):
            judged.append(task.result())
            sys.stderr.write(f"{judged[-1]}\n")
    made = table(judged, len(composed), commit())
    if given.out:
        given.out.write_text(made)
    else:
        sys.stdout.write(made)
    return 1 if any(row.wrong for row in judged) else 0


if __name__ == "__main__":
    sys.exit(main())
