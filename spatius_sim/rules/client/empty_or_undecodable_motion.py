"""C rules on empty or undecodable motion: the audio plays on without it, and motion comes back with the next
conversation."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import PLAYED, SHOWN, Advice, Level, Provenance, rule
from spatius_sim.rules.shared_by_client_rules import (
    find_raised_errors,
    judge_audio,
    judge_discarded_motion,
    judge_motion,
    judge_stalls,
)
from spatius_sim.story.client_story import IDS, ClientStory, Kind


@rule(
    "C-EMPTY",
    Level.MUST,
    "no list, or one with no elements, with the current id MUST make that session audio-only, "
    "and the audio plays to its end",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=("yieldFramesData", *PLAYED),
    advice=Advice(
        "the voice breaks off when there is no motion, instead of playing without it",
        "an empty list is taken for an error, or for the end of the turn",
        "with an empty list, play the audio to its end with the face at rest",
    ),
)
def check_audio_after_empty_list(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check the audio of conversations (the rule calls them sessions) that got an empty list of motion, or no
    list: the call must raise no error, and the client must play the audio to its end."""
    for call in story.motion_calls:
        if call.kind is Kind.EMPTY and call.error is not None:
            yield Broken("audio-only from here on", f"it threw: {call.error}", (call.seq, call.answered))
    yield from judge_audio(story, "C-EMPTY")


@rule(
    "C-EMPTY-STICKY",
    Level.MUST,
    "in audio-only, later motion for that session MUST be ignored",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=SHOWN,
    advice=Advice(
        "the face jumps: it was at rest, and moves again in mid-sentence",
        "audio-only is not remembered for the conversation",
        "ignore all motion of a conversation that has become audio-only",
    ),
)
def check_motion_after_empty_list(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check motion for a conversation that an empty list of motion had made audio-only: the client must never
    render it."""
    yield from judge_discarded_motion(story, Kind.STICKY, "")


@rule(
    "C-EMPTY-SCOPE",
    Level.MUST,
    "the session after one that was audio-only MUST start with motion again",
    'seed:002 ("for that session")',
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=SHOWN,
    advice=Advice(
        "after one sentence without motion the face stays still for ever",
        "audio-only is remembered for the client instead of for the conversation",
        "begin each conversation with motion on",
    ),
)
def check_motion_of_next_session(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check the conversation (the rule calls it session) after one that was audio-only: its motion must be
    rendered again."""
    yield from judge_motion(story, "C-EMPTY-SCOPE")


@rule(
    "C-EMPTY-MISMATCH",
    Level.MUST,
    "an empty list with a mismatched id MUST NOT switch anything",
    "seed:002 (discarded)",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=(IDS, *SHOWN),
    advice=Advice(
        "an empty list that comes late stills the face of the sentence after it",
        "the list is looked at before the id",
        "compare the id first, and discard whatever has another one",
    ),
)
def check_mismatched_empty_list(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check conversations in which an empty list of motion came with the id of another one. The call must
    raise no error ("silently dropped", seed:002), and the motion of the current conversation must still be
    rendered: such a list must not make it audio-only."""
    yield from find_raised_errors(story, Kind.EMPTY_MISMATCH)
    yield from judge_motion(story, "C-EMPTY-MISMATCH")
    yield from judge_stalls(story, "C-EMPTY-MISMATCH")


@rule(
    "C-ABNORMAL",
    Level.MUST,
    "with bytes that no protobuf parser accepts the audio MUST play to its end, nothing crashes, and the "
    "next conversation has its motion",
    "docs:faq, seed:002",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=("yieldFramesData", *PLAYED),
    advice=Advice(
        "one damaged payload ends the voice, crashes the app, or stills the face for ever",
        "an error of the decoder is not caught, or leaves a flag behind",
        "catch it, play the audio to its end, and begin the next conversation afresh",
    ),
)
def check_undecodable_motion(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check conversations that got undecodable motion: their audio must be played to its end. In later
    conversations, audio must be played and motion rendered."""
    yield from judge_audio(story, "C-ABNORMAL")
    yield from judge_motion(story, "C-ABNORMAL", other_causes=("C-EMPTY-SCOPE",))
