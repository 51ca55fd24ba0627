"""The WebSocket of our Motion Servers: limits the size of messages, and says why larger ones are refused."""

from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from aiohttp.http import WebSocketError

from spatius_sim.protocol.codec import MAX_AUDIO_MESSAGE_BYTES

_MAX_BYTES_READ = 2 * MAX_AUDIO_MESSAGE_BYTES
"""How many bytes of a message are read at most. A message that is too big, but not larger than this, is read
to its end: its sender reads nothing while it sends, and should learn why the message is refused."""

TOO_BIG = int(WSCloseCode.MESSAGE_TOO_BIG)


def ingress_socket() -> web.WebSocketResponse:
    """Return a WebSocket for the ingress of our Motion Servers, not yet opened, which limits the size of
    messages."""
    return web.WebSocketResponse(max_msg_size=_MAX_BYTES_READ, compress=False)


def is_upgrade(request: web.Request, socket: web.WebSocketResponse) -> bool:
    """Return whether a request asks correctly for a WebSocket of the ingress. (Letters outside ASCII in its
    key or version would make aiohttp raise.)"""
    headers = (request.headers.get("Sec-WebSocket-Key", ""), request.headers.get("Sec-WebSocket-Version", ""))
    return all(map(str.isascii, headers)) and bool(socket.can_prepare(request))


def is_too_big(data: Any) -> bool:
    """Return whether a message to the ingress is larger than our Motion Servers take."""
    return len(data) > MAX_AUDIO_MESSAGE_BYTES


def too_big_reason() -> str:
    """Return the reason with which the ingress closes a session whose message is too big."""
    return f"a message has more than the {MAX_AUDIO_MESSAGE_BYTES} bytes that this mock takes"


def read_library_close(message: WSMessage) -> tuple[int, str]:
    """Return the close code and the reason if aiohttp itself closed the ingress socket and gave this message
    instead of a frame. Return (0, "") for any other message."""
    if message.type is not WSMsgType.ERROR or not isinstance(message.data, WebSocketError):
        return 0, ""
    return int(message.data.code), too_big_reason() if message.data.code == TOO_BIG else str(message.data)
