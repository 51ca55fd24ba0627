"""The same message under other ids, every other field as it was, unknown ones included."""

from google.protobuf.message import DecodeError

from spatius_sim.protocol import spatius_sim_wire_pb2 as wire


def readdressed(raw: bytes, connection_id: str, req_id: str) -> bytes:
    """A response or an error of Motion Server under these ids, wherever it bears one; anything else, and what
    cannot be decoded, stays as it is."""
    envelope = wire.Message()
    try:
        envelope.ParseFromString(raw)
    except DecodeError:
        return raw
    if envelope.type == wire.SERVER_RESPONSE_ANIMATION:
        _address(envelope.server_response_animation, connection_id, req_id)
    elif envelope.type == wire.SERVER_ERROR:
        _address(envelope.server_error, connection_id, req_id)
    else:
        return raw
    return envelope.SerializeToString()


def _address(
    message: wire.ServerResponseAnimation | wire.ServerError, connection_id: str, req_id: str
) -> None:
    if message.connection_id:
        message.connection_id = connection_id
    if message.req_id:
        message.req_id = req_id
