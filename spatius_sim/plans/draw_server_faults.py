"""Draws plans with faults of Motion Server: it is slow, refuses, dies or goes silent. Also holds the fixed
plans of this kind, which always run."""

from dataclasses import replace

from hypothesis import strategies as st

from spatius_sim.model.scenario.scenario import (
    CloseWith,
    Delay,
    Drop,
    EmptyMotion,
    Fault,
    FaultAction,
    GrowTo,
    Moment,
    Refuse,
    Reset,
    Scenario,
    SendError,
    SendGarbage,
    Stall,
    Text,
    TruncatedFrame,
    UnknownFields,
    When,
)
from spatius_sim.plans.draw_undisturbed_turns import turn_plans
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.turn_behaviour import Behaviour, Cue, TurnProgress
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, segment_end

_ORDINARY_TURN = TurnPlan(8_000, 3_200)
_LONG_TURN = TurnPlan(80_000, 6_400)
"""Five seconds of speech: Motion Server answers in two payloads, the first before all was said."""

_FAILING_TURN = 2
"""The turn in which Motion Server fails: a turn before must have worked."""

_LAST_RESPONSE, _LAST_MESSAGE = 6, 20
"""The latest response and the latest message of audio at which Motion Server fails in a drawn turn."""

_AT_FIRST_RESPONSE = When(Moment.RESPONSE, number=1, request=_FAILING_TURN)
_AT_SECOND_RESPONSE = When(Moment.RESPONSE, number=2, request=_FAILING_TURN)
_AT_FIRST_AUDIO = When(Moment.AUDIO, messages=1, request=_FAILING_TURN)
_AT_SECOND_AUDIO = When(Moment.AUDIO, messages=2, request=_FAILING_TURN)
_NEAR_THE_END_OF_AUDIO = When(Moment.AUDIO, seconds=4.9, request=_FAILING_TURN)
_AT_THE_UPGRADE = When(Moment.UPGRADE, connection=_FAILING_TURN)
_AT_THE_TOKEN = When(Moment.TOKEN, connection=_FAILING_TURN)
_AT_THE_HANDSHAKE = When(Moment.CONFIGURE, connection=_FAILING_TURN)

_REFUSALS: tuple[FaultAction, ...] = (
    Refuse(400, "Invalid session token"),
    Refuse(401, "session token expired"),
    Refuse(402, "session denied: no credits"),
    Refuse(404, "Avatar not found: sim-avatar"),
    Refuse(429),
    Refuse(500),
    Refuse(503),
)
_ERRORS: tuple[FaultAction, ...] = (
    SendError(4001, "Credits exhausted"),
    SendError(4002, "session time limit reached"),
    SendError(13, "driven server request failed"),
)
_ENDS: tuple[FaultAction, ...] = (
    CloseWith(1000),
    CloseWith(1001, "going away"),
    CloseWith(),
    CloseWith(1011, "internal error"),
    CloseWith(4010),
    Reset(),
    TruncatedFrame(),
)


def _scenario_with(*faults: Fault) -> Scenario:
    """Return a scenario in which Motion Server plays these faults."""
    return Scenario("drawn", "", faults)


def _plan_failing_in_turn(when: When, *actions: FaultAction) -> Plan:
    """Return a plan of three turns. In the second, at the moment `when`, Motion Server does these actions,
    such as to close the session."""
    turns = (_ORDINARY_TURN, _lengthen_turn_for(when, _LONG_TURN), _ORDINARY_TURN)
    return Plan((turns,), motion_server=_scenario_with(Fault(when, actions)))


def _plan_failing_at_response(number: int, action: FaultAction) -> Plan:
    """Return a plan of three turns. In the second, when response `number` is due, Motion Server does this
    action, such as to close the session."""
    return _plan_failing_in_turn(When(Moment.RESPONSE, number=number, request=_FAILING_TURN), action)


def _lengthen_turn_for(when: When, turn: TurnPlan) -> TurnPlan:
    """Return a copy of this turn that is long enough for a drawn fault: so long that Motion Server sends the
    response that `when` names, and the fault happens. The turn is returned as it is if it is long enough, or
    if `when` names no later response than the first."""
    if when.number < 2:
        return turn
    needed_samples = (segment_end(when.number - 2) + 1) * PLAN_SAMPLE_RATE // KEYFRAMES_PER_SECOND
    if turn.samples >= needed_samples:
        return turn
    return replace(turn, samples=needed_samples, chunk_bytes=max(turn.chunk_bytes, _LONG_TURN.chunk_bytes))


