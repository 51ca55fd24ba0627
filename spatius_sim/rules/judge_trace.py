"""Judges a trace by all rules of its subject. A rule that presumes a failed rule is not judged. If the
subject died, no rule is judged but the one that tells it."""

from collections.abc import Iterable

from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Broken, Judgement, Kept, Late, Unsure, Verdict
from spatius_sim.rules.relay.failures import check_recovery, check_signs_of_life
from spatius_sim.rules.rule import MODES, Half, Outcome, Rule, Speech, describe_lacking
from spatius_sim.rules.subtract_kit_stalls import describe_lateness
from spatius_sim.story.build_client_story import build_client_story
from spatius_sim.story.build_story import build_story
from spatius_sim.story.client_story import ClientStory
from spatius_sim.story.room_story import join_rooms
from spatius_sim.story.turn_story import Story
from spatius_sim.trace.events import Trace
from spatius_sim.wires.optional_features import UPSTREAM


def judge(trace: Trace) -> dict[str, Judgement]:
    """Return the judgement of every rule for the subject of this trace, by rule id. A rule that presumes a
    broken rule is not judged on this trace. If the subject died in the trace, only the rule about its death
    is judged."""
    judgements: dict[str, Judgement] = {}
    if trace.header.subject == "client":
        client_story = build_client_story(trace)
        for rule in rules_for("client"):
            outcomes = rule.check(client_story)
            reason = describe_lacking(_list_features_client_lacks(rule, client_story))
            judgements[rule.id] = judge_rule(rule, reason, "", outcomes, judgements)
        return judgements
    if trace.header.subject == "room":
        room_sessions = join_rooms(trace)
        for rule in rules_for("room"):
            reason = rule.explain_not_applicable(trace.header.lacks)
            judgements[rule.id] = judge_rule(rule, reason, "", rule.check(room_sessions), judgements)
        return judgements
    story = build_story(trace)
    death_rule = _find_rule_broken_by_death(story)
    for rule in rules_for(trace.header.subject):
        if death_rule not in ("", rule.id):
            judgements[rule.id] = _make_unjudged(rule, (death_rule,))
            continue
        reason = rule.explain_not_applicable(trace.header.lacks)
        unseen = _explain_unseen(rule, story)
        if unseen and UPSTREAM in trace.header.lacks:
            reason = describe_lacking([UPSTREAM])
        judgements[rule.id] = judge_rule(rule, reason, unseen, rule.check(story), judgements)
    return judgements


def judge_rule(
    rule: Rule,
    inapplicable_reason: str,
    unseen_reason: str,
    outcomes: Iterable[Outcome],
    judgements: dict[str, Judgement],
) -> Judgement:
    """Return the judgement of one rule on a trace. The outcomes of its check decide only if three things
    hold. The rule applies to the subject (`inapplicable_reason` is ""), no presumed rule failed, and the
    trace can show the rule (`unseen_reason` is "")."""
    if inapplicable_reason:
        return Judgement(rule.id, Verdict.NOT_APPLICABLE, reason=inapplicable_reason)
    failed_rules = _find_failed_presumptions(rule, judgements)
    if failed_rules:
        looks_broken = not unseen_reason and any(isinstance(outcome, Broken) for outcome in outcomes)
        return _make_unjudged(rule, failed_rules, looks_broken=looks_broken)
    if unseen_reason:
        return Judgement(rule.id, Verdict.UNEXERCISED, reason=unseen_reason)
    outcome_list = list(outcomes)
    broken = tuple(outcome for outcome in outcome_list if isinstance(outcome, Broken))
    late_seconds = [outcome.seconds for outcome in outcome_list if isinstance(outcome, Late)]
    unsure = [outcome for outcome in outcome_list if isinstance(outcome, Unsure)]
    exercised = len(outcome_list) - len(late_seconds) - len(unsure)
    if broken:
        return Judgement(rule.id, Verdict.FAILED, exercised, broken)
    if unsure:
        return Judgement(rule.id, Verdict.INCONCLUSIVE, reason=unsure[0].reason)
    if exercised:
        measurements = (
            outcome.measured
            for outcome in outcome_list
            if isinstance(outcome, Kept) and outcome.measured is not None
        )
        return Judgement(rule.id, Verdict.PASSED, exercised, measurements=tuple(measurements))
    if late_seconds:
        return Judgement(rule.id, Verdict.INCONCLUSIVE, reason=describe_lateness(max(late_seconds)))
    return Judgement(rule.id, Verdict.UNEXERCISED, reason="its situation never came up")


def _make_unjudged(rule: Rule, failed_rules: tuple[str, ...], *, looks_broken: bool = False) -> Judgement:
    """Return the judgement UNEXERCISED of a rule that is not judged, because the rules `failed_rules`, which
    must hold before it can be judged, failed. `looks_broken`: whether its check found a breach."""
    return Judgement(
        rule.id,
        Verdict.UNEXERCISED,
        reason=f"not judged where {', '.join(failed_rules)} failed",
        blocked_by=failed_rules,
        looks_broken=looks_broken,
    )


def _find_rule_broken_by_death(story: Story) -> str:
    """Return the id of the rule that the relay broke by dying; "" if it did not die (`story.lost`). This is
    the rule on signs of life, or on recovery if the relay died after a failure of Motion Server. No other
    rule is judged on such a trace."""
    if not story.lost or story.trace.header.subject != "relay":
        return ""
    if any(isinstance(outcome, Broken) for outcome in check_signs_of_life.check(story)):
        return check_signs_of_life.id
    return check_recovery.id


def _find_failed_presumptions(rule: Rule, judgements: dict[str, Judgement]) -> tuple[str, ...]:
    """Return the ids of the failed rules that this rule presumes. If it presumes a rule that was not judged,
    the failed rules that blocked that one are included."""
    failed_rules: dict[str, None] = {}
    for presumed_id in rule.presumes:
        if judgements[presumed_id].verdict is Verdict.FAILED:
            failed_rules[presumed_id] = None
        failed_rules |= dict.fromkeys(judgements[presumed_id].blocked_by)
    return tuple(failed_rules)


def _list_features_client_lacks(rule: Rule, story: ClientStory) -> list[str]:
    """Return the features that this client rule needs, and that the client of the story lacks. Every client
    rule needs `reset` and `yieldAudioData`."""
    lacking = [feature for feature in ("reset", "yieldAudioData", *rule.needs) if feature in story.lacks]
    if MODES in rule.needs and not story.modes:
        lacking.append("the modes audioIndependent and strictSync")
    return lacking


def _explain_unseen(rule: Rule, story: Story) -> str:
    """Return in words why this trace cannot show whether the rule was kept; "" if it can. A recorded trace (a
    tape) may hold only one half of the traffic, upstream or downstream of the relay, and the rule may need
    the other. Or the rule needs the speech, and the tape does not hold it."""
    header = story.trace.header
    if header.halves not in (Half.BOTH, rule.seen_in):
        return f"the tape holds the {header.halves} half alone"
    if header.speech or rule.speech is Speech.NOT_COMPARED:
        return ""
    # On the tape of a proxy every request counts as a turn of its own.
    has_one_turn = len(story.turns) == 1 or header.halves == Half.UPSTREAM
    return "" if rule.speech is Speech.TELLS_TURNS_APART and has_one_turn else "the tape holds no speech"
