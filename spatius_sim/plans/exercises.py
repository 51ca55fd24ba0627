"""Which plans exercise which rule."""

from typing import Any, NamedTuple

from hypothesis.strategies import SearchStrategy, just, one_of

from spatius_sim.plans import drawn_behaviour as conduct_plans
from spatius_sim.plans import drawn_faults as fault_plans
from spatius_sim.plans import drawn_probes as server_plans
from spatius_sim.plans.drawn_calls import client_plans_exercising
from spatius_sim.plans.drawn_stress import combined_faults
from spatius_sim.plans.drawn_turns import (
    alone_or_not,
    audible_conversations,
    conversations,
    crowds,
    long_speeches,
)
from spatius_sim.plans.plan import SCARCELY_A_WORD, Plan
from spatius_sim.rules.catalogue import find_rule


class Exercise(NamedTuple):
    """The plans that exercise a rule: those that are `sure` to be run, and `most` of those that are drawn,
    fewer than the profile would have where each takes its time."""

    plans: SearchStrategy[Any]
    sure: tuple[Plan, ...] = ()
    most: int | None = None


_OTHER_THAN_ONE_CONVERSATION: dict[str, SearchStrategy[Plan] | Exercise] = {
    "U-RETRY": Exercise(just(fault_plans.REFUSED_FOR_LONG), (fault_plans.REFUSED,), most=1),
    "R-RECOVER": Exercise(fault_plans.failures(), fault_plans.FAILURES, most=10),
    "R-FALLBACK": Exercise(fault_plans.failures(), (*fault_plans.FAILURES, *fault_plans.SILENCES), most=10),
    "R-ERROR-TOLD": Exercise(fault_plans.failures(), (*fault_plans.FAILURES, *fault_plans.SILENCES), most=10),
    "R-LARGE": Exercise(fault_plans.large_payloads(), (fault_plans.LARGE,), most=8),
    "R-HUGE": Exercise(fault_plans.huge_payloads(), (fault_plans.LARGE,), most=5),
    "R-TOKENLESS": Exercise(conduct_plans.credentials(), most=1),
    "U-TOKEN-FRESH": conversations(least_turns=2) | crowds(),
    "U-AUDIO-ALIGNED": Exercise(conversations(), (SCARCELY_A_WORD,), most=4),
    "U-TURN-ID": Exercise(conduct_plans.turns_cut_off_or_not(), most=10),
    "R-TURNS": conversations(least_turns=2),
    "R-ISOLATION": Exercise(conduct_plans.all_crowds(), most=12),
    "R-STALE": Exercise(conduct_plans.cut_off_turns(), conduct_plans.cut_off_with_motion_to_come(), 10),
    "U-HANGUP": Exercise(conduct_plans.hang_ups(), conduct_plans.hang_ups_in_mid_turn(), 5),
    "R-SLOWCLIENT": Exercise(conduct_plans.slow_clients(), most=2),
    "R-BADINPUT": Exercise(conduct_plans.bad_clients(), conduct_plans.all_bad_clients(), 6),
    "S-TOKEN-WINDOW": server_plans.token_windows(),
    "S-TOKEN-KEY": server_plans.bad_keys(),
    "S-UPGRADE-REFUSED": server_plans.bad_upgrades(),
    "S-TOKEN-EXPIRY": server_plans.expiries(),
    "S-HANDSHAKE-REFUSED": server_plans.bad_handshakes(),
    "S-MOTION-COUNT": audible_conversations() | crowds(),
    "S-MOTION-SEGMENTS": server_plans.long_turns(),
    "S-EGRESS-SILENT": server_plans.egresses(),
    "S-INTERRUPT": server_plans.interrupts(),
}


def exercise_of(rule_id: str, *, thorough: bool = False) -> Exercise:
    """The plans from which the situation of that rule comes up; for a C rule they are client plans. Where a
    run is to be `thorough`, those in which a relay has nothing in particular to endure are joined by such in
    which it has everything to endure at once, and by speech that lasts a minute."""
    if find_rule(rule_id).subject == "client":
        return Exercise(client_plans_exercising(rule_id))
    found = _OTHER_THAN_ONE_CONVERSATION.get(rule_id)
    if found is None and find_rule(rule_id).subject == "relay":
        slowed = fault_plans.slowed(alone_or_not())
        drawn = (conversations(), crowds(), conduct_plans.interrupted_turns(), slowed)
        found = one_of(*drawn, combined_faults(), long_speeches()) if thorough else one_of(*drawn)
    if found is None:
        found = audible_conversations()
    return found if isinstance(found, Exercise) else Exercise(found)
