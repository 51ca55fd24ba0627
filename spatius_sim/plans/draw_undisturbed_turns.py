"""Draws turns, conversations and crowds in which nothing is wrong."""

from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import Delay, Fault, Moment, Scenario, When
from spatius_sim.plans.plan import (
    PLAN_SAMPLE_RATE,
    SAMPLES_PER_KEYFRAME,
    Plan,
    Sound,
    TurnPlan,
)
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, TurnProgress
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, segment_end

_USUAL_CHUNK_BYTES = (320, 640, 3200, 6400, 64000)
"""10 ms, 20 ms, 100 ms, 200 ms and 2 s of speech."""

_LONGEST_SAMPLES = 12 * PLAN_SAMPLE_RATE
_MINUTE = 60 * PLAN_SAMPLE_RATE
"""Samples."""
_MAX_CHUNKS = 60
"""The most chunks of one drawn turn."""
_FIRST_CHUNKS: tuple[tuple[int, ...], ...] = (*[()] * 6, (1,), (0, 1))

_SHORT = TurnPlan(PLAN_SAMPLE_RATE, 3200)

_STOPPED_WITHIN_A_SAMPLE = TurnPlan(
    PLAN_SAMPLE_RATE, 3201, Cue(3, TurnProgress.NOTHING), Behaviour.INTERRUPT, pause_ms=300
)

_SIZES_AT_BORDERS = (126, 128, 16_384, 65_536)
"""Bytes. From these sizes on, a length takes more bytes in a WebSocket frame, or in Protocol Buffers. Many
clients have buffers of such sizes."""

ODD_CHUNKS = tuple(
    Plan(((_SHORT, *turns, _SHORT),))
    for turns in (
        (TurnPlan(3 * PLAN_SAMPLE_RATE, 6401), TurnPlan(_LONGEST_SAMPLES, 2 * _LONGEST_SAMPLES)),
        (TurnPlan(6 * PLAN_SAMPLE_RATE, 320, first_chunks=_SIZES_AT_BORDERS),),
        (TurnPlan(PLAN_SAMPLE_RATE, 3200, half_sample=True),),
        (_STOPPED_WITHIN_A_SAMPLE,),
    )
)
"""Speech in chunks that are legal and rare: with an odd number of bytes, with all the speech of a turn, with
sizes at the borders of formats, and with 10 ms of speech each, hundreds of them at once. In
two plans a half sample is left, at the end of a turn and at an interrupt."""

_STOPPED_IN_MID_SPEECH = TurnPlan(
    3 * PLAN_SAMPLE_RATE, 3200, Cue(12, TurnProgress.NOTHING), Behaviour.INTERRUPT
)
_STOPPED_AT_ONCE = TurnPlan(PLAN_SAMPLE_RATE, 3200, Cue(1, TurnProgress.NOTHING), Behaviour.INTERRUPT)
INTERRUPTED_BEFORE_SPEECH = (
    Plan(
        (
            (
                _SHORT,
                TurnPlan(0, 3200, Cue(0, TurnProgress.NOTHING), Behaviour.INTERRUPT),
                _SHORT,
                _STOPPED_IN_MID_SPEECH,
                TurnPlan(0, 3200),
                _SHORT,
            ),
        )
    ),
    Plan(
        ((_STOPPED_AT_ONCE, _SHORT, _SHORT), (_SHORT, _SHORT)),
        motion_server=Scenario("slow-to-connect", "", (Fault(When(Moment.CONFIGURE), (Delay(0.1),)),)),
    ),
)
"""Between ordinary turns an interrupt when nothing is spoken, and an end of speech that comes only after the
interrupt of its turn, as from a microphone that is switched off late. And an interrupt while the client's
first session is opened, before its other turns; another client is served meanwhile."""

TURNS_IN_A_ROW = (Plan(((TurnPlan(PLAN_SAMPLE_RATE // 4, 3200),) * 10,)),)
"""More turns on one connection than a relay remembers that keeps the last few."""

_ODD_PIECES = TurnPlan(3 * PLAN_SAMPLE_RATE, 32_000, first_chunks=(1, 3, 32_000, 0), chunk_pause_ms=200)
FOUR_RESPONSES = (segment_end(2) + 1) * SAMPLES_PER_KEYFRAME
"""The fewest samples that Motion Server answers in four responses: some ten seconds of speech."""

PAUSES_BETWEEN_CHUNKS = (
    Plan(
        (
            (_SHORT, TurnPlan(3 * PLAN_SAMPLE_RATE, 72_000, chunk_pause_ms=1400), _SHORT),
            (_SHORT, TurnPlan(2 * PLAN_SAMPLE_RATE, 3200, chunk_pause_ms=100)),
            (_SHORT, _ODD_PIECES, _SHORT),
            (_SHORT, TurnPlan(FOUR_RESPONSES, 6400)),
        ),
        motion_server=Scenario(
            "slow-motion",
            "from the second response of a turn on, motion comes slowly",
            tuple(
                Fault(When(Moment.RESPONSE, number=number), (Delay(seconds),))
                for number, seconds in ((2, 0.3), (3, 1.2), (4, 1.65))
            ),
        ),
    ),
)
"""Speech with long gaps, a burst after each gap and an end that comes late; speech at the pace of a
microphone; and slow speech in chunks with one byte or none. A first chunk is longer than the first motion
takes, so motion comes in the gap after it. Other motion comes some time after the end of slow speech, or the
last of it 1.65 s after the end of fast speech.

Nothing goes wrong, so the clients speak at the same time: their waits pass together. All delays together stay
below LONGEST_BORNE_DELAY."""

PINGS_IN_MID_TURN = (Plan(((_SHORT, TurnPlan(3 * PLAN_SAMPLE_RATE, 32_000, pings=True), _SHORT),)),)
"""Clients of json-envelope ping whenever they like."""

_LONG_MS = 65_000

LONG_CONNECTIONS = (
    Plan(((TurnPlan(PLAN_SAMPLE_RATE, 3200, pause_ms=_LONG_MS), _SHORT, _SHORT),)),
    Plan(((_SHORT, TurnPlan(_LONG_MS * PLAN_SAMPLE_RATE // 1000, 16_000, chunk_pause_ms=500), _SHORT),)),
)
"""A client that says nothing for more than a minute, and one that speaks for as long at the pace of a
microphone: time-outs of a minute are the most usual."""


def _draw_sample_count() -> st.SearchStrategy[int]:
    """Draw the length of a turn in samples: close to a length at which one more keyframe or segment begins,
    or any length up to 12 s. More than 6 s are drawn often, because some faults show only then."""
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
    """Draw a turn in which nothing goes wrong. Its number of samples is drawn from `sample_counts`, its sound
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
    """Draw a turn of at least one keyframe in which nothing goes wrong; some have a long pause in the
    middle."""
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
