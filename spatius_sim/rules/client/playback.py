"""C rules on playback: states, pauses, ends, and audio that plays on whatever happens to its motion."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import MODES, PLAYED, Level, Provenance, rule
from spatius_sim.story.client_story import APART, ClientStory, Kind, Observation
from spatius_sim.trace.decoder_events import PlaybackState

_TOLERANCE_MS = 40
"""How far the audio may be from where it should be: a client plays in blocks, so a keyframe's length is no
fault."""
_LONGEST_DRY_MS = 10_000
"""How long after the end of its audio a conversation without an end mark is judged."""
_DRY_MS = 1_000
"""How long after the end of its audio a state other than idle counts as kept."""


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
    """Look at each observation whose state is certain, and at each conversation that is over: it was played
    out."""
    for seen in story.observations:
        if seen.expected_state is None or (seen.over and seen.played != seen.samples):
            continue
        if seen.state == seen.expected_state:
            yield Kept()
        else:
            yield Broken(f"the state {seen.expected_state}", f"{seen.state}", (seen.seq,))
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
    for seen in story.observations:
        if seen.dry_ms is None or seen.low < seen.samples or seen.dry_ms > _LONGEST_DRY_MS:
            continue
        if seen.state == PlaybackState.IDLE:
            expected = "another state than idle while no end mark has come"
            yield Broken(expected, f"idle {seen.dry_ms} ms past the audio", (seen.seq,))
        elif seen.dry_ms >= _DRY_MS:
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
    """Look at each pause: the audio stands still, and after it nothing of audio or motion is missing."""
    held: Observation | None = None
    for seen in story.observations:
        if not seen.held:
            held = None
            continue
        if held is not None and seen.played is not None and held.played is not None:
            if abs(seen.played - held.played) <= story.samples(_TOLERANCE_MS):
                yield Kept()
            else:
                expected = f"{held.played} samples played, as when it was paused"
                yield Broken(expected, f"{seen.played} samples", (held.seq, seen.seq))
        held = held or seen
    for seen in story.observations:
        if seen.due is not None and seen.taints == {"C-PAUSE"} and seen.shown_before:
            if seen.own:
                yield Kept()
            elif seen.blank:
                expected = f"keyframe {seen.due}, given before or after the pause"
                yield Broken(expected, "nothing was rendered", (seen.previous_seq, seen.seq))
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
    """Look at audio whose motion is late: it goes on, or in strictSync stalls, says so and goes on later."""
    tolerance = story.samples(_TOLERANCE_MS)
    for seen in story.observations:
        if seen.strict:
            yield from _judge_strict_sync(seen, tolerance)
        elif (
            seen.conversation is not None
            and seen.missing_ms > story.slack_ms
            and seen.played is not None
            and seen.state != PlaybackState.IDLE
            and not seen.conversation.taints & APART
        ):
            if seen.played >= seen.low - tolerance:
                yield Kept()
            else:
                expected = f"audio that goes on without motion: {seen.low} samples by now"
                yield Broken(expected, f"{seen.played} samples", (seen.seq,))


def _judge_strict_sync(seen: Observation, tolerance: int) -> Iterator[Kept | Broken]:
    """Judge strictSync at one observation: it stalls if motion is missing, says so, and goes on once motion
    came."""
    played = seen.played or 0
    runs = seen.runs and seen.conversation is not None and seen.conversation.last_shown >= 0
    if seen.stalls and played > seen.motion_end + tolerance:
        expected = f"audio that stalls at {seen.motion_end} samples, where its motion is missing"
        yield Broken(expected, f"{played} samples played", (seen.seq,))
    elif seen.stalls and seen.stalled is not True:
        yield Broken("a stall that is told", f"stalled is {seen.stalled}", (seen.seq,))
    elif runs and seen.stalled is True:
        yield Broken("no stall while motion is there", "stalled is True", (seen.seq,))
    elif runs and played < seen.low - tolerance:
        expected = f"audio that goes on once motion has come: {seen.low} samples by now"
        yield Broken(expected, f"{played} samples", (seen.seq,))
    elif seen.stalls:
        yield Kept()


def _played_out(story: ClientStory, rule_id: str) -> Iterator[Kept | Broken]:
    """Judge that the conversations which only this rule's situation sets apart are played to their end. With
    a rule id, a client is judged only if it was seen to play a plain conversation to its end before."""
    wanted = {rule_id} if rule_id else set()
    for seen in story.observations:
        if not seen.over or seen.conversation is None or seen.played is None:
            continue
        if seen.conversation.taints & APART != wanted or (rule_id and not seen.ended_well_before):
            continue
        if rule_id == "C-ABNORMAL" and seen.missing_ms and not seen.went_on_before:
            continue  # This client may be one that stalls without motion.
        if seen.played == seen.samples:
            yield Kept()
        else:
            expected = f"the audio played to its end, {seen.samples} samples"
            yield Broken(expected, f"{seen.played} samples", (seen.conversation.first_seq, seen.seq))
