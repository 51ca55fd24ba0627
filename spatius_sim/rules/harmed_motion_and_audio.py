"""Whether motion and audio were harmed, and whether a call threw, told to the rule whose situation did it."""

from collections.abc import Iterator

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.story.client_story import ClientStory


def judge_motion(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge whether a situation, such as motion with unknown fields, harmed a client's motion; `rule_id` is
    the rule on this situation. Yield Kept each time that motion is in its place after the situation came up.

    Yield Broken for each harm for which this rule, and no other, is to blame: nothing is rendered, or motion
    at a wrong place."""
    follows_from = ("C-MATCH",)
    tolerance_keyframes = story.slack_ms * KEYFRAMES_PER_SECOND // 1000
    for observation in story.observations:
        if observation.due is None:
            continue
        is_in_situation = rule_id in observation.motion_situations
        is_to_blame = observation.motion_rule == rule_id
        if observation.shows_motion_in_place(tolerance_keyframes):
            if is_in_situation:
                yield Kept()
        elif is_to_blame and is_in_situation and observation.own and observation.controlled:
            expected = f"keyframe {observation.due} at {observation.played} samples"
            yield Broken(expected, f"keyframe {observation.own[-1]}", (observation.seq,), follows_from)
        elif is_to_blame and observation.blank:
            expected = f"keyframe {observation.due} of the motion that was given, or one before it"
            seqs = observation.previous_seq, observation.seq
            yield Broken(expected, "nothing was rendered", seqs, follows_from)


def judge_audio(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge whether a situation, such as late motion, harmed a client's audio; `rule_id` is the rule on this
    situation. The audio must be played whole, once and in time.

    Yield Broken for each harm for which this rule is to blame. Yield Kept if the audio of a conversation in
    this situation was played to its end. For C-STARVE (missing motion must not stop the audio), yield Kept if
    the audio went on without motion."""
    for observation in story.observations:
        if observation.audio_harm is not None:
            if observation.audio_rule == rule_id and observation.conversation is not None:
                seqs = observation.conversation.first_seq, observation.seq
                yield Broken(*observation.audio_harm, seqs)
        elif (
            observation.audio_checked
            and rule_id in observation.audio_situations
            and (observation.starved if rule_id == "C-STARVE" else observation.is_over)
        ):
            yield Kept()


def judge_thrown_errors(story: ClientStory, *call_names: str) -> Iterator[Broken]:
    """Yield Broken for each error that the client threw in these calls (such as "pause"), if the documents
    fix what the call does at that time."""
    for call in story.thrown_calls:
        if call.do in call_names:
            yield Broken(f"{call.do} without an error", f"it threw: {call.error}", (call.seq, call.answered))
