"""Joins the requests to a client under test and its answers into a story.

What the rules leave open stays open here. The position of an honest client lies between `slowest_position`
and `fastest_position`. After a call whose outcome no document defines, nothing is judged until the next
conversation or interrupt.
"""

from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.story.client_exchanges import Exchange, GivenPayload, exchanges, read_given_payload
from spatius_sim.story.client_story import (
    AUDIO_TOLERANCE_MS,
    IDS,
    STABLE_IDS,
    AudioCall,
    ClientConversation,
    ClientStory,
    Kind,
    MotionCall,
    Observation,
)
from spatius_sim.story.rule_to_blame import Blame
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode
from spatius_sim.trace.events import Trace

_NS_PER_MS = 1_000_000
_SHOWN_BY_STATE = {"C-ABNORMAL", "C-EMPTY", "C-PAUSE", "C-STARVE"}
"""The situations, each named by its rule, whose harm the playback state alone shows."""


def join_client(trace: Trace) -> ClientStory:
    """Return the story of the client under test: its calls and observations, and what is certain about
    each."""
    story = ClientStory(trace)
    ledger = _Ledger(story)
    for exchange in exchanges(trace):
        if exchange.answer.unimplemented:
            story.lacks.add(exchange.request.do)
        elif exchange.request.do in ("hello", "reset") or story.sample_rate:
            # Until the client was reset to a sample rate, nothing can be said of its clock.
            ledger.add_exchange(exchange)
    return story


