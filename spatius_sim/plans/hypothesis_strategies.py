"""Hypothesis strategies for teams' own tests, and for ours. They draw audio, chunkings, motion payloads,
sequences of client calls, and plans of what a relay has to endure.

    from hypothesis import given
    from spatius_sim import strategies as spatius

    @given(spatius.audio(), spatius.motion_payloads())
    def test_my_client(pcm, payload): ...

Everything is drawn before anything runs: a plan names ids by reference (plans/client_plan.py), because a
client hands out its ids itself. *Legal* sequences hold only calls whose outcome the documents fix. *Illegal*
sequences also hold calls that no document speaks of: a client must survive them, and may answer as it likes.
Plans for relays (plans/plan.py) say what each client speaks, how it behaves, and what Motion Server plays.
"""

from functools import cache
from itertools import pairwise

import numpy as np
from hypothesis import strategies as st

from spatius_sim.plans.client_plan import (
    CURRENT,
    CUT_BYTES,
    JUNK_PAYLOAD,
    TWISTS,
    UNKNOWN_FIELDS,
    ClientPlan,
    Do,
    GiveAudio,
    Move,
    PlannedPayload,
    Ref,
    Step,
    Wait,
    keep_legal_steps,
)
from spatius_sim.plans.draw_combined_faults import combined_faults
from spatius_sim.plans.draw_disturbed_turns import interrupted_turns
from spatius_sim.plans.draw_server_faults import server_failures
from spatius_sim.plans.draw_undisturbed_turns import conversations, crowds, long_speeches
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, PCM_SAMPLE_RATES
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import WIDTH
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.trace.decoder_events import StarvationMode

__all__ = [
    "audio",
    "chunkings",
    "client_plans",
    "combined_faults",
    "conversations",
    "crowds",
    "foreign_refs",
    "illegal_client_plans",
    "interrupted_turns",
    "long_speeches",
    "motion_payloads",
    "motions",
    "server_failures",
    "steps",
    "undecodable_payloads",
    "waits",
]

_LOUDNESS = 6000
_RATES = st.sampled_from((8000, 16000, 24000)) | st.sampled_from(PCM_SAMPLE_RATES)


def audio(least_samples: int = 0, most_samples: int = 48_000) -> st.SearchStrategy[bytes]:
    """Return a Hypothesis strategy that draws audio (PCM, mono s16le): silence, a tone or noise, of at least
    `least_samples` and at most `most_samples` samples."""
    lengths = st.integers(least_samples, most_samples)
    return st.builds(
        _make_sound, lengths, st.sampled_from(("silence", "tone", "noise")), st.integers(0, 2**32 - 1)
    )


