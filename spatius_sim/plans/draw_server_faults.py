"""Draws plans in which Motion Server is slow, sends large payloads, refuses, dies or goes silent."""

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
from spatius_sim.plans.draw_turns import turn_plans
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, segment_end
from spatius_sim.rules.relay.sizes import HUGE_BYTES, LARGE_BYTES
from spatius_sim.story.join_turns import ORDINARY_BYTES

_ORDINARY_TURN = TurnPlan(8_000, 3_200)
_LONG_TURN = TurnPlan(80_000, 6_400)
"""Five seconds of speech: Motion Server answers in two payloads, the first before all was said."""

_MANY_CONNECTIONS = 99
"""More connections than any relay opens in a plan."""
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


def _fail_in_turn(when: When, *actions: FaultAction) -> Plan:
    """Return a plan of three turns with a fault of Motion Server: these actions, at this moment of the second
    turn."""
    turns = (_ORDINARY_TURN, _lengthen_for(when, _LONG_TURN), _ORDINARY_TURN)
    return Plan((turns,), motion_server=_scenario_with(Fault(when, actions)))


def _fail_at_response(number: int, action: FaultAction) -> Plan:
    """Return a plan of three turns with a fault of Motion Server: this action, at response `number` of the
    second turn."""
    return _fail_in_turn(When(Moment.RESPONSE, number=number, request=_FAILING_TURN), action)


def _lengthen_for(when: When, turn: TurnPlan) -> TurnPlan:
    """Return a turn that is long enough for a fault of Motion Server: long enough that the response comes at
    which the fault happens. A turn that is long enough is returned as it is."""
    if when.number < 2:
        return turn
    samples = (segment_end(when.number - 2) + 1) * PLAN_SAMPLE_RATE // KEYFRAMES_PER_SECOND
    if turn.samples >= samples:
        return turn
    return replace(turn, samples=samples, chunk_bytes=max(turn.chunk_bytes, _LONG_TURN.chunk_bytes))


def _lose_session(request: int) -> Fault:
    """Return the fault by which Motion Server closes the session when the first audio of this request
    comes."""
    return Fault(When(Moment.AUDIO, messages=1, request=request), (CloseWith(1011, "internal error"),))


def _fail_at_opening(when: When, action: FaultAction) -> Plan:
    """Return a plan with a fault of Motion Server at the opening of a session. The session before is closed
    first: otherwise a relay that keeps its session would open no other."""
    turns = (_ORDINARY_TURN, _LONG_TURN, _ORDINARY_TURN, _ORDINARY_TURN)
    return Plan((turns,), motion_server=_scenario_with(_lose_session(_FAILING_TURN), Fault(when, (action,))))


FAILURES = (
    _fail_in_turn(_AT_FIRST_RESPONSE, CloseWith(1000)),
    _fail_at_opening(_AT_THE_UPGRADE, Refuse(402, "session denied: no credits")),
    _fail_in_turn(_AT_SECOND_AUDIO, CloseWith(1000)),
    _fail_in_turn(_AT_SECOND_RESPONSE, CloseWith(1011, "internal error")),
    _fail_in_turn(_AT_SECOND_RESPONSE, SendError(4001, "Credits exhausted")),
    _fail_in_turn(_AT_SECOND_AUDIO, Reset()),
    _fail_at_opening(_AT_THE_TOKEN, Refuse(500)),
    _fail_at_opening(_AT_THE_HANDSHAKE, SendError(13, "driven server request failed")),
    _fail_in_turn(_AT_FIRST_AUDIO, CloseWith(1000)),
    _fail_in_turn(_NEAR_THE_END_OF_AUDIO, SendError(13, "driven server request failed")),
    _fail_at_response(3, CloseWith(1000)),
    _fail_at_response(4, SendError(4002, "session time limit reached")),
    _fail_at_response(6, CloseWith(1000)),
)
"""Failures that a relay notices at once. Motion Server fails in the second turn; if the failure falls on the
opening of a session, it may be the third turn."""

_LOSSES = 6
LOST_AGAIN_AND_AGAIN = Plan(
    ((_ORDINARY_TURN,) * (2 * _LOSSES + 1),),
    motion_server=_scenario_with(*(_lose_session(2 * loss) for loss in range(1, _LOSSES + 1))),
)
"""Motion Server closes the session in every other turn of a long connection. The turn after each works again,
so no relay has a reason to give up."""

