"""Joins the requests to a client under test and its answers into a story.

What the rules leave open stays open here. The position of an honest client lies between `slowest_position`
and `fastest_position` (certain_client_state.py). After a call whose outcome no document defines, nothing is
judged until the next conversation or interrupt.
"""

from math import isfinite
from typing import Any

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.story.client_exchanges import Exchange, exchanges
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


def _whole_samples(told: Any) -> int | None:
    """Return how many samples a client says it has played, in whole samples: a client that counts by a clock
    may tell parts of one. None: it told no number."""
    if isinstance(told, float) and isfinite(told):
        return int(told)
    return told if isinstance(told, int) else None


def join_client(trace: Trace) -> ClientStory:
    """Join the calls to a client under test and its observations into a story, and return the story: each
    observation with what was certain about the client at that time."""
    story = ClientStory(trace)
    observer = _ClientObserver(story)
    for exchange in exchanges(trace):
        if exchange.answer.unimplemented:
            story.lacks.add(exchange.request.do)
        elif exchange.request.do in ("hello", "reset") or story.sample_rate:
            # Until the client was reset to a sample rate, nothing can be said of its clock.
            observer.add_exchange(exchange)
    return story


class _ClientObserver(RealClientTime):
    """Takes the exchanges with the client in order, and adds to the story what the client reported at each
    observation, beside what an honest client may report."""

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
        if answer.error is not None and not self.may_throw(request.do):
            thrown = ThrownCall(request.do, exchange.seq, exchange.answered, answer.error)
            self.story.thrown_calls.append(thrown)
        match request.do:
            case "hello":
                self.note_hello(answer.result)
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
            self.note_time_of_call(exchange, before)
        if request.do not in ("advance", "observe"):
            self.clean_step = False

    def note_observation(self, exchange: Exchange) -> None:
        """Note what the client reports, together with what is certain about the client at this time."""
        result, story, current = exchange.answer.result, self.story, self.conversation
        for member in ("state", "conversationId", "samplesPlayed", "keyframesRendered"):
            if exchange.answer.error is None and member not in result:
                story.lacks.add(f"observe.{member}")
        played = _whole_samples(result.get("samplesPlayed"))
        own_keyframes, foreign_keyframes = self.sort_rendered(result.get("keyframesRendered"))
        in_order = all(
            earlier < later
            for earlier, later in zip(
                (current.last_shown if current else -1, *own_keyframes), own_keyframes, strict=False
            )
        )
        first_keyframe, due_keyframe = self.keyframes_due(played)
        slack_keyframes = story.slack_ms * KEYFRAMES_PER_SECOND // 1000
        if current and own_keyframes and due_keyframe is not None:
            jumped = own_keyframes[-1] > due_keyframe + slack_keyframes
            next_payload = current.payload_of(own_keyframes[-1]) > current.payload_of(due_keyframe)
            # Whoever drops motion whose time is over shows the next payload in its place: C-SYNC.
            may_have_dropped = due_keyframe >= current.overdue_from
            # After a pause, a jump shows that the face ran ahead: C-PAUSE.
            may_have_dropped = may_have_dropped or "C-PAUSE" in self.motion.open
            in_order = in_order and not (jumped and next_payload and not may_have_dropped)
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
        if current and due_keyframe is not None and due_keyframe >= current.overdue_from:
            self.motion.note("C-SYNC")
        state = result.get("state")
        held = self.paused and not self.pause_undefined and self.paused_ms >= story.slack_ms
        if held and played is not None:
            self.pinned, self.overshoot_ms = True, 0
            self.fastest_position = min(self.fastest_position, played * 1000)
        checked = played is not None and (self.time_is_certain or self.starving)
        harm = self.find_audio_harm(played, state) if played is not None and checked else None
        situations, missing_ms = frozenset(self.audio.open), self.motion_missing_ms
        if played is None:
            harm = self.find_harm_by_state(state, expected)
            checked = state == expected is PlaybackState.IDLE and self.heard_after is not None
            if state == expected is PlaybackState.PLAYING:
                self.heard_after = situations
            situations, missing_ms = self.heard_after or frozenset(), missing_ms - self.idle_after_end_ms
        if harm and self.rule_of_first_harm is None:
            rule_id = self.audio.rule_id if self.audio_is_controlled else ""
            self.rule_of_first_harm = rule_id if played is None else self.rule_of_audio_harm(played, state)
        self.disordered = self.disordered or bool(foreign_keyframes) or not in_order
        can_be_blamed = self.shown or self.motion.open <= {"C-SYNC"}
        harmed = self.disordered or self.rule_of_first_harm is not None
        motion_rule = self.motion.rule_id if can_be_blamed and not harmed else ""
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
            silent=self.clean_step and self.silent and self.silent_before,
            id_fixed=self.id_fixed(state),
            current_id=current.id if current else None,
            is_over=self.time_is_certain and self.idle_after_end_ms >= story.slack_ms,
            dry_ms=self.idle_before_end_ms
            if self.time_is_certain and current and not current.ended
            else None,
            held=held,
            motion_end=len(current.values) * story.sample_rate // KEYFRAMES_PER_SECOND if current else 0,
            strict=self.strict,
            stalls=self.starving and self.stalled_ms >= story.slack_ms,
            runs=self.starving
            and self.slowest_wait_ms == 0
            and self.fastest_position + self.slack_samples < self.playable_end,
            due=due_keyframe,
            blank=not (own_keyframes or may_show_nothing),
            own=own_keyframes,
            in_order=in_order,
            foreign=foreign_keyframes,
            moved=self.moved,
            catching_up=self.catch_up_ms > 0,
            motion_situations=frozenset(self.motion.open),
            motion_rule=motion_rule,
            controlled=current is not None and self.is_controlled(current, due_keyframe),
            audio_situations=situations,
            audio_rule=self.rule_of_first_harm or "",
            audio_checked=checked and self.time_is_certain,
            starved=missing_ms > story.slack_ms,
            audio_harm=harm,
        )
        story.observations.append(observation)
        if observation.in_place(slack_keyframes):
            self.note_good_motion(observation)
        self.note_good_audio(observation)
        if current and own_keyframes:
            current.last_shown = max(current.last_shown, *own_keyframes)
        if current is not None and state not in (None, PlaybackState.IDLE):
            current.was_active = True
        self.last, self.clean_step, self.expected_before = observation, True, expected
        self.silent_before, self.cut_off = self.silent, None

    @property
    def silent(self) -> bool:
        """Return whether no honest client has anything left to play now, whatever pauses and resumes did
        since the last call, so that an observation of the client may show only silence."""
        if self.audio_undefined:
            return self.nothing_to_play and self.quiet_ms >= self.story.slack_ms
        if self.conversation is None:
            return not self.conversations or self.quiet_ms >= self.story.slack_ms
        return self.audio_runs and self.idle_after_end_ms >= self.story.slack_ms

    @property
    def time_is_certain(self) -> bool:
        """Whether it is certain how far an honest client has played the current conversation by the time of
        this observation."""
        return self.audio_runs and not (self.audio_undefined or self.pause_undefined)

    @property
    def audio_runs(self) -> bool:
        """Whether an honest client would surely play the audio of the current conversation on, without
        waiting for motion."""
        current = self.conversation
        return current is not None and (
            not self.strict
            or current.audio_only
            or current.abnormal  # "audio plays normally" (docs:faq)
            or (self.may_wait_for_motion and self.playable_end >= self.end)
        )

    def is_controlled(self, current: ClientConversation, due: int | None) -> bool:
        """Return whether this client was seen before to render so much motion, in so many payloads, at its
        place in a plain conversation: up to the keyframe `due` of the conversation `current`."""
        return (due or 0) <= self.shown_keyframe and current.payload_of(due) <= self.shown_payloads

    def note_good_motion(self, observation: Observation) -> None:
        """Note at an observation of the client under test that it rendered the right motion. If the
        observation is in a plain conversation, also note how far the client came, in payloads and
        keyframes."""
        due, in_place = observation.due, observation.in_place(self.story.keyframe_tolerance)
        if not self.motion.open and self.conversation is not None and in_place:
            self.shown = True
            self.shown_payloads = max(self.shown_payloads, self.conversation.payload_of(due))
            self.shown_keyframe = max(self.shown_keyframe, due or 0)
        self.motion.clear()

    def find_audio_harm(self, played: int, state: object) -> tuple[str, str] | None:
        """Find out whether the client's audio was harmed: whether no honest client has played this many
        samples of the current conversation, or is in this state. Return what was expected and what was
        observed; None if no harm shows.

        If a client in strictSync may wait for motion, only audio that runs ahead is harmed for certain."""
        story, current, last = self.story, self.conversation, self.last
        assert current is not None
        plain = not self.audio.open or (self.pinned and self.audio.open == {"C-PAUSE"})
        ahead = story.samples(story.slack_ms if story.real_clock or not plain else AUDIO_TOLERANCE_MS)
        behind = story.samples(AUDIO_TOLERANCE_MS)
        seen = f"{played} samples"
        is_over = self.time_is_certain and self.idle_after_end_ms >= story.slack_ms
        if is_over and not current.samples <= played <= current.most_samples:
            return f"the audio played to its end, {current.samples} samples", seen
        if played > self.fastest_position // 1000 + ahead:
            return f"at most {self.fastest_position // 1000} samples played by now", seen
        if self.starving and not self.time_is_certain:
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

    def find_harm_by_state(self, state: object, expected: PlaybackState | None) -> tuple[str, str] | None:
        """Find out whether the audio of a client was harmed that reports only its state when it is observed.
        Return what was expected and what was observed; None if no harm shows.

        Only situations that show in the state are looked at; any other wrong state is judged by C-STATES (the
        states change as documented)."""
        current = self.conversation
        shown = _SHOWN_BY_STATE if self.story.modes else _SHOWN_BY_STATE - {"C-STARVE"}
        blames = self.audio.open and self.audio.open <= shown
        if current is None or not (blames and current.was_active and self.state_has_settled(expected)):
            return None
        if expected is PlaybackState.PLAYING and state == PlaybackState.IDLE:
            return f"playing: {current.samples} samples were given", "idle before their end"
        if expected is PlaybackState.IDLE and state == PlaybackState.PLAYING:
            return f"idle: {current.samples} samples are over", "playing"
        return None

    def rule_of_audio_harm(self, played: int, state: object) -> str:
        """Return the id of the rule that the client's harmed audio, as it was observed, breaks; "" if that is
        not certain. A rule is named if this client was seen to play so much audio well in a plain
        conversation.

        A rule may also be named without that if audio stops because its motion is missing, or if audio runs
        ahead after an interrupt."""
        current, rule_id = self.conversation, self.audio.rule_id
        assert current is not None
        ahead = played > self.fastest_position // 1000
        if self.starving and played * 1000 > self.playable_end:
            return "C-STARVE"
        if self.audio_is_controlled or not self.audio.open:
            return rule_id
        if rule_id == "C-STARVE":
            if not self.strict:  # Audio is neither ahead nor idle because its motion is missing.
                return "C-STATES" if ahead or state == PlaybackState.IDLE else rule_id
            return rule_id if state != PlaybackState.IDLE and current.last_shown >= 0 else ""
        return rule_id if rule_id == "C-INTERRUPT" and ahead else ""

    @property
    def audio_is_controlled(self) -> bool:
        """Whether this client was seen before to play so much audio well in a plain conversation. Only then
        an observation of harmed audio can be blamed on what was special in the current conversation."""
        samples, chunk = self.well_played_lengths
        return (
            self.conversation is not None
            and self.conversation.samples <= samples
            and self.largest_chunk <= chunk
        )

    def note_good_audio(self, observation: Observation) -> None:
        """Take note if, at this observation, the client under test has played its audio well: to the end, or
        further on after the motion had run out. For lengths up to this one, an earlier doubt about its audio
        is no excuse any more."""
        current = self.conversation
        if current is None or not observation.audio_checked or self.rule_of_first_harm is not None:
            return
        if observation.is_over:
            samples, chunk = self.well_played_lengths
            if self.audio.open <= {"C-STARVE"}:
                self.well_played_lengths = max(samples, current.samples), max(chunk, self.largest_chunk)
            self.audio.clear()
        elif self.audio.open == {"C-STARVE"} and observation.starved and not self.strict:
            self.audio.once_harmless.add("C-STARVE")

    def id_fixed(self, state: object) -> bool:
        """Return whether it is certain which conversation id the client must report. Whether a client is idle
        too early is judged by C-STATES (the states change as documented)."""
        if self.audio_undefined or self.maybe_over:
            return False
        return self.conversation is None or not (self.strict or state == PlaybackState.IDLE)

    @property
    def slack_samples(self) -> int:
        """How late a client may be, in samples * 1000."""
        return self.story.slack_ms * self.story.sample_rate

    @property
    def starving(self) -> bool:
        """Return whether an observation of the client can show if strictSync waits for missing motion: the
        current conversation may wait, the client is not paused, and no call in the conversation had an
        undefined outcome."""
        current = self.conversation
        if current is None or not self.may_wait_for_motion:
            return False
        return not (self.audio_undefined or self.pause_undefined or self.paused)

    def sort_rendered(self, reported: Any) -> tuple[tuple[int, ...], tuple[tuple[float, MotionCall], ...]]:
        """Find for each keyframe that the client reports as rendered the call that gave it to the client.
        Return the numbers of those keyframes that belong to the current conversation, and the values of all
        others, each with its call. Values that no call gave are left out."""
        own_keyframes: list[int] = []
        foreign_keyframes: list[tuple[float, MotionCall]] = []
        last_shown = self.conversation.last_shown if self.conversation else -1
        values = reported if isinstance(reported, list) else []
        for value in (value for value in values if isinstance(value, int | float)):
            if value not in self.origins:
                continue
            origins = self.origins[value]
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
            elif not (self.may_be_shown(origins[-1][0]) or self.may_be_of_cut_off(origins)):
                foreign_keyframes.append((value, origins[-1][0]))
        return tuple(own_keyframes), tuple(foreign_keyframes)

    def may_be_shown(self, call: MotionCall) -> bool:
        """Return whether an observation may show the motion of this call, although the client need not render
        it: the documents leave open what becomes of this motion, or it came when its conversation may have
        been over already, and this conversation is still the current one."""
        if call.kind is Kind.OVER:
            return call.conversation is self.conversation
        return call.kind is Kind.OPEN

    def keyframes_due(self, played: int | None) -> tuple[int, int | None]:
        """Return the first and the last keyframe that an honest client must have rendered between its last
        two observations. The second is None if no new keyframe was due; the result is (0, None) if this is
        not certain."""
        current, last = self.conversation, self.last
        if (
            not (current and last and self.clean_step and self.time_is_certain)
            or last.conversation is not current
        ):
            return 0, None
        if current.audio_only or current.open_motion or self.paused:
            return 0, None
        position_before = last.high if last.played is None else last.played
        position = self.slowest_position // 1000 if played is None else played
        count = keyframe_count(current.samples, self.story.sample_rate)
        first_keyframe, target = self.story.keyframe_at(position_before), self.story.keyframe_at(position)
        if target >= count:
            return first_keyframe, None  # The rest of the audio fills no keyframe.
        return first_keyframe, target if first_keyframe < target < len(current.values) else None

    def at_end(self, played: int | None) -> bool:
        """Return whether, at this observation, the audio of the current conversation may be over, so that the
        client need not render more motion."""
        position = self.fastest_position // 1000 if played is None else played
        return self.conversation is not None and position >= self.conversation.samples

    def state_has_settled(self, expected: PlaybackState | None) -> bool:
        """Return whether the playback state `expected` was also expected at the client's observation before
        this one: then even a client that reports its state one step late must report it."""
        return not self.conversations or (self.clean_step and expected is self.expected_before)

    def expected_state(self) -> PlaybackState | None:
        """Return the playback state that an observation of every honest client would show now; None if honest
        clients may differ."""
        slack = self.story.slack_ms
        if self.audio_undefined or self.pause_undefined:
            return None
        if self.conversation is None:
            settled = not self.conversations or self.quiet_ms >= slack
            return PlaybackState.IDLE if settled else None
        if self.paused:
            return PlaybackState.PAUSED if self.paused_ms >= slack else None
        if self.time_is_certain and self.idle_after_end_ms >= slack:
            return PlaybackState.IDLE
        playing = self.time_is_certain and self.slowest_wait_ms == 0 and self.fastest_position < self.end
        return PlaybackState.PLAYING if playing else None
