"""The table of who was named by what: an ended matrix goes on, and one wrong verdict is seen."""

from pathlib import Path

from spatius_sim.tests.kill_matrix import SUSPECTS, Run, keep, read_kept, table

_WRONG = next(number for number, suspect in enumerate(SUSPECTS) if suspect.rule_id)
_HONEST = next(number for number, suspect in enumerate(SUSPECTS) if not suspect.rule_id)
_NAMED = Run(_WRONG, 1, (SUSPECTS[_WRONG].rule_id,), (), 120, 3.0, 2.5)
_LET_OFF = Run(_HONEST, 1, (), (), 150, 3.0, 2.5)


def test_runs_are_kept_and_those_of_another_commit_are_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    assert read_kept(path, "judged at abc") == []
    keep(path, "judged at abc", _NAMED)
    keep(path, "judged at def", _LET_OFF)
    keep(path, "judged at abc", _LET_OFF)
    assert read_kept(path, "judged at abc") == [_NAMED, _LET_OFF]
    assert read_kept(path, "judged at def") == [_LET_OFF]


def test_a_table_tells_whom_the_judge_was_wrong_of() -> None:
    missed = _NAMED._replace(seed=2, named=())
    accused = _LET_OFF._replace(named=("R-TURNS",))
    assert table([_NAMED, _LET_OFF], "origin")[1] == 0
    told, wrong = table([_NAMED, missed, accused], "origin")
    assert wrong == 2
    assert "killed  1 of 2" in told
    assert "honest  1 runs, also named by R-TURNS 1 times" in told
    assert "390 scenarios, 0.1 CPU-minutes" in told
