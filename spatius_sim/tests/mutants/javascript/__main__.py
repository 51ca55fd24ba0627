"""`python -m spatius_sim.tests.mutants.javascript STRYKER [--processes N] [--lines A-B] [--real]
[--keep FOLDER]`: judges the JavaScript mutants.

`STRYKER`: the folder in which `npm install` was run with the package.json beside this file. With `--lines`,
only the mutants in these lines of the client are judged; with `--real`, in a client with a clock of its own,
which without it stands still. With `--keep`, what became of each mutant is kept in
this folder, and a run that was ended goes on from there. Tells on stderr how far it is, and prints the result
as Markdown. Ends with 1 if survivors.toml beside this file does not list a survivor.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spatius_sim.files.find_resources import resource
from spatius_sim.tests.mutants.javascript.judge import FATES, REAL

CLIENT = "avatar_client.js"
SURVIVORS = Path(__file__).with_name("survivors.toml")
SECONDS = 300
"""How long one mutant may take beyond the time of the honest client."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("stryker", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--lines", default="", metavar="A-B")
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clock = REAL if given.real else ""
        fates = prepare_fates(given.keep or Path(folder) / "fates", given.lines, clock)
        report = run_stryker(
            given.stryker.resolve(), Path(folder) / "js", fates, given.processes, given.lines, clock
        )
    source, mutants = report["source"], report["mutants"]
    listed = read_survivors()
    text, unlisted = write_result(source, mutants, listed)
    sys.stdout.write(text)
    sys.stderr.write("".join(f"survived, and is not listed: {line}\n" for line in unlisted))
    return 1 if unlisted else 0


def prepare_fates(folder: Path, lines: str, clock: str) -> Path:
    """Return the folder of the fates of the mutants in these lines of the client, with this `clock` (REAL or
    ""): Stryker's numbers of mutants hold only as long as neither the client nor the lines change."""
    client = (resource("conformance") / "client" / "js" / CLIENT).read_bytes()
    fates = folder.resolve() / hashlib.sha256(client + lines.encode() + clock.encode()).hexdigest()[:16]
    fates.mkdir(parents=True, exist_ok=True)
    return fates


def run_stryker(
    installed: Path, folder: Path, fates: Path, processes: int, lines: str, clock: str
) -> dict[str, Any]:
    """Run Stryker on a copy of the client, or only on these lines ("3-17") of it, and return what its report
    says of the client's file."""
    shutil.copytree(resource("conformance") / "client" / "js", folder)
    (folder / "node_modules").symlink_to(installed / "node_modules")
    settings = {
        "testRunner": "command",
        "commandRunner": {
            "command": f"{sys.executable} -m spatius_sim.tests.mutants.javascript.judge {clock}"
        },
        "mutate": [f"{CLIENT}:{lines}" if lines else CLIENT],
        "reporters": ["json", "progress-append-only"],
        "jsonReporter": {"fileName": "report.json"},
        "concurrency": processes,
        "timeoutMS": SECONDS * 1000,
        "dryRunTimeoutMinutes": 15,
        "allowEmpty": False,
        "disableTypeChecks": False,
    }
    (folder / "stryker.config.json").write_text(json.dumps(settings))
    command = ["node", str(installed / "node_modules/@stryker-mutator/core/bin/stryker.js"), "run"]
    environment = os.environ | {FATES: str(fates)}
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, env=environment)
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())["files"][CLIENT]
    return found


Key = tuple[str, str, int]
"""A mutant by the text of its line, the text that replaces a part of it, and its number, from 1, among the
mutants of which both are equal."""


def read_survivors() -> dict[Key, tuple[str, str]]:
    """Return the reason and the explanation of each listed survivor; an entry without a number is the first
    of its text."""
    entries = tomllib.loads(SURVIVORS.read_text(encoding="utf-8")).get("survivor", [])
    return {
        (entry["line"], entry["becomes"], entry.get("number", 1)): (entry["reason"], entry["why"])
        for entry in entries
    }


def name_mutants(source: str, mutants: list[dict[str, Any]]) -> list[tuple[Key, dict[str, Any]]]:
    """Return the mutants by place in the source, each with its key."""
    lines = source.splitlines()
    counted = Counter[tuple[str, str]]()
    named = []
    for mutant in sorted(mutants, key=_place_of):
        text = lines[mutant["location"]["start"]["line"] - 1].strip(), mutant.get("replacement", "")
        counted[text] += 1
        named.append(((*text, counted[text]), mutant))
    return named


def _place_of(mutant: dict[str, Any]) -> tuple[int, ...]:
    start, end = mutant["location"]["start"], mutant["location"]["end"]
    return start["line"], start["column"], end["line"], end["column"]


def write_result(
    source: str, mutants: list[dict[str, Any]], listed: dict[Key, tuple[str, str]]
) -> tuple[str, list[str]]:
    """Return the page, and the survivors that are not listed. A mutant is killed if a rule names it; what
    ended otherwise, was left open or ran out of time is counted apart."""
    fates = Counter[str]()
    survivors: list[str] = []
    unlisted: list[str] = []
    for key, mutant in name_mutants(source, mutants):
        number, (line, becomes, times) = mutant["location"]["start"]["line"], key
        fate = _fate_of(mutant)
        if fate == "survived":
            fate, why = listed.get(key, ("to be judged", "not listed"))
            again = f" (number {times})" if times > 1 else ""
            survivors.append(f"- line {number}, `{line}` becomes `{becomes}`{again}: {fate}; {why}")
            if key not in listed:
                unlisted.append(f"{number}: {line} -> {becomes}{again}")
        fates[fate] += 1
    killed = fates["killed"]
    could_be = killed + fates["to be judged"]
    alive = "to be judged", "equivalent", "open in the documents", f"judged with {REAL}"
    columns = ("killed", *alive, "left open", "timed out")
    page = [
        "# Mutation score of the judge: the JavaScript client",
        "",
        f"{datetime.now(UTC):%Y-%m-%d}, commit {_find_commit()}, Stryker, seed 1.",
        "",
        f"| module | mutants | {' | '.join(columns)} | score |",
        "|---|" + "---:|" * (len(columns) + 2),
        f"| {CLIENT} | {len(mutants)} | {' | '.join(str(fates[name]) for name in columns)} | "
        f"{100 * killed / could_be:.0f} % |",
        "",
        *sorted(survivors),
    ]
    return "\n".join(page) + "\n", unlisted


def _fate_of(mutant: dict[str, Any]) -> str:
    match mutant["status"]:
        case "Killed":
            return "killed" if "FAILED" in mutant.get("statusReason", "") else "left open"
        case "Timeout":
            return "timed out"
        case "Survived":
            return "survived"
        case status:
            return str(status)


def _find_commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
