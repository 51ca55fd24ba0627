"""Draws client plans that exercise a rule for clients (C-...): mostly steps that bring up the situation of
the rule, else arbitrary steps."""

from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st

from spatius_sim.plans.client_plan import (
    CURRENT,
    UNKNOWN_FIELDS,
    ClientPlan,
    Do,
    GiveAudio,
    Move,
    PlannedPayload,
    Ref,
    Step,
    Wait,
)
from spatius_sim.plans.hypothesis_strategies import (
    client_plans,
    foreign_refs,
    illegal_client_plans,
    motions,
    waits,
)
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, PCM_SAMPLE_RATES
from spatius_sim.trace.decoder_events import StarvationMode

_RATES = st.sampled_from(PCM_SAMPLE_RATES)
_MODES = st.sampled_from(
    (StarvationMode.AUDIO_INDEPENDENT, StarvationMode.AUDIO_INDEPENDENT, StarvationMode.STRICT_SYNC)
)
"""Most rules are the same in both modes. One plan in three has strictSync, which most clients have seldom."""
_UNKNOWN_FORMS = st.sampled_from(tuple(UNKNOWN_FIELDS))
_SETTLE_WAITS = (Wait(300), Wait(300), Wait(900))
"""Time in which even a slow client becomes idle after its audio."""
_RENDER_WAITS = (Wait(240), Wait(280), Wait(320))
"""Waits after which even a slow client must have rendered a due keyframe."""
_LONG_MS = st.integers(1200, 3000)
_PLANS_PER_ARBITRARY_PLAN = 10
"""Of so many drawn plans, one has arbitrary steps, not those of the situation of its rule."""

_waits, _motions, _refs_to_other_ids = cache(waits), cache(motions), cache(foreign_refs)
_MOTION_FOR_OTHER_IDS = st.lists(_refs_to_other_ids().flatmap(_motions), min_size=1, max_size=4)
_ARBITRARY_PLANS = client_plans() | illegal_client_plans()
"""Made once, because Hypothesis validates every new strategy, and that costs more than to draw from it."""

Situation = Callable[[st.DrawFn], list[Step]]
"""Draws the steps that bring up the situation of a rule."""


def _draw_speech(draw: st.DrawFn, ms: int, *, end: bool) -> list[Step]:
    """Draw steps that give the client under test `ms` milliseconds of audio, in one, two or four chunks. If
    `end`, the last chunk carries the end mark, or an empty chunk with the mark follows."""
    chunk_count = draw(st.sampled_from((1, 1, 2, 4)))
    chunk_ms = ms // chunk_count
    first_chunks: list[Step] = [GiveAudio(chunk_ms)] * (chunk_count - 1)
    last_ms = ms - chunk_ms * (chunk_count - 1)
    if end and draw(st.booleans()):
        return [*first_chunks, GiveAudio(last_ms), GiveAudio(0, end=True)]
    return [*first_chunks, GiveAudio(last_ms, end)]


def _draw_motion(draw: st.DrawFn, ms: int) -> list[Step]:
    """Draw steps that give the client under test all motion for `ms` milliseconds of audio: one or two
    payloads, in a single call or in one call each."""
    keyframe_count = ms * KEYFRAMES_PER_SECOND // 1000
    first_count = draw(st.integers(1, keyframe_count))
    counts = (first_count, keyframe_count - first_count)
    payloads = [PlannedPayload(count) for count in counts if count]
    if draw(st.booleans()):
        return [Move(tuple(payloads))]
    return [Move((payload,)) for payload in payloads]


def _draw_playback_waits(draw: st.DrawFn, ms: int) -> list[Step]:
    """Draw one or two waits of `ms` milliseconds in all, in which the client plays. After them come the waits
    in which it becomes idle."""
    first_ms = draw(st.integers(1, ms))
    return [Wait(first_ms), *([Wait(ms - first_ms)] if ms > first_ms else []), *_SETTLE_WAITS]


def _draw_conversation(draw: st.DrawFn, ms: int = 600) -> list[Step]:
    """Draw steps that give the client under test a conversation of `ms` milliseconds with all its motion, and
    waits in which it plays all of it."""
    return [GiveAudio(ms, end=True), *_draw_motion(draw, ms), *_draw_playback_waits(draw, ms)]


def _draw_conversation_in_progress(draw: st.DrawFn, ms: int, end: bool = False) -> list[Step]:
    """Draw steps that give the client under test a conversation of `ms` milliseconds with all its motion, and
    waits in which it must begin to render the motion."""
    return [*_draw_speech(draw, ms, end=end), *_draw_motion(draw, ms), Wait(240), Wait(280), Wait(200)]


