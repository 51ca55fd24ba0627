"""Messages survive the codec, foreign bytes are taken as the published SDK writes them, junk is refused."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spatius_sim.protocol.codec import (
    MAX_AUDIO_MESSAGE_BYTES,
    MAX_MESSAGE_BYTES,
    MessageReader,
    decode,
    encode,
)
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.keyframes import WIDTH, Keyframes, encode_keyframes
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioFormat,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    Message,
    MotionResponse,
    Pause,
    PlaybackNews,
    PlaybackPhase,
    Resume,
    ServerError,
    UnknownMessage,
)
from spatius_sim.tests.protocol.handmade import UNKNOWN_FIELDS, chunk, number

KNOWN_TYPES = {1, 2, 3, 4, 5, 7, 8, 9, 10}

int32s = st.integers(-(2**31), 2**31 - 1)
texts = st.text(max_size=40)
mappings = st.dictionaries(texts, texts, max_size=3).map(lambda pairs: tuple(sorted(pairs.items())))
all_keyframes: st.SearchStrategy[Keyframes] = st.integers(0, 3).flatmap(
    lambda count: st.binary(min_size=count * WIDTH * 4, max_size=count * WIDTH * 4).map(
        lambda bits: np.frombuffer(bits, np.float32).reshape(-1, WIDTH)
    )
)
livekit_rooms = st.builds(
    LiveKitEgress,
    url=texts,
    api_key=texts,
    api_secret=texts,
    api_token=texts,
    room_name=texts,
    publisher_id=texts,
    extra_attributes=mappings,
    idle_timeout=int32s,
)
agora_channels = st.builds(
    AgoraEgress, channel_name=texts, token=texts, uid=st.integers(0, 2**32 - 1), publisher_id=texts
)
configurations = st.builds(
    ConfigureSession,
    sample_rate=int32s,
    bitrate=int32s,
    audio_format=int32s,
    transport_compression=int32s,
    egress_type=int32s,
    livekit_egress=st.none() | livekit_rooms,
    agora_egress=st.none() | agora_channels,
    extra_params=mappings,
)
confirmations = st.builds(ConfirmSession, texts, st.lists(texts, max_size=3).map(tuple))
audio_inputs = st.builds(AudioInput, texts, st.binary(), st.booleans(), texts, texts)
server_errors = st.builds(ServerError, texts, texts, int32s, texts)
motion_responses = st.builds(MotionResponse, texts, texts, st.booleans(), all_keyframes)
interrupts = st.builds(Interrupt, texts) | st.builds(Pause, texts) | st.builds(Resume, texts)
playback_news = st.builds(PlaybackNews, texts, texts, int32s, st.integers(-(2**63), 2**63 - 1), texts)
unknown_messages = st.builds(UnknownMessage, int32s.filter(lambda number: number not in KNOWN_TYPES))

messages: st.SearchStrategy[Message] = st.one_of(
    configurations,
    confirmations,
    audio_inputs,
    server_errors,
    motion_responses,
    interrupts,
    playback_news,
    unknown_messages,
)

REQ_ID = "20251223042742_Oja7E-8NzYGi"
STILL = np.zeros((2, WIDTH), np.float32)

ON_THE_WIRE: dict[str, tuple[Message, bytes]] = {
    "configure": (ConfigureSession(16000), b"\x08\x01" + b"\x12\x03\x08\x80\x7d"),
    "confirm": (ConfirmSession("c"), b"\x08\x02" + b"\x1a\x03\x0a\x01c"),
    "audio": (AudioInput("r", b"pcm", True), b"\x08\x03" + b"\x22\x0a\x0a\x01r\x10\x01\x1a\x03pcm"),
    "audio with a trace context": (
        AudioInput("r", b"pcm", traceparent="p", tracestate="s"),
        number(1, 3) + chunk(4, chunk(1, b"r"), chunk(3, b"pcm"), chunk(4, chunk(1, b"p"), chunk(2, b"s"))),
    ),
    "error": (ServerError("c", "r", 3, "m"), b"\x08\x04" + b"\x2a\x0b\x0a\x01c\x12\x01r\x18\x03\x22\x01m"),
    "motion": (
        MotionResponse("c", "r", True, STILL),
        number(1, 5)
        + chunk(6, chunk(1, b"c"), chunk(2, b"r"), number(3, 1), chunk(4, encode_keyframes(STILL))),
    ),
    "interrupt": (Interrupt("r"), b"\x08\x07" + b"\x42\x03\x0a\x01r"),
    "confirm with capabilities": (
        ConfirmSession("c", ("a", "b")),
        number(1, 2) + chunk(3, chunk(1, b"c"), chunk(2, b"a"), chunk(2, b"b")),
    ),
    "pause": (Pause("r"), number(1, 8) + chunk(9, chunk(1, b"r"))),
    "resume": (Resume("r"), number(1, 9) + chunk(10, chunk(1, b"r"))),
    "playback": (
        PlaybackNews("c", "r", PlaybackPhase.INTERRUPTED, 1200, "explicit"),
        number(1, 10)
        + chunk(11, chunk(1, b"c"), chunk(2, b"r"), number(3, 4), number(4, 1200), chunk(5, b"explicit")),
    ),
    "opus into LiveKit": (
        ConfigureSession(
            sample_rate=48000,
            bitrate=32000,
            audio_format=AudioFormat.OGG_OPUS,
            egress_type=EgressType.LIVEKIT,
            livekit_egress=LiveKitEgress(
                url="wss://lk",
                api_key="key",
                api_secret="secret",
                api_token="token",
                room_name="room",
                publisher_id="me",
                extra_attributes=(("a", "b"),),
                idle_timeout=60,
            ),
            extra_params=(("p", "q"),),
        ),
        number(1, 1)
        + chunk(
            2,
            number(1, 48000),
            number(2, 32000),
            number(3, 1),
            number(5, 1),
            chunk(
                6,
                chunk(1, b"wss://lk"),
                chunk(2, b"key"),
                chunk(3, b"secret"),
                chunk(4, b"room"),
                chunk(5, b"me"),
                chunk(6, chunk(1, b"a"), chunk(2, b"b")),
                number(7, 60),
                chunk(8, b"token"),
            ),
            chunk(8, chunk(1, b"p"), chunk(2, b"q")),
        ),
    ),
    "PCM into Agora": (
        ConfigureSession(
            sample_rate=24000,
            transport_compression=9,
            egress_type=EgressType.AGORA,
            agora_egress=AgoraEgress(channel_name="room", token="token", uid=2**32 - 1, publisher_id="me"),
        ),
        number(1, 1)
        + chunk(
            2,
            number(1, 24000),
            number(4, 9),
            number(5, 2),
            chunk(7, chunk(1, b"room"), chunk(2, b"token"), number(3, 2**32 - 1), chunk(4, b"me")),
        ),
    ),
}

of_each_wire_form = pytest.mark.parametrize(
    ("message", "raw"), list(ON_THE_WIRE.values()), ids=list(ON_THE_WIRE)
)


def of_size(size: int) -> bytes:
    """A message of exactly that many bytes that is not audio."""
    body = chunk(1, bytes(size - 2 - 4 - 4))
    raw = number(1, 2) + chunk(3, body)
    assert len(raw) == size
    return raw


@settings(deadline=None, max_examples=400)
@given(messages)
def test_decoding_undoes_encoding(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4028235e38])
def test_motion_keeps_every_float(value: float) -> None:
    keyframes = np.full((1, WIDTH), value, np.float32)
    motion = decode(encode(MotionResponse("c", "r", False, keyframes)))
    assert isinstance(motion, MotionResponse)
    assert motion.keyframes.tobytes() == keyframes.tobytes()


@of_each_wire_form
def test_a_message_is_written_with_the_sdk_s_numbers(message: Message, raw: bytes) -> None:
    assert encode(message) == raw


@of_each_wire_form
def test_a_message_is_read_by_the_sdk_s_numbers(message: Message, raw: bytes) -> None:
    assert decode(raw) == message


@settings(deadline=None)
@given(message=messages, extra=st.sampled_from(sorted(UNKNOWN_FIELDS.values())))
def test_an_unknown_field_changes_nothing(message: Message, extra: bytes) -> None:
    raw = encode(message) + extra
    assert decode(raw) == message


@pytest.mark.parametrize("extra", UNKNOWN_FIELDS.values(), ids=UNKNOWN_FIELDS)
def test_an_unknown_field_inside_a_message_changes_nothing(extra: bytes) -> None:
    assert decode(number(1, 2) + chunk(3, extra, chunk(1, b"c"))) == ConfirmSession("c")


def test_an_empty_room_is_still_a_room() -> None:
    configured = ConfigureSession(16000, livekit_egress=LiveKitEgress(), agora_egress=AgoraEgress())
    assert decode(encode(configured)) == configured


@pytest.mark.parametrize("unnamed", [0, 6, 11, 2**31 - 1])
def test_an_unnamed_type_is_an_unknown_message(unnamed: int) -> None:
    assert decode(number(1, unnamed) + chunk(4, chunk(1, b"r"))) == UnknownMessage(unnamed)


def test_no_bytes_are_a_message_of_type_0() -> None:
    assert decode(b"") == UnknownMessage(0)


def test_the_type_and_not_the_content_says_which_message_it_is() -> None:
    assert decode(number(1, 2) + chunk(8, chunk(1, b"r"))) == ConfirmSession("")


@pytest.mark.parametrize(
    ("type_number", "message"),
    [
        (1, ConfigureSession(0)),
        (2, ConfirmSession("")),
        (3, AudioInput("")),
        (4, ServerError()),
        (5, MotionResponse("", "", False, STILL[:0])),
        (7, Interrupt("")),
    ],
)
def test_missing_content_means_defaults(type_number: int, message: Message) -> None:
    assert decode(number(1, type_number)) == message


def test_the_fields_of_a_message_may_come_in_any_order() -> None:
    assert decode(chunk(8, chunk(1, b"r")) + number(1, 7)) == Interrupt("r")


def _motion_in_pieces(*pieces: bytes) -> bytes:
    """A response whose motion is sent as one field of the response for each piece, in two responses."""
    head = encode(MotionResponse("connection", "request", True, np.zeros((0, WIDTH), np.float32)))
    fields = [chunk(6, chunk(4, piece)) for piece in pieces]
    return head + b"".join(fields)


def test_motion_in_pieces_is_joined() -> None:
    first, second = np.full((2, WIDTH), 1.0, np.float32), np.full((3, WIDTH), 2.0, np.float32)
    raw = _motion_in_pieces(encode_keyframes(first), encode_keyframes(second))
    decoded = decode(raw)
    assert isinstance(decoded, MotionResponse)
    assert (decoded.req_id, decoded.end) == ("request", True)
    np.testing.assert_array_equal(decoded.keyframes, np.concatenate([first, second]))


def test_a_damaged_piece_of_motion_is_the_peer_s_fault() -> None:
    keyframes = encode_keyframes(np.zeros((2, WIDTH), np.float32))
    with pytest.raises(RemoteProtocolError, match="the motion is not decodable"):
        decode(_motion_in_pieces(keyframes[:-1], keyframes))


def test_an_irregular_keyframe_is_named_in_the_motion() -> None:
    motion = decode(number(1, 5) + chunk(6, chunk(2, b"r"), chunk(4, chunk(1))))
    assert isinstance(motion, MotionResponse)
    assert motion.shape_fault == "keyframe 0: translation has 0 values instead of 3"


def test_the_largest_message_of_the_sdk_is_taken() -> None:
    assert MAX_MESSAGE_BYTES == 1_048_576
    assert len(of_size(1_048_576)) == 1_048_576
    decode(of_size(1_048_576))


def test_one_more_byte_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="has 1048577 bytes, more than 1048576"):
        decode(of_size(1_048_577))


def test_the_largest_audio_is_taken() -> None:
    framing = len(encode(AudioInput("r", bytes(MAX_AUDIO_MESSAGE_BYTES)))) - MAX_AUDIO_MESSAGE_BYTES
    whole = AudioInput("r", bytes(MAX_AUDIO_MESSAGE_BYTES - framing))
    assert len(encode(whole)) == MAX_AUDIO_MESSAGE_BYTES == 16_777_216
    assert decode(encode(whole)) == whole
    with pytest.raises(RemoteProtocolError, match="has 16777217 bytes, more than 16777216"):
        decode(encode(AudioInput("r", whole.audio + b"x")))


def test_what_begins_as_audio_and_is_none_is_no_larger_than_others() -> None:
    bomb = encode(AudioInput("r", bytes(MAX_MESSAGE_BYTES))) + number(1, 5)
    with pytest.raises(RemoteProtocolError, match="more than 1048576"):
        decode(bomb)


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"\x08", id="cut in a number"),
        pytest.param(b"\x08\x02\x1a\x05\x0a\x03c", id="cut in a text"),
        pytest.param(b"\xff" * 11, id="an endless varint"),
        pytest.param(b"\x0b" * 200, id="groups without an end"),
        pytest.param(b"\x08\x02\x1a\x03\x0a\x01\xff", id="a text that is not UTF-8"),
        pytest.param(number(1, 5) + chunk(6, chunk(4, b"\x0a\x05")), id="motion that is cut"),
        pytest.param(b'{"type": 2}', id="JSON"),
    ],
)
def test_what_no_parser_accepts_is_the_peer_s_fault(junk: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not decodable"):
        decode(junk)


spoken = st.builds(
    AudioInput,
    st.sampled_from(["", "a", "b"]),
    st.binary(max_size=3) | st.binary(min_size=140, max_size=140),
    st.booleans(),
    st.sampled_from(["", "", "00-trace"]),
)


@settings(deadline=None, max_examples=500)
@given(
    said=st.lists(
        st.tuples(spoken | messages, st.sampled_from([b"", b"", *UNKNOWN_FIELDS.values(), chunk(4)]))
    )
)
@example(said=[(AudioInput("a", b"audio and more"), chunk(4))])
def test_a_reader_reads_as_decode_does(said: list[tuple[Message, bytes]]) -> None:
    reader = MessageReader()
    for message, extra in said:
        raw = encode(message) + extra
        assert reader.read(raw) == decode(raw)


def test_a_reader_reads_more_of_the_same_audio() -> None:
    reader = MessageReader()
    for audio in (b"\1\2", b"\3\4", b"\5\6", b"\7"):
        assert reader.read(encode(AudioInput("a", audio))) == AudioInput("a", audio)


def read_or_refuse(raw: bytes) -> None:
    """Passes where `raw` is decoded or refused; any other exception escapes."""
    try:
        decode(raw)
    except RemoteProtocolError:
        return


@settings(deadline=None, max_examples=500)
@given(st.binary())
def test_junk_is_read_or_refused_and_nothing_else(junk: bytes) -> None:
    read_or_refuse(junk)


@settings(deadline=None, max_examples=300)
@given(message=messages, place=st.integers(0), byte=st.integers(0, 255), cut=st.integers(0, 8))
def test_a_damaged_message_is_read_or_refused_and_nothing_else(
    message: Message, place: int, byte: int, cut: int
) -> None:
    damaged = bytearray(encode(message) or b"\x00")
    damaged[place % len(damaged)] = byte
    read_or_refuse(bytes(damaged[: len(damaged) - cut]))


@pytest.mark.parametrize("shape", [(WIDTH,), (1, WIDTH - 1), (1, WIDTH + 1), (1, 1, WIDTH)])
def test_keyframes_of_another_shape_are_not_written(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="keyframes have shape"):
        encode(MotionResponse("c", "r", False, np.zeros(shape, np.float32)))


def test_audio_without_a_trace_context_writes_none() -> None:
    assert encode(AudioInput("r", b"a")) == number(1, 3) + chunk(4, chunk(1, b"r") + chunk(3, b"a"))


def test_an_envelope_shows_no_credentials() -> None:
    configured = ConfigureSession(16000, livekit_egress=LiveKitEgress(api_secret="the secret"))
    assert "the secret" not in repr(decode(encode(configured)))
