"""`python -m spatius_sim.tests.net.room.faults [--out FILE] [NAME ...]`: judges each fault of an egress that
`serve --scenario` knows by name, in a real room by `verify --server --room`, and prints which rule accused.

Ends with 1 unless each fault was accused by its own rule, and by no other. An honest egress is judged first.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from spatius_sim.miniatures.room.wrong_rooms import ROOM_MINIATURES
from spatius_sim.rules.catalogue import REVISION
from spatius_sim.tests.kill_matrix import commit
from spatius_sim.tests.net.room.livekit_server import KEY, SECRET, VERSION, LiveKitServer, livekit_server
from spatius_sim.tests.net.room.verifying import verdicts_in
from spatius_sim.tests.serving import serving

RULES_OF_FAULTS = {
    wrong: rule_id
    for rule_id, wrongs in ROOM_MINIATURES.items()
    for wrong in wrongs
    if isinstance(wrong, str)
}
"""The rule that each scenario breaks."""

_HONEST = "none"
_SECONDS = 300


class FaultRun(NamedTuple):
    """What a run of `verify` said of a scenario, and the seconds that it took."""

    scenario: str
    verdicts: dict[str, str]
    seconds: float

    @property
    def accused_by(self) -> list[str]:
        """The rules that failed."""
        return [name for name, verdict in self.verdicts.items() if verdict == "FAILED"]

    @property
    def right(self) -> bool:
        """Whether its own rule failed, and no other; of the honest server none."""
        return self.accused_by == ([] if self.scenario == _HONEST else [RULES_OF_FAULTS[self.scenario]])


def judge_fault(livekit: LiveKitServer, scenario: str) -> FaultRun:
    """Serve a scenario, and judge the server in a real room."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, serving("--livekit", f"--scenario={scenario}") as server:
        url = server.console_endpoint.removesuffix("/v1/console")
        command = [sys.executable, "-m", "spatius_sim", "verify", f"--server={url}", f"--room={livekit.url}"]
        subprocess.run(
            [*command, "--report-json=report.json"],
            cwd=folder,
            env=os.environ | {"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
        return FaultRun(scenario, verdicts_in(Path(folder)), time.monotonic() - started)


def table(runs: list[FaultRun]) -> str:
    """Return the table in Markdown."""
    lines = [
        "# Each fault of an egress, by name, in a real room",
        "",
        f"`serve --livekit --scenario NAME` judged by `verify --server --room`, LiveKit server {VERSION}; "
        f"catalogue revision {REVISION}; {commit()}.",
        "",
        "| scenario | its rule | accused by | not sure of | seconds |",
        "|---|---|---|---|---|",
    ]
    for run in runs:
        unsure = [name for name, verdict in run.verdicts.items() if verdict == "INCONCLUSIVE"]
        its_rule = RULES_OF_FAULTS.get(run.scenario, "-")
        cells = (run.scenario, its_rule, ", ".join(run.accused_by) or "-", ", ".join(unsure) or "-")
        lines.append(f"| {' | '.join(cells)} | {run.seconds:.0f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Judge the faults one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("names", nargs="*", default=[_HONEST, *RULES_OF_FAULTS])
    given = parser.parse_args()
    runs = []
    with livekit_server() as livekit:
        for name in given.names:
            runs.append(judge_fault(livekit, name))
            sys.stderr.write(f"{name}: {', '.join(runs[-1].accused_by) or '-'} ({runs[-1].seconds:.0f} s)\n")
    if given.out:
        given.out.write_text(table(runs))
    else:
        sys.stdout.write(table(runs))
    return 0 if all(run.right for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
