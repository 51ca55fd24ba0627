"""How much motion belongs to how much audio, exactly."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.audio import OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES, keyframe_count, segment_end

rates = st.sampled_from(sorted({*PCM_SAMPLE_RATES, *OPUS_SAMPLE_RATES}))
sample_counts = st.integers(0, 10**12)


def test_the_rates_are_those_of_the_documents() -> None:
    assert PCM_SAMPLE_RATES == (8000, 16000, 22050, 24000, 32000, 44100, 48000)
    assert OPUS_SAMPLE_RATES == (8000, 12000, 16000, 24000, 48000)


@given(keyframes=st.integers(1, 10**6), rate=rates)
def test_a_border_between_keyframes_is_exact(keyframes: int, rate: int) -> None:
    border = keyframes * rate // 25
    assert keyframe_count(border, rate) == keyframes
    assert keyframe_count(border - 1, rate) == keyframes - 1


@given(samples=sample_counts, rate=rates)
def test_the_count_is_the_floor_of_duration_times_25(samples: int, rate: int) -> None:
    assert keyframe_count(samples, rate) == floor(Fraction(samples, rate) * 25)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_the_recorded_20_3_seconds_have_507_keyframes(rate: int) -> None:
    assert keyframe_count(rate * 203 // 10, rate) == 507


@pytest.mark.parametrize(("segment", "end"), [(0, 50), (1, 150), (2, 250), (3, 350), (4, 450)])
def test_segments_end_where_they_were_recorded(segment: int, end: int) -> None:
    assert segment_end(segment) == end
