"""Says which turns of a story are calm and clean, and which faults of Motion Server excuse a relay."""

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.story.decoder_input import client_hears
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
    Provocation,
    Provoked,
    Sent,
    Trace,
)
from spatius_sim.wires.events import Failed, InterruptTurn, Motion
from spatius_sim.wires.optional_features import CLIENT_AUDIO

LONGEST_BORNE_DELAY = 4.0
"""Seconds that Motion Server may hold back in one turn without an excuse for its relay: spoken at real-time
pace, its segments lie that far apart (the recording)."""

_LONGEST_STALL_SECONDS = 1.0

_MISBEHAVIOUR = (Provoked(Provocation.RUBBISH), Provoked(Provocation.UNREAD))


def set_failures(trace: Trace, turns: list[Turn]) -> None:
    """Set in each turn which faults the kit injected, and which of them are failures. A failure excuses the
    relay, so a turn with a failure is not clean."""
    injected = [event for event in trace.on_lane(Lane.KIT) if isinstance(event.content, Injected)]
    for turn in turns:
        end = turn.until_seq if turn.waited_seq is None else turn.waited_seq
        turn.faults = [event for event in injected if turn.since_seq < event.seq < end]
        turn.failures = failures_among(turn.faults)


def failures_among(faults: list[Event]) -> list[Event]:
    """Return those faults among `faults`, which the kit injected into a turn, that excuse a relay for not
    having a clean turn: failures, and delays if they are too long together."""
    injected = [(event, event.content) for event in faults if isinstance(event.content, Injected)]
    too_slow = sum(content.delay for _, content in injected) > LONGEST_BORNE_DELAY
    return [
        event
        for event, content in injected
        if content.excuses is Excuse.FAILURE
        or (too_slow and content.excuses is Excuse.LATENESS and content.delay)
    ]


def set_calm_and_clean(trace: Trace, turns: list[Turn], rates: dict[str, int]) -> None:
    """Set `calm` and `clean` of each turn. A turn is calm if nothing disturbed it: its client did not
    interrupt or hang up, no client misbehaved before, and the kit waited for the end of the turn. A calm turn
    is clean if, besides, Motion Server sent no payload above ORDINARY_BYTES, and did not fail, or the relay
    made the failure good before it sent any audio up. A turn that did not come to its end is not clean if the
    kit itself was stalled in it."""
    misbehaved_seq = find_first_misbehaviour(trace)
    for turn in turns:
        disturbances = _find_interrupts_and_hang_ups(trace, turn.client)
        end = turn.until_seq if turn.waited_seq is None else turn.waited_seq
        turn.calm = (
            turn.has_keyframe
            and not turn.merged
            and turn.waited_seq is not None
            and turn.waited_seq < misbehaved_seq
            and not any(turn.started_seq < seq < end for seq in disturbances)
        )
        turn.clean = (
            turn.calm
            and (not turn.failures or _was_made_good(trace, turn))
            and turn.largest <= ORDINARY_BYTES
            and (turn.complete or not _did_kit_stall(trace, turn.started_seq, end))
            and not _may_be_mixed(turn, rates, relay_chooses=CLIENT_AUDIO in trace.header.lacks)
        )


def find_first_misbehaviour(trace: Trace) -> int:
    """Find the first event at which the kit misbehaved on purpose as a relay's client: it sent rubbish, read
    nothing, or cut the connection. No turn after it counts as clean, because R-BADINPUT and R-SLOWCLIENT (bad
    input and slow clients harm no other client) judge these turns. Return the event's number, or the number
    of events if there is none."""
    misbehaved = (
        event.seq
        for event in trace.events
        if event.content in _MISBEHAVIOUR
        or (event.lane is Lane.DOWNSTREAM and event.content == Closed(by_kit=True, code=ABNORMAL_CLOSE))
    )
    return next(misbehaved, len(trace.events))


def withdraw_mistaken_waits(turns: list[Turn]) -> None:
    """Correct the turns for which the kit did not wait long enough. The kit mistook the last motion of an
    earlier, unfinished turn for the end of this turn, and more motion of this turn came later. Such a turn
    counts as not waited for, and not complete."""
    for turn in turns:
        if (
            turn.before is not None
            and turn.before.unfinished
            and turn.complete
            and turn.waited_seq is not None
        ):
            came = [
                delivery.seq
                for payload in turn.payloads
                for delivery in payload.deliveries
                if delivery.client == turn.client
            ]
            if max(came, default=0) > turn.waited_seq:
                turn.waited_seq, turn.complete = None, False


def _did_kit_stall(trace: Trace, since: int, until: int) -> bool:
    """Return whether the kit itself, and its Motion Server with it, was stalled for long between these two
    events: so long that a relay may have given up waiting."""
    return any(
        isinstance(event.content, KitStalled) and event.content.seconds > _LONGEST_STALL_SECONDS
        for event in trace.on_lane(Lane.KIT)
        if since < event.seq < until
    )


def _was_made_good(trace: Trace, turn: Turn) -> bool:
    """Return whether the relay made the failures of Motion Server in this turn good: it sent audio up only
    after the last failure, Motion Server answered all of it, the turn came to its end, and the client heard
    of no failure. Nobody notices such a failure, so the turn must be as whole as any other."""
    last_failure = turn.failures[-1].seq
    heard = client_hears(trace, turn.started_seq, turn.until_seq)
    return (
        turn.complete
        and bool(turn.requests)
        and all(request.answered and request.first_seq > last_failure for request in turn.requests)
        and not any(
            event.connection == turn.client and _tells_failure(relay_event) for event, relay_event in heard
        )
    )


def _tells_failure(relay_event: object) -> bool:
    """Return whether what a relay says tells its client that motion has failed: an error, or an empty list of
    motion."""
    return isinstance(relay_event, Failed) or (isinstance(relay_event, Motion) and not relay_event.payloads)


def _may_be_mixed(turn: Turn, rates: dict[str, int], *, relay_chooses: bool) -> bool:
    """Return whether audio of this turn may be mixed up with audio of the unfinished turn before it: the
    relay changes the audio, or it chooses the speech (`relay_chooses`) and names no turns, so that nothing
    shows to which turn the audio belongs. Such a turn does not count as clean."""
    if turn.before is None or not turn.before.unfinished:
        return False
    resampled = rates.get(turn.client, turn.sample_rate) != turn.sample_rate
    unlabelled = (conversation for conversation in turn.conversations if not conversation.labelled)
    pieces = (piece for conversation in unlabelled for piece in conversation.pieces)
    return (
        resampled
        or not all(request.found_by_audio for request in turn.requests)
        or (relay_chooses and any(piece.turn is None for piece in pieces))
    )


def _find_interrupts_and_hang_ups(trace: Trace, client: str) -> list[int]:
    """Find the events by which the kit, as this client of a relay, disturbed its own turns: it interrupted a
    turn, or closed the connection. Return their numbers. A turn with such an event is not clean."""
    return [
        event.seq
        for event in trace.on_lane(Lane.DOWNSTREAM)
        if event.connection == client
        and (
            (isinstance(event.content, Closed) and event.content.by_kit)
            or (isinstance(event.content, Sent) and isinstance(event.content.value, InterruptTurn))
        )
    ]
