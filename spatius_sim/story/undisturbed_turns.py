"""Says which turns of a story are undisturbed: calm, so that nothing disturbed them, or even clean, so that
they are judged in full."""

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.story.decoder_input import yield_decoder_input
from spatius_sim.story.turn_story import (
    ORDINARY_BYTES,
    Turn,
)
from spatius_sim.trace.events import (
    Closed,
    KitStalled,
    Lane,
    Provocation,
    Provoked,
    Sent,
    Trace,
)
from spatius_sim.wires.events import Failed, InterruptTurn, Motion
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH

_LONGEST_STALL_SECONDS = 1.0

_MISBEHAVIOUR = (Provoked(Provocation.RUBBISH), Provoked(Provocation.UNREAD))


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
    """Correct turns that seem undisturbed, although the kit mistook when they ended. If more motion of a turn
    came after the kit had stopped waiting for its end, mark the turn as not waited for, and as not complete.
    This happens after an unfinished turn: the kit took its last motion for the end of this turn."""
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
    """Return whether the kit stalled for more than a second between these two events (by number), which
    disturbs the turn between them: an incomplete turn is not clean then. The kit's Motion Server stalls, too,
    so a relay may have stopped waiting."""
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
    """Return whether the kit may assign audio of this turn to the previous turn, or the other way round, so
    that this turn cannot be clean. It may if the previous turn was left unfinished, and nothing shows to
    which of the two turns audio belongs.

    This is the case in three situations: the relay changes the sample rate; the audio of a request does not
    show its turn, because the relay changed it; or the relay chooses the speech, and some audio without a
    turn id fits no turn. `output_rates` are the clients' sample rates (Hz)."""
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
