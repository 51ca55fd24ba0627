"""Sentences are for people: whoever rewords them changes no verdict, and breaks no tape."""

import sys
from collections.abc import Callable
from inspect import get_annotations, isfunction
from pathlib import Path
from types import ModuleType

import pytest

from spatius_sim.engine.tapes.check_tape import check_tape
from spatius_sim.files.find_resources import resource
from spatius_sim.model.scenario import scenario_text
from spatius_sim.model.scenario.scenario import CloseWith, Delay, FaultAction, GrowTo, UnknownFields
from spatius_sim.model.scenario.scenario_player import ConnectionFaults
from spatius_sim.model.server.apply_faults import apply_faults
from spatius_sim.story.faults_of_turns import select_failures
from spatius_sim.trace import event_text
from spatius_sim.trace.events import Event, Lane

TAPES = sorted((resource("fixtures") / "tapes").glob("*.tape"))
STEPS = (Delay(2.5), Delay(1, 1), GrowTo(1_048_576), GrowTo(1_048_577), UnknownFields(), CloseWith(1000))


def reword(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    """Let every function of these modules that returns a text return another one, whoever imported it."""
    sentences = {
        function
        for module in modules
        for function in vars(module).values()
        if isfunction(function) and get_annotations(function, eval_str=True).get("return") is str
    }
    assert sentences

    def other_words(*_: object) -> str:
        return "etwas ganz anderes"

    for name, module in list(sys.modules.items()):
        if name.startswith("spatius_sim"):
            for attribute, value in list(vars(module).items()):
                if isfunction(value) and value in sentences:
                    monkeypatch.setattr(module, attribute, other_words)


def excuses(*steps: FaultAction) -> list[int]:
    """Which of these faults, all in one turn, excuse its relay."""
    faults = apply_faults(b"", steps, ConnectionFaults()).injected
    events = [Event(seq, seq, Lane.KIT, "", fault) for seq, fault in enumerate(faults)]
    return [event.seq for event in select_failures(events, events)]


@pytest.fixture
def reworded(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: reword(monkeypatch, scenario_text, event_text)


def test_other_words_for_faults_excuse_the_same(reworded: Callable[[], None]) -> None:
    before = [excuses(*STEPS), *(excuses(step) for step in STEPS)]
    assert before == [[0, 1, 3, 5], [], [], [], [0], [], [0]]
    reworded()
    assert [excuses(*STEPS), *(excuses(step) for step in STEPS)] == before


def verdicts(tape: Path) -> list[tuple[str, str]]:
    return [(o.rule_id, o.verdict) for summary in check_tape(tape) for o in summary.outcomes]


@pytest.mark.parametrize("tape", TAPES, ids=lambda path: path.stem)
def test_other_words_leave_the_verdicts_on_a_tape(tape: Path, reworded: Callable[[], None]) -> None:
    before = verdicts(tape)
    reworded()
    assert verdicts(tape) == before
