"""C rules on the ids that a client gives to its conversations."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Level, Provenance, rule
from spatius_sim.story.client_story import IDS, STABLE_IDS, ClientStory


@rule(
    "C-ID",
    Level.MUST,
    "yieldAudioData MUST return a non-empty conversationId for the first chunk of a conversation, and for "
    "every later chunk the same one, or nothing",
    "seed:002",
    Provenance.DOCUMENTED,
    needs=(IDS,),
    advice=Advice(
        "a still face: the app has no id, or an old one, to give with the motion",
        "nothing is returned, or each chunk gets an id of its own",
        "make an id with the first audio of a conversation, and return it until the end mark",
    ),
)
def check_conversation_ids(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each call that gave the client audio. The first of a conversation must return an id. A later one
    must return the same id, or nothing, by which newer clients say "no change" (ASSUMED). A client that
    declares that its ids change (it lacks STABLE_IDS) may return another id."""
    for call in story.audio_calls:
        if call.conversation is None:
            continue
        is_wrong_id = not call.returned if call.first else call.returned not in (call.id_before, "", None)
        may_change_id = call.returned and STABLE_IDS in story.lacks
        expected = "a non-empty conversationId" if call.first else f"the conversationId {call.id_before!r}"
        if call.error is not None:
            yield Broken(expected, f"it threw: {call.error}", (call.seq, call.answered))
        elif is_wrong_id and not may_change_id:
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
    needs=(IDS,),
    advice=Advice(
        "late motion of the last sentence moves the face in the new one",
        "the id is a constant, or only an interrupt renews it",
        "make a new id for the first audio after each end mark and each interrupt",
    ),
)
def check_new_ids(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each call whose audio starts a conversation: it must return an id that no earlier conversation
    had."""
    used_ids: set[str | None] = set()
    for call in story.audio_calls:
        if call.first and call.returned in used_ids:
            expected = "a new conversationId for a new conversation"
            yield Broken(expected, f"{call.returned!r} once more", (call.seq, call.answered))
        elif call.first and used_ids:
            yield Kept()
        if call.conversation is not None and call.returned:
            used_ids.add(call.returned)


@rule(
    "C-ID-CURRENT",
    Level.MUST,
    "getCurrentConversationId MUST give the active id, and none before the first audio and "
    "after an interrupt",
    "seed:004",
    Provenance.DOCUMENTED,
    presumes=("C-ID", "C-ID-NEW", "C-STATES"),
    needs=(IDS, "observe", "observe.conversationId"),
    advice=Advice(
        "a still face: an app that asks for the current id gives its motion an old one",
        "the id is kept after an interrupt, or is set too late",
        "set it with the first audio, and clear it at an interrupt",
    ),
)
def check_current_id(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each observation of the client in which it is certain which conversation is the current one. The
    client must report the id of this conversation."""
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
                follows_from=observation.rules_if_ended_early,
            )
