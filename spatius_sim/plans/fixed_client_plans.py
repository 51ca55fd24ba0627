"""Plans for clients that always run: the edge cases of each rule's situation, which drawn plans seldom meet.

A rule that holds in both modes has edge cases in both: those in strictSync are where its code may differ, so
around a stall above all.

Nearly every plan begins with a conversation in which nothing special happens, as a control: the same audio is
played and the same motion is shown before the edge case comes."""

from collections.abc import Iterable

from spatius_sim.plans.client_plan import (
    CURRENT,
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
)
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, PCM_SAMPLE_RATES
from spatius_sim.trace.decoder_events import StarvationMode

_WATCH = (Wait(240), Wait(280), Wait(320))
_SETTLE = (Wait(300), Wait(300))
_BEFORE_END_MS = 200
_INTERRUPT, _PAUSE, _RESUME = Do("interrupt"), Do("pause"), Do("resume")
_NO_MOTION, _NO_LIST = Move(()), Move(None)
_NOBODY = Ref(0, "made up")
_BEFORE = Ref(1)


def _motion(*keyframes: int, ref: Ref = CURRENT, form: str = "plain") -> Move:
    """Return one call with a payload for each of these numbers of keyframes."""
    return Move(tuple(PlannedPayload(count, form) for count in keyframes), ref)


