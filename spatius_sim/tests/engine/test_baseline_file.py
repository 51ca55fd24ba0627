"""Baseline files: errors that name file, line and key, and updates that keep what people wrote."""

from datetime import date
from pathlib import Path

import pytest

from spatius_sim.engine.baseline_file import baseline_schema, read_baseline, update_baseline
from spatius_sim.protocol.errors import UsageError
from spatius_sim.reporting.summary import Failure, RuleOutcome
from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.findings import Verdict

TODAY = date(2026, 11, 21)

WRITTEN = """\
# Ours, looked at every Monday.
known-failures:
  R-TURNS:  # Ann has it
    reason: no; the second turn waits for the first
    fails-with:
      - it came 2 times
      - "it never came *"
    issue: https://issues.invalid/1
    expires: 2026-12-31

  # This one is harder.
  R-MOTION-ORDER:
    reason: >
      two workers
    fails-with: anything

known-flaky:
  R-ISOLATION: {reason: rare, fails-with: "*"}
"""

ENTRY = "R-TURNS: {reason: a, fails-with: b}"

WRONG = {
    "- 1": (1, "the file must be a mapping"),
    "unknown: {}": (1, "'unknown' is unknown here"),
    "known-failures:\n  R-NONSENSE: {reason: a, fails-with: b}": (2, "no rule has the id 'R-NONSENSE'"),
    "known-failures:\n  C-ID: {reason: a, fails-with: b}": (2, "C-ID is a rule for a client"),
    "known-failures:\n  R-TURNS: {reason: a}": (2, "fails-with is missing"),
    "known-failures:\n  R-TURNS:\n    reason: ''\n    fails-with: b": (3, "reason says nothing"),
    "known-failures:\n  R-TURNS: {reason: a, fails-with: b, until: c}": (2, "'until' is unknown"),
    "known-failures:\n  R-TURNS:\n    reason: a\n    fails-with: b\n    expires: soon": (
        5,
        "expires must be a day",
    ),
    "known-failures:\n  R-TURNS: {reason: a, fails-with: b}\n  R-TURNS: {reason: a, fails-with: b}": (
        3,
        "twice",
    ),
    f"known-failures:\n  {ENTRY}\nknown-flaky:\n  {ENTRY}": (4, "stands in both"),
}


def file(folder: Path, text: str) -> Path:
    path = folder / "known.yaml"
    path.write_text(text)
    return path


def failed(rule_id: str, actual: str) -> RuleOutcome:
    failure = Failure("all", actual, "one turn", "a.tape", confirmed=True)
    return RuleOutcome(rule_id, Verdict.FAILED, 1, 1, failure=failure)


def passed(rule_id: str) -> RuleOutcome:
    return RuleOutcome(rule_id, Verdict.PASSED, 1, 1)


def test_an_entry_says_where_it_stands(tmp_path: Path) -> None:
    known = read_baseline(file(tmp_path, WRITTEN), "relay").known
    turns, order, isolation = known["R-TURNS"], known["R-MOTION-ORDER"], known["R-ISOLATION"]
    assert (turns.line, turns.fails_with_line, turns.expires_line, turns.last_line) == (3, 5, 9, 9)
    assert turns.expires == date(2026, 12, 31)
    assert turns.reason == "no; the second turn waits for the first"
    assert turns.covers("it came 17 times")
    assert turns.covers("it never came (3 messages were not understood)")
    assert not turns.covers("it came too late")
    assert (order.line, order.last_line, order.flaky) == (12, 15, False)
    assert isolation.flaky
    assert isolation.covers("")


@pytest.mark.parametrize("text", WRONG, ids=repr)
def test_an_error_names_file_line_and_key(text: str, tmp_path: Path) -> None:
    line, told = WRONG[text]
    path = file(tmp_path, text)
    with pytest.raises(UsageError) as error:
        read_baseline(path, "relay")
    assert str(error.value).startswith(f"{path}:{line}: ")
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["", "known-failures:", "known-failures: {}\nknown-flaky:"])
def test_a_baseline_may_be_empty(text: str, tmp_path: Path) -> None:
    assert read_baseline(file(tmp_path, text), "relay").known == {}


