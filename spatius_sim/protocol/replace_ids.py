"""Puts other ids into an encoded message, and leaves every other field as it is, unknown ones included."""

from google.protobuf.message import DecodeError

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire


def replace_ids(raw: bytes, connection_id: str, req_id: str) -> bytes:
    """Return the bytes of this encoded message with its ids replaced by this connection id and this req_id.
    Only responses and errors of Motion Server have ids to replace: any other message, and bytes that cannot
    be decoded, are returned as they are."""
    envelope = wire.Message()
    try:
        envelope.ParseFromString(raw)
    except DecodeError:
        return raw
    if envelope.type == wire.SERVER_RESPONSE_ANIMATION:
        _write_ids(envelope.server_response_animation, connection_id, req_id)
    elif envelope.type == wire.SERVER_ERROR:
        _write_ids(envelope.server_error, connection_id, req_id)
    else:
        return raw
    return envelope.SerializeToString()


def _write_ids(
    message: wire.ServerResponseAnimation | wire.ServerError, connection_id: str, req_id: str
) -> None:
    """Replace the ids in a protobuf message by this connection id and this req_id. An id that is empty stays
    empty."""
    if message.connection_id:
        message.connection_id = connection_id
    if message.req_id:
        message.req_id = req_id
