"""Fixed plans for relays, which are not drawn but always run. Their clients speak in unusual chunks, speak
early, late or for long, interrupt their turns, hang up, read slowly, or send malformed input.

Fixed plans in which Motion Server fails are in draw_server_faults.py."""

from collections.abc import Sequence
from dataclasses import replace

from spatius_sim.model.scenario.scenario import Delay, Fault, Moment, Scenario, SendError, When
from spatius_sim.plans.draw_disturbed_turns import (
    BAD_BEHAVIOURS,
    LARGE_CHUNK,
    LATE_MOTION,
    SHORT_TURN,
    SMALL_CHUNK,
    USUAL_CHUNK,
)
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, SAMPLES_PER_KEYFRAME, Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, MalformedInput, TurnProgress
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, segment_end

_TWELVE_SECONDS = 12 * PLAN_SAMPLE_RATE
"""Samples."""

_STOPPED_WITHIN_A_SAMPLE = TurnPlan(
    PLAN_SAMPLE_RATE, 3201, Cue(3, TurnProgress.NOTHING), Behaviour.INTERRUPT, pause_ms=300
)

_SIZES_AT_BORDERS = (126, 128, 16_384, 65_536)
"""Bytes. From these sizes on, a length takes more bytes in a WebSocket frame, or in Protocol Buffers. Many
clients have buffers of such sizes."""

ODD_CHUNKS = tuple(
    Plan(((SHORT_TURN, *turns, SHORT_TURN),))
    for turns in (
        (TurnPlan(3 * PLAN_SAMPLE_RATE, 6401), TurnPlan(_TWELVE_SECONDS, 2 * _TWELVE_SECONDS)),
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
                SHORT_TURN,
                TurnPlan(0, 3200, Cue(0, TurnProgress.NOTHING), Behaviour.INTERRUPT),
                SHORT_TURN,
                _STOPPED_IN_MID_SPEECH,
                TurnPlan(0, 3200),
                SHORT_TURN,
            ),
        )
    ),
    Plan(
        ((_STOPPED_AT_ONCE, SHORT_TURN, SHORT_TURN), (SHORT_TURN, SHORT_TURN)),
        motion_server=Scenario("slow-to-connect", "", (Fault(When(Moment.CONFIGURE), (Delay(0.1),)),)),
    ),
)
"""Between ordinary turns an interrupt when nothing is spoken, and an end of speech that comes only after the
interrupt of its turn, as from a microphone that is switched off late. And an interrupt while the client's
first session is opened, before its other turns; another client is served meanwhile."""

