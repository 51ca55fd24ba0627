"""Says which injected faults of Motion Server fell into each turn, and which of them excuse a relay: the
failures."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from spatius_sim.protocol.messages import ConfirmSession
from spatius_sim.story.turn_story import Turn
from spatius_sim.trace.events import Event, Excuse, Injected, Lane, Opened, Sent, Trace

LONGEST_BORNE_DELAY = 4.0
"""Seconds for which Motion Server may be silent in one turn without an excuse for its relay: spoken at
real-time pace, its segments lie that far apart (the recording)."""

_NS_PER_SECOND = 1e9


def set_faults_and_failures(trace: Trace, turns: list[Turn]) -> None:
    """Set `faults` and `failures` of each turn. Faults are what the kit injected between the end of the
    previous turn and the end of the wait for this turn. Failures are those faults that excuse a relay."""
    injected = [event for event in trace.on_lane(Lane.KIT) if isinstance(event.content, Injected)]
    for turn in turns:
        end_seq = turn.until_seq if turn.waited_seq is None else turn.waited_seq
        turn.faults = [event for event in injected if turn.since_seq < event.seq < end_seq]
        turn.failures = select_failures(turn.faults, trace.events)


def leave_out_faults_elsewhere(trace: Trace, turns: list[Turn]) -> None:
    """Leave out of each turn the faults that the kit injected on other connections to Motion Server, while
    the turn itself had an open session: they are faults of other clients' turns, and excuse nothing here.
    Which session a turn had must show in its audio.

    What happened before this session opened may have kept it from opening, wherever it was. But no delay did
    that was still going on, on a connection with the audio of other turns.

    A session of this turn that never came to carry audio, because it was not confirmed, shows no turn. It
    counts as the turn's own if there is one client, or if the turn has more than one session. A session that
    was refused counts as the turn's own if no turn of another client was waiting for a session then."""
    upstream_events = list(trace.on_lane(Lane.UPSTREAM)) if any(turn.faults for turn in turns) else []
    opened_seqs = {
        event.connection: event.seq for event in upstream_events if isinstance(event.content, Opened)
    }
    connections = {event.connection for event in upstream_events}
    with_audio = {request.connection for turn in turns for request in turn.requests}
    is_only_client = len({turn.client for turn in turns}) == 1
    for turn in turns:
        own = {request.connection for request in turn.requests if request.found_by_audio}
        if not turn.faults or not own <= opened_seqs.keys():
            continue
        opened_seq = max((opened_seqs[connection] for connection in own), default=len(trace.events))
        opened_at_ns = max((trace.events[opened_seqs[connection]].at_ns for connection in own), default=None)
        elsewhere = connections - own
        if is_only_client or len(own) > 1:
            elsewhere -= {
                connection
                for connection in opened_seqs.keys() - with_audio
                if turn.started_seq < opened_seqs[connection] < turn.until_seq
            }
        turn.faults = [
            fault
            for fault in turn.faults
            if fault.connection not in elsewhere
            or not (
                fault.connection in with_audio and _outlasts(fault, opened_at_ns)
                if fault.seq < opened_seq
                else fault.connection in opened_seqs
                or _does_other_turn_wait_for_session(fault.seq, turn, turns, opened_seqs)
            )
        ]
        turn.failures = select_failures(turn.faults, trace.events)


def _outlasts(fault: Event, at_ns: int | None) -> bool:
    """Return whether a fault is a delay that was not over at this time; False if `at_ns` is None (never)."""
    assert isinstance(fault.content, Injected)
    return at_ns is not None and fault.at_ns + fault.content.delay * _NS_PER_SECOND > at_ns


def _does_other_turn_wait_for_session(
    seq: int, turn: Turn, turns: list[Turn], opened_seqs: dict[str, int]
) -> bool:
    """Return whether a turn of another client had begun and was not over at event number `seq`, and had no
    session yet. If so, a session that was refused then may have been that turn's, and the refusal is no fault
    of `turn`. `opened_seqs` says which event opened each connection to Motion Server."""
    return any(
        other.client != turn.client
        and other.started_seq < seq < (other.waited_seq or other.until_seq)
        and not any(opened_seqs.get(request.connection, seq) < seq for request in other.requests)
        for other in turns
    )


def select_failures(faults: list[Event], events: Sequence[Event]) -> list[Event]:
    """Return those of a turn's injected faults that excuse a relay for an incomplete turn: the failures.
    Delays are returned, too, if they keep the relay without motion for longer than LONGEST_BORNE_DELAY.
    `events` are all events of the trace."""
    injected = [(event, event.content) for event in faults if isinstance(event.content, Injected)]
    delayed_too_long = (
        sum(content.delay for _, content in injected) > LONGEST_BORNE_DELAY
        and _find_longest_silence(faults, events) > LONGEST_BORNE_DELAY
    )
    return [
        event
        for event, content in injected
        if content.excuses is Excuse.FAILURE
        or (delayed_too_long and content.excuses is Excuse.LATENESS and content.delay)
    ]


def _find_longest_silence(faults: list[Event], events: Sequence[Event]) -> float:
    """Return for how many seconds at most the injected delays of a turn keep its relay without motion, to
    tell whether these faults excuse the relay.

    On each connection, all delays before its first motion add up: those of token requests (which have no
    connection, "", and count for every connection), those of its opening, and that of its first late
    response. After that, the time from each late response to the next is one silence."""
    confirmed_seqs = {
        event.connection: event.seq
        for event in events
        if isinstance(event.content, Sent) and isinstance(event.content.value, ConfirmSession)
    }
    opening_seconds: dict[str, float] = defaultdict(float)
    late_times: dict[str, list[float]] = defaultdict(list)
    for fault in faults:
        assert isinstance(fault.content, Injected)
        at_seconds = fault.at_ns / _NS_PER_SECOND
        if fault.seq < confirmed_seqs.get(fault.connection, len(events)):
            opening_seconds[fault.connection] += fault.content.delay
        else:
            late_times[fault.connection] += [] if late_times[fault.connection] else [at_seconds]
            late_times[fault.connection].append(at_seconds + fault.content.delay)
    longest = 0.0
    for connection in opening_seconds.keys() | late_times.keys():
        opening = opening_seconds[connection] + (opening_seconds[""] if connection else 0.0)
        first, *later = [after - before for before, after in pairwise(late_times[connection])] or [0.0]
        longest = max(longest, opening + first, *later)
    return longest
