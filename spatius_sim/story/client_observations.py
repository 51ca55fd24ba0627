"""Joins the requests to a client under test and its answers into a story: notes at each observation what the
client reported, what a correct client may report, and which rule a wrong report breaks.

What the rules leave open stays open here. The position of a correct client lies between `slowest_position`
and `fastest_position` (certain_client_state.py). After a call whose outcome no document defines, nothing is
judged until the next conversation or interrupt.
"""

from math import isfinite
from typing import Any

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.story.client_exchanges import Exchange, pair_requests_with_answers
from spatius_sim.story.client_story import (
    AUDIO_TOLERANCE_MS,
    ClientConversation,
    ClientStory,
    Kind,
    MotionCall,
    Observation,
    ThrownCall,
)
from spatius_sim.story.real_client_time import RealClientTime
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode
from spatius_sim.trace.events import Trace

_SHOWN_BY_STATE = {"C-ABNORMAL", "C-EMPTY", "C-PAUSE", "C-STARVE"}
"""The situations, each named by its rule, whose harm the playback state alone shows."""


def _read_samples_played(reported: Any) -> int | None:
    """Return how many samples a client says it has played. Cut off a fraction: a client that counts by a
    clock may report one. Return None if the client reported no finite number."""
    if isinstance(reported, float) and isfinite(reported):
        return int(reported)
    return reported if isinstance(reported, int) else None


def build_client_story(trace: Trace) -> ClientStory:
    """Build the story of a client under test: its conversations, the calls with audio and motion, and each
    observation with what was certain about the client at that time. It is made from the kit's requests and
    the client's answers.

    A request that the client does not implement is only listed in `lacks`. Before the first reset, only
    `hello` counts."""
    story = ClientStory(trace)
    observer = _ClientObserver(story)
    for exchange in pair_requests_with_answers(trace):
        if exchange.answer.unimplemented:
            story.lacks.add(exchange.request.do)
        elif exchange.request.do in ("hello", "reset") or story.sample_rate:
            # Until the client was reset to a sample rate, nothing can be said of its clock.
            observer.add_exchange(exchange)
    return story


