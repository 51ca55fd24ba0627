"""The brain of one connection to Motion Server: frames and timers in, commands out.

Nothing that its peer sends raises: a bad message is answered with a ServerError. Times are monotonic
seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from spatius_sim.model.scenario.player import ConnectionFaults, Spoken
from spatius_sim.model.scenario.scenario import FaultAction, Moment, SendError
from spatius_sim.model.server.answers import AnswerFactory
from spatius_sim.model.server.apply_faults import FaultedMessage, apply_faults
from spatius_sim.model.server.audio_input import AudioIn, OggOpusIn, OpusCodec, PcmIn
from spatius_sim.model.server.commands import (
    Close,
    Inject,
    Join,
    Output,
    Publish,
    Send,
    ServerCommand,
    SetTimer,
)
from spatius_sim.model.server.egress import INVALID_ARGUMENT, EgressFault, Room, read_egress
from spatius_sim.model.server.outbox import SEND_TIMER, Outbox
from spatius_sim.model.server.pace import FAST, Pace
from spatius_sim.model.server.pending import PendingMotion
from spatius_sim.model.server.requests import OpenRequest, Requests
from spatius_sim.protocol.audio import (
    BYTES_PER_SAMPLE,
    KEYFRAMES_PER_SECOND,
    OPUS_SAMPLE_RATES,
    PCM_SAMPLE_RATES,
)
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import KEYFRAME_BYTES
from spatius_sim.protocol.messages import (
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Interrupt,
    Message,
    ServerError,
)
from spatius_sim.protocol.ogg import OPUS_HZ
from spatius_sim.protocol.session_table import SessionEvent, SessionState, next_session_state
from spatius_sim.protocol.turn_table import TurnEvent, TurnState, next_turn_state
from spatius_sim.trace.events import Undecodable

RESOURCE_EXHAUSTED = 8
"""The code past a bound of ours. ASSUMED: the service's bounds are not documented; 8 is gRPC's code."""

POLICY_VIOLATION = 1008
"""The close code after a refused handshake is ASSUMED; that it comes promptly is what SDKs need."""

IDLE_CLOSE = 1000
"""The close code after an idle time-out is ASSUMED."""

# Named here, for every message asks for them, and a member of an enumeration takes longer to find.
_IN_SESSION, _UPLOADING = SessionState.OPEN, TurnState.UPLOADING
_IDLE, _MADE = "idle", "made"
_OPEN, _SILENCE = f"{Moment.OPEN}-", f"{Moment.SILENCE}-"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may hold (ASSUMED, the service's own bounds are not documented): `held_bytes` of
    motion that is not due yet, `open_requests` that were not sent to their end."""

    held_bytes: int = 16 * 1_048_576
    open_requests: int = 64