def test_an_update_keeps_what_people_wrote(tmp_path: Path) -> None:
    path = file(tmp_path, WRITTEN)
    outcomes = [failed("R-TURNS", 'it said: "no"'), passed("R-MOTION-ORDER"), passed("R-ISOLATION")]
    outcomes.append(failed("U-TOKEN", "7 s too late"))
    update = update_baseline(path, outcomes, "relay", TODAY)
    assert str(update) == "added U-TOKEN; removed R-MOTION-ORDER; changed R-TURNS"
    text = path.read_text()
    known = read_baseline(path, "relay").known
    assert set(known) == {"R-TURNS", "R-ISOLATION", "U-TOKEN"}
    assert known["R-TURNS"].fails_with == ('it said: "no"',)
    assert known["R-TURNS"].issue == "https://issues.invalid/1"
    assert known["U-TOKEN"].expires == date(2027, 2, 19)
    for kept in (
        "looked at every Monday",
        "Ann has it",
        "This one is harder",
        "known-flaky:\n  R-ISOLATION: {",
    ):
        assert kept in text


def test_an_update_of_what_is_up_to_date_changes_no_byte(tmp_path: Path) -> None:
    path = file(tmp_path, WRITTEN)
    outcomes = [failed("R-TURNS", "it came 3 times"), failed("R-MOTION-ORDER", "anything")]
    assert str(update_baseline(path, outcomes, "relay", TODAY)) == "nothing changed"
    assert path.read_text() == WRITTEN


def test_what_has_expired_is_left_for_people_to_decide(tmp_path: Path) -> None:
    path = file(tmp_path, WRITTEN)
    update_baseline(path, [failed("R-TURNS", "it came 3 times")], "relay", date(2028, 1, 1))
    assert path.read_text() == WRITTEN


@pytest.mark.parametrize(
    "text",
    ["", "known-failures:\n", "known-failures: {}\n", "known-flaky: {}", "known-failures:\nknown-flaky:\n"],
)
def test_a_first_entry_finds_its_place(text: str, tmp_path: Path) -> None:
    path = file(tmp_path, text)
    update_baseline(path, [failed("R-TURNS", "late: 'x' # \\ *")], "relay", TODAY)
    known = read_baseline(path, "relay").known["R-TURNS"]
    assert not known.flaky
    assert known.covers("late: 'x' # \\ y")


def test_the_file_is_made_where_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "known.yaml"
    update_baseline(path, [failed("R-TURNS", "late")], "relay", TODAY)
    assert read_baseline(path, "relay").known["R-TURNS"].covers("late")


def test_entries_in_one_line_are_not_torn_apart(tmp_path: Path) -> None:
    path = file(tmp_path, "known-failures: {R-TURNS: {reason: a, fails-with: b}}")
    with pytest.raises(UsageError, match=r"known\.yaml:1: write the entries below each other"):
        update_baseline(path, [failed("U-TOKEN", "late")], "relay", TODAY)


def test_the_schema_knows_every_rule() -> None:
    entries = baseline_schema()["properties"]["known-failures"]
    assert entries["propertyNames"]["enum"] == list(RULES)


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "known.yaml"
    path.write_text("# ours\n")

    def full(path: Path, text: str, **more: object) -> int:
        path.open("w").close()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    failure = Failure("a", "b", "c", "d", confirmed=True)
    outcome = RuleOutcome("R-TURNS", Verdict.FAILED, failure=failure)
    with pytest.raises(OSError, match="No space"):
        update_baseline(path, [outcome], "relay", date(2026, 1, 1))
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("known.yaml", "# ours\n")]
