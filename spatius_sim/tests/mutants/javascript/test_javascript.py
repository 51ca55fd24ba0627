"""The page of the JavaScript client's mutants says what became of each."""

from pathlib import Path

import pytest

from spatius_sim.tests.mutants.javascript import judge
from spatius_sim.tests.mutants.javascript.__main__ import prepare_fates, write_result

SOURCE = "a = 1;\nb = 2;\n  return a;\n"


def mutant(line: int, status: str, reason: str = "", becomes: str = "0") -> dict[str, object]:
    place = {"line": line, "column": 1}
    return {
        "location": {"start": place, "end": place},
        "status": status,
        "statusReason": reason,
        "replacement": becomes,
    }


def test_a_survivor_that_is_not_listed_counts_against_the_judge_and_is_named() -> None:
    mutants = [
        mutant(1, "Killed", "FAILED: C-ID. 17 of 18 rules passed."),
        mutant(2, "Killed", "LEFT OPEN: exit code 6"),
        mutant(2, "Timeout"),
        mutant(3, "Survived", becomes="{}"),
        mutant(3, "Survived", becomes="a()"),
    ]
    listed = {("return a;", "{}", 1): ("equivalent", "nobody reads it")}
    page, unlisted = write_result(SOURCE, mutants, listed)
    assert "| avatar_client.js | 5 | 1 | 1 | 1 | 0 | 0 | 1 | 1 | 50 % |" in page
    assert "- line 3, `return a;` becomes `{}`: equivalent; nobody reads it" in page
    assert unlisted == ["3: return a; -> a()"]


def test_mutants_of_equal_text_are_told_apart_by_their_number() -> None:
    source = "return a;\nb = 2;\nreturn a;\n"
    mutants = [mutant(3, "Survived", becomes="{}"), mutant(1, "Killed", "FAILED: C-ID", becomes="{}")]
    page, unlisted = write_result(
        source, mutants, {("return a;", "{}", 1): ("equivalent", "nobody reads it")}
    )
    assert unlisted == ["3: return a; -> {} (number 2)"]
    assert "`return a;` becomes `{}` (number 2): to be judged; not listed" in page


def test_what_was_found_out_of_a_mutant_is_not_found_out_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fates = prepare_fates(tmp_path, "", "")
    assert fates not in (prepare_fates(tmp_path, "1-9", ""), prepare_fates(tmp_path, "", judge.REAL))
    monkeypatch.setenv(judge.FATES, str(fates))
    found = iter(["FAILED: C-ID", "survived"])
    monkeypatch.setattr(judge, "find_out", lambda command: next(found))
    for mutant, code, told in [("3", 1, "FAILED: C-ID"), ("3", 1, "FAILED: C-ID"), ("4", 0, "survived")]:
        monkeypatch.setenv(judge.ACTIVE, mutant)
        assert judge.main() == code
        assert capsys.readouterr().out == f"{told}\n"


def test_a_client_that_does_not_start_is_left_open() -> None:
    assert judge.find_out("false").startswith("LEFT OPEN: ")
