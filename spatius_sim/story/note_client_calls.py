"""Updates what is certain about a client under test by each call: audio, motion, interrupt, pause, resume."""

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.story.certain_client_state import CertainClientState
from spatius_sim.story.client_exchanges import Exchange, GivenPayload, read_given_payload
from spatius_sim.story.client_story import (
    IDS,
    STABLE_IDS,
    AudioCall,
    ClientConversation,
    Kind,
    MotionCall,
)
from spatius_sim.trace.decoder_events import PlaybackState


class StateAfterCalls(CertainClientState):
    """Takes the calls to the client in order, notes what they change for certain, and adds them to the
    story."""

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
        and times back to 0. Suspects are situations, such as a pause, that may be to blame for a harm which
        is seen later: drop those that could harm only the previous conversation. In strictSync, missing
        motion (C-STARVE) may harm the audio from the start."""
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
        self.motion_blame.drop_suspects("C-PAUSE")
        self.stall_blame.drop_suspects("C-PAUSE", "C-UNKNOWN")
        self.audio_blame.drop_suspects("C-PAUSE", "C-EMPTY", "C-STARVE")
        if self.strict:
            self.audio_blame.add_suspect("C-STARVE")

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
                self.stall_blame.add_suspect("C-MISMATCH")
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
            self.motion_blame.add_suspect("C-UNKNOWN")
        self.note_situations_after_motion(kind)

    def note_overdue_payload(self, current: ClientConversation) -> None:
        """Note that the latest payload is overdue, if the fastest correct client had already passed the time
        of all its keyframes when it came."""
        if self.story.keyframe_at(self.fastest_position // 1000) >= len(current.values):
            current.overdue_from = min(current.overdue_from, current.payload_starts[-1])

    def add_keyframe(self, current: ClientConversation, value: float, has_unknown_fields: bool) -> None:
        """Add a keyframe, identified by its value, to the current conversation, and note if it came in a
        payload with unknown fields. If the audio may have been past its place already, note for how long the
        client may still show late motion elsewhere (`catch_up_ms`)."""
        due_ms = len(current.values) * 1000 // KEYFRAMES_PER_SECOND
        late_ms = self.fastest_position // self.story.sample_rate - due_ms
        if late_ms > 0:
            # A client that shows late motion at three times its speed gains two seconds in each second: it
            # has caught up after half of the delay.
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
        """Note what a call with motion changes for the current conversation: an empty list makes it
        audio-only. Nobody knows which motion is shown after bytes that cannot be decoded (Kind.ABNORMAL),
        after motion that came when the conversation was perhaps over (Kind.OVER, EMPTY_OVER), or after motion
        of which no document says what a client does with it (Kind.OPEN).

        Also add the situation that the call brings, named by its rule, to the suspects: it may be to blame
        for harm that is observed later. Foreign motion, that of the other kinds, is not of the current
        conversation, and must change nothing."""
        current = self.conversation
        match kind:
            case Kind.EMPTY if current:
                current.audio_only = True
                self.audio_blame.drop_suspects("C-STARVE")
                self.audio_blame.add_suspect("C-EMPTY")
                self.motion_blame.add_suspect("C-EMPTY-SCOPE")
            case Kind.ABNORMAL if current:
                current.open_motion = current.abnormal = True
                self.audio_blame.add_suspect("C-ABNORMAL")
                self.motion_blame.add_suspect("C-ABNORMAL")
            case Kind.OPEN | Kind.OVER | Kind.EMPTY_OVER if current:
                current.open_motion = True
                # The conversation may be over. A client that keeps the motion for the next one does not stall
                # there; a client that keeps the empty list shows no motion there, either.
                if kind is Kind.EMPTY_OVER:
                    self._note_foreign_motion("C-EMPTY-MISMATCH")
                elif kind is Kind.OVER:
                    self.stall_blame.add_suspect("C-MISMATCH")
            case Kind.EMPTY_MISMATCH:
                self._note_foreign_motion("C-EMPTY-MISMATCH")
            case Kind.EARLY:
                self._note_foreign_motion("C-EARLY")
            case Kind.LATE:
                self._note_foreign_motion("C-INTERRUPT")
            case Kind.MISMATCH:
                self._note_foreign_motion("C-MISMATCH")

    def _note_foreign_motion(self, rule_id: str) -> None:
        """Note that foreign motion came, which is not of the current conversation. It must change neither the
        motion that is shown nor a stall. If it does, `rule_id`, the rule on such motion, is to blame."""
        self.motion_blame.add_suspect(rule_id)
        self.stall_blame.add_suspect(rule_id)
        if self.conversation is not None:
            self.conversation.after_foreign_from = len(self.conversation.values)

    def note_interrupt(self) -> None:
        """Note that the client was interrupted: the current conversation and any pause are over. From now on
        the documents again say what the client does."""
        if self.conversation is not None:
            self.conversation.interrupted = True
        for blame in (self.motion_blame, self.audio_blame, self.stall_blame):
            blame.add_suspect("C-INTERRUPT")
        self.conversation = self.id_of_empty_chunk = None
        self.ids_of_open_motion.clear()
        self.audio_undefined = self.pause_undefined = self.paused = self.moved = False
        self.uncertain_after_resume = self.has_unclear_audio = False
        self.quiet_ms = 0

    def note_pause(self) -> None:
        """Note that the client was paused. A second pause changes nothing. If it is not certain that audio
        plays, no document says what the pause does (`pause_undefined`), and if it is not even certain that
        there is a current conversation, what plays after the resume (`uncertain_after_resume`).

        The fastest correct client may still play for `slack_ms` (`overshoot_ms`). From now on, C-PAUSE, the
        rule on pauses, may be to blame for harm that is seen later."""
        if self.paused and not self.pause_undefined:
            return
        self.pause_undefined = self.pause_undefined or not self.surely_plays
        self.uncertain_after_resume |= not self.surely_current
        self.paused, self.position_seen_in_pause = True, False
        self.overshoot_ms, self.paused_ms = self.story.slack_ms, 0
        if self.conversation is not None:
            for blame in (self.motion_blame, self.audio_blame, self.stall_blame):
                blame.add_suspect("C-PAUSE")

    def note_resume(self) -> None:
        """Note that the client was resumed: the slowest correct client may again take `slack_ms` to start.

        If nobody knew what the pause did (`pause_undefined`), that is over now: the current conversation
        plays on. But it lasts if it is not certain which conversation was current before the pause, or got
        the audio that came in it (`uncertain_after_resume`)."""
        self.paused = False
        self.pause_undefined = self.pause_undefined and self.uncertain_after_resume
        self.slowest_wait_ms += self.story.slack_ms
