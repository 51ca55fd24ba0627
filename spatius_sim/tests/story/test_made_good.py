"""A failure that the relay makes good before it sends audio up excuses nothing; a stall of the kit does."""

import pytest

from spatius_sim.rules.findings import Verdict
from spatius_sim.story.build_story import build_story
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of
from spatius_sim.wires.events import Failed, Motion, RelayEvent


def refused_at_first(*, told: RelayEvent | None = None, audio_first: bool = False, lost: int = 0) -> Dialogue:
    """Ann's turn, whose session was refused and then opened. The client hears `told` in between; the first
    `lost` payloads never come to it."""
    said = Dialogue()
    pcm = said.speaks()
    if audio_first:
        said.audio_up("before", "before", pcm)
    said.fault()
    if told is not None:
        said.hears("ann", told)
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm, end=True)
    said.audio_down("ann", pcm, last=True)
    said.motion_down("ann", *said.answers()[lost:], last=True)
    said.ends("ann", 0)
    return said


def test_a_turn_that_was_made_good_is_judged_as_any_other() -> None:
    assert refused_at_first().verdict("R-MOTION-COMPLETE") is Verdict.PASSED
    assert refused_at_first(lost=1).failed == ["R-MOTION-COMPLETE"]


@pytest.mark.parametrize(
    "said",
    [
        refused_at_first(told=Failed("no motion"), lost=1),
        refused_at_first(told=Motion(()), lost=1),
        refused_at_first(audio_first=True, lost=1),
    ],
    ids=["the client was told", "audio-only", "audio had gone up"],
)
def test_any_other_turn_with_a_failure_is_not_clean(said: Dialogue) -> None:
    assert not build_story(said.trace).turns[0].clean
    assert "R-MOTION-COMPLETE" not in said.failed


def test_a_turn_without_audio_upstream_was_not_made_good() -> None:
    said = Dialogue()
    said.audio_down("ann", said.speaks(), last=True)
    said.fault()
    said.ends("ann", 0)
    assert not build_story(said.trace).turns[0].clean


@pytest.mark.parametrize(
    ("stall", "complete", "clean"), [(6.4, False, False), (6.4, True, True), (0.9, False, True)]
)
def test_a_turn_in_which_the_kit_itself_stalled_counts_if_it_came_to_its_end(
    stall: float, complete: bool, clean: bool
) -> None:
    said = Dialogue()
    said.speaks()
    said.lags(stall)
    said.ends("ann", 0, complete=complete)
    assert build_story(said.trace).turns[0].clean is clean
