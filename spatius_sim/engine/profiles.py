"""Profiles: how thorough a run is, and what it promises to exercise."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import RULES, find_rule
from spatius_sim.rules.rule import Level

DEFAULT_PROFILE = "ci"
DEFAULT_LEVEL = "may"
_FIXED_SEED = 1
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Profile:
    """`plans` for each rule, or `client_plans` if a client is judged, for they cost no waiting; at most
    `shrink_seconds` go into making a failing plan smaller. What `promises` names must be exercised. A profile
    without `patience` leaves out the rules that need a wait, and one without a `fixed_seed` draws a seed of
    its own if none is given. A `thorough` one has relays endure all at once, and speech of a minute."""

    name: str
    plans: int
    client_plans: int
    shrink_seconds: float
    promises: frozenset[Level]
    patience: bool = True
    fixed_seed: bool = True
    thorough: bool = False

    def seed(self) -> int:
        """The seed if none is given: always the same one, or one of many."""
        return _FIXED_SEED if self.fixed_seed else secrets.randbelow(_SEEDS)

    def requires(self, rule_id: str) -> bool:
        """Whether a run without it is no pass."""
        return find_rule(rule_id).level in self.promises and not self.leaves_out(rule_id)

    def leaves_out(self, rule_id: str) -> str:
        """Why the profile does not exercise that rule; "" if it does."""
        wait = find_rule(rule_id).waits
        if self.patience or not wait:
            return ""
        return f"the {self.name} profile leaves it out, for {wait}: take --profile {DEFAULT_PROFILE}"


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("smoke", 2, 6, 2.0, frozenset({Level.MUST}), patience=False),
        Profile("ci", 20, 60, 5.0, frozenset({Level.MUST})),
        Profile("nightly", 200, 600, 60.0, frozenset(Level), fixed_seed=False, thorough=True),
    )
}


def profile_named(name: str) -> Profile:
    """The profile of that name; raises UsageError if there is none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(
            f"--profile {name}: no profile is named {name!r}: there are {', '.join(PROFILES)}"
        ) from None


def judged_at(level: str) -> tuple[Level, ...]:
    """The levels that are judged at that one: itself and what binds more. Raises UsageError if there is
    none."""
    names = [one.lower() for one in Level]
    if level not in names:
        raise UsageError(f"--level {level}: no level is named {level!r}: there are {', '.join(names)}")
    return tuple(Level)[: names.index(level) + 1]


def rules_to_judge(named: Collection[str], level: str) -> frozenset[str]:
    """The ids of the rules that were named or, if none was, of all rules at that level; raises UsageError
    if there is no such level."""
    levels = judged_at(level)
    return frozenset(named or (rule_id for rule_id, judged in RULES.items() if judged.level in levels))
