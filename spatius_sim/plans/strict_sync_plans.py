"""Plans for clients in the mode strictSync that always run: the edge cases of each rule's situation.

A client's code may differ there from that of the other mode, so most of them are around a stall."""

from collections.abc import Iterable

from spatius_sim.plans.client_plan import TWISTS, ClientPlan, GiveAudio, Move, Ref, Step, Wait
from spatius_sim.plans.make_fixed_client_plans import (
    AFTER_INTERRUPT,
    BEFORE,
    CALLS_WHILE_IDLE,
    CHUNK,
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
    play_some,
    play_whole,
)
from spatius_sim.trace.decoder_events import StarvationMode

_IN_STALL = (GiveAudio(2000, True), motion(14), *WATCH, Wait(300))


def _make_strict_plans(*sequences: Iterable[Step]) -> list[ClientPlan]:
    """Make client plans in the mode strictSync, one of each of these sequences of steps."""
    return make_plans(*sequences, mode=StarvationMode.STRICT_SYNC)


def _play_stalled() -> tuple[Step, ...]:
    """Return the steps of a conversation in strictSync whose audio stalls, goes on, and stalls once more at
    the end of these steps."""
    stall = (*WATCH, Wait(300))
    return GiveAudio(3000), motion(10), *stall, motion(20), *stall


_ID = _make_strict_plans(
    (*play_some(), motion(5, ref=NOBODY), CHUNK, NO_LIST, CHUNK, Wait(240), GiveAudio(0, True)),
    (*_play_stalled(), CHUNK, PAUSE, Wait(300), RESUME, Wait(300), motion(65), Wait(2500), CHUNK),
)

_ID_NEW = _make_strict_plans(
    (
        *(
            *play_whole(600),
            GiveAudio(600, True),
            GiveAudio(600, True),
            Wait(300),
            GiveAudio(600),
            INTERRUPT,
        ),
        *(GiveAudio(600), Wait(300), PAUSE, Wait(300), INTERRUPT, GiveAudio(600)),
    ),
)

_MISMATCH = _make_strict_plans(
    (*play_some(), *(motion(20, ref=Ref(0, twist)) for twist in TWISTS), *WATCH),
    (*play_whole(600), *_play_stalled(), motion(20, ref=BEFORE), *WATCH, motion(55), *WATCH),
    (*_play_stalled(), *(motion(20, ref=Ref(0, twist)) for twist in TWISTS), *WATCH, motion(55), *WATCH),
    (*_play_stalled(), PAUSE, Wait(300), motion(20, ref=NOBODY), Wait(300), RESUME, *WATCH),
    (*play_whole(600), *play_some(), motion(10, ref=NOBODY, form="junk"), *WATCH),
    (*play_whole(600), motion(20), GiveAudio(2000), *WATCH),
)

_EARLY = _make_strict_plans((motion(20, ref=NOBODY), GiveAudio(2000), *WATCH, all_motion(2000), *WATCH))

_INTERRUPTS = _make_strict_plans(
    (*play_whole(2000), *play_some(2000), INTERRUPT, Wait(300), *AFTER_INTERRUPT),
    (*_play_stalled(), PAUSE, Wait(300), INTERRUPT, motion(20), *SETTLE, *play_whole(1000)),
)

_PAUSES = _make_strict_plans(
    # Motion comes in a pause: before its time, and in a stall. Or it comes after a pause in a stall.
    (
        *(
            *play_whole(2000),
            GiveAudio(2000, True),
            motion(25),
            *WATCH[:2],
            PAUSE,
            Wait(300),
            motion(25),
        ),
        *(Wait(700), RESUME, *WATCH, Wait(1500), *SETTLE),
    ),
    (
        *(*play_whole(2000), *_IN_STALL, PAUSE, Wait(300), Wait(200), motion(36), Wait(400), Wait(500)),
        *(RESUME, *WATCH, Wait(1500), *SETTLE),
    ),
    (
        *(*play_whole(2000), *_IN_STALL, PAUSE, Wait(300), Wait(700), RESUME, motion(36), *WATCH),
        *(PAUSE, Wait(300), Wait(400), RESUME, Wait(240), *WATCH, Wait(1500), *SETTLE),
    ),
)

_EMPTY_STICKY = _make_strict_plans(
    *(
        (GiveAudio(3000), motion(15), Wait(240), empty, *event, Wait(400), motion(75), *WATCH)
        for empty in (NO_MOTION, NO_LIST)
        for event in ((), (GiveAudio(0, True),), (PAUSE, Wait(300), RESUME), (motion(5, ref=NOBODY),))
    ),
    (*_play_stalled(), NO_MOTION, Wait(240), motion(75), *WATCH),
)

_EMPTY_SCOPE = _make_strict_plans((*play_some(), NO_MOTION, GiveAudio(0, True), *play_some(), *WATCH))

_EMPTY_MISMATCH = _make_strict_plans(
    (
        *play_whole(600),
        *play_some(),
        Move((), NOBODY),
        Move(None, BEFORE),
        Move((), Ref(0, "blank")),
        *WATCH,
    ),
    (*play_whole(600), *_play_stalled(), Move((), NOBODY), Move(None, BEFORE), *WATCH, motion(55), *WATCH),
    (*play_whole(3000), NO_MOTION, *play_some(), *WATCH),
)

