"""Turns messages into bytes and back, with the generated protobuf module."""

from typing import assert_never

from google.protobuf.message import DecodeError

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import decode_keyframes, encode_keyframes
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Interrupt,
    LiveKitEgress,
    Message,
    MotionResponse,
    Pause,
    PlaybackNews,
    Resume,
    ServerError,
    UnknownMessage,
)

MAX_MESSAGE_BYTES = 1_048_576
"""The largest message that the Python SDK takes; our server takes no larger one (protocol.md section 2)."""

MAX_AUDIO_MESSAGE_BYTES = 16 * 1_048_576
"""The largest message of audio that our server takes: some relays send a whole clip in one message. ASSUMED:
nobody knows how much the service takes."""

_BEGINS_AS_AUDIO = b"\x08\x03"
"""The first bytes of an envelope of audio: field 1 (`type`), with the value 3 (audio)."""

_LIVEKIT_SCALARS = (
    "url",
    "api_key",
    "api_secret",
    "api_token",
    "room_name",
    "publisher_id",
    "idle_timeout",
)
_AGORA_SCALARS = ("channel_name", "token", "uid", "publisher_id")


def encode(message: Message) -> bytes:
    """Encode a message as the bytes of one envelope. Raises ValueError for keyframes of another shape than
    (n, 120)."""
    envelope = wire.Message()
    match message:
        case ConfigureSession():
            envelope.type = wire.CLIENT_CONFIGURE_SESSION
            _write_configure(envelope.client_configure_session, message)
        case ConfirmSession(connection_id, capabilities):
            envelope.type = wire.SERVER_CONFIRM_SESSION
            envelope.server_confirm_session.connection_id = connection_id
            envelope.server_confirm_session.capabilities.extend(capabilities)
        case AudioInput():
            envelope.type = wire.CLIENT_AUDIO_INPUT
            _write_audio(envelope.client_audio_input, message)
        case ServerError():
            envelope.type = wire.SERVER_ERROR
            error = envelope.server_error
            error.connection_id, error.req_id = message.connection_id, message.req_id
            error.code, error.message = message.code, message.message
        case MotionResponse():
            envelope.type = wire.SERVER_RESPONSE_ANIMATION
            motion = envelope.server_response_animation
            motion.connection_id, motion.req_id = message.connection_id, message.req_id
            motion.end = message.end
            motion.animation = encode_keyframes(message.keyframes)
        case Interrupt(req_id):
            envelope.type = wire.CLIENT_INTERRUPT
            envelope.client_interrupt.req_id = req_id
        case Pause(req_id):
            envelope.type = wire.CLIENT_PAUSE
            envelope.client_pause.req_id = req_id
        case Resume(req_id):
            envelope.type = wire.CLIENT_RESUME
            envelope.client_resume.req_id = req_id
        case PlaybackNews():
            envelope.type = wire.SERVER_PLAYBACK_STATE
            news = envelope.server_playback_state
            news.connection_id, news.req_id = message.connection_id, message.req_id
            news.state = message.phase  # type: ignore[assignment]
            news.played_ms, news.reason = message.played_ms, message.reason
        case UnknownMessage(number):
            envelope.type = number  # type: ignore[assignment]
        case _:
            assert_never(message)
    return envelope.SerializeToString()


def decode(raw: bytes) -> Message:
    """Return the message in these bytes, which are one envelope of the protocol. The envelope's `type`
    decides the kind of message; missing fields get their proto3 defaults, and unknown fields are ignored.

    Raises RemoteProtocolError for bytes that no protobuf parser accepts, and for a message that is too large.
    A large message that does not begin as audio is refused before it is parsed: parsing may take a hundred
    times its size in memory."""
    max_bytes = MAX_AUDIO_MESSAGE_BYTES if raw.startswith(_BEGINS_AS_AUDIO) else MAX_MESSAGE_BYTES
    if len(raw) > max_bytes:
        raise RemoteProtocolError(f"the message has {len(raw)} bytes, more than {max_bytes}")
    try:
        envelope = wire.Message.FromString(raw)
    except DecodeError as error:
        raise RemoteProtocolError(f"the message is not decodable: {error}") from error
    if len(raw) > MAX_MESSAGE_BYTES and envelope.type != wire.CLIENT_AUDIO_INPUT:
        raise RemoteProtocolError(f"the message has {len(raw)} bytes, more than {MAX_MESSAGE_BYTES}")
    # Of a field of bytes that was sent in pieces only the last piece is kept: then some bytes are missing.
    if envelope.HasField("server_response_animation") and envelope.ByteSize() != len(raw):
        _join_pieces_of_motion(raw, envelope)
    return _read_envelope(envelope)


def _join_pieces_of_motion(raw: bytes, envelope: wire.Message) -> None:
    """Join all pieces of the motion in `raw`, the bytes of `envelope`, and put the whole into its response:
    the field may be sent several times, and then its pieces are one message, as protobuf's documentation says
    (protobuf.dev/programming-guides/encoding). Raises RemoteProtocolError if a piece is not decodable."""
    try:
        whole = wire.MessageInPieces.FromString(raw).server_response_animation
    except DecodeError as error:
        raise RemoteProtocolError(f"the motion is not decodable: {error}") from error
    envelope.server_response_animation.animation = whole.animation.SerializeToString()


