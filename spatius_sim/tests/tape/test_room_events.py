"""What happened in a room survives a tape; of speech it keeps only what a tape may hold."""

import pytest

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import AudioInput
from spatius_sim.tape.hide_names_and_speech import EventCleaner
from spatius_sim.tape.traces_on_tapes import make_event_content
from spatius_sim.trace.events import Event, EventKind, Joined, Lane, Published
from spatius_sim.trace.room_events import (
    DataSeen,
    KeyFrameSeen,
    LeftRoom,
    MediaLost,
    PacketSeen,
    PlaybackTold,
    SoundHeard,
    TrackKind,
    TrackSeen,
    ViewerJoined,
)

AUDIO = AudioInput("a", b"\x01\x02" * 320, True)
EVENTS: list[EventKind] = [
    Joined("room", "avatar", "a=b"),
    TrackSeen("avatar", TrackKind.CAMERA),
    PacketSeen("avatar", b"\x01\x02\x00\x00\x00ab"),
    PlaybackTold("avatar", "lk.playback_started", "{}"),
    ViewerJoined("v"),
    KeyFrameSeen("v"),
    DataSeen("relay", 70_000, "stream", head=True),
    MediaLost(TrackKind.CAMERA, 3),
    LeftRoom("room", "avatar"),
]
WITH_SPEECH: list[EventKind] = [
    SoundHeard("avatar", b"\x01\x02" * 320, 16_000),
    Published("room", encode(AUDIO), AUDIO),
]


def taped(what: EventKind, *, keep_speech: bool) -> EventKind:
    cleaner = EventCleaner(None, None, keep_speech=keep_speech)
    return make_event_content(cleaner.clean_event(Event(0, 0, Lane.EGRESS, "session", what)), None)[0]


@pytest.mark.parametrize("what", EVENTS, ids=lambda what: type(what).__name__)
@pytest.mark.parametrize("keep_speech", [True, False])
def test_an_event_of_a_room_survives_a_tape(what: EventKind, keep_speech: bool) -> None:
    assert taped(what, keep_speech=keep_speech) == what


@pytest.mark.parametrize("what", WITH_SPEECH, ids=lambda what: type(what).__name__)
def test_speech_in_a_room_survives_if_the_tape_keeps_it(what: EventKind) -> None:
    assert taped(what, keep_speech=True) == what
    without = taped(what, keep_speech=False)
    assert type(without) is type(what)
    assert without != what
