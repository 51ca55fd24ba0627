"""Joins the requests to a client under test and its answers into a story.

What the rules leave open stays open here. An honest client may be anywhere between `low`, the position of the
slowest, and `high`, the position of the fastest. After a call whose outcome no document defines, nothing is
judged until the next conversation or interrupt.
"""

from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.story.client_exchanges import Exchange, GivenPayload, exchanges, read_payload
from spatius_sim.story.client_story import (
    APART,
    AudioCall,
    ClientConversation,
    ClientStory,
    Kind,
    MotionCall,
    Observation,
)
from spatius_sim.trace.decoder_events import PlaybackState, StarvationMode
from spatius_sim.trace.events import Trace

_NS_PER_MS = 1_000_000


def join_client(trace: Trace) -> ClientStory:
    """Return the story of a client: its calls and observations, and what is certain about each."""
    story = ClientStory(trace)
    ledger = _Ledger(story)
    for exchange in exchanges(trace):
        if exchange.answer.unimplemented:
            story.lacks.add(exchange.request.do)
        else:
            ledger.add_exchange(exchange)
    return story


class _Ledger:
    """Takes the exchanges in order, keeps what is certain about the client, and fills the story.

    `low` and `high` are in samples * 1000, so that a millisecond adds the sample rate. `wait` and `overshoot`
    are the milliseconds for which the slowest client may still wait, and the fastest still play in a pause.
    """

    def __init__(self, story: ClientStory) -> None:
        self.story = story
        self.conversation: ClientConversation | None = None
        self.conversations: dict[str | None, ClientConversation] = {}
        self.origins: dict[float, tuple[MotionCall, int]] = {}
        self.strict = False
        self.audio_undefined = self.pause_undefined = self.paused = False
        self.low = self.high = self.wait = self.overshoot = 0
        self.over_ms = self.dry_ms = self.missing_ms = self.stall_ms = self.paused_ms = self.quiet_ms = 0
        self.clean_step = self.moved = self.shown = self.went_on = self.ended_well = False
        self.last: Observation | None = None
        self.expected_before: PlaybackState | None = PlaybackState.IDLE
        self.last_ns = 0
        self.since_reset: set[str] = set()

    def add_exchange(self, exchange: Exchange) -> None:
        """Take the next exchange: let its time pass, then note its request and its answer."""
        request, answer = exchange.request, exchange.answer
        if self.story.real_clock:
            self.pass_time((exchange.at_ns - self.last_ns) // _NS_PER_MS)
        elif request.do == "advance" and answer.error is None:
            self.pass_time(request.ms)
        self.last_ns = exchange.at_ns
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
        """Note the clock and the modes of the client, and what it lacks."""
        self.story.real_clock = result.get("clock") == "real"
        self.story.modes = tuple(str(mode) for mode in result.get("modes") or ())
        self.story.lacks.update(str(name) for name in result.get("lacks") or ())

    @property
    def end(self) -> int:
        """The end of the current conversation's audio, in samples * 1000."""
        return self.conversation.samples * 1000 if self.conversation else 0

    @property
    def limit(self) -> int:
        """How far audio can be played now, in samples * 1000: strictSync waits for the motion."""
        current = self.conversation
        if current is None or not self.strict or current.audio_only or current.open_motion:
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
        return self.conversation is not None and self.conversation.ended and self.high >= self.end

    def pass_time(self, ms: int) -> None:
        """Let `ms` milliseconds pass for the slowest and for the fastest client."""
        rate, limit = self.story.sample_rate, self.limit
        self.moved = self.moved or ms > 0
        self.quiet_ms += ms
        if self.conversation is None:
            return
        if self.paused and not self.pause_undefined:
            # The fastest client may still play for a while after the pause; the slowest stands still.
            self.paused_ms += ms
            overshot_ms = min(ms, self.overshoot)
            self.overshoot -= overshot_ms
            self.high = min(limit, self.high + overshot_ms * rate)
            return
        self.high = min(limit, self.high + ms * rate)
        if self.pause_undefined:
            return
        # The slowest client waits first, then plays up to the limit, then is idle.
        waited_ms = min(self.wait, ms)
        self.wait -= waited_ms
        unlimited = self.low + (ms - waited_ms) * rate
        idle_ms = max(0, unlimited - limit) // rate
        self.low = min(limit, unlimited)
        if limit < self.end:
            self.stall_ms += idle_ms
        elif self.conversation.ended:
            self.over_ms += idle_ms
        else:
            self.dry_ms += idle_ms
        last_keyframe = keyframe_count(self.conversation.samples, rate) - 1
        if min(last_keyframe, self.story.keyframe_at(self.low // 1000)) >= len(self.conversation.values):
            self.missing_ms += ms - waited_ms

    def enter_audio(self, exchange: Exchange) -> None:
        """Note a call with audio, which begins a conversation or continues the current one."""
        request, answer = exchange.request, exchange.answer
        reported_id = answer.result.get("conversationId")
        returned = reported_id if isinstance(reported_id, str) else None
        outside = self.conversation is None or self.conversation.ended
        if outside and not request.audio:
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
        call = AudioCall(exchange.seq, exchange.answered, returned, answer.error, current, outside)
        self.story.audio_calls.append(call)
        if request.audio and self.high >= self.end:
            self.wait += self.story.slack_ms
        current.samples += len(request.audio) // BYTES_PER_SAMPLE
        current.ended = current.ended or request.end
        self.dry_ms = 0

    def begin_conversation(self, seq: int, returned: str | None) -> None:
        """Begin a conversation with this id. It inherits the situations that came up since the reset."""
        self.conversation = self.conversations[returned] = ClientConversation(
            returned, seq, taints=set(self.since_reset)
        )
        self.audio_undefined = self.moved = False
        self.low = self.high = self.wait = 0
        self.over_ms = self.dry_ms = self.missing_ms = self.stall_ms = 0

    def enter_motion(self, exchange: Exchange) -> None:
        """Note a call with motion, and add its keyframes to the current conversation if they belong there."""
        frames = exchange.request.frames or ()
        payloads = [read_payload(raw) for raw in frames]
        if self.stall_ms:
            self.wait, self.stall_ms = self.wait + self.story.slack_ms, 0
        kind = self.classify(exchange.request.conversation_id, frames, payloads)
        unknown = any(p is not None and p.unknown for p in payloads)
        conversation = self.conversation if kind is not Kind.LATE else None
        call = MotionCall(exchange.seq, exchange.answered, kind, exchange.answer.error, unknown, conversation)
        self.story.motion_calls.append(call)
        if kind is Kind.MATCH and self.conversation:
            self.conversation.payloads += len(payloads)
        for payload in payloads:
            for value in payload.values if payload else ():
                number = len(self.conversation.values) if kind is Kind.MATCH and self.conversation else -1
                self.origins[value] = call, number
                if kind is Kind.MATCH and self.conversation:
                    self.add_keyframe(self.conversation, value, unknown)
        self.note_situation(kind)

    def add_keyframe(self, current: ClientConversation, value: float, unknown: bool) -> None:
        """Add one keyframe to the conversation, and note whether the keyframe came too late."""
        due_ms = len(current.values) * 1000 // KEYFRAMES_PER_SECOND
        current.late = current.late or self.high > due_ms * self.story.sample_rate
        if unknown and current.unknown_from is None:
            current.unknown_from = len(current.values)
        current.values.append(value)

    def classify(
        self, motion_id: str, frames: tuple[bytes, ...], payloads: "list[GivenPayload | None]"
    ) -> Kind:
        """Return how motion for this id relates to the current conversation."""
        current = self.conversation
        if self.audio_undefined:
            return Kind.OPEN
        if current is None or current.id != motion_id:
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
        """Note which rules' situations a call with motion of this kind brings up."""
        current = self.conversation
        match kind:
            case Kind.EMPTY if current:
                current.audio_only = True
                current.taints.add("C-EMPTY")
                self.since_reset.add("C-EMPTY-SCOPE")
            case Kind.ABNORMAL if current:
                current.open_motion = True
                current.taints.add("C-ABNORMAL")
                self.since_reset.add("C-ABNORMAL")
            case Kind.OPEN if current:
                current.open_motion = True
            case Kind.EMPTY_MISMATCH:
                self.since_reset.add("C-EMPTY-MISMATCH")
            case Kind.EARLY:
                self.since_reset.add("C-EARLY")
            case Kind.LATE:
                self.since_reset.add("C-INTERRUPT")
            case Kind.MISMATCH if current:
                current.taints.add("C-MISMATCH")
        if current and kind is Kind.EMPTY_MISMATCH:
            current.taints.add("C-EMPTY-MISMATCH")

    def enter_interrupt(self) -> None:
        """Note an interrupt: the current conversation and any pause end, and nothing is undefined any
        more."""
        if self.conversation is not None:
            self.conversation.interrupted = True
            self.since_reset.add("C-INTERRUPT")
        elif self.audio_undefined:
            self.since_reset.add("C-INTERRUPT")
        self.conversation = None
        self.audio_undefined = self.pause_undefined = self.paused = self.moved = False
        self.quiet_ms = 0

    def enter_pause(self) -> None:
        """Note a pause. The pause is undefined if the audio may not have been playing."""
        sure = self.surely_current and not self.paused and self.wait == 0 and self.high < self.end
        self.pause_undefined = self.pause_undefined or not sure
        self.paused = True
        self.overshoot, self.paused_ms = self.story.slack_ms, 0
        if self.conversation is not None:
            self.conversation.taints.add("C-PAUSE")

    def enter_resume(self) -> None:
        """Note a resume; the slowest client starts late again."""
        self.pause_undefined = self.pause_undefined or not self.paused
        self.paused = False
        self.wait += self.story.slack_ms

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
        expected = self.expected_state()
        slack_keyframes = story.slack_ms * KEYFRAMES_PER_SECOND // 1000
        may_show_nothing = (
            current is None
            or due_keyframe is None
            or current.last_shown >= due_keyframe
            or due_keyframe - first_keyframe <= slack_keyframes
        )
        may_show_nothing = may_show_nothing or self.at_end(played)
        taints = frozenset(self.situations_at(due_keyframe))
        observation = Observation(
            seq=exchange.answered,
            previous_seq=self.last.seq if self.last else exchange.seq,
            state=result.get("state"),
            played=played,
            stalled=result.get("stalled"),
            conversation_id=result.get("conversationId"),
            conversation=current,
            samples=current.samples if current else 0,
            low=self.low // 1000,
            high=self.high // 1000,
            expected_state=expected if self.state_has_settled(expected) else None,
            id_fixed=self.id_fixed(result.get("state")),
            current_id=current.id if current else None,
            over=self.time_is_certain and self.over_ms >= story.slack_ms,
            dry_ms=self.dry_ms if self.time_is_certain and current and not current.ended else None,
            held=self.paused and not self.pause_undefined and self.paused_ms >= story.slack_ms,
            missing_ms=self.missing_ms,
            motion_end=len(current.values) * story.sample_rate // KEYFRAMES_PER_SECOND if current else 0,
            strict=self.strict,
            stalls=self.starving and self.stall_ms >= story.slack_ms,
            runs=self.starving and self.wait == 0 and self.high + self.slack_samples < self.limit,
            due=due_keyframe,
            blank=not (own_keyframes or may_show_nothing),
            own=own_keyframes,
            in_order=in_order,
            foreign=foreign_keyframes,
            moved=self.moved,
            taints=taints,
            shown_before=self.shown,
            went_on_before=self.went_on,
            ended_well_before=self.ended_well,
        )
        story.observations.append(observation)
        self.went_on = self.went_on or _plays_without_motion(observation, story)
        self.shown = self.shown or (due_keyframe is not None and not taints and bool(own_keyframes))
        plain = not (current.taints & APART) if current else False
        idle = observation.state == PlaybackState.IDLE
        self.ended_well = self.ended_well or (
            observation.over and plain and idle and played == observation.samples
        )
        if current and own_keyframes:
            current.last_shown = max(current.last_shown, *own_keyframes)
        self.last, self.clean_step, self.expected_before = observation, True, expected

    @property
    def time_is_certain(self) -> bool:
        """Whether the time of the current conversation is certain."""
        return self.conversation is not None and not (
            self.audio_undefined or self.pause_undefined or self.strict
        )

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
        """Whether strictSync can be judged now."""
        current = self.conversation
        if current is None or not self.strict or current.audio_only or current.open_motion:
            return False
        return not (self.audio_undefined or self.pause_undefined or self.paused)

    def sort_rendered(self, reported: Any) -> tuple[tuple[int, ...], tuple[tuple[float, MotionCall], ...]]:
        """Return the rendered keyframes: the numbers of those that belong to the current conversation, and
        the values of all others with their calls."""
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
        """Return the first and the last keyframe of the last step of the clock. The second is None if no new
        keyframe is due; both are (0, None) if they are not certain."""
        current, last = self.conversation, self.last
        if (
            not (current and last and self.clean_step and self.time_is_certain)
            or last.conversation is not current
        ):
            return 0, None
        if current.audio_only or current.open_motion or self.paused:
            return 0, None
        position_before = last.high if last.played is None else last.played
        position = self.low // 1000 if played is None else played
        count = keyframe_count(current.samples, self.story.sample_rate)
        first_keyframe, target = (
            self.story.keyframe_at(position_before),
            min(self.story.keyframe_at(position), count - 1),
        )
        return first_keyframe, target if first_keyframe < target < len(current.values) else None

    def at_end(self, played: int | None) -> bool:
        """Whether the audio may be over, so that nothing more has to be rendered."""
        position = self.high // 1000 if played is None else played
        return self.conversation is not None and position >= self.conversation.samples

    def situations_at(self, due: int | None) -> set[str]:
        """Return the rules whose situation came up in the current conversation up to the keyframe `due`."""
        current = self.conversation
        if current is None:
            return set()
        taints = current.taints | self.since_reset & {"C-EARLY"}
        if due is not None and current.unknown_from is not None and current.unknown_from <= due:
            taints = taints | {"C-UNKNOWN"}
        return taints

    def state_has_settled(self, expected: PlaybackState | None) -> bool:
        """Whether even a client that reports its state one step late must report the expected one by now."""
        return not self.conversations or (self.clean_step and expected is self.expected_before)

    def expected_state(self) -> PlaybackState | None:
        """Return the state that every honest client is in; None if they may differ."""
        slack = self.story.slack_ms
        if self.audio_undefined or self.pause_undefined:
            return None
        if self.conversation is None:
            settled = not self.conversations or self.quiet_ms >= slack
            return PlaybackState.IDLE if settled else None
        if self.paused:
            return PlaybackState.PAUSED if self.paused_ms >= slack else None
        if self.time_is_certain and self.over_ms >= slack:
            return PlaybackState.IDLE
        playing = self.time_is_certain and self.wait == 0 and self.high < self.end
        return PlaybackState.PLAYING if playing else None


def _plays_without_motion(observation: Observation, story: ClientStory) -> bool:
    """Whether this observation shows that audio goes on without motion."""
    lacks_motion = (
        observation.missing_ms > story.slack_ms
        and observation.conversation is not None
        and not observation.conversation.taints & APART
    )
    return lacks_motion and observation.played is not None and observation.played >= observation.low > 0
