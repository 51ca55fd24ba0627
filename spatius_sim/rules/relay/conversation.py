"""R rules that conversations, turns and clients stay apart: none gets audio or motion of another."""

from collections.abc import Iterator
from itertools import count

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.turn_losses import NEVER_ENDED
from spatius_sim.story.decoder_input import yield_decoder_input
from spatius_sim.story.join_turns import Story, Turn
from spatius_sim.story.wrong_uploads import find_old_speech, is_spoken_late
from spatius_sim.trace.decoder_events import AudioOnlyEntered, MotionDiscarded, PlaybackState
from spatius_sim.wires.events import Audio, Motion
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, OWN_STREAM, SEVERAL_TURNS

_AN_HOUR_NS = 3_600_000_000_000
"""Longer than any turn, so that playback is run to its end."""
_NS_PER_SECOND = 1_000_000_000


@rule(
    "R-CONVERSATION",
    Level.MUST,
    "a clean turn fed to the reference decoder MUST play with nothing discarded, nothing audio-only, "
    "and come back to idle",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=(
        "R-MOTION-VERBATIM",
        "R-MOTION-COMPLETE",
        "R-MOTION-ORDER",
        "R-AUDIO-COMPLETE",
        "R-AUDIO-FIRST",
        "R-END-AUDIO",
        "R-TURNS",
        "R-ISOLATION",
        "R-TOKENLESS",
    ),
    seen_in=Half.DOWNSTREAM,
    speech=Speech.TELLS_TURNS_APART,
    advice=Advice(
        "the voice plays and the face is still for a part of the turn, or never comes to rest",
        "motion comes under an id that is not the current one, an empty list is sent, or an end mark "
        "comes too early",
        "look at the guilty event: what came just before it made the client discard motion or wait",
    ),
)
def check_turns_can_be_played(story: Story) -> Iterator[Kept | Broken]:
    """Check each clean (undisturbed) turn: the reference decoder must play its audio with all its motion, and
    then be idle. The rule is also broken if a turn's audio never went up, and another turn was served.
    Silence is not judged then: a relay need not pass it on (ASSUMED).

    Audio, motion and end marks of a turn before that failed or was cut off are no fault of this turn. Nor is
    one empty list without a turn id, if it may report the failure of that turn."""
    any_served = any(turn.payloads for turn in story.turns)
    relay_chooses_speech = CLIENT_CHOOSES_SPEECH in story.trace.header.lacks
    for turn in story.clean_turns:
        if story.upstream_unseen and turn.before is not None and turn.before.abandoned:
            continue  # What is in flight of a turn that was cut off cannot be told from this turn's motion.
        expected_motion = story.deliveries_during(turn) if story.upstream_unseen else turn.payloads
        if turn.conversations and expected_motion:
            yield _judge_turn_by_playing(story, turn)
        elif any_served and not turn.requests and any(turn.pcm):
            causes = ("U-AUDIO-COMPLETE",) if find_old_speech(story, turn) else ()
            # If the relay chooses the speech, all turns may sound alike.
            audio = "no audio is seen to be its own" if relay_chooses_speech else "its audio never went up"
            yield _make_breach(turn, f"{audio}, and no motion came", turn.started_seq, causes)


@rule(
    "R-TURNS",
    Level.MUST,
    "clean turns on one connection MUST stay apart: motion never lands in another turn's conversation, and a "
    "turn id names one turn",
    "seed:002, docs:backend-mode/server-sdk",
    Provenance.DOCUMENTED,
    presumes=("R-MOTION-VERBATIM", "R-AUDIO-FIRST", "R-END-AUDIO"),
    needs=(SEVERAL_TURNS,),
    advice=Advice(
        "the motion of one sentence under the voice of another, or a still face",
        "motion that comes late is labelled with the newest turn, or an id is used again",
        "label each payload by its req_id, or begin the next turn when the last motion of this one has come",
    ),
)
def check_motion_in_own_turn(story: Story) -> Iterator[Kept | Broken]:
    """Check the motion of clean (undisturbed) turns whose client has several turns: it must arrive in a
    conversation of its own turn. It may be any of them, because no document ties a req_id to a conversation.
    Motion of a turn that failed may come anywhere, but not with the turn id of a clean turn.

    A relay that names its turns must give each an id of its own: "a turn id for each response"
    (docs:backend-mode/server-sdk)."""
    yield from _find_shared_ids(story)
    clients_with_several_turns = {turn.client for turn in story.clean_turns if turn.number > 0}
    for delivery in story.deliveries:
        sent = delivery.sent
        own_turn = sent.request.turn if sent else None
        turn_of_conversation = delivery.conversation.turn if delivery.conversation else None
        if own_turn is None or delivery.client not in clients_with_several_turns:
            continue
        has_wrong_turn_id = (
            delivery.labelled and turn_of_conversation is not None and turn_of_conversation.clean
        )
        if not own_turn.clean and (own_turn.abandoned or not has_wrong_turn_id):
            continue
        if turn_of_conversation is not None and turn_of_conversation.abandoned:
            continue  # R-STALE judges what joins a turn that was cut off.
        if (
            turn_of_conversation is None
            or turn_of_conversation is own_turn
            or turn_of_conversation.client != own_turn.client
        ):
            yield Kept()
        else:
            yield Broken(
                f"motion of {own_turn.name} in that turn's conversation",
                f"it arrived in the conversation of {turn_of_conversation.name}",
                (sent.seq if sent else delivery.seq, delivery.seq),
                ("U-AUDIO-COMPLETE",) if sent and is_spoken_late(sent.request, turn_of_conversation) else (),
            )


