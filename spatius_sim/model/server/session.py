"""Decides what Motion Server does on one connection: frames and timers come in, commands go out. It opens no
socket and has no clock.

No message of the peer raises an exception: a bad message is answered with a ServerError. All times `now` are
monotonic seconds.
"""

from dataclasses import dataclass

from spatius_sim.model.room.room_faults import RoomFault
from spatius_sim.model.room.room_playback import RoomPlayback
from spatius_sim.model.scenario.scenario import Moment
from spatius_sim.model.scenario.scenario_player import ConnectionFaults
from spatius_sim.model.server.apply_faults import apply_faults
from spatius_sim.model.server.capabilities import PLAYBACK_STATE
from spatius_sim.model.server.commands import (
    Close,
    Join,
    Publish,
    Send,
    ServerCommand,
    SetTimer,
)
from spatius_sim.model.server.decode_audio_input import (
    AudioDecoder,
    OggOpusDecoder,
    PcmDecoder,
    find_audio_fault,
)
from spatius_sim.model.server.egress_configuration import (
    INVALID_ARGUMENT,
    UNAUTHENTICATED,
    UNAVAILABLE,
    EgressFault,
    Room,
    read_egress_room,
)
from spatius_sim.model.server.open_requests import LONGEST_REQ_ID
from spatius_sim.model.server.outbox import SEND_TIMER
from spatius_sim.model.server.play_session_in_room import ROOM_TIMER, EgressPlayback, select_room_faults
from spatius_sim.model.server.send_responses import (
    MOTION_DUE,
    POLICY_VIOLATION,
    RESOURCE_EXHAUSTED,
    SessionSender,
)
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Interrupt,
    Message,
    Pause,
    PlaybackNews,
    PlaybackPhase,
    Resume,
    UnknownMessage,
)
from spatius_sim.protocol.ogg import OPUS_HZ
from spatius_sim.protocol.request_states import TurnEvent, TurnState, next_turn_state
from spatius_sim.protocol.session_states import SessionEvent, SessionState, next_session_state
from spatius_sim.trace.events import Undecodable

_DRIVEN_CONFIG = 6
"""The type of a configuration of the drive: ignored, as "older servers" do (spatialreal's proto)."""

_OWN_CLOSE_CODES = range(4000, 5000)
"""A ServerError with such a code ends a session for good, and is its close code, too."""

CONFIGURE_SECONDS = 15.0
"""How long a connection may stay without a configuration."""

ROOM_LOST = 1011
"""The close code after the room was lost is ASSUMED."""

IDLE_CLOSE = 1000
"""The close code after an idle time-out is ASSUMED."""

_LONGEST_CLOSE_REASON = 100
"""Bytes; a closing frame has place for 123."""

# Named here because every message reads them, and a member of an enumeration takes longer to find.
_IN_SESSION, _UPLOADING = SessionState.OPEN, TurnState.UPLOADING
# Names of timers; the last two are followed by the index of the fault that waits.
_IDLE, _CONFIGURE, _ROOM_TOKEN = "idle", "configure", "room-token"
_OPEN, _SILENCE = f"{Moment.OPEN}-", f"{Moment.SILENCE}-"


