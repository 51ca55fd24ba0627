"""R rule that the reference decoder can play each turn: nothing is discarded, and it comes to its end."""

from collections.abc import Iterator
from itertools import count

from spatius_sim.model.client.decoder import ClientDecoder
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.turn_losses import NEVER_ENDED
from spatius_sim.story.decoder_input import yield_decoder_input
from spatius_sim.story.turn_story import Story, Turn
from spatius_sim.story.wrong_uploads import find_old_speech
from spatius_sim.trace.decoder_events import AudioOnlyEntered, MotionDiscarded, PlaybackState
from spatius_sim.wires.events import Audio, Motion
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, OWN_STREAM

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


def _judge_turn_by_playing(story: Story, turn: Turn) -> Kept | Broken:
    """Return Kept if the reference decoder plays the turn well, otherwise Broken. The decoder first gets all
    audio and motion, in the order of their arrival. Then playback runs to its end."""
    id_numbers = count(1)
    rate = story.output_rates.get(turn.client, turn.sample_rate)
    decoder = ClientDecoder(rate, lambda: f"conversation-{next(id_numbers)}")
    conversation_id_by_turn_id: dict[str, str] = {}
    left_over_seqs = _find_left_over_seqs(story, turn)
    void_marks = {mark for conversation in turn.conversations for mark in conversation.void_marks}
    empty_list_deadline_ns = _find_empty_list_deadline_ns(story, turn)
    for event, relay_event in yield_decoder_input(story.trace, turn.started_seq, turn.until_seq):
        if event.connection != turn.client:
            continue
        match relay_event:
            case Audio() | Motion() if event.seq in left_over_seqs:
                continue  # R-STALE judges what is left of a turn that was cut off.
            case Motion((), _, "") if event.at_ns <= empty_list_deadline_ns:
                empty_list_deadline_ns = -1
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
                early_mark = ("R-END-MOTION",) if _was_marked_as_ended(story, turn, event.seq) else ()
                causes = ("R-TURNS", "R-AUDIO-FIRST", "R-STALE", *early_mark)
                return _make_breach(turn, actual, event.seq, causes)
            if isinstance(decoder_event, AudioOnlyEntered):
                return _make_breach(turn, "an empty list made it audio-only", event.seq)
    decoder.advance(_AN_HOUR_NS)
    if decoder.state is not PlaybackState.IDLE:
        return _make_breach(turn, f"the state stayed {decoder.state}", turn.until_seq - 1, NEVER_ENDED)
    return Kept()


def _find_left_over_seqs(story: Story, turn: Turn) -> set[int]:
    """Return the numbers of the events that brought what is left over of other turns: audio, motion or end
    marks. The reference decoder does not get them when it plays this turn, because they are no fault of it.

    Only what belongs to another turn that had failed or was cut off (`unfinished`) is left over. If the relay
    sends the same to all clients (it lacks OWN_STREAM), so is what belongs to turns of other clients. A late
    end mark of the previous turn's motion is left over, too."""
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
        for seq, own_turn in (*audio_events, *motion_events, *mark_events)
        if own_turn is not None and own_turn is not turn
        if own_turn.unfinished or (all_hear_the_same and own_turn.client != turn.client)
    )
    return {*left_over_seqs, *story.find_stale_motion_marks(turn)}


def _was_marked_as_ended(story: Story, turn: Turn, seq: int) -> bool:
    """Return whether event number `seq`, in this turn, brought motion of another turn, the end of whose
    motion had been marked before: the kit went on to this turn because of the mark."""
    owners = (
        delivery.sent.request.turn
        for delivery in story.deliveries
        if delivery.seq == seq and delivery.client == turn.client and delivery.sent is not None
    )
    return any(
        mark < seq
        for owner in owners
        if owner is not None and owner is not turn
        for conversation in owner.conversations
        for mark in conversation.motion_marks
    )


def _find_empty_list_deadline_ns(story: Story, turn: Turn) -> int:
    """Return until when (ns) the relay may send an empty list of motion, without a turn id, because of the
    previous turn, which had failed: the list says that no more motion will come. The reference decoder does
    not get such a list when it plays this turn. Return -1 if the previous turn did not fail, was complete, or
    had such a list already."""
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
