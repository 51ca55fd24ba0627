"""`python -m spatius_sim.tests.mutants.javascript.judge [--real]`: judges the JavaScript client in this
folder; with `--real`, as a client with a clock of its own, by the rule that looks at the clock.

Stryker runs this as its test, with one mutant switched on by an environment variable, which the client
inherits. Ends with 1 if a rule names the mutant, or if the mutant is not passed; the last line says which.

What was found out is kept in the folder that FATES names, if it names one, and is not found out again: a run
that was ended goes on from there.
"""

import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.net.client.testee_connection import StdioTestee
from spatius_sim.protocol.errors import SpatiusSimError
from spatius_sim.subjects.client_subject import ClientSubject
from spatius_sim.subjects.subject_base import Subject
from spatius_sim.tests.mutants.judging import Fate, hear_rule_by_rule
from spatius_sim.tests.suspects import Hearing, Suspect

ACTIVE = "__STRYKER_ACTIVE_MUTANT__"
"""In this variable Stryker names the mutant that is switched on; nothing in its first run."""
FATES = "SPATIUS_SIM_MUTANT_FATES"
TESTEE = "node reference_testee.js"
REAL = "--real"
OF_THE_CLOCK = ("C-STARVE", "C-STATES")
"""What is judged of a client with a clock of its own: every plan takes as long as it says."""
SEED = 1


def main() -> int:
    """Return 0 if the client in this folder passes every rule, otherwise 1, and print why."""
    folder, mutant = os.environ.get(FATES), os.environ.get(ACTIVE)
    kept = Path(folder) / mutant if folder and mutant else None
    command = f"{TESTEE} {REAL}" if REAL in sys.argv else TESTEE
    found = kept.read_text() if kept is not None and kept.exists() else find_out(command)
    if kept is not None:
        kept.write_text(found)
    print(found)
    return 0 if found == str(Fate.SURVIVED) else 1


def find_out(command: str) -> str:
    """Return what became of the client that this command starts, in the words of the report."""
    suspect = Suspect("client", ClientDecoder)

    @asynccontextmanager
    async def attach(suspect: Suspect, seed: int) -> AsyncIterator[Subject[Any]]:
        subject = ClientSubject(StdioTestee(command), command, seed)
        yield subject
        await subject.detach()

    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            Hearing(suspect, SEED, Path(folder), over_sockets=True, attach=attach) as hearing,
        ):
            judged = hear_rule_by_rule(hearing, "client", OF_THE_CLOCK if REAL in command else ())
    except SpatiusSimError as error:
        return f"LEFT OPEN: {error}".partition("\n")[0]
    match judged.fate:
        case Fate.KILLED:
            return f"FAILED: {judged.by}"
        case Fate.LEFT_OPEN:
            return f"LEFT OPEN: {judged.by}"
        case fate:
            return str(fate)


if __name__ == "__main__":
    sys.exit(main())
