"""Reports side by side, and the commands on them."""

from pathlib import Path

import pytest

from spatius_sim.reporting.formats.json_report import json_report
from spatius_sim.reporting.formats.markdown_report import markdown_matrix
from spatius_sim.reporting.report import Report, report_of
from spatius_sim.reporting.report_matrix import matrix_of
from spatius_sim.reporting.summary import RuleOutcome, Summary, exit_code
from spatius_sim.rules.findings import Verdict
from spatius_sim.tests.command_line import run_in_process as run

PASSED, FAILED, UNEXERCISED = Verdict.PASSED, Verdict.FAILED, Verdict.UNEXERCISED


def report(**verdicts: Verdict) -> Report:
    outcomes = tuple(RuleOutcome(name.replace("_", "-"), verdict) for name, verdict in verdicts.items())
    summary = Summary("relay", "ws://x", 1, "0.1.0", 2, outcomes)
    return report_of([summary], exit_code([summary]))


OLD = report(U_TOKEN=PASSED, U_CONFIGURE=FAILED, U_AUDIO_END=PASSED)
NEW = report(U_TOKEN=FAILED, U_CONFIGURE=PASSED, U_AUDIO_END=PASSED, R_SECRETS=UNEXERCISED)


def test_what_fails_now_comes_first_then_what_is_mended() -> None:
    changes = matrix_of([("old", OLD), ("new", NEW)]).changes
    assert [(c.rule_id, c.was, c.now, c.before, c.after) for c in changes] == [
        ("U-TOKEN", PASSED, FAILED, "old", "new"),
        ("U-CONFIGURE", FAILED, PASSED, "old", "new"),
    ]
    assert (changes[0].broken, changes[1].mended) == (True, True)


def test_a_rule_that_was_not_judged_somewhere_did_not_change_there() -> None:
    matrix = matrix_of([("old", OLD), ("new", NEW), ("old again", OLD)])
    row = next(row for row in matrix.rows if row.rule.id == "R-SECRETS")
    assert row.verdicts == (None, UNEXERCISED, None)
    assert not row.changed
    assert [change.rule_id for change in matrix.changes].count("U-TOKEN") == 2


def test_several_subjects_of_one_report_are_columns_of_their_own() -> None:
    both = [
        Summary(s, "", 1, "", 2, (RuleOutcome(r, PASSED),))
        for s, r in (("relay", "U-TOKEN"), ("server", "S-CONFIRM"))
    ]
    matrix = matrix_of([("a", report_of(both, exit_code(both)))])
    assert [column.subject.subject for column in matrix.columns] == ["relay", "server"]
    assert [row.verdicts for row in matrix.rows] == [(PASSED, None), (None, PASSED)]


def test_markdown_says_so_when_nothing_changed() -> None:
    assert "Nothing changed." in markdown_matrix(matrix_of([("a", OLD), ("b", OLD)]))


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / "old.json", tmp_path / "new.json"]
    for path, made in zip(paths, (OLD, NEW), strict=True):
        path.write_text(json_report(made))
    return [str(path) for path in paths]


def test_the_command_prints_a_table_and_what_changed(files: list[str]) -> None:
    ran = run("report", "matrix", *files)
    assert ran.returncode == 0, ran.stderr
    assert "2 changed" in ran.stdout
    assert "U-TOKEN" in ran.stdout


def test_a_label_heads_the_column_of_its_report(files: list[str]) -> None:
    ran = run("report", "matrix", *files, "--label", "before", "--label", "after")
    assert ran.returncode == 0, ran.stderr
    assert "before" in ran.stdout
    assert "old.json" not in ran.stdout
    ran = run("report", "matrix", *files, "--label", "before")
    assert ran.returncode == 4
    assert "2 reports have 1 labels: give --label once for each, or never" in ran.stderr


def test_the_command_writes_pages(files: list[str], tmp_path: Path) -> None:
    page, text, again = tmp_path / "m.html", tmp_path / "m.md", tmp_path / "a.html"
    assert run("report", "matrix", *files, "--html", str(page), "--markdown", str(text)).returncode == 0
    assert "What changed" in page.read_text()
    assert "U-TOKEN" in text.read_text()
    assert run("report", "html", files[0], str(again)).returncode == 0
    assert "U-CONFIGURE" in again.read_text()


@pytest.mark.parametrize("command", [["matrix"], ["html"]])
def test_what_is_no_report_is_named_in_one_line(command: list[str], files: list[str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json_report(OLD).replace('"version": 1', '"version": 7'))
    arguments = [files[0], str(wrong)] if command == ["matrix"] else [str(wrong), str(tmp_path / "x.html")]
    ran = run("report", *command, *arguments)
    assert ran.returncode == 4
    assert "wrong.json is a report of version 7" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
