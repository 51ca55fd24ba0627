"""Keeps what is certain about a client under test after the calls so far: for a client as slow, and for one
as fast, as an honest client may be."""

from typing import Any

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, keyframe_count
from spatius_sim.story.client_exchanges import Exchange, GivenPayload, read_given_payload
from spatius_sim.story.client_story import (
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
from spatius_sim.trace.decoder_events import PlaybackState


class CertainClientState:
    """Takes the calls to the client in order, keeps what is certain about the client, and adds the calls to
    the story.

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
    `open_until_resume`: audio came in a pause, so that only the next resume makes certain what is played.
    `nothing_to_play`: `audio_undefined` comes from an end mark on its own, after everything was played.
    `id_of_nothing`: the id that came back for an empty chunk outside a conversation, since the latest one.
    `heard_after`, of a client that tells its state alone: the situations after which it was seen to play on;
    None if it was never seen to play this conversation."""

    def __init__(self, story: ClientStory) -> None:
        """Begin with what is certain about a client under test before the first call: it has no
        conversation."""
        self.story = story
        self.conversation: ClientConversation | None = None
        self.conversations: dict[str | None, ClientConversation] = {}
        self.origins: dict[float, list[tuple[MotionCall, int]]] = {}
        self.strict = False
        self.audio_undefined = self.pause_undefined = self.paused = self.open_until_resume = False
        self.nothing_to_play = False
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
        self.id_of_nothing: str | None = None
        self.last: Observation | None = None
        self.expected_before: PlaybackState | None = PlaybackState.IDLE
        self.silent_before = True

    def note_hello(self, result: dict[str, Any]) -> None:
        """Note from the answer of the client to `hello` its clock, its modes, and what it lacks."""
        self.story.real_clock = result.get("clock") == "real"
        self.story.modes = tuple(str(mode) for mode in result.get("modes") or ())
        self.story.lacks.update(str(name) for name in result.get("lacks") or ())

    @property
    def end(self) -> int:
        """The end of the current conversation's audio that the client was given, in samples * 1000."""
        return self.conversation.samples * 1000 if self.conversation else 0

    @property
    def may_wait_for_motion(self) -> bool:
        """Whether strictSync lets audio wait for its motion in the current conversation."""
        current = self.conversation
        return current is not None and self.strict and not (current.audio_only or current.open_motion)

    @property
    def playable_end(self) -> int:
        """How far an honest client can play the audio of its current conversation by now, in samples * 1000
        (so that milliseconds of any sample rate are whole numbers). In strictSync the client can only play
        audio whose motion has come."""
        current = self.conversation
        if current is None or not self.may_wait_for_motion:
            return self.end
        needed = keyframe_count(current.samples, self.story.sample_rate)
        if len(current.values) >= needed:
            return self.end
        return len(current.values) * self.story.sample_rate * 1000 // KEYFRAMES_PER_SECOND

    @property
    def surely_current(self) -> bool:
        """Whether every honest client still has a current conversation."""
        return self.conversation is not None and not self.audio_undefined and not self.maybe_over

    @property
    def maybe_over(self) -> bool:
        """Whether the current conversation is over for the fastest honest client."""
        return self.conversation is not None and self.conversation.ended and self.fastest_position >= self.end

    @property
    def surely_plays(self) -> bool:
        """Whether every honest client plays now, unless it is paused."""
        return self.surely_current and self.slowest_wait_ms == 0 and self.fastest_position < self.end

    def may_throw(self, do: str) -> bool:
        """Return whether no document fixes what this call does now, so that an honest client may throw. The
        calls with audio and with motion have rules of their own."""
        match do:
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

    def pass_time_for_fastest(self, ms: int) -> None:
        """Let `ms` milliseconds pass for the fastest honest client: move its position."""
        self.moved = self.moved or ms > 0
        if self.conversation is None:
            return
        if self.paused and not self.pause_undefined:
            # It may still play for a while after the pause.
            ms = min(ms, self.overshoot_ms)
            self.overshoot_ms -= ms
        self.fastest_position = min(self.playable_end, self.fastest_position + ms * self.story.sample_rate)

    def pass_time_for_slowest(self, ms: int) -> None:
        """Let `ms` milliseconds pass for the slowest honest client: move its position, and count for how long
        it was idle or without motion."""
        rate, limit = self.story.sample_rate, self.playable_end
        self.quiet_ms += ms
        self.catch_up_ms = max(0, self.catch_up_ms - ms)
        if self.conversation is None:
            return
        if self.pause_undefined:
            return
        if self.paused:
            self.paused_ms += ms
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

    def note_audio_call(self, exchange: Exchange) -> None:
        """Note a call of the client with audio, which begins a conversation or continues the current one."""
        request, answer = exchange.request, exchange.answer
        reported_id = answer.result.get("conversationId")
        returned = reported_id if isinstance(reported_id, str) else None
        outside = self.conversation is None or self.conversation.ended or self.was_given_up(returned)
        half_sample_refused = len(request.audio) % BYTES_PER_SAMPLE and answer.error is not None
        if (outside and not request.audio) or half_sample_refused:
            call = AudioCall(exchange.seq, exchange.answered, returned, answer.error, None, first=False)
            self.story.audio_calls.append(call)
            self.audio_undefined = True
            # After the end, one more end mark brings nothing to play, whatever else it does.
            over = self.conversation is None or self.idle_after_end_ms >= self.story.slack_ms
            self.nothing_to_play = outside and over and request.end and not request.audio
            self.quiet_ms = 0
            fresh = None if returned in self.conversations else returned
            self.id_of_nothing = fresh or self.id_of_nothing
            return
        if outside:
            # An empty chunk may have begun this conversation: then its id has not changed since.
            returned = returned or self.id_of_nothing
            self.begin_conversation(exchange.seq, returned)
        if self.paused:
            was_certain = self.open_until_resume or not self.pause_undefined
            self.open_until_resume = was_certain and not outside and answer.error is None
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
        """Return whether the client under test has ended the current conversation by itself: it was seen idle
        there, and has now returned another id for new audio. Then this audio begins a new conversation; other
        rules judge whether the client had to go on."""
        current, last = self.conversation, self.last
        idle = last is not None and last.conversation is current and last.state == PlaybackState.IDLE
        return current is not None and current.was_active and idle and returned not in (current.id, None, "")

    def begin_conversation(self, seq: int, returned: str | None) -> None:
        """Note that a conversation of the client begins, with the id `returned`, which the client returned
        from its call with audio. Set the positions and times of honest clients back to 0. Forget the rules
        whose situation could only harm the conversation before."""
        self.conversation = self.conversations[returned] = ClientConversation(returned, seq)
        self.audio_undefined = self.moved = self.pinned = self.open_until_resume = False
        self.slowest_position = self.fastest_position = self.slowest_wait_ms = self.catch_up_ms = (
            self.largest_chunk
        ) = 0
        self.idle_after_end_ms = self.idle_before_end_ms = self.motion_missing_ms = self.stalled_ms = 0
        self.rule_of_first_harm = self.heard_after = self.id_of_nothing = None
        self.motion.forget("C-PAUSE")
        self.audio.forget("C-PAUSE", "C-EMPTY", "C-STARVE")
        if self.strict:
            self.audio.note("C-STARVE")

    def note_motion_call(self, exchange: Exchange) -> None:
        """Note that motion was given to the client, and which kind of call this was. If the
        motion belongs to the current conversation, add its keyframes there."""
        frames = exchange.request.frames or ()
        payloads = [read_given_payload(raw) for raw in frames]
        if self.fastest_position >= self.playable_end < self.end:
            self.slowest_wait_ms, self.stalled_ms = self.slowest_wait_ms + self.story.slack_ms, 0
        kind = self.classify(exchange.request.conversation_id, frames, payloads)
        unknown = any(payload is not None and payload.has_unknown_fields for payload in payloads)
        conversation = self.conversation if kind is not Kind.LATE else None
        call = MotionCall(exchange.seq, exchange.answered, kind, exchange.answer.error, unknown, conversation)
        self.story.motion_calls.append(call)
        for payload in payloads:
            if kind is Kind.MATCH and self.conversation:
                self.conversation.payload_starts.append(len(self.conversation.values))
            for value in payload.values if payload else ():
                number = len(self.conversation.values) if kind is Kind.MATCH and self.conversation else -1
                self.origins.setdefault(value, []).append((call, number))
                if kind is Kind.MATCH and self.conversation:
                    self.add_keyframe(self.conversation, value, unknown)
            if kind is Kind.MATCH and self.conversation:
                self.note_overdue_payload(self.conversation)
        self.note_situation(kind)

    def note_overdue_payload(self, current: ClientConversation) -> None:
        """Note if the latest payload may have come too late for the fastest honest client: when
        the time of all its keyframes was over."""
        if self.story.keyframe_at(self.fastest_position // 1000) >= len(current.values):
            current.overdue_from = min(current.overdue_from, current.payload_starts[-1])

    def add_keyframe(self, current: ClientConversation, value: float, unknown: bool) -> None:
        """Add a keyframe, with its value, to the current conversation of the client under test.
        Note if the keyframe came too late for the fastest honest client, and if it came with unknown
        fields."""
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
            return Kind.OVER if frames else Kind.OPEN
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
        """Note which rules a call with motion of this kind puts to the test, and what is
        uncertain about the client after the call."""
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
            case Kind.OPEN | Kind.OVER if current:
                current.open_motion = True
            case Kind.EMPTY_MISMATCH:
                self.motion.note("C-EMPTY-MISMATCH")
            case Kind.EARLY:
                self.motion.note("C-EARLY")
            case Kind.LATE:
                self.motion.note("C-INTERRUPT")
            case Kind.MISMATCH:
                self.motion.note("C-MISMATCH")

    def note_interrupt(self) -> None:
        """Note that `interrupt` of the client was called: the current conversation and any pause
        end, and after that it is certain again what the client plays."""
        if self.conversation is not None:
            self.conversation.interrupted = True
        self.motion.note("C-INTERRUPT")
        self.audio.note("C-INTERRUPT")
        self.conversation = self.id_of_nothing = None
        self.audio_undefined = self.pause_undefined = self.paused = self.moved = False
        self.open_until_resume = False
        self.quiet_ms = 0

    def note_pause(self) -> None:
        """Note that `pause` of the client was called. If it is not certain that audio was playing,
        it is undefined what the pause does. A second pause changes nothing."""
        if self.paused and not self.pause_undefined:
            return
        self.pause_undefined = self.pause_undefined or not self.surely_plays
        self.paused, self.pinned = True, False
        self.overshoot_ms, self.paused_ms = self.story.slack_ms, 0
        if self.conversation is not None:
            self.motion.note("C-PAUSE")
            self.audio.note("C-PAUSE")

    def note_resume(self) -> None:
        """Note that `resume` of the client was called; from now on the slowest honest client may
        again start late. Audio that came in the pause for the conversation that was playing is played from
        now on, if it was not played in the pause."""
        self.paused = False
        if self.open_until_resume:
            self.pause_undefined = self.open_until_resume = False
        self.slowest_wait_ms += self.story.slack_ms
