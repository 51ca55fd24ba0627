"""Keeps what is certain about a client under test after the calls so far: for a client as slow, and for one
as fast, as a correct client may be. note_client_calls.py updates it by each call."""

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.story.client_story import ClientConversation, ClientStory, MotionCall, Observation
from spatius_sim.story.rule_to_blame import Blame
from spatius_sim.trace.decoder_events import PlaybackState


class CertainClientState:
    """What is certain about a client under test. The rules allow a client to be slow or fast within limits:
    the slowest and the fastest correct client are these limits. Whatever lies between them is not judged."""

    def __init__(self, story: ClientStory) -> None:
        """Begin with what is certain about a client before the first call: it has no conversation, and is
        idle. The comments say what each attribute holds. `slowest` and `fastest` stand for the slowest and
        the fastest client that the rules allow."""
        self.story = story
        # The current conversation (None: there is none), and all conversations by id.
        self.conversation: ClientConversation | None = None
        self.conversations: dict[str | None, ClientConversation] = {}
        # For each value of a keyframe: the calls that gave it, each with the keyframe's number there.
        self.origins: dict[float, list[tuple[MotionCall, int]]] = {}
        # Whether the client plays in the mode strictSync, in which audio waits for its motion.
        self.strict = False

        # How far they have played, in samples * 1000: a millisecond then adds the sample rate.
        self.slowest_position = self.fastest_position = 0
        # For how many ms the slowest may still wait before it plays, and the fastest may still play on in a
        # pause; and for how many ms motion that came late need not be shown at its place.
        self.slowest_wait_ms = self.overshoot_ms = self.catch_up_ms = 0
        # For how many ms the slowest was idle after the end of the conversation, was idle because the audio
        # had run out before its end mark, and waited for motion in strictSync.
        self.idle_after_end_ms = self.idle_before_end_ms = self.stalled_ms = 0
        # For how many ms the slowest played audio whose motion was missing; for how many ms the latest pause
        # has lasted; and how many ms ago an interrupt came, or audio that is perhaps never played.
        self.motion_missing_ms = self.paused_ms = self.quiet_ms = 0
        # Whether time has passed since the conversation began, or since an interrupt.
        self.moved = False

        # Whether the client is paused, and whether its position was seen in the latest pause: then even the
        # fastest goes on from there.
        self.paused = self.position_seen_in_pause = False
        # Nobody knows what the client plays: no document says what a call with audio did (or an `advance`
        # failed), or what the latest pause did.
        self.audio_undefined = self.pause_undefined = False
        # The pause may have been none, or the audio that came in it may not have been taken: not even the
        # resume makes certain what is played.
        self.uncertain_after_resume = False
        # `audio_undefined` comes from an end mark on its own, after everything was played; and since
        # `audio_undefined`, audio came of which nobody knows whether it is played.
        self.nothing_to_play = self.has_unclear_audio = False
        # The id that came back for an empty chunk outside a conversation, and the ids with which motion came
        # while `audio_undefined`. If the chunk has begun the next conversation, both may belong to that.
        self.id_of_empty_chunk: str | None = None
        self.ids_of_open_motion: set[str] = set()

        # The latest observation, whether only time has passed since then, and what was expected at it.
        self.last: Observation | None = None
        self.only_time_passed = False
        self.expected_before: PlaybackState | None = PlaybackState.IDLE
        self.silent_before = True

        # Each says which rule to blame for harm: to the motion, to the audio, or to the stalls of strictSync.
        # It keeps suspects: situations, such as a pause, since the client was last seen unharmed.
        self.motion_blame, self.audio_blame = Blame("C-MATCH"), Blame("C-STATES")
        self.stall_blame = Blame("C-STARVE")
        # A situation is blamed only if the client does well in a plain conversation, without situations. Was
        # motion rendered at its place in one, up to which keyframe, and in how many payloads? What are the
        # most samples, and the most bytes in a chunk, of one whose audio was played to its end?
        self.has_shown_plain_motion = False
        self.shown_payloads = self.shown_keyframe = 0
        self.well_played_lengths = 0, 0
        # The most bytes in a chunk of the current conversation.
        self.largest_chunk = 0
        # Motion was once rendered that is foreign or out of order.
        self.disordered = False
        # The rule to which the first harm to this conversation's audio belongs; None: no harm was seen.
        self.rule_of_first_harm: str | None = None
        # Of a client that reports only its state: the situations after which it was seen to play on; None: it
        # was never seen to play this conversation.
        self.situations_seen_playing: frozenset[str] | None = None
        # Of strictSync: the audio was seen to wait for missing motion, and to go on when motion had come.
        self.seen_to_stall = self.seen_to_go_on = False
        # Of this conversation in strictSync: a stall was seen to be missing; its audio may have waited.
        self.stall_was_wrong = self.lacked_motion = False

    @property
    def end(self) -> int:
        """The end of the audio that the client was given for the current conversation, in samples * 1000; 0
        if there is no conversation."""
        return self.conversation.samples * 1000 if self.conversation else 0

    @property
    def may_wait_for_motion(self) -> bool:
        """Whether the audio of the current conversation may wait for its motion: only in the mode strictSync,
        and only if the conversation is not audio-only and the documents fix which motion is shown."""
        current = self.conversation
        return current is not None and self.strict and not (current.audio_only or current.open_motion)

    @property
    def playable_end(self) -> int:
        """How far a correct client can have played the audio of its current conversation by now, in samples *
        1000 like all positions here. In the mode strictSync, it can only play audio whose motion has come."""
        current = self.conversation
        if current is None or not self.may_wait_for_motion:
            return self.end
        needed = keyframe_count(current.samples, self.story.sample_rate)
        if len(current.values) >= needed:
            return self.end
        return len(current.values) * self.story.sample_rate * 1000 // KEYFRAMES_PER_SECOND

    @property
    def surely_current(self) -> bool:
        """Whether every correct client still has a current conversation."""
        return self.conversation is not None and not self.audio_undefined and not self.maybe_over

    @property
    def maybe_over(self) -> bool:
        """Whether the current conversation is over for the fastest correct client."""
        return self.conversation is not None and self.conversation.ended and self.fastest_position >= self.end

    @property
    def surely_plays(self) -> bool:
        """Whether every correct client plays now, unless it is paused."""
        return self.surely_current and self.slowest_wait_ms == 0 and self.fastest_position < self.end

    @property
    def plays_without_waiting(self) -> bool:
        """Whether a correct client surely continues to play the current conversation's audio, without waiting
        for motion; False without a conversation.

        Audio never waits outside strictSync, if its conversation has no motion, or if some motion could not
        be decoded. In strictSync, it does not wait if the motion of all audio so far has come."""
        current = self.conversation
        return current is not None and (
            not self.strict
            or current.audio_only
            or current.abnormal  # "audio plays normally" (docs:faq)
            or (self.may_wait_for_motion and self.playable_end >= self.end)
        )

    @property
    def time_is_certain(self) -> bool:
        """Whether it is certain how far a correct client has played the current conversation by now."""
        return self.plays_without_waiting and not (self.audio_undefined or self.pause_undefined)

    @property
    def can_show_wait_for_motion(self) -> bool:
        """Whether it is certain that a correct client in strictSync now waits if its motion is missing, so
        that an observation can show it. It is if the current conversation may wait for motion, the client is
        not paused, and the documents say what each call so far does."""
        current = self.conversation
        if current is None or not self.may_wait_for_motion:
            return False
        return not (self.audio_undefined or self.pause_undefined or self.paused)

    @property
    def must_be_silent(self) -> bool:
        """Whether every correct client must be silent by now: nothing is left to play, whether or not it is
        paused, and it had the time `slack_ms` to stop. For this time there was no conversation (`quiet_ms`),
        or even the slowest client had played the ended one to its end (`idle_after_end_ms`).

        If no document says what a call with audio did (`audio_undefined`), this is certain only if everything
        had been played before, and the call was an end mark on its own (`nothing_to_play`)."""
        if self.audio_undefined:
            return self.nothing_to_play and self.quiet_ms >= self.story.slack_ms
        if self.conversation is None:
            return not self.story.audio_calls or self.quiet_ms >= self.story.slack_ms
        return self.plays_without_waiting and self.idle_after_end_ms >= self.story.slack_ms

    def expected_state(self) -> PlaybackState | None:
        """Return the playback state that every correct client must report now: idle, paused or playing. A
        client has `slack_ms` to react to a call, or to the end of its audio. Return None if correct clients
        may differ: after a call with an undefined outcome, or while a client may still react."""
        slack_ms = self.story.slack_ms
        if self.audio_undefined or self.pause_undefined:
            return None
        if self.conversation is None:
            must_be_idle = not self.story.audio_calls or self.quiet_ms >= slack_ms
            return PlaybackState.IDLE if must_be_idle else None
        if self.paused:
            return PlaybackState.PAUSED if self.paused_ms >= slack_ms else None
        if self.time_is_certain and self.idle_after_end_ms >= slack_ms:
            return PlaybackState.IDLE
        playing = self.time_is_certain and self.slowest_wait_ms == 0 and self.fastest_position < self.end
        return PlaybackState.PLAYING if playing else None

    def id_is_certain(self, reported_state: object) -> bool:
        """Return whether it is certain which conversation id a client in this state must report. It is not
        certain after a call with an undefined outcome, or if the conversation may be over.

        Nor is it certain if the client may have ended the conversation too early, which other rules judge. It
        may have if it reports idle. In strictSync it also may have if it reports no state, or if the
        conversation is audio-only or has undecodable motion."""
        if self.audio_undefined or self.maybe_over:
            return False
        tells_idle = reported_state == PlaybackState.IDLE or (self.strict and reported_state is None)
        current = self.conversation
        waits_for_none = self.strict and current is not None and (current.audio_only or current.abnormal)
        return current is None or not (tells_idle or waits_for_none)

    def may_call_throw(self, call_name: str) -> bool:
        """Return whether a correct client may throw at this call now, because no document says what the call
        does in its state. Other rules judge the calls with audio and with motion, so this returns True for
        them."""
        match call_name:
            case "advance":
                return False
            case "interrupt":
                return not self.surely_current
            case "pause":
                return self.paused or not self.surely_plays
            case "resume":
                return not self.paused or self.pause_undefined
            case _:
                return True

    def find_due_keyframes(self, samples_played: int | None) -> tuple[int, int | None]:
        """Return the numbers of the first and the last keyframe that were certainly due between the
        client's last observation and this one: the audio has reached their places. `samples_played` is the
        position that the client reports now; if it is None, take that of the slowest client that the rules
        allow.

        The last keyframe is None if no new keyframe was due. Return (0, None) if it is not certain what was
        due."""
        current, last = self.conversation, self.last
        if (
            not (current and last and self.only_time_passed and self.time_is_certain)
            or last.conversation is not current
        ):
            return 0, None
        if current.audio_only or current.open_motion or self.paused:
            return 0, None
        position_before = last.high if last.played is None else last.played
        position = self.slowest_position // 1000 if samples_played is None else samples_played
        total_keyframes = keyframe_count(current.samples, self.story.sample_rate)
        first_keyframe = self.story.keyframe_at(position_before)
        last_keyframe = self.story.keyframe_at(position)
        if last_keyframe >= total_keyframes:
            return first_keyframe, None  # The rest of the audio fills no keyframe.
        is_new = first_keyframe < last_keyframe < len(current.values)
        return first_keyframe, last_keyframe if is_new else None

    def may_be_at_end(self, played: int | None) -> bool:
        """Return whether, at this observation, the audio of the current conversation may be over, so that the
        client need not render more motion."""
        position = self.fastest_position // 1000 if played is None else played
        return self.conversation is not None and position >= self.conversation.samples

    def pass_time_for_fastest(self, elapsed_ms: int) -> None:
        """Let `elapsed_ms` pass for the fastest client that the rules allow: move its position, at most to
        the end of what it can play. In a pause, it may play on for a short time."""
        self.moved = self.moved or elapsed_ms > 0
        if self.conversation is None:
            return
        if self.paused and not self.pause_undefined:
            # It may still play for a while after the pause.
            elapsed_ms = min(elapsed_ms, self.overshoot_ms)
            self.overshoot_ms -= elapsed_ms
        self.fastest_position = min(
            self.playable_end, self.fastest_position + elapsed_ms * self.story.sample_rate
        )
        if self.fastest_position >= self.playable_end < self.end:
            self.lacked_motion = True

    def pass_time_for_slowest(self, elapsed_ms: int) -> None:
        """Let `elapsed_ms` pass for the slowest correct client: move its position, and add up for how long it
        was idle, stalled, paused, or without motion."""
        rate, playable_end = self.story.sample_rate, self.playable_end
        self.quiet_ms += elapsed_ms
        self.catch_up_ms = max(0, self.catch_up_ms - elapsed_ms)
        if self.conversation is None:
            return
        if self.pause_undefined:
            return
        if self.paused:
            self.paused_ms += elapsed_ms
            return
        # The slowest client waits first, then plays up to the limit, then is idle.
        waited_ms = min(self.slowest_wait_ms, elapsed_ms)
        self.slowest_wait_ms -= waited_ms
        unlimited_position = self.slowest_position + (elapsed_ms - waited_ms) * rate
        idle_ms = max(0, unlimited_position - playable_end) // rate
        self.slowest_position = min(playable_end, unlimited_position)
        if playable_end < self.end:
            self.stalled_ms += idle_ms
        elif self.conversation.ended:
            self.idle_after_end_ms += idle_ms
        else:
            self.idle_before_end_ms += idle_ms
        last_keyframe = keyframe_count(self.conversation.samples, rate) - 1
        if self.conversation.audio_only:
            return
        if min(last_keyframe, self.story.keyframe_at(self.slowest_position // 1000)) >= len(
            self.conversation.values
        ):
            self.motion_missing_ms += elapsed_ms - waited_ms
            self.audio_blame.add_suspect("C-STARVE")
