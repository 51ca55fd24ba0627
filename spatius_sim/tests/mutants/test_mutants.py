"""Mutants are made, judged, and compared with the list of survivors, as the command's page says."""

import importlib.util
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path

import pytest

from spatius_sim.files.wire_file import find_wire
from spatius_sim.model.relay.policy import RelayPolicy
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.tests.mutants import judging
from spatius_sim.tests.mutants.judging import Fate, Judged, judge
from spatius_sim.tests.mutants.lines_run import find_statement, note_lines, runs_mutated
from spatius_sim.tests.mutants.making import make_mutants
from spatius_sim.tests.mutants.mutant import MODULES, Mutant
from spatius_sim.tests.mutants.processes import judge_all
from spatius_sim.tests.mutants.relay_choices import RELAY_CHOICES
from spatius_sim.tests.mutants.result import write_result
from spatius_sim.tests.mutants.survivors import (
    Listed,
    Reason,
    Survivor,
    find_disagreements,
    read_survivors,
)
from spatius_sim.wires.events import (
    ClientAction,
    InterruptTurn,
    Note,
    PlayClip,
    Say,
    Speak,
    SpeakEnd,
    Start,
)

needs_cosmic_ray = pytest.mark.skipif(
    importlib.util.find_spec("cosmic_ray") is None, reason="only tox -e mutants installs cosmic-ray"
)


def changed(module: str, before: str, after: str) -> Mutant:
    """The module's mutant with this change."""
    source = MODULES[module].path.read_text()
    line = source[: source.index(before)].count("\n") + 1
    return Mutant(module, line, "somewhere", f"{before} -> {after}", source=source.replace(before, after))


def cell(table: str, change: str) -> Mutant:
    """The mutant with this changed cell of a table."""
    (found,) = (mutant for mutant in make_mutants(table) if mutant.change == change)
    return found


KILLED_BY = [
    (cell("conversation_states", "(OPEN, True): False -> True"), "C-ID"),
    (cell("playback_states", "(IDLE, AUDIO): PLAYING -> PAUSED"), "C-STATES"),
    (changed("decoder", "conversation.ended = conversation.ended or end", "pass"), "C-ID-NEW"),
    (
        changed("relay", "AudioInput(turn.req_id, padding, end=True)", "AudioInput(turn.req_id, padding)"),
        "U-AUDIO-END",
    ),
    (changed("session", "return self._confirm(now)", "return ()"), "S-CONFIRM"),
    (changed("send_responses", "return Send(raw, req_id)", "return Send(raw[:-1], req_id)"), "S-MOTION-END"),
]
SESSION = MODULES["session"].path.read_text()
HONEST = Mutant("session", 1, "somewhere", "nothing", source=SESSION)
DUMB = changed("relay", "ConnectUp(session.session_id", "ConnectUp(session.client_id")
RAISES = changed("session", "return self._confirm(now)", "raise KeyError(now)")
HANGS = replace(HONEST, source=f"{SESSION}\nwhile True:\n    pass\n")


def judged_alone(mutant: Mutant) -> Judged:
    """What became of this mutant."""
    ((_, found),) = judge_all([mutant], 1, 1)
    return found


@pytest.mark.parametrize(("mutant", "rule_id"), KILLED_BY, ids=[mutant.module for mutant, _ in KILLED_BY])
def test_a_mutant_that_breaks_a_rule_is_killed_by_that_rule(mutant: Mutant, rule_id: str) -> None:
    found = judged_alone(mutant)
    assert found.fate is Fate.KILLED
    assert found.by.startswith(rule_id)


def test_what_is_not_changed_survives() -> None:
    assert judged_alone(HONEST) == Judged(Fate.SURVIVED)


def test_a_mutant_that_completes_no_turn_is_no_survivor() -> None:
    assert judged_alone(DUMB).fate is Fate.LEFT_OPEN


def test_a_mutant_that_raises_has_crashed() -> None:
    found = judged_alone(RAISES)
    assert found.fate is Fate.CRASHED
    assert "KeyError" in found.by


def test_a_mutant_that_does_not_end_is_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODULES, "session", replace(MODULES["session"], cpu_seconds=1))
    assert judged_alone(HANGS) == Judged(Fate.TIMED_OUT)


CHOICES = [field.name for field in fields(RelayPolicy) if field.name != "silence_seconds"]
SAYABLE = (
    Start(24_000),
    Speak(b"\x01\x02"),
    Speak(b"\x01\x02", last=True),
    SpeakEnd(),
    PlayClip("hello"),
    Say("Hello"),
    InterruptTurn(),
    Note("ping"),
)


@pytest.mark.parametrize("name", CHOICES)
def test_relays_are_judged_under_each_choice(name: str) -> None:
    taken = {getattr(choices.policy, name) for choices in RELAY_CHOICES.values()}
    a_choice = next(iter(taken))
    assert taken == set(type(a_choice)) if isinstance(a_choice, Enum) else len(taken) > 1


@pytest.mark.parametrize("action", SAYABLE, ids=str)
def test_relays_are_judged_where_a_client_can_say_this(action: ClientAction) -> None:
    wires = [find_wire(choices.wire) for choices in RELAY_CHOICES.values()]
    written = [(wire, wire.write_client_action(action)) for wire in wires]
    assert any([wire.read_client_frame(frame) for frame in frames] == [action] for wire, frames in written)


