"""C rules on the ids that a client gives to its conversations."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Level, Provenance, rule
from spatius_sim.story.client_story import ClientStory


@rule(
    "C-ID",
    Level.MUST,
    "yieldAudioData MUST return a non-empty conversationId, the same one for every chunk of a conversation",
    "seed:002",
    Provenance.DOCUMENTED,
)
def ids(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at each call with audio: it returns the id of its conversation, and never an empty one."""
    for call in story.audio_calls:
        if call.conversation is None:
            continue
        expected = (
            "a non-empty conversationId" if call.first else f"the conversationId {call.conversation.id!r}"
        )
        if call.error is not None:
            yield Broken(expected, f"it threw: {call.error}", (call.seq, call.answered))
        elif not call.returned or call.returned != call.conversation.id:
            yield Broken(expected, f"it returned {call.returned!r}", (call.seq, call.answered))
        else:
            yield Kept()


@rule(
    "C-ID-NEW",
    Level.MUST,
    "the first non-empty audio after an end mark or an interrupt MUST get a new id, unique for this decoder",
    "docs:web-sdk",
    Provenance.DOCUMENTED,
    presumes=("C-ID",),
)
def new_ids(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at each call that starts a conversation: it returns an id that was never returned before."""
    used_ids: set[str | None] = set()
    for call in story.audio_calls:
        if not call.first:
            continue
        if call.returned in used_ids:
            expected = "a new conversationId for a new conversation"
            yield Broken(expected, f"{call.returned!r} once more", (call.seq, call.answered))
        elif used_ids:
            yield Kept()
        used_ids.add(call.returned)


@rule(
    "C-ID-CURRENT",
    Level.MUST,
    "getCurrentConversationId MUST give the active id, and none before the first audio and "
    "after an interrupt",
    "seed:004",
    Provenance.DOCUMENTED,
    presumes=("C-ID", "C-ID-NEW", "C-STATES"),
    needs=("observe", "observe.conversationId"),
)
def current_id(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at each observation whose current id is certain: the client gives this id."""
    for observation in story.observations:
        if not observation.id_fixed:
            continue
        if observation.conversation_id == observation.current_id:
            yield Kept()
        else:
            yield Broken(
                f"{observation.current_id!r} as current id",
                f"{observation.conversation_id!r}",
                (observation.seq,),
            )
