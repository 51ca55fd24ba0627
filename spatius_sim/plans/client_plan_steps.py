"""The steps of which fixed plans for clients are made: whole and half conversations, and calls between."""

from collections.abc import Iterable

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
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, PCM_SAMPLE_RATES
from spatius_sim.trace.decoder_events import StarvationMode

WATCH = (Wait(240), Wait(280), Wait(320))
SETTLE = (Wait(300), Wait(300))
_BEFORE_END_MS = 200
INTERRUPT, PAUSE, RESUME = Do("interrupt"), Do("pause"), Do("resume")
NO_MOTION, NO_LIST = Move(()), Move(None)
NOBODY = Ref(0, "made up")
BEFORE = Ref(1)


def motion(*keyframes: int, ref: Ref = CURRENT, form: str = "plain") -> Move:
    """Return one call with a payload for each of these numbers of keyframes."""
    return Move(tuple(PlannedPayload(count, form) for count in keyframes), ref)


def all_motion(ms: int) -> Move:
    """Return the motion of `ms` milliseconds, in one payload."""
    return motion(ms * KEYFRAMES_PER_SECOND // 1000)


def play_whole(ms: int) -> tuple[Step, ...]:
    """Return the calls of a conversation of `ms` milliseconds with all its motion, and waits in which it is
    played to its end. In a long conversation, the client is also observed 200 ms before the end: a later loss
    of motion can be blamed on the edge case only if motion was seen at this place here."""
    rest_ms = ms - sum(step.ms for step in WATCH) - _BEFORE_END_MS
    wait_until_end = (Wait(rest_ms),) if rest_ms > _BEFORE_END_MS else ()
    return GiveAudio(ms, end=True), all_motion(ms), *WATCH, *wait_until_end, Wait(ms), *SETTLE


def play_some(ms: int = 3000) -> tuple[Step, ...]:
    """Return a conversation with all its motion, of which half a second is played."""
    return GiveAudio(ms), all_motion(ms), Wait(240), Wait(280)


def play_interrupted() -> tuple[Step, ...]:
    """Return the steps of an interrupted conversation and of a whole conversation after it, which shows that
    the interrupt did no harm."""
    return *play_some(), INTERRUPT, *play_whole(3000)


def make_plans(
    *step_sequences: Iterable[Step], mode: StarvationMode = StarvationMode.AUDIO_INDEPENDENT
) -> list[ClientPlan]:
    """Return one client plan for each of these sequences of steps. The plans use the sample rates in turn,
    and all use this starvation mode."""
    rates = PCM_SAMPLE_RATES[1:] + PCM_SAMPLE_RATES[:1]
    return [
        ClientPlan(tuple(steps), rates[index % len(rates)], mode)
        for index, steps in enumerate(step_sequences)
    ]


def make_strict_plans(*sequences: Iterable[Step]) -> list[ClientPlan]:
    """Return client plans for edge cases in the mode strictSync, one for each of these sequences of steps."""
    return make_plans(*sequences, mode=StarvationMode.STRICT_SYNC)


def play_stalled() -> tuple[Step, ...]:
    """Return the steps of a conversation in strictSync whose audio stalls, goes on, and stalls once more at
    the end of these steps."""
    stall = (*WATCH, Wait(300))
    return GiveAudio(3000), motion(10), *stall, motion(20), *stall


JUNK, CUT = motion(10, form="junk"), motion(10, form="cut")
CHUNK = GiveAudio(400)
AFTER_INTERRUPT = (GiveAudio(400, True), all_motion(400), *SETTLE, Wait(1500), Wait(3000))
IN_STALL = (GiveAudio(2000, True), motion(14), *WATCH, Wait(300))
CALLS_WHILE_IDLE = (PAUSE, Wait(300), RESUME, Wait(300), INTERRUPT, Wait(300))