@dataclass(slots=True)
class ServerSession:
    """One connection. `opus` decodes Ogg Opus, None where no codec is installed."""

    connection_id: str
    new_answer: AnswerFactory
    faults: ConnectionFaults = field(default_factory=ConnectionFaults)
    pace: Pace = FAST
    opus: OpusCodec | None = None
    limits: Limits = field(default_factory=Limits)
    state: SessionState = SessionState.AWAITING_CONFIGURE
    room: Room | None = None
    _audio_rate: int = 0
    _requests: Requests = field(default_factory=Requests)
    _making: PendingMotion = field(default_factory=PendingMotion)
    _outbox: Outbox = field(default_factory=Outbox)
    _opus_session: bool = False
    _audio_messages: int = 0
    _audio_samples: int = 0
    _last_audio: float = 0.0
    _faulty_audio: bool = False
    _faulty_responses: bool = False
    _timers_hold: bool = False

    def receive(self, value: Message | Undecodable, now: float = 0.0) -> list[ServerCommand]:
        """What to do about a frame from the peer."""
        if self.state is _IN_SESSION:
            match value:
                case AudioInput():
                    return self._audio(value, now)
                case Interrupt(req_id):
                    return self._interrupt(req_id, now)
                case Undecodable(reason):
                    return self._error(INVALID_ARGUMENT, reason, now)
                case _:
                    return self._error(INVALID_ARGUMENT, "unexpected message type", now)
        if self.state is SessionState.AWAITING_CONFIGURE:
            return self._configure(value, now)
        return []

    def timer(self, name: str, now: float) -> list[ServerCommand]:
        """What to do now that a timer has run out."""
        if name == SEND_TIMER:
            return self._outbox.due(now)
        if self.state is not SessionState.OPEN:
            return []
        if name == _MADE:
            return self._made(now)
        if name == _IDLE:
            return self._idle(now)
        if not self._timers_hold:
            return []
        if name.startswith(_OPEN):
            return self._happen(self.faults.elapsed(int(name.removeprefix(_OPEN))), now)
        return self._silence(int(name.removeprefix(_SILENCE)), now)

    def meet(self, faults: ConnectionFaults) -> None:
        """These faults from here on, and none that was to come. What waits for a time is for connections
        that open later."""
        self.faults = faults
        self._timers_hold = False
        self._faulty_audio = faults.concerns(Moment.AUDIO)
        self._faulty_responses = faults.concerns(Moment.RESPONSE)
        self._requests.forget_ordinals()

    def closed(self) -> None:
        """The connection is gone."""
        self.state = SessionState.CLOSED
        self._requests.clear()
        self._making.clear()
        self._outbox.clear()

    def _configure(self, value: Message | Undecodable, now: float) -> list[ServerCommand]:
        match value:
            case Undecodable(reason):
                return self._refuse(0, f"failed to unmarshal initial message: {reason}", now)
            case ConfigureSession():
                self._step(SessionEvent.CONFIGURE)
            case _:
                return self._refuse(0, "expected ClientConfigureSession message", now)
        unfit = self._unfit_audio(value)
        if unfit is not None:
            return self._refuse(*unfit, now)
        room = read_egress(value)
        if isinstance(room, EgressFault):
            return self._refuse(room.code, room.message, now)
        self._opus_session = value.audio_format == AudioFormat.OGG_OPUS
        self._audio_rate = OPUS_HZ if self._opus_session else value.sample_rate
        self.room = room
        return self._confirm(now)

    def _unfit_audio(self, asked: ConfigureSession) -> tuple[int, str] | None:
        match asked.audio_format:
            case AudioFormat.PCM_S16LE:
                rates: tuple[int, ...] = PCM_SAMPLE_RATES
            case AudioFormat.OGG_OPUS if self.opus is not None:
                rates = OPUS_SAMPLE_RATES
            case AudioFormat.OGG_OPUS:
                text = "Ogg Opus is not available here: pip install 'spatius-sim[opus]'"
                return (INVALID_ARGUMENT, f"unsupported audio format: {text}")
            case unknown:
                return (INVALID_ARGUMENT, f"unsupported audio format: {unknown}")
        if asked.sample_rate not in rates:
            return (0, f"unsupported sample rate: {asked.sample_rate}")
        return None

    def _confirm(self, now: float) -> list[ServerCommand]:
        raw = encode(ConfirmSession(self.connection_id))
        spoiled = apply_faults(raw, self.faults.at(Moment.CONFIGURE), self.faults, "configure")
        commands = self._leave(spoiled, None, now)
        if spoiled.error is not None:
            return commands + self._turn_away(spoiled.error.message, now)
        # Whatever the peer makes of a spoilt confirmation: for us the session is open.
        self._step(SessionEvent.CONFIRM)
        self._last_audio = now
        self.meet(self.faults)
        self._timers_hold = True
        for moment in (Moment.OPEN, Moment.SILENCE):
            for index, seconds in self.faults.timed(moment).items():
                commands.append(SetTimer(f"{moment}-{index}", seconds))
        if self.room is not None:
            commands.append(Join(self.room.name, self.room.publisher))
            if self.room.idle_timeout:
                commands.append(SetTimer(_IDLE, self.room.idle_timeout))
        return commands

    def _audio(self, audio: AudioInput, now: float) -> list[ServerCommand]:
        self._last_audio = now
        request = self._requests.get(audio.req_id)
        if request is None:
            complaint = self._requests.unfit(audio.req_id, self.limits.open_requests)
            if complaint:
                return self._error(RESOURCE_EXHAUSTED, complaint, now, audio.req_id[:256])
            answer = self.new_answer(self.connection_id, audio.req_id, self._audio_rate)
            ordinal = next(self.faults.requests)
            request = self._requests.add(audio.req_id, answer, self._new_audio_in(), ordinal, now)
        elif request.failed:
            return []
        # Of every message but the last the table says the same, and asking it costs more than the rest.
        if audio.end or request.state is not _UPLOADING:
            event = TurnEvent.AUDIO_END if audio.end else TurnEvent.AUDIO
            after = next_turn_state(request.state, event)
            if after is None:
                # What the service says to audio under an ended req_id is not known: ASSUMED.
                text = f"request is already {request.state.value}"
                return self._error(INVALID_ARGUMENT, text, now, audio.req_id)
            request.state = after
        commands: list[ServerCommand] = []
        if self.room is not None:
            commands += self._put(Publish(self.room.name, encode(audio), audio.req_id), now)
        try:
            pcm = request.audio.feed(audio.audio)
            if audio.end:
                pcm += request.audio.finish()
        except RemoteProtocolError as damaged:
            return commands + self._fail(request, INVALID_ARGUMENT, str(damaged), now)
        for payload in request.answer.feed(pcm):
            commands += self._make(request, payload, now)
        if self._faulty_audio:
            commands += self._audio_came(request, len(pcm) // BYTES_PER_SAMPLE, now)
        if audio.end and not request.failed:
            for payload in request.answer.finish():
                commands += self._make(request, payload, now)
            self._requests.end(request, TurnState.ANSWERED)
            if not request.unmade:
                commands += self._flush(request, now)
        if self._making.held_bytes + self._outbox.held_bytes > self.limits.held_bytes:
            commands += self._overflow(now)
        return commands

    def _new_audio_in(self) -> AudioIn:
        return OggOpusIn(self.opus) if self._opus_session and self.opus is not None else PcmIn()

    def _audio_came(self, request: OpenRequest, samples: int, now: float) -> list[ServerCommand]:
        self._audio_messages += 1
        self._audio_samples += samples
        request.messages += 1
        request.samples += samples
        happening = self.faults.audio(
            Spoken(self._audio_samples / self._audio_rate, self._audio_messages),
            request.ordinal,
            Spoken(request.samples / self._audio_rate, request.messages),
        )
        return self._happen(happening, now, request) if happening else []

    def _make(self, request: OpenRequest, payload: bytes, now: float) -> list[ServerCommand]:
        """The payload is sent when the pace has it made."""
        request.payloads += 1
        request.keyframes += len(payload) // KEYFRAME_BYTES
        early = request.began + request.keyframes / KEYFRAMES_PER_SECOND - now
        drawn_for = self.faults.seed, self.faults.number, request.number, request.payloads
        late = self.pace.delay(*drawn_for, early)
        first = self._making.next_due is None
        if first and not late:
            return self._respond(request, payload, now)
        self._making.put(request, payload, now + late)
        return [SetTimer(_MADE, late)] if first else []

    def _made(self, now: float) -> list[ServerCommand]:
        commands: list[ServerCommand] = []
        for request, payload in self._making.made(now):
            commands += self._respond(request, payload, now)
            if request.ended and not request.unmade:
                commands += self._flush(request, now)
        due = self._making.next_due
        return commands if due is None else [*commands, SetTimer(_MADE, due - now)]

    def _respond(self, request: OpenRequest, payload: bytes, now: float) -> list[ServerCommand]:
        request.responses += 1
        if request.failed:
            return []
        if not self._faulty_responses:
            return self._put(self._motion(payload, request.req_id), now)
        steps = self.faults.response(request.responses, request.ordinal)
        spoiled = apply_faults(payload, steps, self.faults, "response", request.number, request.responses)
        commands = self._leave(spoiled, request, now)
        if spoiled.reordered:
            request.held.append(payload)
            return commands
        return commands + self._flush(request, now)

    def _flush(self, request: OpenRequest, now: float) -> list[ServerCommand]:
        """A response that was held back leaves after the one that it was to follow."""
        commands: list[ServerCommand] = []
        for payload in request.held:
            commands += self._put(self._motion(payload, request.req_id), now)
        request.held.clear()
        return commands

    def _motion(self, raw: bytes, req_id: str) -> Output:
        return Send(raw, req_id) if self.room is None else Publish(self.room.name, raw, req_id)

    def _interrupt(self, req_id: str, now: float) -> list[ServerCommand]:
        request = self._requests.get(req_id)
        if request is not None:
            self._requests.end(request, TurnState.INTERRUPTED)
            request.held.clear()
            self._making.forget(request)
            self._outbox.forget(req_id)
        return self._happen(self.faults.at(Moment.INTERRUPT), now)

    def _happen(
        self, steps: Iterable[FaultAction], now: float, request: OpenRequest | None = None
    ) -> list[ServerCommand]:
        """Faults at a moment at which nothing was due to be sent."""
        newest = self._requests.newest
        if request is None and newest is not None and not newest.ended:
            request = newest
        spoiled = apply_faults(b"", steps, self.faults, "moment", self._audio_messages)
        return self._leave(spoiled, request, now)

    def _leave(self, spoiled: FaultedMessage, request: OpenRequest | None, now: float) -> list[ServerCommand]:
        """Send what became of a message, and what else happens with it."""
        commands: list[ServerCommand] = [Inject(name) for name in spoiled.told]
        if spoiled.delay:
            self._outbox.hold(now + spoiled.delay)
        for output in spoiled.outputs:
            if isinstance(output, SendError):
                commands += self._fail(request, output.code, output.message, now)
            elif isinstance(output, Send) and spoiled.is_message and request is not None:
                commands += self._put(self._motion(output.raw, request.req_id), now)
            else:
                commands += self._put(output, now)
        if spoiled.stalled:
            self._outbox.stall()
        return commands

    def _idle(self, now: float) -> list[ServerCommand]:
        assert self.room is not None
        left = self._last_audio + self.room.idle_timeout - now
        if left > 0:
            return [SetTimer(_IDLE, left)]
        text = f"no audio input for {self.room.idle_timeout}s"
        return [*self._error(0, text, now), *self._put(Close(IDLE_CLOSE, text), now)]

    def _silence(self, index: int, now: float) -> list[ServerCommand]:
        left = self._last_audio + self.faults.timed(Moment.SILENCE)[index] - now
        if left > 0:
            return [SetTimer(f"{_SILENCE}{index}", left)]
        return self._happen(self.faults.elapsed(index), now)

    def _fail(self, request: OpenRequest | None, code: int, message: str, now: float) -> list[ServerCommand]:
        """An error that ends this request, where there is one."""
        if request is None:
            return self._error(code, message, now)
        request.fail()
        self._making.forget(request)
        self._requests.end(request, request.state)
        return self._error(code, message, now, request.req_id)

    def _overflow(self, now: float) -> list[ServerCommand]:
        self._making.clear()
        self._outbox.clear()
        text = f"more than {self.limits.held_bytes} bytes wait to be sent"
        return [
            *self._error(RESOURCE_EXHAUSTED, text, now),
            *self._put(Close(POLICY_VIOLATION, text), now),
        ]

    def _refuse(self, code: int, message: str, now: float) -> list[ServerCommand]:
        return [*self._error(code, message, now), *self._turn_away(message, now)]

    def _turn_away(self, message: str, now: float) -> list[ServerCommand]:
        """After its error at the handshake, the connection is closed."""
        self._step(SessionEvent.ERROR)
        close = Close(POLICY_VIOLATION, message.encode()[:100].decode(errors="ignore"))
        return self._put(close, now)

    def _error(self, code: int, message: str, now: float, req_id: str = "") -> list[ServerCommand]:
        return self._put(Send(encode(ServerError(self.connection_id, req_id, code, message))), now)

    def _put(self, output: Output, now: float) -> list[ServerCommand]:
        return self._outbox.put(output, now)

    def _step(self, event: SessionEvent) -> None:
        self.state = next_session_state(self.state, event, we_are_server=True)
