"""Draws plans in which clients interrupt their turns, begin the next turn too early, hang up, read slowly, or
send malformed input.

Each plan begins with turns that nothing disturbs. If something goes wrong in these, other rules judge that.
"""

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import NO_FAULTS, Delay, Fault, Moment, Scenario, SendError, When
from spatius_sim.plans.draw_undisturbed_turns import FOUR_RESPONSES, crowds, turn_plans
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, MalformedInput, TurnProgress
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, segment_end

_SMALL_CHUNK, _USUAL_CHUNK, _LARGE_CHUNK = 3200, 6400, 32_000
"""Bytes."""

_CHUNK_BYTES = (_SMALL_CHUNK, _USUAL_CHUNK, _LARGE_CHUNK)
_PAUSES_MS = (0, 50, 300)
_LISTENS_ON_MS = 2400
"""Longer than a relay may go on after an interrupt, and until after the last of _SLOW_MOTION."""
_SPOKEN_SLOWLY_MS = 600
_SHORT_TURN = TurnPlan(PLAN_SAMPLE_RATE, _SMALL_CHUNK)
_LONG_TURN = TurnPlan(50 * PLAN_SAMPLE_RATE, _LARGE_CHUNK)
"""A turn with more audio than the kernel holds for a client that does not read."""

_FIRST_MOTION_BYTES = segment_end(0) * PLAN_SAMPLE_RATE // KEYFRAMES_PER_SECOND * BYTES_PER_SAMPLE
"""The bytes of audio after which Motion Server sends the first motion."""

_AT_ONCE = Cue(None, TurnProgress.NOTHING)
_LATE = (Delay(0.25),)
_LATE_MOTION = Scenario("late-motion", "", (Fault(When(Moment.RESPONSE, number=2), _LATE),))
"""A scenario whose motion is late from the second response of each turn on."""
_SLOW_MOTION = Scenario(
    "slow-motion",
    "from the second response of a turn on, a response comes each second",
    tuple(
        Fault(When(Moment.RESPONSE, number=number), (Delay(seconds),))
        for number, seconds in ((2, 0.25), (3, 1.25), (4, 2.25))
    ),
)

_TURNS_BEFORE_A_CUT, _MOST_TURNS = 2, 6
_MOTION_LATE_AROUND_CUTS = tuple(
    Scenario(
        "late-motion",
        f"from request {_TURNS_BEFORE_A_CUT + 1} on, response {number} comes {_LATE[0].seconds} s late",
        tuple(
            Fault(When(Moment.RESPONSE, number=number, request=request), _LATE)
            for request in range(_TURNS_BEFORE_A_CUT + 1, _MOST_TURNS + 1)
        ),
    )
    for number in (1, 2)
)
"""The same from the first response on, or from the second, but in time in the turns before the first cut."""

_BAD_BEHAVIOURS = (*MalformedInput, Behaviour.VANISH)


