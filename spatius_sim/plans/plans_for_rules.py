"""Returns the plans that exercise a rule."""

from functools import cache
from typing import Any, NamedTuple

from hypothesis.strategies import SearchStrategy, just, one_of

from spatius_sim.plans import draw_disturbed_turns as behaviour_plans
from spatius_sim.plans import draw_server_faults as fault_plans
from spatius_sim.plans import draw_server_probes as server_plans
from spatius_sim.plans import fixed_relay_plans
from spatius_sim.plans.client_edge_cases import edge_cases_of
from spatius_sim.plans.draw_client_plans import client_plans_exercising
from spatius_sim.plans.draw_combined_faults import combined_faults
from spatius_sim.plans.draw_large_payloads import (
    LARGEST_PAYLOADS,
    plans_with_huge_payloads,
    plans_with_large_payloads,
)
from spatius_sim.plans.draw_undisturbed_turns import (
    alone_or_not,
    audible_conversations,
    conversations,
    crowds,
    long_speeches,
)
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, SCARCELY_A_WORD, Plan, TurnPlan
from spatius_sim.plans.room_plan import AS_THE_AGENT_SPEAKS, AT_ANOTHER_RATE, TWO_TURNS_AND_AN_INTERRUPT
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.rules.catalogue import find_rule


class Exercise(NamedTuple):
    """The plans that exercise a rule. The plans in `sure` always run. Of the drawn `plans` at most `most` run
    (None: as many as the profile says), because each takes long."""

    plans: SearchStrategy[Any]
    sure: tuple[Any, ...] = ()
    most: int | None = None


_THREE_SECONDS = TurnPlan(3 * PLAN_SAMPLE_RATE, 3200)

_SIX_SECONDS = TurnPlan(6 * PLAN_SAMPLE_RATE, 3200)
"""Its second payload has 49.8 kB; as base64 it fits into no data packet."""

