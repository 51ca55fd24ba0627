"""The corpus: the same seed makes the same bytes, and every tape says what its name says."""

from pathlib import Path

import pytest

from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.files.find_resources import resource
from spatius_sim.reporting.summary import ExitCode, exit_code
from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.rule import Level
from spatius_sim.tape.traces_on_tapes import read_traces
from spatius_sim.tests.corpus import SMALLEST, make_corpus
from spatius_sim.tests.corpus.scenes import WIRES
from spatius_sim.tests.tape import tiny_reader

TAPES = sorted((resource("fixtures") / "tapes").glob("*.tape"))
named = pytest.mark.parametrize("tape", TAPES, ids=lambda path: path.stem)


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    made = make_corpus(tmp_path)
    assert sorted(path.name for path in made) == [path.name for path in TAPES]
    for path in made:
        assert path.read_bytes() == (resource("fixtures") / "tapes" / path.name).read_bytes(), path.name


@named
def test_it_is_read_by_the_tiny_reader_too(tape: Path) -> None:
    _, records, footer = tiny_reader.read(tape)
    events = sum(len(trace.events) for trace in read_traces(tape))
    assert events == footer["events"] == sum(record[0] == "event" for record in records)


@named
def test_it_is_judged_as_its_name_says(tape: Path) -> None:
    checked = check_tape(tape)
    failed = [o.rule_id for s in checked for o in s.outcomes if o.failure is not None]
    kind, _, name = tape.stem.partition("-")
    assert failed == ([name] if kind == "fails" else [])
    assert exit_code(checked) is (ExitCode.RULE_FAILED if kind == "fails" else ExitCode.PASSED)
    if kind == "fails":
        failures = [o.failure for s in checked for o in s.outcomes if o.failure is not None]
        assert all(failure.evidence for failure in failures)


def test_every_rule_has_its_smallest_failure() -> None:
    """A new rule: tell it with `@breaks` in relay_failures.py or server_failures.py, and run
    `python fixtures/make_tapes.py`."""
    assert set(SMALLEST) == {rule_id for rule_id, rule in RULES.items() if rule.level is not Level.MAY}


def test_every_wire_is_there() -> None:
    assert {f"wire-{wire.name}" for wire in WIRES} <= {path.stem for path in TAPES}