def _fault_closing_session(request_number: int) -> Fault:
    """Return the fault by which Motion Server closes the session as soon as the first audio of request
    `request_number` comes."""
    return Fault(When(Moment.AUDIO, messages=1, request=request_number), (CloseWith(1011, "internal error"),))


def _plan_failing_at_opening(when: When, action: FaultAction) -> Plan:
    """Return a plan in which Motion Server does this action while it opens the second session, at the moment
    `when`. It closes the first session before: otherwise a relay that keeps its session would open no second
    one."""
    turns = (_ORDINARY_TURN, _LONG_TURN, _ORDINARY_TURN, _ORDINARY_TURN)
    return Plan(
        (turns,), motion_server=_scenario_with(_fault_closing_session(_FAILING_TURN), Fault(when, (action,)))
    )


FAILURES = (
    _plan_failing_in_turn(_AT_FIRST_RESPONSE, CloseWith(1000)),
    _plan_failing_at_opening(_AT_THE_UPGRADE, Refuse(402, "session denied: no credits")),
    _plan_failing_in_turn(_AT_SECOND_AUDIO, CloseWith(1000)),
    _plan_failing_in_turn(_AT_SECOND_RESPONSE, CloseWith(1011, "internal error")),
    _plan_failing_in_turn(_AT_SECOND_RESPONSE, SendError(4001, "Credits exhausted")),
    _plan_failing_in_turn(_AT_SECOND_AUDIO, Reset()),
    _plan_failing_at_opening(_AT_THE_TOKEN, Refuse(500)),
    _plan_failing_at_opening(_AT_THE_HANDSHAKE, SendError(13, "driven server request failed")),
    _plan_failing_in_turn(_AT_FIRST_AUDIO, CloseWith(1000)),
    _plan_failing_in_turn(_NEAR_THE_END_OF_AUDIO, SendError(13, "driven server request failed")),
    _plan_failing_at_response(3, CloseWith(1000)),
    _plan_failing_at_response(4, SendError(4002, "session time limit reached")),
    _plan_failing_at_response(6, CloseWith(1000)),
)
"""Failures that a relay notices at once. Motion Server fails in the second turn; if the failure falls on the
opening of a session, it may be the third turn."""

_LOSSES = 6
LOST_AGAIN_AND_AGAIN = Plan(
    ((_ORDINARY_TURN,) * (2 * _LOSSES + 1),),
    motion_server=_scenario_with(*(_fault_closing_session(2 * loss) for loss in range(1, _LOSSES + 1))),
)
"""Motion Server closes the session in every other turn of a long connection. The turn after each works again,
so no relay has a reason to give up."""

LOST_IN_A_PAUSE = Plan(
    ((_ORDINARY_TURN, replace(_ORDINARY_TURN, pause_ms=1_600), _ORDINARY_TURN, _ORDINARY_TURN),),
    motion_server=_scenario_with(Fault(When(Moment.SILENCE, seconds=0.5), (CloseWith(1000),))),
)
"""Between two turns Motion Server closes each session that was left open. That is more than a second before
the client speaks again."""

LOST_WHILE_SPEAKING = Plan(
    ((_ORDINARY_TURN, TurnPlan(16_000, 3_200, chunk_pause_ms=30), _ORDINARY_TURN),),
    motion_server=_scenario_with(
        Fault(When(Moment.AUDIO, seconds=0.5, request=_FAILING_TURN), (CloseWith(1011, "internal error"),))
    ),
)
"""Motion Server closes the session while the client goes on speaking. So the relay notices in mid-speech."""

SILENCES = tuple(_plan_failing_at_response(number, Stall()) for number in (1, 2, 4))
"""Failures that a relay notices only after it has waited."""

AS_SLOW_AS_THE_SERVICE = Plan(
    (
        (TurnPlan(PLAN_SAMPLE_RATE, 3200),),
        (TurnPlan(3 * PLAN_SAMPLE_RATE, 6400),),
    ),
    motion_server=_scenario_with(
        Fault(When(Moment.CONFIGURE), (Delay(0.32),)),
        Fault(When(Moment.RESPONSE, number=1), (Delay(1.2),)),
        Fault(When(Moment.RESPONSE, number=2), (UnknownFields(),)),
    ),
)
"""A session is confirmed after 0.32 s. From then on, the first motion of each turn takes 1.2 s, as from
the service (docs:faq). The second response has fields that no document names. The two clients wait at the
same time."""

