"""The lower bounds of what we depend on are those that are tested."""

import tomllib

from packaging.requirements import Requirement

from spatius_sim.files.find_resources import resource

ROOT = resource("conformance").parent


def lower_bounds() -> dict[str, str]:
    """Of all that a user may install with us, and of pytest-xdist, for which we have code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    used = ("relay", "opus", "livekit", "simulate")
    lines = [*project["dependencies"], *(line for extra in used for line in extras[extra])]
    lines += [line for line in extras["dev"] if line.startswith("pytest-xdist")]
    found = {}
    for wanted in map(Requirement, lines):
        (found[wanted.name],) = (bound.version for bound in wanted.specifier if bound.operator == ">=")
    return found


def test_the_lowest_versions_are_tested() -> None:
    pinned = map(Requirement, (ROOT / "constraints-lowest.txt").read_text().split())
    assert {pin.name: str(pin.specifier) for pin in pinned} == {
        name: f"=={version}" for name, version in lower_bounds().items()
    }
