"""What Motion Server does to one client's session excuses nothing in the turn of another that has its own."""

import pytest

from spatius_sim.story.build_story import build_story
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice
from spatius_sim.trace.events import Excuse, Injected


def turn_beside_a_fault(fault_on: str, *, before: bool = False) -> Dialogue:
    """Ann's turn, half of it before a fault on the connection `fault_on`. With `before`, the fault happens
    before her session is opened."""
    said, pcm = Dialogue(), voice("ann")
    said.connects("another")
    said.starts("ann", 0, pcm)
    if before:
        said.fault(up=fault_on)
    said.connects(up_of("ann", 0))
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm[: len(pcm) // 2])
    if not before:
        said.fault(up=fault_on)
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm[len(pcm) // 2 :], end=True)
    said.ends("ann", 0, complete=False)
    return said


def test_a_fault_on_another_connection_is_no_fault_of_the_turn() -> None:
    (turn,) = build_story(turn_beside_a_fault("another").trace).turns
    assert turn.faults == turn.failures == []
    assert turn.clean


@pytest.mark.parametrize(
    "said",
    [
        turn_beside_a_fault(up_of("ann", 0)),
        turn_beside_a_fault(""),
        turn_beside_a_fault("another", before=True),
    ],
    ids=["its own", "of no connection", "before it was opened"],
)
def test_any_other_fault_may_be_its_own(said: Dialogue) -> None:
    (turn,) = build_story(said.trace).turns
    assert len(turn.failures) == 1
    assert not turn.clean


@pytest.mark.parametrize("bob_speaks", [True, False])
@pytest.mark.parametrize(("seconds_later", "may_be_its_own"), [(1.0, False), (8.0, True)])
def test_a_delay_that_goes_on_elsewhere_kept_no_session_from_opening(
    bob_speaks: bool, seconds_later: float, may_be_its_own: bool
) -> None:
    """If Bob's motion is late by seven seconds, Ann's session may wait for it, or not. A session that nobody
    has spoken in may have been meant for Ann."""
    said, pcm = Dialogue(), voice("ann")
    said.connects(up_of("bob", 0))
    if bob_speaks:
        said.starts("bob", 0, voice("bob"))
        said.audio_up(up_of("bob", 0), req_of("bob", 0), voice("bob"), end=True)
    said.starts("ann", 0, pcm)
    said.fault(Injected("delay", Excuse.LATENESS, 7.0), up=up_of("bob", 0))
    said.passes(seconds_later)
    said.connects(up_of("ann", 0))
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm[: len(pcm) // 2])
    said.ends("ann", 0, complete=False)
    turn = build_story(said.trace).turns[-1]
    assert bool(turn.failures) is (may_be_its_own or not bob_speaks)


@pytest.mark.parametrize("bob_waits", [True, False])
def test_a_refused_session_is_that_of_who_waits_for_one(bob_waits: bool) -> None:
    said, pcm = Dialogue(), voice("ann")
    said.starts("ann", 0, pcm)
    said.connects(up_of("ann", 0))
    said.starts("bob", 0, voice("bob"))
    if not bob_waits:
        said.connects(up_of("bob", 0))
        said.audio_up(up_of("bob", 0), req_of("bob", 0), voice("bob"), end=True)
    said.audio_up(up_of("ann", 0), req_of("ann", 0), pcm[: len(pcm) // 2], end=True)
    said.fault(up="refused")
    said.refused("refused", 402, "no credits")
    said.ends("ann", 0, complete=False)
    turn = build_story(said.trace).turns[0]
    assert bool(turn.failures) is not bob_waits