def chunkings(pcm: bytes, most_chunks: int = 20, aligned: bool = True) -> st.SearchStrategy[list[bytes]]:
    """Return a Hypothesis strategy that draws ways to cut PCM audio into at most `most_chunks` chunks, as
    lists of chunks. Some chunks may be empty. If `aligned`, no sample is split between two chunks."""
    unit_bytes = BYTES_PER_SAMPLE if aligned else 1
    border_lists = st.lists(st.integers(0, len(pcm) // unit_bytes), max_size=most_chunks - 1).map(sorted)
    return border_lists.map(
        lambda border_list: _split_at(pcm, [border * unit_bytes for border in border_list])
    )


def motion_payloads(
    most_keyframes: int = 100, connection_id: str = "connection", req_id: str = "request"
) -> st.SearchStrategy[bytes]:
    """Return a Hypothesis strategy that draws motion payloads: encoded messages of Motion Server, as a relay
    passes them on. Each has 1 to `most_keyframes` keyframes with finite values, these two ids, and perhaps
    the end mark."""
    keyframes_drawn = st.builds(_make_keyframes, st.integers(1, most_keyframes), st.integers(0, 2**32 - 1))
    return st.builds(
        lambda keyframes, end: encode(MotionResponse(connection_id, req_id, end, keyframes)),
        keyframes_drawn,
        st.booleans(),
    )


def undecodable_payloads() -> st.SearchStrategy[bytes]:
    """Return a Hypothesis strategy that draws bytes which no protobuf parser accepts: junk, or a payload that
    was cut off."""
    return st.just(JUNK_PAYLOAD) | motion_payloads(3).map(lambda raw: raw[:-CUT_BYTES])


def waits(least_ms: int = 1, most_ms: int = 1500) -> st.SearchStrategy[Wait]:
    """Return a Hypothesis strategy that draws a wait in a client plan: the client's clock goes on by
    `least_ms` to `most_ms` milliseconds. Lengths near that of a keyframe (40 ms) are drawn often."""
    common_ms = [ms for ms in (1, 39, 40, 41, 80, 200, 400, 1000) if least_ms <= ms <= most_ms]
    any_length = st.integers(least_ms, most_ms)
    return st.builds(Wait, st.sampled_from(common_ms) | any_length if common_ms else any_length)


def foreign_refs() -> st.SearchStrategy[Ref]:
    """Return a Hypothesis strategy that draws references to ids other than the client's current id: old,
    changed, empty or made up."""
    twists = st.sampled_from((*TWISTS, "blank", "made up"))
    return st.builds(Ref, st.integers(1, 3)) | st.builds(Ref, st.integers(0, 1), twists)


def motions(ref: Ref = CURRENT, most_keyframes: int = 60) -> st.SearchStrategy[Move]:
    """Return a Hypothesis strategy that draws a call which gives a client motion for an id, in one to three
    payloads."""
    payloads = st.builds(PlannedPayload, st.integers(1, most_keyframes))
    return st.lists(payloads, min_size=1, max_size=3).map(lambda payload_list: Move(tuple(payload_list), ref))


_motions = cache(motions)
"""The same strategy for the same id: Hypothesis validates every new one, which costs more than to draw."""


def steps() -> st.SearchStrategy[Step]:
    """Return a Hypothesis strategy that draws one step of a client plan, for a team's own test: a call to the
    client, of any kind, or a wait. Whether the documents fix the outcome of a call depends on the calls
    before it."""
    audio_calls = st.builds(
        GiveAudio, st.sampled_from((40, 100, 300, 1000, 2000)) | st.integers(1, 2000), st.booleans()
    )
    empty_motion = st.builds(Move, st.sampled_from(((), None)), st.just(CURRENT) | foreign_refs())
    extended_or_undecodable_motion = st.builds(
        lambda form, ref: Move((PlannedPayload(10, form),), ref),
        st.sampled_from(("unknown fields", "cut", "junk", *UNKNOWN_FIELDS)),
        st.just(CURRENT) | foreign_refs(),
    )
    motion_for_other_ids = foreign_refs().flatmap(_motions)
    other_calls = st.builds(Do, st.sampled_from(("interrupt", "pause", "resume")))
    return st.one_of(  # What is listed twice is drawn twice as often.
        audio_calls,
        motions(),
        waits(),
        waits(),
        audio_calls,
        motions(),
        motion_for_other_ids,
        empty_motion,
        extended_or_undecodable_motion,
        other_calls,
    )


def client_plans(most_steps: int = 14) -> st.SearchStrategy[ClientPlan]:
    """Draw legal sequences of calls to a client: `pause` only while it plays, `resume` only while it is
    paused, no audio while it is paused, no empty audio outside a conversation."""
    legal_steps = st.lists(steps(), min_size=2, max_size=most_steps).map(keep_legal_steps)
    return st.builds(ClientPlan, legal_steps.map(tuple), _RATES)


def illegal_client_plans(most_steps: int = 14) -> st.SearchStrategy[ClientPlan]:
    """Draw sequences of calls to a client of all kinds in any order, legal or not, empty audio included."""
    empty = st.builds(GiveAudio, st.just(0), st.booleans())
    any_steps = st.lists(st.one_of(steps(), empty), min_size=1, max_size=most_steps).map(tuple)
    return st.builds(ClientPlan, any_steps, _RATES, st.sampled_from(tuple(StarvationMode)))


def _make_sound(sample_count: int, sound_name: str, seed: int) -> bytes:
    """Return the audio that a Hypothesis strategy has drawn for a team's own test: `sample_count` samples of
    PCM (mono s16le) with this sound, `silence`, `tone` or `noise`. The seed decides the pitch of a tone, and
    all samples of noise."""
    if sound_name == "noise":
        return (
            np.random.Generator(np.random.PCG64(seed))
            .integers(-_LOUDNESS, _LOUDNESS, sample_count, "<i2")
            .tobytes()
        )
    loudness = 0 if sound_name == "silence" else _LOUDNESS
    return (loudness * np.sin(np.arange(sample_count) * (seed % 97 + 1) / 100)).astype("<i2").tobytes()


def _split_at(pcm: bytes, borders: list[int]) -> list[bytes]:
    """Return the PCM in chunks, split at these byte positions."""
    edges = [0, *borders, len(pcm)]
    return [pcm[start:stop] for start, stop in pairwise(edges)]


def _make_keyframes(keyframe_count: int, seed: int) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """Return `keyframe_count` keyframes with random values between -1 and 1."""
    values = np.random.Generator(np.random.PCG64(seed)).uniform(-1.0, 1.0, (keyframe_count, WIDTH))
    return values.astype(np.float32)