def test_the_lines_that_run_are_noted() -> None:
    relay = MODULES["relay"]
    with note_lines([relay.path]) as lines:
        PlainRelay("key", lambda: "an id").on_client_connected("c1")
    ran = [relay.path.read_text().splitlines()[line - 1].strip() for _, line in sorted(lines)]
    assert ran[-1] == "return self.greet(client_id)"
    assert "if sample_rate:" in ran
    assert "self.rates[client_id] = sample_rate" not in ran


STATEMENTS = """\
RATE = 16000


def wait(
    seconds=1,
):
    if seconds:
        for _ in range(
            seconds
        ):
            sleep()
    else:
        hurry()
"""


@pytest.mark.parametrize(
    ("line", "lines"),
    [(1, None), (5, None), (7, {7, 12}), (9, {8, 9, 10}), (11, {11}), (13, {13})],
)
def test_a_line_of_a_function_belongs_to_one_statement(line: int, lines: set[int] | None) -> None:
    assert find_statement(STATEMENTS, line) == lines


def test_what_is_mutated_has_run_if_a_line_of_its_statement_has() -> None:
    assert runs_mutated(RAISES, {(str(MODULES["session"].path), RAISES.line)})
    assert not runs_mutated(RAISES, {(str(MODULES["session"].path), RAISES.line + 1)})
    assert not runs_mutated(RAISES, {(str(MODULES["relay"].path), RAISES.line)})
    assert runs_mutated(replace(RAISES, line=1), set())


def test_a_mutant_is_not_judged_where_no_plan_runs_what_is_mutated(monkeypatch: pytest.MonkeyPatch) -> None:
    for choices in RELAY_CHOICES:
        monkeypatch.setitem(judging._LINES_RUN, ("relay", choices), set())
    found = judge(DUMB, 1)
    assert found == Judged(Fate.NOT_RUN)
    assert found.passes


def test_several_mutants_are_judged_at_the_same_time() -> None:
    fates = {mutant: found.fate for mutant, found in judge_all([DUMB, RAISES, KILLED_BY[-1][0]], 1, 2)}
    assert fates == {DUMB: Fate.LEFT_OPEN, RAISES: Fate.CRASHED, KILLED_BY[-1][0]: Fate.KILLED}


@needs_cosmic_ray
def test_a_source_is_changed_in_one_place_at_a_time() -> None:
    mutants = make_mutants("decoder")
    assert len({mutant.key for mutant in mutants}) == len(mutants) > 100
    source = MODULES["decoder"].path.read_text().splitlines()
    for mutant in mutants:
        changed_lines = set(mutant.source.splitlines()) - set(source)
        assert len(changed_lines) <= 1, mutant


@needs_cosmic_ray
def test_our_own_operators_do_what_their_examples_say() -> None:
    from cosmic_ray.mutating import mutate_code

    from spatius_sim.tests.mutants.operators import RemovePart, RemoveStatement

    for operator in (RemovePart, RemoveStatement):
        for example in operator.examples():
            mutated = mutate_code(example.pre_mutation_code, operator(), example.occurrence)
            assert mutated == example.post_mutation_code


def test_every_cell_of_a_table_takes_every_other_value() -> None:
    changes = [mutant.change for mutant in make_mutants("playback_states")]
    assert changes[:2] == ["(IDLE, AUDIO): PLAYING -> IDLE", "(IDLE, AUDIO): PLAYING -> PAUSED"]
    assert len(changes) == 15 * 2


def test_the_list_and_a_run_are_compared_both_ways() -> None:
    first, second, third = make_mutants("playback_states")[:3]
    gone = ("playback_states", "PLAYBACK_TABLE", "a cell that went away")
    listed = Listed(
        {key: Survivor(key, Reason.EQUIVALENT, "told") for key in (second.key, third.key, gone)}, {}
    )
    judged = {
        first: Judged(Fate.SURVIVED),
        second: Judged(Fate.KILLED, "C-STATES"),
        third: Judged(Fate.SURVIVED),
    }
    lines = find_disagreements([first, second, third], judged, listed, ["playback_states"])
    assert [line.partition(":")[0] for line in lines] == [
        "survived, and is not listed",
        "is listed as a survivor, and was killed by C-STATES",
        "is listed, and is not a mutant any more",
    ]
    assert find_disagreements([], {}, listed, ["decoder"]) == []


def test_the_score_is_of_those_that_can_be_killed() -> None:
    mutants = make_mutants("playback_states")[:4]
    equivalent = mutants[1].key
    listed = Listed({equivalent: Survivor(equivalent, Reason.EQUIVALENT, "told")}, {})
    fates = (Fate.SURVIVED, Fate.SURVIVED, Fate.KILLED, Fate.CRASHED)
    judged = {mutant: Judged(fate) for mutant, fate in zip(mutants, fates, strict=True)}
    page = write_result(judged, {"playback_states": 30}, listed, "today")
    assert "| playback_states | 30 | 4 | 1 | 1 | 1 | 0 | 0 | 1 | 0 | 50 % |" in page


def test_each_listed_survivor_is_a_mutant_of_today() -> None:
    listed = read_survivors()
    tables = ("conversation_states", "playback_states")
    made = [mutant for table in tables for mutant in make_mutants(table)]
    assert find_disagreements(made, {}, listed, tables) == []
    assert {module for module, _ in listed.left_out} <= set(MODULES)


def test_an_entry_without_a_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "survivors.toml"
    path.write_text('[[survivor]]\nmodule = "relay"\nwhere = "x"\nchange = "y"\nreason = "?"\nwhy = ""\n')
    with pytest.raises(ValueError, match="not a valid Reason"):
        read_survivors(path)
