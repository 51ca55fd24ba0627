"""Makes fixed client plans, which are not drawn, of the steps that many of them have in common."""

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
"""Waits after which even a slow client must have rendered a due keyframe."""
SETTLE = (Wait(300), Wait(300))
"""Waits in which a client becomes idle after its audio."""
_BEFORE_END_MS = 200
INTERRUPT, PAUSE, RESUME = Do("interrupt"), Do("pause"), Do("resume")
NO_MOTION, NO_LIST = Move(()), Move(None)
NOBODY = Ref(0, "made up")
BEFORE = Ref(1)


def motion(*keyframes: int, ref: Ref = CURRENT, form: str = "plain") -> Move:
    """Return one step that gives the client motion: a payload for each of these numbers of keyframes."""
    return Move(tuple(PlannedPayload(count, form) for count in keyframes), ref)


def all_motion(ms: int) -> Move:
    """Return the step that gives the client the motion of `ms` milliseconds, in one payload."""
    return motion(ms * KEYFRAMES_PER_SECOND // 1000)


def play_whole(ms: int) -> tuple[Step, ...]:
    """Return the steps of a conversation of `ms` milliseconds with all its motion, for a fixed client plan.
    The client is observed after each of the waits: three times at the beginning (WATCH), in a long
    conversation also 200 ms before the end, then after the end, and twice when it should be idle (SETTLE). A
    plan that has such a conversation before and after an edge case shows whether the edge case did harm. If
    it did, the client shows motion 200 ms before the end of the first conversation, but not of the second."""
    rest_ms = ms - sum(step.ms for step in WATCH) - _BEFORE_END_MS
    wait_until_end = (Wait(rest_ms),) if rest_ms > _BEFORE_END_MS else ()
    return GiveAudio(ms, end=True), all_motion(ms), *WATCH, *wait_until_end, Wait(ms), *SETTLE


def play_some(ms: int = 3000) -> tuple[Step, ...]:
    """Return the steps of a conversation with all its motion, of which half a second is played, for a fixed
    client plan."""
    return GiveAudio(ms), all_motion(ms), Wait(240), Wait(280)


def play_interrupted() -> tuple[Step, ...]:
    """Return, for a fixed client plan, the steps of an interrupted conversation and of a whole conversation
    after it, which shows whether the interrupt did harm."""
    return *play_some(), INTERRUPT, *play_whole(3000)


def make_plans(
    *step_sequences: Iterable[Step], mode: StarvationMode = StarvationMode.AUDIO_INDEPENDENT
) -> list[ClientPlan]:
    """Make fixed client plans, one of each of these sequences of steps, in this starvation mode. The first
    plan has the usual sample rate (16 kHz), each further plan the next one of the rates that a client may
    get: so the plans together show whether a client errs only at some rates."""
    rates = PCM_SAMPLE_RATES[1:] + PCM_SAMPLE_RATES[:1]
    return [
        ClientPlan(tuple(steps), rates[index % len(rates)], mode)
        for index, steps in enumerate(step_sequences)
    ]


JUNK, CUT = motion(10, form="junk"), motion(10, form="cut")
CHUNK = GiveAudio(400)
AFTER_INTERRUPT = (GiveAudio(400, True), all_motion(400), *SETTLE, Wait(1500), Wait(3000))

CALLS_WHILE_IDLE = (PAUSE, Wait(300), RESUME, Wait(300), INTERRUPT, Wait(300))
