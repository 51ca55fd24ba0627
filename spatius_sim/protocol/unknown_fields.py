"""Adds fields that no document names to an encoded message, as a newer service might send them."""

from google.protobuf.message import DecodeError

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire


def add_field_inside_and_out(raw: bytes, encoded_field: bytes) -> bytes:
    """Return the bytes of an encoded message of Motion Server with this encoded protobuf field added to its
    envelope. A confirmation or a response inside the envelope gets the field, too. Bytes that cannot be
    decoded are returned as they are."""
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
