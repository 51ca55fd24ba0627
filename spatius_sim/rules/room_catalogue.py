"""Lists the E rules, in the order in which they are judged, and judges a trace by them.

They stand beside the catalogue, because they judge a room: a Motion Server's egress, an agent with our
server, or a relay that publishes by itself."""

from spatius_sim.rules.catalogue import in_order
from spatius_sim.rules.egress import joining, showing, telling
from spatius_sim.rules.findings import Judgement
from spatius_sim.rules.judge_trace import judge_rule
from spatius_sim.story.room_story import join_rooms
from spatius_sim.trace.events import Trace

ROOM_RULES = in_order(
    (
        joining.refused,  # E-REFUSED
        joining.joins,  # E-JOIN
        joining.leaves,  # E-LEAVE
        joining.tracks,  # E-TRACKS
        joining.data_limit,  # E-LIMIT
        joining.late_viewer,  # E-LATE
        showing.sound,  # E-SOUND
        showing.count,  # E-COUNT
        showing.order,  # E-ORDER
        showing.marks,  # E-MARKS
        showing.verbatim,  # E-VERBATIM
        showing.sync,  # E-SYNC
        telling.playback,  # E-PLAYBACK
        telling.interrupt,  # E-INTERRUPT
    )
)
"""The E rules by id, each after those that it presumes."""


def judge_rooms(trace: Trace) -> dict[str, Judgement]:
    """Return the judgement of every E rule on a trace, by rule id."""
    rooms = join_rooms(trace)
    judgements: dict[str, Judgement] = {}
    for rule_id, rule in ROOM_RULES.items():
        judgements[rule_id] = judge_rule(rule, (), "", rule.check(rooms), judgements)
    return judgements
