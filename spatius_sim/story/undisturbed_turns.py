"""Says which turns of a story are calm and clean, and which faults of Motion Server excuse a relay."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.protocol.messages import ConfirmSession
from spatius_sim.story.decoder_input import yield_decoder_input
from spatius_sim.story.turn_story import (
    ORDINARY_BYTES,
    Turn,
)
from spatius_sim.trace.events import (
    Closed,
    Event,
    Excuse,
    Injected,
    KitStalled,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Sent,
    Trace,
)
from spatius_sim.wires.events import Failed, InterruptTurn, Motion
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH

LONGEST_BORNE_DELAY = 4.0
"""Seconds for which Motion Server may be silent in one turn without an excuse for its relay: spoken at
real-time pace, its segments lie that far apart (the recording)."""

_LONGEST_STALL_SECONDS = 1.0
_NS_PER_SECOND = 1e9

_MISBEHAVIOUR = (Provoked(Provocation.RUBBISH), Provoked(Provocation.UNREAD))


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
            if fault.seq < opened_seq
            or fault.connection not in elsewhere
            or not (
                fault.connection in opened_seqs
                or _does_other_turn_wait_for_session(fault.seq, turn, turns, opened_seqs)
            )
        ]
        turn.failures = select_failures(turn.faults, trace.events)


def _does_other_turn_wait_for_session(
    seq: int, turn: Turn, turns: list[Turn], opened_seqs: dict[str, int]
) -> bool:
    """Return whether a turn of another client had begun and was not over at event number `seq`, and had no
    session yet. `opened_seqs` says which event opened each connection to Motion Server."""
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
    """Return for how many seconds delays keep a relay without motion. Delays add up until the first motion of
    a connection is due: those of its opening, and those of token requests. Token requests have no connection
    (""), so their delays count for every connection. After that, the time from one late response to the next
    counts."""
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


def set_calm_and_clean(trace: Trace, turns: list[Turn], output_rates: dict[str, int]) -> None:
    """Set `calm` and `clean` of each turn. `output_rates` are the sample rates (Hz) of the audio that clients
    get.

    A turn is calm if it is neither too short nor merged, and its client did not interrupt or hang up. The kit
    must also have waited for its end, before any client misbehaved. Clean turns are judged in full. They are
    calm, with payloads of ordinary size, and the relay repaired each failure in them. Their audio cannot be
    confused with that of the previous turn. If the kit stalled, they must be complete."""
    misbehaved_seq = find_first_misbehaviour_seq(trace)
    for turn in turns:
        disturbance_seqs = _find_interrupts_and_hang_ups(trace, turn.client)
        end_seq = turn.until_seq if turn.waited_seq is None else turn.waited_seq
        turn.calm = (
            turn.has_keyframe
            and not turn.merged
            and turn.waited_seq is not None
            and turn.waited_seq < misbehaved_seq
            and not any(turn.started_seq < seq < end_seq for seq in disturbance_seqs)
        )
        turn.clean = (
            turn.calm
            and (not turn.failures or _did_relay_repair_failures(trace, turn))
            and turn.largest <= ORDINARY_BYTES
            and (turn.complete or not _did_kit_stall(trace, turn.started_seq, end_seq))
            and not _may_be_confused_with_previous_turn(
                turn, output_rates, relay_chooses_speech=CLIENT_CHOOSES_SPEECH in trace.header.lacks
            )
        )


def find_first_misbehaviour_seq(trace: Trace) -> int:
    """Return the number of the first event at which the kit, as a relay's client, misbehaved on purpose: it
    sent rubbish, read nothing, or cut the connection. Return the number of all events if there is none.

    No turn after this event counts as clean. Other rules judge such turns: R-BADINPUT and R-SLOWCLIENT (bad
    input and slow clients harm no other client)."""
    misbehaviour_seqs = (
        event.seq
        for event in trace.events
        if event.content in _MISBEHAVIOUR
        or (event.lane is Lane.DOWNSTREAM and event.content == Closed(by_kit=True, code=ABNORMAL_CLOSE))
    )
    return next(misbehaviour_seqs, len(trace.events))


def correct_mistaken_waits(turns: list[Turn]) -> None:
    """Correct the turns for whose end the kit did not wait, though it seems so. Mark a turn as not waited for
    to its end, and as not complete, if more of its motion came after the kit had stopped waiting. This
    happens after an unfinished turn: the kit took the last motion of that turn for the end of this turn."""
    for turn in turns:
        previous_turn = turn.before
        if (
            previous_turn is not None
            and previous_turn.unfinished
            and turn.complete
            and turn.waited_seq is not None
        ):
            arrival_seqs = [
                delivery.seq
                for payload in turn.payloads
                for delivery in payload.deliveries
                if delivery.client == turn.client
            ]
            if max(arrival_seqs, default=0) > turn.waited_seq:
                turn.waited_seq, turn.complete = None, False


def _did_kit_stall(trace: Trace, first_seq: int, end_seq: int) -> bool:
    """Return whether the kit stalled for more than a second between these two events (by number), so that an
    incomplete turn is not clean. The kit's Motion Server stalls then, too, so a relay may have stopped
    waiting."""
    return any(
        isinstance(event.content, KitStalled) and event.content.seconds > _LONGEST_STALL_SECONDS
        for event in trace.on_lane(Lane.KIT)
        if first_seq < event.seq < end_seq
    )


def _did_relay_repair_failures(trace: Trace, turn: Turn) -> bool:
    """Return whether the relay repaired all failures of Motion Server in this turn, so that the client
    noticed nothing and the turn may be clean. The turn is complete, and the client was not told of a failure.
    Motion Server answered each request that began after the last failure. Each request that began before it
    was stopped early, without any motion."""
    last_failure = turn.failures[-1].seq
    decoder_input = yield_decoder_input(trace, turn.started_seq, turn.until_seq)
    return (
        turn.complete
        and not turn.has_lost_motion
        and any(request.answered for request in turn.requests)
        and all(
            request.answered
            if request.first_seq > last_failure
            else request.stopped_early and not request.payloads
            for request in turn.requests
        )
        and not any(
            event.connection == turn.client and _tells_failure(relay_event)
            for event, relay_event in decoder_input
        )
    )


def _tells_failure(relay_event: object) -> bool:
    """Return whether what a relay says tells its client that motion has failed: an error, or an empty list of
    motion."""
    return isinstance(relay_event, Failed) or (isinstance(relay_event, Motion) and not relay_event.payloads)


def _may_be_confused_with_previous_turn(
    turn: Turn, output_rates: dict[str, int], *, relay_chooses_speech: bool
) -> bool:
    """Return whether the kit may assign audio of this turn to the previous turn, or the other way round. It
    may if the previous turn was left unfinished, and nothing shows to which of the two turns audio belongs.

    This is the case if the relay changes the audio or its sample rate. It is also the case if the relay
    chooses the speech, and some audio without a turn id fits no turn. `output_rates` are the clients' sample
    rates (Hz)."""
    if turn.before is None or not turn.before.unfinished:
        return False
    resampled = output_rates.get(turn.client, turn.sample_rate) != turn.sample_rate
    unlabelled = (conversation for conversation in turn.conversations if not conversation.labelled)
    pieces = (piece for conversation in unlabelled for piece in conversation.pieces)
    return (
        resampled
        or not all(request.found_by_audio for request in turn.requests)
        or (relay_chooses_speech and any(piece.turn is None for piece in pieces))
    )


def _find_interrupts_and_hang_ups(trace: Trace, client: str) -> list[int]:
    """Return the numbers of the events at which the kit, as this client of a relay, interrupted a turn or
    closed the connection. A turn with one of these events is disturbed: it is not calm."""
    return [
        event.seq
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if event.connection == client
        and (
            (isinstance(event.content, Closed) and event.content.by_kit)
            or (isinstance(event.content, Sent) and isinstance(event.content.value, InterruptTurn))
        )
    ]
