"""C rules on motion that can be decoded: what must be rendered, and what must be discarded."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import SHOWN, Advice, Level, Provenance, rule
from spatius_sim.rules.shared_by_client_rules import (
    find_raised_errors,
    judge_audio,
    judge_discarded_motion,
    judge_motion,
    judge_stalls,
    judge_thrown_errors,
)
from spatius_sim.story.client_story import (
    AUDIO_TOLERANCE_MS,
    IDS,
    ClientStory,
    Kind,
    MotionCall,
    Observation,
)
from spatius_sim.trace.decoder_events import PlaybackState


@rule(
    "C-MATCH",
    Level.MUST,
    "motion given with the current id MUST be decoded and played in order; the argument "
    "decides, the payload's own req_id is never compared",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
        "C-MISMATCH",
        "C-EARLY",
        "C-INTERRUPT",
        "C-PAUSE",
        "C-EMPTY-STICKY",
        "C-EMPTY-SCOPE",
        "C-EMPTY-MISMATCH",
        "C-UNKNOWN",
    ),
    needs=SHOWN,
    advice=Advice(
        "the voice plays and the face is still, or its motion comes in a wrong order",
        "the client compares the payload's own req_id, drops motion before playback, or plays what was "
        "cut off",
        "go by the id in the call alone, append keyframes in order, and drop those of a conversation that"
        " was cut off",
    ),
)
def check_rendered_motion(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each observation of the client: it must render keyframes of the current conversation only, and in
    their order. If a keyframe is due and the step was long enough, at least one must be rendered."""
    for observation in story.observations:
        cut_off_calls = [
            call for _, call in observation.foreign if call.kind is Kind.MATCH and not _was_interrupted(call)
        ]
        if cut_off_calls and observation.moved:
            actual = "motion of a conversation that was cut off was rendered"
            yield Broken(
                "motion of the current conversation alone", actual, (cut_off_calls[0].seq, observation.seq)
            )
        elif not observation.in_order:
            yield Broken(
                "keyframes in the order in which they were given", f"{observation.own}", (observation.seq,)
            )
        elif observation.due is not None:
            if observation.own:
                yield Kept()
            elif observation.blank and observation.motion_rule == "C-MATCH":
                expected = f"keyframe {observation.due} of the motion that was given, or one before it"
                yield Broken(expected, "nothing was rendered", (observation.previous_seq, observation.seq))
        elif _waits_for_all_motion(story, observation):
            actual = "nothing was rendered, and the audio waits for motion"
            # Audio that was lost does not go on either.
            expected = "the motion that was given, as the audio goes on"
            yield Broken(expected, actual, (observation.seq,), ("C-STATES",))


def _waits_for_all_motion(story: ClientStory, observation: Observation) -> bool:
    """Return whether a client wrongly waits for motion that it was given: it rendered none of it, and as it
    waits for motion before it plays audio (in strictSync), it has played no audio either. It must have had
    enough time to begin, and nothing else may be the cause."""
    current = observation.conversation
    has_shown_nothing = current is not None and current.last_shown < 0 and not observation.own
    is_at_start = observation.played is not None and observation.played <= story.samples(AUDIO_TOLERANCE_MS)
    must_have_begun = observation.runs and observation.low > 2 * story.samples(AUDIO_TOLERANCE_MS)
    is_plain = observation.stall_rule == "C-STARVE" and observation.state != PlaybackState.IDLE
    return has_shown_nothing and is_at_start and must_have_begun and is_plain


