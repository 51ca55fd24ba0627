"""Each hostile input that was ever found, and some that are drawn anew, is refused in order, and soon."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from spatius_sim.tests.fuzz.corpus import HOSTILE, inputs_of, mutated
from spatius_sim.tests.fuzz.harnesses import HARNESSES
from spatius_sim.tests.net.work import seconds_at_most

SECONDS = 5.0
FILES = [path for name in HARNESSES for path in sorted((HOSTILE / name).glob("*"))]
SLOW = {"tape", "recording", "report", "conformance", "baseline", "study", "networks"}
"""Harnesses that write a file."""


def test_every_harness_has_inputs_and_every_folder_a_harness() -> None:
    assert {path.name for path in HOSTILE.iterdir() if path.is_dir()} == set(HARNESSES)
    assert all(map(inputs_of, HARNESSES))


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.name}" for path in FILES])
def test_a_hostile_input_is_refused_in_order(path: Path) -> None:
    with seconds_at_most(SECONDS):
        HARNESSES[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", HARNESSES)
def test_so_is_what_is_drawn_from_them(name: str) -> None:
    @settings(
        max_examples=20 if name in SLOW else 100,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(mutated(inputs_of(name)))
    def throw(data: bytes) -> None:
        HARNESSES[name](data)

    throw()
