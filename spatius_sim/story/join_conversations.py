"""Joins what came to clients into conversations and deliveries, and these to turns and to payloads of Motion
Server."""

from bisect import bisect
from collections import Counter, defaultdict
from functools import partial

from spatius_sim.story.decoder_input import yield_decoder_input
from spatius_sim.story.speech_index import SpeechIndex, find_audible_piece
from spatius_sim.story.turn_story import (
    AudioPiece,
    Conversation,
    Delivery,
    SentPayload,
    Turn,
    UpstreamRequest,
    find_latest_turn,
)
from spatius_sim.trace.events import Event, Lane, Opened, Trace
from spatius_sim.wires.events import Audio, Interrupted, Motion, Ready


def join_conversations(
    trace: Trace, turns: list[Turn], index: SpeechIndex
) -> tuple[list[Conversation], list[Delivery], dict[str, int]]:
    """Return the conversations of all clients, all motion that arrived, and the output sample rate (Hz) of
    each client."""
    conversations: list[Conversation] = []
    deliveries: list[Delivery] = []
    rates: dict[str, int] = {}
    current: dict[tuple[str, int], Conversation] = {}
    by_turn_id: dict[tuple[str, int, str], Conversation] = {}
    opened: dict[str, list[int]] = defaultdict(list)
    with_motion: set[int] = set()
    for event in trace.on_lane(Lane.DOWNSTREAM):
        if isinstance(event.content, Opened):
            opened[event.connection].append(event.seq)
    for event, relay_event in yield_decoder_input(trace):
        client = event.connection
        # No conversation goes on after the same client connects anew.
        place = (client, bisect(opened[client], event.seq))
        match relay_event:
            case Ready(output_sample_rate=rate) if rate:
                rates[client] = rate
            case Interrupted():
                current.pop(place, None)
            case Audio(pcm, last, turn_id):
                key = (*place, turn_id)
                conversation = by_turn_id.get(key) if turn_id else current.get(place)
                piece = AudioPiece(event.seq, pcm, index.find(pcm))
                if (
                    conversation is None
                    or (pcm and _begins_new_conversation(piece, conversation, turns))
                    or (not pcm and conversation.marks and _is_in_turn_without_keyframe(event, turns))
                ):
                    same_id_before = conversation if turn_id else None
                    conversation = Conversation(client, event.seq, turn_id, same_id_before=same_id_before)
                    conversations.append(conversation)
                current[place] = by_turn_id[key] = conversation
                conversation.audio += pcm
                if pcm:
                    conversation.pieces.append(piece)
                if last:
                    conversation.marks.append(event.seq)
            case Motion(payloads, last, turn_id):
                # A wire that labels only one of the two halves leaves the client its current conversation.
                labelled = bool(turn_id) and (*place, "") not in by_turn_id
                joined = by_turn_id.get((*place, turn_id)) if labelled else current.get(place)
                deliveries.extend(Delivery(event.seq, client, raw, joined, labelled) for raw in payloads)
                if joined is not None:
                    with_motion.update({id(joined)} if payloads else ())
                    if last:
                        is_void = id(joined) not in with_motion
                        (joined.void_marks if is_void else joined.motion_marks).append(event.seq)
    return conversations, deliveries, rates


def _begins_new_conversation(piece: AudioPiece, conversation: Conversation, turns: list[Turn]) -> bool:
    """Return whether this piece of audio begins a new conversation, because `conversation`, the current one
    of its client, is over. Without turn ids, a conversation is over after its end mark, or before audio of a
    later turn. With turn ids (`labelled`), it is over before audio of a later turn if an end mark or an
    interrupt came.

    If the bytes do not show to which turn the audio belongs, the time decides: a new conversation begins if
    the kit had waited for the end of the turn in which the conversation's last piece came, and the client's
    next turn has begun since."""
    if conversation.marks and not conversation.labelled:
        return True
    if not conversation.pieces:
        return False
    last_piece = conversation.pieces[-1]
    interrupted = last_piece.turn is not None and last_piece.turn.interrupted_seq is not None
    if conversation.labelled and not (conversation.marks or interrupted):
        return False
    if last_piece.turn is not None and piece.turn is not None:
        return (
            piece.turn.client == last_piece.turn.client
            and piece.turn.started_seq > last_piece.turn.started_seq
        )
    own_turns = [turn for turn in turns if turn.client == conversation.client]
    last_turn = find_latest_turn(last_piece.seq, own_turns)
    turn_now = find_latest_turn(piece.seq, own_turns)
    return last_turn is not turn_now and last_turn is not None and last_turn.waited_seq is not None