SILENCES = tuple(_fail_at_response(number, Stall()) for number in (1, 2, 4))
"""Failures that a relay notices only after it has waited."""

AS_SLOW_AS_THE_SERVICE = Plan(
    (
        (TurnPlan(PLAN_SAMPLE_RATE, 3200),),
        (TurnPlan(3 * PLAN_SAMPLE_RATE, 6400),),
    ),
    motion_server=_scenario_with(Fault(When(Moment.RESPONSE, number=1), (Delay(1.2),))),
)
"""The first motion of each turn comes after 1.2 s, as it may from the service (docs:faq). The two clients
wait at the same time."""

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

LARGE = Plan(
    ((_LONG_TURN, _LONG_TURN, _LONG_TURN),),
    motion_server=_scenario_with(
        Fault(When(Moment.RESPONSE, request=2), (GrowTo(LARGE_BYTES),)),
        Fault(When(Moment.RESPONSE, request=3), (GrowTo(HUGE_BYTES),)),
    ),
)
"""An ordinary turn, a turn with the largest payloads that must pass, and a turn with the largest that
should."""


def _refuse_every_session(refusal: Refuse, pause_ms: int) -> Plan:
    """Return a plan in which Motion Server closes the session after the first turn, and then refuses every
    new session with this `refusal`. After the third turn the client pauses for `pause_ms` milliseconds."""
    refusals = (
        Fault(When(Moment.UPGRADE, connection=number), (refusal,))
        for number in range(_FAILING_TURN, _MANY_CONNECTIONS)
    )
    about = f"after the first turn it ends the session, and refuses every new one with {refusal.status}"
    return Plan(
        ((_ORDINARY_TURN, _ORDINARY_TURN, TurnPlan(8_000, 3_200, pause_ms=pause_ms), TurnPlan(640, 640)),),
        motion_server=Scenario("drawn", about, (_lose_session(_FAILING_TURN), *refusals)),
    )


REFUSED = _refuse_every_session(Refuse(401, "session token expired"), 1_200)
REFUSED_FOR_LONG = _refuse_every_session(Refuse(402, "session denied: no credits"), 10_100)
"""Plans in which every session but the first is refused. A pause follows: a second, in which some relays
try again at once, or ten seconds, in which a relay tries again that waits for credits."""


