"""The WebSocket of our Motion Servers: bounds the size of messages, and says why a larger one is refused."""

from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web
from aiohttp.http import WebSocketError

from spatius_sim.protocol.codec import MAX_AUDIO_MESSAGE_BYTES

_MOST_READ = 2 * MAX_AUDIO_MESSAGE_BYTES
"""A message of at most this many bytes is read to its end, so that its sender, which hears nothing while it
sends, learns why it is refused. A larger message is cut off."""

TOO_BIG = int(WSCloseCode.MESSAGE_TOO_BIG)


def ingress_socket() -> web.WebSocketResponse:
    """Make a socket that is not opened yet."""
    return web.WebSocketResponse(max_msg_size=_MOST_READ, compress=False)


def is_too_big(data: Any) -> bool:
    """Whether a message is larger than a Motion Server of ours takes."""
    return len(data) > MAX_AUDIO_MESSAGE_BYTES


def too_big() -> str:
    """Say why a message that is too big closes the session."""
    return f"a message has more than the {MAX_AUDIO_MESSAGE_BYTES} bytes that this mock takes"


def closed_by_library(frame: WSMessage) -> tuple[int, str]:
    """Read the code and reason with which aiohttp closed the socket on its own; (0, "") if it did not."""
    if frame.type is not WSMsgType.ERROR or not isinstance(frame.data, WebSocketError):
        return 0, ""
    return int(frame.data.code), too_big() if frame.data.code == TOO_BIG else str(frame.data)