def _draw_sample_count() -> st.SearchStrategy[int]:
    """Draw a number of samples for a turn of 0.5 to 12 seconds."""
    return st.integers(PLAN_SAMPLE_RATE // 2, 12 * PLAN_SAMPLE_RATE)


@st.composite
def _draw_turn_with_behaviour(
    draw: st.DrawFn, behaviours: Sequence[Behaviour | MalformedInput], moments: st.SearchStrategy[Cue]
) -> TurnPlan:
    """Draw a turn in which a relay's client behaves in one of these ways, such as an interrupt, at one of
    these moments of the turn. It sends all its audio first if it goes on to the next turn, or if the moment
    is the end of the answer. If the moment is the first motion, it sends the audio that Motion Server needs
    for this motion."""
    sample_count, chunk_bytes = draw(_draw_sample_count()), draw(st.sampled_from(_CHUNK_BYTES))
    behaviour, moment = draw(st.sampled_from(behaviours)), draw(moments)
    if behaviour is Behaviour.GO_ON or moment.heard in (TurnProgress.LAST_AUDIO, TurnProgress.ALL):
        # If nobody interrupts, only the end mark tells where a turn's audio ends.
        moment = Cue(None, moment.heard)
    elif moment.heard is TurnProgress.MOTION:
        chunks_before_motion = _FIRST_MOTION_BYTES // chunk_bytes + 1
        is_long_enough = chunks_before_motion * chunk_bytes < sample_count * BYTES_PER_SAMPLE
        moment = Cue(chunks_before_motion if is_long_enough else None, moment.heard)
    return TurnPlan(sample_count, chunk_bytes, moment, behaviour, draw(st.sampled_from(_PAUSES_MS)))


def _draw_moment() -> st.SearchStrategy[Cue]:
    """Draw the moment of a turn at which a relay's client interrupts or hangs up: how many chunks it has sent
    by then (None: all), and what it has received. The moment of the first motion is drawn most often."""
    return st.builds(
        Cue, st.integers(0, 20) | st.none(), st.sampled_from([*TurnProgress, *[TurnProgress.MOTION] * 3])
    )


def cut_off_turn() -> st.SearchStrategy[TurnPlan]:
    """Draw a turn that a relay's client cuts off at any moment: it interrupts the turn, perhaps twice, or
    begins the next turn."""
    return _draw_turn_with_behaviour(
        (Behaviour.GO_ON, Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE), _draw_moment()
    )


@st.composite
def cut_off_turns(draw: st.DrawFn) -> Plan:
    """Draw a plan for one client of a relay: two whole turns, then one or two turns that the client cuts off
    by an interrupt or by its next turn, each followed by a whole turn. In some plans Motion Server sends
    motion late."""
    # These are as many as _TURNS_BEFORE_A_CUT.
    turns = [_SHORT_TURN, TurnPlan(draw(_draw_sample_count()), _USUAL_CHUNK)]
    for _ in range(draw(st.integers(1, 2))):
        turns += [
            draw(cut_off_turn()),
            TurnPlan(draw(_draw_sample_count()), draw(st.sampled_from(_CHUNK_BYTES))),
        ]
    return Plan((tuple(turns),), motion_server=draw(st.sampled_from([NO_FAULTS, *_MOTION_LATE_AROUND_CUTS])))


@st.composite
def interrupted_turns(draw: st.DrawFn) -> Plan:
    """Draw a plan for one client of a relay, which interrupts its second turn. The first and the third turn
    are whole, and the third is long enough for several motion payloads."""
    interrupted = draw(
        _draw_turn_with_behaviour((Behaviour.INTERRUPT, Behaviour.INTERRUPT_TWICE), _draw_moment())
    )
    sample_count = draw(st.integers(_FIRST_MOTION_BYTES // BYTES_PER_SAMPLE + 1, 12 * PLAN_SAMPLE_RATE))
    return Plan(
        ((draw(turn_plans()), interrupted, TurnPlan(sample_count, draw(st.sampled_from(_CHUNK_BYTES)))),)
    )


def plans_of_cut_off_late_motion() -> tuple[Plan, ...]:
    """Return plans in which the only client of a relay speaks a long turn, and interrupts it or begins the
    next turn while most of its motion is still to come. In the first plan the client speaks two more turns
    at once, so that one may have to wait. In the last plan it listens for some seconds after the interrupt:
    motion that Motion Server still sends must not come, nor motion that was held back."""
    sample_count, next_turn = 8 * PLAN_SAMPLE_RATE, TurnPlan(4 * PLAN_SAMPLE_RATE, _USUAL_CHUNK)
    turn_with_listening_pause = TurnPlan(
        FOUR_RESPONSES,
        _USUAL_CHUNK,
        Cue(None, TurnProgress.MOTION),
        Behaviour.INTERRUPT,
        pause_ms=_LISTENS_ON_MS,
    )
    long_turns = (
        TurnPlan(sample_count, _USUAL_CHUNK, _AT_ONCE),
        TurnPlan(sample_count, _USUAL_CHUNK, _AT_ONCE, Behaviour.INTERRUPT),
        TurnPlan(sample_count, _USUAL_CHUNK, Cue(None, TurnProgress.MOTION)),
        TurnPlan(sample_count, _USUAL_CHUNK, Cue(None, TurnProgress.MOTION), Behaviour.INTERRUPT_TWICE),
    )
    return (
        Plan(((_SHORT_TURN, long_turns[0], long_turns[0], next_turn),), motion_server=_LATE_MOTION),
        *(
            Plan(((_SHORT_TURN, _SHORT_TURN, turn, next_turn),), motion_server=_LATE_MOTION)
            for turn in long_turns[1:]
        ),
        Plan(
            ((_SHORT_TURN, _SHORT_TURN, turn_with_listening_pause, _SHORT_TURN),), motion_server=_SLOW_MOTION
        ),
    )


@st.composite
def crowds_with_cut_off_turns(draw: st.DrawFn) -> Plan:
    """Draw a plan for two or three clients of a relay that speak at the same time. Each speaks one to three
    turns. It may interrupt its second turn, speak the third before the second has ended, or hang up in the
    second."""
    behaviours = (Behaviour.GO_ON, Behaviour.INTERRUPT, Behaviour.HANG_UP)
    clients = []
    for _ in range(draw(st.integers(2, 3))):
        turns = [TurnPlan(draw(_draw_sample_count()), _USUAL_CHUNK)]
        if draw(st.booleans()):
            turns.append(draw(_draw_turn_with_behaviour(behaviours, _draw_moment())))
        if turns[-1].act is not Behaviour.HANG_UP:
            turns.append(TurnPlan(draw(_draw_sample_count()), _USUAL_CHUNK))
        clients.append(tuple(turns))
    return Plan(tuple(clients))


def all_crowds() -> st.SearchStrategy[Plan]:
    """Draw plans in which several clients of a relay speak at the same time; in some plans they also
    interrupt or hang up."""
    return crowds() | crowds_with_cut_off_turns()


def plan_of_next_client_after_hang_up() -> Plan:
    """Return a plan for three clients of a relay. The first hangs up while most of its motion is still to
    come. Only then does the last client connect (`last_comes_later`) and speak two turns. The second client
    is there all the time, and speaks its last turn at the same time as the last client."""
    leaving_turn = TurnPlan(
        8 * PLAN_SAMPLE_RATE, _USUAL_CHUNK, Cue(None, TurnProgress.MOTION), Behaviour.HANG_UP
    )
    staying_turn = TurnPlan(8 * PLAN_SAMPLE_RATE, _USUAL_CHUNK)
    return Plan(
        ((_SHORT_TURN, leaving_turn), (_SHORT_TURN, staying_turn), (_SHORT_TURN, _SHORT_TURN)),
        motion_server=_LATE_MOTION,
        last_comes_later=True,
    )


def plans_where_one_of_three_clients_is_cut_off() -> tuple[Plan, ...]:
    """Return two plans for three clients of a relay that speak at the same time. The second client interrupts
    its turn, or hangs up, while most of the motion of all three is still to come. The turns of the others go
    on."""
    whole_turn = TurnPlan(8 * PLAN_SAMPLE_RATE, _USUAL_CHUNK)
    other_client = (_SHORT_TURN, whole_turn)
    turns_cut_off = (
        replace(whole_turn, cue=Cue(None, TurnProgress.MOTION), act=behaviour)
        for behaviour in (Behaviour.INTERRUPT, Behaviour.HANG_UP)
    )
    return tuple(
        Plan((other_client, (_SHORT_TURN, turn), other_client), step=True, motion_server=_LATE_MOTION)
        for turn in turns_cut_off
    )


@st.composite
def leaving_turns(draw: st.DrawFn) -> TurnPlan:
    """Draw a turn of 5 to 12 s in which a relay's client hangs up as soon as it has received the first audio
    or motion. By then it has sent all its audio, or only as much as Motion Server needs for the first
    motion."""
    sample_count = draw(st.integers(5, 12)) * PLAN_SAMPLE_RATE
    chunk_bytes = draw(st.sampled_from(_CHUNK_BYTES))
    chunk_count = draw(st.none() | st.just(_FIRST_MOTION_BYTES // chunk_bytes + 1))
    heard = draw(st.sampled_from([TurnProgress.AUDIO, TurnProgress.MOTION, TurnProgress.MOTION]))
    return TurnPlan(sample_count, chunk_bytes, Cue(chunk_count, heard), Behaviour.HANG_UP)


@st.composite
def hang_ups(draw: st.DrawFn) -> Plan:
    """Draw a plan in which a client of a relay hangs up in the middle of its second turn. In some plans
    another client speaks at the same time, and stays until its last turn has ended."""
    leaving = (_SHORT_TURN, draw(leaving_turns()))
    staying = ((_SHORT_TURN, _SHORT_TURN),) if draw(st.booleans()) else ()
    return Plan((leaving, *staying), motion_server=_LATE_MOTION)


def plans_of_hang_ups() -> tuple[Plan, ...]:
    """Return plans in which the only client of a relay hangs up at different moments:
    - in its second turn, while it gets motion;
    - in the third turn, after Motion Server has reported an error in the second;
    - in the second turn, while the relay asks for a token or opens its second session with Motion Server;
    - in the first turn, while the first session is opened: some relays use one session for all turns."""
    turn_left_in_motion = TurnPlan(
        8 * PLAN_SAMPLE_RATE, _USUAL_CHUNK, Cue(12, TurnProgress.MOTION), Behaviour.HANG_UP
    )
    turn_left_at_once = TurnPlan(
        PLAN_SAMPLE_RATE, _SMALL_CHUNK, Cue(1, TurnProgress.NOTHING), Behaviour.HANG_UP, chunk_pause_ms=150
    )
    slow_openings = [
        Scenario("slow-to-connect", "", (Fault(When(moment, connection=2), (Delay(0.4),)),))
        for moment in (Moment.CONFIGURE, Moment.TOKEN)
    ]
    slow_first_opening = Scenario(
        "slow-to-connect", "", (Fault(When(Moment.CONFIGURE, connection=1), (Delay(0.4),)),)
    )
    error_in_second_turn = Fault(When(Moment.RESPONSE, number=2, request=2), (SendError(13, "failed"),))
    longer_turn = TurnPlan(5 * PLAN_SAMPLE_RATE, _USUAL_CHUNK)
    return (
        Plan(((_SHORT_TURN, turn_left_in_motion),)),
        Plan(
            ((_SHORT_TURN, longer_turn, turn_left_in_motion),),
            motion_server=Scenario("error-before-the-hang-up", "", (error_in_second_turn,)),
        ),
        *(Plan(((_SHORT_TURN, turn_left_at_once),), motion_server=scenario) for scenario in slow_openings),
        Plan(((turn_left_at_once,),), motion_server=slow_first_opening),
    )


def unread_turns() -> st.SearchStrategy[TurnPlan]:
    """Draw a turn of which the client reads nothing at first."""
    return st.builds(TurnPlan, _draw_sample_count(), st.sampled_from(_CHUNK_BYTES), reads=st.just(False))


def _speak_slowly(turn: TurnPlan) -> TurnPlan:
    """Return a copy of this turn with pauses after its chunks, which last about 0.6 s in all. In this time
    the buffers of a client that reads nothing become full."""
    chunk_count = turn.samples * BYTES_PER_SAMPLE // turn.chunk_bytes
    return replace(turn, chunk_pause_ms=_SPOKEN_SLOWLY_MS // chunk_count)


def plan_of_slow_client() -> Plan:
    """Return a plan for three clients of a relay. One reads nothing in its last turn; the two others continue
    to speak, one in short turns and one in longer turns. Their last turns go on after the buffers of the slow
    client are full."""
    reads_nothing = TurnPlan(_LONG_TURN.samples, _LONG_TURN.chunk_bytes, reads=False)
    longer_turn = TurnPlan(6 * PLAN_SAMPLE_RATE, _USUAL_CHUNK)
    other_clients = ((turn, turn, _speak_slowly(turn)) for turn in (_SHORT_TURN, longer_turn))
    return Plan(((_SHORT_TURN, _LONG_TURN, reads_nothing), *other_clients), step=True)


def bad_turns() -> st.SearchStrategy[TurnPlan]:
    """Draw a turn in which a relay's client behaves badly: it sends malformed input, or its connection is
    cut."""
    return _draw_turn_with_behaviour(
        _BAD_BEHAVIOURS, st.builds(Cue, st.integers(0, 5), st.just(TurnProgress.NOTHING))
    )


def bad_clients() -> st.SearchStrategy[Plan]:
    """Draw a plan for two clients of a relay. One sends malformed input or loses its connection, while the
    other speaks two turns. Then the other client speaks once more."""
    good_turns = st.builds(TurnPlan, _draw_sample_count(), st.sampled_from(_CHUNK_BYTES))
    return st.builds(
        lambda bad_turn, good_turn: Plan(
            ((_SHORT_TURN, bad_turn), (good_turn, good_turn, _SHORT_TURN)), step=True
        ),
        bad_turns(),
        good_turns,
    )


def plans_of_misbehaviour() -> tuple[Plan, ...]:
    """Return three plans, in which clients of a relay behave badly in every way that the kit knows. In each
    plan at most four bad clients speak beside a good client, which continues to speak."""
    good_turn = TurnPlan(4 * PLAN_SAMPLE_RATE, _USUAL_CHUNK)
    after_two_chunks = Cue(2, TurnProgress.NOTHING)

    def make_plan(bad_behaviours: Sequence[Behaviour | MalformedInput]) -> Plan:
        """Return a plan for a good client of a relay and bad clients, each of which behaves in one of these
        ways. All clients begin each turn at the same time (`step`)."""
        bad_clients = tuple(
            (_SHORT_TURN, TurnPlan(PLAN_SAMPLE_RATE, _SMALL_CHUNK, after_two_chunks, behaviour))
            for behaviour in bad_behaviours
        )
        return Plan(((good_turn, good_turn, _SHORT_TURN), *bad_clients), step=True)

    return make_plan(_BAD_BEHAVIOURS[:4]), make_plan(_BAD_BEHAVIOURS[4:8]), make_plan(_BAD_BEHAVIOURS[8:])


def credentials() -> st.SearchStrategy[Plan]:
    """Draw a client without and a client with Spatius credentials."""
    return st.just(Plan(((_SHORT_TURN,), (_SHORT_TURN,)), bears_credentials=True))
