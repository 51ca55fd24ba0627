"""Plans in which Motion Server is slow, large, refusing, dying or silent."""

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
from spatius_sim.plans.drawn_turns import turn_plans
from spatius_sim.plans.plan import Plan, TurnPlan
from spatius_sim.rules.relay.sizes import HUGE_BYTES, LARGE_BYTES
from spatius_sim.story.join import ORDINARY_BYTES

_ORDINARY = TurnPlan(8_000, 3_200)
_LONG = TurnPlan(80_000, 6_400)
"""Five seconds of speech: Motion Server answers in two payloads, the first before all was said."""

_MANY_CONNECTIONS = 99
_FAILING = 2
"""The turn in which Motion Server fails: before it one must have worked."""

_AS_IT_SPEAKS = When(Moment.RESPONSE, number=1, request=_FAILING)
_BEFORE_THE_LAST = When(Moment.RESPONSE, number=2, request=_FAILING)
_WHILE_IT_LISTENS = When(Moment.AUDIO, messages=2, request=_FAILING)
_AT_THE_UPGRADE = When(Moment.UPGRADE, connection=_FAILING)
_AT_THE_TOKEN = When(Moment.TOKEN, connection=_FAILING)
_AT_THE_HANDSHAKE = When(Moment.CONFIGURE, connection=_FAILING)

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


def _played(*faults: Fault) -> Scenario:
    return Scenario("drawn", "", faults)


def _failing_turn(when: When, *what: FaultAction) -> Plan:
    return Plan(((_ORDINARY, _LONG, _ORDINARY),), motion_server=_played(Fault(when, what)))


def _session_lost(request: int) -> Fault:
    """As Motion Server starts to listen."""
    return Fault(When(Moment.AUDIO, messages=1, request=request), (CloseWith(1011, "internal error"),))


def _failing_door(when: When, what: FaultAction) -> Plan:
    """A relay that keeps its session comes to the door again only where it has lost it."""
    turns = (_ORDINARY, _LONG, _ORDINARY, _ORDINARY)
    return Plan((turns,), motion_server=_played(_session_lost(_FAILING), Fault(when, (what,))))


FAILURES = (
    _failing_door(_AT_THE_UPGRADE, Refuse(402, "session denied: no credits")),
    _failing_turn(_AS_IT_SPEAKS, CloseWith(1000)),
    _failing_turn(_WHILE_IT_LISTENS, CloseWith(1000)),
    _failing_turn(_BEFORE_THE_LAST, CloseWith(1011, "internal error")),
    _failing_turn(_BEFORE_THE_LAST, SendError(4001, "Credits exhausted")),
    _failing_turn(_WHILE_IT_LISTENS, Reset()),
    _failing_door(_AT_THE_TOKEN, Refuse(500)),
    _failing_door(_AT_THE_HANDSHAKE, SendError(13, "driven server request failed")),
)
"""What a relay notices at once: Motion Server fails in the second turn; at the door it may be the third."""

SILENCES = (_failing_turn(_BEFORE_THE_LAST, Stall()),)
"""What a relay notices when it has waited."""

LARGE = Plan(
    ((_LONG, _LONG, _LONG),),
    motion_server=_played(
        Fault(When(Moment.RESPONSE, request=2), (GrowTo(LARGE_BYTES),)),
        Fault(When(Moment.RESPONSE, request=3), (GrowTo(HUGE_BYTES),)),
    ),
)
"""An ordinary turn, one with the largest payloads that must pass, and one with the largest that should."""


def _refused_and_watched(refusal: Refuse, pause_ms: int) -> Plan:
    refusals = (
        Fault(When(Moment.UPGRADE, connection=number), (refusal,))
        for number in range(_FAILING, _MANY_CONNECTIONS)
    )
    about = f"after the first turn it ends the session, and refuses every new one with {refusal.status}"
    return Plan(
        ((_ORDINARY, _ORDINARY, TurnPlan(8_000, 3_200, pause_ms=pause_ms), TurnPlan(640, 640)),),
        motion_server=Scenario("drawn", about, (_session_lost(_FAILING), *refusals)),
    )


REFUSED = _refused_and_watched(Refuse(401, "session token expired"), 2_200)
REFUSED_FOR_LONG = _refused_and_watched(Refuse(402, "session denied: no credits"), 10_100)
"""Every session but the first is refused, and a relay that keeps that one loses it in the turn before; then
time passes: two seconds, in which a hasty relay shows, or ten, in which one does that waits for credits."""


def slowed(plans: st.SearchStrategy[Plan]) -> st.SearchStrategy[Plan]:
    """The same with a Motion Server that is late, bursty, or sends fields that nobody knows: nothing that
    excuses a relay."""
    return with_faults(plans, st.lists(_excusing_nobody(), min_size=1, max_size=2))


