"""Every event in every state of a request: where it leads, or that it is not allowed."""

from itertools import product

import pytest

from spatius_sim.protocol.request_states import TurnEvent, TurnState, next_turn_state

UPLOADING = TurnState.UPLOADING
ANSWERING = TurnState.ANSWERING
ANSWERED = TurnState.ANSWERED
INTERRUPTED = TurnState.INTERRUPTED

AUDIO = TurnEvent.AUDIO
AUDIO_END = TurnEvent.AUDIO_END
MOTION = TurnEvent.MOTION
MOTION_END = TurnEvent.MOTION_END
INTERRUPT = TurnEvent.INTERRUPT

# Each row a state, each column an event; None is a breach. Motion may come while audio still goes up, its
# end only after the audio's. A req_id that has had its end or its interrupt takes no audio any more. What
# was under way when the interrupt came may still arrive.
COLUMNS = (AUDIO, AUDIO_END, MOTION, MOTION_END, INTERRUPT)
GRID = {
    UPLOADING: (UPLOADING, ANSWERING, UPLOADING, None, INTERRUPTED),
    ANSWERING: (None, None, ANSWERING, ANSWERED, INTERRUPTED),
    ANSWERED: (None, None, None, None, INTERRUPTED),
    INTERRUPTED: (None, None, INTERRUPTED, INTERRUPTED, INTERRUPTED),
}
CASES = [
    (state, event, after) for state, row in GRID.items() for event, after in zip(COLUMNS, row, strict=True)
]


def test_the_grid_covers_every_pair() -> None:
    assert {(state, event) for state, event, _ in CASES} == set(product(TurnState, TurnEvent))


@pytest.mark.parametrize(("state", "event", "after"), CASES)
def test_an_event_leads_where_the_grid_says(
    state: TurnState, event: TurnEvent, after: TurnState | None
) -> None:
    assert next_turn_state(state, event) is after


@pytest.mark.parametrize(
    ("dialogue", "end"),
    [
        pytest.param([AUDIO_END, MOTION_END], ANSWERED, id="one message up and one down"),
        pytest.param([AUDIO, AUDIO, AUDIO_END, MOTION, MOTION_END], ANSWERED, id="upload, then the answer"),
        pytest.param(
            [AUDIO, MOTION, AUDIO_END, MOTION_END], ANSWERED, id="the answer begins during the upload"
        ),
        pytest.param([AUDIO, MOTION, INTERRUPT, MOTION], INTERRUPTED, id="late motion after an interrupt"),
        pytest.param([AUDIO, MOTION_END], None, id="no end of motion before the end of audio"),
        pytest.param([AUDIO_END, AUDIO], None, id="no audio after the end"),
        pytest.param([AUDIO_END, AUDIO_END], None, id="no second end of audio"),
        pytest.param([AUDIO, INTERRUPT, AUDIO], None, id="no audio after an interrupt"),
        pytest.param([AUDIO_END, MOTION_END, MOTION], None, id="no motion after its end"),
        pytest.param([AUDIO_END, MOTION_END, MOTION_END], None, id="no second end of motion"),
    ],
)
def test_a_dialogue_ends_where_the_protocol_says(dialogue: list[TurnEvent], end: TurnState | None) -> None:
    state: TurnState | None = UPLOADING
    for event in dialogue:
        assert state is not None
        state = next_turn_state(state, event)
    assert state is end
