"""Profiles: how thorough a run is, and what it promises to exercise."""

import secrets
from dataclasses import dataclass

from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import find_rule
from spatius_sim.rules.rule import Level

DEFAULT_PROFILE = "ci"
DEFAULT_LEVEL = "may"
_FIXED_SEED = 1
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Profile:
    """How thorough a run is. Each rule is judged over so many `plans`, or `client_plans` if a client is
    judged, because those cost no waiting. At most `shrink_seconds` go into making a failing plan smaller.

    A run must exercise every rule at the levels in `promises`. Without `patience`, rules that need a wait are
    left out. Without `fixed_seed`, a seed is drawn if none is given. A `thorough` profile adds harder plans
    for relays: everything at once, and a minute of speech.
    """

    name: str
    plans: int
    client_plans: int
    shrink_seconds: float
    promises: frozenset[Level]
    patience: bool = True
    fixed_seed: bool = True
    thorough: bool = False

    def seed(self) -> int:
        """Return the seed of a run that was given none: the fixed seed, or a random one."""
        return _FIXED_SEED if self.fixed_seed else secrets.randbelow(_SEEDS)

    def requires(self, rule_id: str) -> bool:
        """Return whether a run that does not exercise this rule is not a pass."""
        return find_rule(rule_id).level in self.promises and not self.why_left_out(rule_id)

    def why_left_out(self, rule_id: str) -> str:
        """Return a sentence that says why a run with this profile does not judge the rule; "" if it judges
        the rule. A profile without patience does not judge a rule that needs a long wait."""
        wait_reason = find_rule(rule_id).waits
        if self.patience or not wait_reason:
            return ""
        return f"the {self.name} profile leaves it out, for {wait_reason}: take --profile {DEFAULT_PROFILE}"


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            "smoke",
            plans=2,
            client_plans=6,
            shrink_seconds=2.0,
            promises=frozenset({Level.MUST}),
            patience=False,
        ),
        Profile("ci", plans=20, client_plans=60, shrink_seconds=5.0, promises=frozenset({Level.MUST})),
        Profile(
            "nightly",
            plans=200,
            client_plans=600,
            shrink_seconds=60.0,
            promises=frozenset(Level),
            fixed_seed=False,
            thorough=True,
        ),
    )
}


def profile_named(name: str) -> Profile:
    """Return the profile with this name, as `--profile NAME` chooses it; a profile says how thorough a run
    is. Raises UsageError, which suggests similar names, if no profile has this name."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(
            f"--profile {name}: no profile is named {name!r}: {suggest_names(name, PROFILES)}"
        ) from None