def _draw_empty_motion(draw: st.DrawFn, ref: Ref = CURRENT) -> Move:
    """Draw motion without payloads: an empty list or no list."""
    return Move(draw(st.sampled_from(((), None))), ref)


def _draw_several_conversations(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of several conversations of a client plan. Two to four times the client gets audio, and
    then an end mark, an interrupt or only a wait. Audio without an end is continued by the next audio."""
    steps: list[Step] = []
    for _ in range(draw(st.integers(2, 4))):
        steps += _draw_speech(draw, draw(st.integers(40, 400)), end=draw(st.booleans()))
        endings: tuple[Step, ...] = (GiveAudio(0, end=True), Wait(100), Do("interrupt"))
        steps.append(draw(st.sampled_from(endings)))
    return [*steps, GiveAudio(100)]


def _draw_calls_that_change_id(draw: st.DrawFn) -> list[Step]:
    """Draw steps that begin and end several conversations of the client under test, so that its current
    conversation id changes. (The kit asks the client for this id after each step of any plan.)"""
    return [
        Wait(40),
        *_draw_several_conversations(draw),
        Wait(40),
        Do("interrupt"),
        draw(_waits()),
        GiveAudio(100),
        Wait(40),
    ]


def _draw_motion_for_other_ids(draw: st.DrawFn) -> list[Step]:
    """Draw steps that give the client under test motion for ids other than its current conversation id,
    perhaps while it is paused. The current conversation gets no motion, or less motion than audio."""
    earlier_conversation = _draw_conversation(draw) if draw(st.booleans()) else []
    other_motion: list[Step] = [*draw(_MOTION_FOR_OTHER_IDS)]
    if draw(st.booleans()):
        other_motion = [Wait(300), Do("pause"), Wait(300), *other_motion, Do("resume")]
    if draw(st.booleans()):
        return [*earlier_conversation, *_draw_speech(draw, 2000, end=False), *other_motion, *_RENDER_WAITS]
    # The good motion is shorter than the audio, so the last waits reach the time of the other motion.
    return [
        *earlier_conversation,
        *_draw_speech(draw, 2000, end=False),
        *_draw_motion(draw, 700),
        *other_motion,
        *_RENDER_WAITS,
    ]


def _draw_early_motion(draw: st.DrawFn) -> list[Step]:
    """Draw steps that give the client under test motion before any audio. The motion is for a conversation id
    that is made up or empty."""
    return [
        draw(_motions(Ref(0, draw(st.sampled_from(("made up", "blank")))))),
        GiveAudio(2000),
        *_RENDER_WAITS,
    ]


def _draw_interrupted_conversation(draw: st.DrawFn) -> list[Step]:
    """Draw steps that begin a conversation with the client under test and interrupt it. Late motion for it
    may follow. Then another conversation begins, perhaps with all its motion."""
    late_motion = [draw(_motions())] if draw(st.booleans()) else []
    steps = [
        *_draw_conversation_in_progress(draw, draw(_LONG_MS)),
        Do("interrupt"),
        *late_motion,
        draw(_waits()),
        Wait(240),
    ]
    steps += _draw_speech(draw, 1500, end=draw(st.booleans()))
    return [*steps, *(_draw_motion(draw, 1500) if draw(st.booleans()) else []), *_RENDER_WAITS]


def _draw_paused_conversation(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of two conversations of the client under test. The first is played without a pause; the
    second is paused and resumed, once or twice."""
    ms = draw(_LONG_MS)
    steps = [*_draw_conversation(draw, ms), *_draw_conversation_in_progress(draw, ms, end=True)]
    for _ in range(draw(st.integers(1, 2))):
        steps += [Do("pause"), Wait(700), draw(_waits(200, 4000)), Do("resume"), Wait(240), Wait(280)]
    return [*steps, *_draw_playback_waits(draw, ms)]


def _draw_audio_only_conversation(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of two conversations of the client under test. The second gets only empty motion (no
    payloads), so the client must play its audio alone."""
    ms = draw(_LONG_MS)
    return [
        *_draw_conversation(draw, ms),
        *_draw_speech(draw, ms, end=True),
        draw(_waits(1, 800)),
        _draw_empty_motion(draw),
        *_draw_playback_waits(draw, ms),
    ]


def _draw_motion_after_empty(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of one conversation of a client plan: audio, perhaps motion, then empty motion (no
    payloads), and then motion again. Waits at the end show whether the client renders this later motion: the
    motion from before is over by then."""
    conversation = _draw_speech(draw, 2000, end=False)
    if draw(st.booleans()):
        conversation += [*_draw_motion(draw, 600), Wait(240)]
    return [
        *conversation,
        _draw_empty_motion(draw),
        draw(_motions()),
        draw(_waits()),
        draw(_motions()),
        *_RENDER_WAITS,
    ]


def _draw_conversation_after_empty(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of two conversations of the client under test. The first gets all its motion and then
    empty motion (no payloads); the second gets all its motion, which the client must render again."""
    first = [*_draw_conversation_in_progress(draw, 1500, end=True), _draw_empty_motion(draw), draw(_waits())]
    return [
        *first,
        *_draw_speech(draw, 2000, end=draw(st.booleans())),
        *_draw_motion(draw, 2000),
        *_RENDER_WAITS,
    ]


def _draw_empty_motion_for_other_id(draw: st.DrawFn) -> list[Step]:
    """Draw steps that give the client under test empty motion (no payloads) for an id other than its current
    conversation id. A whole conversation may come before."""
    earlier_conversation = _draw_conversation(draw) if draw(st.booleans()) else []
    return [
        *earlier_conversation,
        *_draw_conversation_in_progress(draw, 2000),
        _draw_empty_motion(draw, draw(_refs_to_other_ids())),
        *_RENDER_WAITS,
    ]


def _draw_undecodable_motion(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of two conversations of a client plan. In the second, the client gets a payload that
    cannot be decoded. Either both conversations get all their good motion, or neither gets any."""
    ms = draw(_LONG_MS)
    bad_motion = Move((PlannedPayload(10, draw(st.sampled_from(("cut", "junk")))),))
    if draw(st.booleans()):
        earlier_conversation, good_motion = _draw_conversation(draw, ms), _draw_motion(draw, ms)
    else:
        earlier_conversation, good_motion = [GiveAudio(ms, end=True), *_draw_playback_waits(draw, ms)], []
    return [
        *earlier_conversation,
        *_draw_speech(draw, ms, end=True),
        *good_motion,
        bad_motion,
        *_draw_playback_waits(draw, ms),
    ]


def _draw_audio_without_end(draw: st.DrawFn) -> list[Step]:
    """Draw steps that give the client under test audio without an end mark, perhaps with all its motion, and
    then waits of more than seven seconds, in which it must not become idle."""
    ms = draw(st.integers(40, 800))
    motion = _draw_motion(draw, ms) if draw(st.booleans()) else []
    return [
        *_draw_speech(draw, ms, end=False),
        *motion,
        Wait(ms + 200),
        draw(_waits(1, 2000)),
        Wait(5000),
        Wait(2500),
    ]


def _draw_starvation(draw: st.DrawFn) -> list[Step]:
    """Draw steps that give the client under test 4 s of audio, and at first little or no motion for it. More
    motion may come after 1.5 s."""
    motion = [draw(_motions(most_keyframes=10))] if draw(st.booleans()) else []
    later_motion = [draw(_motions())] if draw(st.booleans()) else []
    # The client is observed after each wait.
    return [*_draw_speech(draw, 4000, end=False), *motion, Wait(1500), *later_motion, Wait(300), Wait(600)]


def _draw_strict_starvation(draw: st.DrawFn) -> list[Step]:
    """Draw steps that give the client under test 4 s of audio, at first little or no motion for it, and later
    more motion. In the mode strictSync, the client must stop the audio until this motion comes, and then play
    on."""
    motion = [Move((PlannedPayload(draw(st.integers(1, 10))),))] if draw(st.booleans()) else []
    later_motion: list[Step] = [Move((PlannedPayload(60),)), Wait(240), Wait(200), Wait(400)]
    return [*_draw_speech(draw, 4000, end=False), *motion, Wait(700), draw(_waits(200, 1000)), *later_motion]


def _draw_state_changes(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of one conversation of the client under test that change its playback state: it may be
    paused and resumed, and then interrupted."""
    ms = draw(_LONG_MS)
    steps = [
        Wait(10),
        *_draw_speech(draw, ms, end=True),
        *(_draw_motion(draw, ms) if draw(st.booleans()) else []),
        Wait(300),
    ]
    if draw(st.booleans()):
        steps += [Do("pause"), Wait(300), draw(_waits()), Do("resume"), Wait(300), Wait(100)]
    if draw(st.booleans()):
        steps += [Do("interrupt"), Wait(300), draw(_waits())]
    return [*steps, *_draw_playback_waits(draw, ms)]


def _draw_motion_with_unknown_fields(draw: st.DrawFn) -> list[Step]:
    """Draw steps that give the client under test ordinary motion and then, for the same conversation, a
    payload with protobuf fields that no client knows."""
    shown_motion: list[Step] = [
        *_draw_speech(draw, 3000, end=False),
        Move((PlannedPayload(10),)),
        Wait(240),
        Wait(280),
    ]
    extended_motion = Move((PlannedPayload(draw(st.integers(20, 60)), draw(_UNKNOWN_FORMS)),))
    return [*shown_motion, extended_motion, Wait(200), *_RENDER_WAITS, Wait(400)]


def _draw_late_motion(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of a conversation of a client plan: its audio, perhaps a wait, then all its motion, and
    waits until everything is played."""
    ms = draw(_LONG_MS)
    audio, motion = _draw_speech(draw, ms, end=draw(st.booleans())), _draw_motion(draw, ms)
    wait_before_motion = [draw(_waits(1, 400))] if draw(st.booleans()) else []
    return [
        *audio,
        *wait_before_motion,
        *motion,
        *[draw(_waits(1, 800)) for _ in range(4)],
        *_draw_playback_waits(draw, ms),
    ]


def _draw_conversation_observed_often(draw: st.DrawFn) -> list[Step]:
    """Draw the steps of a conversation of a client plan: 1.2 to 3 s of audio, all its motion in one payload,
    and six waits. The client is observed after each wait, so that it is seen whether motion and audio stay
    together."""
    ms = draw(_LONG_MS)
    all_motion = Move((PlannedPayload(ms * KEYFRAMES_PER_SECOND // 1000),))
    steps = [*_draw_speech(draw, ms, end=draw(st.booleans())), all_motion]
    return [*steps, *[draw(_waits(40, 600)) for _ in range(6)]]


_SITUATIONS: dict[str, Situation] = {
    "C-ID": _draw_several_conversations,
    "C-ID-NEW": _draw_several_conversations,
    "C-ID-CURRENT": _draw_calls_that_change_id,
    "C-MISMATCH": _draw_motion_for_other_ids,
    "C-EARLY": _draw_early_motion,
    "C-INTERRUPT": _draw_interrupted_conversation,
    "C-PAUSE": _draw_paused_conversation,
    "C-EMPTY": _draw_audio_only_conversation,
    "C-EMPTY-STICKY": _draw_motion_after_empty,
    "C-EMPTY-SCOPE": _draw_conversation_after_empty,
    "C-EMPTY-MISMATCH": _draw_empty_motion_for_other_id,
    "C-ABNORMAL": _draw_undecodable_motion,
    "C-NOEND": _draw_audio_without_end,
    "C-STATES": _draw_state_changes,
    "C-UNKNOWN": _draw_motion_with_unknown_fields,
    "C-MATCH": _draw_late_motion,
    "C-SYNC": _draw_conversation_observed_often,
}


@st.composite
def _draw_plan(
    draw: st.DrawFn, draw_situation: Situation, modes: st.SearchStrategy[StarvationMode] = _MODES
) -> ClientPlan:
    """Draw a plan for a client under test. Nine plans of ten have the steps that `draw_situation` draws, in
    one of these modes; the others have arbitrary steps, legal or illegal."""
    if draw(st.integers(0, _PLANS_PER_ARBITRARY_PLAN - 1)) == _PLANS_PER_ARBITRARY_PLAN - 1:
        return draw(_ARBITRARY_PLANS)
    return ClientPlan(tuple(draw_situation(draw)), draw(_RATES), draw(modes))


def client_plans_exercising(rule_id: str) -> st.SearchStrategy[ClientPlan]:
    """Return a strategy that draws client plans, which exercise this rule (an id that begins with C-).
    C-STARVE, the rule on missing motion, has one situation for each starvation mode, because the client must
    stop its audio in strictSync, but not in the other mode."""
    if rule_id != "C-STARVE":
        return _draw_plan(_SITUATIONS[rule_id])
    in_strict_sync = _draw_plan(_draw_strict_starvation, st.just(StarvationMode.STRICT_SYNC))
    return _draw_plan(_draw_starvation, st.just(StarvationMode.AUDIO_INDEPENDENT)) | in_strict_sync
