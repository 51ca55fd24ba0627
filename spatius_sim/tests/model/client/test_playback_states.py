"""The playback table: every pair of state and event has its outcome (docs:state-events)."""

from itertools import product

import pytest

from spatius_sim.model.client.playback_states import PLAYBACK_TABLE, PlaybackEvent
from spatius_sim.trace.decoder_events import PlaybackState

IDLE, PLAYING, PAUSED = PlaybackState

OUTCOMES = {
    PlaybackEvent.AUDIO: (PLAYING, PLAYING, PAUSED),
    PlaybackEvent.PAUSE: (IDLE, PAUSED, PAUSED),
    PlaybackEvent.RESUME: (IDLE, PLAYING, PLAYING),
    PlaybackEvent.INTERRUPT: (IDLE, IDLE, IDLE),
    PlaybackEvent.PLAYBACK_END: (IDLE, IDLE, PAUSED),
}
"""What each event makes of idle, playing and paused."""

PAIRS = [
    (before, event, after)
    for event, outcome in OUTCOMES.items()
    for before, after in zip(PlaybackState, outcome, strict=True)
]


@pytest.mark.parametrize(("before", "event", "after"), PAIRS)
def test_each_pair_has_its_outcome(before: PlaybackState, event: PlaybackEvent, after: PlaybackState) -> None:
    assert PLAYBACK_TABLE[before, event] is after


def test_no_pair_is_missing() -> None:
    assert set(PLAYBACK_TABLE) == set(product(PlaybackState, PlaybackEvent))
