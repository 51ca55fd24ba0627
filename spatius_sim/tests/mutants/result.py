"""Writes what became of the mutants as one page of Markdown."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby

from spatius_sim.tests.mutants.judging import Fate, Judged
from spatius_sim.tests.mutants.mutant import Mutant
from spatius_sim.tests.mutants.survivors import Listed, Reason

Fates = Mapping[Mutant, Judged]


def write_result(judged: Fates, made: Mapping[str, int], listed: Listed, heading: str) -> str:
    """Return the page. `made`: how many mutants each module has, of which some may not have been judged."""
    modules = {
        name: {mutant: found for mutant, found in judged.items() if mutant.module == name} for name in made
    }
    lines = ["# Mutation scores of the judge", "", heading, ""]
    lines += _write_scores(modules, made, listed)
    for name, fates in modules.items():
        lines += ["", f"## {name}.py", ""]
        lines += _write_lines(fates)
        lines += _write_survivors(fates, listed)
    return "\n".join(lines) + "\n"


def score(fates: Fates, listed: Listed) -> tuple[int, int]:
    """Return how many mutants were killed, and how many could be: those that were killed, and those that
    passed and are neither equivalent nor open in the documents. What crashed, timed out or left rules open is
    counted apart: no run of it is a pass, and no rule names it."""
    killed = sum(found.fate is Fate.KILLED for found in fates.values())
    alive = [mutant for mutant, found in fates.items() if found.passes]
    to_be_judged = sum(listed.reason_for(mutant) in (None, Reason.TO_BE_JUDGED) for mutant in alive)
    return killed, killed + to_be_judged


def _write_scores(modules: Mapping[str, Fates], made: Mapping[str, int], listed: Listed) -> Iterator[str]:
    yield (
        "| module | mutants | judged | killed | to be judged | equivalent | open in the documents | "
        "left open | crashed | timed out | score |"
    )
    yield "|---|" + "---:|" * 10
    for name, fates in modules.items():
        counted = Counter(found.fate for found in fates.values())
        reasons = Counter(
            listed.reason_for(mutant) or Reason.TO_BE_JUDGED
            for mutant, found in fates.items()
            if found.passes
        )
        killed, could_be = score(fates, listed)
        cells = (
            name,
            made[name],
            len(fates),
            killed,
            *(reasons[reason] for reason in (Reason.TO_BE_JUDGED, Reason.EQUIVALENT, Reason.OPEN)),
            *(counted[fate] for fate in (Fate.LEFT_OPEN, Fate.CRASHED, Fate.TIMED_OUT)),
            f"{100 * killed / could_be:.0f} %" if could_be else "-",
        )
        yield f"| {' | '.join(map(str, cells))} |"


def _write_lines(fates: Fates) -> Iterator[str]:
    """Yield a line of a table for each line of the module: what became of its mutants, and by which rule."""
    yield "| line | in | mutants |"
    yield "|---:|---|---|"
    ordered = sorted(fates, key=lambda mutant: mutant.line)
    for (line, where), mutants in groupby(ordered, key=lambda mutant: (mutant.line, mutant.where)):
        yield f"| {line} | `{where}` | {_tell_fates(fates[mutant] for mutant in mutants)} |"


def _tell_fates(found: Iterable[Judged]) -> str:
    told = Counter(
        f"{judged.fate} by {judged.by}" if judged.fate is Fate.KILLED else str(judged.fate)
        for judged in found
    )
    return ", ".join(text if times == 1 else f"{times} {text}" for text, times in told.items())


def _write_survivors(fates: Fates, listed: Listed) -> Iterator[str]:
    alive = sorted((m for m, found in fates.items() if found.passes), key=lambda m: m.line)
    for reason in (Reason.TO_BE_JUDGED, Reason.OPEN, Reason.EQUIVALENT):
        chosen = [mutant for mutant in alive if (listed.reason_for(mutant) or Reason.TO_BE_JUDGED) is reason]
        if chosen:
            yield ""
            yield f"### {reason.capitalize()}"
            yield ""
        for mutant in chosen:
            survivor = listed.survivors.get(mutant.key)
            not_run = " (not run)" if fates[mutant].fate is Fate.NOT_RUN else ""
            why = survivor.why if survivor else "not listed"
            yield f"- line {mutant.line}, `{mutant.change}`{not_run}: {why}"