@dataclass(slots=True)
class ServerSession(SessionSender):
    """One connection to Motion Server, as a state machine. The methods send nothing themselves: they return
    the commands for the server. `opus` makes a decoder of Ogg Opus; None if no codec is installed.
    `unix_time` is when the connection was opened: tokens of a room may have expired by then. `real_rooms`: a
    LiveKit room is a real one, and the session waits for `handle_room_answer` before it confirms.
    `capabilities` are confirmed, and kept in sessions with a room; without them, pause and resume are
    ignored. Agora tokens must be signed by `agora_certificate`, if it is given."""

    def receive(self, message: Message | Undecodable, now: float = 0.0) -> list[ServerCommand]:
        """Take a decoded message from the peer of this session, and return the commands by which Motion
        Server answers. If the session publishes in a room, they include those of the room."""
        # Nearly all frames are audio, so this case comes first.
        if type(message) is AudioInput and self.state is _IN_SESSION:
            commands = self._take_audio(message, now)
        else:
            commands = self._receive_non_audio(message, now)
        playback = self._egress_playback
        return commands if playback is None else playback.play_published_motion(commands, now)

    def _receive_non_audio(self, message: Message | Undecodable, now: float) -> list[ServerCommand]:
        """Take a message of the peer, unless it is audio in an open session, and return the commands by which
        the session answers. A session that waits for its configuration accepts no other message. One that is
        refused or closed answers nothing. An open one does not answer the message type _DRIVEN_CONFIG, as
        older servers do not."""
        if self.state is _IN_SESSION:
            match message:
                case Interrupt(req_id):
                    return self._interrupt(req_id, now)
                case Undecodable(reason):
                    return self._send_error(INVALID_ARGUMENT, reason, now)
                case Pause() | Resume():
                    return self._pause_or_resume(message, now)
                case UnknownMessage(number) if number == _DRIVEN_CONFIG:
                    return []
                case _:
                    return self._send_error(INVALID_ARGUMENT, "unexpected message type", now)
        if self.state is SessionState.AWAITING_CONFIGURE:
            return self._configure(message, now)
        return []

    def handle_open(self) -> list[ServerCommand]:
        """Return the command that starts the timer for the first message. ASSUMED: how long the service
        waits for it, no document says; sdk-py waits 10 s for the answer."""
        return [SetTimer(_CONFIGURE, CONFIGURE_SECONDS)]

    def handle_timer(self, name: str, now: float) -> list[ServerCommand]:
        """Return the commands of the session now that its timer `name` has run out; an empty list if the
        session no longer needs this timer. `now` is in monotonic seconds.

        Handled here: no configuration has come in time, the token of the room has expired, the room plays its
        next 40 ms. `_run_timer` handles all other timers."""
        if name == _CONFIGURE:
            if self.state is not SessionState.AWAITING_CONFIGURE:
                return []
            text = f"no ClientConfigureSession message within {CONFIGURE_SECONDS:g} s"
            return self._refuse(0, text, now)
        if name == _ROOM_TOKEN:
            # ASSUMED: Agora removes a participant whose token has expired; no document says what follows.
            if self.state is not SessionState.OPEN:
                return []
            return self._leave_room(UNAUTHENTICATED, "unauthorized: the Agora token has expired", now)
        playback = self._egress_playback
        if name == ROOM_TIMER:
            return [] if playback is None else self._put_room_commands(playback.play_tick(now), now)
        commands = self._run_timer(name, now)
        return commands if playback is None else playback.play_published_motion(commands, now)

    def handle_room_answer(self, fault: EgressFault | None, now: float) -> list[ServerCommand]:
        """Take the answer of the real room that the session's egress asked to join: `fault` says why it
        cannot join, or is None if it has joined. Return the commands that refuse or confirm the session."""
        if fault is not None:
            self.room = self._egress_playback = None
            return self._refuse(fault.code, fault.message, now)
        return self._confirm(now)

    def handle_room_loss(self, now: float) -> list[ServerCommand]:
        """End a session that publishes in a room, because the room is gone. Return the commands for this; an
        empty list if the session is not open. ASSUMED: no document says what the service does then."""
        if self.state is not SessionState.OPEN:
            return []
        return self._leave_room(UNAVAILABLE, "the egress has lost its room", now)

    def _leave_room(self, code: int, text: str, now: float) -> list[ServerCommand]:
        """Return the commands that end the session with this error, because it can no longer be in its
        room."""
        self._egress_playback = None
        return [*self._send_error(code, text, now), *self._put(Close(ROOM_LOST, text), now)]

    def _run_timer(self, name: str, now: float) -> list[ServerCommand]:
        """Return the commands of the session now that this timer has run out: a timer of the outbox, of
        delayed motion, of idle time or of a fault. If the session is not open, only the outbox needs its
        timer. The caller adds the commands of the session's room."""
        if name == SEND_TIMER:
            return self._outbox.take_due(now)
        if self.state is not SessionState.OPEN:
            return []
        if name == MOTION_DUE:
            return self._send_due_motion(now)
        if name == _IDLE:
            return self._check_idle(now)
        if not self._timed_faults_play:
            return []
        if name.startswith(_OPEN):
            return self._play_faults(self.faults.actions_after_wait(int(name.removeprefix(_OPEN))), now)
        return self._check_silence(int(name.removeprefix(_SILENCE)), now)

    def replace_faults(self, faults: ConnectionFaults) -> None:
        """Play other faults of a scenario in this session from now on. Faults that happen some seconds after
        the opening, or after silence, are not played: they concern only sessions that open later. Requests
        that are open now do not count as requests of the new faults (their ordinal becomes 0)."""
        self.faults = faults
        self._timed_faults_play = False
        self._has_audio_faults = faults.may_act_at(Moment.AUDIO)
        self._has_response_faults = faults.may_act_at(Moment.RESPONSE)
        self._requests.forget_ordinals()

    def handle_close(self) -> None:
        """Note that the connection of this session is closed: forget all requests, and all motion and
        messages that the session still had to send."""
        self.state = SessionState.CLOSED
        self._egress_playback = None
        self._requests.clear()
        self._delayed_motion.clear()
        self._outbox.clear()

    def _configure(self, message: Message | Undecodable, now: float) -> list[ServerCommand]:
        """Take the first message of the peer, which must configure the session. If the session can accept it,
        return the commands that confirm the session, or that let it enter its room first. Otherwise return
        the commands that refuse the session."""
        match message:
            case Undecodable(reason):
                return self._refuse(0, f"failed to unmarshal initial message: {reason}", now)
            case ConfigureSession():
                self._step(SessionEvent.CONFIGURE)
            case _:
                return self._refuse(0, "expected ClientConfigureSession message", now)
        audio_fault = find_audio_fault(message, has_opus=self.opus is not None)
        if audio_fault:
            code = INVALID_ARGUMENT if "format" in audio_fault else 0
            return self._refuse(code, audio_fault, now)
        room = read_egress_room(message, self.unix_time, self.agora_certificate)
        if isinstance(room, EgressFault):
            return self._refuse(room.code, room.message, now)
        self._opus_session = message.audio_format == AudioFormat.OGG_OPUS
        self.audio_rate = OPUS_HZ if self._opus_session else message.sample_rate
        self.room = room
        return self._confirm(now) if room is None else self._enter_room(room, now)

    def _enter_room(self, room: Room, now: float) -> list[ServerCommand]:
        """Let the session enter the room in which it shall publish, and begin the playback there. Return the
        commands that join the room and confirm the session. For a real room return no confirmation yet: the
        answer of the room is awaited. A fault of the scenario (NEVER_JOINS) confirms the session without the
        room."""
        faults, commands = select_room_faults(self.faults.actions_at(Moment.ROOM))
        is_real = self.real_rooms and room.livekit is not None
        if RoomFault.NEVER_JOINS in faults:
            return commands + self._confirm(now)
        playback = RoomPlayback(self.connection_id, self.audio_rate, faults)
        self._egress_playback = EgressPlayback(
            self.connection_id, room, playback, always_ticks=is_real, capabilities=self.capabilities
        )
        join = Join(room.name, room.publisher)
        if is_real:
            return [*commands, join]
        confirmation = self._confirm(now)
        return commands + confirmation + ([join] if self.state is _IN_SESSION else [])

    def _confirm(self, now: float) -> list[ServerCommand]:
        """Open the session, and return the commands that confirm it to the peer and start its timers. A fault
        of the scenario may change the confirmation, or refuse the session instead."""
        raw = encode(ConfirmSession(self.connection_id, self.capabilities))
        confirmation = apply_faults(raw, self.faults.actions_at(Moment.CONFIGURE), self.faults, "configure")
        commands = self._send_faulted_message(confirmation, None, now)
        if confirmation.error is not None:
            error = confirmation.error
            return commands + self._close_refused_session(error.message, now, error.code)
        # Whatever the peer does with a spoiled confirmation: for us the session is open.
        self._step(SessionEvent.CONFIRM)
        self._last_audio = now
        # The faults stay the same: this prepares the session for them, as for faults that replace others.
        self.replace_faults(self.faults)
        self._timed_faults_play = True
        for moment in (Moment.OPEN, Moment.SILENCE):
            for index, seconds in self.faults.seconds_until_faults(moment).items():
                commands.append(SetTimer(f"{moment}-{index}", seconds))
        if self.room is not None and self.room.idle_timeout:
            commands.append(SetTimer(_IDLE, self.room.idle_timeout))
        if self.room is not None and self.room.expires_at:
            commands.append(SetTimer(_ROOM_TOKEN, max(0.0, self.room.expires_at - self.unix_time)))
        return commands

    def _take_audio(self, audio: AudioInput, now: float) -> list[ServerCommand]:
        """Take a piece of audio in the session: open its request if the req_id is new, end the request if the
        piece is the last. Return the commands for the motion that is due now, and for the faults."""
        self._last_audio = now
        request = self._requests.get(audio.req_id)
        if request is None:
            reason = self._requests.reason_to_refuse(audio.req_id, self.limits.open_requests)
            if reason:
                return self._send_error(RESOURCE_EXHAUSTED, reason, now, audio.req_id[:LONGEST_REQ_ID])
            answer = self.new_answer(self.connection_id, audio.req_id, self.audio_rate)
            ordinal = self.faults.requests.next_number()
            request = self._requests.add(audio.req_id, answer, self._make_audio_decoder(), ordinal, now)
        elif request.failed:
            return []
        # While audio goes up, the table leaves the state as it is; the look-up would cost more than the rest.
        if audio.end or request.state is not _UPLOADING:
            event = TurnEvent.AUDIO_END if audio.end else TurnEvent.AUDIO
            after = next_turn_state(request.state, event)
            if after is None:
                # ASSUMED: no document says what the service answers to audio under an ended req_id.
                text = f"request is already {request.state.value}"
                return self._send_error(INVALID_ARGUMENT, text, now, audio.req_id)
            request.state = after
        commands: list[ServerCommand] = []
        if self.room is not None:
            commands += self._put(Publish(self.room.name, encode(audio), audio.req_id), now)
        try:
            pcm = request.audio_decoder.feed(audio.audio)
            if audio.end:
                pcm += request.audio_decoder.finish()
        except RemoteProtocolError as damaged:
            return commands + self._fail_request(request, INVALID_ARGUMENT, str(damaged), now)
        if self._egress_playback is not None:
            self._egress_playback.playback.add_audio(audio.req_id, pcm, end=audio.end)
        payloads = request.answer.feed(pcm)
        if not (payloads or audio.end or self.room is not None or self._has_audio_faults):
            return commands  # As nearly always: nothing is due, and no more is held than before.
        for payload in payloads:
            commands += self._schedule_motion(request, payload, now)
        if self._has_audio_faults:
            commands += self._count_audio(request, len(pcm) // BYTES_PER_SAMPLE, now)
        if audio.end and not request.failed:
            for payload in request.answer.finish():
                commands += self._schedule_motion(request, payload, now)
            self._requests.end(request, TurnState.ANSWERED)
            if not request.unmade_count:
                commands += self._send_held_payloads(request, now)
        in_room = 0 if self._egress_playback is None else self._egress_playback.playback.held_bytes
        if self._delayed_motion.held_bytes + self._outbox.held_bytes + in_room > self.limits.held_bytes:
            commands += self._close_on_overflow(now)
        return commands

    def _make_audio_decoder(self) -> AudioDecoder:
        """Return a new decoder for the audio format of this session."""
        return OggOpusDecoder(self.opus) if self._opus_session and self.opus is not None else PcmDecoder()

    def _interrupt(self, req_id: str, now: float) -> list[ServerCommand]:
        """End the request with this req_id, if there is one, and drop its motion that is not sent yet. Return
        the commands that stop its playback in the room, and those of the scenario's faults at an
        interrupt."""
        request = self._requests.get(req_id)
        if request is not None:
            self._requests.end(request, TurnState.INTERRUPTED)
            request.held_payloads.clear()
            self._delayed_motion.forget(request)
            self._outbox.forget(req_id)
        room_commands = [] if self._egress_playback is None else self._egress_playback.interrupt(req_id)
        return self._put_room_commands(room_commands, now) + self._play_faults(
            self.faults.actions_at(Moment.INTERRUPT), now
        )

    def _pause_or_resume(self, message: Pause | Resume, now: float) -> list[ServerCommand]:
        """Pause or resume the playback of a request in the session's room, and return the session's commands
        for this. Without a room nothing plays: then the session reports the phase UNKNOWN, or nothing if it
        does not report playbacks."""
        if self._egress_playback is not None:
            return self._put_room_commands(self._egress_playback.pause_or_resume(message, now), now)
        if PLAYBACK_STATE not in self.capabilities:
            return []
        news = PlaybackNews(self.connection_id, message.req_id, PlaybackPhase.UNKNOWN)
        return self._put(Send(encode(news)), now)

    def _check_idle(self, now: float) -> list[ServerCommand]:
        """Check whether a session that publishes in a room has had no audio for the room's idle time-out. If
        so, return the commands that close the session; otherwise a timer for the rest of the time-out."""
        assert self.room is not None
        seconds_left = self._last_audio + self.room.idle_timeout - now
        if seconds_left > 0:
            return [SetTimer(_IDLE, seconds_left)]
        text = f"no audio input for {self.room.idle_timeout} seconds"
        return [*self._send_error(0, text, now), *self._put(Close(IDLE_CLOSE, text), now)]

    def _check_silence(self, index: int, now: float) -> list[ServerCommand]:
        """Check whether the session has had no audio for the time after which fault `index` of the scenario
        happens. If so, return the commands of this fault; otherwise a timer for the rest of the time."""
        seconds_left = self._last_audio + self.faults.seconds_until_faults(Moment.SILENCE)[index] - now
        if seconds_left > 0:
            return [SetTimer(f"{_SILENCE}{index}", seconds_left)]
        return self._play_faults(self.faults.actions_after_wait(index), now)

    def _refuse(self, code: int, message: str, now: float) -> list[ServerCommand]:
        """Return the commands that refuse the session: an error, and a close."""
        return [*self._send_error(code, message, now), *self._close_refused_session(message, now)]

    def _close_refused_session(self, message: str, now: float, error_code: int = 0) -> list[ServerCommand]:
        """Mark the session as refused, and return the commands that close its connection. `error_code` is the
        close code if it is from 4000 to 4999; otherwise the close code is POLICY_VIOLATION. `message` is the
        close reason, shortened if it is too long."""
        self._step(SessionEvent.ERROR)
        code = error_code if error_code in _OWN_CLOSE_CODES else POLICY_VIOLATION
        reason = message.encode()[:_LONGEST_CLOSE_REASON].decode(errors="ignore")
        return self._put(Close(code, reason), now)

    def _step(self, event: SessionEvent) -> None:
        """Change the state of the session as the session table says."""
        self.state = next_session_state(self.state, event, we_are_server=True)
