"""Plans for clients that always run: the edge cases of each rule's situation, which drawn plans seldom meet.

A rule that holds in both modes has edge cases in both.

Nearly every plan begins with a conversation in which nothing special happens, as a control: the same audio is
played and the same motion is shown before the edge case comes."""

from spatius_sim.plans.client_plan import (
    TWISTS,
    UNKNOWN_FIELDS,
    ClientPlan,
    GiveAudio,
    Move,
    PlannedPayload,
    Ref,
    Step,
    Wait,
)
from spatius_sim.plans.make_fixed_client_plans import (
    AFTER_INTERRUPT,
    BEFORE,
    CALLS_WHILE_IDLE,
    CHUNK,
    CUT,
    INTERRUPT,
    JUNK,
    NO_LIST,
    NO_MOTION,
    NOBODY,
    PAUSE,
    RESUME,
    SETTLE,
    WATCH,
    all_motion,
    make_plans,
    motion,
    play_interrupted,
    play_some,
    play_whole,
)
from spatius_sim.plans.strict_sync_plans import STRICT_SYNC_PLANS
from spatius_sim.protocol.audio import PCM_SAMPLE_RATES

_ID = make_plans(
    (
        GiveAudio(4000),
        *(
            step
            for event in (motion(60), motion(5, ref=NOBODY), JUNK, Move((), NOBODY))
            for step in (event, CHUNK)
        ),
        *(PAUSE, Wait(300), RESUME, Wait(300), CHUNK),
        *(GiveAudio(0), CHUNK, GiveAudio(100, more_bytes=1), GiveAudio(0, more_bytes=1), CHUNK),
        *(Wait(2500), CHUNK, NO_MOTION, CHUNK, motion(5), CHUNK, GiveAudio(100, True)),
    ),
    (*play_some(), NO_LIST, GiveAudio(400), Wait(240), GiveAudio(0, True)),
    # "for 10 s past the audio" (C-NOEND): nearly so long, and longer.
    (CHUNK, Wait(1500), CHUNK, Wait(6000), CHUNK, Wait(10_300), Wait(1_700), GiveAudio(100, True)),
)

_ID_NEW = make_plans(
    (
        *play_whole(600),
        *(GiveAudio(600, True), GiveAudio(600, True), Wait(300), GiveAudio(600), INTERRUPT),
        *(
            GiveAudio(600),
            Wait(300),
            PAUSE,
            Wait(300),
            INTERRUPT,
            INTERRUPT,
            GiveAudio(600, True),
            Wait(900),
        ),
        *(
            INTERRUPT,
            GiveAudio(600),
            NO_MOTION,
            GiveAudio(0, True),
            GiveAudio(600, True),
            JUNK,
            GiveAudio(100),
        ),
    ),
    (*play_whole(3000), GiveAudio(500), motion(75), Wait(1500), INTERRUPT, *play_whole(2000)),
)

_MISMATCH = make_plans(
    (GiveAudio(2000), *(motion(20, ref=Ref(0, twist)) for twist in TWISTS), *WATCH),
    (*play_some(), *(motion(20, ref=Ref(0, twist)) for twist in TWISTS), *WATCH),
    (
        GiveAudio(1000, True),
        all_motion(1000),
        *WATCH[:2],
        GiveAudio(2000),
        motion(20, ref=BEFORE),
        *WATCH,
    ),
    (
        *play_whole(600),
        GiveAudio(2000),
        motion(20, ref=BEFORE),
        motion(20, ref=Ref(0, "blank")),
        *WATCH,
    ),
    (*play_some(), motion(10, ref=NOBODY, form="junk"), motion(10, ref=BEFORE, form="cut"), *WATCH),
    # A client that decodes before it looks at the id may stop the current motion.
    *(
        (*play_whole(600), GiveAudio(3000), motion(14), *WATCH[:2], bad, motion(61), *WATCH, Wait(400))
        for bad in (motion(10, ref=BEFORE, form="junk"), motion(10, ref=NOBODY, form="cut"))
    ),
    (GiveAudio(3000), motion(20), *WATCH[:2], motion(20, ref=NOBODY), motion(55), *WATCH),
    (*play_whole(600), motion(20), GiveAudio(2000), *WATCH),
    *(
        (
            *(*play_whole(600), GiveAudio(3000), motion(14), *WATCH[:2], PAUSE, Wait(300), *foreign),
            *(Wait(300), RESUME, *WATCH),
        )
        for foreign in (
            (motion(20, ref=NOBODY),),
            (motion(20, ref=BEFORE),),
            tuple(motion(20, ref=Ref(0, twist)) for twist in TWISTS),
        )
    ),
)

