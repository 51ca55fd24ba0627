"""Makes the failure that every report shows from a broken rule and its trace."""

from pathlib import Path

from spatius_sim.reporting.player.runs_to_player_data import build_failure
from spatius_sim.reporting.player.write_player_page import compress_player_data
from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.timeline.build_timeline import build_timeline
from spatius_sim.reporting.timeline.client_dialogue import write_dialogue
from spatius_sim.reporting.timeline.event_lines import event_lines
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.rules.findings import Broken
from spatius_sim.trace.events import Lane, Received, Trace
from spatius_sim.wires.events import NotUnderstood

_MAX_EVENTS = 6
_LINES_IN_TEXT = 3
"""So many events, the first that the rule names, stand in a text; they are in the order in which they
happened."""


def failure_of(broken: Broken, trace: Trace, scenario: str, tape: Path, *, confirmed: bool) -> Failure:
    """Return the failure of a rule that was broken in this trace, with the evidence that every report shows.
    `scenario` says in words what was done to the subject, and `tape` is the file where the trace is saved.
    `confirmed`: whether the rule was broken again when the scenario was repeated."""
    evidence_seqs = broken.events
    first_seqs, further_seqs = evidence_seqs[:_LINES_IN_TEXT], evidence_seqs[_LINES_IN_TEXT:_MAX_EVENTS]
    shown_seqs = (*sorted(first_seqs), *sorted(further_seqs))
    line_by_seq = {line.event.seq: line for line in event_lines(trace)}
    return Failure(
        broken.expected,
        broken.actual + describe_messages_not_understood(trace),
        scenario,
        str(tape),
        confirmed,
        write_dialogue(trace, evidence_seqs),
        tuple(str(line_by_seq[seq]) for seq in shown_seqs if seq in line_by_seq),
        build_timeline(trace, evidence_seqs, broken.owed),
        player=pack_player_data(trace, broken),
    )


def pack_player_data(trace: Trace, broken: Broken) -> str:
    """Return the data for the player, the part of the HTML report that plays back how a rule was broken in
    this trace. The data are packed into one text, which is "" if there is nothing to play. They also hold the
    marks of messages that should have come and never came (GHOST)."""
    timeline = build_timeline(trace, broken.events, broken.owed)
    if timeline is None:
        return ""
    marks_of_missing = [mark for mark in timeline.marks if mark.kind is MarkKind.GHOST]
    return compress_player_data(build_failure(trace, frozenset(broken.events), marks_of_missing))


def find_reasons_not_understood(trace: Trace) -> list[str]:
    """Return why the kit did not understand messages of the relay in this trace: one reason for each message
    that does not follow the relay's message format, in the order of the messages. Reports show the first."""
    return [
        event.content.value.reason
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if isinstance(event.content, Received) and isinstance(event.content.value, NotUnderstood)
    ]


def describe_messages_not_understood(trace: Trace) -> str:
    """Return in brackets, to be put after another text, how many messages of the relay were not understood,
    and why the first was not; "" if all were understood."""
    reasons = find_reasons_not_understood(trace)
    return f" ({len(reasons)} messages were not understood; the first: {reasons[0]})" if reasons else ""
