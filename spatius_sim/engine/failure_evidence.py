"""Makes the failure that every report shows from a broken rule and its trace."""

from pathlib import Path

from spatius_sim.reporting.player.runs_to_player_data import build_failure
from spatius_sim.reporting.player.write_player_page import compress_player_data
from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.timeline.build_timeline import timeline_of
from spatius_sim.reporting.timeline.client_dialogue import write_dialogue
from spatius_sim.reporting.timeline.event_lines import event_lines
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.rules.findings import Broken
from spatius_sim.trace.events import Closed, Lane, Received, Refused, TokenRequested, Trace
from spatius_sim.wires.events import Failed, NotUnderstood

_MAX_EVENTS = 6
_LINES_IN_TEXT = 3
"""So many events, the first that the rule names, stand in a text; they are in the order in which they
happened."""
_HTTP_OK = 200


def failure_of(broken: Broken, trace: Trace, scenario: str, tape: Path, *, confirmed: bool) -> Failure:
    """Return the failure of a rule that was broken in this trace, with the evidence that every report
    shows. `tape` is the file where the trace is saved. `confirmed`: whether the rule was broken again when
    the scenario was repeated."""
    evidence_seqs = broken.events
    in_text, beside = evidence_seqs[:_LINES_IN_TEXT], evidence_seqs[_LINES_IN_TEXT:_MAX_EVENTS]
    shown_seqs = (*sorted(in_text), *sorted(beside))
    lines = {line.event.seq: line for line in event_lines(trace)}
    return Failure(
        broken.expected,
        broken.actual + describe_unread_messages(trace),
        scenario,
        str(tape),
        confirmed,
        write_dialogue(trace, evidence_seqs),
        tuple(str(lines[seq]) for seq in shown_seqs if seq in lines),
        timeline_of(trace, evidence_seqs, broken.owed),
        player=pack_player_data(trace, broken),
    )


def pack_player_data(trace: Trace, broken: Broken) -> str:
    """Return a part of a failure's evidence: the data from which a report's player shows how a rule was
    broken in this trace, packed into one text; "" if there is nothing to show."""
    timeline = timeline_of(trace, broken.events, broken.owed)
    if timeline is None:
        return ""
    ghosts = [mark for mark in timeline.marks if mark.kind is MarkKind.GHOST]
    return compress_player_data(build_failure(trace, frozenset(broken.events), ghosts))


def explain_missing_turns(trace: Trace) -> str:
    """Return in words, as evidence for a failure, why the subject may have completed no turn: the first
    trouble in the trace or, if there is none, what the user can do."""
    if trouble := describe_first_trouble(trace):
        return trouble
    if trace.header.subject == "server":
        return "it gave no motion for any audio"
    advice = "no audio reached our Motion Server; point the relay there with the environment above"
    return advice + describe_unread_messages(trace)


def describe_first_trouble(trace: Trace) -> str:
    """Return in words why the subject may have failed, as evidence from the trace: it was refused a
    connection or a token, closed its connection, or reported an error. Only the first of these reasons that
    the trace shows is returned; "" if it shows none."""
    refused = [event.content for event in trace.events if isinstance(event.content, Refused)]
    if refused and not refused[0].status:
        return f"it reached Motion Server, which did not answer the upgrade: {refused[0].reason}"
    if refused:
        return f"it reached Motion Server, which refused it: HTTP {refused[0].status} {refused[0].reason}"
    for event in trace.on_lane(Lane.CONSOLE):
        if isinstance(event.content, TokenRequested) and event.content.status != _HTTP_OK:
            return f"its token request was refused with HTTP {event.content.status}"
    for event in trace.on_lane(Lane.DOWNSTREAM):
        if isinstance(event.content, Closed) and not event.content.by_kit:
            return f"it closed the connection with code {event.content.code}" + describe_unread_messages(
                trace
            )
        if isinstance(event.content, Received) and isinstance(event.content.value, Failed):
            return f"it said: {event.content.value.message}"
    return ""


def find_unread_reasons(trace: Trace) -> list[str]:
    """Return, as evidence for a failure, why messages of the relay could not be read on the relay's wire: one
    reason for each such message, in their order."""
    return [
        event.content.value.reason
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.content, Received) and isinstance(event.content.value, NotUnderstood)
    ]


def describe_unread_messages(trace: Trace) -> str:
    """Return in brackets, to be put after another text, how many messages of the relay were not understood,
    and why the first was not; "" if all were understood."""
    reasons = find_unread_reasons(trace)
    return f" ({len(reasons)} messages were not understood; the first: {reasons[0]})" if reasons else ""
