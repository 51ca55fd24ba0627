"""Wrong clients are right in all but their one way."""

import pytest

from spatius_sim.miniatures.client.honest_clients import ThrowsWhereNothingIsFixed
from spatius_sim.miniatures.client.wrong_clients import (
    ComparesReqId,
    DropsMotionInPause,
    GoesIdleWithoutEnd,
    KeepsMotionOverInterrupt,
    RefusesUnknownFields,
    SwitchesOnInterruptedEmpty,
    TakesFirstPayloadAlone,
)
from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.tests.model.client.test_decoder import payload
from spatius_sim.trace.decoder_events import DiscardReason, MotionTaken, PlaybackState

SECOND_NS = 1_000_000_000


def made(brain: type[ClientDecoder]) -> ClientDecoder:
    return brain(16000, lambda: "c1")


def test_one_that_compares_req_ids_takes_motion_whose_req_id_is_the_id() -> None:
    decoder = made(ComparesReqId)
    decoder.yield_audio_data(b"ab")
    decoder.yield_frames_data([payload(1, req_id="c1"), payload(2, req_id="other")], "c1")
    assert [event for event in decoder.take_events() if isinstance(event, MotionTaken)] == [
        MotionTaken("c1", 1)
    ]


def test_an_interrupt_of_nothing_keeps_nothing() -> None:
    decoder = made(KeepsMotionOverInterrupt)
    decoder.interrupt()
    decoder.yield_audio_data(b"ab")
    assert decoder.current_keyframe is None


def test_a_pause_of_nothing_drops_nothing() -> None:
    decoder = made(DropsMotionInPause)
    decoder.pause()
    assert decoder.state is PlaybackState.IDLE


def test_one_that_goes_idle_too_early_stays_idle_after_the_end() -> None:
    decoder = made(GoesIdleWithoutEnd)
    decoder.yield_audio_data(bytes(3200), True)
    decoder.advance(1000)
    assert decoder.played_seconds == 1e-6
    decoder.advance(SECOND_NS)
    decoder.yield_audio_data(b"", True)
    assert decoder.state is PlaybackState.IDLE


def test_one_that_refuses_unknown_fields_discards_junk_like_any_other() -> None:
    decoder = made(RefusesUnknownFields)
    decoder.yield_audio_data(b"ab")
    decoder.yield_frames_data([b"\xff" * 16], "c1")
    assert decoder.discards == {DiscardReason.UNDECODABLE: 1}


def test_one_that_throws_does_so_on_a_pause_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing plays"):
        made(ThrowsWhereNothingIsFixed).pause()


def test_one_that_takes_the_first_payload_alone() -> None:
    decoder = made(TakesFirstPayloadAlone)
    decoder.yield_audio_data(b"ab")
    decoder.yield_frames_data([payload(1), payload(2)], "c1")
    decoder.yield_frames_data(None, "c1")
    assert [event for event in decoder.take_events() if isinstance(event, MotionTaken)] == [
        MotionTaken("c1", 1)
    ]
    assert decoder.audio_only


def test_one_that_goes_audio_only_for_an_interrupted_id() -> None:
    ids = iter(("c1", "c2"))
    decoder = SwitchesOnInterruptedEmpty(16000, lambda: next(ids))
    decoder.yield_audio_data(b"ab")
    decoder.interrupt()
    decoder.yield_frames_data((), "c1")
    decoder.yield_audio_data(b"ab")
    decoder.yield_frames_data((), "another")
    decoder.yield_frames_data([payload(1)], "c1")
    assert not decoder.audio_only
    decoder.yield_frames_data((), "c1")
    assert decoder.audio_only