_EARLY = make_plans(
    (motion(20, ref=NOBODY), motion(20, ref=Ref(0, "blank")), GiveAudio(2000), *WATCH),
    (motion(20, ref=NOBODY), GiveAudio(2000), all_motion(2000), *WATCH),
)

_INTERRUPTS = make_plans(
    (*play_whole(3000), *play_some(), INTERRUPT, Wait(300), *AFTER_INTERRUPT),
    (*play_whole(3000), GiveAudio(3000, True), INTERRUPT, *AFTER_INTERRUPT),
    (*play_whole(3000), *play_some(), PAUSE, Wait(300), INTERRUPT, *SETTLE, *play_whole(2000)),
    (*play_whole(3000), INTERRUPT, INTERRUPT, Wait(300), *play_whole(2000)),
    (*play_whole(3000), GiveAudio(500, more_bytes=1), Wait(240), INTERRUPT, *play_whole(2000)),
    (*play_whole(3000), *play_some(), INTERRUPT, motion(20), *play_whole(2000)),
)

_PAUSES = make_plans(
    (
        *play_whole(3000),
        *(
            GiveAudio(3000, True),
            motion(14),
            *WATCH[:2],
            PAUSE,
            Wait(300),
            motion(61),
            Wait(700),
            RESUME,
        ),
        *(*WATCH, Wait(3000), *SETTLE),
    ),
    (
        *play_whole(3000),
        *(
            GiveAudio(3000, True),
            all_motion(3000),
            Wait(300),
            PAUSE,
            Wait(700),
            RESUME,
            Wait(240),
            Wait(280),
        ),
        *(PAUSE, Wait(11_000), RESUME, Wait(240), *WATCH, Wait(3000), *SETTLE),
    ),
    (
        *(*play_whole(3000), GiveAudio(3000, True), motion(13), *WATCH[:2], PAUSE, Wait(300), RESUME),
        *(motion(62), *WATCH, Wait(3000), *SETTLE),
    ),
    (
        *(*play_whole(3000), GiveAudio(2000), all_motion(3000), *WATCH[:2], PAUSE, Wait(300)),
        *(GiveAudio(500), Wait(200), GiveAudio(500), Wait(300), RESUME, GiveAudio(0, True)),
        *(*WATCH, Wait(3000), *SETTLE),
    ),
    (
        *(*play_whole(3000), GiveAudio(2000), all_motion(3000), *WATCH[:2], PAUSE, Wait(300)),
        *(GiveAudio(1000, True), Wait(300), RESUME, *WATCH, Wait(3000), *SETTLE),
    ),
)
_EMPTY = [
    *make_plans(
        *(
            (
                *play_whole(2000),
                GiveAudio(1000),
                *some_motion,
                empty,
                GiveAudio(1000, True),
                Wait(1000),
                Wait(900),
                *SETTLE,
            )
            for empty in (NO_MOTION, NO_LIST)
            for some_motion in ((), (motion(50),))
        )
    ),
]

_AFTER_EMPTY: tuple[tuple[Step, ...], ...] = (
    (GiveAudio(0, True),),
    (CHUNK,),
    (PAUSE, Wait(300), RESUME),
    (NO_MOTION,),
    (NO_LIST,),
    (motion(20, ref=NOBODY),),
    (Move((), NOBODY),),
    (JUNK,),
    (motion(5), motion(5)),
    (Wait(1200),),
)
_EMPTY_STICKY = make_plans(
    *((GiveAudio(3000), Wait(240), NO_MOTION, *event, motion(75), *WATCH) for event in _AFTER_EMPTY),
    # Motion still lies ahead when the list comes, and is over before the last step.
    *(
        (GiveAudio(3000), motion(15), Wait(240), empty, Wait(200), motion(30), *WATCH, Wait(400))
        for empty in (NO_MOTION, NO_LIST)
    ),
    (
        *(GiveAudio(3000), motion(15), Wait(240), PAUSE, Wait(300), NO_MOTION, motion(30), RESUME),
        *(*WATCH, Wait(400)),
    ),
    # What came too late for the face must not be kept for the next conversation.
    *(
        (*play_whole(3000), *play_some(), empty, motion(30), GiveAudio(0, True), *wait, *play_some(), *WATCH)
        for empty, wait in ((NO_MOTION, (Wait(3000), *SETTLE)), (NO_LIST, ()))
    ),
)

