"""Says how a session of Motion Server sends motion, errors and messages with faults: what is sent now, and
what waits for its time.

All times `now` are monotonic seconds."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from spatius_sim.model.scenario.scenario import FaultAction, SendError
from spatius_sim.model.scenario.scenario_player import AudioAmount, ConnectionFaults
from spatius_sim.model.server.apply_faults import FaultedMessage, apply_faults
from spatius_sim.model.server.commands import (
    Close,
    Inject,
    Output,
    Publish,
    Send,
    ServerCommand,
    SetTimer,
)
from spatius_sim.model.server.decode_audio_input import OpusCodec
from spatius_sim.model.server.delayed_motion import DelayedMotion
from spatius_sim.model.server.egress_configuration import (
    Room,
)
from spatius_sim.model.server.motion_answers import AnswerFactory
from spatius_sim.model.server.open_requests import OpenRequest, Requests
from spatius_sim.model.server.outbox import Outbox
from spatius_sim.model.server.play_session_in_room import EgressPlayback
from spatius_sim.model.server.response_pace import FAST, Pace
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.keyframes import KEYFRAME_BYTES
from spatius_sim.protocol.messages import (
    ServerError,
)
from spatius_sim.protocol.session_states import SessionState

RESOURCE_EXHAUSTED = 8
"""The code of the ServerError if one of our Limits is exceeded. ASSUMED: the service's limits are not
documented; 8 is gRPC's code."""

POLICY_VIOLATION = 1008
"""The close code after a refused handshake is ASSUMED; SDKs need only that the close comes promptly."""

MOTION_DUE = "made"
"""The name of the timer for the next motion payload."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that one session may hold: `held_bytes` of motion that is not due yet, and `open_requests`,
    whose audio has not ended. ASSUMED: the service's own limits are not documented."""

    held_bytes: int = 16 * 1_048_576
    open_requests: int = 64


