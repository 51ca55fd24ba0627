"""R rule on turns that a client cuts off: by an interrupt, or by its next turn."""

from collections.abc import Iterator
from dataclasses import replace

from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.rule import Advice, Level, Provenance, rule
from spatius_sim.rules.subtract_kit_stalls import judge_time_limit
from spatius_sim.story.turn_story import Delivery, Story, Turn
from spatius_sim.story.undisturbed_turns import find_first_misbehaviour_seq
from spatius_sim.story.wrong_uploads import is_spoken_late
from spatius_sim.wires.optional_features import (
    AUDIO,
    CLIENT_CHOOSES_SPEECH,
    OWN_STREAM,
    SEVERAL_TURNS,
)

STOP_SECONDS = 2.0
"""How long after a client's interrupt motion and audio of its turn may still come (ASSUMED)."""

_NS_PER_SECOND = 1e9


@rule(
    "R-STALE",
    Level.MUST,
    "after an interrupt or once a new turn has begun, no payload MUST have another turn's id, and no audio "
    "of the old turn comes under a new id. On a wire without turn ids, nothing of the old turn follows the "
    "new turn's first audio; if the client brings the audio, motion that Motion Server sent before it got "
    "the new turn's audio may still come. Nothing of a turn that had begun to come follows its interrupt by "
    f"more than {STOP_SECONDS:g} s",
    f"seed:002, docs:backend-mode/server-sdk; the {STOP_SECONDS:g} s are our reading",
    Provenance.DOCUMENTED,
    presumes=("R-MOTION-VERBATIM", "R-TURNS", "U-TURN-ID"),
    needs=(SEVERAL_TURNS,),
    advice=Advice(
        "after an interruption the mouth goes on with the old sentence, perhaps under the new voice",
        "the session or the queue of the turn that was cut off lives on",
        "when a turn is cut off, close its session or drop what bears its req_id, and empty its queues",
    ),
)
def check_nothing_stale(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each turn after one that was cut off (by an interrupt, or by the next turn). A client must not
    take anything of the old turn for the new one. Audio of the old turn must not come as one more turn.
    Motion in flight may arrive until the new turn's first audio.

    Speech that was never ended may be spoken together with the new turn: such merged turns are not judged. If
    the relay chooses the speech, all turns may sound alike, and it may play one clip after the other. Then
    only motion after an interrupt is judged.

    After an interrupt, the turn itself must stop in time, whether or not a later turn begins."""
    for later_turn in story.turns:
        later_began_seq = _find_turn_start_seq(story, later_turn)
        for cut_off_turn in _find_cut_off_turns_before(story, later_turn):
            if (
                later_began_seq is not None
                and cut_off_turn.requests
                and not (cut_off_turn.merged and later_turn.merged)
            ):
                faults = [
                    *_find_wrong_turn_ids(story, cut_off_turn, later_turn),
                    *_find_audio_under_new_id(story, cut_off_turn, later_turn, later_began_seq),
                    *_find_left_over_without_turn_id(story, cut_off_turn, later_turn, later_began_seq),
                    *(
                        _make_late_end_mark_breach(cut_off_turn, later_turn, mark_seq)
                        for mark_seq in story.find_stale_motion_marks(later_turn)
                        if cut_off_turn is later_turn.before
                    ),
                ]
                yield from faults or (Kept(),)
        yield from _judge_stop_after_interrupt(story, later_turn)


def _find_cut_off_turns_before(story: Story, turn: Turn) -> Iterator[Turn]:
    """Yield the turns of the same client before this turn that were cut off, the latest first. A turn is cut
    off (`abandoned`) if it is interrupted, or if the next begins before its end. If the relay chooses the
    speech, only turns that had begun to play when they were interrupted count."""
    relay_chooses_speech = CLIENT_CHOOSES_SPEECH in story.trace.header.lacks
    earlier = turn.before
    while earlier is not None:
        has_begun_to_play = any(
            conversation.first_seq < (earlier.interrupted_seq or 0) for conversation in earlier.conversations
        )
        if has_begun_to_play if relay_chooses_speech else earlier.abandoned:
            yield earlier
        earlier = earlier.before


def _find_turn_start_seq(story: Story, turn: Turn) -> int | None:
    """Return the number of the event at which a turn begins for its client; None if there is none. After it,
    the relay must not send anything of an older turn that was cut off, unless it names that turn by its id.

    The event is the turn's first audio at its client. It is the turn's first audio at Motion Server if the
    client plays its own audio, or if the relay chooses the speech."""
    if CLIENT_CHOOSES_SPEECH in story.trace.header.lacks:
        return min((request.first_seq for request in turn.requests), default=None)
    if AUDIO in story.trace.header.lacks:
        return min((request.first_seq for request in turn.requests if request.found_by_audio), default=None)
    return min(_find_audio_seqs(story, turn), default=None)


def _find_audio_seqs(story: Story, turn: Turn, *, with_turn_id: bool | None = None) -> list[int]:
    """Return the numbers of the events that brought audio of this turn to its client. `with_turn_id` chooses
    conversations with (True) or without (False) a turn id, by which a client can tell that audio is old; None
    chooses both."""
    return [
        piece.seq
        for conversation in story.conversations
        if conversation.client == turn.client and with_turn_id in (None, conversation.labelled)
        for piece in conversation.pieces
        if piece.turn is turn
    ]


def _find_wrong_turn_ids(story: Story, cut_off_turn: Turn, later_turn: Turn) -> Iterator[Broken]:
    """Yield Broken for each piece of motion or audio that came with a wrong turn id. It belongs to the turn
    that was cut off and has the id of the later turn, or the other way round. If the relay sent the audio of
    that motion up only in the later turn, the breach follows from U-AUDIO-COMPLETE."""
    for delivery in story.deliveries:
        own_turn = delivery.sent.request.turn if delivery.sent is not None else None
        turn_of_its_id = delivery.conversation.turn if delivery.conversation is not None else None
        if (
            delivery.labelled
            and (own_turn, turn_of_its_id) in ((cut_off_turn, later_turn), (later_turn, cut_off_turn))
            and own_turn
            and turn_of_its_id
        ):
            breach = _make_wrong_id_breach("motion", own_turn, turn_of_its_id, delivery.seq)
            if delivery.sent is not None and is_spoken_late(delivery.sent.request, turn_of_its_id):
                breach = replace(breach, follows_from=("U-AUDIO-COMPLETE",))
            yield breach
    for conversation in story.conversations:
        for piece in conversation.pieces:
            turn_of_its_id = conversation.turn
            if (
                conversation.labelled
                and (piece.turn, turn_of_its_id) in ((cut_off_turn, later_turn), (later_turn, cut_off_turn))
                and turn_of_its_id
            ):
                yield _make_wrong_id_breach("audio", piece.turn or later_turn, turn_of_its_id, piece.seq)


def _find_audio_under_new_id(
    story: Story, cut_off_turn: Turn, later_turn: Turn, later_began_seq: int
) -> Iterator[Broken]:
    """Yield Broken if audio of a turn that was cut off came under a new turn id. Its conversation began after
    event number `later_began_seq`, at which the later turn began."""
    for conversation in story.conversations:
        old_audio_seqs = [piece.seq for piece in conversation.pieces if piece.turn is cut_off_turn]
        if (
            conversation.labelled
            and conversation.first_seq > later_began_seq
            and conversation.turn is cut_off_turn
        ):
            yield Broken(
                f"nothing of {cut_off_turn.name} once {later_turn.name} had begun",
                f"audio of it came {len(old_audio_seqs)} times, under an id that had not come before",
                (later_began_seq, *old_audio_seqs),
            )


def _make_wrong_id_breach(medium: str, own_turn: Turn, turn_of_its_id: Turn, seq: int) -> Broken:
    """Return Broken for a turn that was cut off and a later turn, one of which got the id of the other: event
    number `seq` brought motion or audio (`medium`) that belongs to the turn `own_turn`, but has the id of the
    turn `turn_of_its_id`."""
    return Broken(
        f"{medium} of {own_turn.name} under that turn's id", f"it had the id of {turn_of_its_id.name}", (seq,)
    )


def _find_left_over_without_turn_id(
    story: Story, cut_off_turn: Turn, later_turn: Turn, later_began_seq: int
) -> Iterator[Broken]:
    """Yield Broken for audio and for motion of a turn that was cut off, if they still came, without a turn
    id, after event number `later_began_seq`, at which the later turn began. Messages with a turn id do not
    count: a client can tell from it that they are old."""
    tells_no_turn = bool({AUDIO, CLIENT_CHOOSES_SPEECH} & set(story.trace.header.lacks))
    audio = (
        []
        if tells_no_turn
        else [
            seq for seq in _find_audio_seqs(story, cut_off_turn, with_turn_id=False) if seq > later_began_seq
        ]
    )
    motion = [
        delivery.seq
        for delivery in story.deliveries
        if _is_left_over_without_turn_id(story, delivery, cut_off_turn, later_began_seq)
    ]
    for medium, seqs in (("audio", audio), ("motion", motion)):
        if seqs:
            yield Broken(
                f"nothing of {cut_off_turn.name} once {later_turn.name} had begun",
                f"{medium} of it came {len(seqs)} times, and no turn id told it apart",
                (later_began_seq, *seqs),
            )


def _make_late_end_mark_breach(cut_off_turn: Turn, later_turn: Turn, mark_seq: int) -> Broken:
    """Return Broken for a turn that was cut off, because the end mark of its motion came late: event number
    `mark_seq` brought it, although the later turn had begun."""
    return Broken(
        f"nothing of {cut_off_turn.name} once {later_turn.name} had begun",
        "the end mark of its motion came",
        (mark_seq,),
        ("R-CONVERSATION",),
    )


def _is_left_over_without_turn_id(
    story: Story, delivery: Delivery, cut_off_turn: Turn, later_began_seq: int
) -> bool:
    """Return whether this delivery brought its client motion of the turn that was cut off, too late and
    without a turn id. Too late is after event number `later_began_seq`, at which the later turn began. If no
    audio at the client shows when that was, compare the time at which Motion Server sent the motion."""
    sent = delivery.sent
    if (
        sent is None
        or sent.request.turn is not cut_off_turn
        or delivery.labelled
        or delivery.client != cut_off_turn.client
    ):
        return False
    tells_no_turn = bool({AUDIO, CLIENT_CHOOSES_SPEECH} & set(story.trace.header.lacks))
    return (sent.seq if tells_no_turn else delivery.seq) > later_began_seq


def _judge_stop_after_interrupt(story: Story, turn: Turn) -> Iterator[Kept | Broken | Late]:
    """Judge whether the relay stopped sending a turn in time after its client had interrupted it. Yield
    nothing if it had nothing to stop, or if the trace ends too early to show it."""
    interrupted_seq = turn.interrupted_seq
    if interrupted_seq is None or not _must_stop(story, turn, interrupted_seq):
        return
    motion_seqs, audio_seqs = _find_motion_seqs_of_turn(story, turn), _find_audio_seqs(story, turn)
    seqs = motion_seqs if CLIENT_CHOOSES_SPEECH in story.trace.header.lacks else motion_seqs + audio_seqs
    events = story.trace.events
    bound_ns = events[interrupted_seq].at_ns + int(STOP_SECONDS * _NS_PER_SECOND)
    late_seqs = sorted({seq for seq in seqs if events[seq].at_ns > bound_ns})
    if late_seqs:
        media = [
            medium
            for medium, found in (("motion", motion_seqs), ("audio", audio_seqs))
            if set(found) & set(late_seqs)
        ]
        broken = Broken(
            f"nothing of {turn.name} later than {STOP_SECONDS:g} s after its interrupt (a relay that cannot "
            "be interrupted declares that it lacks interrupts)",
            f"{' and '.join(media)} of it came {len(late_seqs)} times",
            (interrupted_seq, *late_seqs),
        )
        yield judge_time_limit(story.trace, interrupted_seq, late_seqs[-1], STOP_SECONDS, broken)
    elif events[-1].at_ns > bound_ns:
        yield Kept()


def _must_stop(story: Story, turn: Turn, interrupted_seq: int) -> bool:
    """Return whether the relay must stop sending this turn, whose client interrupted it at event number
    `interrupted_seq`. Some of the turn must have come by then, and not yet the last of its motion.

    An interrupt does not end speech that its client had not ended. It need not end a turn that all clients
    receive, or a turn that waits for an unfinished turn before. A misbehaving client is not judged."""
    had_come = {
        seq
        for seq in (*_find_motion_seqs_of_turn(story, turn), *_find_audio_seqs(story, turn))
        if seq < interrupted_seq
    }
    last_payloads = (payload for payload in turn.payloads if payload.response.end)
    motion_had_ended = any(
        delivery.seq < interrupted_seq for payload in last_payloads for delivery in payload.deliveries
    )
    return (
        bool(had_come)
        and not motion_had_ended
        and not turn.left_open
        and not turn.merged
        and not (turn.before is not None and turn.before.unfinished)
        and OWN_STREAM not in story.trace.header.lacks
        and interrupted_seq < find_first_misbehaviour_seq(story.trace)
    )


def _find_motion_seqs_of_turn(story: Story, turn: Turn) -> list[int]:
    """Return the numbers of the events that brought motion of this turn to its client. Count only motion of
    requests that began in the turn, before its client interrupted it."""
    return [
        delivery.seq
        for request in turn.requests
        if turn.started_seq < request.first_seq < (turn.interrupted_seq or turn.until_seq)
        for payload in request.payloads
        for delivery in payload.deliveries
        if delivery.client == turn.client
    ]
