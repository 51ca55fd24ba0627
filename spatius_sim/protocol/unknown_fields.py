"""Adds fields that no document names to an encoded message, as a newer service might send them."""

from google.protobuf.message import DecodeError

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire


def add_field_to_envelope_and_content(raw: bytes, encoded_field: bytes) -> bytes:
    """Return the bytes of an encoded message of Motion Server with this encoded protobuf field, which no
    document names, added to its envelope. A confirmation or a response inside the envelope gets the field,
    too. Bytes that cannot be decoded are returned as they are."""
    envelope = wire.Message()
    try:
        envelope.ParseFromString(raw)
        if envelope.type == wire.SERVER_RESPONSE_ANIMATION:
            envelope.server_response_animation.MergeFromString(encoded_field)
        elif envelope.type == wire.SERVER_CONFIRM_SESSION:
            envelope.server_confirm_session.MergeFromString(encoded_field)
    except DecodeError:
        return raw
    return envelope.SerializeToString() + encoded_field


def add_fields_at_every_level(raw: bytes, encoded_fields: bytes, *, first: bool) -> bytes:
    """Return the bytes of an encoded motion payload with these encoded protobuf fields, which no document
    names, added at every level: to the envelope, the response, the motion, and each keyframe. They stand
    after the known fields of the level or, if `first`, before them."""

    def extend(known_fields: bytes) -> bytes:
        """Return the fields of one level with the unknown ones after them, or before them."""
        return encoded_fields + known_fields if first else known_fields + encoded_fields

    envelope, motion = wire.Message.FromString(raw), wire.Motion()
    response = envelope.server_response_animation
    motion.ParseFromString(response.animation)
    envelope.ClearField("server_response_animation")
    keyframes = b"".join(
        encode_length_delimited(wire.Motion.KEYFRAMES_FIELD_NUMBER, extend(keyframe.SerializeToString()))
        for keyframe in motion.keyframes
    )
    response.animation = extend(keyframes)
    response_field = wire.Message.SERVER_RESPONSE_ANIMATION_FIELD_NUMBER
    known_fields = encode_length_delimited(response_field, extend(response.SerializeToString()))
    return extend(envelope.SerializeToString() + known_fields)


def encode_number(number: int) -> bytes:
    """Return a number as protobuf writes it: seven bits in each byte (a varint)."""
    rest = number >> 7
    return bytes([number & 127 | 128]) + encode_number(rest) if rest else bytes([number])


def encode_field(number: int, wire_type: int, content: bytes = b"") -> bytes:
    """Return a protobuf field with this number, wire type and content."""
    return encode_number(number << 3 | wire_type) + content


def encode_length_delimited(number: int, content: bytes) -> bytes:
    """Return a protobuf field of this number that holds these bytes, after their length."""
    return encode_field(number, 2, encode_number(len(content)) + content)


def encode_field_of_every_type(number: int) -> bytes:
    """Return a protobuf field of this number with every wire type: a number, eight bytes, a text, a group,
    four bytes."""
    group = encode_field(number, 3, encode_field(1, 0, b"\x01") + encode_field(number, 4))
    eight_bytes = encode_field(number, 1, bytes(range(1, 9)))
    four_bytes = encode_field(number, 5, bytes(range(1, 5)))
    number_field = encode_field(number, 0, encode_number(150))
    return number_field + eight_bytes + encode_length_delimited(number, b"later") + group + four_bytes