def _all_motion(ms: int) -> Move:
    """Return the motion of `ms` milliseconds, in one payload."""
    return _motion(ms * KEYFRAMES_PER_SECOND // 1000)


def _conversation(ms: int) -> tuple[Step, ...]:
    """Return the calls of a conversation of `ms` milliseconds with all its motion, and waits in which it is
    played to its end. In a long conversation, the client is also observed 200 ms before the end: a later loss
    of motion can be blamed on the edge case only if motion was seen at this place here."""
    rest_ms = ms - sum(step.ms for step in _WATCH) - _BEFORE_END_MS
    wait_until_end = (Wait(rest_ms),) if rest_ms > _BEFORE_END_MS else ()
    return GiveAudio(ms, end=True), _all_motion(ms), *_WATCH, *wait_until_end, Wait(ms), *_SETTLE


def _shown(ms: int = 3000) -> tuple[Step, ...]:
    """Return a conversation with all its motion, of which half a second is played."""
    return GiveAudio(ms), _all_motion(ms), Wait(240), Wait(280)


def _interrupted() -> tuple[Step, ...]:
    """Return the steps of an interrupted conversation and of a whole conversation after it, which shows that
    the interrupt did no harm."""
    return *_shown(), _INTERRUPT, *_conversation(3000)


def _make_plans(
    *step_sequences: Iterable[Step], mode: StarvationMode = StarvationMode.AUDIO_INDEPENDENT
) -> list[ClientPlan]:
    """Return one client plan for each of these sequences of steps. The plans use the sample rates in turn,
    and all use this starvation mode."""
    rates = PCM_SAMPLE_RATES[1:] + PCM_SAMPLE_RATES[:1]
    return [
        ClientPlan(tuple(steps), rates[index % len(rates)], mode)
        for index, steps in enumerate(step_sequences)
    ]


def _make_strict_plans(*sequences: Iterable[Step]) -> list[ClientPlan]:
    """Return client plans for edge cases in the mode strictSync, one for each of these sequences of steps."""
    return _make_plans(*sequences, mode=StarvationMode.STRICT_SYNC)


def _stalled() -> tuple[Step, ...]:
    """Return the steps of a conversation in strictSync whose audio stalls, goes on, and stalls once more at
    the end of these steps."""
    stall = (*_WATCH, Wait(300))
    return GiveAudio(3000), _motion(10), *stall, _motion(20), *stall


_JUNK, _CUT = _motion(10, form="junk"), _motion(10, form="cut")
_CHUNK = GiveAudio(400)

_ID = _make_plans(
    (
        GiveAudio(4000),
        *(
            step
            for event in (_motion(60), _motion(5, ref=_NOBODY), _JUNK, Move((), _NOBODY))
            for step in (event, _CHUNK)
        ),
        *(_PAUSE, Wait(300), _RESUME, Wait(300), _CHUNK),
        *(GiveAudio(0), _CHUNK, GiveAudio(100, more_bytes=1), GiveAudio(0, more_bytes=1), _CHUNK),
        *(Wait(2500), _CHUNK, _NO_MOTION, _CHUNK, _motion(5), _CHUNK, GiveAudio(100, True)),
    ),
    (*_shown(), _NO_LIST, GiveAudio(400), Wait(240), GiveAudio(0, True)),
    (_CHUNK, Wait(1500), _CHUNK, Wait(6000), _CHUNK, Wait(12_000), GiveAudio(100, True)),
)
_ID += _make_strict_plans(
    (*_shown(), _motion(5, ref=_NOBODY), _CHUNK, _NO_LIST, _CHUNK, Wait(240), GiveAudio(0, True)),
    (*_stalled(), _CHUNK, _PAUSE, Wait(300), _RESUME, Wait(300), _motion(65), Wait(2500), _CHUNK),
)

_ID_NEW = _make_plans(
    (
        *_conversation(600),
        *(GiveAudio(600, True), GiveAudio(600, True), Wait(300), GiveAudio(600), _INTERRUPT),
        *(
            GiveAudio(600),
            Wait(300),
            _PAUSE,
            Wait(300),
            _INTERRUPT,
            _INTERRUPT,
            GiveAudio(600, True),
            Wait(900),
        ),
        *(
            _INTERRUPT,
            GiveAudio(600),
            _NO_MOTION,
            GiveAudio(0, True),
            GiveAudio(600, True),
            _JUNK,
            GiveAudio(100),
        ),
    ),
    (*_conversation(3000), GiveAudio(500), _motion(75), Wait(1500), _INTERRUPT, *_conversation(2000)),
)
_ID_NEW += _make_strict_plans(
    (
        *(
            *_conversation(600),
            GiveAudio(600, True),
            GiveAudio(600, True),
            Wait(300),
            GiveAudio(600),
            _INTERRUPT,
        ),
        *(GiveAudio(600), Wait(300), _PAUSE, Wait(300), _INTERRUPT, GiveAudio(600)),
    ),
)

_MISMATCH = _make_plans(
    (GiveAudio(2000), *(_motion(20, ref=Ref(0, twist)) for twist in TWISTS), *_WATCH),
    (*_shown(), *(_motion(20, ref=Ref(0, twist)) for twist in TWISTS), *_WATCH),
    (
        GiveAudio(1000, True),
        _all_motion(1000),
        *_WATCH[:2],
        GiveAudio(2000),
        _motion(20, ref=_BEFORE),
        *_WATCH,
    ),
    (
        *_conversation(600),
        GiveAudio(2000),
        _motion(20, ref=_BEFORE),
        _motion(20, ref=Ref(0, "blank")),
        *_WATCH,
    ),
    (*_shown(), _motion(10, ref=_NOBODY, form="junk"), _motion(10, ref=_BEFORE, form="cut"), *_WATCH),
    (GiveAudio(3000), _motion(20), *_WATCH[:2], _motion(20, ref=_NOBODY), _motion(55), *_WATCH),
    (*_conversation(600), _motion(20), GiveAudio(2000), *_WATCH),
    *(
        (
            *(*_conversation(600), GiveAudio(3000), _motion(14), *_WATCH[:2], _PAUSE, Wait(300), *foreign),
            *(Wait(300), _RESUME, *_WATCH),
        )
        for foreign in (
            (_motion(20, ref=_NOBODY),),
            (_motion(20, ref=_BEFORE),),
            tuple(_motion(20, ref=Ref(0, twist)) for twist in TWISTS),
        )
    ),
)
_MISMATCH += _make_strict_plans(
    (*_shown(), *(_motion(20, ref=Ref(0, twist)) for twist in TWISTS), *_WATCH),
    (*_conversation(600), *_stalled(), _motion(20, ref=_BEFORE), *_WATCH, _motion(55), *_WATCH),
    (*_stalled(), *(_motion(20, ref=Ref(0, twist)) for twist in TWISTS), *_WATCH, _motion(55), *_WATCH),
    (*_stalled(), _PAUSE, Wait(300), _motion(20, ref=_NOBODY), Wait(300), _RESUME, *_WATCH),
    (*_conversation(600), *_shown(), _motion(10, ref=_NOBODY, form="junk"), *_WATCH),
    (*_conversation(600), _motion(20), GiveAudio(2000), *_WATCH),
)

_EARLY = _make_plans(
    (_motion(20, ref=_NOBODY), _motion(20, ref=Ref(0, "blank")), GiveAudio(2000), *_WATCH),
    (_motion(20, ref=_NOBODY), GiveAudio(2000), _all_motion(2000), *_WATCH),
)
_EARLY += _make_strict_plans((_motion(20, ref=_NOBODY), GiveAudio(2000), *_WATCH, _all_motion(2000), *_WATCH))

_AFTER_INTERRUPT = (GiveAudio(400, True), _all_motion(400), *_SETTLE, Wait(1500), Wait(3000))
_INTERRUPTS = _make_plans(
    (*_conversation(3000), *_shown(), _INTERRUPT, Wait(300), *_AFTER_INTERRUPT),
    (*_conversation(3000), GiveAudio(3000, True), _INTERRUPT, *_AFTER_INTERRUPT),
    (*_conversation(3000), *_shown(), _PAUSE, Wait(300), _INTERRUPT, *_SETTLE, *_conversation(2000)),
    (*_conversation(3000), _INTERRUPT, _INTERRUPT, Wait(300), *_conversation(2000)),
    (*_conversation(3000), GiveAudio(500, more_bytes=1), Wait(240), _INTERRUPT, *_conversation(2000)),
    (*_conversation(3000), *_shown(), _INTERRUPT, _motion(20), *_conversation(2000)),
)
_INTERRUPTS += _make_strict_plans(
    (*_conversation(2000), *_shown(2000), _INTERRUPT, Wait(300), *_AFTER_INTERRUPT),
    (*_stalled(), _PAUSE, Wait(300), _INTERRUPT, _motion(20), *_SETTLE, *_conversation(1000)),
)

_PAUSES = _make_plans(
    (
        *_conversation(3000),
        *(
            GiveAudio(3000, True),
            _motion(14),
            *_WATCH[:2],
            _PAUSE,
            Wait(300),
            _motion(61),
            Wait(700),
            _RESUME,
        ),
        *(*_WATCH, Wait(3000), *_SETTLE),
    ),
    (
        *_conversation(3000),
        *(
            GiveAudio(3000, True),
            _all_motion(3000),
            Wait(300),
            _PAUSE,
            Wait(700),
            _RESUME,
            Wait(240),
            Wait(280),
        ),
        *(_PAUSE, Wait(5000), _RESUME, Wait(240), *_WATCH, Wait(3000), *_SETTLE),
    ),
    (
        *(*_conversation(3000), GiveAudio(3000, True), _motion(13), *_WATCH[:2], _PAUSE, Wait(300), _RESUME),
        *(_motion(62), *_WATCH, Wait(3000), *_SETTLE),
    ),
    (
        *(*_conversation(3000), GiveAudio(2000), _all_motion(3000), *_WATCH[:2], _PAUSE, Wait(300)),
        *(GiveAudio(500), Wait(200), GiveAudio(500), Wait(300), _RESUME, GiveAudio(0, True)),
        *(*_WATCH, Wait(3000), *_SETTLE),
    ),
    (
        *(*_conversation(3000), GiveAudio(2000), _all_motion(3000), *_WATCH[:2], _PAUSE, Wait(300)),
        *(GiveAudio(1000, True), Wait(300), _RESUME, *_WATCH, Wait(3000), *_SETTLE),
    ),
)
_IN_STALL = (GiveAudio(2000, True), _motion(14), *_WATCH, Wait(300))
_PAUSES += _make_strict_plans(
    # Motion comes in a pause: before its time, and in a stall. Or it comes after a pause in a stall.
    (
        *(
            *_conversation(2000),
            GiveAudio(2000, True),
            _motion(25),
            *_WATCH[:2],
            _PAUSE,
            Wait(300),
            _motion(25),
        ),
        *(Wait(700), _RESUME, *_WATCH, Wait(1500), *_SETTLE),
    ),
    (
        *(*_conversation(2000), *_IN_STALL, _PAUSE, Wait(300), Wait(200), _motion(36), Wait(400), Wait(500)),
        *(_RESUME, *_WATCH, Wait(1500), *_SETTLE),
    ),
    (
        *(*_conversation(2000), *_IN_STALL, _PAUSE, Wait(300), Wait(700), _RESUME, _motion(36), *_WATCH),
        *(_PAUSE, Wait(300), Wait(400), _RESUME, Wait(240), *_WATCH, Wait(1500), *_SETTLE),
    ),
)

_EMPTY = [
    *_make_plans(
        *(
            (
                *_conversation(2000),
                GiveAudio(1000),
                *motion,
                empty,
                GiveAudio(1000, True),
                Wait(1000),
                Wait(900),
                *_SETTLE,
            )
            for empty in (_NO_MOTION, _NO_LIST)
            for motion in ((), (_motion(50),))
        )
    ),
    *_make_plans(
        (*_conversation(2000), GiveAudio(2000, True), _NO_MOTION, Wait(1000), Wait(900), *_SETTLE),
        # A stall that motion ends comes first: whoever skips its time breaks C-STARVE.
        (
            *(
                *_conversation(2000),
                GiveAudio(2000),
                _motion(10),
                *_WATCH,
                Wait(300),
                _motion(20),
                *_WATCH[:2],
            ),
            *(_INTERRUPT, GiveAudio(2000, True), Wait(700), _NO_LIST, Wait(1000), Wait(1300), *_SETTLE),
        ),
        mode=StarvationMode.STRICT_SYNC,
    ),
]

_AFTER_EMPTY: tuple[tuple[Step, ...], ...] = (
    (GiveAudio(0, True),),
    (_CHUNK,),
    (_PAUSE, Wait(300), _RESUME),
    (_NO_MOTION,),
    (_NO_LIST,),
    (_motion(20, ref=_NOBODY),),
    (Move((), _NOBODY),),
    (_JUNK,),
    (_motion(5), _motion(5)),
    (Wait(1200),),
)
_EMPTY_STICKY = _make_plans(
    *((GiveAudio(3000), Wait(240), _NO_MOTION, *event, _motion(75), *_WATCH) for event in _AFTER_EMPTY),
    # Motion still lies ahead when the list comes, and is over before the last step.
    *(
        (GiveAudio(3000), _motion(15), Wait(240), empty, Wait(200), _motion(30), *_WATCH, Wait(400))
        for empty in (_NO_MOTION, _NO_LIST)
    ),
    (
        *(GiveAudio(3000), _motion(15), Wait(240), _PAUSE, Wait(300), _NO_MOTION, _motion(30), _RESUME),
        *(*_WATCH, Wait(400)),
    ),
)
_EMPTY_STICKY += _make_strict_plans(
    *(
        (GiveAudio(3000), _motion(15), Wait(240), empty, *event, Wait(400), _motion(75), *_WATCH)
        for empty in (_NO_MOTION, _NO_LIST)
        for event in ((), (GiveAudio(0, True),), (_PAUSE, Wait(300), _RESUME), (_motion(5, ref=_NOBODY),))
    ),
    (*_stalled(), _NO_MOTION, Wait(240), _motion(75), *_WATCH),
)

_EMPTY_SCOPE = _make_plans(
    (*_interrupted(), *_shown(), _NO_MOTION, Wait(100), _INTERRUPT, *_shown(), *_WATCH),
    (*_shown(), _NO_LIST, GiveAudio(0, True), *_shown(), *_WATCH),
    (
        *_shown(),
        GiveAudio(0, True),
        GiveAudio(600, True),
        _NO_MOTION,
        Wait(900),
        *_SETTLE,
        *_shown(),
        *_WATCH,
    ),
)
_EMPTY_SCOPE += _make_strict_plans((*_shown(), _NO_MOTION, GiveAudio(0, True), *_shown(), *_WATCH))

_EMPTY_MISMATCH = _make_plans(
    (*_shown(), *(Move((), Ref(0, twist)) for twist in TWISTS), *_WATCH),
    (*_conversation(600), *_shown(), Move(None, _BEFORE), Move(None, Ref(0, "blank")), *_WATCH),
    (*_conversation(600), Move((), _NOBODY), Move(None, Ref(0, "blank")), *_shown(), *_WATCH),
    (*_interrupted(), *_shown(), _INTERRUPT, _NO_MOTION, Move((), _NOBODY), *_shown(), *_WATCH),
    (*_conversation(3000), _NO_MOTION, *_shown(), *_WATCH),
    (*_conversation(3000), _NO_LIST, *_shown(), *_WATCH),
    (*_interrupted(), *_shown(), _INTERRUPT, *_shown(), Move((), _BEFORE), Move(None, _BEFORE), *_WATCH),
    (
        # A pause alone does no harm.
        *(*_shown(), _PAUSE, Wait(300), _RESUME, *_WATCH, GiveAudio(0, True)),
        *(*_shown(), _PAUSE, Wait(300)),
        *(Move((), _NOBODY), Move(None, _BEFORE), Move((), Ref(0, "blank")), _RESUME, *_WATCH),
    ),
)
_EMPTY_MISMATCH += _make_strict_plans(
    (
        *_conversation(600),
        *_shown(),
        Move((), _NOBODY),
        Move(None, _BEFORE),
        Move((), Ref(0, "blank")),
        *_WATCH,
    ),
    (*_conversation(600), *_stalled(), Move((), _NOBODY), Move(None, _BEFORE), *_WATCH, _motion(55), *_WATCH),
    (*_conversation(3000), _NO_MOTION, *_shown(), *_WATCH),
)

_SILENT_MOTION = (GiveAudio(2000, True), Wait(1000), Wait(1000), *_SETTLE)
_ABNORMAL = _make_plans(
    *(
        (
            *(*_conversation(2000), *_SILENT_MOTION, GiveAudio(600), *before, bad, GiveAudio(600), Wait(300)),
            *(GiveAudio(600), GiveAudio(200, True), Wait(1500), *_SETTLE, *_conversation(2000)),
        )
        for before in ((), (_motion(5),))
        for bad in (_JUNK, _CUT, Move((PlannedPayload(10), PlannedPayload(10, "junk"), PlannedPayload(10))))
    ),
    (
        *_conversation(2000),
        *_SILENT_MOTION,
        GiveAudio(2000, True),
        Wait(700),
        _JUNK,
        Wait(1300),
        *_SETTLE,
        *_conversation(2000),
    ),
    (*_interrupted(), GiveAudio(2000), _JUNK, Wait(300), _INTERRUPT, *_conversation(2000)),
    (*_shown(), _JUNK, GiveAudio(0, True), *_conversation(2000)),
)
_ABNORMAL_IN_STRICT_SYNC = _make_plans(
    (
        *(*_conversation(2000), GiveAudio(2000), _motion(10), _JUNK, GiveAudio(0, True), *_WATCH, Wait(1500)),
        *(*_SETTLE, *_conversation(2000)),
    ),
    (
        *_conversation(2000),
        GiveAudio(2000, True),
        Wait(700),
        _JUNK,
        Wait(1300),
        *_SETTLE,
        *_conversation(2000),
    ),
    mode=StarvationMode.STRICT_SYNC,
)

_STARVE = [
    *_make_plans(
        (GiveAudio(1039, True), _motion(24), Wait(700), Wait(500), Wait(500), _motion(1), *_SETTLE),
        (
            *(
                GiveAudio(4000),
                _motion(10),
                Wait(700),
                Wait(300),
                _motion(30),
                Wait(900),
                Wait(900),
                Wait(300),
            ),
            *(_motion(60), Wait(240), Wait(200), Wait(400)),
        ),
        (
            *(
                *_conversation(2000),
                GiveAudio(2000, True),
                _motion(20),
                Wait(1000),
                _motion(30),
                Wait(700),
                Wait(900),
            ),
            *_SETTLE,
        ),
        (*_shown(), _PAUSE, Wait(300), _RESUME, *_WATCH, Wait(1500), Wait(700)),
        (
            *(GiveAudio(1000, True), _motion(25, form="last"), *_WATCH, Wait(900), *_SETTLE),
            *(GiveAudio(2000), _motion(10), *_WATCH, Wait(300), Wait(400)),
        ),
        (
            *(*_conversation(2000), GiveAudio(0), _motion(50), GiveAudio(2000), *_WATCH, Wait(900)),
            *(GiveAudio(0, True), *_SETTLE, GiveAudio(0), _NO_MOTION, GiveAudio(2000, True), *_WATCH),
        ),
        (
            *(*_conversation(2000), *_stalled(), _INTERRUPT, *_SETTLE),
            *(GiveAudio(1000), _NO_MOTION, *_WATCH, Wait(900), GiveAudio(0, True), *_SETTLE),
            *(GiveAudio(2000), _motion(10), *_WATCH, Wait(300), Wait(400)),
        ),
        (
            *_conversation(2000),
            *_stalled(),
            _INTERRUPT,
            GiveAudio(2000),
            _motion(20),
            *_WATCH,
            Wait(300),
            Wait(400),
        ),
        (
            *(*_conversation(2000), GiveAudio(3000), _motion(20), Wait(700), Wait(500), Wait(400)),
            *(_PAUSE, Wait(300), _RESUME, *_WATCH),
        ),
        mode=StarvationMode.STRICT_SYNC,
    ),
    *_make_plans(
        (
            *(*_conversation(3000), GiveAudio(3000, True), _motion(5), Wait(1000), Wait(1000), Wait(1000)),
            *(*_SETTLE, Wait(300)),
        )
    ),
]

_CALLS_WHILE_IDLE = (_PAUSE, Wait(300), _RESUME, Wait(300), _INTERRUPT, Wait(300))
_LONG_MS = 12_000
_HUGE_MS = 30_000
_STATES = [
    *(
        ClientPlan(
            (
                *(GiveAudio(1000), GiveAudio(0), GiveAudio(1000), GiveAudio(1000, True), _motion(25, 50)),
                *(*_WATCH, Wait(1000), Wait(900), *_SETTLE, Wait(900)),
            ),
            rate,
        )
        for rate in PCM_SAMPLE_RATES
    ),
    *_make_plans(
        (*_conversation(3000), *_shown(), GiveAudio(0, True), *_AFTER_INTERRUPT),
        (*_CALLS_WHILE_IDLE, *_conversation(2000), *_CALLS_WHILE_IDLE, *_conversation(2000)),
        (_RESUME, *_SETTLE, *_conversation(2000), _RESUME, *_SETTLE, *_conversation(2000)),
        (
            *(GiveAudio(4000, True), _all_motion(4000), Wait(240), _RESUME, *_WATCH, _PAUSE, Wait(300)),
            *(_PAUSE, Wait(900), _RESUME, *_WATCH, Wait(3000), *_SETTLE),
        ),
        (
            *_shown(),
            GiveAudio(0, True),
            GiveAudio(2000, True),
            Wait(0),
            _all_motion(2000),
            *_WATCH,
            Wait(2000),
        ),
        (
            GiveAudio(500),
            _motion(75),
            Wait(1000),
            Wait(1500),
            GiveAudio(2500, True),
            *_WATCH,
            Wait(900),
            Wait(900),
            *_SETTLE,
        ),
        (
            *(
                *(GiveAudio(20, more_bytes=1) for _ in range(20)),
                *(GiveAudio(0, more_bytes=1) for _ in range(20)),
            ),
            *(GiveAudio(600, True), _all_motion(1000), Wait(300), Wait(300), Wait(500), *_SETTLE),
        ),
        (
            *(*_shown(2000), _PAUSE, Wait(300), GiveAudio(0, True), Wait(300), _RESUME),
            *(*_WATCH, Wait(1500), *_SETTLE),
        ),
        (
            *(
                GiveAudio(1000),
                _all_motion(1000),
                Wait(700),
                Wait(700),
                _PAUSE,
                Wait(300),
                GiveAudio(0, True),
            ),
            *(Wait(300), _RESUME, *_SETTLE, *_SETTLE),
        ),
        (
            *(GiveAudio(1000), _all_motion(1000), Wait(700), Wait(700), GiveAudio(0, True)),
            *(*_SETTLE, *_SETTLE, GiveAudio(0, True), *_SETTLE, *_SETTLE),
        ),
        (GiveAudio(_LONG_MS, True), _motion(50, 100, 100, 50), Wait(6000), Wait(5500), Wait(900), *_SETTLE),
    ),
    ClientPlan(
        (GiveAudio(_HUGE_MS, True), _motion(50, *[100] * 7), Wait(_HUGE_MS - 1000), Wait(1500), *_SETTLE),
        48_000,
    ),
]
_STATES += _make_strict_plans(
    (
        *_conversation(2000),
        *_shown(),
        GiveAudio(0, True),
        GiveAudio(400, True),
        _all_motion(400),
        *_SETTLE,
        Wait(900),
    ),
    (*_CALLS_WHILE_IDLE, *_conversation(1000), _PAUSE, Wait(300), _RESUME, *_conversation(1000)),
    (*_IN_STALL, _motion(36), *_WATCH, Wait(1000), *_SETTLE, *_SETTLE),
)

_UNKNOWN = [
    *_make_plans(
        *(
            (GiveAudio(3000), _motion(10), *_WATCH[:2], _motion(65, form=form), *_WATCH, Wait(400))
            for form in UNKNOWN_FIELDS
        )
    ),
    *_make_strict_plans(
        (*_stalled(), _motion(55, form="unknown fields"), *_WATCH, Wait(400)),
    ),
]

_MATCH = _make_plans(
    (GiveAudio(2000), _motion(*[1] * 50), *_WATCH, Wait(400)),
    (GiveAudio(2000), *[_motion(1)] * 50, *_WATCH, Wait(400)),
    (GiveAudio(8000, True), _motion(150, 50), Wait(240), Wait(280), Wait(4000), Wait(800), Wait(800)),
    (GiveAudio(_LONG_MS, True), _motion(50), _motion(100), _motion(100), _motion(50), *[Wait(1000)] * 13),
    (
        *(GiveAudio(4000, True), Move((PlannedPayload(25), PlannedPayload(25, "again")))),
        *(_motion(25, form="again"), _motion(25), *_WATCH, Wait(900), Wait(900), Wait(900)),
    ),
    (*_conversation(2000), GiveAudio(2000), _motion(10, form="last"), _motion(40), *_WATCH, Wait(400)),
    (*_conversation(2000), GiveAudio(2000), _motion(10, form="elsewhere"), _motion(40), *_WATCH, Wait(400)),
    (
        *(*_conversation(3000), *_shown(), GiveAudio(0, True), _PAUSE, Wait(300)),
        *(GiveAudio(3000), _RESUME, *_WATCH),
    ),
)
_MATCH += _make_strict_plans(
    (*_conversation(2000), GiveAudio(2000), _motion(10, form="last"), _motion(40), *_WATCH, Wait(400)),
    (*_conversation(2000), GiveAudio(2000), _motion(10, form="elsewhere"), _motion(40), *_WATCH, Wait(400)),
    (GiveAudio(2000), _motion(20, 20), _motion(10), *_WATCH, Wait(400)),
)
_MATCH.append(
    # More than a minute, at the lowest rate: the largest plan of all is 2.5 MB.
    ClientPlan(
        (
            *[GiveAudio(10_000)] * 8,
            GiveAudio(10_000, True),
            *[_motion(100)] * 22,
            _motion(50),
            *[Wait(4000)] * 23,
        ),
        PCM_SAMPLE_RATES[0],
    )
)

_SYNC = [
    *(
        ClientPlan((GiveAudio(2000), _motion(1), _motion(2, 17), _motion(30), *_WATCH, Wait(400)), rate)
        for rate in PCM_SAMPLE_RATES
    ),
    *_make_plans(
        (GiveAudio(4000), Wait(1000), _motion(25, 75), *_WATCH, Wait(900), Wait(900)),
        (GiveAudio(4000), _motion(10), Wait(1500), _motion(15), Wait(240), _motion(75), *_WATCH, Wait(900)),
        (GiveAudio(4000), Wait(1500), _motion(20), Wait(240), _motion(20, 60), *_WATCH, Wait(900)),
    ),
    *_make_strict_plans(
        (GiveAudio(4000), Wait(1000), _motion(25, 75), *_WATCH, Wait(900), Wait(900)),
        (*_stalled(), _motion(55), *_WATCH, Wait(900)),
    ),
]

_EDGE_CASES: dict[str, list[ClientPlan]] = {
    "C-ID": _ID,
    "C-ID-NEW": _ID_NEW,
    "C-MISMATCH": _MISMATCH,
    "C-EARLY": _EARLY,
    "C-INTERRUPT": _INTERRUPTS,
    "C-PAUSE": _PAUSES,
    "C-EMPTY": _EMPTY,
    "C-EMPTY-STICKY": _EMPTY_STICKY,
    "C-EMPTY-SCOPE": _EMPTY_SCOPE,
    "C-EMPTY-MISMATCH": _EMPTY_MISMATCH,
    "C-ABNORMAL": [*_ABNORMAL, *_ABNORMAL_IN_STRICT_SYNC],
    "C-STARVE": _STARVE,
    "C-STATES": _STATES,
    "C-UNKNOWN": _UNKNOWN,
    "C-MATCH": _MATCH,
    "C-SYNC": _SYNC,
}


def edge_cases_of(rule_id: str) -> tuple[ClientPlan, ...]:
    """Return the client plans with the edge cases of this rule for clients; an empty tuple if it has none."""
    return tuple(_EDGE_CASES.get(rule_id, ()))
