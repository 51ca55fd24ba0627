"""Makes the failure that every report shows from a broken rule and its trace."""

from pathlib import Path

from spatius_sim.engine.messages_not_understood import describe_messages_not_understood
from spatius_sim.reporting.player.runs_to_player_data import build_failure
from spatius_sim.reporting.player.write_player_page import compress_player_data
from spatius_sim.reporting.summary import Failure
from spatius_sim.reporting.timeline.build_timeline import build_timeline
from spatius_sim.reporting.timeline.client_dialogue import write_dialogue
from spatius_sim.reporting.timeline.event_lines import event_lines
from spatius_sim.reporting.timeline.timeline import MarkKind
from spatius_sim.rules.findings import Broken
from spatius_sim.trace.events import Trace

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
        player=pack_evidence_for_player(trace, broken),
    )


def pack_evidence_for_player(trace: Trace, broken: Broken) -> str:
    """Return the evidence of a failure that can be played back, packed into one text: the HTML report has a
    player that shows how the rule was broken in this trace. Return "" if there is nothing to play. The
    evidence also marks each message that should have come and never came (GHOST)."""
    timeline = build_timeline(trace, broken.events, broken.owed)
    if timeline is None:
        return ""
    marks_of_missing = [mark for mark in timeline.marks if mark.kind is MarkKind.GHOST]
    return compress_player_data(build_failure(trace, frozenset(broken.events), marks_of_missing))