class _Ledger:
    """Takes the exchanges in order, keeps what is certain about the client, and fills the story.

    `slowest_position` and `fastest_position` are in samples * 1000, so that a millisecond adds the sample
    rate. Times are in milliseconds. `slowest_wait_ms`: how long the slowest client may still wait.
    `overshoot_ms`: how long the fastest client may still play in a pause. `catch_up_ms`: how long late motion
    may not yet be shown at its place. For how long was the slowest client idle, because the audio of an ended
    conversation was over (`idle_after_end_ms`), because the audio of an open conversation had run out
    (`idle_before_end_ms`), or because strictSync waited for motion (`stalled_ms`)? `motion_missing_ms`: how
    long it played audio whose motion was missing.

    `motion` and `audio` say to which rule a harm belongs. Only with a control is a harm blamed on a
    situation: `shown` (motion was rendered at its place in a plain conversation), and `well_played_lengths`
    (the most samples, and the most bytes in a chunk, of a plain conversation that was played to its end).
    `rule_of_first_harm`: the rule to which the first harm to this conversation's audio belongs. `pinned`: the
    position was seen in the latest pause, so that even the fastest client goes on from there.
    `heard_after`, of a client that tells its state alone: the situations after which it was seen to play on;
    None if it was never seen to play this conversation.
    """

    def __init__(self, story: ClientStory) -> None:
        """Begin before the first call to the client, without a conversation."""
        self.story = story
        self.conversation: ClientConversation | None = None
        self.conversations: dict[str | None, ClientConversation] = {}
        self.origins: dict[float, tuple[MotionCall, int]] = {}
        self.strict = False
        self.audio_undefined = self.pause_undefined = self.paused = False
        self.slowest_position = self.fastest_position = self.slowest_wait_ms = self.overshoot_ms = (
            self.catch_up_ms
        ) = 0
        self.idle_after_end_ms = self.idle_before_end_ms = self.motion_missing_ms = self.stalled_ms = (
            self.paused_ms
        ) = self.quiet_ms = 0
        self.clean_step = self.moved = self.shown = self.disordered = self.pinned = False
        self.shown_payloads = self.shown_keyframe = 0
        self.motion, self.audio = Blame("C-MATCH"), Blame("C-STATES")
        self.largest_chunk = 0
        self.well_played_lengths = 0, 0
        self.heard_after: frozenset[str] | None = None
        self.rule_of_first_harm: str | None = None
        self.last: Observation | None = None
        self.expected_before: PlaybackState | None = PlaybackState.IDLE
        self.silent_before = True
        self.last_ns = 0

    def add_exchange(self, exchange: Exchange) -> None:
        """Take the next exchange with the client: let its time pass, then note the call and its answer."""
        request, answer = exchange.request, exchange.answer
        if self.story.real_clock:
            ms = (exchange.at_ns - self.last_ns) // _NS_PER_MS
            self.pass_time(ms)
            self.last_ns += ms * _NS_PER_MS
        elif request.do == "advance" and answer.error is None:
            self.pass_time(request.ms)
        match request.do:
            case "hello":
                self.enter_hello(answer.result)
            case "reset":
                self.story.sample_rate = request.sample_rate
                self.strict = request.mode == StarvationMode.STRICT_SYNC
            case "yieldAudioData":
                self.enter_audio(exchange)
            case "yieldFramesData":
                self.enter_motion(exchange)
            case "interrupt":
                self.enter_interrupt()
            case "pause":
                self.enter_pause()
            case "resume":
                self.enter_resume()
            case "observe":
                self.enter_observation(exchange)
        if request.do not in ("advance", "observe"):
            self.clean_step = False

    def enter_hello(self, result: dict[str, Any]) -> None:
        """Note from the answer of the client to `hello` its clock, its modes, and what it lacks."""
        self.story.real_clock = result.get("clock") == "real"
        self.story.modes = tuple(str(mode) for mode in result.get("modes") or ())
        self.story.lacks.update(str(name) for name in result.get("lacks") or ())

    @property
    def end(self) -> int:
        """The end of the current conversation's audio, in samples * 1000."""
        return self.conversation.samples * 1000 if self.conversation else 0

    @property
    def may_wait_for_motion(self) -> bool:
        """Whether strictSync lets audio wait for its motion in the current conversation."""
        current = self.conversation
        return current is not None and self.strict and not (current.audio_only or current.open_motion)

    @property
    def limit(self) -> int:
        """How far honest clients can play the audio now, in samples * 1000: strictSync waits for the
        motion."""
        current = self.conversation
        if current is None or not self.may_wait_for_motion:
            return self.end
        needed = keyframe_count(current.samples, self.story.sample_rate)
        if len(current.values) >= needed:
            return self.end
        return len(current.values) * self.story.sample_rate * 1000 // KEYFRAMES_PER_SECOND

    @property
    def surely_current(self) -> bool:
        """Whether a conversation is certainly current."""
        return self.conversation is not None and not self.audio_undefined and not self.maybe_over

    @property
    def maybe_over(self) -> bool:
        """Whether the current conversation is over for the fastest client."""
        return self.conversation is not None and self.conversation.ended and self.fastest_position >= self.end

    def pass_time(self, ms: int) -> None:
        """Let `ms` milliseconds pass for the slowest and for the fastest honest client: move their
        positions, and count for how long the slowest client was idle or without motion."""
        rate, limit = self.story.sample_rate, self.limit
        self.moved = self.moved or ms > 0
        self.quiet_ms += ms
        self.catch_up_ms = max(0, self.catch_up_ms - ms)
        if self.conversation is None:
            return
        if self.paused and not self.pause_undefined:
            # The fastest client may still play for a while after the pause; the slowest stands still.
            self.paused_ms += ms
            overshot_ms = min(ms, self.overshoot_ms)
            self.overshoot_ms -= overshot_ms
            self.fastest_position = min(limit, self.fastest_position + overshot_ms * rate)
            return
        self.fastest_position = min(limit, self.fastest_position + ms * rate)
        if self.pause_undefined:
            return
        # The slowest client waits first, then plays up to the limit, then is idle.
        waited_ms = min(self.slowest_wait_ms, ms)
        self.slowest_wait_ms -= waited_ms
        unlimited = self.slowest_position + (ms - waited_ms) * rate
        idle_ms = max(0, unlimited - limit) // rate
        self.slowest_position = min(limit, unlimited)
        if limit < self.end:
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
            self.motion_missing_ms += ms - waited_ms
            self.audio.note("C-STARVE")

    def enter_audio(self, exchange: Exchange) -> None:
        """Note a call of the client with audio, which begins a conversation or continues the current one."""
        request, answer = exchange.request, exchange.answer
        reported_id = answer.result.get("conversationId")
        returned = reported_id if isinstance(reported_id, str) else None
        outside = self.conversation is None or self.conversation.ended or self.was_given_up(returned)
        half_sample_refused = len(request.audio) % BYTES_PER_SAMPLE and answer.error is not None
        if (outside and not request.audio) or half_sample_refused:
            call = AudioCall(exchange.seq, exchange.answered, returned, answer.error, None, False)
            self.story.audio_calls.append(call)
            self.audio_undefined = True
            return
        if outside:
            self.begin_conversation(exchange.seq, returned)
        if self.paused:
            self.pause_undefined = True
        current = self.conversation
        assert current is not None
        id_before = current.id
        call = AudioCall(exchange.seq, exchange.answered, returned, answer.error, current, outside, id_before)
        if returned and STABLE_IDS in self.story.lacks:
            current.id, self.conversations[returned] = returned, current
        self.story.audio_calls.append(call)
        if request.audio and self.fastest_position >= self.end:
            self.slowest_wait_ms += self.story.slack_ms
        current.samples += len(request.audio) // BYTES_PER_SAMPLE
        current.audio_bytes += len(request.audio)
        self.largest_chunk = max(self.largest_chunk, len(request.audio))
        current.ended = current.ended or request.end
        self.idle_before_end_ms = 0

    def was_given_up(self, returned: str | None) -> bool:
        """Whether the client was seen to be idle in the current conversation and returned another id now:
        so for this client the audio begins another conversation. Other rules judge that it was idle."""
        current, last = self.conversation, self.last
        idle = last is not None and last.conversation is current and last.state == PlaybackState.IDLE
        return current is not None and current.was_active and idle and returned not in (current.id, None, "")

    def begin_conversation(self, seq: int, returned: str | None) -> None:
        """Begin a conversation with the id `returned`, which the client under test returned from its audio
        call. Set the positions and times back to 0, and forget those situations (named by their rules) that
        could harm only the conversation before."""
        self.conversation = self.conversations[returned] = ClientConversation(returned, seq)
        self.audio_undefined = self.moved = self.pinned = False
        self.slowest_position = self.fastest_position = self.slowest_wait_ms = self.catch_up_ms = (
            self.largest_chunk
        ) = 0
        self.idle_after_end_ms = self.idle_before_end_ms = self.motion_missing_ms = self.stalled_ms = 0
        self.rule_of_first_harm = self.heard_after = None
        self.motion.forget("C-PAUSE")
        self.audio.forget("C-PAUSE", "C-EMPTY", "C-STARVE")
        if self.strict:
            self.audio.note("C-STARVE")

    def enter_motion(self, exchange: Exchange) -> None:
        """Note a call of the client with motion, and add its keyframes to the current conversation if they
        belong there."""
        frames = exchange.request.frames or ()
        payloads = [read_given_payload(raw) for raw in frames]
        if self.fastest_position >= self.limit < self.end:
            self.slowest_wait_ms, self.stalled_ms = self.slowest_wait_ms + self.story.slack_ms, 0
        kind = self.classify(exchange.request.conversation_id, frames, payloads)
        unknown = any(p is not None and p.has_unknown_fields for p in payloads)
        conversation = self.conversation if kind is not Kind.LATE else None
        call = MotionCall(exchange.seq, exchange.answered, kind, exchange.answer.error, unknown, conversation)
        self.story.motion_calls.append(call)
        for payload in payloads:
            if kind is Kind.MATCH and self.conversation:
                self.conversation.payload_starts.append(len(self.conversation.values))
            for value in payload.values if payload else ():
                number = len(self.conversation.values) if kind is Kind.MATCH and self.conversation else -1
                self.origins[value] = call, number
                if kind is Kind.MATCH and self.conversation:
                    self.add_keyframe(self.conversation, value, unknown)
            if kind is Kind.MATCH and self.conversation:
                self.note_overdue_payload(self.conversation)
        self.note_situation(kind)

    def note_overdue_payload(self, current: ClientConversation) -> None:
        """Note if the latest payload came when the time of all its keyframes may have been over."""
        if self.story.keyframe_at(self.fastest_position // 1000) >= len(current.values):
            current.overdue_from = min(current.overdue_from, current.payload_starts[-1])

    def add_keyframe(self, current: ClientConversation, value: float, unknown: bool) -> None:
        """Add one keyframe to the current conversation, and note whether the keyframe came too late or with
        unknown fields."""
        due_ms = len(current.values) * 1000 // KEYFRAMES_PER_SECOND
        if self.fastest_position > due_ms * self.story.sample_rate:
            self.catch_up_ms = self.story.slack_ms
        if unknown:
            current.unknown_from = min(current.unknown_from, len(current.values))
        current.values.append(value)

    def classify(
        self, motion_id: str, frames: tuple[bytes, ...], payloads: "list[GivenPayload | None]"
    ) -> Kind:
        """Return how a call of the client with motion for this id relates to the current conversation."""
        current = self.conversation
        if self.audio_undefined:
            return Kind.OPEN
        if IDS in self.story.lacks:
            if current is None or current.ended:
                return Kind.OPEN
            motion_id = current.id or ""
        elif current is not None and current.id != motion_id and self.conversations.get(motion_id) is current:
            return Kind.OPEN  # An id that this conversation had before.
        if current is None or (current.id or "") != motion_id:
            interrupted = (
                current is None
                and motion_id in self.conversations
                and self.conversations[motion_id].interrupted
            )
            if not frames:
                return Kind.EMPTY_MISMATCH
            if interrupted:
                return Kind.LATE
            return Kind.EARLY if current is None and not self.conversations else Kind.MISMATCH
        if self.maybe_over:
            return Kind.OPEN
        if not frames:
            return Kind.EMPTY
        if current.audio_only:
            return Kind.STICKY
        if any(raw and payload is None for raw, payload in zip(frames, payloads, strict=True)):
            return Kind.ABNORMAL
        if current.open_motion or any(payload is None or not payload.values for payload in payloads):
            return Kind.OPEN
        return Kind.MATCH

    def note_situation(self, kind: Kind) -> None:
        """Note for which rules a call of the client with motion of this kind brings up the situation."""
        current = self.conversation
        match kind:
            case Kind.EMPTY if current:
                current.audio_only = True
                self.audio.forget("C-STARVE")
                self.audio.note("C-EMPTY")
                self.motion.note("C-EMPTY-SCOPE")
            case Kind.ABNORMAL if current:
                current.open_motion = current.abnormal = True
                self.audio.note("C-ABNORMAL")
                self.motion.note("C-ABNORMAL")
            case Kind.OPEN if current:
                current.open_motion = True
            case Kind.EMPTY_MISMATCH:
                self.motion.note("C-EMPTY-MISMATCH")
            case Kind.EARLY:
                self.motion.note("C-EARLY")
            case Kind.LATE:
                self.motion.note("C-INTERRUPT")
            case Kind.MISMATCH:
                self.motion.note("C-MISMATCH")

    def enter_interrupt(self) -> None:
        """Note a call of the client's interrupt: the current conversation and any pause end, and nothing is
        undefined any more."""
        if self.conversation is not None:
            self.conversation.interrupted = True
        self.motion.note("C-INTERRUPT")
        self.audio.note("C-INTERRUPT")
        self.conversation = None
        self.audio_undefined = self.pause_undefined = self.paused = self.moved = False
        self.quiet_ms = 0

    def enter_pause(self) -> None:
        """Note a call of the client's pause. The pause is undefined if the audio may not have been playing;
        a second pause changes nothing."""
        if self.paused and not self.pause_undefined:
            return
        sure = self.surely_current and self.slowest_wait_ms == 0 and self.fastest_position < self.end
        self.pause_undefined = self.pause_undefined or not sure
        self.paused, self.pinned = True, False
        self.overshoot_ms, self.paused_ms = self.story.slack_ms, 0
        if self.conversation is not None:
            self.motion.note("C-PAUSE")
            self.audio.note("C-PAUSE")

    def enter_resume(self) -> None:
        """Note a call of the client's resume; the slowest honest client starts late again."""
        self.paused = False
        self.slowest_wait_ms += self.story.slack_ms

    def enter_observation(self, exchange: Exchange) -> None:
        """Note what the client reports, together with what is certain about the client at this time."""
        result, story, current = exchange.answer.result, self.story, self.conversation
        for member in ("state", "conversationId", "samplesPlayed", "keyframesRendered"):
            if exchange.answer.error is None and member not in result:
                story.lacks.add(f"observe.{member}")
        played = result.get("samplesPlayed")
        played = played if isinstance(played, int) else None
        own_keyframes, foreign_keyframes = self.sort_rendered(result.get("keyframesRendered"))
        in_order = all(
            a < b
            for a, b in zip(
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
            and self.fastest_position + self.slack_samples < self.limit,
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
        self.silent_before = self.silent

    @property
    def silent(self) -> bool:
        """Whether no honest client has anything to play, whatever pauses and resumes did meanwhile."""
        if self.audio_undefined:
            return False
        if self.conversation is None:
            return not self.conversations or self.quiet_ms >= self.story.slack_ms
        return self.audio_runs and self.idle_after_end_ms >= self.story.slack_ms

    @property
    def time_is_certain(self) -> bool:
        """Whether the time of the current conversation is certain."""
        return self.audio_runs and not (self.audio_undefined or self.pause_undefined)

    @property
    def audio_runs(self) -> bool:
        """Whether the audio of the current conversation surely waits for no motion."""
        current = self.conversation
        return current is not None and (
            not self.strict
            or current.audio_only
            or current.abnormal  # "audio plays normally" (docs:faq)
            or (self.may_wait_for_motion and self.limit >= self.end)
        )

    def is_controlled(self, current: ClientConversation, due: int | None) -> bool:
        """Whether the client was seen to render as much motion, in as many payloads, at its place in a
        plain conversation."""
        return (due or 0) <= self.shown_keyframe and current.payload_of(due) <= self.shown_payloads

    def note_good_motion(self, observation: Observation) -> None:
        """Note that the client rendered motion, and how far it rendered motion at its place in a plain
        conversation."""
        due, in_place = observation.due, observation.in_place(self.story.keyframe_tolerance)
        if not self.motion.open and self.conversation is not None and in_place:
            self.shown = True
            self.shown_payloads = max(self.shown_payloads, self.conversation.payload_of(due))
            self.shown_keyframe = max(self.shown_keyframe, due or 0)
        self.motion.clear()

    def find_audio_harm(self, played: int, state: object) -> tuple[str, str] | None:
        """Return what was expected of the audio and what was seen, if no honest client has played this many
        samples of the current conversation, or is in this state. If strictSync may wait, only audio that runs
        ahead is harmed for certain."""
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
        """Return what was expected of the audio and what was seen, of a client that tells its state alone.
        The audio is harmed only after a situation that shows in the state: C-STATES judges every other
        state."""
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
        """Return the rule to which a harm of the client's audio belongs; "" if that is not certain. A
        situation is blamed if this client was seen to play as much audio well without it. No such control
        is needed for audio that does not go on without its motion, or runs ahead after an interrupt."""
        current, rule_id = self.conversation, self.audio.rule_id
        assert current is not None
        ahead = played > self.fastest_position // 1000
        if self.audio_is_controlled or not self.audio.open:
            return rule_id
        if rule_id == "C-STARVE":
            if not self.strict:  # Audio is neither ahead nor idle because its motion is missing.
                return "C-STATES" if ahead or state == PlaybackState.IDLE else rule_id
            return rule_id if state != PlaybackState.IDLE and current.last_shown >= 0 else ""
        return rule_id if rule_id == "C-INTERRUPT" and ahead else ""

    @property
    def audio_is_controlled(self) -> bool:
        """Whether as much audio was played well in a plain conversation."""
        samples, chunk = self.well_played_lengths
        return (
            self.conversation is not None
            and self.conversation.samples <= samples
            and self.largest_chunk <= chunk
        )

    def note_good_audio(self, observation: Observation) -> None:
        """Note that the client played the audio well: it played the audio to its end, or it went on with the
        audio after the motion had run out."""
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
        """Whether the current id is certain. If a client is idle too early, C-STATES judges that."""
        if self.audio_undefined or self.maybe_over:
            return False
        return self.conversation is None or not (self.strict or state == PlaybackState.IDLE)

    @property
    def slack_samples(self) -> int:
        """How late a client may be, in samples * 1000."""
        return self.story.slack_ms * self.story.sample_rate

    @property
    def starving(self) -> bool:
        """Whether the waiting of strictSync can be judged now: no pause and no undefined call disturbs it."""
        current = self.conversation
        if current is None or not self.may_wait_for_motion:
            return False
        return not (self.audio_undefined or self.pause_undefined or self.paused)

    def sort_rendered(self, reported: Any) -> tuple[tuple[int, ...], tuple[tuple[float, MotionCall], ...]]:
        """Return the keyframes that the client reports as rendered: the numbers of those that belong to the
        current conversation, and the values of all others with their calls."""
        own_keyframes: list[int] = []
        foreign_keyframes: list[tuple[float, MotionCall]] = []
        values = reported if isinstance(reported, list) else []
        for value in (value for value in values if isinstance(value, int | float)):
            if value not in self.origins:
                continue
            call, number = self.origins[value]
            if call.kind is Kind.MATCH and call.conversation is self.conversation:
                own_keyframes.append(number)
            elif call.kind is not Kind.OPEN:
                foreign_keyframes.append((value, call))
        return tuple(own_keyframes), tuple(foreign_keyframes)

    def keyframes_due(self, played: int | None) -> tuple[int, int | None]:
        """Return the first and the last keyframe that the client has to render in the last step of the
        clock. The second is None if no new keyframe is due; the result is (0, None) if nothing is certain."""
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
        """Whether the audio of the client may be over, so that nothing more has to be rendered."""
        position = self.fastest_position // 1000 if played is None else played
        return self.conversation is not None and position >= self.conversation.samples

    def state_has_settled(self, expected: PlaybackState | None) -> bool:
        """Whether even a client that reports its state one step late must report the expected one by now."""
        return not self.conversations or (self.clean_step and expected is self.expected_before)

    def expected_state(self) -> PlaybackState | None:
        """Return the state that every honest client is in now; None if honest clients may differ."""
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
