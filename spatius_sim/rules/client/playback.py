"""C rules on playback: states, pauses, ends, and audio that plays on without its motion."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import MODES, PLAYED, Level, Provenance, rule
from spatius_sim.story.client_story import APART, ClientStory, Kind, Observation
from spatius_sim.trace.decoder_events import PlaybackState

_TOLERANCE_MS = 40
"""How far the audio may be from its expected position: a client plays in blocks, so a keyframe's length is
no fault."""
_LONGEST_DRY_MS = 10_000
"""A conversation without an end mark is judged until this long after the end of its audio."""
_DRY_MS = 1_000
"""A state other than idle counts as kept from this long after the end of the audio."""


@rule(
    "C-STATES",
    Level.MUST,
    "idle, playing and paused MUST change as documented, and idle comes back after the end",
    "docs:state-events",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
        "C-INTERRUPT",
        "C-PAUSE",
        "C-EMPTY",
        "C-ABNORMAL",
        "C-NOEND",
        "C-STARVE",
    ),
    needs=("advance", "observe", "observe.state"),
)
def states(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at each observation: if the expected state is certain, the client reports this state. And look at
    each conversation that is over: its audio was played to its end."""
    for observation in story.observations:
        if observation.expected_state is None or (
            observation.over and observation.played != observation.samples
        ):
            continue
        if observation.state == observation.expected_state:
            yield Kept()
        else:
            yield Broken(
                f"the state {observation.expected_state}", f"{observation.state}", (observation.seq,)
            )
    yield from _played_out(story, "")


@rule(
    "C-NOEND",
    Level.MUST,
    "without an end mark, interrupt, close or error the state MUST NOT return to idle for 10 s "
    "past the audio",
    "docs:audio-io",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=("advance", "observe", "observe.state"),
)
def no_end(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at conversations without an end mark whose audio ran out: the state is not idle."""
    for observation in story.observations:
        if (
            observation.dry_ms is None
            or observation.low < observation.samples
            or observation.dry_ms > _LONGEST_DRY_MS
        ):
            continue
        if observation.state == PlaybackState.IDLE:
            expected = "another state than idle while no end mark has come"
            yield Broken(expected, f"idle {observation.dry_ms} ms past the audio", (observation.seq,))
        elif observation.dry_ms >= _DRY_MS:
            yield Kept()


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
)
def empty(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at conversations that got an empty list: the call raises nothing, and the audio is played out."""
    for call in story.motion_calls:
        if call.kind is Kind.EMPTY and call.error is not None:
            yield Broken("audio-only from here on", f"it threw: {call.error}", (call.seq, call.answered))
    yield from _played_out(story, "C-EMPTY")


@rule(
    "C-ABNORMAL",
    Level.MUST,
    "with bytes that no protobuf parser accepts the audio MUST play to its end, and nothing crashes",
    "docs:faq",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=("yieldFramesData", *PLAYED),
)
def abnormal_end(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at conversations that got undecodable motion: the audio is played out."""
    yield from _played_out(story, "C-ABNORMAL")


@rule(
    "C-PAUSE",
    Level.MUST,
    "pause and resume MUST lose nothing",
    "docs:audio-io",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=("pause", "resume", *PLAYED),
)
def pause(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at each pause: the audio stands still while the client is paused. After it, no audio and no motion
    is missing."""
    paused_at: Observation | None = None
    for observation in story.observations:
        if not observation.held:
            paused_at = None
            continue
        if paused_at is not None and observation.played is not None and paused_at.played is not None:
            if abs(observation.played - paused_at.played) <= story.samples(_TOLERANCE_MS):
                yield Kept()
            else:
                expected = f"{paused_at.played} samples played, as when it was paused"
                yield Broken(expected, f"{observation.played} samples", (paused_at.seq, observation.seq))
        paused_at = paused_at or observation
    for observation in story.observations:
        if observation.due is not None and observation.taints == {"C-PAUSE"} and observation.shown_before:
            if observation.own:
                yield Kept()
            elif observation.blank:
                expected = f"keyframe {observation.due}, given before or after the pause"
                yield Broken(expected, "nothing was rendered", (observation.previous_seq, observation.seq))
    yield from _played_out(story, "C-PAUSE")


@rule(
    "C-STARVE",
    Level.MUST,
    "with motion late, audioIndependent MUST keep audio going, and strictSync stalls it and says so",
    "docs:sdk-capabilities",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=(*PLAYED, MODES),
)
def starve(story: ClientStory) -> Iterator[Kept | Broken]:
    """Look at audio whose motion is late: the audio goes on. In strictSync the audio stalls, the client says
    so, and the audio goes on later."""
    tolerance = story.samples(_TOLERANCE_MS)
    for observation in story.observations:
        if observation.strict:
            yield from _judge_strict_sync(observation, tolerance)
        elif (
            observation.conversation is not None
            and observation.missing_ms > story.slack_ms
            and observation.played is not None
            and observation.state != PlaybackState.IDLE
            and not observation.conversation.taints & APART
        ):
            if observation.played >= observation.low - tolerance:
                yield Kept()
            else:
                expected = f"audio that goes on without motion: {observation.low} samples by now"
                yield Broken(expected, f"{observation.played} samples", (observation.seq,))


def _judge_strict_sync(observation: Observation, tolerance: int) -> Iterator[Kept | Broken]:
    """Yield the outcome of strictSync at one observation: the audio stalls if motion is missing, the client
    says so, and the audio goes on when motion has come."""
    played = observation.played or 0
    must_run = (
        observation.runs and observation.conversation is not None and observation.conversation.last_shown >= 0
    )
    if observation.stalls and played > observation.motion_end + tolerance:
        expected = f"audio that stalls at {observation.motion_end} samples, where its motion is missing"
        yield Broken(expected, f"{played} samples played", (observation.seq,))
    elif observation.stalls and observation.stalled is not True:
        yield Broken("a stall that is told", f"stalled is {observation.stalled}", (observation.seq,))
    elif must_run and observation.stalled is True:
        yield Broken("no stall while motion is there", "stalled is True", (observation.seq,))
    elif must_run and played < observation.low - tolerance:
        expected = f"audio that goes on once motion has come: {observation.low} samples by now"
        yield Broken(expected, f"{played} samples", (observation.seq,))
    elif observation.stalls:
        yield Kept()


def _played_out(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Yield whether conversations are played to their end: those of the situation of `rule_id`, or plain
    conversations if `rule_id` is "". With a rule id, only a client is judged that played a plain conversation
    to its end before."""
    situations = {rule_id} if rule_id else set()
    for observation in story.observations:
        if not observation.over or observation.conversation is None or observation.played is None:
            continue
        if observation.conversation.taints & APART != situations or (
            rule_id and not observation.ended_well_before
        ):
            continue
        if rule_id == "C-ABNORMAL" and observation.missing_ms and not observation.went_on_before:
            continue  # This client may be one that stalls without motion.
        if observation.played == observation.samples:
            yield Kept()
        else:
            expected = f"the audio played to its end, {observation.samples} samples"
            yield Broken(
                expected,
                f"{observation.played} samples",
                (observation.conversation.first_seq, observation.seq),
            )