def with_faults(
    plans: st.SearchStrategy[Plan], faults: st.SearchStrategy[list[Fault]]
) -> st.SearchStrategy[Plan]:
    """The same with a Motion Server that plays these."""
    return st.builds(lambda plan, played: replace(plan, motion_server=_played(*played)), plans, faults)


@st.composite
def failures(draw: st.DrawFn) -> Plan:
    """Three to five turns. Motion Server fails in the second, or turns the relay away when it comes for the
    first, the second or the third time; for a relay that keeps its session, after it has lost it."""
    door = draw(st.none() | st.sampled_from((1, 2, 3)))
    turns = draw(st.lists(turn_plans(), min_size=3 if door is None else 2 + door, max_size=5))
    if door is None:
        faults = [draw(_broken_off(_FAILING))]
    else:
        lost = range(2, door + 1) if draw(st.booleans()) else ()
        faults = [*map(_session_lost, lost), draw(_turned_away(door))]
    return Plan((tuple(turns),), motion_server=_played(*faults))


def large_payloads() -> st.SearchStrategy[Plan]:
    """A turn with payloads as usual, and the same with larger ones."""
    least = ORDINARY_BYTES + 1
    return st.builds(
        _growing,
        turn_plans(),
        st.sampled_from((least, LARGE_BYTES)) | st.integers(least, LARGE_BYTES),
    )


def huge_payloads() -> st.SearchStrategy[Plan]:
    """A turn with payloads as usual, the same with large ones, and with huge ones."""
    least = LARGE_BYTES + 1
    return st.builds(
        lambda turn, size: _growing(turn, LARGE_BYTES, size),
        turn_plans(),
        st.sampled_from((least, 2 * LARGE_BYTES, HUGE_BYTES)) | st.integers(least, HUGE_BYTES),
    )


def _growing(turn: TurnPlan, *sizes: int) -> Plan:
    """The turn, and once more for each of these sizes that all payloads have then, at least."""
    faults = (
        Fault(When(Moment.RESPONSE, request=request), (GrowTo(size),))
        for request, size in enumerate(sizes, 2)
    )
    return Plan(((turn,) * (1 + len(sizes)),), motion_server=_played(*faults))


def _excusing_nobody() -> st.SearchStrategy[Fault]:
    numbers = st.sampled_from((0, 1, 2, 3))
    pauses = st.sampled_from((0.02, 0.1, 0.3))
    once = st.builds(lambda number: When(Moment.RESPONSE, number=max(1, number)), numbers)
    doors = st.sampled_from((When(Moment.TOKEN), When(Moment.UPGRADE), When(Moment.CONFIGURE)))
    late = st.builds(lambda when, seconds: Fault(when, (Delay(seconds),)), once | doors, pauses)
    every = st.builds(lambda number: When(Moment.RESPONSE, number=number), numbers)
    new = st.builds(lambda when: Fault(when, (UnknownFields(),)), every)
    jittery = st.just(Fault(When(Moment.RESPONSE), (Delay(0, 0.05),)))
    return late | new | jittery


def anything() -> st.SearchStrategy[Fault]:
    """Whatever Motion Server may do to a relay, in any turn or in each."""
    anywhere = st.sampled_from((0, 1, 2, 3))
    failing = anywhere.flatmap(lambda number: _broken_off(number) | _turned_away(number))
    return st.one_of(failing, _odd(), _excusing_nobody())


def _broken_off(request: int) -> st.SearchStrategy[Fault]:
    """An error or an end while Motion Server speaks, or listens."""
    speaking = st.builds(
        lambda which: When(Moment.RESPONSE, number=which, request=request), st.sampled_from((1, 2))
    )
    listening = st.builds(
        lambda count: When(Moment.AUDIO, messages=count, request=request), st.sampled_from((1, 2, 5))
    )
    what = st.sampled_from((*_ERRORS, *_ENDS))
    return st.builds(lambda when, what: Fault(when, (what,)), speaking | listening, what)


def _turned_away(connection: int) -> st.SearchStrategy[Fault]:
    """At the token request, the upgrade or the handshake."""
    doors = st.sampled_from((Moment.TOKEN, Moment.UPGRADE))
    refused = st.builds(
        lambda moment, what: Fault(When(moment, connection=connection), (what,)),
        doors,
        st.sampled_from(_REFUSALS),
    )
    what = st.sampled_from((*_ERRORS, *_ENDS, SendGarbage(), Text("no")))
    return refused | what.map(lambda what: Fault(When(Moment.CONFIGURE, connection=connection), (what,)))


def _odd() -> st.SearchStrategy[Fault]:
    """What the protocol does not foresee, and what makes for silence."""
    whats = st.sampled_from((Stall(), Drop(), EmptyMotion(), SendGarbage(), Text("hello"), GrowTo(60_000)))
    whens = st.builds(
        lambda number, request: When(Moment.RESPONSE, number=number, request=request),
        st.sampled_from((0, 1, 2)),
        st.sampled_from((0, 1, 2)),
    )
    return st.builds(lambda when, what: Fault(when, (what,)), whens, whats)
