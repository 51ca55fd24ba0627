"""C rules on playback: states, pauses, ends, and audio that plays on or stalls while its motion is late."""

from collections.abc import Iterator

from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import MODES, PLAYED, Advice, Level, Provenance, rule
from spatius_sim.rules.shared_by_client_rules import (
    judge_audio,
    judge_motion,
    judge_stalls,
    judge_thrown_errors,
)
from spatius_sim.story.client_story import AUDIO_TOLERANCE_MS, ClientStory, Observation
from spatius_sim.trace.decoder_events import PlaybackState

_LONGEST_DRY_MS = 10_000
"""A conversation without an end mark is judged until this long after the end of its audio."""
_DRY_MS = 1_000
"""A state other than idle counts as kept from this long after the end of the audio."""


@rule(
    "C-STATES",
    Level.MUST,
    "idle, playing and paused MUST change as documented: playing lasts as long as the audio, which is played "
    "once and at its rate, and idle comes back after the end",
    "docs:state-events, docs:audio-io",
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
    needs=PLAYED,
    advice=Advice(
        "the app shows that the avatar speaks when it does not, or the other way round",
        "the state follows the calls instead of the playback, or audio is played twice or at another rate",
        "report playing when audio starts, paused while it is paused, and idle when the last of it was "
        "played",
    ),
)
def check_playback_states(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each observation of the client: it must report the right playback state, if this is certain. It
    must never report "playing" when nothing is left to play. Also check that audio is played at its rate and
    to its end, and that the client raises no error while time passes."""
    yield from judge_thrown_errors(story, "advance")
    was_interrupted = any(
        call.conversation is not None and call.conversation.interrupted for call in story.audio_calls
    )
    for observation in story.observations:
        if observation.audio_harm is not None:
            continue
        if observation.expected_state is None:
            if observation.silent and observation.state == PlaybackState.PLAYING:
                yield Broken("another state: nothing is left to play", "playing", (observation.seq,))
        elif observation.state == observation.expected_state:
            yield Kept()
        else:
            causes = ("C-PAUSE",) if observation.expected_state is PlaybackState.PAUSED else ()
            if observation.strict and was_interrupted:
                causes = (*causes, "C-INTERRUPT")  # What is left of the old audio waits for motion.
            yield Broken(
                f"the state {observation.expected_state}",
                f"{observation.state}",
                (observation.seq,),
                follows_from=causes,
            )
    yield from judge_audio(story, "C-STATES")


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
    needs=PLAYED,
    advice=Advice(
        "the app believes that the answer is over while more may come, and listens too early",
        "an empty buffer is taken for the end",
        "go idle after the end mark, an interrupt, a close or an error alone",
    ),
)
def check_audio_without_end_mark(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each conversation whose audio ran out without an end mark: until 10 s later, the client must not
    report the state idle."""
    for observation in story.observations:
        if (
            observation.dry_ms is None
            or observation.audio_harm is not None
            or observation.low < observation.samples
            or observation.dry_ms > _LONGEST_DRY_MS
        ):
            continue
        if observation.state == PlaybackState.IDLE:
            expected = "another state than idle while no end mark has come"
            yield Broken(
                expected,
                f"idle {observation.dry_ms} ms past the audio",
                (observation.seq,),
                follows_from=observation.rules_if_ended_early,
            )
        elif observation.dry_ms >= _DRY_MS:
            yield Kept()


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
    advice=Advice(
        "after a pause words are missing, or mouth and voice are apart",
        "the clock of the motion runs on in the pause, or buffers are cleared",
        "stop the audio clock, keep every buffer, and go on from there",
    ),
)
def check_pauses(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check each pause: the position of the audio must not move while the client is paused. Afterwards the
    audio must go on from there, and no audio or motion may be missing. If it is fixed what `pause` or
    `resume` does, it must raise no error."""
    yield from judge_thrown_errors(story, "pause", "resume")
    paused_at: Observation | None = None
    for observation in story.observations:
        if not observation.held:
            paused_at = None
            continue
        if paused_at is not None and observation.played is not None and paused_at.played is not None:
            if abs(observation.played - paused_at.played) <= story.samples(AUDIO_TOLERANCE_MS):
                yield Kept()
            else:
                expected = f"{paused_at.played} samples played, as when it was paused"
                yield Broken(expected, f"{observation.played} samples", (paused_at.seq, observation.seq))
        paused_at = paused_at or observation
    yield from judge_motion(story, "C-PAUSE")
    yield from judge_audio(story, "C-PAUSE")
    yield from judge_stalls(story, "C-PAUSE")


@rule(
    "C-STARVE",
    Level.MUST,
    "with motion late, audioIndependent MUST keep audio going, and strictSync stalls it and says so, and "
    "only then",
    "docs:sdk-capabilities",
    Provenance.DOCUMENTED,
    presumes=(
        "C-ID",
        "C-ID-NEW",
    ),
    needs=(*PLAYED, MODES),
    advice=Advice(
        "the voice stops though it should go on, or (strictSync) goes on with a still face",
        "one clock waits for the other in the wrong mode, or a stall is not told",
        "audioIndependent: never stop the audio for motion; strictSync: stop it, say so, and go on when "
        "motion comes",
    ),
)
def check_late_motion(story: ClientStory) -> Iterator[Kept | Broken]:
    """Check audio whose motion is late. In the mode audioIndependent the audio must go on. In strictSync it
    must stall, the client must report this, and the audio must go on when the motion has come. A client that
    is idle, and has nothing to play, must not report a stall. Nor must a client that has played all its audio
    and waits for more, if its motion is ahead: it holds nothing back."""
    for observation in story.observations:
        is_idle = observation.silent and observation.state == PlaybackState.IDLE
        if observation.strict and is_idle and observation.stalled is True:
            yield Broken("no stall while nothing is played", "stalled is True", (observation.seq,))
    yield from _find_stalls_after_audio_ran_out(story)
    yield from judge_stalls(story, "C-STARVE")
    yield from judge_audio(story, "C-STARVE")


def _find_stalls_after_audio_ran_out(story: ClientStory) -> Iterator[Broken]:
    """Yield Broken for each stall that a client reports wrongly in its playback: a stall means that motion is
    missing, but this client has more motion than audio, and only waits for audio. `dry_ms` is how long ago it
    had played all audio that has come of its conversation.

    This must have lasted for at least `slack_ms`. A conversation is not judged if no document says which
    motion it shows, such as one with motion that cannot be decoded."""
    out_of_audio_since: Observation | None = None
    for observation in story.observations:
        current = observation.conversation
        is_unclear = current is None or current.abnormal or current.open_motion
        if is_unclear or not observation.dry_ms or observation.motion_end <= observation.samples:
            out_of_audio_since = None
            continue
        if out_of_audio_since is None or out_of_audio_since.conversation is not current:
            out_of_audio_since = observation
        has_settled = observation.dry_ms - (out_of_audio_since.dry_ms or 0) >= story.slack_ms
        if has_settled and observation.stalled is True:
            expected = "no stall while only audio is missing, and motion is there"
            follows_from = ("C-MATCH", "C-UNKNOWN", "C-SYNC", "C-PAUSE", "C-EMPTY-SCOPE")
            yield Broken(expected, "stalled is True", (out_of_audio_since.seq, observation.seq), follows_from)
