"""Each turn at a Motion Server is one line, however it ends."""

import numpy as np
import pytest

from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, Interrupt, MotionResponse, ServerError
from spatius_sim.reporting import turn_lines
from spatius_sim.reporting.turn_lines import TurnLines
from spatius_sim.tests.reporting.hostile import ATTACKS
from spatius_sim.trace.events import Closed

SECOND = 1_000_000_000


def spoken(*, motion: bool = True) -> TurnLines:
    """A turn of two seconds, with 2 s of motion half a second after its beginning."""
    lines = TurnLines()
    assert lines.lines_of_ended_turns(0, "session-1", ConfigureSession(16000)) == []
    assert lines.lines_of_ended_turns(SECOND, "session-1", AudioInput("r", bytes(32000))) == []
    assert lines.lines_of_ended_turns(SECOND, "session-1", AudioInput("r", bytes(32000), True)) == []
    if motion:
        first = MotionResponse("c", "r", False, np.zeros((50, WIDTH), np.float32))
        assert lines.lines_of_ended_turns(SECOND * 3 // 2, "session-1", first) == []
    return lines


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (MotionResponse("c", "r", True, np.zeros((0, WIDTH), np.float32)), "complete after 3.00 s"),
        (Interrupt("r"), "interrupted after 3.00 s"),
        (ServerError("c", "r", 13, "oh"), "error 13: oh after 3.00 s"),
        (ServerError("c", "", 4001, "Credits exhausted"), "error 4001: Credits exhausted after 3.00 s"),
        (Closed(True, 1011), "cut off: Motion Server closed with 1011 after 3.00 s"),
        (Closed(False, 1006), "cut off: the relay closed with 1006 after 3.00 s"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_turn_is_told_once_when_it_ends(end: object, how: str) -> None:
    lines = spoken()
    told = "turn session-1 r: 2.0 s of audio, first motion after 0.50 s, 2.0 s of motion, "
    assert lines.lines_of_ended_turns(4 * SECOND, "session-1", end) == [told + how]
    assert lines.lines_of_ended_turns(4 * SECOND, "session-1", end) == []


def test_a_turn_without_motion_says_so() -> None:
    (line,) = spoken(motion=False).lines_of_ended_turns(4 * SECOND, "session-1", Interrupt("r"))
    assert "no motion, 0.0 s of motion" in line


def test_other_sessions_and_messages_end_nothing() -> None:
    lines = spoken()
    assert lines.lines_of_ended_turns(2 * SECOND, "session-2", Closed(True, 1000)) == []
    assert lines.lines_of_ended_turns(2 * SECOND, "session-2", Interrupt("r")) == []
    assert lines.lines_of_ended_turns(2 * SECOND, "session-1", "a text") == []


def test_a_line_is_harmless_and_short() -> None:
    for text in ATTACKS:
        lines = TurnLines()
        lines.lines_of_ended_turns(0, text * 100, AudioInput(text * 100, b""))
        (line,) = lines.lines_of_ended_turns(0, text * 100, ServerError("", text * 100, 1, text * 100))
        assert len(line) < 400
        assert line.isprintable()


def test_no_more_turns_are_followed_than_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn_lines, "MAX_OPEN_TURNS", 2)
    lines = TurnLines()
    for number in range(5):
        lines.lines_of_ended_turns(0, "s", AudioInput(f"r{number}", b""))
    assert len(lines.lines_of_ended_turns(0, "s", Closed(True, 1000))) == 2
