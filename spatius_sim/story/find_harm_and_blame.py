"""Finds harm to the audio, the motion or the stall of a client under test at an observation, and the rule to
blame for it: that of a situation, such as a pause, which came up before, or a default rule."""

from spatius_sim.story.client_story import AUDIO_TOLERANCE_MS, ClientConversation, Observation
from spatius_sim.story.real_client_time import RealClientTime
from spatius_sim.trace.decoder_events import PlaybackState

_SHOWN_BY_STATE = {"C-ABNORMAL", "C-EMPTY", "C-PAUSE", "C-STARVE"}
"""The situations, each named by its rule, whose harm the playback state alone shows."""


class HarmFinder(RealClientTime):
    """Compares what the client reports at an observation with what is certain about a correct client, and
    keeps what earlier observations proved that the client does well."""

    def can_blame_situation_for_motion(
        self, conversation: ClientConversation, due_keyframe: int | None
    ) -> bool:
        """Return whether harm to the motion that is due now may be blamed on the situation of this
        conversation, such as a pause. It may only if the client was seen to do well without any situation: it
        rendered motion up to keyframe `due_keyframe`, and as many payloads as hold these keyframes in
        `conversation`. Otherwise, the length of the motion or a second payload may be the cause."""
        payload_count = conversation.payload_number_of(due_keyframe)
        return (due_keyframe or 0) <= self.shown_keyframe and payload_count <= self.shown_payloads

    def note_unharmed_motion(self, observation: Observation) -> None:
        """Note that this observation showed motion without harm, so that no situation before it (such as a
        pause) is to blame for harm to the motion that is seen later: these situations are no suspects any
        more. If there was none since motion was last seen unharmed, keep up to which keyframe, and in how
        many payloads, the client renders motion well without any situation."""
        due_keyframe, current = observation.due, self.conversation
        in_place = observation.shows_motion_in_place(self.story.keyframe_tolerance)
        if not self.motion_blame.suspects and current is not None and in_place:
            self.has_shown_plain_motion = True
            self.shown_payloads = max(self.shown_payloads, current.payload_number_of(due_keyframe))
            self.shown_keyframe = max(self.shown_keyframe, due_keyframe or 0)
        if current and (due_keyframe or 0) < current.after_foreign_from < len(current.values):
            return  # Motion that came after foreign motion is still to be shown: it may be lost.
        if current is not None and (due_keyframe or 0) < current.unknown_from:
            # Motion with unknown fields may still be to come: it is not proven that they do no harm.
            self.motion_blame.drop_suspects("C-UNKNOWN")
        self.motion_blame.clear_suspects()

    def find_stall_rule(self, *, audio_must_run: bool) -> str:
        """Return the rule to blame if this observation shows a wrong stall of a client in strictSync (its
        audio must stall while motion is missing); "" if that is not certain. With `audio_must_run`, a stall
        that lasts is wrong. Without, a missing stall is.

        The suspects are the situations, such as unknown fields, since a stall was last seen right. Without
        suspects, C-STARVE, the rule on stalls, is to blame; for a missing stall also after a pause or an
        interrupt. If there is one suspect, and the client once stalled or went on rightly before, the rule of
        this situation is to blame."""
        suspects = self.stall_blame.suspects
        if self.stall_was_wrong:
            return ""
        if suspects <= ({"C-STARVE"} if audio_must_run else {"C-STARVE", "C-PAUSE", "C-INTERRUPT"}):
            return "C-STARVE"
        most_samples, _ = self.well_played_lengths
        did_right_before = self.seen_to_go_on or most_samples > 0 if audio_must_run else self.seen_to_stall
        return next(iter(suspects)) if len(suspects) == 1 and did_right_before else ""

    def note_stall(self, observation: Observation) -> None:
        """Note what this observation shows of strictSync, in which audio must wait (stall) for missing
        motion, and go on when motion has come. If the client does one of them as it must, no situation before
        it (such as a pause) has harmed the stall: none is to blame for a wrong stall that is seen later. If
        the audio should wait and does not, this conversation proves nothing more."""
        tolerance_samples = self.story.samples(AUDIO_TOLERANCE_MS)
        played = observation.played
        if not observation.strict or (played is None and observation.stalled is None):
            return
        is_not_ahead = played is None or played <= observation.motion_end + tolerance_samples
        is_at_right_position = played is None or (
            observation.low - tolerance_samples <= played <= observation.high + tolerance_samples
        )
        if observation.stalls and observation.stalled is not False and is_not_ahead:
            self.seen_to_stall = True
        elif observation.stalls and observation.state != PlaybackState.IDLE:
            self.stall_was_wrong = True  # From here on, this conversation proves nothing more.
            return
        elif observation.runs and not observation.stalled and is_at_right_position:
            self.seen_to_go_on = self.seen_to_go_on or self.seen_to_stall
            current = observation.conversation
            if not self.only_time_passed or played is None or current is None or not current.payload_starts:
                return
            if self.story.keyframe_at(played) <= current.payload_starts[-1]:
                return  # The latest motion is still to come: it may be lost.
        else:
            if not is_not_ahead and not self.stall_blame.suspects:
                # The audio ran ahead of its motion before any situation: a later one is not to blame.
                self.stall_blame.add_suspect("C-STARVE")
            return
        self.stall_blame.clear_suspects()

    def find_audio_harm(self, played: int, state: object) -> tuple[str, str] | None:
        """Find out whether the client's audio was harmed: whether no correct client has played this many
        samples of the current conversation, or is in this state. Return what was expected and what was
        observed; None if no harm shows.

        If a client in strictSync may wait for motion, only audio that runs ahead is harmed for certain."""
        story, current, last = self.story, self.conversation, self.last
        assert current is not None
        is_only_paused = self.position_seen_in_pause and self.audio_blame.suspects == {"C-PAUSE"}
        is_plain = not self.audio_blame.suspects or is_only_paused
        ahead = story.samples(story.slack_ms if story.real_clock or not is_plain else AUDIO_TOLERANCE_MS)
        behind = story.samples(AUDIO_TOLERANCE_MS)
        seen = f"{played} samples"
        is_over = self.time_is_certain and self.idle_after_end_ms >= story.slack_ms
        if is_over and not current.samples <= played <= current.most_samples:
            return f"the audio played to its end, {current.samples} samples", seen
        if played > self.fastest_position // 1000 + ahead:
            return f"at most {self.fastest_position // 1000} samples played by now", seen
        if self.can_show_wait_for_motion and not self.time_is_certain:
            return None
        if (
            state == PlaybackState.IDLE
            and current.was_active
            and not self.paused
            and self.fastest_position < self.end
        ):
            return f"playing: {current.samples} samples were given", f"idle after {played}"
        if played < self.slowest_position // 1000 - behind:
            return f"audio that goes on: at least {self.slowest_position // 1000} samples by now", seen
        if (
            last
            and last.conversation is current
            and last.played is not None
            and played < last.played - behind
        ):
            return f"no sample played twice: {last.played} samples were played before", seen
        return None

    def find_audio_harm_by_state(
        self, reported_state: object, expected_state: PlaybackState | None
    ) -> tuple[str, str] | None:
        """Find harm to the audio of a client that does not report how many samples it has played, so that
        only its playback state can show harm: idle although audio is left, or playing although it is over.
        Return what was expected and what was observed; None if no harm shows.

        Harm counts only if an empty list, undecodable motion, missing motion or a pause (`_SHOWN_BY_STATE`)
        is to blame: there is a suspect (a situation since the audio was last seen unharmed), and there are no
        suspects but these. Rule C-STATES judges any other wrong state."""
        current = self.conversation
        visible_situations = _SHOWN_BY_STATE if self.story.modes else _SHOWN_BY_STATE - {"C-STARVE"}
        all_are_visible = self.audio_blame.suspects and self.audio_blame.suspects <= visible_situations
        if current is None or not (
            all_are_visible and current.was_active and self.state_has_settled(expected_state)
        ):
            return None
        if expected_state is PlaybackState.PLAYING and reported_state == PlaybackState.IDLE:
            return f"playing: {current.samples} samples were given", "idle before their end"
        if expected_state is PlaybackState.IDLE and reported_state == PlaybackState.PLAYING:
            return f"idle: {current.samples} samples are over", "playing"
        return None

    def find_audio_harm_rule(self, samples_played: int, reported_state: object) -> str:
        """Return the id of the rule that the client breaks if this observation shows harm to its audio (see
        `find_audio_harm`: it stopped, was not played whole, or ran ahead). Return "" if that is not certain.

        Audio that goes on although strictSync must wait for motion is a missing stall. For other harm, the
        rule of the situation that came up, such as a pause, is to blame if the client once played audio of
        this length without any situation; or the default rule C-STATES if none came up. Without this proof,
        the rule is certain only if audio stops because its motion is missing, or runs ahead after an
        interrupt."""
        current, rule_id = self.conversation, self.audio_blame.rule_id
        assert current is not None
        is_ahead = samples_played > self.fastest_position // 1000
        if self.can_show_wait_for_motion and samples_played * 1000 > self.playable_end:
            return self.find_stall_rule(audio_must_run=False)
        if is_ahead and rule_id != "C-STARVE" and self.lacked_motion and not self.seen_to_go_on:
            # Perhaps the client always skips the time of a stall when its motion comes. That breaks C-STARVE.
            return ""
        never_waits = self.strict and not self.lacked_motion
        if rule_id == "C-STARVE" and never_waits and reported_state == PlaybackState.IDLE:
            # The audio never had to wait, and only waiting for motion is special about strictSync.
            return "C-STATES"
        if self.strict and rule_id == "C-STARVE" and not is_ahead:
            # Audio that stops or falls back is a stall that lasts.
            stall_rule = self.find_stall_rule(audio_must_run=True)
            rule_id = stall_rule if stall_rule != "C-STARVE" else rule_id
        if self.can_blame_situation_for_audio or not self.audio_blame.suspects:
            return rule_id
        if rule_id == "C-STARVE":
            if not self.strict:  # If only motion is missing, audio is neither ahead nor idle.
                return "C-STATES" if is_ahead or reported_state == PlaybackState.IDLE else rule_id
            return rule_id if reported_state != PlaybackState.IDLE and current.last_shown >= 0 else ""
        return rule_id if rule_id == "C-INTERRUPT" and is_ahead else ""

    @property
    def can_blame_situation_for_audio(self) -> bool:
        """Whether harm to the audio may be blamed on the situation of this conversation, such as a pause. It
        may only if the client was seen to play audio of this length, and a chunk of this size, to its end
        without any situation (`well_played_lengths`). Otherwise, the length may be the cause."""
        most_samples, largest_chunk = self.well_played_lengths
        return (
            self.conversation is not None
            and self.conversation.samples <= most_samples
            and self.largest_chunk <= largest_chunk
        )

    def note_unharmed_audio(self, observation: Observation) -> None:
        """Note if this observation shows that the client played its audio well; nothing is noted if the audio
        was harmed or could not be checked.

        If the audio was played to its end, no situation before it (such as a pause) has harmed it, and none
        is to blame for a later harm. If no situation had come up, keep the length of the audio, too, as a
        proof that the client can play as much. If audio went on without motion outside strictSync, missing
        motion (C-STARVE) did no harm."""
        current = self.conversation
        if current is None or not observation.audio_checked or self.rule_of_first_harm is not None:
            return
        if observation.is_over:
            most_samples, largest_chunk = self.well_played_lengths
            if self.audio_blame.suspects <= {"C-STARVE"}:
                self.well_played_lengths = (
                    max(most_samples, current.samples),
                    max(largest_chunk, self.largest_chunk),
                )
            self.audio_blame.clear_suspects()
        elif self.audio_blame.suspects == {"C-STARVE"} and observation.starved and not self.strict:
            self.audio_blame.once_harmless.add("C-STARVE")

    def state_has_settled(self, expected: PlaybackState | None) -> bool:
        """Return whether the playback state `expected` was also expected at the client's observation before
        this one: then even a client that reports its state one step late must report it."""
        return not self.story.audio_calls or (self.only_time_passed and expected is self.expected_before)
