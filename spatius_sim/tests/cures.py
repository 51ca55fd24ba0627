"""`python -m spatius_sim.tests.cures [WORD ...]`: shows that each promise about Motion Server, the proxy and
tapes has a test that fails without its cure, and prints what failed, as Markdown (cures.md).

cures.toml has a change for each promise that breaks it again. The change is made in a copy of the tree, the
tests run there, and it is undone. Ends with 1 if a change cannot be made, or if no test notices it. With
words, only promises that contain one of them are tried.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from spatius_sim.files.find_resources import resource

ROOT = resource("conformance").parent
CURES = Path(__file__).with_name("cures.toml")
_SECONDS = 120
"""How long the tests of one promise may take, without its cure too."""
_LONGEST_TOLD = 100
_PATH = re.compile(r"(?:/[\w.-]+)+/([\w.-]+)")


@dataclass(frozen=True, slots=True)
class Cure:
    """A promise in words, the place that keeps it (the text `before` in `file`), the text `after` that breaks
    it, and the tests that must notice, below spatius_sim/tests."""

    promise: str
    file: str
    before: str
    after: str
    tests: Sequence[str]


def read_cures() -> list[Cure]:
    """Return all cures of the file."""
    return [Cure(**fields) for fields in tomllib.loads(CURES.read_text())["cure"]]


def find_stale(cure: Cure, root: Path = ROOT) -> str:
    """Return why a cure cannot be taken away, or "": its place is not there once, or a test is missing."""
    if (root / cure.file).read_text().count(cure.before) != 1:
        return f"{cure.file} does not hold the text once"
    for test in cure.tests:
        path, _, name = test.partition("::")
        file = root / "spatius_sim/tests" / path
        if not file.is_file() or (name and f"def {name}(" not in file.read_text()):
            return f"there is no {test}"
    return ""


def failure_without(cure: Cure, copy: Path) -> str:
    """Take the cure out of the copy of the tree, run its tests, put it back, and return how the first test
    failed; "" if none did."""
    place = copy / cure.file
    cured = place.read_text()
    place.write_text(cured.replace(cure.before, cure.after))
    try:
        return _run_tests(cure, copy)
    finally:
        place.write_text(cured)


def _run_tests(cure: Cure, copy: Path) -> str:
    """Run the tests of a cure in a copy of the tree, and return how the first one failed; "" if none did."""
    tests = [f"spatius_sim/tests/{test}" for test in cure.tests]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--tb=no",
        "-rfE",
        "-p",
        "no:cacheprovider",
        *tests,
    ]
    # The processes that the tests start import the copy, too.
    environment = os.environ | {"PYTHONPATH": str(copy), "COLUMNS": "400", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ran = subprocess.run(
            command, cwd=copy, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no end within {_SECONDS} s"
    if not ran.returncode:
        return ""
    failures = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failures[0].split(" ", 1)[1] if failures else ran.stdout.strip().rpartition("\n")[2]


def _as_row(cure: Cure, failure: str) -> str:
    """Return the line of the table for a cure without which a test failed so."""
    named, dash, how = failure.partition(" - ")
    test = named.removeprefix("spatius_sim/tests/") if dash else cure.tests[0]
    file, _, name = test.partition("::")
    # Of the paths of this machine only their last part is told.
    told = _PATH.sub(lambda path: path[1], how if dash else failure)
    told = " ".join(told.replace("|", "/").replace("`", "'").split())[:_LONGEST_TOLD]
    return (
        f"| {cure.promise} | {file}: {name.partition('[')[0]} "
        f"| {cure.file.removeprefix('spatius_sim/')} | `{told}` |"
    )


def main() -> int:
    """Try the cures, print the table, and say on stderr which of them no test misses."""
    words = sys.argv[1:]
    cures = [cure for cure in read_cures() if not words or any(word in cure.promise for word in words)]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    rows, silent = [], []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "tree"
        skipped = shutil.ignore_patterns(".git", ".venv", ".tox", "__pycache__", ".*_cache", ".hypothesis")
        shutil.copytree(ROOT, copy, ignore=skipped)
        for cure in cures:
            stale = find_stale(cure)
            failure = "" if stale else failure_without(cure, copy)
            sys.stderr.write(f"{stale or failure or 'NO TEST FAILED'}: {cure.promise}\n")
            if failure:
                rows.append(_as_row(cure, failure))
            else:
                silent.append(cure)
    sys.stdout.write("# What fails without each cure\n\n")
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}: {len(rows)} promises, ")
    sys.stdout.write(f"{len(silent)} of which no test noticed.\n\n")
    sys.stdout.write("| promise | test | the cure's place | it failed with |\n|---|---|---|---|\n")
    sys.stdout.write("".join(f"{row}\n" for row in rows))
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