TURNS_IN_A_ROW = (Plan(((TurnPlan(PLAN_SAMPLE_RATE // 4, 3200),) * 10,)),)
"""More turns on one connection than a relay remembers that keeps the last few."""

_ODD_PIECES = TurnPlan(3 * PLAN_SAMPLE_RATE, 32_000, first_chunks=(1, 3, 32_000, 0), chunk_pause_ms=200)
_FOUR_RESPONSES = (segment_end(2) + 1) * SAMPLES_PER_KEYFRAME
"""The fewest samples that Motion Server answers in four responses: some ten seconds of speech."""

PAUSES_BETWEEN_CHUNKS = (
    Plan(
        (
            (SHORT_TURN, TurnPlan(3 * PLAN_SAMPLE_RATE, 72_000, chunk_pause_ms=1400), SHORT_TURN),
            (SHORT_TURN, TurnPlan(2 * PLAN_SAMPLE_RATE, 3200, chunk_pause_ms=100)),
            (SHORT_TURN, _ODD_PIECES, SHORT_TURN),
            (SHORT_TURN, TurnPlan(_FOUR_RESPONSES, 6400)),
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

PINGS_IN_MID_TURN = (Plan(((SHORT_TURN, TurnPlan(3 * PLAN_SAMPLE_RATE, 32_000, pings=True), SHORT_TURN),)),)
"""Clients of json-envelope ping whenever they like."""

_LONG_MS = 65_000

LONG_CONNECTIONS = (
    Plan(((TurnPlan(PLAN_SAMPLE_RATE, 3200, pause_ms=_LONG_MS), SHORT_TURN, SHORT_TURN),)),
    Plan(
        ((SHORT_TURN, TurnPlan(_LONG_MS * PLAN_SAMPLE_RATE // 1000, 16_000, chunk_pause_ms=500), SHORT_TURN),)
    ),
)
"""A client that says nothing for more than a minute, and one that speaks for as long at the pace of a
microphone: time-outs of a minute are the most usual."""

_LISTENS_ON_MS = 2400
"""Longer than a relay may go on after an interrupt, and until after the last of _SLOW_MOTION."""
_SPOKEN_SLOWLY_MS = 600
_LONG_TURN = TurnPlan(50 * PLAN_SAMPLE_RATE, LARGE_CHUNK)
"""A turn with more audio than the kernel holds for a client that does not read."""

_AT_ONCE = Cue(None, TurnProgress.NOTHING)
_SLOW_MOTION = Scenario(
    "slow-motion",
    "from the second response of a turn on, a response comes each second",
    tuple(
        Fault(When(Moment.RESPONSE, number=number), (Delay(seconds),))
        for number, seconds in ((2, 0.25), (3, 1.25), (4, 2.25))
    ),
)


def plans_of_turns_cut_off_before_motion() -> tuple[Plan, ...]:
    """Return fixed plans in which the only client of a relay speaks a long turn, and cuts it off while most
    of its motion is still to come: it interrupts the turn or begins the next one. In the first plan the
    client speaks two more turns at once, so that the relay may have to keep one of them back. In the last
    plan the client listens for some seconds after the interrupt: motion of the interrupted turn must no
    longer reach it, even if Motion Server still sends some, or the relay has kept some back."""
    sample_count, next_turn = 8 * PLAN_SAMPLE_RATE, TurnPlan(4 * PLAN_SAMPLE_RATE, USUAL_CHUNK)
    turn_with_listening_pause = TurnPlan(
        _FOUR_RESPONSES,
        USUAL_CHUNK,
        Cue(None, TurnProgress.MOTION),
        Behaviour.INTERRUPT,
        pause_ms=_LISTENS_ON_MS,
    )
    long_turns = (
        TurnPlan(sample_count, USUAL_CHUNK, _AT_ONCE),
        TurnPlan(sample_count, USUAL_CHUNK, _AT_ONCE, Behaviour.INTERRUPT),
        TurnPlan(sample_count, USUAL_CHUNK, Cue(None, TurnProgress.MOTION)),
        TurnPlan(sample_count, USUAL_CHUNK, Cue(None, TurnProgress.MOTION), Behaviour.INTERRUPT_TWICE),
    )
    return (
        Plan(((SHORT_TURN, long_turns[0], long_turns[0], next_turn),), motion_server=LATE_MOTION),
        *(
            Plan(((SHORT_TURN, SHORT_TURN, turn, next_turn),), motion_server=LATE_MOTION)
            for turn in long_turns[1:]
        ),
        Plan(((SHORT_TURN, SHORT_TURN, turn_with_listening_pause, SHORT_TURN),), motion_server=_SLOW_MOTION),
    )


def plan_of_next_client_after_hang_up() -> Plan:
    """Return a fixed plan for three clients of a relay. The first hangs up while most of its motion is still
    to come. Only then does the last client connect (`last_comes_later`) and speak two turns. The second
    client is there all the time, and speaks its last turn at the same time as the last client."""
    leaving_turn = TurnPlan(
        8 * PLAN_SAMPLE_RATE, USUAL_CHUNK, Cue(None, TurnProgress.MOTION), Behaviour.HANG_UP
    )
    staying_turn = TurnPlan(8 * PLAN_SAMPLE_RATE, USUAL_CHUNK)
    return Plan(
        ((SHORT_TURN, leaving_turn), (SHORT_TURN, staying_turn), (SHORT_TURN, SHORT_TURN)),
        motion_server=LATE_MOTION,
        last_comes_later=True,
    )


def plans_where_one_of_three_clients_is_cut_off() -> tuple[Plan, ...]:
    """Return two fixed plans for three clients of a relay that speak at the same time. The second client
    interrupts its turn, or hangs up, while most of the motion of all three is still to come. The turns of the
    others go on."""
    whole_turn = TurnPlan(8 * PLAN_SAMPLE_RATE, USUAL_CHUNK)
    other_client = (SHORT_TURN, whole_turn)
    turns_cut_off = (
        replace(whole_turn, cue=Cue(None, TurnProgress.MOTION), act=behaviour)
        for behaviour in (Behaviour.INTERRUPT, Behaviour.HANG_UP)
    )
    return tuple(
        Plan((other_client, (SHORT_TURN, turn), other_client), step=True, motion_server=LATE_MOTION)
        for turn in turns_cut_off
    )


def plans_of_hang_ups() -> tuple[Plan, ...]:
    """Return fixed plans in which the only client of a relay hangs up at different moments:
    - in its second turn, while it gets motion. A relay that opens a session for each sentence still waits for
      motion then, because the motion of its later sessions is late;
    - in the third turn, after Motion Server has reported an error in the second;
    - in the second turn, while the relay asks for a token or opens its second session with Motion Server;
    - in the first turn, while the first session is opened: some relays use one session for all turns."""
    turn_left_in_motion = TurnPlan(
        8 * PLAN_SAMPLE_RATE, USUAL_CHUNK, Cue(12, TurnProgress.MOTION), Behaviour.HANG_UP
    )
    turn_left_at_once = TurnPlan(
        PLAN_SAMPLE_RATE, SMALL_CHUNK, Cue(1, TurnProgress.NOTHING), Behaviour.HANG_UP, chunk_pause_ms=150
    )
    slow_openings = [
        Scenario("slow-to-connect", "", (Fault(When(moment, connection=2), (Delay(0.4),)),))
        for moment in (Moment.CONFIGURE, Moment.TOKEN)
    ]
    slow_first_opening = Scenario(
        "slow-to-connect", "", (Fault(When(Moment.CONFIGURE, connection=1), (Delay(0.4),)),)
    )
    late_in_later_sessions = Scenario(
        "late-in-later-sessions",
        "the third session gets its first motion at once, and each later one half a second later",
        tuple(
            Fault(When(Moment.RESPONSE, number=1, connection=number), (Delay(seconds),))
            for number, seconds in ((4, 0.5), (5, 1.0), (6, 1.5))
        ),
    )
    error_in_second_turn = Fault(When(Moment.RESPONSE, number=2, request=2), (SendError(13, "failed"),))
    longer_turn = TurnPlan(5 * PLAN_SAMPLE_RATE, USUAL_CHUNK)
    return (
        Plan(((SHORT_TURN, turn_left_in_motion),), motion_server=late_in_later_sessions),
        Plan(
            ((SHORT_TURN, longer_turn, turn_left_in_motion),),
            motion_server=Scenario("error-before-the-hang-up", "", (error_in_second_turn,)),
        ),
        *(Plan(((SHORT_TURN, turn_left_at_once),), motion_server=scenario) for scenario in slow_openings),
        Plan(((turn_left_at_once,),), motion_server=slow_first_opening),
    )


def _speak_slowly(turn: TurnPlan) -> TurnPlan:
    """Return a copy of this turn of a fixed plan for a relay, with pauses after its chunks, which last about
    0.6 s in all. In this time the buffers of another client, which reads nothing, become full."""
    chunk_count = turn.samples * BYTES_PER_SAMPLE // turn.chunk_bytes
    return replace(turn, chunk_pause_ms=_SPOKEN_SLOWLY_MS // chunk_count)


def plan_of_slow_client() -> Plan:
    """Return a fixed plan for three clients of a relay. One reads nothing in its last turn; the two others
    continue to speak, one in short turns and one in longer turns. Their last turns go on after the buffers of
    the slow client are full."""
    reads_nothing = TurnPlan(_LONG_TURN.samples, _LONG_TURN.chunk_bytes, reads=False)
    longer_turn = TurnPlan(6 * PLAN_SAMPLE_RATE, USUAL_CHUNK)
    other_clients = ((turn, turn, _speak_slowly(turn)) for turn in (SHORT_TURN, longer_turn))
    return Plan(((SHORT_TURN, _LONG_TURN, reads_nothing), *other_clients), step=True)


def plans_of_misbehaviour() -> tuple[Plan, ...]:
    """Return three fixed plans, in which clients of a relay behave badly in every way that the kit knows. In
    each plan at most four bad clients speak beside a good client, which continues to speak."""
    good_turn = TurnPlan(4 * PLAN_SAMPLE_RATE, USUAL_CHUNK)
    after_two_chunks = Cue(2, TurnProgress.NOTHING)

    def make_plan(bad_behaviours: Sequence[Behaviour | MalformedInput]) -> Plan:
        """Return a fixed plan for a good client of a relay and bad clients, each of which behaves in one of
        these ways. All clients begin each turn at the same time (`step`)."""
        bad_clients = tuple(
            (SHORT_TURN, TurnPlan(PLAN_SAMPLE_RATE, SMALL_CHUNK, after_two_chunks, behaviour))
            for behaviour in bad_behaviours
        )
        return Plan(((good_turn, good_turn, SHORT_TURN), *bad_clients), step=True)

    return make_plan(BAD_BEHAVIOURS[:4]), make_plan(BAD_BEHAVIOURS[4:8]), make_plan(BAD_BEHAVIOURS[8:])
