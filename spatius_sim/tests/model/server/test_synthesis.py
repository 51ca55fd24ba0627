"""The synthesized motion against each recorded fact of protocol.md, "Motion as recorded"."""

import wave
from functools import lru_cache
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spatius_sim.model.server.synthesis import MotionSynthesizer
from spatius_sim.protocol.audio import OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES, keyframe_count
from spatius_sim.protocol.keyframes import (
    EXPRESSION,
    EYE_LID,
    EYE_POSE,
    JAW_POSE,
    NECK_POSE,
    ROTATION,
    TRANSLATION,
    Keyframes,
)

SPEECH = Path(__file__).parents[4] / "fixtures" / "speech"
CLIPS = ("hello", "relay")
SEEDS = range(5)
RATE = 16000
ALL_RATES = sorted({*PCM_SAMPLE_RATES, *OPUS_SAMPLE_RATES})

of_speech = pytest.mark.parametrize(("clip", "seed"), [(clip, seed) for clip in CLIPS for seed in SEEDS])


@lru_cache
def speech(clip: str) -> bytes:
    """The PCM of one of our clips, 16 kHz mono s16le."""
    with wave.open(str(SPEECH / f"{clip}.wav")) as opened:
        assert (opened.getframerate(), opened.getnchannels(), opened.getsampwidth()) == (RATE, 1, 2)
        pcm: bytes = opened.readframes(opened.getnframes())
    return pcm


def segments_of(chunks: list[bytes], rate: int = RATE, seed: int = 0) -> list[Keyframes]:
    """All segments of a request, the last from finish()."""
    synthesizer = MotionSynthesizer(rate, seed)
    complete = [segment for chunk in chunks for segment in synthesizer.feed(chunk)]
    return [*complete, synthesizer.finish()]


@lru_cache
def motion(clip: str, seed: int) -> Keyframes:
    return np.concatenate(segments_of([speech(clip)], seed=seed))


def tone(rate: int, seconds: int, hertz: int = 200, amplitude: int = 8000) -> bytes:
    """A tone with a whole number of periods in each keyframe."""
    turns = np.arange(rate * seconds) * hertz / rate
    return (amplitude * np.sin(2 * np.pi * turns)).astype("<i2").tobytes()


def jaw_x(keyframes: Keyframes) -> NDArray[np.float32]:
    return keyframes[:, JAW_POSE.start]


def neck_x(keyframes: Keyframes) -> NDArray[np.float32]:
    return keyframes[:, NECK_POSE.start]


def moving(keyframes: Keyframes) -> NDArray[np.float32]:
    """Expression coefficients 0..49, (n, 50)."""
    return keyframes[:, EXPRESSION][:, :50]