DROPPED_WHEN_IDLE = Plan(
    ((replace(_ORDINARY_TURN, pause_ms=65_000), _ORDINARY_TURN, _ORDINARY_TURN, _ORDINARY_TURN),),
    motion_server=_scenario_with(
        Fault(
            When(Moment.SILENCE, seconds=60.0),
            (SendError(3, "no audio input for 60 seconds"), CloseWith(1000)),
        )
    ),
)
"""Between two turns Motion Server ends each session that has been idle for a minute."""


_LATE_SECONDS = {5: 1.2, 6: 2.4, 7: 3.6, 8: 4.8, 9: 6.0, 10: 7.2, 11: 8.4, 12: 9.0}
"""How late the responses of these numbers are to long speech: one comes after the other, as from the service,
and all of them take nine seconds. The last one may be due half a second later, if silence ends speech."""


def _plan_refusing_sessions(refusal: Refuse, pause_ms: int, *others: tuple[TurnPlan, ...]) -> Plan:
    """Return a plan in which Motion Server closes the session in the second turn, and then refuses every new
    session by `refusal`. After the third turn the client pauses for `pause_ms` milliseconds. Meanwhile other
    clients speak, each the turns that `others` has for it, and the last of these turns is long. Their
    sessions are opened before and have no fault, except that the later responses to long speech are delayed,
    as those of the service are.

    A relay that sends sentences as requests of their own has begun two or three times as many requests by
    the second turn. So Motion Server ends the session in the requests that follow then, too."""
    earlier_requests = _FAILING_TURN - 1 + sum(map(len, others))
    failing_request = earlier_requests + 1
    closings = (_fault_closing_session(times * earlier_requests + 1) for times in (1, 2, 3))
    late = [
        Fault(When(Moment.RESPONSE, number=number), (Delay(seconds),))
        for number, seconds in (_LATE_SECONDS.items() if others else ())
    ]
    about = f"in request {failing_request} it ends the session, and refuses every new one with"
    about += f" {refusal.status}" + "; the motion of long speech takes nine seconds" * bool(others)
    refusals = Fault(When(Moment.UPGRADE, request=failing_request), (refusal,))
    first_turn = replace(_ORDINARY_TURN, pause_ms=_SECONDS_OF_LEAD * 1_000) if others else _ORDINARY_TURN
    return Plan(
        (
            (first_turn, _ORDINARY_TURN, TurnPlan(8_000, 3_200, pause_ms=pause_ms), TurnPlan(640, 640)),
            *others,
        ),
        motion_server=Scenario("drawn", about, (*closings, refusals, *late)),
    )


_SECONDS_OF_LEAD = 2
"""How long the client whose session is lost waits, until the others are in their last turns."""

