"""A tape can be read by its owner alone, whoever writes it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatius_sim.tape.cut_and_merge import TapeSlice, cut, merge
from spatius_sim.tape.repair_tape import repair
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.tests.rules.traces import Dialogue
from spatius_sim.tests.tape.samples import KEPT


@pytest.fixture(autouse=True)
def _everybody_may_read_new_files() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_one_and_what_is_made_of_it(tmp_path: Path) -> None:
    above, below = Dialogue(), Dialogue()
    above.connects("up")
    below.ready("ann")
    up, down = tmp_path / "up.tape", tmp_path / "down.tape"
    write_traces(up, KEPT, [above.trace])
    write_traces(down, KEPT, [below.trace])
    merge(up, down, tmp_path / "merged.tape")
    cut(down, tmp_path / "cut.tape", TapeSlice())
    repair(down, tmp_path / "repaired.tape")
    assert {path.name: oct(mode_of(path)) for path in tmp_path.iterdir()} == {
        f"{name}.tape": "0o600" for name in ("up", "down", "merged", "cut", "repaired")
    }


def test_one_that_lay_there_already(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    path.touch(0o644)
    write_traces(path, KEPT, [])
    assert mode_of(path) == 0o600


def test_a_device_keeps_its_mode() -> None:
    before = mode_of(Path(os.devnull))
    write_traces(Path(os.devnull), KEPT, [])
    assert mode_of(Path(os.devnull)) == before
