"""Judges a trace by all rules of its subject, so that one fault makes one accusation."""

from collections.abc import Iterable, Sequence

from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Broken, Judgement, Kept, Late, Verdict
from spatius_sim.rules.rule import MODES, Half, Rule, Speech
from spatius_sim.story.client_story import ClientStory
from spatius_sim.story.join_client_calls import join_client
from spatius_sim.story.join_turns import Story, join
from spatius_sim.trace.events import Trace
from spatius_sim.wires.features import UPSTREAM


def judge(trace: Trace) -> dict[str, Judgement]:
    """Judge the trace by every rule of its subject. A rule that presumes a broken rule is not judged on this
    trace."""
    judgements: dict[str, Judgement] = {}
    if trace.header.subject == "client":
        client_story = join_client(trace)
        for rule in rules_for("client"):
            outcomes = rule.check(client_story)
            lacking = _features_client_lacks(rule, client_story)
            judgements[rule.id] = _judge_rule(rule, lacking, "", outcomes, judgements)
        return judgements
    story = join(trace)
    for rule in rules_for(trace.header.subject):
        lacking = [feature for feature in rule.needs if feature in trace.header.lacks]
        unseen = _why_unseen(rule, story)
        if unseen and UPSTREAM in trace.header.lacks:
            lacking = [UPSTREAM]
        judgements[rule.id] = _judge_rule(rule, lacking, unseen, rule.check(story), judgements)
    return judgements


def _judge_rule(
    rule: Rule,
    lacking: Sequence[str],
    unseen: str,
    found: Iterable[Kept | Broken | Late],
    before: dict[str, Judgement],
) -> Judgement:
    """Judge one rule by its outcomes, unless the subject lacks a feature, a presumed rule failed, or the
    trace cannot show the rule."""
    if lacking:
        reason = f"the subject lacks {', '.join(lacking)}"
        return Judgement(rule.id, Verdict.NOT_APPLICABLE, reason=reason)
    guilty = _failed_presumptions(rule, before)
    if guilty:
        reason = f"not judged where {', '.join(guilty)} failed"
        return Judgement(rule.id, Verdict.UNEXERCISED, reason=reason, blocked_by=guilty)
    if unseen:
        return Judgement(rule.id, Verdict.UNEXERCISED, reason=unseen)
    outcomes = list(found)
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


def _failed_presumptions(rule: Rule, before: dict[str, Judgement]) -> tuple[str, ...]:
    """List the failed rules that this rule presumes, directly or through a rule that could not be judged."""
    guilty: dict[str, None] = {}
    for name in rule.presumes:
        if before[name].verdict is Verdict.FAILED:
            guilty[name] = None
        guilty |= dict.fromkeys(before[name].blocked_by)
    return tuple(guilty)


def _features_client_lacks(rule: Rule, story: ClientStory) -> list[str]:
    """List the features that the rule needs and the client lacks."""
    lacking = [name for name in ("reset", "yieldAudioData", *rule.needs) if name in story.lacks]
    if MODES in rule.needs and not story.modes:
        lacking.append("the modes audioIndependent and strictSync")
    return lacking


def _why_unseen(rule: Rule, story: Story) -> str:
    """Say why this rule cannot be judged on this trace; "" if it can. Nobody is accused of the absence of
    what the trace could not show, or of what was taken out of the tape."""
    header = story.trace.header
    if header.halves not in (Half.BOTH, rule.seen_in):
        return f"the tape holds the {header.halves} half alone"
    if header.speech or rule.speech is Speech.NOT_COMPARED:
        return ""
    # On the tape of a proxy every request counts as a turn of its own.
    apart = len(story.turns) == 1 or header.halves == Half.UPSTREAM
    return "" if rule.speech is Speech.TELLS_TURNS_APART and apart else "the tape holds no speech"
