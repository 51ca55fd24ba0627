"""Judges a trace by all rules of its subject: one fault, one accusation."""

from collections.abc import Iterable, Sequence

from spatius_sim.rules.catalogue import UPSTREAM, Rule, Verdict, rules_for
from spatius_sim.rules.client import ids as client_ids
from spatius_sim.rules.client import motion as client_motion
from spatius_sim.rules.client import playback as client_playback
from spatius_sim.rules.client_needs import missing
from spatius_sim.rules.findings import Broken, Check, ClientCheck, Judgement, Kept, Late
from spatius_sim.rules.relay import audio as relay_audio
from spatius_sim.rules.relay import bad_clients as relay_manners
from spatius_sim.rules.relay import conversation as relay_conversation
from spatius_sim.rules.relay import failures as relay_faults
from spatius_sim.rules.relay import interrupts as relay_interrupts
from spatius_sim.rules.relay import latency as relay_latency
from spatius_sim.rules.relay import motion as relay_motion
from spatius_sim.rules.relay import secrets as relay_secrets
from spatius_sim.rules.relay import sizes as relay_sizes
from spatius_sim.rules.relay import upstream, upstream_audio
from spatius_sim.rules.scope import beyond
from spatius_sim.rules.server import gate as server_gate
from spatius_sim.rules.server import motion as server_motion
from spatius_sim.rules.server import session as server_session
from spatius_sim.story.client_join import join_client
from spatius_sim.story.join import join
from spatius_sim.trace.events import Trace

CHECKS: dict[str, Check] = {
    **server_gate.CHECKS,
    **server_session.CHECKS,
    **server_motion.CHECKS,
    **upstream.CHECKS,
    **upstream_audio.CHECKS,
    **relay_motion.CHECKS,
    **relay_audio.CHECKS,
    **relay_conversation.CHECKS,
    **relay_interrupts.CHECKS,
    **relay_manners.CHECKS,
    **relay_secrets.CHECKS,
    **relay_faults.CHECKS,
    **relay_sizes.CHECKS,
    **relay_latency.CHECKS,
}


CLIENT_CHECKS: dict[str, ClientCheck] = {
    **client_ids.CHECKS,
    **client_motion.CHECKS,
    **client_playback.CHECKS,
}


def judge(trace: Trace) -> dict[str, Judgement]:
    """Every rule of the trace's subject. A rule that presumes a broken one is not judged on this trace."""
    judgements: dict[str, Judgement] = {}
    if trace.header.subject == "client":
        client_story = join_client(trace)
        for rule in rules_for("client"):
            outcomes = CLIENT_CHECKS[rule.id](client_story)
            lacking = missing(rule.id, client_story)
            judgements[rule.id] = _judge(rule, lacking, "", outcomes, judgements)
        return judgements
    story = join(trace)
    for rule in rules_for(trace.header.subject):
        lacking = [feature for feature in rule.needs if feature in trace.header.lacks]
        unseen = beyond(rule.id, story)
        if unseen and UPSTREAM in trace.header.lacks:
            lacking = [UPSTREAM]
        judgements[rule.id] = _judge(rule, lacking, unseen, CHECKS[rule.id](story), judgements)
    return judgements


def _judge(
    rule: Rule,
    lacking: Sequence[str],
    unseen: str,
    outcomes_of: Iterable[Kept | Broken | Late],
    before: dict[str, Judgement],
) -> Judgement:
    if lacking:
        reason = f"the subject lacks {', '.join(lacking)}"
        return Judgement(rule.id, Verdict.NOT_APPLICABLE, reason=reason)
    guilty = _guilty(rule, before)
    if guilty:
        reason = f"not judged where {', '.join(guilty)} failed"
        return Judgement(rule.id, Verdict.UNEXERCISED, reason=reason, blocked_by=guilty)
    if unseen:
        return Judgement(rule.id, Verdict.UNEXERCISED, reason=unseen)
    outcomes = list(outcomes_of)
    broken = tuple(outcome for outcome in outcomes if isinstance(outcome, Broken))
    late = [outcome.seconds for outcome in outcomes if isinstance(outcome, Late)]
    exercised = len(outcomes) - len(late)
    if broken:
        return Judgement(rule.id, Verdict.FAILED, exercised, broken)
    if exercised:
        measured = (o.measured for o in outcomes if isinstance(o, Kept) and o.measured is not None)
        return Judgement(rule.id, Verdict.PASSED, exercised, measurements=tuple(measured))
    if late:
        reason = f"the kit itself was late by {max(late):.1f} s: a quieter machine can tell"
        return Judgement(rule.id, Verdict.INCONCLUSIVE, reason=reason)
    return Judgement(rule.id, Verdict.UNEXERCISED, reason="its situation never came up")


def _guilty(rule: Rule, before: dict[str, Judgement]) -> tuple[str, ...]:
    """The failed rules that this one presumes, directly or through one that they kept from being judged."""
    guilty: dict[str, None] = {}
    for name in rule.presumes:
        if before[name].verdict is Verdict.FAILED:
            guilty[name] = None
        guilty |= dict.fromkeys(before[name].blocked_by)
    return tuple(guilty)
