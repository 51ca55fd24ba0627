"""Whether motion and audio were harmed, and whether a call threw, told to the rule whose situation did it."""

from collections.abc import Iterator

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.story.client_story import ClientStory


def judge_motion(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge whether a situation such as unknown fields harmed a client's motion, for the rule on this
    situation. Yield Kept for each time that the client still rendered motion, near its place, after the
    situation came up.

    Yield Broken for each harm that this rule must answer for. A client that renders too little in any
    situation breaks C-MATCH (motion is rendered), and no other rule."""
    follows_from = ("C-MATCH",)
    tolerance = story.slack_ms * KEYFRAMES_PER_SECOND // 1000
    for observation in story.observations:
        if observation.due is None:
            continue
        came_up = rule_id in observation.motion_situations
        blamed = observation.motion_rule == rule_id
        if observation.shows_motion_in_place(tolerance):
            if came_up:
                yield Kept()
        elif blamed and came_up and observation.own and observation.controlled:
            expected = f"keyframe {observation.due} at {observation.played} samples"
            yield Broken(expected, f"keyframe {observation.own[-1]}", (observation.seq,), follows_from)
        elif blamed and observation.blank:
            expected = f"keyframe {observation.due} of the motion that was given, or one before it"
            seqs = observation.previous_seq, observation.seq
            yield Broken(expected, "nothing was rendered", seqs, follows_from)


def judge_audio(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge whether a situation such as late motion harmed a client's audio, for the rule on this situation.
    The audio must be played whole, once and in time.

    Yield Broken for each harm that this rule must answer for. Yield Kept if a conversation in this situation
    was played to its end; for C-STARVE (missing motion stops no audio), if the audio went on without
    motion."""
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


def judge_thrown(story: ClientStory, *calls: str) -> Iterator[Broken]:
    """Yield Broken for each of these `calls` (names of requests) at which the client threw, although it is
    fixed what the call does there."""
    for call in story.thrown_calls:
        if call.do in calls:
            yield Broken(f"{call.do} without an error", f"it threw: {call.error}", (call.seq, call.answered))