_EMPTY_SCOPE = make_plans(
    (*play_interrupted(), *play_some(), NO_MOTION, Wait(100), INTERRUPT, *play_some(), *WATCH),
    (*play_some(), NO_LIST, GiveAudio(0, True), *play_some(), *WATCH),
    (
        *play_some(),
        GiveAudio(0, True),
        GiveAudio(600, True),
        NO_MOTION,
        Wait(900),
        *SETTLE,
        *play_some(),
        *WATCH,
    ),
)

_EMPTY_MISMATCH = make_plans(
    (*play_some(), *(Move((), Ref(0, twist)) for twist in TWISTS), *WATCH),
    (*play_whole(600), *play_some(), Move(None, BEFORE), Move(None, Ref(0, "blank")), *WATCH),
    (*play_whole(600), Move((), NOBODY), Move(None, Ref(0, "blank")), *play_some(), *WATCH),
    (*play_interrupted(), *play_some(), INTERRUPT, NO_MOTION, Move((), NOBODY), *play_some(), *WATCH),
    (*play_whole(3000), NO_MOTION, *play_some(), *WATCH),
    (*play_whole(3000), NO_LIST, *play_some(), *WATCH),
    (
        *play_interrupted(),
        *play_some(),
        INTERRUPT,
        *play_some(),
        Move((), BEFORE),
        Move(None, BEFORE),
        *WATCH,
    ),
    (
        # A pause alone does no harm.
        *(*play_some(), PAUSE, Wait(300), RESUME, *WATCH, GiveAudio(0, True)),
        *(*play_some(), PAUSE, Wait(300)),
        *(Move((), NOBODY), Move(None, BEFORE), Move((), Ref(0, "blank")), RESUME, *WATCH),
    ),
)

_SILENT_MOTION = (GiveAudio(2000, True), Wait(1000), Wait(1000), *SETTLE)
_ABNORMAL = make_plans(
    *(
        (
            *(*play_whole(2000), *_SILENT_MOTION, GiveAudio(600), *before, bad, GiveAudio(600), Wait(300)),
            *(GiveAudio(600), GiveAudio(200, True), Wait(1500), *SETTLE, *play_whole(2000)),
        )
        for before in ((), (motion(5),))
        for bad in (JUNK, CUT, Move((PlannedPayload(10), PlannedPayload(10, "junk"), PlannedPayload(10))))
    ),
    (
        *play_whole(2000),
        *_SILENT_MOTION,
        GiveAudio(2000, True),
        Wait(700),
        JUNK,
        Wait(1300),
        *SETTLE,
        *play_whole(2000),
    ),
    (*play_interrupted(), GiveAudio(2000), JUNK, Wait(300), INTERRUPT, *play_whole(2000)),
    (*play_some(), JUNK, GiveAudio(0, True), *play_whole(2000)),
)

_STARVE = [
    *make_plans(
        (
            *(*play_whole(3000), GiveAudio(3000, True), motion(5), Wait(1000), Wait(1000), Wait(1000)),
            *(*SETTLE, Wait(300)),
        )
    ),
]