@rule(
    "C-SYNC",
    Level.SHOULD,
    "keyframe k SHOULD play at k/25 s of the audio clock",
    "recording",
    Provenance.OBSERVED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
        "C-STARVE",
        "C-MATCH",
    ),
    needs=(*SHOWN, "observe.samplesPlayed"),
    advice=Advice(
        "the mouth is ahead of the voice, or behind it",
        "keyframes follow the screen or the wall clock instead of the audio",
        "show keyframe floor(samples played * 25 / rate)",
    ),
)
def check_motion_in_sync(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each observation at which a keyframe is due: the client must have rendered a keyframe near it.
    This holds, too, if a payload came after the time of all its keyframes: the motion after it must be
    rendered."""
    for observation in story.observations:
        is_overdue = observation.motion_rule == "C-SYNC"
        if observation.due is None or not (is_overdue or observation.motion_rule == "C-MATCH"):
            continue
        expected = f"keyframe {observation.due} at {observation.played} samples"
        if observation.shows_motion_in_place(story.keyframe_tolerance):
            yield Kept()
        elif observation.may_lag:
            continue
        elif observation.own:
            yield Broken(expected, f"keyframe {observation.own[-1]}", (observation.seq,), ("C-MATCH",))
        elif is_overdue and observation.blank:
            seqs = observation.previous_seq, observation.seq
            yield Broken(expected, "nothing was rendered", seqs, ("C-MATCH",))


@rule(
    "C-MISMATCH",
    Level.MUST,
    "motion with any other id than the current one MUST change nothing and raise nothing",
    "seed:002, seed:004",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=(IDS, *SHOWN),
    advice=Advice(
        "the mouth moves to another sentence, or the app crashes",
        "the id that is given with the motion is not compared, or an exception is raised",
        "compare the id with the current one, and discard the motion in silence if it differs",
    ),
)
def check_mismatched_motion(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check motion that was given with another id than that of the current conversation. The call must raise
    no error, and the client must never render the motion. Motion that came when its conversation may have
    been over (Kind.OVER) must not be rendered in a later one."""
    yield from find_raised_errors(story, Kind.MISMATCH)
    yield from judge_discarded_motion(story, Kind.OVER, "")
    yield from judge_discarded_motion(story, Kind.MISMATCH, "C-MISMATCH")
    yield from judge_stalls(story, "C-MISMATCH")


@rule(
    "C-EARLY",
    Level.MUST,
    "motion before any audio MUST be discarded",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=(IDS, *SHOWN),
    advice=Advice(
        "the next sentence begins with motion that belongs to none",
        "motion is kept until there is an id",
        "discard motion as long as no audio has come",
    ),
)
def check_early_motion(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check motion that was given before any audio: the call must raise no error, and the client must never
    render the motion."""
    yield from find_raised_errors(story, Kind.EARLY)
    yield from judge_discarded_motion(story, Kind.EARLY, "C-EARLY")
    yield from judge_stalls(story, "C-EARLY")


@rule(
    "C-INTERRUPT",
    Level.MUST,
    "interrupt MUST clear audio and motion, and late motion of the old id is discarded",
    "docs:audio-io",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=("interrupt", *SHOWN),
    advice=Advice(
        "after an interruption the old voice or the old mouth goes on",
        "the audio is stopped and the motion is not, or what comes late is still taken",
        "clear audio, motion and the current id together, and discard motion of the old id",
    ),
)
def check_interrupts(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check what follows an interrupt: neither motion nor audio from before it may go on. Motion that still
    comes with the old id is "silently dropped" (seed:002): its call must raise no error, and the motion must
    not be rendered. The interrupt of a conversation must raise no error either."""
    yield from judge_thrown_errors(story, "interrupt")
    yield from find_raised_errors(story, Kind.LATE)
    for observation in story.observations:
        stale_calls = [
            call for _, call in observation.foreign if call.kind is Kind.MATCH and _was_interrupted(call)
        ]
        if stale_calls and observation.moved:
            actual = "motion from before the interrupt was rendered"
            yield Broken("cleared motion", actual, (stale_calls[0].seq, observation.seq))
    yield from judge_audio(story, "C-INTERRUPT")
    yield from judge_discarded_motion(story, Kind.LATE, "C-INTERRUPT")
    yield from judge_stalls(story, "C-INTERRUPT")


@rule(
    "C-UNKNOWN",
    Level.MUST,
    "unknown protobuf fields, at every level and of every wire type, MUST be tolerated",
    'proto3 (protobuf.dev, "Unknown Fields")',
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=SHOWN,
    advice=Advice(
        "a still face once Motion Server adds a field",
        "a strict decoder refuses fields that it does not know",
        "skip unknown fields, at every level and of every wire type",
    ),
)
def check_unknown_fields(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check motion with protobuf fields that the client does not know: the call must raise no error, and the
    motion must be rendered."""
    for call in story.motion_calls:
        if call.unknown_fields and call.kind is Kind.MATCH and call.error is not None:
            yield Broken("unknown fields skipped", f"it threw: {call.error}", (call.seq, call.answered))
    yield from judge_motion(story, "C-UNKNOWN")
    yield from judge_stalls(story, "C-UNKNOWN")


def _was_interrupted(call: MotionCall) -> bool:
    """Return whether the conversation to which this motion was given was interrupted afterwards."""
    return call.conversation is not None and call.conversation.interrupted
