"""Joins the requests to a client under test and its answers into a story: notes at each observation what the
client reported, what a correct client may report, and which rule a wrong report breaks.

What the rules leave open stays open here. The position of a correct client lies between `slowest_position`
and `fastest_position` (certain_client_state.py). After a call whose outcome no document defines, nothing is
judged until the next conversation or interrupt.
"""

from math import isfinite
from typing import Any

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.story.client_exchanges import Exchange, pair_requests_with_answers
from spatius_sim.story.client_story import (
    ClientStory,
    Kind,
    MotionCall,
    Observation,
    ThrownCall,
)
from spatius_sim.story.find_harm_and_blame import HarmFinder
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode
from spatius_sim.trace.events import Trace


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


class _ClientObserver(HarmFinder):
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
            self.only_time_passed = False

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
            may_have_dropped = may_have_dropped or bool(self.motion_blame.suspects)
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
        may_show_nothing = may_show_nothing or self.may_be_at_end(played)
        if current and due_keyframe is not None and due_keyframe >= current.unknown_from:
            self.motion_blame.add_suspect("C-UNKNOWN")
        if current and story.keyframe_at(max(played or 0, self.slowest_position // 1000)) >= (
            current.unknown_from
        ):
            self.stall_blame.add_suspect("C-UNKNOWN")
        if current and due_keyframe is not None and due_keyframe >= current.overdue_from:
            self.motion_blame.add_suspect("C-SYNC")
        state = result.get("state")
        held = self.paused and not self.pause_undefined and self.paused_ms >= story.slack_ms
        if held and played is not None:
            self.position_seen_in_pause, self.overshoot_ms = True, 0
            self.fastest_position = min(self.fastest_position, played * 1000)
        checked = played is not None and (self.time_is_certain or self.can_show_wait_for_motion)
        harm = self.find_audio_harm(played, state) if played is not None and checked else None
        situations, missing_ms = frozenset(self.audio_blame.suspects), self.motion_missing_ms
        if played is None:
            harm = self.find_audio_harm_by_state(state, expected)
            checked = state == expected is PlaybackState.IDLE and self.situations_seen_playing is not None
            if state == expected is PlaybackState.PLAYING:
                self.situations_seen_playing = situations
            situations = self.situations_seen_playing or frozenset()
            missing_ms -= self.idle_after_end_ms
        if harm and self.rule_of_first_harm is None:
            rule_id = self.audio_blame.rule_id if self.can_blame_situation_for_audio else ""
            self.rule_of_first_harm = rule_id if played is None else self.find_audio_harm_rule(played, state)
        self.disordered = self.disordered or bool(foreign_keyframes) or not in_order
        can_be_blamed = self.has_shown_plain_motion or self.motion_blame.suspects <= {"C-SYNC"}
        harmed = self.disordered or self.rule_of_first_harm is not None
        motion_rule = self.motion_blame.rule_id if can_be_blamed and not harmed else ""
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
            silent=self.only_time_passed and self.must_be_silent and self.silent_before,
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
            stall_situations=frozenset(self.stall_blame.suspects),
            due=due_keyframe,
            blank=not (own_keyframes or may_show_nothing),
            own=own_keyframes,
            in_order=in_order,
            foreign=foreign_keyframes,
            moved=self.moved,
            catching_up=self.catch_up_ms > 0,
            motion_situations=frozenset(self.motion_blame.suspects),
            motion_rule=motion_rule,
            controlled=current is not None and self.can_blame_situation_for_motion(current, due_keyframe),
            audio_situations=situations,
            audio_rule=self.rule_of_first_harm or "",
            audio_checked=checked and self.time_is_certain,
            starved=missing_ms > story.slack_ms,
            audio_harm=harm,
        )
        story.observations.append(observation)
        if observation.shows_motion_in_place(slack_keyframes):
            self.note_unharmed_motion(observation)
        self.note_stall(observation)
        self.note_unharmed_audio(observation)
        if current and own_keyframes:
            current.last_shown = max(current.last_shown, *own_keyframes)
        if current is not None and state not in (None, PlaybackState.IDLE):
            current.was_active = True
        self.last, self.only_time_passed, self.expected_before = observation, True, expected
        self.silent_before, self.cut_off_conversation = self.must_be_silent, None

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