_OTHER_RATES = tuple(
    Plan(((_THREE_SECONDS,), (TurnPlan(3 * rate, rate // 5 * BYTES_PER_SAMPLE),)), sample_rate=rate)
    for rate in (24_000, 48_000)
)
"""For relays whose wire can say the rate: that of most synthesised speech, and the highest. Another client
speaks at the usual rate at the same time."""

_CUT_OFF_TURNS = behaviour_plans.cut_off_turns()
"""The same object for the rules that it exercises: its plans are run once for all of them."""
_SEVERAL_TURNS = conversations(least_turns=2) | crowds()
_AUDIBLE_CONVERSATIONS = audible_conversations()
_RARE_SPEECH = (
    *fixed_relay_plans.ODD_CHUNKS,
    *fixed_relay_plans.PAUSES_BETWEEN_CHUNKS,
    *fixed_relay_plans.INTERRUPTED_BEFORE_SPEECH,
    *fixed_relay_plans.PINGS_IN_MID_TURN,
    fault_plans.AS_SLOW_AS_THE_SERVICE,
)

_BEFORE_A_CLEAN_TURN = fault_plans.FAILURES[:1]
"""What is left of a failed turn may harm the next one. R-RECOVER runs the same plan, so it costs nothing."""

_SPOKEN_FOR_LONG = (*_BEFORE_A_CLEAN_TURN, fault_plans.REFUSED_FOR_LONG)
"""Long speech may be cut off by a time limit. U-RETRY runs the same plan. The other comes first, because it
shows with one turn, not with three, whether a relay tells that motion failed: what it does not tell is waited
for."""

_LOST_IN_MID_TURN = fault_plans.FAILURES[2:3]
"""A relay may speak to Motion Server again what was lost. R-RECOVER runs the same plan."""

_LOST_AFTER_MOTION = fault_plans.FAILURES[3:4]
"""The same, when some motion of the turn has come. R-RECOVER runs the same plan."""

_LASTING_SESSIONS = Exercise(just(server_plans.LASTING), most=1)
"""What a server's run must wait for happens at the same time."""

_ONE_OF_THREE_CUT_OFF = fixed_relay_plans.plans_where_one_of_three_clients_is_cut_off()
"""If one client is cut off, the turns of the others must go on."""

_BESIDE_ORDINARY_PLANS: dict[str, tuple[Plan, ...]] = {
    "R-CONVERSATION": _BEFORE_A_CLEAN_TURN,
    "U-AUDIO-COMPLETE": _SPOKEN_FOR_LONG,
    "R-END-AUDIO": _LOST_IN_MID_TURN,
    "R-MOTION-COMPLETE": (*_ONE_OF_THREE_CUT_OFF, *_LOST_AFTER_MOTION, *_SPOKEN_FOR_LONG),
}
"""The plans that these rules for relays run beside the ordinary ones."""

_TAKING_LONG = (server_plans.LASTING, fault_plans.REFUSED_FOR_LONG)
"""Plans of ten seconds and more, in real time."""

_MANY_SESSIONS = server_plans.many_sessions()
_OGG_OPUS = server_plans.ogg_opus()

_PLANS_BY_RULE: dict[str, SearchStrategy[Plan] | Exercise] = {
    "U-RETRY": Exercise(just(fault_plans.REFUSED), (fault_plans.REFUSED_FOR_LONG,), most=1),
    "R-RECOVER": Exercise(
        fault_plans.server_failures(),
        (*fault_plans.FAILURES, fault_plans.LOST_AGAIN_AND_AGAIN, fault_plans.LOST_IN_A_PAUSE),
        most=10,
    ),
    "R-FALLBACK": Exercise(
        fault_plans.server_failures(), (*fault_plans.FAILURES, *fault_plans.SILENCES), most=10
    ),
    "R-ERROR-TOLD": Exercise(
        fault_plans.server_failures(),
        (*fault_plans.FAILURES, fault_plans.LOST_WHILE_SPEAKING, *fault_plans.SILENCES),
        most=10,
    ),
    "R-LARGE": Exercise(plans_with_large_payloads(), (LARGEST_PAYLOADS,), most=8),
    "R-HUGE": Exercise(plans_with_huge_payloads(), (LARGEST_PAYLOADS,), most=5),
    "R-TOKENLESS": Exercise(behaviour_plans.credentials(), most=1),
    "U-TOKEN-FRESH": _SEVERAL_TURNS,
    "E-LIMIT": Exercise(conversations(), (Plan(((_SIX_SECONDS,),)),), most=2),
    "U-AUDIO-ALIGNED": Exercise(conversations(), (SCARCELY_A_WORD,), most=4),
    "U-RATE": Exercise(conversations(), (Plan(((_THREE_SECONDS, _THREE_SECONDS),)), *_OTHER_RATES), most=4),
    "U-TURN-ID": Exercise(_CUT_OFF_TURNS, most=10),
    "R-TURNS": Exercise(_SEVERAL_TURNS, fixed_relay_plans.TURNS_IN_A_ROW),
    "R-ISOLATION": Exercise(
        behaviour_plans.all_crowds(), (fixed_relay_plans.plan_of_next_client_after_hang_up(),), most=12
    ),
    "R-STALE": Exercise(_CUT_OFF_TURNS, fixed_relay_plans.plans_of_turns_cut_off_before_motion(), most=10),
    "U-HANGUP": Exercise(behaviour_plans.hang_ups(), fixed_relay_plans.plans_of_hang_ups(), 5),
    "R-SLOWCLIENT": Exercise(just(fixed_relay_plans.plan_of_slow_client()), most=1),
    "R-BADINPUT": Exercise(behaviour_plans.bad_clients(), fixed_relay_plans.plans_of_misbehaviour(), 6),
    "S-TOKEN-WINDOW": server_plans.token_windows(),
    "S-TOKEN-KEY": server_plans.bad_keys(),
    "S-UPGRADE-REFUSED": server_plans.bad_upgrades(),
    "S-TOKEN-EXPIRY": _LASTING_SESSIONS,
    "S-HANDSHAKE-REFUSED": server_plans.bad_handshakes(),
    "S-MOTION-COUNT": Exercise(
        audible_conversations() | crowds(),
        (
            *server_plans.ODD_CHUNKS,
            *server_plans.ALL_RATES,
            *server_plans.departures(),
            *server_plans.shared_ids(),
            *_OGG_OPUS,
            server_plans.LASTING,
            *_MANY_SESSIONS,
        ),
    ),
    "S-MOTION-SHAPE": Exercise(
        audible_conversations(), (*server_plans.ALL_SOUNDS, *server_plans.long_clips())
    ),
    "S-MOTION-MOVES": Exercise(server_plans.long_turns(), server_plans.LONG_AND_MANY, most=8),
    "S-HANDSHAKE-CLOSED": Exercise(server_plans.bad_handshakes(), _MANY_SESSIONS),
    "S-CONFIRM": Exercise(_AUDIBLE_CONVERSATIONS, (*_MANY_SESSIONS, *_OGG_OPUS)),
    "S-MOTION-SEGMENTS": server_plans.long_turns(),
    "S-EGRESS-SILENT": Exercise(server_plans.egresses(), (server_plans.LASTING,)),
    "S-INTERRUPT": _LASTING_SESSIONS,
    "S-IDLE": _LASTING_SESSIONS,
    "S-PLAYBACK-STATE": _LASTING_SESSIONS,
    "S-MOTION-IDS": Exercise(
        _AUDIBLE_CONVERSATIONS,
        (*server_plans.shared_ids(), *_MANY_SESSIONS, server_plans.LASTING),
    ),
    "S-MOTION-END": Exercise(
        _AUDIBLE_CONVERSATIONS,
        (
            *server_plans.ODD_CHUNKS,
            *server_plans.late_interrupts(),
            *server_plans.departures(),
            *server_plans.shared_ids(),
            *_OGG_OPUS,
            server_plans.LASTING,
            *_MANY_SESSIONS,
        ),
    ),
}
"""All other rules are exercised by ordinary conversations."""


IN_A_ROOM = Exercise(just(AT_ANOTHER_RATE), (TWO_TURNS_AND_AN_INTERRUPT,), most=1)
"""Every rule of a room is judged on the same two sessions, because they are played in real time."""

AS_AN_AGENT_SPEAKS = Exercise(just(AS_THE_AGENT_SPEAKS), most=1)


@cache
def exercise_of(rule_id: str, *, thorough: bool = False, patient: bool = True) -> Exercise:
    """Return the plans that exercise this rule. Rules for clients and for rooms have plans of their own
    kinds. A rule for servers or relays that needs no special plans gets ordinary ones. For relays, a
    `thorough` run adds to these plans with all faults combined, with a minute of speech, and with connections
    of more than a minute. A run that is not `patient` does without the plans that take long. The same
    arguments give the same object."""
    if find_rule(rule_id).subject == "client":
        return Exercise(client_plans_exercising(rule_id), edge_cases_of(rule_id))
    if find_rule(rule_id).subject == "room":
        return IN_A_ROOM
    exercise = _PLANS_BY_RULE.get(rule_id)
    if exercise is None and find_rule(rule_id).subject == "relay":
        exercise = _ordinary_exercise(thorough=thorough)
        exercise = exercise._replace(sure=(*exercise.sure, *_BESIDE_ORDINARY_PLANS.get(rule_id, ())))
    if exercise is None:
        exercise = _AUDIBLE_CONVERSATIONS
    exercise = exercise if isinstance(exercise, Exercise) else Exercise(exercise)
    if patient:
        return exercise
    return exercise._replace(sure=tuple(plan for plan in exercise.sure if plan not in _TAKING_LONG))


@cache
def _ordinary_exercise(*, thorough: bool) -> Exercise:
    """Return the plans that exercise all relay rules without plans of their own; a `thorough` run gets more
    plans. The same object is returned for all these rules, so that a search knows that their plans are the
    same."""
    plans_with_harmless_faults = fault_plans.with_harmless_faults(alone_or_not())
    usual_plans = (conversations(), crowds(), behaviour_plans.interrupted_turns(), plans_with_harmless_faults)
    thorough_plans = (combined_faults(), long_speeches()) if thorough else ()
    long_connections = (
        (*fixed_relay_plans.LONG_CONNECTIONS, fault_plans.DROPPED_WHEN_IDLE) if thorough else ()
    )
    return Exercise(one_of(*usual_plans, *thorough_plans), (*_RARE_SPEECH, *long_connections))