class MessageReader:
    """Decodes the messages of one peer as `decode` does, but faster. Nearly all messages are audio, and the
    bytes before the audio are the same in each: so these bytes are parsed only once."""

    __slots__ = ("_audio_req_id", "_bytes_before_audio", "_message_length")

    def __init__(self) -> None:
        """Begin to decode messages; no message of audio is known yet."""
        self._bytes_before_audio, self._message_length, self._audio_req_id = b"", -1, ""

    def read(self, raw: bytes) -> Message:
        """Return the message in these bytes; raises RemoteProtocolError as `decode` does. To save time, this
        reader remembers the bytes before the audio of the latest audio message. A message that has the same
        length and begins with them is read without parsing: it has the same req_id."""
        if len(raw) == self._message_length and raw.startswith(self._bytes_before_audio):
            return AudioInput(self._audio_req_id, raw[len(self._bytes_before_audio) :])
        message = decode(raw)
        if isinstance(message, AudioInput) and message.audio:
            without_other_fields = encode(AudioInput(message.req_id, message.audio))
            # If equal, the audio comes last, and only the type and a req_id come before it.
            if raw == without_other_fields:
                self._bytes_before_audio, self._message_length = raw[: -len(message.audio)], len(raw)
                self._audio_req_id = message.req_id
        return message


def _read_envelope(envelope: wire.Message) -> Message:
    """Return the message of the kind that the envelope's type names."""
    kind = envelope.type
    if (
        kind == wire.CLIENT_AUDIO_INPUT
    ):  # Nearly all messages of a session are audio, so this is looked at first.
        return _read_audio(envelope.client_audio_input)
    match kind:
        case wire.CLIENT_CONFIGURE_SESSION:
            return _read_configure(envelope.client_configure_session)
        case wire.SERVER_CONFIRM_SESSION:
            confirmation = envelope.server_confirm_session
            return ConfirmSession(confirmation.connection_id, tuple(confirmation.capabilities))
        case wire.SERVER_ERROR:
            error = envelope.server_error
            return ServerError(error.connection_id, error.req_id, error.code, error.message)
        case wire.SERVER_RESPONSE_ANIMATION:
            motion = envelope.server_response_animation
            keyframes, fault = decode_keyframes(motion.animation)
            return MotionResponse(motion.connection_id, motion.req_id, motion.end, keyframes, fault)
        case wire.CLIENT_INTERRUPT:
            return Interrupt(envelope.client_interrupt.req_id)
        case wire.CLIENT_PAUSE:
            return Pause(envelope.client_pause.req_id)
        case wire.CLIENT_RESUME:
            return Resume(envelope.client_resume.req_id)
        case wire.SERVER_PLAYBACK_STATE:
            news = envelope.server_playback_state
            return PlaybackNews(news.connection_id, news.req_id, int(news.state), news.played_ms, news.reason)
        case unknown:
            return UnknownMessage(int(unknown))


def _read_audio(source: wire.ClientAudioInput) -> AudioInput:
    """Return the audio message that a protobuf object holds, with its trace context if it has one."""
    if not source.HasField("trace_context"):
        return AudioInput(source.req_id, source.audio, source.end)
    trace = source.trace_context
    return AudioInput(source.req_id, source.audio, source.end, trace.traceparent, trace.tracestate)


def _write_audio(target: wire.ClientAudioInput, message: AudioInput) -> None:
    """Write the fields of an audio message into the protobuf object `target`. The trace context is written
    only if one of its two texts is not empty."""
    target.req_id, target.end, target.audio = message.req_id, message.end, message.audio
    if message.traceparent or message.tracestate:
        target.trace_context.traceparent = message.traceparent
        target.trace_context.tracestate = message.tracestate


def _write_configure(target: wire.ClientConfigureSession, message: ConfigureSession) -> None:
    """Write a session's configuration into the protobuf object `target`; an egress is written only if it is
    configured."""
    target.sample_rate, target.bitrate = message.sample_rate, message.bitrate
    target.audio_format = message.audio_format  # type: ignore[assignment]
    target.transport_compression = message.transport_compression  # type: ignore[assignment]
    target.egress_type = message.egress_type  # type: ignore[assignment]
    target.extra_params.update(message.extra_params)
    if message.livekit_egress is not None:
        for name in _LIVEKIT_SCALARS:
            setattr(target.livekit_egress, name, getattr(message.livekit_egress, name))
        target.livekit_egress.extra_attributes.update(message.livekit_egress.extra_attributes)
    if message.agora_egress is not None:
        for name in _AGORA_SCALARS:
            setattr(target.agora_egress, name, getattr(message.agora_egress, name))


def _read_configure(source: wire.ClientConfigureSession) -> ConfigureSession:
    """Return the session's configuration that a protobuf object holds. Its maps become sorted tuples; an
    egress that is not configured is None."""
    livekit_egress, agora_egress = None, None
    if source.HasField("livekit_egress"):
        room = source.livekit_egress
        livekit_egress = LiveKitEgress(
            extra_attributes=tuple(sorted(room.extra_attributes.items())),
            **{name: getattr(room, name) for name in _LIVEKIT_SCALARS},
        )
    if source.HasField("agora_egress"):
        agora_egress = AgoraEgress(**{name: getattr(source.agora_egress, name) for name in _AGORA_SCALARS})
    return ConfigureSession(
        sample_rate=source.sample_rate,
        bitrate=source.bitrate,
        audio_format=int(source.audio_format),
        transport_compression=int(source.transport_compression),
        egress_type=int(source.egress_type),
        livekit_egress=livekit_egress,
        agora_egress=agora_egress,
        extra_params=tuple(sorted(source.extra_params.items())),
    )
