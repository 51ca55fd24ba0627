"""R rules that turns and clients stay apart: none gets motion, audio or a turn id of another."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Level, Provenance, rule
from spatius_sim.story.turn_story import Story, Turn
from spatius_sim.story.wrong_uploads import is_spoken_late
from spatius_sim.wires.optional_features import OWN_STREAM, SEVERAL_TURNS


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