@dataclass(slots=True)
class SessionSender:
    """What one connection to Motion Server holds, and how it sends. The methods send nothing themselves: they
    return the commands for the server. The parameters are explained at `ServerSession`."""

    connection_id: str
    new_answer: AnswerFactory
    faults: ConnectionFaults = field(default_factory=ConnectionFaults)
    pace: Pace = FAST
    opus: OpusCodec | None = None
    limits: Limits = field(default_factory=Limits)
    state: SessionState = SessionState.AWAITING_CONFIGURE
    real_rooms: bool = False
    capabilities: tuple[str, ...] = ()
    agora_certificate: str = ""
    room: Room | None = None
    unix_time: float = 0.0
    _egress_playback: EgressPlayback | None = None
    audio_rate: int = 0
    """The rate of the PCM that comes out of the audio, in Hz; 0 before the configuration."""
    _requests: Requests = field(default_factory=Requests)
    _delayed_motion: DelayedMotion = field(default_factory=DelayedMotion)
    _outbox: Outbox = field(default_factory=Outbox)
    _opus_session: bool = False
    _audio_messages: int = 0
    _audio_samples: int = 0
    _last_audio: float = 0.0
    _has_audio_faults: bool = False
    _has_response_faults: bool = False
    _timed_faults_play: bool = False

    def _count_audio(self, request: OpenRequest, sample_count: int, now: float) -> list[ServerCommand]:
        """Count one more audio message of this request, with `sample_count` samples. Return the commands that
        send what the scenario's faults cause after this much audio, of the session or of the request."""
        self._audio_messages += 1
        self._audio_samples += sample_count
        request.message_count += 1
        request.sample_count += sample_count
        actions = self.faults.actions_after_audio(
            AudioAmount(self._audio_samples / self.audio_rate, self._audio_messages),
            request.ordinal,
            AudioAmount(request.sample_count / self.audio_rate, request.message_count),
        )
        return self._play_faults(actions, now, request) if actions else []

    def _schedule_motion(self, request: OpenRequest, payload: bytes, now: float) -> list[ServerCommand]:
        """Return the commands that send this motion payload as a response now, if the pace of responses
        allows that and no earlier payload waits. Otherwise keep the payload until it is due, and return the
        timer for it. If an earlier payload waits, its timer runs already: return an empty list."""
        request.payload_count += 1
        request.keyframe_count += len(payload) // KEYFRAME_BYTES
        # In real time, the audio for this payload would end this many seconds later.
        early_seconds = request.began_at + request.keyframe_count / KEYFRAMES_PER_SECOND - now
        wait_seconds = self.pace.delay_seconds(
            self.faults.seed, self.faults.number, request.number, request.payload_count, early_seconds
        )
        none_waits = self._delayed_motion.next_due_at is None
        if none_waits and not wait_seconds:
            return self._send_response(request, payload, now)
        self._delayed_motion.put(request, payload, now + wait_seconds)
        return [SetTimer(MOTION_DUE, wait_seconds)] if none_waits else []

    def _send_due_motion(self, now: float) -> list[ServerCommand]:
        """Return the commands that send, as responses, the motion payloads whose delay is over, and the timer
        for the next payload that waits. After the last motion of a request, also send its payloads that a
        fault has held back."""
        commands: list[ServerCommand] = []
        for request, payload in self._delayed_motion.take_due(now):
            commands += self._send_response(request, payload, now)
            if request.ended and not request.unmade_count:
                commands += self._send_held_payloads(request, now)
        due_at = self._delayed_motion.next_due_at
        return commands if due_at is None else [*commands, SetTimer(MOTION_DUE, due_at - now)]

    def _send_response(self, request: OpenRequest, payload: bytes, now: float) -> list[ServerCommand]:
        """Return the commands that send this motion payload as the next response to a request, after the
        scenario's faults for this response are applied. If a fault changes the order, hold the payload back;
        it follows after the next response. Return an empty list if the request has failed. (The request's
        `ordinal` counts the requests of all connections; its `number` counts those of this one.)"""
        request.response_count += 1
        if request.failed:
            return []
        if not self._has_response_faults:
            return self._put(self._wrap_motion(payload, request.req_id), now)
        actions = self.faults.actions_at_response(request.response_count, request.ordinal)
        response = apply_faults(
            payload, actions, self.faults, "response", request.number, request.response_count
        )
        commands = self._send_faulted_message(response, request, now)
        if response.reordered:
            request.held_payloads.append(payload)
            return commands
        return commands + self._send_held_payloads(request, now)

    def _send_held_payloads(self, request: OpenRequest, now: float) -> list[ServerCommand]:
        """Return the commands that send those motion payloads of a request that a fault has held back, to
        change the order of the responses. After that none is held back."""
        commands: list[ServerCommand] = []
        for payload in request.held_payloads:
            commands += self._put(self._wrap_motion(payload, request.req_id), now)
        request.held_payloads.clear()
        return commands

    def _wrap_motion(self, raw: bytes, req_id: str) -> Output:
        """Return the output that sends motion: to the relay, or to the room if the session has an egress."""
        return Send(raw, req_id) if self.room is None else Publish(self.room.name, raw, req_id)

    def _play_faults(
        self, actions: Iterable[FaultAction], now: float, request: OpenRequest | None = None
    ) -> list[ServerCommand]:
        """Return the commands of a scenario's fault actions that happen between messages: at this moment the
        session sends no message that they could change. They concern this request. If it is None, they
        concern the session's newest request, if that is still open."""
        newest = self._requests.newest
        if request is None and newest is not None and not newest.ended:
            request = newest
        message = apply_faults(b"", actions, self.faults, "moment", self._audio_messages)
        return self._send_faulted_message(message, request, now)

    def _send_faulted_message(
        self, message: FaultedMessage, request: OpenRequest | None, now: float
    ) -> list[ServerCommand]:
        """Return the commands that send a message to which a scenario's faults were applied: what is left of
        the message, and what the faults added. `request` is the request that the message answers, or None. A
        fault that delays messages, fails the request or stalls the session takes effect here."""
        commands: list[ServerCommand] = [Inject(fault) for fault in message.injected]
        if message.delay:
            self._outbox.hold_until(now + message.delay)
        for output in message.outputs:
            if isinstance(output, SendError):
                commands += self._fail_request(request, output.code, output.message, now)
            elif isinstance(output, Send) and message.is_message and request is not None:
                commands += self._put(self._wrap_motion(output.raw, request.req_id), now)
            else:
                commands += self._put(output, now)
        if message.stalled:
            self._outbox.stall()
        return commands

    def _fail_request(
        self, request: OpenRequest | None, code: int, message: str, now: float
    ) -> list[ServerCommand]:
        """Send an error as the answer to a request, and let the request fail: end it, drop its motion that
        waits, and return the commands that send the error. If the request is None, only send the error, about
        the whole session."""
        if request is None:
            return self._send_error(code, message, now)
        request.fail()
        if self._egress_playback is not None:
            self._egress_playback.playback.end_input(request.req_id)
        self._delayed_motion.forget(request)
        self._requests.end(request, request.state)
        return self._send_error(code, message, now, request.req_id)

    def _close_on_overflow(self, now: float) -> list[ServerCommand]:
        """Send an error instead of all responses that wait, and close the connection, because more bytes wait
        to be sent than the session's limits allow. Drop these bytes, and return the commands."""
        self._delayed_motion.clear()
        self._outbox.clear()
        self._egress_playback = None
        text = f"more than {self.limits.held_bytes} bytes wait to be sent"
        return [
            *self._send_error(RESOURCE_EXHAUSTED, text, now),
            *self._put(Close(POLICY_VIOLATION, text), now),
        ]

    def _send_error(self, code: int, message: str, now: float, req_id: str = "") -> list[ServerCommand]:
        """Return the commands that send a ServerError of the session, or of the request with this req_id."""
        return self._put(Send(encode(ServerError(self.connection_id, req_id, code, message))), now)

    def _put_room_commands(self, commands: list[ServerCommand], now: float) -> list[ServerCommand]:
        """Send what the session's room has to send: return those of its commands that are to be carried out
        now. Messages to the client (Send) go through the outbox first, so that they keep their order among
        the responses and other messages of the session."""
        return [
            due
            for command in commands
            for due in (self._put(command, now) if isinstance(command, Send) else [command])
        ]

    def _put(self, output: Output, now: float) -> list[ServerCommand]:
        """Add an output to the outbox, and return the commands for now."""
        return self._outbox.put(output, now)
