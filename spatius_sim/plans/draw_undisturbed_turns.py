"""Draws undisturbed turns, conversations and crowds: nothing goes wrong in them.

Fixed plans of this kind are in fixed_relay_plans.py."""

from hypothesis import strategies as st

from spatius_sim.plans.plan import (
    PLAN_SAMPLE_RATE,
    SAMPLES_PER_KEYFRAME,
    Plan,
    Sound,
    TurnPlan,
)
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, segment_end

_USUAL_CHUNK_BYTES = (320, 640, 3200, 6400, 64000)
"""10 ms, 20 ms, 100 ms, 200 ms and 2 s of speech."""

_LONGEST_SAMPLES = 12 * PLAN_SAMPLE_RATE
_MINUTE = 60 * PLAN_SAMPLE_RATE
"""Samples."""
_MAX_CHUNKS = 60
"""The most chunks of one drawn turn."""
_FIRST_CHUNKS: tuple[tuple[int, ...], ...] = (*[()] * 6, (1,), (0, 1))


def _draw_sample_count() -> st.SearchStrategy[int]:
    """Draw the length of an undisturbed turn in samples: close to a length at which one more keyframe or
    segment begins, or any length up to 12 s. More than 6 s are drawn often, because some faults of relays
    show only then."""
    keyframe_counts = (1, 2, *map(segment_end, range(3)))
    offsets = (-PLAN_SAMPLE_RATE // 100, -1, 0, 1)
    border_lengths = [
        SAMPLES_PER_KEYFRAME * count + offset for count in keyframe_counts for offset in offsets
    ]
    long_enough_lengths = [length for length in border_lengths if length >= SAMPLES_PER_KEYFRAME]
    any_lengths = st.integers(SAMPLES_PER_KEYFRAME, _LONGEST_SAMPLES)
    # Faults that begin with the third payload show from six seconds on.
    long_lengths = st.integers(_LONGEST_SAMPLES // 2 + 1, _LONGEST_SAMPLES)
    return st.sampled_from(long_enough_lengths) | any_lengths | long_lengths


@st.composite
def _draw_turn(
    draw: st.DrawFn, sample_counts: st.SearchStrategy[int], sounds: st.SearchStrategy[Sound]
) -> TurnPlan:
    """Draw an undisturbed turn. Its number of samples is drawn from `sample_counts`, its sound
    from `sounds`. Its chunks have any size that is large enough for at most about 60 chunks in the turn."""
    sample_count = draw(sample_counts)
    least_chunk_bytes = max(BYTES_PER_SAMPLE, sample_count * BYTES_PER_SAMPLE // _MAX_CHUNKS)
    chunk_bytes = draw(
        st.sampled_from(_USUAL_CHUNK_BYTES) | st.integers(BYTES_PER_SAMPLE, _USUAL_CHUNK_BYTES[-1])
    )
    sound, first_chunks = draw(sounds), draw(st.sampled_from(_FIRST_CHUNKS))
    return TurnPlan(
        sample_count,
        max(least_chunk_bytes, chunk_bytes),
        sound=sound,
        first_chunks=first_chunks if sample_count else (),
    )


def turn_plans() -> st.SearchStrategy[TurnPlan]:
    """Draw an undisturbed turn of at least one keyframe; some have a long pause in the middle."""
    return _draw_turn(
        _draw_sample_count(), st.sampled_from((*[Sound.SPEECH] * 4, Sound.PAUSES, Sound.CLIPPED))
    )


def turns_without_motion() -> st.SearchStrategy[TurnPlan]:
    """Draw a turn that asks for no motion: it has too few samples for a keyframe, or it is silent."""
    too_short = st.sampled_from((0, 1, SAMPLES_PER_KEYFRAME - 1)) | st.integers(0, SAMPLES_PER_KEYFRAME - 1)
    return _draw_turn(too_short, st.just(Sound.SPEECH)) | _draw_turn(
        _draw_sample_count(), st.just(Sound.SILENCE)
    )


def audible_conversations(least_turns: int = 1) -> st.SearchStrategy[Plan]:
    """Draw a plan in which one client speaks `least_turns` to three turns; all of them can be heard."""
    turns = st.lists(turn_plans(), min_size=least_turns, max_size=3)
    return turns.map(lambda turn_list: Plan((tuple(turn_list),)))


@st.composite
def conversations(draw: st.DrawFn, least_turns: int = 1) -> Plan:
    """Draw a plan in which one client of a relay speaks `least_turns` to three turns that can be heard. In
    one plan of four, a turn that is silent or too short for motion is put before, between or after them."""
    [audible_turns] = draw(audible_conversations(least_turns)).clients
    turns = list(audible_turns)
    if draw(st.sampled_from((False, False, False, True))):
        turns.insert(draw(st.integers(0, len(turns))), draw(turns_without_motion()))
    return Plan((tuple(turns),))


def crowds() -> st.SearchStrategy[Plan]:
    """Draw a plan in which two or three clients speak their turns at the same time."""
    turns = st.lists(turn_plans(), min_size=1, max_size=2).map(tuple)
    return st.lists(turns, min_size=2, max_size=3).map(lambda clients: Plan(tuple(clients)))


def alone_or_not() -> st.SearchStrategy[Plan]:
    """Draw one client in most plans, else a crowd: some relays err only if several clients speak."""
    return st.one_of(conversations(), conversations(), crowds())


def long_speeches() -> st.SearchStrategy[Plan]:
    """Draw a plan in which one client speaks a turn of half a minute to a minute, and then a shorter turn."""
    lengths = st.sampled_from((_MINUTE // 2, _MINUTE)) | st.integers(_MINUTE // 2, _MINUTE)
    long_turns = _draw_turn(lengths, st.sampled_from((Sound.SPEECH, Sound.PAUSES)))
    return st.builds(lambda long_turn, turn: Plan(((long_turn, turn),)), long_turns, turn_plans())