class _ClientObserver(RealClientTime):
    """Takes the exchanges with the client in order, and adds to the story what the client reported at each
    observation, beside what a correct client may report."""

    def add_exchange(self, exchange: Exchange) -> None:
        """Join the next call to the client under test, with its answer, to the story: first let the time pass
        that went by since the call before, then note what was called and what the client answered."""
        request, answer = exchange.request, exchange.answer
        before = self.conversation
        if self.story.real_clock:
            self.pass_time_until_answer(exchange)
        elif request.do == "advance" and answer.error is None:
            self.pass_time_for_fastest(request.ms)
            self.pass_time_for_slowest(request.ms)
        elif request.do == "advance":
            # Nobody knows how much time has passed for this client.
            self.audio_undefined, self.nothing_to_play = True, False
        if answer.error is not None and not self.may_call_throw(request.do):
            thrown = ThrownCall(request.do, exchange.seq, exchange.answered, answer.error)
            self.story.thrown_calls.append(thrown)
        match request.do:
            case "hello":
                self.story.note_hello(answer.result)
            case "reset":
                self.story.sample_rate = request.sample_rate
                self.strict = request.mode == StarvationMode.STRICT_SYNC
            case "yieldAudioData":
                self.note_audio_call(exchange)
            case "yieldFramesData":
                self.note_motion_call(exchange)
            case "interrupt":
                self.note_interrupt()
            case "pause":
                self.note_pause()
            case "resume":
                self.note_resume()
            case "observe":
                self.note_observation(exchange)
        if self.story.real_clock:
            self.note_progress_during_call(exchange, before)
        if request.do not in ("advance", "observe"):
            self.clean_step = False

    def note_observation(self, exchange: Exchange) -> None:
        """Note what the client reports, together with what is certain about the client at this time."""
        result, story, current = exchange.answer.result, self.story, self.conversation
        for member in ("state", "conversationId", "samplesPlayed", "keyframesRendered"):
            if exchange.answer.error is None and member not in result:
                story.lacks.add(f"observe.{member}")
        played = _read_samples_played(result.get("samplesPlayed"))
        own_keyframes, foreign_keyframes = self.sort_rendered_keyframes(result.get("keyframesRendered"))
        in_order = all(
            earlier < later
            for earlier, later in zip(
                (current.last_shown if current else -1, *own_keyframes), own_keyframes, strict=False
            )
        )
        first_keyframe, due_keyframe = self.find_due_keyframes(played)
        slack_keyframes = story.slack_ms * KEYFRAMES_PER_SECOND // 1000
        if current and own_keyframes and due_keyframe is not None:
            jumped = own_keyframes[-1] > due_keyframe + slack_keyframes
            last_payload = current.payload_number_of(own_keyframes[-1])
            is_later_payload = last_payload > current.payload_number_of(due_keyframe)
            # A client that drops motion whose time is over shows the next payload in its place: C-SYNC.
            may_have_dropped = due_keyframe >= current.overdue_from
            # What came before may have cost motion, or may have let the face run ahead: then it is to blame.
            may_have_dropped = may_have_dropped or bool(self.motion.suspects)
            # A client that drops motion with unknown fields shows the next payload in its place: C-UNKNOWN.
            may_have_dropped = may_have_dropped or own_keyframes[-1] >= current.unknown_from
            in_order = in_order and not (jumped and is_later_payload and not may_have_dropped)
        expected = self.expected_state()
        may_show_nothing = (
            current is None
            or due_keyframe is None
            or current.last_shown >= due_keyframe
            or due_keyframe - first_keyframe <= slack_keyframes
        )
        may_show_nothing = may_show_nothing or self.at_end(played)
        if current and due_keyframe is not None and due_keyframe >= current.unknown_from:
            self.motion.note("C-UNKNOWN")
        if current and story.keyframe_at(max(played or 0, self.slowest_position // 1000)) >= (
            current.unknown_from
        ):
            self.stall.note("C-UNKNOWN")
        if current and due_keyframe is not None and due_keyframe >= current.overdue_from:
            self.motion.note("C-SYNC")
        state = result.get("state")
        held = self.paused and not self.pause_undefined and self.paused_ms >= story.slack_ms
        if held and played is not None:
            self.position_seen_in_pause, self.overshoot_ms = True, 0
            self.fastest_position = min(self.fastest_position, played * 1000)
        checked = played is not None and (self.time_is_certain or self.can_show_wait_for_motion)
        harm = self.find_audio_harm(played, state) if played is not None and checked else None
        situations, missing_ms = frozenset(self.audio.suspects), self.motion_missing_ms
        if played is None:
            harm = self.find_harm_by_state(state, expected)
            checked = state == expected is PlaybackState.IDLE and self.situations_seen_playing is not None
            if state == expected is PlaybackState.PLAYING:
                self.situations_seen_playing = situations
            situations = self.situations_seen_playing or frozenset()
            missing_ms -= self.idle_after_end_ms
        if harm and self.rule_of_first_harm is None:
            rule_id = self.audio.rule_id if self.has_played_as_much_when_plain else ""
            self.rule_of_first_harm = rule_id if played is None else self.find_audio_harm_rule(played, state)
        self.disordered = self.disordered or bool(foreign_keyframes) or not in_order
        can_be_blamed = self.shown or self.motion.suspects <= {"C-SYNC"}
        harmed = self.disordered or self.rule_of_first_harm is not None
        motion_rule = self.motion.rule_id if can_be_blamed and not harmed else ""
        audio_must_run = (
            self.can_show_wait_for_motion
            and self.slowest_wait_ms == 0
            and self.fastest_position + self.slack_samples < self.playable_end
        )
        observation = Observation(
            seq=exchange.answered,
            previous_seq=self.last.seq if self.last else exchange.seq,
            state=state,
            played=played,
            stalled=result.get("stalled"),
            conversation_id=result.get("conversationId"),
            conversation=current,
            samples=current.samples if current else 0,
            low=self.slowest_position // 1000,
            high=self.fastest_position // 1000,
            expected_state=expected if self.state_has_settled(expected) else None,
            silent=self.clean_step and self.must_be_silent and self.silent_before,
            id_fixed=self.id_is_certain(state),
            current_id=current.id if current else None,
            is_over=self.time_is_certain and self.idle_after_end_ms >= story.slack_ms,
            dry_ms=self.idle_before_end_ms
            if self.time_is_certain and current and not current.ended
            else None,
            held=held,
            motion_end=len(current.values) * story.sample_rate // KEYFRAMES_PER_SECOND if current else 0,
            strict=self.strict,
            stalls=self.can_show_wait_for_motion and self.stalled_ms >= story.slack_ms,
            runs=audio_must_run,
            stall_rule=self.find_stall_rule(audio_must_run=audio_must_run),
            stall_situations=frozenset(self.stall.suspects),
            due=due_keyframe,
            blank=not (own_keyframes or may_show_nothing),
            own=own_keyframes,
            in_order=in_order,
            foreign=foreign_keyframes,
            moved=self.moved,
            catching_up=self.catch_up_ms > 0,
            motion_situations=frozenset(self.motion.suspects),
            motion_rule=motion_rule,
            controlled=current is not None and self.has_rendered_as_much_when_plain(current, due_keyframe),
            audio_situations=situations,
            audio_rule=self.rule_of_first_harm or "",
            audio_checked=checked and self.time_is_certain,
            starved=missing_ms > story.slack_ms,
            audio_harm=harm,
        )
        story.observations.append(observation)
        if observation.shows_motion_in_place(slack_keyframes):
            self.note_good_motion(observation)
        self.note_stall(observation)
        self.note_good_audio(observation)
        if current and own_keyframes:
            current.last_shown = max(current.last_shown, *own_keyframes)
        if current is not None and state not in (None, PlaybackState.IDLE):
            current.was_active = True
        self.last, self.clean_step, self.expected_before = observation, True, expected
        self.silent_before, self.cut_off_conversation = self.must_be_silent, None

    def has_rendered_as_much_when_plain(
        self, conversation: ClientConversation, due_keyframe: int | None
    ) -> bool:
        """Return whether earlier observations of a plain conversation (one without special calls) showed that
        the client renders this much motion: up to keyframe `due_keyframe`, in the number of payloads that
        hold these keyframes in `conversation`."""
        payload_count = conversation.payload_number_of(due_keyframe)
        return (due_keyframe or 0) <= self.shown_keyframe and payload_count <= self.shown_payloads

    def note_good_motion(self, observation: Observation) -> None:
        """Note that the client rendered the right motion at this observation, so that no earlier call can be
        the cause of wrong motion later. If the conversation was plain until now (without special calls), also
        keep the highest keyframe and the number of payloads that were rendered at their place."""
        due_keyframe = observation.due
        in_place = observation.shows_motion_in_place(self.story.keyframe_tolerance)
        if not self.motion.suspects and self.conversation is not None and in_place:
            self.shown = True
            self.shown_payloads = max(self.shown_payloads, self.conversation.payload_number_of(due_keyframe))
            self.shown_keyframe = max(self.shown_keyframe, due_keyframe or 0)
        if self.conversation is not None and (due_keyframe or 0) < self.conversation.unknown_from:
            # Motion with unknown fields may still be to come: it is not proven that they do no harm.
            self.motion.forget("C-UNKNOWN")
        self.motion.clear()

    def find_stall_rule(self, *, audio_must_run: bool) -> str:
        """Return the rule that a client in strictSync breaks if this observation shows a wrong stall; "" if
        that is not certain. With `audio_must_run`, a stall that lasts is wrong. Without, a missing stall is.

        The rule is C-STARVE if no special call came since an observation last showed the right behaviour. A
        missing stall still breaks C-STARVE after a pause or an interrupt. If another call, and nothing else,
        came since then, its rule is to blame, but only if the client did it right once before."""
        suspects = self.stall.suspects
        if self.stall_was_wrong:
            return ""
        if suspects <= ({"C-STARVE"} if audio_must_run else {"C-STARVE", "C-PAUSE", "C-INTERRUPT"}):
            return "C-STARVE"
        most_samples, _ = self.well_played_lengths
        did_right_before = self.seen_to_go_on or most_samples > 0 if audio_must_run else self.seen_to_stall
        return next(iter(suspects)) if len(suspects) == 1 and did_right_before else ""

    def note_stall(self, observation: Observation) -> None:
        """Note what this observation shows of strictSync. If the audio waits for missing motion, or goes on
        with motion, as it must, no earlier call has harmed the stall, and none is a suspect any more. If the
        audio should wait and does not, note that the stall was wrong."""
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
            if not self.clean_step or played is None or current is None or not current.payload_starts:
                return
            if self.story.keyframe_at(played) <= current.payload_starts[-1]:
                return  # The latest motion is still to come: it may be lost.
        else:
            if not is_not_ahead and not self.stall.suspects:
                # The audio ran ahead of its motion before any special call: a later one is not to blame.
                self.stall.note("C-STARVE")
            return
        self.stall.clear()

    def find_audio_harm(self, played: int, state: object) -> tuple[str, str] | None:
        """Find out whether the client's audio was harmed: whether no correct client has played this many
        samples of the current conversation, or is in this state. Return what was expected and what was
        observed; None if no harm shows.

        If a client in strictSync may wait for motion, only audio that runs ahead is harmed for certain."""
        story, current, last = self.story, self.conversation, self.last
        assert current is not None
        is_only_paused = self.position_seen_in_pause and self.audio.suspects == {"C-PAUSE"}
        is_plain = not self.audio.suspects or is_only_paused
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

    def find_harm_by_state(
        self, reported_state: object, expected_state: PlaybackState | None
    ) -> tuple[str, str] | None:
        """Return what was expected and what was observed, if the playback state of this observation shows
        harm to the client's audio; otherwise None. This is for clients that do not report how many samples
        they have played.

        Harm is: idle although audio is left, or playing although the audio is over. It counts only after an
        empty list, undecodable motion, missing motion or a pause (`_SHOWN_BY_STATE`), and after nothing else:
        rule C-STATES judges any other wrong state."""
        current = self.conversation
        visible_situations = _SHOWN_BY_STATE if self.story.modes else _SHOWN_BY_STATE - {"C-STARVE"}
        all_are_visible = self.audio.suspects and self.audio.suspects <= visible_situations
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

        Audio that goes on although strictSync must wait for motion is a missing stall. Other harm belongs to
        the special call that came, such as a pause, if the client once played audio of this length without
        special calls; or to the default rule C-STATES if none came. Without this proof, the rule is certain
        only if audio stops because its motion is missing, or runs ahead after an interrupt."""
        current, rule_id = self.conversation, self.audio.rule_id
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
        if self.has_played_as_much_when_plain or not self.audio.suspects:
            return rule_id
        if rule_id == "C-STARVE":
            if not self.strict:  # If only motion is missing, audio is neither ahead nor idle.
                return "C-STATES" if is_ahead or reported_state == PlaybackState.IDLE else rule_id
            return rule_id if reported_state != PlaybackState.IDLE and current.last_shown >= 0 else ""
        return rule_id if rule_id == "C-INTERRUPT" and is_ahead else ""

    @property
    def has_played_as_much_when_plain(self) -> bool:
        """Whether earlier observations of a plain conversation (one without special calls) showed that the
        client plays audio and chunks which are no shorter than the current ones. Only then can harm to the
        current audio be blamed on what was special about this conversation."""
        most_samples, largest_chunk = self.well_played_lengths
        return (
            self.conversation is not None
            and self.conversation.samples <= most_samples
            and self.largest_chunk <= largest_chunk
        )

    def note_good_audio(self, observation: Observation) -> None:
        """Note if this observation shows that the client played its audio well; nothing is noted if the audio
        was harmed or could not be checked.

        If the audio was played to its end, no earlier call has harmed it, and none is a suspect any more. If
        no special call came, keep the length of the audio, too, as a proof that the client can play as much.
        If audio went on without motion outside strictSync, missing motion (C-STARVE) did no harm."""
        current = self.conversation
        if current is None or not observation.audio_checked or self.rule_of_first_harm is not None:
            return
        if observation.is_over:
            most_samples, largest_chunk = self.well_played_lengths
            if self.audio.suspects <= {"C-STARVE"}:
                self.well_played_lengths = (
                    max(most_samples, current.samples),
                    max(largest_chunk, self.largest_chunk),
                )
            self.audio.clear()
        elif self.audio.suspects == {"C-STARVE"} and observation.starved and not self.strict:
            self.audio.once_harmless.add("C-STARVE")

    @property
    def slack_samples(self) -> int:
        """How late a client may be, in samples * 1000."""
        return self.story.slack_ms * self.story.sample_rate

    def sort_rendered_keyframes(
        self, reported_values: Any
    ) -> tuple[tuple[int, ...], tuple[tuple[float, MotionCall], ...]]:
        """Divide the keyframes that the client reports as rendered into those of the current conversation and
        foreign ones. Return the numbers of the first, and the values of the others, each with the latest call
        that gave it.

        A keyframe is reported as its value (translation[0]). Values that no call gave are left out, and so is
        motion of other calls that the client may show."""
        own_keyframes: list[int] = []
        foreign_keyframes: list[tuple[float, MotionCall]] = []
        last_shown = self.conversation.last_shown if self.conversation else -1
        values = reported_values if isinstance(reported_values, list) else []
        for value in (value for value in values if isinstance(value, int | float)):
            if value not in self.origins:
                continue
            origins = self.origins[value]
            latest_call, _ = origins[-1]
            own_numbers = [
                number
                for call, number in origins
                if call.kind is Kind.MATCH and call.conversation is self.conversation
            ]
            if own_numbers:
                # A payload that was given twice holds the same value at two places.
                later = [number for number in own_numbers if number > last_shown]
                last_shown = (later or own_numbers)[0]
                own_keyframes.append(last_shown)
            elif not (self.may_show_motion_of(latest_call) or self.may_be_from_cut_off_conversation(origins)):
                foreign_keyframes.append((value, latest_call))
        return tuple(own_keyframes), tuple(foreign_keyframes)

    def may_show_motion_of(self, call: MotionCall) -> bool:
        """Return whether an observation may, but need not, show the motion of this call. It may if the
        documents leave open what happens to the motion (Kind.OPEN). It also may if the motion came when its
        conversation was perhaps over (Kind.OVER), and that conversation is still the current one."""
        if call.kind is Kind.OVER:
            return call.conversation is self.conversation
        return call.kind is Kind.OPEN

    def find_due_keyframes(self, samples_played: int | None) -> tuple[int, int | None]:
        """Return the numbers of the first and the last keyframe that a correct client must have rendered
        between its last observation and this one. `samples_played` is the position that the client reports
        now. If that is None, the position of the slowest correct client is taken instead.

        The last keyframe is None if no new keyframe was due. Return (0, None) if it is not certain what was
        due."""
        current, last = self.conversation, self.last
        if (
            not (current and last and self.clean_step and self.time_is_certain)
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

    def at_end(self, played: int | None) -> bool:
        """Return whether, at this observation, the audio of the current conversation may be over, so that the
        client need not render more motion."""
        position = self.fastest_position // 1000 if played is None else played
        return self.conversation is not None and position >= self.conversation.samples

    def state_has_settled(self, expected: PlaybackState | None) -> bool:
        """Return whether the playback state `expected` was also expected at the client's observation before
        this one: then even a client that reports its state one step late must report it."""
        return not self.story.audio_calls or (self.clean_step and expected is self.expected_before)