_LONG_MS = 12_000
_HUGE_MS = 30_000
_STATES = [
    *(
        ClientPlan(
            (
                *(GiveAudio(1000), GiveAudio(0), GiveAudio(1000), GiveAudio(1000, True), motion(25, 50)),
                *(*WATCH, Wait(1000), Wait(900), *SETTLE, Wait(900)),
            ),
            rate,
        )
        for rate in PCM_SAMPLE_RATES
    ),
    *make_plans(
        # Whatever has only begun to start must not start any more.
        (*play_whole(3000), GiveAudio(3000), INTERRUPT, *SETTLE, Wait(900), *play_whole(2000)),
        (*play_whole(3000), *play_some(), GiveAudio(0, True), *AFTER_INTERRUPT),
        (*CALLS_WHILE_IDLE, *play_whole(2000), *CALLS_WHILE_IDLE, *play_whole(2000)),
        (RESUME, *SETTLE, *play_whole(2000), RESUME, *SETTLE, *play_whole(2000)),
        (
            *(GiveAudio(4000, True), all_motion(4000), Wait(240), RESUME, *WATCH, PAUSE, Wait(300)),
            *(PAUSE, Wait(900), RESUME, *WATCH, Wait(3000), *SETTLE),
        ),
        (
            *play_some(),
            GiveAudio(0, True),
            GiveAudio(2000, True),
            Wait(0),
            all_motion(2000),
            *WATCH,
            Wait(2000),
        ),
        (
            GiveAudio(500),
            motion(75),
            Wait(1000),
            Wait(1500),
            GiveAudio(2500, True),
            *WATCH,
            Wait(900),
            Wait(900),
            *SETTLE,
        ),
        (
            *(
                *(GiveAudio(20, more_bytes=1) for _ in range(20)),
                *(GiveAudio(0, more_bytes=1) for _ in range(20)),
            ),
            *(GiveAudio(600, True), all_motion(1000), Wait(300), Wait(300), Wait(500), *SETTLE),
        ),
        # The end mark comes with half a sample.
        *(
            (GiveAudio(1000), all_motion(1000), Wait(240), last, Wait(700), *SETTLE, *SETTLE)
            for last in (GiveAudio(0, True, more_bytes=1), GiveAudio(100, True, more_bytes=1))
        ),
        (
            *(*play_some(2000), PAUSE, Wait(300), GiveAudio(0, True), Wait(300), RESUME),
            *(*WATCH, Wait(1500), *SETTLE),
        ),
        (
            *(
                GiveAudio(1000),
                all_motion(1000),
                Wait(700),
                Wait(700),
                PAUSE,
                Wait(300),
                GiveAudio(0, True),
            ),
            *(Wait(300), RESUME, *SETTLE, *SETTLE),
        ),
        (
            *(GiveAudio(1000), all_motion(1000), Wait(700), Wait(700), GiveAudio(0, True)),
            *(*SETTLE, *SETTLE, GiveAudio(0, True), *SETTLE, *SETTLE),
        ),
        (GiveAudio(_LONG_MS, True), motion(50, 100, 100, 50), Wait(6000), Wait(5500), Wait(900), *SETTLE),
    ),
    ClientPlan(
        (GiveAudio(_HUGE_MS, True), motion(50, *[100] * 7), Wait(_HUGE_MS - 1000), Wait(1500), *SETTLE),
        48_000,
    ),
]

_UNKNOWN = [
    *make_plans(
        *(
            (GiveAudio(3000), motion(10), *WATCH[:2], motion(65, form=form), *WATCH, Wait(400))
            for form in UNKNOWN_FIELDS
        )
    ),
]

