"""Holds what several client rules share: it judges whether a client's motion, audio or stalls were harmed,
whether the client discarded motion, and whether a call threw. Each harm is reported under the rule on the
situation that caused it."""

from collections.abc import Iterator

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.story.client_story import AUDIO_TOLERANCE_MS, ClientStory, Kind, Observation
from spatius_sim.trace.decoder_events import PlaybackState


def judge_motion(
    story: ClientStory, rule_id: str, other_causes: tuple[str, ...] = ()
) -> Iterator[Kept | Broken]:
    """Judge for a client rule whether a situation, such as motion with unknown fields, harmed the client's
    motion; `rule_id` is the rule on this situation. Yield Kept each time that motion is in its place after
    the situation came up.

    Yield Broken for each harm for which this rule, and no other, is to blame: nothing is rendered, or motion
    at a wrong place. The harm follows from C-MATCH, from a rule in `other_causes`, or from the rule of any
    other situation that came up since the motion was last seen unharmed, if one of these rules failed."""
    tolerance_keyframes = story.slack_ms * KEYFRAMES_PER_SECOND // 1000
    for observation in story.observations:
        if observation.due is None:
            continue
        is_in_situation = rule_id in observation.motion_situations
        follows_from = ("C-MATCH", *other_causes, *sorted(observation.motion_situations - {rule_id}))
        is_to_blame = observation.motion_rule == rule_id
        if observation.shows_motion_in_place(tolerance_keyframes):
            if is_in_situation:
                yield Kept()
        elif observation.may_lag:
            continue
        elif is_to_blame and is_in_situation and observation.own and observation.controlled:
            expected = f"keyframe {observation.due} at {observation.played} samples"
            yield Broken(expected, f"keyframe {observation.own[-1]}", (observation.seq,), follows_from)
        elif is_to_blame and observation.blank:
            expected = f"keyframe {observation.due} of the motion that was given, or one before it"
            seqs = observation.previous_seq, observation.seq
            yield Broken(expected, "nothing was rendered", seqs, follows_from)


