"""Finds the suites and the fixtures: inside the package if it is installed, next to the package in a
clone."""

from pathlib import Path

from spatius_sim.protocol.errors import UsageError

_PACKAGE = Path(__file__).resolve().parent.parent


def resource(name: str) -> Path:
    """Return the folder `conformance` or `fixtures` of this installation or clone. Raises UsageError if the
    folder is missing."""
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise UsageError(f"the folder {name} is missing from this installation: install it again")
