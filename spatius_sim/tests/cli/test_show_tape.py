"""A tape in words: each event once, in those of a report, and only what was asked for."""

from dataclasses import replace
from pathlib import Path

import pytest

from spatius_sim.cli.show_tape import TapeFilter, show_tape
from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.traces_on_tapes import write_traces
from spatius_sim.tests.tape.samples import KEPT, WHATS, trace_of
from spatius_sim.trace.events import (
    Event,
    EventKind,
    KitStalled,
    Lane,
    Opened,
    SecretKnown,
    Trace,
    TurnStarted,
)
from spatius_sim.trace.room_events import KeyFrameSeen

TAPES = Path(__file__).parents[3] / "fixtures" / "tapes"


def shown(path: Path, *, connections: tuple[str, ...] = (), turn: int = 0, grep: str = "") -> list[str]:
    return list(show_tape(path, TapeFilter(frozenset(connections), turn, grep)))


def two_clients(folder: Path) -> Path:
    """The tape of two clients, each with two turns, one after the other."""
    names = ("ann", "bob")
    events = [Event(seq, seq, Lane.DOWNSTREAM, name, Opened("")) for seq, name in enumerate(names)]
    for name in names:
        for turn in (0, 1):
            events.append(Event(len(events), len(events), Lane.KIT, name, TurnStarted(turn, b"", 0)))
    path = folder / "two.tape"
    write_traces(path, KEPT, [Trace(trace_of([]).header, tuple(events))])
    return path


def test_each_event_is_a_line_in_the_words_of_a_report(tmp_path: Path) -> None:
    path = tmp_path / "a.tape"
    write_traces(path, KEPT, [trace_of(WHATS)])
    lines = shown(path)
    assert lines[0] == "run 1: relay over json-envelope, seed 7: a plan"
    assert len(lines) == len(WHATS) + 1
    whole = "\n".join(lines)
    for words in (
        "c: turn 1 begins",
        "relay -> Motion Server: 4,000 bytes of audio of request, the end",
        "relay -> c: 4 bytes of audio under the id turn-1, marked as the last",
        "motion of request: 3 keyframes, the end",
        "the wait for turn 1 ends: its audio and its motion have come",
    ):
        assert words in whole
    assert "(raw=" not in whole and max(map(len, lines)) < 260


def test_every_tape_that_we_ship_can_be_shown() -> None:
    for path in sorted(TAPES.glob("*.tape")):
        assert len(shown(path)) > 1, path
        assert not any("<" in line and "object at" in line for line in shown(path))


def test_secrets_that_are_looked_for_are_noise_and_rare_events_have_plain_words(tmp_path: Path) -> None:
    whats: tuple[EventKind, ...] = (SecretKnown("key#1", 32), KitStalled(0.5), KeyFrameSeen("eve"))
    events = tuple(Event(n, n, Lane.KIT, "c", what) for n, what in enumerate(whats))
    path = tmp_path / "a.tape"
    write_traces(path, KEPT, [Trace(trace_of([]).header, events)])
    assert [line.split(": ")[1] for line in shown(path)[1:]] == [
        "the kit itself was late by 0.50 s",
        "key frame seen",
    ]


def test_a_run_says_how_it_is_run_again(tmp_path: Path) -> None:
    trace = trace_of(WHATS)
    planned = replace(trace, header=replace(trace.header, plan_token="e-_9"))
    path = tmp_path / "a.tape"
    write_traces(path, KEPT, [planned, planned])
    commands = [line for line in shown(path) if "run again" in line]
    assert commands == [
        f"run 1 is run again by spatius-sim verify with --seed=7 --rule=RULE --plan={path}",
        "run 2 is run again by spatius-sim verify with --seed=7 --rule=RULE --plan=e-_9",
    ]


def test_one_connection_one_turn_and_one_word_are_picked(tmp_path: Path) -> None:
    path = two_clients(tmp_path)
    assert len(shown(path, connections=("ann",))) == 4
    assert [line.split("  ")[-1] for line in shown(path, turn=2)[1:]] == [
        "ann: turn 2 begins: 0 bytes of speech",
        "bob: turn 2 begins: 0 bytes of speech",
    ]
    assert len(shown(path, connections=("bob",), turn=1)) == 2
    assert len(shown(path, grep="TURN 1")) == 3


@pytest.mark.parametrize(
    ("grep", "turn", "told"),
    [
        ("(", 0, "no regular expression"),
        ("nothing such", 0, "its connections are ann, bob"),
        ("", 7, "nothing fits"),
    ],
)
def test_what_cannot_be_shown_is_told(tmp_path: Path, grep: str, turn: int, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        shown(two_clients(tmp_path), grep=grep, turn=turn)
