"""The play-out by times alone is what our decoder does with the same arrivals."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH, Keyframes
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.study.client_playback import find_needed_start_delay, play_turn
from spatius_sim.trace.decoder_events import StarvationMode

RATE = 8000
_NS = 1_000_000_000
TICK = 0.001
"""Arrivals lie on whole milliseconds, and are told apart from the moments at which keyframes are due."""


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[tuple[float, int]], int]:
    """Audio in chunks of 200 ms, and motion in segments of 10 keyframes, each after the one before."""
    chunks = draw(st.integers(1, 12))
    gaps = draw(st.lists(st.integers(1, 700), min_size=chunks, max_size=chunks))
    audio = [
        (round(sum(gaps[: number + 1]) * TICK + 0.0003, 4), round(0.2 * (number + 1), 1))
        for number in range(chunks)
    ]
    keyframes = 5 * chunks
    count = draw(st.integers(0, math.ceil(keyframes / 10)))
    gaps = draw(st.lists(st.integers(1, 1500), min_size=count, max_size=count))
    # No motion comes before there is audio: a client has no id for it.
    start = audio[0][0]
    motion = [
        (round(start + sum(gaps[: number + 1]) * TICK + 0.0004, 4), min(keyframes, 10 * (number + 1)))
        for number in range(count)
    ]
    return audio, motion, keyframes


def decoded(
    audio: list[tuple[float, float]], motion: list[tuple[float, int]], mode: StarvationMode
) -> tuple[int, list[float]]:
    """How many keyframes our decoder shows, and when it has played each tenth of a second."""
    shown: list[Keyframes] = []
    decoder = ClientDecoder(RATE, lambda: "c", mode=mode, render=shown.append)
    events = sorted([(at, 0, end) for at, end in audio] + [(at, 1, float(end)) for at, end in motion])
    before, frames, reached = 0.0, 0, []
    wanted = iter(tenth / 10 for tenth in range(1, round(audio[-1][1] * 10)))
    goal = next(wanted, math.inf)
    step = 0.0
    for at, kind, end in [*events, (events[-1][0] + 4, 2, 0.0)]:
        while step + 0.005 < at:
            step = round(step + 0.005, 3)
            decoder.advance(round(step * _NS))
            while decoder.get_current_conversation_id() and decoder.played_seconds >= goal - 1e-6:
                reached.append(step)
                goal = next(wanted, math.inf)
            if kind == 2 and decoder.get_current_conversation_id() is None:
                break
        if kind == 2:
            break
        decoder.advance(round(at * _NS))
        if kind == 0:
            pcm = bytes(2 * round((end - before) * RATE))
            decoder.yield_audio_data(pcm, end == audio[-1][1])
            before = end
        else:
            rows = np.zeros((round(end) - frames, WIDTH), np.float32)
            payload = encode(MotionResponse("connection", "request", False, rows))
            decoder.yield_frames_data([payload], "c")
            frames = round(end)
    return len(shown), reached


@settings(max_examples=60, deadline=None)
@given(arrivals(), st.booleans())
def test_keyframes_and_stalls_are_those_of_the_decoder(
    drawn: tuple[list[tuple[float, float]], list[tuple[float, int]], int], strict: bool
) -> None:
    audio, motion, keyframes = drawn
    mode = StarvationMode.STRICT_SYNC if strict else StarvationMode.AUDIO_INDEPENDENT
    played = play_turn(audio, motion, keyframes, start_buffer=0, strict=strict)
    shown, reached = decoded(audio, motion, mode)
    if played.end == math.inf:
        assert strict
        return
    assert played.keyframes - played.late == shown
    for tenth, at in enumerate(reached, 1):
        assert played.seconds_played_at(at) == pytest.approx(tenth / 10, abs=0.006)


@settings(deadline=None)
@given(arrivals())
def test_a_client_that_waits_as_long_as_told_never_stalls_and_misses_nothing(
    drawn: tuple[list[tuple[float, float]], list[tuple[float, int]], int],
) -> None:
    audio, motion, keyframes = drawn
    if not motion or motion[-1][1] < keyframes:
        motion = [*motion, (audio[-1][0] + 5.0004, keyframes)]
    wait = find_needed_start_delay(audio, motion, with_motion=True)
    late = audio[0][0] + wait + 1e-6
    waited = [(max(at, late), end) for at, end in audio]
    played = play_turn(waited, motion, keyframes, start_buffer=0, strict=False)
    assert not played.stalls
    assert played.late == 0
    assert find_needed_start_delay(audio, motion, with_motion=False) <= wait


@settings(deadline=None)
@given(arrivals())
def test_offsets_rise_by_a_keyframe_at_a_time_and_count_every_moment_after_the_first_motion(
    drawn: tuple[list[tuple[float, float]], list[tuple[float, int]], int],
) -> None:
    audio, motion, keyframes = drawn
    played = play_turn(audio, motion, keyframes, start_buffer=0, strict=False)
    offsets = sorted(played.offsets)
    assert all(later - before == 1 for before, later in pairwise(offsets))
    assert played.offsets.total() <= keyframes
    assert played.offsets[0] == keyframes - played.late


def test_a_start_buffer_waits_for_so_much_audio_or_for_all_of_it() -> None:
    audio = [(1.0, 0.5), (2.0, 1.0), (3.0, 1.5)]
    assert play_turn(audio, [], 0, start_buffer=0.2, strict=False).first_audio == 1.0
    assert play_turn(audio, [], 0, start_buffer=1.0, strict=False).first_audio == 2.0
    assert play_turn(audio, [], 0, start_buffer=9.0, strict=False).first_audio == 3.0


def test_audio_that_never_comes_is_never_heard() -> None:
    played = play_turn([(math.inf, 1.0)], [], 25, start_buffer=0, strict=False)
    assert (played.first_audio, played.first_motion, played.late) == (math.inf, math.inf, 25)
    halfway = play_turn([(1.0, 0.5), (math.inf, 1.0)], [], 25, start_buffer=0, strict=False)
    assert halfway.stalls == [(1.5, math.inf)]
    assert halfway.end == math.inf
