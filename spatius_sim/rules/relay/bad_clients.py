"""R rules on clients that read slowly, send malformed input or are cut off: no other client may suffer."""

from collections.abc import Iterator

from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.rule import Advice, Level, Provenance, rule
from spatius_sim.rules.subtract_kit_stalls import lag_seconds
from spatius_sim.rules.turn_losses import Loss, find_loss
from spatius_sim.story.join_turns import ORDINARY_BYTES, Story, Turn
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
def bad_input(story: Story) -> Iterator[Kept | Broken | Late]:
    """Look at the turns of other clients after one client misbehaved: all of their audio and motion comes.
    The relay may hang up on the client that misbehaved."""
    misbehaved = {
        event.connection: event.seq
        for event in reversed(story.trace.events)
        if event.content == Provoked(Provocation.RUBBISH)
        or (event.lane is Lane.DOWNSTREAM and event.content == Closed(by_kit=True, code=ABNORMAL_CLOSE))
    }
    for client, seq in misbehaved.items():
        for turn in story.turns:
            waited_after = (turn.waited_seq or 0) > seq and _is_undisturbed(turn)
            if turn.client not in misbehaved and waited_after and _was_served(story, turn):
                yield _served_whole(story, turn, f"{client} misbehaved", seq)


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
def slow_client(story: Story) -> Iterator[Kept | Broken | Late]:
    """Look at each turn in which a client stopped reading for a while: this client loses nothing, and the
    turns of other clients at that time come whole."""
    for turn in story.turns:
        window = _unread_window(story, turn)
        if window is None or not (_is_undisturbed(turn) and _was_served(story, turn)):
            continue
        stopped_reading, read_on = window
        yield _served_whole(story, turn, "its client read on", read_on)
        for other_turn in story.turns:
            during = stopped_reading < (other_turn.waited_seq or 0) < read_on
            if (
                other_turn.client != turn.client
                and during
                and _is_undisturbed(other_turn)
                and _was_served(story, other_turn)
            ):
                yield _served_meanwhile(story, other_turn, turn, window)


def _is_undisturbed(turn: Turn) -> bool:
    """Return whether only the misbehaviour of a client can have disturbed this turn."""
    return turn.has_keyframe and not (turn.unfinished or turn.merged) and turn.largest <= ORDINARY_BYTES


def _was_served(story: Story, turn: Turn) -> bool:
    """Return whether this client had got a whole earlier turn before another client misbehaved. If not, the
    bad client is not to blame: the relay had failed before."""
    earlier_turns = (
        earlier
        for earlier in story.clean_turns
        if earlier.client == turn.client and earlier.number < turn.number
    )
    return any(
        earlier.complete and find_loss(story, earlier, len(story.trace.events)) is None
        for earlier in earlier_turns
    )


def _served_meanwhile(
    story: Story, other_turn: Turn, slow: Turn, window: tuple[int, int]
) -> Kept | Broken | Late:
    """Return Kept if the other client's turn came to its end while the slow client read nothing, else
    Broken; Late if the kit itself was blocked too long to tell."""
    if other_turn.complete:
        return Kept()
    stopped_reading, read_on = window
    lag = lag_seconds(story.trace, stopped_reading, read_on)
    if lag > _MAX_LAG_SECONDS:
        return Late(lag)
    loss = find_loss(story, other_turn, read_on) or Loss("it did not come to its end", ())
    events = (stopped_reading, other_turn.started_seq, other_turn.waited_seq or read_on)
    expected = f"{other_turn.name} served while {slow.client} read nothing"
    return Broken(expected, loss.missing, events, loss.follows_from)


def _served_whole(story: Story, turn: Turn, when: str, seq: int) -> Kept | Broken | Late:
    """Return Kept if all of the turn came to its client although another client misbehaved, else Broken;
    Late if the kit itself was blocked too long to tell. `when` says in words what the other client had done
    before, as event `seq`."""
    loss = find_loss(story, turn, len(story.trace.events))
    if loss is None:
        return Kept()
    lag = lag_seconds(story.trace, turn.started_seq, turn.waited_seq or turn.started_seq)
    if lag > _MAX_LAG_SECONDS:
        return Late(lag)
    expected = f"all of {turn.name} when {when}"
    return Broken(expected, loss.missing, (seq, turn.started_seq), loss.follows_from)


def _unread_window(story: Story, turn: Turn) -> tuple[int, int] | None:
    """Return the numbers of two events of this turn: at the first, its slow client stopped reading, and at
    the second it read again. None if the client always read."""
    seqs = [
        event.seq
        for intent in (Provocation.UNREAD, Provocation.READ_ON)
        for event in story.trace.on_lane(Lane.KIT)
        if event.connection == turn.client
        and event.content == Provoked(intent)
        and turn.started_seq < event.seq < turn.until_seq
    ]
    return (seqs[0], seqs[1]) if len(seqs) == 2 else None