_STATES = _make_strict_plans(
    (
        *play_whole(2000),
        *play_some(),
        GiveAudio(0, True),
        GiveAudio(400, True),
        all_motion(400),
        *SETTLE,
        Wait(900),
    ),
    (*CALLS_WHILE_IDLE, *play_whole(1000), PAUSE, Wait(300), RESUME, *play_whole(1000)),
    (*_IN_STALL, motion(36), *WATCH, Wait(1000), *SETTLE, *SETTLE),
)

_MATCH = _make_strict_plans(
    (*play_whole(2000), GiveAudio(2000), motion(10, form="last"), motion(40), *WATCH, Wait(400)),
    (*play_whole(2000), GiveAudio(2000), motion(10, form="elsewhere"), motion(40), *WATCH, Wait(400)),
    (GiveAudio(2000), motion(20, 20), motion(10), *WATCH, Wait(400)),
)

_ABNORMAL = _make_strict_plans(
    (
        *(*play_whole(2000), GiveAudio(2000), motion(10), JUNK, GiveAudio(0, True), *WATCH, Wait(1500)),
        *(*SETTLE, *play_whole(2000)),
    ),
    (
        *play_whole(2000),
        GiveAudio(2000, True),
        Wait(700),
        JUNK,
        Wait(1300),
        *SETTLE,
        *play_whole(2000),
    ),
)

_EMPTY = _make_strict_plans(
    (*play_whole(2000), GiveAudio(2000, True), NO_MOTION, Wait(1000), Wait(900), *SETTLE),
    # A stall that motion ends comes first: whoever skips its time breaks C-STARVE.
    (
        *(
            *play_whole(2000),
            GiveAudio(2000),
            motion(10),
            *WATCH,
            Wait(300),
            motion(20),
            *WATCH[:2],
        ),
        *(INTERRUPT, GiveAudio(2000, True), Wait(700), NO_LIST, Wait(1000), Wait(1300), *SETTLE),
    ),
)

_STARVE = _make_strict_plans(
    # The audio stops, and its motion is ahead: that is no stall.
    (*play_whole(2000), GiveAudio(1000), motion(75), *WATCH, Wait(400), Wait(300), Wait(300), *SETTLE),
    (
        *(*play_whole(2000), GiveAudio(3000, True), motion(40), *WATCH, Wait(900)),
        *(GiveAudio(2000, True), motion(20), *WATCH, motion(15), *WATCH, motion(15), *WATCH, Wait(900)),
    ),
    (GiveAudio(1039, True), motion(24), Wait(700), Wait(500), Wait(500), motion(1), *SETTLE),
    # Only the rest of the audio, which needs no motion, is left when the end mark comes.
    (*play_whole(2000), GiveAudio(1039), motion(25), *WATCH, *SETTLE, GiveAudio(0, True), *SETTLE, *SETTLE),
    (
        *(*play_whole(2000), GiveAudio(2000, True), motion(20), *WATCH, Wait(11_000)),
        *(motion(30), *WATCH, Wait(900), *SETTLE),
    ),
    (
        *(
            GiveAudio(4000),
            motion(10),
            Wait(700),
            Wait(300),
            motion(30),
            Wait(900),
            Wait(900),
            Wait(300),
        ),
        *(motion(60), Wait(240), Wait(200), Wait(400)),
    ),
    (
        *(
            *play_whole(2000),
            GiveAudio(2000, True),
            motion(20),
            Wait(1000),
            motion(30),
            Wait(700),
            Wait(900),
        ),
        *SETTLE,
    ),
    (*play_some(), PAUSE, Wait(300), RESUME, *WATCH, Wait(1500), Wait(700)),
    (
        *(GiveAudio(1000, True), motion(25, form="last"), *WATCH, Wait(900), *SETTLE),
        *(GiveAudio(2000), motion(10), *WATCH, Wait(300), Wait(400)),
    ),
    (
        *(*play_whole(2000), GiveAudio(0), motion(50), GiveAudio(2000), *WATCH, Wait(900)),
        *(GiveAudio(0, True), *SETTLE, GiveAudio(0), NO_MOTION, GiveAudio(2000, True), *WATCH),
    ),
    (
        *(*play_whole(2000), *_play_stalled(), INTERRUPT, *SETTLE),
        *(GiveAudio(1000), NO_MOTION, *WATCH, Wait(900), GiveAudio(0, True), *SETTLE),
        *(GiveAudio(2000), motion(10), *WATCH, Wait(300), Wait(400)),
    ),
    (
        *play_whole(2000),
        *_play_stalled(),
        INTERRUPT,
        GiveAudio(2000),
        motion(20),
        *WATCH,
        Wait(300),
        Wait(400),
    ),
    (
        *(*play_whole(2000), GiveAudio(3000), motion(20), Wait(700), Wait(500), Wait(400)),
        *(PAUSE, Wait(300), RESUME, *WATCH),
    ),
)

_UNKNOWN = _make_strict_plans(
    (*_play_stalled(), motion(55, form="unknown fields"), *WATCH, Wait(400)),
)

_SYNC = _make_strict_plans(
    (GiveAudio(4000), Wait(1000), motion(25, 75), *WATCH, Wait(900), Wait(900)),
    (*_play_stalled(), motion(55), *WATCH, Wait(900)),
)

STRICT_SYNC_PLANS: dict[str, list[ClientPlan]] = {
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
    "C-ABNORMAL": _ABNORMAL,
    "C-STARVE": _STARVE,
    "C-STATES": _STATES,
    "C-UNKNOWN": _UNKNOWN,
    "C-MATCH": _MATCH,
    "C-SYNC": _SYNC,
}
"""The plans in strictSync that exercise each rule for clients."""