def _is_in_turn_without_keyframe(event: Event, turns: list[Turn]) -> bool:
    """Return whether the event came in a turn with less than a keyframe of audio. An end mark that answers
    such a turn is not a second mark of the previous turn."""
    turn = find_latest_turn(event.seq, [turn for turn in turns if turn.client == event.connection])
    return turn is not None and turn.sample_rate > 0 and not turn.has_keyframe


def join_deliveries_to_payloads(requests: list[UpstreamRequest], deliveries: list[Delivery]) -> None:
    """Set `sent` of each delivery at a client to the payload of Motion Server that was delivered: a payload
    with the same bytes that was sent earlier. If there is none, leave `sent` None.

    If several payloads fit, prefer those that this client has not got yet, then those of a turn of this
    client, then those of the conversation's own turn (`_mismatch_rank`), then the earliest. If the client
    already had all of them, mark the delivery as `doubled`, and prefer the latest."""
    payloads_by_bytes: dict[bytes, list[SentPayload]] = defaultdict(list)
    sent_payloads = (payload for request in requests for payload in request.payloads)
    for payload in sorted(sent_payloads, key=lambda payload: payload.seq):
        payloads_by_bytes[payload.raw].append(payload)
    delivered_before: set[tuple[str, int]] = set()
    for delivery in deliveries:
        client = delivery.client
        same_bytes = [payload for payload in payloads_by_bytes[delivery.raw] if payload.seq < delivery.seq]
        if not same_bytes:
            continue
        new_payloads = [payload for payload in same_bytes if (client, id(payload)) not in delivered_before]
        candidates = new_payloads or reversed(same_bytes)
        delivery.sent = min(candidates, key=partial(_mismatch_rank, delivery))
        delivery.doubled = not new_payloads
        delivery.sent.deliveries.append(delivery)
        delivered_before.add((client, id(delivery.sent)))


def _mismatch_rank(delivery: Delivery, payload: SentPayload) -> tuple[bool, bool]:
    """Return how badly a payload of Motion Server fits this delivery at a client; the smallest rank fits
    best. The first value says whether the payload belongs to another client. The second says whether it
    belongs to another turn than the delivery's conversation. Both are True for a payload without a turn."""
    payload_turn = payload.request.turn
    delivery_turn = delivery.conversation.turn if delivery.conversation else None
    return (
        payload_turn is None or payload_turn.client != delivery.client,
        payload_turn is None or payload_turn is not delivery_turn,
    )


def join_conversations_to_turns(
    conversations: list[Conversation], turns: list[Turn], index: SpeechIndex
) -> None:
    """Set `turn` of each conversation to the turn that it answers: the turn in whose speech its audio is
    found, otherwise the latest turn of its client. If both have the same client, add the conversation to the
    turn.

    Then look at each turn without a conversation whose audio is unlike that of other turns. Set its
    `swallowed_by` to the client's conversation in which this audio was played; None if there is none."""
    for conversation in conversations:
        own_turns = [turn for turn in turns if turn.client == conversation.client]
        audio = bytes(conversation.audio)
        turn = (
            _turn_of_most_audio(conversation) or index.find(audio, conversation.client) or index.find(audio)
        )
        turn = turn or find_latest_turn(conversation.first_seq, own_turns)
        if turn is not None:
            conversation.turn = turn
            if turn.client == conversation.client:
                turn.conversations.append(conversation)
    for turn in turns:
        # If several turns sound alike, the audio may be that of another turn.
        if not turn.conversations and index.find(turn.pcm) is turn:
            turn.swallowed_by = next(
                (
                    conversation
                    for conversation in conversations
                    if conversation.client == turn.client and _holds_piece(conversation, turn.pcm)
                ),
                None,
            )


def _turn_of_most_audio(conversation: Conversation) -> Turn | None:
    """Return the turn in which most of the conversation's audio was spoken; None if no piece of the audio
    shows its turn."""
    turns_and_sizes = [
        (piece.turn, len(piece.pcm)) for piece in conversation.pieces if piece.turn is not None
    ]
    bytes_by_turn: Counter[int] = Counter()
    for turn, size in turns_and_sizes:
        bytes_by_turn[id(turn)] += size
    return max((turn for turn, _ in turns_and_sizes), key=lambda turn: bytes_by_turn[id(turn)], default=None)


def _holds_piece(conversation: Conversation, audio: bytes) -> bool:
    """Return whether the conversation contains an audible piece of this audio."""
    piece = find_audible_piece(audio)
    return bool(piece) and piece in conversation.audio