def judge_audio(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge for a client rule whether a situation, such as late motion, harmed the client's audio; `rule_id`
    is the rule on this situation. The audio must be played whole, once and in time.

    Yield Broken for each harm that belongs to this rule. Yield Kept if the audio of a conversation in this
    situation was played to its end. For C-STARVE (missing motion must not stop the audio), yield Kept if
    the audio went on without motion."""
    for observation in story.observations:
        if observation.audio_harm is not None:
            if observation.audio_rule == rule_id and observation.conversation is not None:
                seqs = observation.conversation.first_seq, observation.seq
                causes = _find_other_causes_in_strict_sync(rule_id, observation) if observation.strict else ()
                # A client that harms audio if nothing special happens harms it in every situation.
                in_any_situation = () if rule_id == "C-STATES" else ("C-STATES",)
                yield Broken(*observation.audio_harm, seqs, (*in_any_situation, *causes))
        elif (
            observation.audio_checked
            and rule_id in observation.audio_situations
            and (observation.starved if rule_id == "C-STARVE" else observation.is_over)
        ):
            yield Kept()


def judge_stalls(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge for a client rule whether the client, in the mode strictSync, stalls rightly: it must hold its
    audio while motion is missing, report this stall, and go on when motion has come. After some situations,
    such as a pause, a client may do this wrongly; `rule_id` is the rule on one situation.

    Yield Broken for each wrong stall of which this situation is the cause. For C-STARVE, the rule on stalls
    without such a situation, also yield Kept for each stall that is right."""
    tolerance_samples = story.samples(AUDIO_TOLERANCE_MS)
    for observation in story.observations:
        if not observation.strict:
            continue
        # A client that lost its audio (C-STATES) cannot hold it, and one that dropped its motion (C-MATCH)
        # cannot go on.
        causes = ("C-STATES", *(_find_other_causes_in_strict_sync(rule_id, observation) or ("C-MATCH",)))
        finding = _judge_strict_sync(observation, tolerance_samples, causes)
        right_rule_id = observation.stall_rule if isinstance(finding, Broken) else "C-STARVE"
        if finding is not None and right_rule_id == rule_id:
            yield finding


def _judge_strict_sync(
    observation: Observation, tolerance_samples: int, follows_from: tuple[str, ...]
) -> Kept | Broken | None:
    """Judge the stall at one observation of a client in the mode strictSync, for all client rules on stalls.
    If motion is missing, so that the audio must stall (`observation.stalls`), it must not play on, and the
    client must report this stall (`observation.stalled`). If motion has come, the audio must go on. Return
    None if neither is certain. If the client broke one of the rules in `follows_from`, a wrong stall may be
    an effect of that."""
    played = observation.played or 0
    must_run = (
        observation.state != PlaybackState.IDLE
        and observation.runs
        and observation.conversation is not None
        and observation.conversation.last_shown >= 0
    )
    if observation.stalls and played > observation.motion_end + tolerance_samples:
        expected = f"audio that stalls at {observation.motion_end} samples, where its motion is missing"
        return Broken(expected, f"{played} samples played", (observation.seq,), follows_from)
    if observation.stalls and observation.stalled is False and observation.state != PlaybackState.IDLE:
        actual = f"stalled is {observation.stalled}"
        return Broken("a stall that is told", actual, (observation.seq,), follows_from)
    if must_run and observation.stalled is True:
        return Broken("no stall while motion is there", "stalled is True", (observation.seq,), follows_from)
    if must_run and observation.played is not None and played < observation.low - tolerance_samples:
        expected = f"audio that goes on once motion has come: {observation.low} samples by now"
        return Broken(expected, f"{played} samples", (observation.seq,), follows_from)
    is_seen = observation.played is not None or observation.stalled is True
    return Kept() if observation.stalls and is_seen else None


def _find_other_causes_in_strict_sync(rule_id: str, observation: Observation) -> tuple[str, ...]:
    """Return the client rules that a client in strictSync may have broken instead of `rule_id`, which seems
    to be broken: they make the audio stall, or run, in the same wrong way."""
    match rule_id:
        case "C-EMPTY":
            # A client that does not stay audio-only waits for motion again.
            return ("C-EMPTY-STICKY",)
        case "C-PAUSE" if observation.stalled:
            # A client that drops motion waits for ever.
            return ("C-MATCH",)
        case "C-STARVE":
            # A client that drops motion waits for ever. One that stays audio-only in the next conversation
            # does not wait. Audio that runs on in a pause or after an interrupt runs on without motion, too.
            situations = observation.stall_situations | observation.audio_situations
            return ("C-MATCH", "C-EMPTY-SCOPE", *sorted({"C-INTERRUPT", "C-PAUSE"} & situations))
        case _:
            return ()


def judge_thrown_errors(story: ClientStory, *call_names: str) -> Iterator[Broken]:
    """Yield Broken, for any client rule, for each error that the client threw in calls of these names, such
    as "pause". The story keeps such an error only if the Spatius documents say what the call must do at that
    time: elsewhere a client may throw."""
    for call in story.thrown_calls:
        if call.do in call_names:
            yield Broken(f"{call.do} without an error", f"it threw: {call.error}", (call.seq, call.answered))


def find_raised_errors(story: ClientStory, kind: Kind) -> Iterator[Broken]:
    """Yield Broken, for any client rule, for each call with motion of this kind at which the client raised an
    error."""
    for call in story.motion_calls:
        if call.kind is kind and call.error is not None:
            yield Broken("silence", f"it threw: {call.error}", (call.seq, call.answered))


def judge_discarded_motion(story: ClientStory, kind: Kind, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge for a client rule each call that gave the client motion which must be discarded; `kind` says why
    it must. Yield Broken if the client rendered the motion, and Kept if it did not, as far as it was
    observed.

    With a `rule_id`, also judge whether the client still rendered its other motion afterwards. With "", do
    not."""
    calls = [call for call in story.motion_calls if call.kind is kind]
    for call in calls:
        showing_observations = [
            observation
            for observation in story.observations
            if any(origin is call for _, origin in observation.foreign)
        ]
        observed_later = any(
            observation.moved for observation in story.observations if observation.seq > call.seq
        )
        if showing_observations:
            seqs = call.seq, showing_observations[0].seq
            # A client that keeps motion with another id also keeps motion that comes before any audio.
            causes = ("C-MISMATCH",) if kind is Kind.EARLY else ()
            yield Broken(f"motion {kind.value} discarded", f"motion {kind.value} was rendered", seqs, causes)
        elif observed_later:
            yield Kept()
    if rule_id:
        yield from judge_motion(story, rule_id)