REFUSED = _plan_refusing_sessions(Refuse(401, "session token expired"), 1_200)
REFUSED_FOR_LONG = _plan_refusing_sessions(
    Refuse(402, "session denied: no credits"),
    10_100,
    (
        _ORDINARY_TURN,
        TurnPlan(20 * PLAN_SAMPLE_RATE, 32_000, Cue(None, TurnProgress.MOTION), Behaviour.INTERRUPT),
        TurnPlan(125 * PLAN_SAMPLE_RATE // 10, 3_200, chunk_pause_ms=100),
    ),
    (TurnPlan(46 * PLAN_SAMPLE_RATE, 32_000),),
)
"""Plans in which every session but the first ones is refused. A pause follows: a second, in which some relays
try again at once, or ten seconds, in which a relay tries again that waits for credits. In these ten seconds
two other clients speak, and have sessions: one for more than twelve seconds, at the pace of a microphone, the
other 46 s at once, whose motion takes nine seconds. Before, the first of them has ended one turn, and has
interrupted another while its motion was due: a time limit that began there must not end what is said now."""


def with_harmless_faults(plans: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
    """Return a strategy that draws these plans, each with one or two faults by which Motion Server is late or
    sends unknown fields. These faults excuse no relay from its duties."""
    return add_faults(plans, st.lists(_draw_harmless_fault(), min_size=1, max_size=2))


def add_faults(
    plans: st.SearchStrategy[Plan], faults: st.SearchStrategy[list[Fault]]
) -> st.SearchStrategy[Plan]:
    """Return a strategy that draws these plans, each with a list of faults that is drawn from `faults` and
    that Motion Server plays."""
    return st.builds(
        lambda plan, fault_list: replace(plan, motion_server=_scenario_with(*fault_list)), plans, faults
    )


@st.composite
def server_failures(draw: st.DrawFn) -> Plan:
    """Draw a plan of three to five turns in which Motion Server fails once. Either it breaks off the second
    turn, or it refuses the first, second or third session of the relay. Before a refusal, it may close the
    earlier sessions, so that the relay needs a new session."""
    refused_session_number = draw(st.none() | st.sampled_from((1, 2, 3)))
    least_turns = 3 if refused_session_number is None else 2 + refused_session_number
    turns = draw(st.lists(turn_plans(), min_size=least_turns, max_size=5))
    if refused_session_number is None:
        faults = [draw(_draw_breaking_fault(_FAILING_TURN))]
        turns[_FAILING_TURN - 1] = _lengthen_turn_for(faults[0].when, turns[_FAILING_TURN - 1])
    else:
        turns_that_lose_session = range(2, refused_session_number + 1) if draw(st.booleans()) else ()
        faults = [
            *map(_fault_closing_session, turns_that_lose_session),
            draw(_draw_refusal(refused_session_number)),
        ]
    return Plan((tuple(turns),), motion_server=_scenario_with(*faults))


def _draw_harmless_fault() -> st.SearchStrategy[Fault]:
    """Draw a fault of Motion Server that is harmless to a relay: a short delay, jitter, or unknown fields. A
    relay must do all its duties in spite of it."""
    response_numbers = st.sampled_from((0, 1, 2, 3))
    delays_seconds = st.sampled_from((0.02, 0.1, 0.3))
    at_one_response = st.builds(lambda number: When(Moment.RESPONSE, number=max(1, number)), response_numbers)
    at_opening = st.sampled_from((When(Moment.TOKEN), When(Moment.UPGRADE), When(Moment.CONFIGURE)))
    delays = st.builds(
        lambda when, seconds: Fault(when, (Delay(seconds),)), at_one_response | at_opening, delays_seconds
    )
    at_any_response = st.builds(lambda number: When(Moment.RESPONSE, number=number), response_numbers)
    unknown_fields = st.builds(lambda when: Fault(when, (UnknownFields(),)), at_any_response)
    jitter = st.just(Fault(When(Moment.RESPONSE), (Delay(0, 0.05),)))
    return delays | unknown_fields | jitter


def any_fault() -> st.SearchStrategy[Fault]:
    """Draw any fault of Motion Server, harmless or not. It happens in the turn or connection with a drawn
    number; 0 means in each."""
    numbers = st.sampled_from((0, 1, 2, 3))
    failures = numbers.flatmap(lambda number: _draw_breaking_fault(number) | _draw_refusal(number))
    return st.one_of(failures, _draw_odd_response(), _draw_harmless_fault())


def _draw_breaking_fault(request_number: int) -> st.SearchStrategy[Fault]:
    """Draw a fault by which Motion Server breaks a request off: it sends an error or ends the session, when
    it receives audio of request `request_number` or sends motion for it."""
    at_response = st.builds(
        lambda number: When(Moment.RESPONSE, number=number, request=request_number),
        st.integers(1, _LAST_RESPONSE),
    )
    at_audio = st.builds(
        lambda count: When(Moment.AUDIO, messages=count, request=request_number),
        st.integers(1, _LAST_MESSAGE),
    )
    actions = st.sampled_from((*_ERRORS, *_ENDS))
    return st.builds(lambda when, action: Fault(when, (action,)), at_response | at_audio, actions)


def _draw_refusal(connection_number: int) -> st.SearchStrategy[Fault]:
    """Draw a fault by which Motion Server refuses connection number `connection_number`: at the token request
    or the upgrade by an HTTP error, at the handshake by an error, a close or nonsense."""
    http_moments = st.sampled_from((Moment.TOKEN, Moment.UPGRADE))
    http_refusal = st.builds(
        lambda moment, action: Fault(When(moment, connection=connection_number), (action,)),
        http_moments,
        st.sampled_from(_REFUSALS),
    )
    actions = st.sampled_from((*_ERRORS, *_ENDS, SendGarbage(), Text("no")))
    at_handshake = When(Moment.CONFIGURE, connection=connection_number)
    return http_refusal | actions.map(lambda action: Fault(at_handshake, (action,)))


def _draw_odd_response() -> st.SearchStrategy[Fault]:
    """Draw a fault by which Motion Server treats a response as the protocol does not foresee: it leaves the
    response out, empties it, enlarges it, sends something else instead, or falls silent."""
    actions = st.sampled_from((Stall(), Drop(), EmptyMotion(), SendGarbage(), Text("hello"), GrowTo(60_000)))
    at_response = st.builds(
        lambda number, request: When(Moment.RESPONSE, number=number, request=request),
        st.sampled_from((0, 1, 2)),
        st.sampled_from((0, 1, 2)),
    )
    return st.builds(lambda when, action: Fault(when, (action,)), at_response, actions)
