"""Judges a trace by all rules of its subject: one fault, one accusation."""

from spatius_sim.model.trace import Trace
from spatius_sim.rules import (
    relay_audio,
    relay_conversation,
    relay_motion,
    relay_secrets,
    server_motion,
    upstream,
)
from spatius_sim.rules.catalogue import Rule, Verdict, rules_for
from spatius_sim.rules.findings import Broken, Check, Judgement
from spatius_sim.rules.scope import beyond
from spatius_sim.rules.turns import Story, join

CHECKS: dict[str, Check] = {
    **server_motion.CHECKS,
    **upstream.CHECKS,
    **relay_motion.CHECKS,
    **relay_audio.CHECKS,
    **relay_conversation.CHECKS,
    **relay_secrets.CHECKS,
}


def judge(trace: Trace) -> dict[str, Judgement]:
    """Every rule of the trace's subject. A rule that presumes a broken one is not judged on this trace."""
    story = join(trace)
    judgements: dict[str, Judgement] = {}
    for rule in rules_for(trace.header.subject):
        judgements[rule.id] = _judge(rule, story, judgements)
    return judgements


def _judge(rule: Rule, story: Story, before: dict[str, Judgement]) -> Judgement:
    guilty = _guilty(rule, before)
    if guilty:
        reason = f"not judged where {', '.join(guilty)} failed"
        return Judgement(rule.id, Verdict.UNEXERCISED, reason=reason, blocked_by=guilty)
    unseen = beyond(rule.id, story)
    if unseen:
        return Judgement(rule.id, Verdict.UNEXERCISED, reason=unseen)
    outcomes = list(CHECKS[rule.id](story))
    broken = tuple(outcome for outcome in outcomes if isinstance(outcome, Broken))
    if broken:
        return Judgement(rule.id, Verdict.FAILED, len(outcomes), broken)
    if outcomes:
        return Judgement(rule.id, Verdict.PASSED, len(outcomes))
    return Judgement(rule.id, Verdict.UNEXERCISED, reason="its situation never came up")


def _guilty(rule: Rule, before: dict[str, Judgement]) -> tuple[str, ...]:
    """The failed rules that this one presumes, directly or through one that they kept from being judged."""
    guilty: dict[str, None] = {}
    for name in rule.presumes:
        if before[name].verdict is Verdict.FAILED:
            guilty[name] = None
        guilty |= dict.fromkeys(before[name].blocked_by)
    return tuple(guilty)
