"""Keeps what is certain about a client under test after the calls so far: for a client as slow, and for one
as fast, as a correct client may be."""

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
    the story. The slowest and the fastest correct client are the limits of what the rules allow.

    `slowest_position` and `fastest_position` are in samples * 1000, so that a millisecond adds the sample
    rate. Times are in milliseconds. `slowest_wait_ms`: how long the slowest client may still wait.
    `overshoot_ms`: how long the fastest client may still play in a pause. `catch_up_ms`: how long late motion
    may not yet be shown at its place. For how long was the slowest client idle, because the audio of an ended
    conversation was over (`idle_after_end_ms`), because the audio of an open conversation had run out
    (`idle_before_end_ms`), or because strictSync waited for motion (`stalled_ms`)? `motion_missing_ms`: how
    long it played audio whose motion was missing. `paused_ms`: how long the latest pause has lasted.
    `quiet_ms`: how long ago an interrupt, or audio of which nobody knows whether it is played, came.

    `conversations` are all conversations by id. `origins`: for each value of a keyframe, the calls that gave
    it. `moved`: time has passed since the conversation began, or since an interrupt. `clean_step`: since
    `last`, the latest observation, only time has passed. `expected_before` and `silent_before`: what was
    expected at `last`.

    `audio_undefined`: nobody knows what the client plays, because no document says what a call with audio
    does there, or because an `advance` failed. `pause_undefined`: no document says what the client does in
    the latest pause.
    `uncertain_after_resume`: the pause may have been none, or the audio that came in it may not have been
    taken, so that not even the resume makes certain what is played.
    `nothing_to_play`: `audio_undefined` comes from an end mark on its own, after everything was played.
    `has_unclear_audio`: since `audio_undefined`, audio came of which nobody knows whether it is played.
    `position_seen_in_pause`: the position was seen in the latest pause, so that even the fastest client goes
    on from there.
    `id_of_empty_chunk`: the id that came back for an empty chunk outside a conversation, since the latest
    conversation. `ids_of_open_motion`: the ids with which motion came since then. If the empty chunk has
    begun the next conversation, the motion may belong there.

    `motion` and `audio` say to which rule a harm belongs. Only with a control is a harm blamed on a
    situation: `shown` (motion was rendered at its place in a plain conversation, up to `shown_keyframe` and
    in `shown_payloads` payloads), and `well_played_lengths` (the most samples, and the most bytes in a chunk,
    of a plain conversation that was played to its end). `largest_chunk`: the most bytes in a chunk of this
    conversation. `disordered`: motion was once rendered that is foreign or out of order.
    `rule_of_first_harm`: the rule to which the first harm to this conversation's audio belongs.
    `situations_seen_playing`, of a client that tells its state alone: the situations after which it was seen
    to play on; None if it was never seen to play this conversation.

    Of strictSync: `stall` says to which rule a wrong stall belongs. `seen_to_stall` and `seen_to_go_on`: the
    audio was seen to wait for missing motion, and to go on when motion had come. `stall_was_wrong`: in this
    conversation a stall was seen to be missing. `lacked_motion`: its audio may have waited."""

    def __init__(self, story: ClientStory) -> None:
        """Begin with what is certain about a client before the first call: it has no conversation, and is
        idle. The docstring of the class says what each attribute holds."""
        self.story = story
        self.conversation: ClientConversation | None = None
        self.conversations: dict[str | None, ClientConversation] = {}
        self.origins: dict[float, list[tuple[MotionCall, int]]] = {}
        self.strict = False
        self.audio_undefined = self.pause_undefined = self.paused = self.uncertain_after_resume = False
        self.nothing_to_play = self.has_unclear_audio = False
        self.slowest_position = self.fastest_position = self.slowest_wait_ms = self.overshoot_ms = (
            self.catch_up_ms
        ) = 0
        self.idle_after_end_ms = self.idle_before_end_ms = self.motion_missing_ms = self.stalled_ms = (
            self.paused_ms
        ) = self.quiet_ms = 0
        self.clean_step = self.moved = self.shown = self.disordered = self.position_seen_in_pause = False
        self.shown_payloads = self.shown_keyframe = 0
        self.motion, self.audio, self.stall = Blame("C-MATCH"), Blame("C-STATES"), Blame("C-STARVE")
        self.seen_to_stall = self.seen_to_go_on = self.stall_was_wrong = self.lacked_motion = False
        self.largest_chunk = 0
        self.well_played_lengths = 0, 0
        self.situations_seen_playing: frozenset[str] | None = None
        self.rule_of_first_harm: str | None = None
        self.id_of_empty_chunk: str | None = None
        self.ids_of_open_motion: set[str] = set()
        self.last: Observation | None = None
        self.expected_before: PlaybackState | None = PlaybackState.IDLE
        self.silent_before = True

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
        """Whether every correct client must be silent by now: nothing is left to play, and the client had the
        time `slack_ms` to stop. Pauses and resumes since the last call make no difference.

        After a call with an undefined outcome, this is certain only if everything had been played before that
        call."""
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
            self.audio.note("C-STARVE")

    def note_audio_call(self, exchange: Exchange) -> None:
        """Update the state by a call that gave the client audio: the call begins a conversation or continues
        the current one. After empty audio outside a conversation, a refused half sample, or audio in a pause
        that begins nothing new, it is undefined what is played."""
        request, answer = exchange.request, exchange.answer
        reported_id = answer.result.get("conversationId")
        returned_id = reported_id if isinstance(reported_id, str) else None
        is_outside = (
            self.conversation is None
            or self.conversation.ended
            or self.did_client_end_conversation(returned_id)
        )
        is_refused_half_sample = len(request.audio) % BYTES_PER_SAMPLE and answer.error is not None
        if self.paused:
            self.uncertain_after_resume |= is_outside or answer.error is not None
            self.pause_undefined = True
        # In a pause, only a new id shows that the audio has begun a conversation.
        is_unclear = is_outside and (
            not request.audio or (self.paused and (returned_id or None) in (None, *self.conversations))
        )
        if is_unclear or is_refused_half_sample:
            call = AudioCall(exchange.seq, exchange.answered, returned_id, answer.error, None, first=False)
            self.story.audio_calls.append(call)
            self.audio_undefined = True
            # After the end, one more end mark brings nothing to play, whatever else it does.
            is_over = self.conversation is None or self.idle_after_end_ms >= self.story.slack_ms
            self.has_unclear_audio |= bool(request.audio)
            self.nothing_to_play = is_outside and is_over and request.end and not self.has_unclear_audio
            self.quiet_ms = 0
            new_id = None if returned_id in self.conversations else returned_id
            self.id_of_empty_chunk = new_id or self.id_of_empty_chunk
            return
        if is_outside:
            # An empty chunk may have begun this conversation: then its id has not changed since.
            returned_id = returned_id or self.id_of_empty_chunk
            self.begin_conversation(exchange.seq, returned_id)
        surely_begins = is_outside and not self.paused
        current = self.conversation
        assert current is not None
        id_before = current.id
        call = AudioCall(
            exchange.seq, exchange.answered, returned_id, answer.error, current, surely_begins, id_before
        )
        if returned_id and STABLE_IDS in self.story.lacks:
            current.id, self.conversations[returned_id] = returned_id, current
        self.story.audio_calls.append(call)
        if request.audio and self.fastest_position >= self.end:
            self.slowest_wait_ms += self.story.slack_ms
        current.samples += len(request.audio) // BYTES_PER_SAMPLE
        current.audio_bytes += len(request.audio)
        self.largest_chunk = max(self.largest_chunk, len(request.audio))
        current.ended = current.ended or request.end
        self.idle_before_end_ms = 0

    def did_client_end_conversation(self, returned_id: str | None) -> bool:
        """Return whether the client has ended the current conversation by itself. It was last seen idle, and
        its call with audio has now returned another id (`returned_id`): the new audio begins a new
        conversation. Other rules judge whether it was allowed to."""
        current, last_observation = self.conversation, self.last
        was_idle = (
            last_observation is not None
            and last_observation.conversation is current
            and last_observation.state == PlaybackState.IDLE
        )
        return (
            current is not None
            and current.was_active
            and was_idle
            and returned_id not in (current.id, None, "")
        )

    def begin_conversation(self, seq: int, returned_id: str | None) -> None:
        """Begin a conversation with the id that the client returned from its call with audio. Set positions
        and times back to 0. Of the situations that may be to blame for a later harm, forget those that could
        harm only the previous conversation."""
        may_have_motion = returned_id in self.ids_of_open_motion or (
            IDS in self.story.lacks and bool(self.ids_of_open_motion)
        )
        self.ids_of_open_motion.clear()
        self.conversation = self.conversations[returned_id] = ClientConversation(
            returned_id, seq, open_motion=may_have_motion
        )
        self.audio_undefined = self.has_unclear_audio = self.moved = self.position_seen_in_pause = False
        self.slowest_position = self.fastest_position = self.slowest_wait_ms = self.catch_up_ms = (
            self.largest_chunk
        ) = 0
        self.idle_after_end_ms = self.idle_before_end_ms = self.motion_missing_ms = self.stalled_ms = 0
        self.rule_of_first_harm = self.situations_seen_playing = self.id_of_empty_chunk = None
        self.stall_was_wrong = self.lacked_motion = False
        self.motion.forget("C-PAUSE")
        self.stall.forget("C-PAUSE", "C-UNKNOWN")
        self.audio.forget("C-PAUSE", "C-EMPTY", "C-STARVE")
        if self.strict:
            self.audio.note("C-STARVE")

    def note_motion_call(self, exchange: Exchange) -> None:
        """Update the state by a call that gave the client motion: find its kind, and keep the call in the
        story. If the motion belongs to the current conversation, add its keyframes there."""
        frames = exchange.request.frames or ()
        payloads = [read_given_payload(raw) for raw in frames]
        if self.fastest_position >= self.playable_end < self.end:
            self.slowest_wait_ms, self.stalled_ms = self.slowest_wait_ms + self.story.slack_ms, 0
        kind = self.classify_motion_call(exchange.request.conversation_id, frames, payloads)
        if self.audio_undefined:
            self.ids_of_open_motion.add(exchange.request.conversation_id)
            if frames:
                self.stall.note("C-MISMATCH")
        has_unknown_fields = any(payload is not None and payload.has_unknown_fields for payload in payloads)
        conversation = self.conversation if kind is not Kind.LATE else None
        call = MotionCall(
            exchange.seq, exchange.answered, kind, exchange.answer.error, has_unknown_fields, conversation
        )
        self.story.motion_calls.append(call)
        for payload in payloads:
            if kind is Kind.MATCH and self.conversation:
                self.conversation.payload_starts.append(len(self.conversation.values))
            for value in payload.values if payload else ():
                number = len(self.conversation.values) if kind is Kind.MATCH and self.conversation else -1
                self.origins.setdefault(value, []).append((call, number))
                if kind is Kind.MATCH and self.conversation:
                    self.add_keyframe(self.conversation, value, has_unknown_fields)
            if kind is Kind.MATCH and self.conversation:
                self.note_overdue_payload(self.conversation)
        if has_unknown_fields and kind is Kind.MATCH:
            self.motion.note("C-UNKNOWN")
        self.note_situations_after_motion(kind)

    def note_overdue_payload(self, current: ClientConversation) -> None:
        """Note that the latest payload is overdue, if the fastest correct client had already passed the time
        of all its keyframes when it came."""
        if self.story.keyframe_at(self.fastest_position // 1000) >= len(current.values):
            current.overdue_from = min(current.overdue_from, current.payload_starts[-1])

    def add_keyframe(self, current: ClientConversation, value: float, has_unknown_fields: bool) -> None:
        """Add a keyframe, identified by its value, to the current conversation. Note if it came too late for
        the fastest correct client, or in a payload with unknown fields."""
        due_ms = len(current.values) * 1000 // KEYFRAMES_PER_SECOND
        late_ms = self.fastest_position // self.story.sample_rate - due_ms
        if late_ms > 0:
            # A client that shows late motion at three times its speed has caught up after half of the delay.
            self.catch_up_ms = max(self.catch_up_ms, self.story.slack_ms + late_ms // 2)
        if has_unknown_fields:
            current.unknown_from = min(current.unknown_from, len(current.values))
        current.values.append(value)

    def classify_motion_call(
        self, motion_id: str, frames: tuple[bytes, ...], payloads: "list[GivenPayload | None]"
    ) -> Kind:
        """Return the kind of a call that gives motion (`frames`) with the id `motion_id`: how the motion
        relates to the current conversation. Kind.OPEN: no document says what a client does with it.
        `payloads` are the frames as read; None stands for a frame that cannot be decoded."""
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
            is_interrupted = (
                current is None
                and motion_id in self.conversations
                and self.conversations[motion_id].interrupted
            )
            if not frames:
                return Kind.EMPTY_MISMATCH
            if is_interrupted:
                return Kind.LATE
            return Kind.EARLY if current is None and not self.conversations else Kind.MISMATCH
        if self.maybe_over:
            return Kind.OVER if frames else Kind.EMPTY_OVER
        if not frames:
            return Kind.EMPTY
        if current.audio_only:
            return Kind.STICKY
        if any(raw and payload is None for raw, payload in zip(frames, payloads, strict=True)):
            return Kind.ABNORMAL
        if current.open_motion or any(payload is None or not payload.values for payload in payloads):
            return Kind.OPEN
        return Kind.MATCH

    def note_situations_after_motion(self, kind: Kind) -> None:
        """Note the situations that a call with motion of this kind brings, each named by its rule: they may
        harm what is observed later. Note, too, what the call changes for the current conversation."""
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
            case Kind.OPEN | Kind.OVER | Kind.EMPTY_OVER if current:
                current.open_motion = True
                # The conversation may be over. A client that keeps the motion for the next one does not stall
                # there; a client that keeps the empty list shows no motion there, either.
                if kind is Kind.EMPTY_OVER:
                    self._note_foreign_motion("C-EMPTY-MISMATCH")
                elif kind is Kind.OVER:
                    self.stall.note("C-MISMATCH")
            case Kind.EMPTY_MISMATCH:
                self._note_foreign_motion("C-EMPTY-MISMATCH")
            case Kind.EARLY:
                self._note_foreign_motion("C-EARLY")
            case Kind.LATE:
                self._note_foreign_motion("C-INTERRUPT")
            case Kind.MISMATCH:
                self._note_foreign_motion("C-MISMATCH")

    def _note_foreign_motion(self, rule_id: str) -> None:
        """Note that motion came which must change nothing: neither the motion that is shown nor a stall.
        `rule_id` is the rule on such motion."""
        self.motion.note(rule_id)
        self.stall.note(rule_id)

    def note_interrupt(self) -> None:
        """Note that the client was interrupted: the current conversation and any pause are over. From now on
        the documents again say what the client does."""
        if self.conversation is not None:
            self.conversation.interrupted = True
        for blame in (self.motion, self.audio, self.stall):
            blame.note("C-INTERRUPT")
        self.conversation = self.id_of_empty_chunk = None
        self.ids_of_open_motion.clear()
        self.audio_undefined = self.pause_undefined = self.paused = self.moved = False
        self.uncertain_after_resume = self.has_unclear_audio = False
        self.quiet_ms = 0

    def note_pause(self) -> None:
        """Note that the client was paused. A second pause changes nothing. If it is not certain that audio
        plays, no document says what a pause does. But if it is certain that there is a current conversation,
        that plays on after the next resume, whatever the pause did."""
        if self.paused and not self.pause_undefined:
            return
        self.pause_undefined = self.pause_undefined or not self.surely_plays
        self.uncertain_after_resume |= not self.surely_current
        self.paused, self.position_seen_in_pause = True, False
        self.overshoot_ms, self.paused_ms = self.story.slack_ms, 0
        if self.conversation is not None:
            for blame in (self.motion, self.audio, self.stall):
                blame.note("C-PAUSE")

    def note_resume(self) -> None:
        """Note that the client was resumed: the slowest correct client may again take `slack_ms` to start.
        Audio that came in the pause is surely played from now on, if it belongs to the conversation that was
        playing. If that is not certain (`uncertain_after_resume`), the pause stays undefined."""
        self.paused = False
        self.pause_undefined = self.pause_undefined and self.uncertain_after_resume
        self.slowest_wait_ms += self.story.slack_ms