def _find_shared_ids(story: Story) -> Iterator[Broken]:
    """Yield Broken for each clean (undisturbed) turn with the turn id of an earlier clean turn, on the same
    connection. A client is left out if the relay gives the same id to all its turns, so that no id names a
    turn: no two clean turns, one after the other, have different ids."""
    ids_by_turn = {
        id(turn): {conversation.turn_id for conversation in turn.conversations} for turn in story.clean_turns
    }
    clients_with_named_turns = {
        turn.client
        for turn in story.clean_turns
        if (ids := ids_by_turn[id(turn)])
        and (ids_before := ids_by_turn.get(id(turn.before)))
        and ids.isdisjoint(ids_before)
    }
    for conversation in story.conversations:
        before, turn = conversation.same_id_before, conversation.turn
        if before is None or turn is None or before.turn is None or before.turn is turn:
            continue
        if turn.clean and before.turn.clean and turn.client in clients_with_named_turns:
            expected = f"a turn id of its own for {turn.name}"
            seqs = before.first_seq, conversation.first_seq
            yield Broken(expected, f"it has that of {before.turn.name}", seqs)


@rule(
    "R-ISOLATION",
    Level.MUST,
    "with distinct, audible client audio, one client MUST never get another's audio or motion",
    "the relay serves several clients; no document says it in words",
    Provenance.ASSUMED,
    presumes=("R-MOTION-VERBATIM",),
    needs=(OWN_STREAM,),
    advice=Advice(
        "a user sees or hears the avatar of another user",
        "one session, queue or callback serves all clients",
        "keep session, queues and turn for each client's connection",
    ),
)
def check_clients_are_isolated(story: Story) -> Iterator[Kept | Broken]:
    """Check all motion and audio that arrived: it must belong to the client that got it. Nothing is judged if
    only one client was served. If the relay, and not the client, chooses the speech, motion belongs to the
    client that got it first, and audio is not judged."""
    clients_with_motion = {delivery.client for delivery in story.deliveries}
    if len(clients_with_motion | {conversation.client for conversation in story.conversations}) < 2:
        return
    for delivery in story.deliveries:
        owner = delivery.sent.request.turn if delivery.sent else None
        if owner is not None:
            yield _judge_owner(delivery.client, owner, delivery.seq, "motion")
    for conversation in story.conversations:
        first_pieces = {id(piece.turn): (piece.turn, piece.seq) for piece in reversed(conversation.pieces)}
        for turn, seq in first_pieces.values():
            if turn is not None:
                yield _judge_owner(conversation.client, turn, seq, "audio")


def _judge_owner(receiving_client: str, own_turn: Turn, seq: int, medium: str) -> Kept | Broken:
    """Return Kept if motion or audio (`medium`) of a turn came to the client whose turn it is. Return Broken
    if event `seq` brought it to another client."""
    if own_turn.client == receiving_client:
        return Kept()
    return Broken(
        f"{medium} of {own_turn.client} at {own_turn.client} alone",
        f"{receiving_client} got {medium} of {own_turn.name}",
        (seq,),
    )


