"""Adds fields that no document names to an encoded message, as a newer service might send them."""

from google.protobuf.message import DecodeError

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire


def add_field_inside_and_out(raw: bytes, field: bytes) -> bytes:
    """Return the bytes of an encoded message of Motion Server with this encoded protobuf `field` added twice:
    in the envelope, and in the confirmation or response inside the envelope. Any other message gets it in the
    envelope alone. Bytes that cannot be decoded are returned as they are."""
    envelope = wire.Message()
    try:
        envelope.ParseFromString(raw)
        if envelope.type == wire.SERVER_RESPONSE_ANIMATION:
            envelope.server_response_animation.MergeFromString(field)
        elif envelope.type == wire.SERVER_CONFIRM_SESSION:
            envelope.server_confirm_session.MergeFromString(field)
    except DecodeError:
        return raw
    return envelope.SerializeToString() + field
