"""C rules on conversation ids."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, ClientCheck, Kept
from spatius_sim.story.client_story import ClientStory


def ids(story: ClientStory) -> Iterator[Kept | Broken]:
    """C-ID."""
    for call in story.audio_calls:
        if call.round is None:
            continue
        wanted = "a non-empty conversationId" if call.first else f"the conversationId {call.round.id!r}"
        if call.error is not None:
            yield Broken(wanted, f"it threw: {call.error}", (call.seq, call.answered))
        elif not call.returned or call.returned != call.round.id:
            yield Broken(wanted, f"it returned {call.returned!r}", (call.seq, call.answered))
        else:
            yield Kept()


def new_ids(story: ClientStory) -> Iterator[Kept | Broken]:
    """C-ID-NEW."""
    used: set[str | None] = set()
    for call in story.audio_calls:
        if not call.first:
            continue
        if call.returned in used:
            expected = "a new conversationId for a new round"
            yield Broken(expected, f"{call.returned!r} once more", (call.seq, call.answered))
        elif used:
            yield Kept()
        used.add(call.returned)


def current_id(story: ClientStory) -> Iterator[Kept | Broken]:
    """C-ID-CURRENT."""
    for seen in story.observations:
        if not seen.id_fixed:
            continue
        if seen.conversation_id == seen.current_id:
            yield Kept()
        else:
            yield Broken(f"{seen.current_id!r} as current id", f"{seen.conversation_id!r}", (seen.seq,))


CHECKS: dict[str, ClientCheck] = {"C-ID": ids, "C-ID-NEW": new_ids, "C-ID-CURRENT": current_id}
"""Each rule with its check."""