def with_slow_server(plans: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
    """Draw these plans with a Motion Server that is late or sends unknown fields: such faults of the server
    excuse no relay."""
    return with_faults(plans, st.lists(_draw_harmless_fault(), min_size=1, max_size=2))


def with_faults(
    plans: st.SearchStrategy[Plan], faults: st.SearchStrategy[list[Fault]]
) -> st.SearchStrategy[Plan]:
    """Draw these plans, each with a Motion Server that plays a drawn list of faults."""
    return st.builds(lambda plan, played: replace(plan, motion_server=_scenario_with(*played)), plans, faults)


@st.composite
def server_failures(draw: st.DrawFn) -> Plan:
    """Draw a plan of three to five turns in which Motion Server fails once. Either Motion Server breaks off
    the second turn, or it refuses the first, second or third session of the relay. Before a refusal, Motion
    Server may close the earlier sessions, so that the relay needs a new session."""
    refused_session = draw(st.none() | st.sampled_from((1, 2, 3)))
    turns = draw(
        st.lists(turn_plans(), min_size=3 if refused_session is None else 2 + refused_session, max_size=5)
    )
    if refused_session is None:
        faults = [draw(_draw_break_off(_FAILING_TURN))]
        turns[_FAILING_TURN - 1] = _lengthen_for(faults[0].when, turns[_FAILING_TURN - 1])
    else:
        turns_that_lose_session = range(2, refused_session + 1) if draw(st.booleans()) else ()
        faults = [*map(_lose_session, turns_that_lose_session), draw(_draw_refusal(refused_session))]
    return Plan((tuple(turns),), motion_server=_scenario_with(*faults))


def large_payloads() -> st.SearchStrategy[Plan]:
    """Draw a plan with faults of Motion Server: after payloads of the usual size, the server sends, for the
    same turn, larger payloads that a relay must pass on."""
    least = ORDINARY_BYTES + 1
    return st.builds(
        _repeat_with_larger_payloads,
        turn_plans(),
        st.sampled_from((least, LARGE_BYTES)) | st.integers(least, LARGE_BYTES),
    )


def huge_payloads() -> st.SearchStrategy[Plan]:
    """Draw a plan with faults of Motion Server: after payloads of the usual size, the server sends large and
    then huge payloads for the same turn."""
    least = LARGE_BYTES + 1
    return st.builds(
        lambda turn, size: _repeat_with_larger_payloads(turn, LARGE_BYTES, size),
        turn_plans(),
        st.sampled_from((least, 2 * LARGE_BYTES, HUGE_BYTES)) | st.integers(least, HUGE_BYTES),
    )


def _repeat_with_larger_payloads(turn: TurnPlan, *sizes: int) -> Plan:
    """Return a plan that speaks a turn once while Motion Server sends ordinary payloads, and once more for
    each size in `sizes`. For these, a fault makes every payload of the server at least that many bytes
    long."""
    faults = (
        Fault(When(Moment.RESPONSE, request=request), (GrowTo(size),))
        for request, size in enumerate(sizes, start=2)
    )
    return Plan(((turn,) * (1 + len(sizes)),), motion_server=_scenario_with(*faults))


def _draw_harmless_fault() -> st.SearchStrategy[Fault]:
    """Draw a harmless fault of Motion Server: a short delay, jitter, or unknown fields. A relay must do all
    its duties in spite of it."""
    response_numbers = st.sampled_from((0, 1, 2, 3))
    pauses = st.sampled_from((0.02, 0.1, 0.3))
    one_response = st.builds(lambda number: When(Moment.RESPONSE, number=max(1, number)), response_numbers)
    openings = st.sampled_from((When(Moment.TOKEN), When(Moment.UPGRADE), When(Moment.CONFIGURE)))
    delayed = st.builds(lambda when, seconds: Fault(when, (Delay(seconds),)), one_response | openings, pauses)
    any_response = st.builds(lambda number: When(Moment.RESPONSE, number=number), response_numbers)
    unknown_fields = st.builds(lambda when: Fault(when, (UnknownFields(),)), any_response)
    jittery = st.just(Fault(When(Moment.RESPONSE), (Delay(0, 0.05),)))
    return delayed | unknown_fields | jittery


def any_fault() -> st.SearchStrategy[Fault]:
    """Draw any fault that Motion Server may play for a relay, in one turn or in each turn."""
    anywhere = st.sampled_from((0, 1, 2, 3))
    failing = anywhere.flatmap(lambda number: _draw_break_off(number) | _draw_refusal(number))
    return st.one_of(failing, _draw_odd_response(), _draw_harmless_fault())


def _draw_break_off(request: int) -> st.SearchStrategy[Fault]:
    """Draw a fault by which Motion Server breaks off: an error or an end of the session, while audio or
    motion of this request is sent."""
    speaking = st.builds(
        lambda number: When(Moment.RESPONSE, number=number, request=request), st.integers(1, _LAST_RESPONSE)
    )
    listening = st.builds(
        lambda count: When(Moment.AUDIO, messages=count, request=request), st.integers(1, _LAST_MESSAGE)
    )
    actions = st.sampled_from((*_ERRORS, *_ENDS))
    return st.builds(lambda when, action: Fault(when, (action,)), speaking | listening, actions)


def _draw_refusal(connection: int) -> st.SearchStrategy[Fault]:
    """Draw a fault by which Motion Server refuses connection number `connection`: at the token request, the
    upgrade or the handshake. At the handshake it may also send nonsense."""
    openings = st.sampled_from((Moment.TOKEN, Moment.UPGRADE))
    http_refusal = st.builds(
        lambda moment, action: Fault(When(moment, connection=connection), (action,)),
        openings,
        st.sampled_from(_REFUSALS),
    )
    actions = st.sampled_from((*_ERRORS, *_ENDS, SendGarbage(), Text("no")))
    at_handshake = When(Moment.CONFIGURE, connection=connection)
    return http_refusal | actions.map(lambda action: Fault(at_handshake, (action,)))


def _draw_odd_response() -> st.SearchStrategy[Fault]:
    """Draw a fault in which Motion Server sends a response that the protocol does not foresee, or falls
    silent."""
    actions = st.sampled_from((Stall(), Drop(), EmptyMotion(), SendGarbage(), Text("hello"), GrowTo(60_000)))
    moments = st.builds(
        lambda number, request: When(Moment.RESPONSE, number=number, request=request),
        st.sampled_from((0, 1, 2)),
        st.sampled_from((0, 1, 2)),
    )
    return st.builds(lambda when, action: Fault(when, (action,)), moments, actions)