_IN_SMALL_CHUNKS: tuple[tuple[Step, ...], ...] = tuple(
    (*[GiveAudio(ms)] * (2000 // ms), GiveAudio(0, True), motion(50), *WATCH, Wait(900), *SETTLE)
    for ms in (20, 100, 250)
)
_MATCH = make_plans(
    *_IN_SMALL_CHUNKS,
    (GiveAudio(2000), motion(*[1] * 50), *WATCH, Wait(400)),
    (GiveAudio(2000), *[motion(1)] * 50, *WATCH, Wait(400)),
    (GiveAudio(8000, True), motion(150, 50), Wait(240), Wait(280), Wait(4000), Wait(800), Wait(800)),
    (GiveAudio(_LONG_MS, True), motion(50), motion(100), motion(100), motion(50), *[Wait(1000)] * 13),
    (
        *(GiveAudio(4000, True), Move((PlannedPayload(25), PlannedPayload(25, "again")))),
        *(motion(25, form="again"), motion(25), *WATCH, Wait(900), Wait(900), Wait(900)),
    ),
    (*play_whole(2000), GiveAudio(2000), motion(10, form="last"), motion(40), *WATCH, Wait(400)),
    # Motion comes while no audio is left, but the conversation has not ended.
    (
        *(*play_whole(4000), GiveAudio(1000), motion(25), Wait(700), Wait(700), motion(75), Wait(300)),
        *(GiveAudio(3000, True), *WATCH, Wait(900)),
    ),
    (*play_whole(2000), GiveAudio(2000), motion(10, form="elsewhere"), motion(40), *WATCH, Wait(400)),
    (
        *(*play_whole(3000), *play_some(), GiveAudio(0, True), PAUSE, Wait(300)),
        *(GiveAudio(3000), RESUME, *WATCH),
    ),
)

_SYNC = [
    *(
        ClientPlan((GiveAudio(2000), motion(1), motion(2, 17), motion(30), *WATCH, Wait(400)), rate)
        for rate in PCM_SAMPLE_RATES
    ),
    *make_plans(
        (GiveAudio(4000), Wait(1000), motion(25, 75), *WATCH, Wait(900), Wait(900)),
        (GiveAudio(4000), motion(10), Wait(1500), motion(15), Wait(240), motion(75), *WATCH, Wait(900)),
        (GiveAudio(4000), Wait(1500), motion(20), Wait(240), motion(20, 60), *WATCH, Wait(900)),
        # Motion is missing for more than three seconds.
        (GiveAudio(9000, True), motion(25), *[Wait(900)] * 5, motion(200), *[Wait(600)] * 7, *SETTLE),
    ),
]

_LONGEST = ClientPlan(
    (
        *[GiveAudio(10_000)] * 8,
        GiveAudio(10_000, True),
        *[motion(100)] * 22,
        motion(50),
        *[Wait(4000)] * 23,
    ),
    PCM_SAMPLE_RATES[0],
)
"""More than a minute, at the lowest rate: the largest plan of all is 2.5 MB."""

_EDGE_CASES: dict[str, list[ClientPlan]] = {
    "C-ID": [*_ID, *STRICT_SYNC_PLANS["C-ID"]],
    "C-ID-NEW": [*_ID_NEW, *STRICT_SYNC_PLANS["C-ID-NEW"]],
    "C-MISMATCH": [*_MISMATCH, *STRICT_SYNC_PLANS["C-MISMATCH"]],
    "C-EARLY": [*_EARLY, *STRICT_SYNC_PLANS["C-EARLY"]],
    "C-INTERRUPT": [*_INTERRUPTS, *STRICT_SYNC_PLANS["C-INTERRUPT"]],
    "C-PAUSE": [*_PAUSES, *STRICT_SYNC_PLANS["C-PAUSE"]],
    "C-EMPTY": [*_EMPTY, *STRICT_SYNC_PLANS["C-EMPTY"]],
    "C-EMPTY-STICKY": [*_EMPTY_STICKY, *STRICT_SYNC_PLANS["C-EMPTY-STICKY"]],
    "C-EMPTY-SCOPE": [*_EMPTY_SCOPE, *STRICT_SYNC_PLANS["C-EMPTY-SCOPE"]],
    "C-EMPTY-MISMATCH": [*_EMPTY_MISMATCH, *STRICT_SYNC_PLANS["C-EMPTY-MISMATCH"]],
    "C-ABNORMAL": [*_ABNORMAL, *STRICT_SYNC_PLANS["C-ABNORMAL"]],
    "C-STARVE": [*STRICT_SYNC_PLANS["C-STARVE"], *_STARVE],
    "C-STATES": [*_STATES, *STRICT_SYNC_PLANS["C-STATES"]],
    "C-UNKNOWN": [*_UNKNOWN, *STRICT_SYNC_PLANS["C-UNKNOWN"]],
    "C-MATCH": [*_MATCH, *STRICT_SYNC_PLANS["C-MATCH"], _LONGEST],
    "C-SYNC": [*_SYNC, *STRICT_SYNC_PLANS["C-SYNC"]],
}


def edge_cases_of(rule_id: str) -> tuple[ClientPlan, ...]:
    """Return the client plans with the edge cases of this rule for clients; an empty tuple if it has none."""
    return tuple(_EDGE_CASES.get(rule_id, ()))
