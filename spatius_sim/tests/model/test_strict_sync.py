"""Direct Mode, strictSync and the keyframes that are rendered."""

import pytest

from spatius_sim.model.client_decoder import ClientDecoder
from spatius_sim.model.decoder_events import (
    AudioOnlyEntered,
    AudioToSend,
    PlaybackState,
    StallChanged,
    StarvationMode,
    StateChanged,
    StateReason,
)
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.tests.model.test_client_decoder import KEYFRAME_NS, PCM, SECOND, new_decoder, payload


def test_send_is_a_round_whose_audio_goes_up() -> None:
    decoder = new_decoder()
    assert decoder.send(PCM) == "c1"
    assert decoder.send(b"", True) == "c1"
    sent = [event for event in decoder.take_events() if isinstance(event, AudioToSend)]
    assert sent == [AudioToSend("c1", PCM, False), AudioToSend("c1", b"", True)]


@pytest.mark.parametrize("reason", [StateReason.NETWORK_ERROR, StateReason.SERVER_ERROR])
def test_an_error_ends_playback_and_says_why(reason: StateReason) -> None:
    decoder = new_decoder()
    decoder.send(PCM)
    decoder.take_events()
    decoder.fail(reason)
    assert decoder.take_events() == [StateChanged(PlaybackState.IDLE, reason)]
    assert decoder.get_current_conversation_id() is None


def test_fallback_mode_is_audio_only_from_here_on() -> None:
    decoder = new_decoder()
    decoder.send(PCM)
    decoder.take_events()
    decoder.fall_back()
    decoder.fall_back()
    assert decoder.take_events() == [AudioOnlyEntered("c1")]
    decoder.interrupt()
    decoder.take_events()
    decoder.send(PCM)
    assert StateChanged(PlaybackState.PLAYING, StateReason.FALLBACK_MODE) in decoder.take_events()
    assert decoder.audio_only


def test_fallback_mode_without_a_conversation_waits_for_one() -> None:
    decoder = new_decoder()
    decoder.fall_back()
    assert decoder.take_events() == []
    decoder.send(PCM)
    assert decoder.audio_only


def strict(rendered: list[float]) -> ClientDecoder:
    def render(row: Keyframes) -> None:
        rendered.append(float(row[0]))

    return ClientDecoder(16000, lambda: "c1", 0, StarvationMode.STRICT_SYNC, render)


def test_strict_sync_stalls_where_motion_is_missing_and_goes_on_with_it() -> None:
    rendered: list[float] = []
    decoder = strict(rendered)
    decoder.yield_audio_data(PCM)
    decoder.yield_frames_data([payload(1, 2)], "c1")
    decoder.advance(SECOND // 2)
    assert decoder.stalled
    assert decoder.samples_played == 2 * 640
    decoder.take_events()
    decoder.yield_frames_data([payload(3, 4, 5)], "c1")
    decoder.advance(SECOND // 2 + KEYFRAME_NS)
    assert not decoder.stalled
    assert decoder.take_events()[-1] == StallChanged("c1", False)
    assert decoder.samples_played == 3 * 640


def test_strict_sync_does_not_wait_in_audio_only() -> None:
    decoder = strict([])
    decoder.yield_audio_data(PCM, True)
    decoder.advance(KEYFRAME_NS)
    assert decoder.stalled
    decoder.yield_frames_data(None, "c1")
    assert not decoder.stalled
    decoder.advance(2 * SECOND)
    assert decoder.state is PlaybackState.IDLE
    assert decoder.samples_played == 16000


def test_the_rest_that_fills_no_keyframe_needs_none() -> None:
    decoder = strict([])
    decoder.yield_audio_data(bytes(2 * 700), True)
    decoder.yield_frames_data([payload(1)], "c1")
    decoder.advance(SECOND)
    assert decoder.state is PlaybackState.IDLE


def test_late_motion_after_the_end_mark_still_counts() -> None:
    decoder = new_decoder()
    decoder.yield_audio_data(PCM, True)
    decoder.advance(SECOND // 2)
    decoder.yield_frames_data([payload(*range(1, 26))], "c1")
    row = decoder.keyframe_row
    assert row is not None


def test_after_the_end_the_samples_of_the_last_round_are_told() -> None:
    decoder = new_decoder()
    assert decoder.samples_played == 0
    decoder.yield_audio_data(PCM, True)
    decoder.advance(2 * SECOND)
    assert decoder.samples_played == 16000
    assert not decoder.stalled
