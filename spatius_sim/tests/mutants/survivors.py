"""The file of the mutants that no rule names, with the reason for each."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from spatius_sim.tests.mutants.judging import Judged
from spatius_sim.tests.mutants.mutant import Mutant

SURVIVORS = Path(__file__).with_name("survivors.toml")


class Reason(StrEnum):
    """Why no rule names a mutant."""

    EQUIVALENT = "equivalent"
    """Nobody outside can tell it from an honest subject."""
    OPEN = "open in the documents"
    """It does what no document forbids."""
    TO_BE_JUDGED = "to be judged"
    """The judge should name it, and does not yet."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A mutant that no rule names; `key` as in Mutant."""

    key: tuple[str, str, str]
    reason: Reason
    why: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What the file says: the survivors, by key, and by module and function what is not mutated, and why."""

    survivors: Mapping[tuple[str, str, str], Survivor]
    left_out: Mapping[tuple[str, str], str]

    def leaves_out(self, mutant: Mutant) -> bool:
        """Whether this mutant is none that a judge could know."""
        return (mutant.module, mutant.where) in self.left_out

    def reason_for(self, mutant: Mutant) -> Reason | None:
        """Return why this mutant survives; None if the file does not say."""
        survivor = self.survivors.get(mutant.key)
        return survivor.reason if survivor else None


def read_survivors(path: Path = SURVIVORS) -> Listed:
    """Read the file. Raises KeyError or ValueError if an entry is not whole."""
    content = tomllib.loads(path.read_text())
    survivors = [
        Survivor((entry["module"], entry["where"], entry["change"]), Reason(entry["reason"]), entry["why"])
        for entry in content.get("survivor", [])
    ]
    left_out = {(entry["module"], entry["where"]): entry["why"] for entry in content.get("left_out", [])}
    return Listed({survivor.key: survivor for survivor in survivors}, left_out)


def find_disagreements(
    made: Iterable[Mutant], judged: Mapping[Mutant, Judged], listed: Listed, modules: Iterable[str]
) -> list[str]:
    """Return in what the file and this run differ, a line each: survivors that it does not list, and listed
    ones that are killed now or are no mutants of these modules any more."""
    lines = []
    for mutant, found in judged.items():
        if found.passes and mutant.key not in listed.survivors:
            lines.append(f"{found}, and is not listed: {mutant}")
        if not found.passes and mutant.key in listed.survivors:
            lines.append(f"is listed as a survivor, and was {found}: {mutant}")
    known = {mutant.key for mutant in made}
    for key in listed.survivors:
        if key[0] in modules and key not in known:
            lines.append(f"is listed, and is not a mutant any more: {': '.join(key)}")
    return lines
