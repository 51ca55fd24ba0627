"""The bench functions measure something; what they measured is not judged here."""

from spatius_sim.kit.benchmarks_tape import reading


def test_rows_have_a_name_a_value_a_unit_and_a_mark() -> None:
    rows = reading()
    assert [row[2] for row in rows] == ["times", "times", "MB/s"]
    assert all(value > 0 for _, value, _, _ in rows)
