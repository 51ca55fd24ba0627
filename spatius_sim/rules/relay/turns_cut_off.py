"""U and R rules on turns that a client cuts off: by an interrupt, by its next turn, by hanging up."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, rule
from spatius_sim.rules.subtract_kit_stalls import in_time
from spatius_sim.story.join_turns import Delivery, Story, Turn
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Opened,
    WaitEnded,
)
from spatius_sim.wires.optional_features import AUDIO, CLIENT_AUDIO, OWN_UPSTREAM, SEVERAL_TURNS, STREAMING

HANG_UP_SECONDS = 5.0
"""How long an upstream session may outlive its client."""

_HUNG_UP = Closed(by_kit=True, code=1000)


@rule(
    "R-STALE",
    Level.MUST,
    "after an interrupt or once a new turn has begun, no payload MUST have another turn's id, and no audio "
    "of the old turn comes under a new id. On a wire without turn ids, nothing of the old turn follows the "
    "new turn's first audio; if the client brings the audio, motion that Motion Server sent before it got "
    "the new turn's audio may still come",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=("R-MOTION-VERBATIM", "R-TURNS", "U-TURN-ID"),
    needs=(SEVERAL_TURNS,),
    advice=Advice(
        "after an interruption the mouth goes on with the old sentence, under the new voice",
        "the session or the queue of the turn that was cut off lives on",
        "when a turn is cut off, close its session or drop what bears its req_id, and empty its queues",
    ),
)
def nothing_stale(story: Story) -> Iterator[Kept | Broken]:
    """Look at each turn after a turn that was cut off: no audio or motion of the old turn is taken for the
    new turn, and none of its audio for one more turn, which would cut the new turn off. Motion under an id
    without audio is discarded, and harms nobody. Payloads already in flight may arrive until the new turn's
    first audio. Speech that was never ended may be spoken with the new turn: such merged turns are not
    judged. If the relay chooses the speech, all turns may sound alike: then only motion is judged, and only
    after an interrupt, because a relay may play one clip after the other."""
    for turn in story.turns:
        begun_at = _seq_of_new_turn(story, turn)
        for old in _cut_off_before(story, turn):
            if begun_at is not None and old.requests and not (old.merged and turn.merged):
                faults = [
                    *_under_another_id(story, old, turn),
                    *_under_new_id(story, old, turn, begun_at),
                    *_find_left_over(story, old, turn, begun_at),
                    *(
                        _break_by_late_end_mark(old, turn, mark)
                        for mark in story.find_stale_motion_marks(turn)
                        if old is turn.before
                    ),
                ]
                yield from faults or (Kept(),)


@rule(
    "U-HANGUP",
    Level.SHOULD,
    "after its client's closing handshake the upstream session SHOULD be closed within 5 s",
    "docs:lifecycle",
    Provenance.DOCUMENTED,
    presumes=(),
    needs=(OWN_UPSTREAM, STREAMING),
    waits="the relay has five seconds to hang up",
    seen_in=Half.UPSTREAM,
    advice=Advice(
        "nothing, but the session stays open, and connected time is paid for",
        "the relay does not notice that its client left, or keeps the session for the next one",
        "close the session when its client leaves; if you keep a pool on purpose: --lacks own-upstream",
    ),
)
def hang_up(story: Story) -> Iterator[Kept | Broken | Late]:
    """Look at each client that hung up: the relay closed the client's upstream sessions in time. These are
    the sessions that carried the client's audio; if no other client was there, all sessions that were opened
    after the client had connected."""
    waits = [
        event
        for event in story.trace.on_lane(Lane.KIT)
        if isinstance(event.content, WaitEnded) and event.content.what_for is Awaited.HANG_UP
    ]
    for wait in waits:
        hung_up = _hung_up_at(story, wait)
        if hung_up is None:
            continue
        for session in sessions_to_close(story, wait.connection):
            opened_at, closed_at = _opened_and_closed(story, session)
            if closed_at < hung_up:
                continue
            judged_at = min(closed_at, wait.seq)
            broken = Broken(
                f"the upstream session of {wait.connection} closed within {HANG_UP_SECONDS:.0f} s of its "
                "hanging up (a relay that keeps a pool of them declares that it lacks own-upstream)",
                f"{session} was still open",
                (hung_up, judged_at),
            )
            outcome = in_time(story.trace, max(hung_up, opened_at), judged_at, HANG_UP_SECONDS, broken)
            # A wait that was cut short shows nothing.
            if judged_at == closed_at or not isinstance(outcome, Kept):
                yield outcome


def _cut_off_before(story: Story, turn: Turn) -> Iterator[Turn]:
    """Yield the interrupted turns of the same client before this turn, the latest first. If the relay chooses
    the speech, only turns that had begun to play when they were interrupted count."""
    chosen_by_relay = CLIENT_AUDIO in story.trace.header.lacks
    earlier = turn.before
    while earlier is not None:
        begun = any(
            conversation.first_seq < (earlier.interrupted_seq or 0) for conversation in earlier.conversations
        )
        if begun if chosen_by_relay else earlier.abandoned:
            yield earlier
        earlier = earlier.before


def _seq_of_new_turn(story: Story, turn: Turn) -> int | None:
    """Return the number of the event at which a turn has begun for its client; after this event, nothing of
    an older turn that was interrupted may come without a turn id. None if there is no such event.

    The event is the turn's first audio at its client. If audio at the client does not show the beginning (the
    client plays its own audio, or the relay chooses the speech), it is the turn's first audio at Motion
    Server."""
    if CLIENT_AUDIO in story.trace.header.lacks:
        return min((request.first_seq for request in turn.requests), default=None)
    if AUDIO in story.trace.header.lacks:
        return min((request.first_seq for request in turn.requests if request.found_by_audio), default=None)
    return min(_audio_events(story, turn), default=None)


def _audio_events(story: Story, turn: Turn, *, labelled: bool | None = None) -> list[int]:
    """Return the numbers of the events in which audio of this turn, which was cut off, came to the turn's
    client. `labelled` chooses conversations with (True) or without (False) a turn id; None chooses both."""
    return [
        piece.seq
        for conversation in story.conversations
        if conversation.client == turn.client and labelled in (None, conversation.labelled)
        for piece in conversation.pieces
        if piece.turn is turn
    ]


def _under_another_id(story: Story, interrupted: Turn, following: Turn) -> Iterator[Broken]:
    """Yield Broken for each piece of motion or audio that came with a wrong id: it belongs to the interrupted
    turn and came with the id of the turn after it, or the other way round."""
    for delivery in story.deliveries:
        own_turn = delivery.sent.request.turn if delivery.sent is not None else None
        joined_turn = delivery.conversation.turn if delivery.conversation is not None else None
        if (
            delivery.labelled
            and (own_turn, joined_turn) in ((interrupted, following), (following, interrupted))
            and own_turn
            and joined_turn
        ):
            yield _under_wrong_id("motion", own_turn, joined_turn, delivery.seq)
    for conversation in story.conversations:
        for piece in conversation.pieces:
            joined_turn = conversation.turn
            if (
                conversation.labelled
                and (piece.turn, joined_turn) in ((interrupted, following), (following, interrupted))
                and joined_turn
            ):
                yield _under_wrong_id("audio", piece.turn or following, joined_turn, piece.seq)


def _under_new_id(story: Story, interrupted: Turn, following: Turn, begun_at: int) -> Iterator[Broken]:
    """Yield Broken for audio of the interrupted turn that came under a new id: its conversation began only
    after event number `begun_at`, with which the following turn began."""
    for conversation in story.conversations:
        old_audio = [piece.seq for piece in conversation.pieces if piece.turn is interrupted]
        if conversation.labelled and conversation.first_seq > begun_at and conversation.turn is interrupted:
            yield Broken(
                f"nothing of {interrupted.name} once {following.name} had begun",
                f"audio of it came {len(old_audio)} times, under an id that had not come before",
                (begun_at, *old_audio),
            )


def _under_wrong_id(medium: str, own_turn: Turn, joined_turn: Turn, seq: int) -> Broken:
    """Return Broken for the turns of a client that interrupts: motion or audio (`medium`) of the turn
    `own_turn` came with the id of the turn `joined_turn`."""
    return Broken(
        f"{medium} of {own_turn.name} under that turn's id", f"it had the id of {joined_turn.name}", (seq,)
    )


def _find_left_over(story: Story, old: Turn, turn: Turn, begun_at: int) -> Iterator[Broken]:
    """Find what the relay still sent of an old turn after the client's new turn had cut the old turn off, and
    yield a breach if there is audio or motion. `begun_at` is the event at which the new turn began. Messages
    with a turn id do not count: a client can tell from the id that they are old."""
    tells_no_turn = bool({AUDIO, CLIENT_AUDIO} & set(story.trace.header.lacks))
    audio = (
        [] if tells_no_turn else [seq for seq in _audio_events(story, old, labelled=False) if seq > begun_at]
    )
    motion = [delivery.seq for delivery in story.deliveries if _is_left_over(story, delivery, old, begun_at)]
    for medium, seqs in (("audio", audio), ("motion", motion)):
        if seqs:
            yield Broken(
                f"nothing of {old.name} once {turn.name} had begun",
                f"{medium} of it came {len(seqs)} times, and no turn id told it apart",
                (begun_at, *seqs),
            )


def _break_by_late_end_mark(old: Turn, turn: Turn, mark: int) -> Broken:
    """Return Broken for a turn that was interrupted: the end mark of its motion (`old`) came to the client as
    event `mark`, although the next turn had begun."""
    return Broken(
        f"nothing of {old.name} once {turn.name} had begun",
        "the end mark of its motion came",
        (mark,),
        ("R-CONVERSATION",),
    )


def _is_left_over(story: Story, delivery: Delivery, old: Turn, begun_at: int) -> bool:
    """Return whether this delivery brought motion of an interrupted turn (`old`) to its client, without a
    turn id, after event `begun_at`, at which the next turn had begun."""
    sent = delivery.sent
    if sent is None or sent.request.turn is not old or delivery.labelled or delivery.client != old.client:
        return False
    tells_no_turn = bool({AUDIO, CLIENT_AUDIO} & set(story.trace.header.lacks))
    return (sent.seq if tells_no_turn else delivery.seq) > begun_at


def _hung_up_at(story: Story, wait: Event) -> int | None:
    """Return the number of the last event at which the client hung up before this wait ended; None if the
    client did not hang up."""
    downstream = story.trace.on_lane(Lane.DOWNSTREAM)
    hang_ups = (
        event.seq for event in downstream if event.connection == wait.connection and event.content == _HUNG_UP
    )
    return max((seq for seq in hang_ups if seq < wait.seq), default=None)


def sessions_to_close(story: Story, client: str) -> list[str]:
    """Return the upstream sessions that a relay must close if this client hangs up: those that carried the
    client's audio and, if it was the only client, those opened after the client had connected."""
    sessions = [
        request.connection
        for request in story.requests
        if request.turn is not None and request.turn.client == client
    ]
    came = [event for event in story.trace.on_lane(Lane.DOWNSTREAM) if isinstance(event.content, Opened)]
    if {event.connection for event in came} == {client}:
        sessions += [
            event.connection
            for event in story.trace.on_lane(Lane.UPSTREAM)
            if isinstance(event.content, Opened) and event.seq > came[0].seq
        ]
    return list(dict.fromkeys(sessions))


def _opened_and_closed(story: Story, session: str) -> tuple[int, int]:
    """Return the numbers of the events at which an upstream session of a client that hung up was opened and
    closed; if it was never closed, the number of events in the trace."""
    events = [event for event in story.trace.on_lane(Lane.UPSTREAM) if event.connection == session]
    opened_at = next((event.seq for event in events if isinstance(event.content, Opened)), 0)
    closed_at = next(
        (event.seq for event in events if isinstance(event.content, Closed)), len(story.trace.events)
    )
    return opened_at, closed_at
