"""Draws plans in which clients of a relay disturb their turns: they interrupt a turn, begin the next turn too
early, hang up, read slowly, or send malformed input.

Each plan begins with turns that nothing disturbs. If something goes wrong in these, other rules judge that.
Fixed plans of this kind are in fixed_relay_plans.py.
"""

from collections.abc import Sequence

from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import NO_FAULTS, Delay, Fault, Moment, Scenario, When
from spatius_sim.plans.draw_undisturbed_turns import crowds, turn_plans
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, MalformedInput, TurnProgress
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, segment_end

SMALL_CHUNK, USUAL_CHUNK, LARGE_CHUNK = 3200, 6400, 32_000
"""Bytes."""

_CHUNK_BYTES = (SMALL_CHUNK, USUAL_CHUNK, LARGE_CHUNK)
_PAUSES_MS = (0, 50, 300)
SHORT_TURN = TurnPlan(PLAN_SAMPLE_RATE, SMALL_CHUNK)

_FIRST_MOTION_BYTES = segment_end(0) * PLAN_SAMPLE_RATE // KEYFRAMES_PER_SECOND * BYTES_PER_SAMPLE
"""The bytes of audio after which Motion Server sends the first motion."""

_LATE = (Delay(0.25),)
LATE_MOTION = Scenario("late-motion", "", (Fault(When(Moment.RESPONSE, number=2), _LATE),))
"""A scenario whose motion is late from the second response of each turn on."""

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
"""Two scenarios, whose motion is late at the first or at the second response, but in time in the turns before
the first one that is cut off."""

BAD_BEHAVIOURS = (*MalformedInput, Behaviour.VANISH)


def _draw_sample_count() -> st.SearchStrategy[int]:
    """Draw the number of samples of a turn, disturbed or not, in a plan with disturbed turns: 0.5 to 12
    seconds of speech."""
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
    turns = [SHORT_TURN, TurnPlan(draw(_draw_sample_count()), USUAL_CHUNK)]
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


@st.composite
def crowds_with_cut_off_turns(draw: st.DrawFn) -> Plan:
    """Draw a plan for two or three clients of a relay that speak at the same time. Each speaks one to three
    turns. It may interrupt its second turn, speak the third before the second has ended, or hang up in the
    second."""
    behaviours = (Behaviour.GO_ON, Behaviour.INTERRUPT, Behaviour.HANG_UP)
    clients = []
    for _ in range(draw(st.integers(2, 3))):
        turns = [TurnPlan(draw(_draw_sample_count()), USUAL_CHUNK)]
        if draw(st.booleans()):
            turns.append(draw(_draw_turn_with_behaviour(behaviours, _draw_moment())))
        if turns[-1].act is not Behaviour.HANG_UP:
            turns.append(TurnPlan(draw(_draw_sample_count()), USUAL_CHUNK))
        clients.append(tuple(turns))
    return Plan(tuple(clients))


def all_crowds() -> st.SearchStrategy[Plan]:
    """Draw plans in which several clients of a relay speak at the same time; in some plans they also
    interrupt or hang up."""
    return crowds() | crowds_with_cut_off_turns()


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
    leaving = (SHORT_TURN, draw(leaving_turns()))
    staying = ((SHORT_TURN, SHORT_TURN),) if draw(st.booleans()) else ()
    return Plan((leaving, *staying), motion_server=LATE_MOTION)


def unread_turns() -> st.SearchStrategy[TurnPlan]:
    """Draw a turn of which the client reads nothing at first."""
    return st.builds(TurnPlan, _draw_sample_count(), st.sampled_from(_CHUNK_BYTES), reads=st.just(False))


def bad_turns() -> st.SearchStrategy[TurnPlan]:
    """Draw a turn in which a relay's client behaves badly: it sends malformed input, or its connection is
    cut."""
    return _draw_turn_with_behaviour(
        BAD_BEHAVIOURS, st.builds(Cue, st.integers(0, 5), st.just(TurnProgress.NOTHING))
    )


def bad_clients() -> st.SearchStrategy[Plan]:
    """Draw a plan for two clients of a relay. One sends malformed input or loses its connection, while the
    other speaks two turns. Then the other client speaks once more."""
    good_turns = st.builds(TurnPlan, _draw_sample_count(), st.sampled_from(_CHUNK_BYTES))
    return st.builds(
        lambda bad_turn, good_turn: Plan(
            ((SHORT_TURN, bad_turn), (good_turn, good_turn, SHORT_TURN)), step=True
        ),
        bad_turns(),
        good_turns,
    )


def credentials() -> st.SearchStrategy[Plan]:
    """Draw a client without and a client with Spatius credentials."""
    return st.just(Plan(((SHORT_TURN,), (SHORT_TURN,)), bears_credentials=True))
