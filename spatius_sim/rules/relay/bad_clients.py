"""R rules on clients that read slowly, send malformed input or are cut off: no other client may suffer."""

from collections.abc import Iterator

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.rules.findings import Broken, Kept, Unsure
from spatius_sim.rules.rule import Advice, Level, Provenance, rule
from spatius_sim.rules.subtract_kit_stalls import describe_lateness, kit_stall_seconds
from spatius_sim.rules.turn_losses import Loss, find_loss
from spatius_sim.story.turn_story import ORDINARY_BYTES, Story, Turn
from spatius_sim.trace.events import Closed, Lane, Provocation, Provoked
from spatius_sim.wires.optional_features import OWN_STREAM, STREAMING

_MAX_LAG_SECONDS = 0.2
"""Seconds. If the kit itself was blocked for longer, nobody knows who was late."""


@rule(
    "R-BADINPUT",
    Level.MUST,
    "malformed client input, and a client that is cut off, MUST harm neither the relay nor other clients",
    "the relay serves several clients; no document says it in words",
    Provenance.ASSUMED,
    presumes=("R-CONVERSATION", "U-AUDIO-END", "U-AUDIO-COMPLETE"),
    needs=(OWN_STREAM,),
    advice=Advice(
        "one broken client takes the avatar away from the others",
        "an error while a message is read ends a task, a session or a process that others use",
        "catch it where the message is read, and close that connection alone",
    ),
)
def check_misbehaving_clients(story: Story) -> Iterator[Kept | Broken | Unsure]:
    """Check the turns of well-behaved clients after another client sent rubbish, or was cut off because its
    connection broke: all of their audio and motion must come. The relay may close the connection of the
    client that misbehaved."""
    seq_by_misbehaving_client = {
        event.connection: event.seq
        for event in reversed(story.trace.events)
        if event.content == Provoked(Provocation.RUBBISH)
        or (event.lane is Lane.DOWNSTREAM and event.content == Closed(by_kit=True, code=ABNORMAL_CLOSE))
    }
    for client, seq in seq_by_misbehaving_client.items():
        for turn in story.turns:
            is_judgeable = (turn.waited_seq or 0) > seq and _is_undisturbed(turn)
            if (
                turn.client not in seq_by_misbehaving_client
                and is_judgeable
                and _was_served_before(story, turn)
            ):
                yield _judge_whole_turn(story, turn, f"{client} misbehaved", seq)


@rule(
    "R-SLOWCLIENT",
    Level.SHOULD,
    "a client that reads slowly SHOULD lose nothing and delay nobody else",
    "the relay serves several clients; no document says it in words",
    Provenance.ASSUMED,
    presumes=("R-CONVERSATION", "U-AUDIO-END", "U-AUDIO-COMPLETE"),
    needs=(OWN_STREAM, STREAMING),
    waits="a client has to be slow",
    advice=Advice(
        "one user with a bad network makes the faces of the others stall, or loses words",
        "one loop waits for each client's send, or a full queue is thrown away",
        "give each client a queue and a task of its own, and wait when its queue is full",
    ),
)
def check_slow_clients(story: Story) -> Iterator[Kept | Broken | Unsure]:
    """Check each turn in which a client stopped reading for a while: this client must lose nothing. The turns
    of other clients that were due in this time must come whole, too."""
    for turn in story.turns:
        unread_window = _find_unread_window(story, turn)
        if unread_window is None or not (_is_undisturbed(turn) and _was_served_before(story, turn)):
            continue
        stopped_reading_seq, read_on_seq = unread_window
        yield _judge_whole_turn(story, turn, "its client read on", read_on_seq)
        for other_turn in story.turns:
            is_meanwhile = stopped_reading_seq < (other_turn.waited_seq or 0) < read_on_seq
            if (
                other_turn.client != turn.client
                and is_meanwhile
                and _is_undisturbed(other_turn)
                and _was_served_before(story, other_turn)
            ):
                yield _judge_turn_beside_slow_client(story, other_turn, turn, unread_window)


def _is_undisturbed(turn: Turn) -> bool:
    """Return whether only the misbehaviour of a client can have disturbed this turn."""
    return turn.has_keyframe and not (turn.unfinished or turn.merged) and turn.largest <= ORDINARY_BYTES


def _was_served_before(story: Story, turn: Turn) -> bool:
    """Return whether the client of this turn received all of at least one earlier turn. If not, other clients
    are not to blame for what is missing: the relay had failed before."""
    earlier_turns = (
        earlier
        for earlier in story.clean_turns
        if earlier.client == turn.client and earlier.number < turn.number
    )
    return any(
        earlier.complete and find_loss(story, earlier, len(story.trace.events)) is None
        for earlier in earlier_turns
    )


def _judge_turn_beside_slow_client(
    story: Story, other_turn: Turn, slow_turn: Turn, unread_window: tuple[int, int]
) -> Kept | Broken | Unsure:
    """Return Kept if a client's turn came to its end while another, slow client read nothing; otherwise
    return Broken. Return Unsure if the kit itself was stalled for so long that it cannot decide.
    `unread_window` holds the numbers of the events at which the slow client stopped reading and read
    again."""
    if other_turn.complete:
        return Kept()
    stopped_reading_seq, read_on_seq = unread_window
    stalled_seconds = kit_stall_seconds(story.trace, stopped_reading_seq, read_on_seq)
    if stalled_seconds > _MAX_LAG_SECONDS:
        return Unsure(describe_lateness(stalled_seconds))
    loss = find_loss(story, other_turn, read_on_seq) or Loss("it did not come to its end", ())
    events = (stopped_reading_seq, other_turn.started_seq, other_turn.waited_seq or read_on_seq)
    expected = f"{other_turn.name} served while {slow_turn.client} read nothing"
    return Broken(expected, loss.missing, events, loss.follows_from)


def _judge_whole_turn(
    story: Story, turn: Turn, event_in_words: str, event_seq: int
) -> Kept | Broken | Unsure:
    """Return Kept if all of the turn came to its client, though a client had misbehaved or read nothing;
    otherwise return Broken. Return Unsure if the kit itself was stalled for so long that it cannot decide.
    `event_in_words` says what had happened, as event number `event_seq`."""
    loss = find_loss(story, turn, len(story.trace.events))
    if loss is None:
        return Kept()
    stalled_seconds = kit_stall_seconds(story.trace, turn.started_seq, turn.waited_seq or turn.started_seq)
    if stalled_seconds > _MAX_LAG_SECONDS:
        return Unsure(describe_lateness(stalled_seconds))
    expected = f"all of {turn.name} when {event_in_words}"
    return Broken(expected, loss.missing, (event_seq, turn.started_seq), loss.follows_from)


def _find_unread_window(story: Story, turn: Turn) -> tuple[int, int] | None:
    """Return the unread window of this turn: the numbers of the two events at which its client stopped
    reading and began to read again. Return None unless both happened in the turn."""
    seqs = [
        event.seq
        for intent in (Provocation.UNREAD, Provocation.READ_ON)
        for event in story.trace.on_lane(Lane.KIT)
        if event.connection == turn.client
        and event.content == Provoked(intent)
        and turn.started_seq < event.seq < turn.until_seq
    ]
    return (seqs[0], seqs[1]) if len(seqs) == 2 else None
