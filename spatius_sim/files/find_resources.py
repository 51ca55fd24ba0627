"""Finds the suites and the fixtures: inside the package if it is installed, next to the package in a
clone."""

from pathlib import Path

from spatius_sim.protocol.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent.parent


def resource(name: str) -> Path:
    """Return the path of a folder that comes with the kit: `name` is `conformance` or `fixtures`. The folder
    lies inside the installed package, or beside the package in a clone. Raises UsageError if it is
    missing."""
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise UsageError(f"the folder {name} is missing from this installation: install it again")
