"""The states of one request (all messages that share a req_id), as a table.

    UPLOADING --audio--> UPLOADING --audio end--> ANSWERING --motion end--> ANSWERED
        |  motion                                     |  motion
        +----------------interrupt--------------------+------> INTERRUPTED

Motion comes while audio is still going up (the recording's first segment is 2 s long). After its end or
its interrupt a req_id takes no more audio, for "the next audio gets a new req_id" (sdk-py). Motion that
was on its way when the interrupt came may still arrive: "after it the SDK drops the req_id".
"""

from enum import Enum


class TurnState(Enum):
    """How far a request has come."""

    UPLOADING = "uploading"
    ANSWERING = "answering"
    ANSWERED = "answered"
    INTERRUPTED = "interrupted"


class TurnEvent(Enum):
    """What can happen to a request."""

    AUDIO = "audio"
    AUDIO_END = "audio with end=true"
    MOTION = "motion"
    MOTION_END = "motion with end=true"
    INTERRUPT = "interrupt"


TURN_TABLE: dict[tuple[TurnState, TurnEvent], TurnState] = {
    (TurnState.UPLOADING, TurnEvent.AUDIO): TurnState.UPLOADING,
    (TurnState.UPLOADING, TurnEvent.AUDIO_END): TurnState.ANSWERING,
    (TurnState.UPLOADING, TurnEvent.MOTION): TurnState.UPLOADING,
    (TurnState.UPLOADING, TurnEvent.INTERRUPT): TurnState.INTERRUPTED,
    (TurnState.ANSWERING, TurnEvent.MOTION): TurnState.ANSWERING,
    (TurnState.ANSWERING, TurnEvent.MOTION_END): TurnState.ANSWERED,
    (TurnState.ANSWERING, TurnEvent.INTERRUPT): TurnState.INTERRUPTED,
    (TurnState.ANSWERED, TurnEvent.INTERRUPT): TurnState.INTERRUPTED,
    (TurnState.INTERRUPTED, TurnEvent.INTERRUPT): TurnState.INTERRUPTED,
    (TurnState.INTERRUPTED, TurnEvent.MOTION): TurnState.INTERRUPTED,
    (TurnState.INTERRUPTED, TurnEvent.MOTION_END): TurnState.INTERRUPTED,
}


def next_turn_state(state: TurnState, event: TurnEvent) -> TurnState | None:
    """Return the state of a turn (a request) after `event`, or None if the table does not allow the event in
    this state."""
    return TURN_TABLE.get((state, event))
