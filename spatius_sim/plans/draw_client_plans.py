"""Draws the sequences of calls that exercise a C rule: mostly the situation of the rule, else any
sequence."""

from collections.abc import Callable
from functools import cache

from hypothesis import strategies as st

from spatius_sim.plans.client_plan import (
    CURRENT,
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
_SETTLE = (Wait(300), Wait(300), Wait(900))
"""Time in which even a slow client becomes idle after its audio."""
_WATCH = (Wait(240), Wait(280), Wait(320))
"""Steps of the clock after which even a slow client must have rendered a due keyframe."""
_LONG_MS = st.integers(1200, 3000)
_ONE_PLAN_IN = 10
"""One drawn plan in so many has any calls, not those of the situation of its rule."""

_waits, _motions, _foreign_refs = cache(waits), cache(motions), cache(foreign_refs)
_FOREIGN_MOTION = st.lists(_foreign_refs().flatmap(_motions), min_size=1, max_size=4)
_ANY_CALLS = client_plans() | illegal_client_plans()
"""Made once, because Hypothesis validates every new strategy, and that costs more than to draw from it."""

Situation = Callable[[st.DrawFn], list[Step]]
"""Draws the steps that bring up the situation of a rule."""


def _draw_speech(draw: st.DrawFn, ms: int, *, end: bool) -> list[Step]:
    """Draw calls that give the client under test `ms` milliseconds of audio in one to four chunks; if `end`,
    the end mark may be a chunk of its own."""
    chunks = draw(st.sampled_from((1, 1, 2, 4)))
    first_ms = [ms // chunks] * (chunks - 1)
    first_chunks: list[Step] = [GiveAudio(chunk) for chunk in first_ms]
    if end and draw(st.booleans()):
        return [*first_chunks, GiveAudio(ms - sum(first_ms)), GiveAudio(0, end=True)]
    return [*first_chunks, GiveAudio(ms - sum(first_ms), end)]


def _draw_motion(draw: st.DrawFn, ms: int, form: str = "plain") -> list[Step]:
    """Draw the steps of a client plan, one or two, that give the client under test all motion for `ms`
    milliseconds of audio. `form` is the form of the payloads (see PlannedPayload)."""
    keyframes = ms * KEYFRAMES_PER_SECOND // 1000
    first_count = draw(st.integers(1, keyframes))
    payloads = [PlannedPayload(count, form) for count in (first_count, keyframes - first_count) if count]
    if draw(st.booleans()):
        return [Move(tuple(payloads))]
    return [Move((payload,)) for payload in payloads]


def _draw_playback(draw: st.DrawFn, ms: int) -> list[Step]:
    """Draw `ms` milliseconds of time in one or two steps, and the time to settle after them."""
    first_ms = draw(st.integers(1, ms))
    return [Wait(first_ms), *([Wait(ms - first_ms)] if ms > first_ms else []), *_SETTLE]


def _draw_conversation(draw: st.DrawFn, ms: int = 600) -> list[Step]:
    """Draw a whole conversation with all its motion, and play it."""
    return [GiveAudio(ms, end=True), *_draw_motion(draw, ms), *_draw_playback(draw, ms)]


def _draw_shown_conversation(draw: st.DrawFn, ms: int, end: bool = False) -> list[Step]:
    """Draw calls that give the client under test a conversation with all its motion, and steps of the clock
    in which the client must render the motion."""
    return [*_draw_speech(draw, ms, end=end), *_draw_motion(draw, ms), Wait(240), Wait(280), Wait(200)]


def _draw_empty_motion(draw: st.DrawFn, ref: Ref = CURRENT) -> Move:
    """Draw motion without payloads: an empty list or no list."""
    return Move(draw(st.sampled_from(((), None))), ref)


def _draw_conversations(draw: st.DrawFn) -> list[Step]:
    """Draw the calls of two to four conversations with the client under test. Each ends by an end mark or by
    an interrupt, or does not end."""
    steps: list[Step] = []
    for _ in range(draw(st.integers(2, 4))):
        steps += _draw_speech(draw, draw(st.integers(40, 400)), end=draw(st.booleans()))
        endings: tuple[Step, ...] = (GiveAudio(0, end=True), Wait(100), Do("interrupt"))
        steps.append(draw(st.sampled_from(endings)))
    return [*steps, GiveAudio(100)]


def _draw_current_id(draw: st.DrawFn) -> list[Step]:
    """Draw calls for several conversations and an interrupt, with steps of the clock before and after them.
    At each step the client under test is asked for its current id."""
    return [
        Wait(40),
        *_draw_conversations(draw),
        Wait(40),
        Do("interrupt"),
        draw(_waits()),
        GiveAudio(100),
        Wait(40),
    ]


def _draw_foreign_motion(draw: st.DrawFn) -> list[Step]:
    """Draw calls to the client under test that give it motion for ids other than the current id, perhaps in
    a pause. The current conversation may have motion of its own."""
    earlier_conversation = _draw_conversation(draw) if draw(st.booleans()) else []
    foreign_motion: list[Step] = [*draw(_FOREIGN_MOTION)]
    if draw(st.booleans()):
        foreign_motion = [Wait(300), Do("pause"), Wait(300), *foreign_motion, Do("resume")]
    if draw(st.booleans()):
        return [*earlier_conversation, *_draw_speech(draw, 2000, end=False), *foreign_motion, *_WATCH]
    # Less good motion than audio, so that _WATCH reaches the time of the foreign motion.
    return [
        *earlier_conversation,
        *_draw_speech(draw, 2000, end=False),
        *_draw_motion(draw, 700),
        *foreign_motion,
        *_WATCH,
    ]


def _draw_early_motion(draw: st.DrawFn) -> list[Step]:
    """Draw calls to the client under test that give it motion before any audio."""
    return [draw(_motions(Ref(0, draw(st.sampled_from(("made up", "blank")))))), GiveAudio(2000), *_WATCH]


def _draw_interrupt(draw: st.DrawFn) -> list[Step]:
    """Draw the calls of one conversation with the client under test that is interrupted: begin it, interrupt
    it, perhaps give late motion for it, and begin another conversation."""
    late_motion = [draw(_motions())] if draw(st.booleans()) else []
    steps = [
        *_draw_shown_conversation(draw, draw(_LONG_MS)),
        Do("interrupt"),
        *late_motion,
        draw(_waits()),
        Wait(240),
    ]
    steps += _draw_speech(draw, 1500, end=draw(st.booleans()))
    return [*steps, *(_draw_motion(draw, 1500) if draw(st.booleans()) else []), *_WATCH]


def _draw_pause(draw: st.DrawFn) -> list[Step]:
    """Draw the calls of a conversation with the client under test that is paused for a while and then
    resumed, once or twice."""
    ms = draw(_LONG_MS)
    steps = [*_draw_conversation(draw, ms), *_draw_shown_conversation(draw, ms, end=True)]
    for _ in range(draw(st.integers(1, 2))):
        steps += [Do("pause"), Wait(700), draw(_waits(200, 4000)), Do("resume"), Wait(240), Wait(280)]
    return [*steps, *_draw_playback(draw, ms)]


def _draw_audio_only(draw: st.DrawFn) -> list[Step]:
    """Draw calls for a conversation of the client under test that becomes audio-only by empty motion."""
    ms = draw(_LONG_MS)
    return [
        *_draw_conversation(draw, ms),
        *_draw_speech(draw, ms, end=True),
        draw(_waits(1, 800)),
        _draw_empty_motion(draw),
        *_draw_playback(draw, ms),
    ]


def _draw_motion_after_empty(draw: st.DrawFn) -> list[Step]:
    """Draw the calls of a conversation in which the client under test gets an empty list of motion, and later
    motion again. At the end the clock moves, to show whether the client renders this later motion: what came
    before the list is over by then."""
    conversation = _draw_speech(draw, 2000, end=False)
    if draw(st.booleans()):
        conversation += [*_draw_motion(draw, 600), Wait(240)]
    return [
        *conversation,
        _draw_empty_motion(draw),
        draw(_motions()),
        draw(_waits()),
        draw(_motions()),
        *_WATCH,
    ]


def _draw_conversation_after_empty(draw: st.DrawFn) -> list[Step]:
    """Draw calls for a conversation of the client under test that gets empty motion, and for a second
    conversation, which gets all its motion."""
    first = [*_draw_shown_conversation(draw, 1500, end=True), _draw_empty_motion(draw), draw(_waits())]
    return [*first, *_draw_speech(draw, 2000, end=draw(st.booleans())), *_draw_motion(draw, 2000), *_WATCH]


def _draw_empty_for_other_id(draw: st.DrawFn) -> list[Step]:
    """Draw calls that give the client under test empty motion for an id other than the current id."""
    earlier_conversation = _draw_conversation(draw) if draw(st.booleans()) else []
    return [
        *earlier_conversation,
        *_draw_shown_conversation(draw, 2000),
        _draw_empty_motion(draw, draw(_foreign_refs())),
        *_WATCH,
    ]


def _draw_undecodable_motion(draw: st.DrawFn) -> list[Step]:
    """Draw calls that give the client under test a payload that cannot be decoded, after the good motion or
    instead of it."""
    ms = draw(_LONG_MS)
    bad_motion = Move((PlannedPayload(10, draw(st.sampled_from(("cut", "junk")))),))
    if draw(st.booleans()):
        earlier_conversation, good_motion = _draw_conversation(draw, ms), _draw_motion(draw, ms)
    else:
        earlier_conversation, good_motion = [GiveAudio(ms, end=True), *_draw_playback(draw, ms)], []
    return [
        *earlier_conversation,
        *_draw_speech(draw, ms, end=True),
        *good_motion,
        bad_motion,
        *_draw_playback(draw, ms),
    ]


def _draw_missing_end(draw: st.DrawFn) -> list[Step]:
    """Draw the calls of a conversation with the client under test in which the audio never gets its end
    mark."""
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
    """Draw calls to the client under test that give one conversation much more audio than motion."""
    motion = [draw(_motions(most_keyframes=10))] if draw(st.booleans()) else []
    later = [draw(_motions())] if draw(st.booleans()) else []
    return [*_draw_speech(draw, 4000, end=False), *motion, Wait(1500), *later, Wait(300), Wait(600)]


def _draw_strict_starvation(draw: st.DrawFn) -> list[Step]:
    """Draw calls that give the client under test the motion of a conversation late. In the mode strictSync,
    the client must stop the audio until the motion comes, and then play on."""
    motion = [Move((PlannedPayload(draw(st.integers(1, 10))),))] if draw(st.booleans()) else []
    later: list[Step] = [Move((PlannedPayload(60),)), Wait(240), Wait(200), Wait(400)]
    return [*_draw_speech(draw, 4000, end=False), *motion, Wait(700), draw(_waits(200, 1000)), *later]


def _draw_state_changes(draw: st.DrawFn) -> list[Step]:
    """Draw the calls of one conversation with the client under test, in which it is paused, resumed or
    interrupted, so that its playback state changes."""
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
    return [*steps, *_draw_playback(draw, ms)]


def _draw_unknown_fields(draw: st.DrawFn) -> list[Step]:
    """Draw calls that give the client under test, in the middle of a conversation, a motion payload with
    protobuf fields that it does not know."""
    shown_motion: list[Step] = [
        *_draw_speech(draw, 3000, end=False),
        Move((PlannedPayload(10),)),
        Wait(240),
        Wait(280),
    ]
    odd_motion = Move((PlannedPayload(draw(st.integers(20, 60)), "unknown fields"),))
    return [*shown_motion, odd_motion, Wait(200), *_WATCH, Wait(400)]


def _draw_late_motion(draw: st.DrawFn) -> list[Step]:
    """Draw calls for a conversation of the client under test whose motion may come later than its audio."""
    ms = draw(_LONG_MS)
    audio, motion = _draw_speech(draw, ms, end=draw(st.booleans())), _draw_motion(draw, ms)
    delay = [draw(_waits(1, 400))] if draw(st.booleans()) else []
    return [*audio, *delay, *motion, *[draw(_waits(1, 800)) for _ in range(4)], *_draw_playback(draw, ms)]


def _draw_steady_motion(draw: st.DrawFn) -> list[Step]:
    """Draw calls for a conversation of the client under test: 1.2 to 3 s of audio, one payload with all its
    motion, and six steps of the clock, after each of which the client is observed."""
    ms = draw(_LONG_MS)
    all_motion = Move((PlannedPayload(ms * KEYFRAMES_PER_SECOND // 1000),))
    steps = [*_draw_speech(draw, ms, end=draw(st.booleans())), all_motion]
    return [*steps, *[draw(_waits(40, 600)) for _ in range(6)]]


_SITUATIONS: dict[str, Situation] = {
    "C-ID": _draw_conversations,
    "C-ID-NEW": _draw_conversations,
    "C-ID-CURRENT": _draw_current_id,
    "C-MISMATCH": _draw_foreign_motion,
    "C-EARLY": _draw_early_motion,
    "C-INTERRUPT": _draw_interrupt,
    "C-PAUSE": _draw_pause,
    "C-EMPTY": _draw_audio_only,
    "C-EMPTY-STICKY": _draw_motion_after_empty,
    "C-EMPTY-SCOPE": _draw_conversation_after_empty,
    "C-EMPTY-MISMATCH": _draw_empty_for_other_id,
    "C-ABNORMAL": _draw_undecodable_motion,
    "C-NOEND": _draw_missing_end,
    "C-STARVE": _draw_starvation,
    "C-STATES": _draw_state_changes,
    "C-UNKNOWN": _draw_unknown_fields,
    "C-MATCH": _draw_late_motion,
    "C-SYNC": _draw_steady_motion,
}


@st.composite
def _draw_plan(draw: st.DrawFn, situation: Situation, mode: StarvationMode) -> ClientPlan:
    """Draw a plan of calls that bring a client under test into this situation; about one plan in ten has any
    calls instead, legal or illegal."""
    if draw(st.integers(0, _ONE_PLAN_IN - 1)) == _ONE_PLAN_IN - 1:
        return draw(_ANY_CALLS)
    return ClientPlan(tuple(situation(draw)), draw(_RATES), mode)


def client_plans_exercising(rule_id: str) -> st.SearchStrategy[ClientPlan]:
    """Draw plans whose calls to a client under test exercise this rule (an id that begins with C-). C-STARVE
    is the rule on missing motion; its plans are drawn for both starvation modes, because the client must stop
    its audio in strictSync."""
    plans = _draw_plan(_SITUATIONS[rule_id], StarvationMode.AUDIO_INDEPENDENT)
    return (
        plans | _draw_plan(_draw_strict_starvation, StarvationMode.STRICT_SYNC)
        if rule_id == "C-STARVE"
        else plans
    )