def steps(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Absolute differences from keyframe to keyframe."""
    return np.abs(np.diff(values, axis=0))


def border_steps(keyframes: int) -> list[int]:
    """Which steps lead over a segment border."""
    return [border - 1 for border in range(50, keyframes, 100)]


def near(value: float, fact: float) -> bool:
    return fact / 1.5 <= value <= fact * 1.5


@of_speech
def test_arrays_are_finite_float32_with_120_columns(clip: str, seed: int) -> None:
    for segment in segments_of([speech(clip)], seed=seed):
        assert segment.dtype == np.float32
        assert segment.shape[1:] == (120,)
        assert np.isfinite(segment).all()


@pytest.mark.parametrize(
    ("clip", "lengths"), [("hello", [50, 100, 3]), ("relay", [50, 100, 100, 100, 100, 62])]
)
def test_segments_carry_two_then_four_seconds_then_the_rest(clip: str, lengths: list[int]) -> None:
    assert [len(segment) for segment in segments_of([speech(clip)])] == lengths


@of_speech
def test_translation_and_eye_pose_are_constant(clip: str, seed: int) -> None:
    for columns in (TRANSLATION, EYE_POSE):
        values = motion(clip, seed)[:, columns]
        assert (values == values[0]).all()
        assert (values != 0).all()


@of_speech
def test_rotation_and_eye_lid_are_zero(clip: str, seed: int) -> None:
    assert not motion(clip, seed)[:, ROTATION].any()
    assert not motion(clip, seed)[:, EYE_LID].any()


@of_speech
def test_jaw_opens_as_far_as_the_recorded_one(clip: str, seed: int) -> None:
    jaw = jaw_x(motion(clip, seed))
    assert near(jaw.min(), 0.005)
    assert near(jaw.max(), 0.063)
    assert near(jaw.mean(), 0.040)


@of_speech
def test_jaw_steps_as_the_recorded_one(clip: str, seed: int) -> None:
    assert near(steps(jaw_x(motion(clip, seed))).mean(), 0.006)


@of_speech
def test_jaw_y_and_z_are_constant(clip: str, seed: int) -> None:
    values = motion(clip, seed)[:, JAW_POSE][:, 1:]
    assert (values == values[0]).all()
    assert (values != 0).all()


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("floor", [1.0, 1e-4])
def test_jaw_follows_loudness(clip: str, floor: float) -> None:
    jaw = jaw_x(motion(clip, 0))
    windows = np.frombuffer(speech(clip), "<i2", len(jaw) * 640).reshape(len(jaw), 640).astype(np.float64)
    rms = np.sqrt((windows**2).mean(axis=1))
    decibels = 20 * np.log10(np.maximum(rms, floor) / 32768)
    assert np.corrcoef(jaw, rms)[0, 1] >= 0.6
    assert np.corrcoef(jaw, decibels)[0, 1] >= 0.6


def test_jaw_runs_on_smoothly_across_borders() -> None:
    jaw = jaw_x(np.concatenate(segments_of([tone(RATE, 11)])))
    np.testing.assert_allclose(jaw[2:], jaw[2], atol=1e-6)
    assert jaw[0] < jaw[1] < jaw[2], "the mouth opens in three keyframes"


@of_speech
def test_neck_stays_in_the_recorded_range(clip: str, seed: int) -> None:
    x, y, z = motion(clip, seed)[:, NECK_POSE].T
    assert x.min() >= 0.07 and x.max() <= 0.18
    assert near(x.min(), 0.07) and near(x.max(), 0.18)
    assert y.min() >= -0.031 and y.max() <= 0.009
    assert z.min() >= -0.0015 and z.max() <= 0.041
    assert np.ptp(y) >= 0.01 and np.ptp(z) >= 0.01


@of_speech
def test_neck_moves_as_slowly_as_the_recorded_one(clip: str, seed: int) -> None:
    assert near(steps(neck_x(motion(clip, seed))).mean(), 0.0057)


@of_speech
def test_neck_runs_on_smoothly_across_borders(clip: str, seed: int) -> None:
    """Its bends (second differences) are no sharper anywhere than two slow sines can make them."""
    bends = np.abs(np.diff(motion(clip, seed)[:, NECK_POSE], n=2, axis=0))
    assert bends.max() <= 0.005


@of_speech
def test_expression_deviates_as_the_recorded_one(clip: str, seed: int) -> None:
    deviations = moving(motion(clip, seed)).std(axis=0)
    assert near(deviations.min(), 0.12)
    assert near(deviations.max(), 0.8)
    assert near(float(np.median(deviations)), 0.38)


@of_speech
def test_expression_steps_as_the_recorded_one(clip: str, seed: int) -> None:
    assert near(steps(motion(clip, seed)[:, EXPRESSION]).mean(), 0.055)


@of_speech
def test_expression_oscillates_around_offsets_of_about_one(clip: str, seed: int) -> None:
    offsets = moving(motion(clip, seed)).mean(axis=0)
    assert near(-offsets.min(), 1) and near(offsets.max(), 1)


@of_speech
def test_upper_half_of_the_expression_is_zero(clip: str, seed: int) -> None:
    assert not motion(clip, seed)[:, EXPRESSION][:, 50:].any()


@of_speech
def test_expression_jumps_a_little_at_each_border(clip: str, seed: int) -> None:
    step = steps(moving(motion(clip, seed))).mean(axis=1)
    borders = border_steps(len(step) + 1)
    elsewhere = np.delete(step, borders).mean()
    assert near(step[borders].mean(), 0.24)
    assert near(elsewhere, 0.11)
    assert step[borders].min() > elsewhere


def test_each_border_has_a_jump_of_its_own() -> None:
    jumps = np.diff(moving(motion("relay", 0)), axis=0)[border_steps(len(motion("relay", 0)))]
    for one, other in combinations(jumps, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_silence_sways_and_never_repeats(seed: int) -> None:
    segments = segments_of([bytes(2 * RATE * 31)], seed=seed)
    keyframes = np.concatenate(segments)
    assert near(jaw_x(keyframes).max(), 0.005)
    assert np.ptp(neck_x(keyframes)) >= 0.05
    assert (moving(keyframes).std(axis=0) >= 0.05).all()
    for columns in (NECK_POSE, EXPRESSION):
        for one, other in combinations(segments[1:-1], 2):
            assert np.abs(one[:, columns] - other[:, columns]).max() > 0.01


@pytest.mark.parametrize("rate", ALL_RATES)
def test_clipping_noise_stays_finite_and_in_range(rate: int) -> None:
    signs = np.random.default_rng(0).integers(0, 2, rate * 7)
    pcm = np.where(signs, 32767, -32768).astype("<i2").tobytes()
    keyframes = np.concatenate(segments_of([pcm], rate))
    assert np.isfinite(keyframes).all()
    assert near(jaw_x(keyframes).max(), 0.063)
    assert np.abs(keyframes).max() < 6


@pytest.mark.parametrize("rate", ALL_RATES)
def test_the_same_sound_moves_the_same_at_every_rate(rate: int) -> None:
    at_this_rate = np.concatenate(segments_of([tone(rate, 7)], rate))
    np.testing.assert_allclose(at_this_rate, np.concatenate(segments_of([tone(RATE, 7)])), atol=0.02)


@pytest.mark.parametrize("rate", ALL_RATES)
def test_a_high_sound_moves_nearly_the_same_at_every_rate(rate: int) -> None:
    atol = 0.01 if rate % 8000 == 0 else 0.25
    at_this_rate = np.concatenate(segments_of([tone(rate, 7, 2000)], rate))
    np.testing.assert_allclose(at_this_rate, np.concatenate(segments_of([tone(RATE, 7, 2000)])), atol=atol)


@pytest.mark.parametrize("rate", ALL_RATES)
@pytest.mark.parametrize(
    ("seconds", "beyond", "fed", "rest"),
    [
        (2, -1, [], 49),
        (2, 0, [], 50),
        (2, 1, [50], 0),
        (6, -1, [50], 99),
        (6, 0, [50], 100),
        (6, 1, [50, 100], 0),
    ],
)
def test_a_segment_waits_for_a_sample_beyond_its_border(
    rate: int, seconds: int, beyond: int, fed: list[int], rest: int
) -> None:
    samples = rate * seconds + beyond
    *complete, last = segments_of([bytes(2 * samples)], rate)
    assert [len(segment) for segment in complete] == fed
    assert last.shape == (rest, 120)
    assert sum(fed) + rest == keyframe_count(samples, rate)


def test_half_a_sample_beyond_the_border_is_none() -> None:
    synthesizer = MotionSynthesizer(RATE, 0)
    assert synthesizer.feed(bytes(2 * RATE * 2 + 1)) == []
    assert [len(segment) for segment in synthesizer.feed(bytes(1))] == [50]
    assert synthesizer.finish().shape == (0, 120)


def test_half_a_sample_at_the_end_is_dropped() -> None:
    pcm = speech("hello")
    for whole, half in zip(segments_of([pcm]), segments_of([pcm, b"\x7f"]), strict=True):
        assert whole.tobytes() == half.tobytes()


def test_no_audio_gives_no_keyframes() -> None:
    assert [segment.shape for segment in segments_of([])] == [(0, 120)]


def test_expression_depends_on_the_sound() -> None:
    spoken, silent = motion("hello", 0), np.concatenate(segments_of([bytes(len(speech("hello")))]))
    assert np.abs(moving(spoken) - moving(silent)).max() > 0.3


def test_another_seed_is_another_motion() -> None:
    for one, other in combinations(SEEDS, 2):
        difference = np.abs(motion("hello", one) - motion("hello", other))
        assert difference[:, NECK_POSE].max() > 0.01
        assert difference[:, EXPRESSION].max() > 0.5


def test_a_segment_handed_out_does_not_change_any_more() -> None:
    synthesizer = MotionSynthesizer(RATE, 0)
    (first,) = synthesizer.feed(speech("relay")[: 2 * RATE * 3])
    before = first.tobytes()
    synthesizer.feed(speech("relay")[2 * RATE * 3 :])
    synthesizer.finish()
    assert first.tobytes() == before


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, len(speech("hello"))), max_size=30),
    clip=st.sampled_from(CLIPS),
    seed=st.integers(-(2**70), 2**70),
)
def test_any_chunking_gives_the_same_bits(cuts: list[int], clip: str, seed: int) -> None:
    pcm = speech(clip)[: len(speech("hello"))]
    chunks = [pcm[start:end] for start, end in pairwise([0, *sorted(cuts), len(pcm)])]
    whole = [segment.tobytes() for segment in segments_of([pcm], seed=seed)]
    assert [segment.tobytes() for segment in segments_of(chunks, seed=seed)] == whole


@pytest.mark.parametrize("chunk", [641, 3200, 31999])
def test_regular_chunks_give_the_same_bits(chunk: int) -> None:
    pcm = speech("relay")
    chunks = [pcm[start : start + chunk] for start in range(0, len(pcm), chunk)]
    whole = [segment.tobytes() for segment in segments_of([pcm])]
    assert [segment.tobytes() for segment in segments_of(chunks)] == whole
