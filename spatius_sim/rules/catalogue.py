"""The catalogue as data. An id never changes its meaning and is never reused.

Source tags are explained at the head of every rule listing: `seed:NNN` and `docs:PAGE` are documents,
`recording`, `sdk-py`, `sdk-e2e` and `demos` are what published software was seen to do.
"""

from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules import catalogue_client, catalogue_relay, catalogue_server
from spatius_sim.rules.rule import Level, Provenance, Rule, Verdict
from spatius_sim.wires.features import EGRESS, FEATURES, IDS, KEYS, OWN_STREAM, OWN_UPSTREAM, UPSTREAM

__all__ = [
    "EGRESS",
    "FEATURES",
    "IDS",
    "KEYS",
    "OWN_STREAM",
    "OWN_UPSTREAM",
    "REVISION",
    "RULES",
    "UPSTREAM",
    "Level",
    "Provenance",
    "Rule",
    "Verdict",
    "rule",
    "rules_for",
]

REVISION = 3
"""Raised whenever a rule is added, retired or judged otherwise."""

RULES: dict[str, Rule] = {
    rule.id: rule for rule in (*catalogue_server.RULES, *catalogue_relay.RULES, *catalogue_client.RULES)
}
"""All rules by id, each behind those that it presumes."""


def rule(rule_id: str) -> Rule:
    """The rule of that id; raises UsageError for an unknown one."""
    try:
        return RULES[rule_id]
    except KeyError:
        raise UsageError(f"no rule has the id {rule_id!r}; `spatius-sim rules` lists them all") from None


def rules_for(subject: str) -> tuple[Rule, ...]:
    """The rules that judge a `relay`, a `server` or a `client`."""
    return tuple(candidate for candidate in RULES.values() if candidate.subject == subject)
