"""Selects the rules that a run judges, by their ids or by their level."""

from collections.abc import Collection

from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import RULES
from spatius_sim.rules.rule import Level


def levels_judged_at(level: str) -> tuple[Level, ...]:
    """Return the levels of the rules that a run judges if `--level LEVEL` is given: this level and all
    stricter ones (`may` is every level, `must` only MUST). Raises UsageError, which suggests names, if there
    is no such level."""
    level_names = [known_level.lower() for known_level in Level]
    if level not in level_names:
        raise UsageError(f"--level {level}: no level is named {level!r}: {suggest_names(level, level_names)}")
    return tuple(Level)[: level_names.index(level) + 1]


def rules_to_judge(named_rules: Collection[str], level: str) -> frozenset[str]:
    """Return the ids of the rules that were named; if none was, of all rules that this level selects. Raises
    UsageError if there is no such level."""
    levels = levels_judged_at(level)
    return frozenset(named_rules or (rule_id for rule_id, judged in RULES.items() if judged.level in levels))