def _judge_turn_by_playing(story: Story, turn: Turn) -> Kept | Broken:
    """Return Kept if the reference decoder plays the turn well, otherwise Broken. The decoder first gets all
    audio and motion, in the order of their arrival. Then playback runs to its end."""
    id_numbers = count(1)
    rate = story.output_rates.get(turn.client, turn.sample_rate)
    decoder = ClientDecoder(rate, lambda: f"conversation-{next(id_numbers)}")
    conversation_id_by_turn_id: dict[str, str] = {}
    left_over_seqs = _find_left_over_seqs(story, turn)
    void_marks = {mark for conversation in turn.conversations for mark in conversation.void_marks}
    failure_reports_until_ns = _find_end_of_failure_reports_ns(story, turn)
    for event, relay_event in yield_decoder_input(story.trace, turn.started_seq, turn.until_seq):
        if event.connection != turn.client:
            continue
        match relay_event:
            case Audio() | Motion() if event.seq in left_over_seqs:
                continue  # R-STALE judges what is left of a turn that was cut off.
            case Motion((), _, "") if event.at_ns <= failure_reports_until_ns:
                failure_reports_until_ns = -1
                continue
            case Audio(pcm, last, turn_id):
                conversation_id_by_turn_id[turn_id] = decoder.yield_audio_data(pcm, last)
            case Motion((), last=True) if event.seq not in void_marks:
                continue  # An empty list with the end mark is a mark of what came before it (ASSUMED).
            case Motion(payloads, _, turn_id):
                # A wire that labels only one of the two halves leaves the client its current conversation.
                labelled = turn_id and "" not in conversation_id_by_turn_id
                current = decoder.get_current_conversation_id() or ""
                decoder.yield_frames_data(
                    payloads, conversation_id_by_turn_id.get(turn_id, "") if labelled else current
                )
            case _:
                continue
        for decoder_event in decoder.take_events():
            if isinstance(decoder_event, MotionDiscarded):
                actual = f"a payload was discarded: {decoder_event.reason}"
                return _make_breach(turn, actual, event.seq, ("R-TURNS", "R-AUDIO-FIRST", "R-STALE"))
            if isinstance(decoder_event, AudioOnlyEntered):
                return _make_breach(turn, "an empty list made it audio-only", event.seq)
    decoder.advance(_AN_HOUR_NS)
    if decoder.state is not PlaybackState.IDLE:
        return _make_breach(turn, f"the state stayed {decoder.state}", turn.until_seq - 1, NEVER_ENDED)
    return Kept()


def _find_left_over_seqs(story: Story, turn: Turn) -> set[int]:
    """Return the numbers of the events that brought the client audio, motion or end marks of another turn
    than this one, so that they do not count when this one is played. Only turns that had failed or were cut
    off count. If the relay sends the same to all clients, the turns of other clients count, too."""
    all_hear_the_same = OWN_STREAM in story.trace.header.lacks
    audio_events = (
        (piece.seq, piece.turn or (conversation.turn if all_hear_the_same else None))
        for conversation in story.conversations
        for piece in conversation.pieces
    )
    motion_events = (
        (delivery.seq, delivery.sent.request.turn)
        for delivery in story.deliveries
        if delivery.sent is not None
    )
    mark_events = (
        (mark, conversation.turn)
        for conversation in story.conversations
        if conversation.labelled or all_hear_the_same
        for mark in conversation.marks
    )
    left_over_seqs = (
        seq
        for seq, owner in (*audio_events, *motion_events, *mark_events)
        if owner is not None and owner is not turn
        if owner.unfinished or (all_hear_the_same and owner.client != turn.client)
    )
    return {*left_over_seqs, *story.find_stale_motion_marks(turn)}


def _find_end_of_failure_reports_ns(story: Story, turn: Turn) -> int:
    """Return the time (ns) until which an empty list of motion without a turn id may report the failure of
    the previous turn: it says that no more motion will come. Until then, such a list is no fault of this
    turn. Return -1 if the previous turn did not fail, was complete, or had such a list already."""
    previous_turn = turn.before
    if previous_turn is None or not previous_turn.failures or previous_turn.complete:
        return -1
    received = yield_decoder_input(story.trace, previous_turn.failures[0].seq, turn.started_seq)
    if any(event.connection == turn.client and message == Motion(()) for event, message in received):
        return -1
    return previous_turn.failures[-1].at_ns + int(story.trace.header.fallback_wait * _NS_PER_SECOND)


def _make_breach(turn: Turn, actual: str, seq: int, follows_from: tuple[str, ...] = ()) -> Broken:
    """Return Broken for a turn that the decoder did not play well."""
    return Broken(f"{turn.name} played with all its motion, then idle", actual, (seq,), follows_from)
