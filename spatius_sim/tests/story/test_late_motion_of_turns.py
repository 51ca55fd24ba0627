"""Motion that comes late excuses a relay only if Motion Server is silent for longer than the service is."""

import pytest

from spatius_sim.model.scenario.scenario import Delay
from spatius_sim.story.build_story import build_story
from spatius_sim.tests.rules.traces import Dialogue, req_of, up_of, voice

UP, REQ = up_of("ann", 0), req_of("ann", 0)


def excused_after(said: Dialogue, *delays: float) -> bool:
    """Whether responses that are so many seconds late excuse the relay."""
    said.audio_up(UP, REQ, voice("ann"), end=True)
    for seconds in delays:
        said.fault(Delay(seconds), up=UP)
    said.ends("ann", 0, complete=False)
    (turn,) = build_story(said.trace).turns
    return bool(turn.failures)


def begun() -> Dialogue:
    said = Dialogue()
    said.starts("ann", 0, voice("ann"))
    said.connects(UP)
    return said


@pytest.mark.parametrize(
    ("delays", "excused"),
    [
        ((4.1,), True),
        ((3.9,), False),
        ((1.2, 2.4, 3.6, 4.8, 6.0), False),
        ((1.2, 5.3), True),
    ],
)
def test_the_time_from_one_late_response_to_the_next_counts(delays: tuple[float, ...], excused: bool) -> None:
    assert excused_after(begun(), *delays) is excused


@pytest.mark.parametrize(
    ("token", "upgrade", "excused"), [(1.0, 1.0, False), (2.0, 1.0, True), (1.0, 2.0, True)]
)
def test_what_delays_the_opening_is_added_to_the_first_response(
    token: float, upgrade: float, excused: bool
) -> None:
    said = Dialogue()
    said.starts("ann", 0, voice("ann"))
    said.fault(Delay(token))
    said.fault(Delay(upgrade), up=UP)
    said.connects(UP)
    assert excused_after(said, 1.9, 3.0) is excused
