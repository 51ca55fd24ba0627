"""strictSync, and the keyframes that are rendered."""

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.tests.model.client.test_decoder import KEYFRAME_NS, PCM, SECOND, new_decoder, payload
from spatius_sim.trace.decoder_events import PlaybackState, StallChanged, StarvationMode


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
    row = decoder.current_keyframe
    assert row is not None


def test_after_the_end_the_samples_of_the_last_conversation_are_told() -> None:
    decoder = new_decoder()
    assert decoder.samples_played == 0
    decoder.yield_audio_data(PCM, True)
    decoder.advance(2 * SECOND)
    assert decoder.samples_played == 16000
    assert not decoder.stalled
