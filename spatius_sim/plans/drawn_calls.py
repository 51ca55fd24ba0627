"""Which sequences of calls exercise which C rule: the rule's situation with everything variable drawn, or any
legal sequence."""

from collections.abc import Callable

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
from spatius_sim.plans.strategies import client_plans, foreign_refs, illegal_client_plans, motions, waits
from spatius_sim.trace.decoder_events import StarvationMode

_RATES = st.sampled_from((8000, 16000, 24000))
_SETTLE = (Wait(300), Wait(300), Wait(900))
_WATCH = (Wait(240), Wait(280), Wait(320))
_LONG = st.integers(1200, 3000)

Situation = Callable[[st.DrawFn], list[Step]]


def _speech(draw: st.DrawFn, ms: int, end: bool) -> list[Step]:
    """So much audio in one to four chunks; an end mark may be a chunk of its own."""
    chunks = draw(st.sampled_from((1, 1, 2, 4)))
    said = [ms // chunks] * (chunks - 1)
    whole: list[Step] = [GiveAudio(chunk) for chunk in said]
    if end and draw(st.booleans()):
        return [*whole, GiveAudio(ms - sum(said)), GiveAudio(0, True)]
    return [*whole, GiveAudio(ms - sum(said), end)]


def _moving(draw: st.DrawFn, ms: int, form: str = "plain") -> list[Step]:
    """All the motion of so much audio, in one call or in several."""
    keyframes = ms * 25 // 1000
    cut = draw(st.integers(1, keyframes))
    parts = [PlannedPayload(count, form) for count in (cut, keyframes - cut) if count]
    if draw(st.booleans()):
        return [Move(tuple(parts))]
    return [Move((part,)) for part in parts]


def _played(draw: st.DrawFn, ms: int) -> list[Step]:
    """So much time, and the settling behind it, in a few steps."""
    first = draw(st.integers(1, ms))
    return [Wait(first), *([Wait(ms - first)] if ms > first else []), *_SETTLE]


def _plain_conversation(draw: st.DrawFn, ms: int = 600) -> list[Step]:
    return [*_speech(draw, ms, True), *_moving(draw, ms), *_played(draw, ms)]


def _shown_conversation(draw: st.DrawFn, ms: int, end: bool = False) -> list[Step]:
    """A conversation whose motion has come, and was seen to play."""
    return [*_speech(draw, ms, end), *_moving(draw, ms), Wait(240), Wait(280), Wait(200)]


def _empty(draw: st.DrawFn, ref: Ref = CURRENT) -> Move:
    return Move(draw(st.sampled_from(((), None))), ref)


def _conversations(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = []
    for _ in range(draw(st.integers(2, 4))):
        steps += _speech(draw, draw(st.integers(40, 400)), draw(st.booleans()))
        after: tuple[Step, ...] = (GiveAudio(0, True), Wait(100), Do("interrupt"))
        steps.append(draw(st.sampled_from(after)))
    return [*steps, GiveAudio(100)]


def _current(draw: st.DrawFn) -> list[Step]:
    return [
        Wait(40),
        *_conversations(draw),
        Wait(40),
        Do("interrupt"),
        draw(waits()),
        GiveAudio(100),
        Wait(40),
    ]


def _mismatch(draw: st.DrawFn) -> list[Step]:
    before = _plain_conversation(draw) if draw(st.booleans()) else []
    foreign = draw(st.lists(foreign_refs().flatmap(motions), min_size=1, max_size=4))
    if draw(st.booleans()):
        return [*before, *_speech(draw, 2000, False), *foreign, *_WATCH]
    # Little good motion, so that what is watched reaches the foreign motion behind it.
    return [*before, *_speech(draw, 2000, False), *_moving(draw, 700), *foreign, *_WATCH]


def _early(draw: st.DrawFn) -> list[Step]:
    return [draw(motions(Ref(0, draw(st.sampled_from(("made up", "blank")))))), GiveAudio(2000), *_WATCH]


def _interrupted(draw: st.DrawFn) -> list[Step]:
    late = [draw(motions())] if draw(st.booleans()) else []
    steps = [*_shown_conversation(draw, draw(_LONG)), Do("interrupt"), *late, draw(waits()), Wait(240)]
    steps += _speech(draw, 1500, draw(st.booleans()))
    return [*steps, *(_moving(draw, 1500) if draw(st.booleans()) else []), *_WATCH]


def _paused(draw: st.DrawFn) -> list[Step]:
    ms = draw(_LONG)
    steps = [*_plain_conversation(draw), *_shown_conversation(draw, ms, end=True), Do("pause"), Wait(700)]
    return [*steps, draw(waits(200, 4000)), Do("resume"), Wait(240), Wait(280), *_played(draw, ms)]


def _emptied(draw: st.DrawFn) -> list[Step]:
    ms = draw(_LONG)
    return [
        *_plain_conversation(draw),
        *_speech(draw, ms, True),
        draw(waits(1, 800)),
        _empty(draw),
        *_played(draw, ms),
    ]


def _sticky(draw: st.DrawFn) -> list[Step]:
    begun = _shown_conversation(draw, 2000) if draw(st.booleans()) else _speech(draw, 2000, False)
    return [*begun, _empty(draw), draw(motions()), draw(waits()), draw(motions()), *_WATCH]


def _scope(draw: st.DrawFn) -> list[Step]:
    first = [*_shown_conversation(draw, 1500, end=True), _empty(draw), draw(waits())]
    return [*first, *_speech(draw, 2000, draw(st.booleans())), *_moving(draw, 2000), *_WATCH]


def _empty_elsewhere(draw: st.DrawFn) -> list[Step]:
    before = _plain_conversation(draw) if draw(st.booleans()) else []
    return [*before, *_shown_conversation(draw, 2000), _empty(draw, draw(foreign_refs())), *_WATCH]


def _abnormal(draw: st.DrawFn) -> list[Step]:
    ms = draw(_LONG)
    bad = Move((PlannedPayload(10, draw(st.sampled_from(("cut", "junk")))),))
    if draw(st.booleans()):
        before, begun = _plain_conversation(draw), _moving(draw, ms)
    else:
        before, begun = [*_speech(draw, 1000, True), *_played(draw, 1000)], []
    return [*before, *_speech(draw, ms, True), *begun, bad, *_played(draw, ms)]


def _never_ended(draw: st.DrawFn) -> list[Step]:
    ms = draw(st.integers(40, 800))
    motion = _moving(draw, ms) if draw(st.booleans()) else []
    return [*_speech(draw, ms, False), *motion, Wait(ms + 200), draw(waits(1, 2000)), Wait(5000), Wait(2500)]


def _starved(draw: st.DrawFn) -> list[Step]:
    motion = [draw(motions(most_keyframes=10))] if draw(st.booleans()) else []
    later = [draw(motions())] if draw(st.booleans()) else []
    return [*_speech(draw, 4000, False), *motion, Wait(1500), *later, Wait(300), Wait(600)]


def _stalled(draw: st.DrawFn) -> list[Step]:
    motion = [Move((PlannedPayload(draw(st.integers(1, 10))),))] if draw(st.booleans()) else []
    later: list[Step] = [Move((PlannedPayload(60),)), Wait(240), Wait(200), Wait(400)]
    return [*_speech(draw, 4000, False), *motion, Wait(700), draw(waits(200, 1000)), *later]


def _stated(draw: st.DrawFn) -> list[Step]:
    ms = draw(_LONG)
    steps = [
        Wait(10),
        *_speech(draw, ms, True),
        *(_moving(draw, ms) if draw(st.booleans()) else []),
        Wait(300),
    ]
    if draw(st.booleans()):
        steps += [Do("pause"), Wait(300), draw(waits()), Do("resume"), Wait(300), Wait(100)]
    if draw(st.booleans()):
        steps += [Do("interrupt"), Wait(300), draw(waits())]
    return [*steps, *_played(draw, ms)]


def _unknown(draw: st.DrawFn) -> list[Step]:
    shown: list[Step] = [*_speech(draw, 3000, False), Move((PlannedPayload(10),)), Wait(240), Wait(280)]
    odd = Move((PlannedPayload(draw(st.integers(20, 60)), "unknown fields"),))
    return [*shown, odd, Wait(200), *_WATCH, Wait(400)]


def _matched(draw: st.DrawFn) -> list[Step]:
    ms = draw(_LONG)
    audio, motion = _speech(draw, ms, draw(st.booleans())), _moving(draw, ms)
    late = [draw(waits(1, 400))] if draw(st.booleans()) else []
    return [*audio, *late, *motion, *[draw(waits(1, 800)) for _ in range(4)], *_played(draw, ms)]


def _in_step(draw: st.DrawFn) -> list[Step]:
    ms = draw(_LONG)
    whole = Move((PlannedPayload(ms * 25 // 1000),))
    steps = [*_speech(draw, ms, draw(st.booleans())), whole]
    return [*steps, *[draw(waits(40, 600)) for _ in range(6)]]


_SITUATIONS: dict[str, Situation] = {
    "C-ID": _conversations,
    "C-ID-NEW": _conversations,
    "C-ID-CURRENT": _current,
    "C-MISMATCH": _mismatch,
    "C-EARLY": _early,
    "C-INTERRUPT": _interrupted,
    "C-PAUSE": _paused,
    "C-EMPTY": _emptied,
    "C-EMPTY-STICKY": _sticky,
    "C-EMPTY-SCOPE": _scope,
    "C-EMPTY-MISMATCH": _empty_elsewhere,
    "C-ABNORMAL": _abnormal,
    "C-NOEND": _never_ended,
    "C-STARVE": _starved,
    "C-STATES": _stated,
    "C-UNKNOWN": _unknown,
    "C-MATCH": _matched,
    "C-SYNC": _in_step,
}


@st.composite
def _plans(draw: st.DrawFn, situation: Situation, mode: StarvationMode) -> ClientPlan:
    if draw(st.integers(0, 9)) == 9:
        return draw(client_plans() | illegal_client_plans())
    return ClientPlan(tuple(situation(draw)), draw(_RATES), mode)


def client_plans_exercising(rule_id: str) -> st.SearchStrategy[ClientPlan]:
    """The plans from which the situation of that C rule comes up."""
    plans = _plans(_SITUATIONS[rule_id], StarvationMode.AUDIO_INDEPENDENT)
    return plans | _plans(_stalled, StarvationMode.STRICT_SYNC) if rule_id == "C-STARVE" else plans
