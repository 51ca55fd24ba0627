"""Reads the messages in one direction of a WebSocket, from bytes that pass through a proxy. No I/O."""

import zlib
from collections.abc import Callable, Iterator

from websockets.frames import Opcode

from spatius_sim.protocol.close_codes import NO_CODE
from spatius_sim.protocol.errors import RemoteProtocolError

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

LARGEST_MESSAGE = 16 * 1_048_576
"""How many bytes a message may have. Larger messages pass through the proxy, but are not read."""

# The bits of a frame's first two bytes (RFC 6455, 5.2).
_FIN, _RSV1, _RESERVED, _CONTROL, _OPCODE_BITS = 0x80, 0x40, 0x30, 0x08, 0x0F
_MASKED, _LENGTH_BITS = 0x80, 0x7F
_LONGEST_SHORT_FRAME = 125
_LENGTH_IN_2_BYTES = 126
_WHOLE_BINARY = 0x82
"""The first byte of a whole binary message that is not compressed."""
_RAW_DEFLATE = -15
"""zlib's name for a deflate stream without a header, with a window of 2 ** 15 bytes."""

_CONT, _TEXT, _BINARY, _CLOSE = map(int, (Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE))
_OPCODES = frozenset(map(int, Opcode))
_INFLATED_END = b"\x00\x00\xff\xff"
"""What a sender removes from the end of a compressed message (RFC 7692, 7.2.1)."""


class WebSocketTap:
    """Reads the WebSocket messages of one direction from the bytes that `feed` or `read` get.

    `on_message` is called with each complete message, and `on_close` with the code and the reason of a close
    frame. `extensions_header` is the HTTP header with the extensions on which both sides agreed."""

    def __init__(
        self,
        on_message: Callable[[str | bytes], None],
        on_close: Callable[[int, str], None],
        extensions_header: str = "",
        *,
        from_client: bool = False,
    ) -> None:
        """Begin to read the WebSocket messages of one direction, which is from client to server if
        `from_client`. `on_message` gets each whole message, and `on_close` the code and the reason of a close
        frame.

        `extensions_header` is the HTTP header with the extensions on which both sides agreed; without
        "permessage-deflate" in it, no message may be compressed."""
        self._on_message, self._on_close = on_message, on_close
        self._buffer = bytearray()
        self._message: bytearray | None = None
        self._message_opcode = 0
        self._message_is_compressed = False
        side = "client" if from_client else "server"
        self._resets_after_message = f"{side}_no_context_takeover" in extensions_header
        may_compress = "permessage-deflate" in extensions_header
        self._inflater = zlib.decompressobj(_RAW_DEFLATE) if may_compress else None

    def feed(self, data: bytes) -> None:
        """Read all WebSocket frames in the next bytes. Raises RemoteProtocolError if they are no WebSocket
        frames."""
        for _ in self.read(data):
            pass

    def read(self, data: bytes) -> Iterator[None]:
        """Read the WebSocket frames in the next bytes, as `feed` does, but yield after each frame, so that
        the caller can do something else in between. Raises RemoteProtocolError if the bytes are no WebSocket
        frames.

        The caller must exhaust the iterator before the next call."""
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        begin, size = 0, len(buffer)
        while begin < size:
            second = buffer[begin + 1] if size > begin + 8 and buffer[begin] == _WHOLE_BINARY else 0
            if second & _LENGTH_BITS == _LENGTH_IN_2_BYTES and self._message is None:
                # Nearly every frame is a whole message of speech or motion, so this is fast.
                start = begin + (8 if second & _MASKED else 4)
                end = start + (buffer[begin + 2] << 8 | buffer[begin + 3])
                if end > size:
                    break
                payload = buffer[start:end]
                self._on_message(
                    apply_mask(payload, buffer[start - 4 : start]) if second & _MASKED else bytes(payload)
                )
            elif (end := self._read_frame(buffer, begin)) == begin:
                break
            begin = end
            yield
        if buffer is data:
            self._buffer += data[begin:]
        else:
            del self._buffer[:begin]

    def _read_frame(self, buffer: bytes | bytearray, frame_start: int) -> int:
        """Read the WebSocket frame that begins at `frame_start` in the buffer. Return where it ends, or
        `frame_start` if it is not complete yet. Raises RemoteProtocolError if the frame is malformed or too
        large."""
        if len(buffer) < frame_start + 2:
            return frame_start
        first_byte, second_byte = buffer[frame_start], buffer[frame_start + 1]
        payload_length, header_end = second_byte & _LENGTH_BITS, frame_start + 2
        if first_byte & _CONTROL and (payload_length > _LONGEST_SHORT_FRAME or not first_byte & _FIN):
            raise RemoteProtocolError("a control frame that is long, or in pieces")
        if payload_length > _LONGEST_SHORT_FRAME:
            header_end += 2 if payload_length == _LENGTH_IN_2_BYTES else 8
            if len(buffer) < header_end:
                return frame_start
            payload_length = int.from_bytes(buffer[frame_start + 2 : header_end], "big")
        if payload_length > LARGEST_MESSAGE:
            raise RemoteProtocolError(f"a frame of {payload_length} bytes is not followed")
        payload_start = header_end + 4 if second_byte & _MASKED else header_end
        frame_end = payload_start + payload_length
        if len(buffer) < frame_end:
            return frame_start
        payload = bytes(buffer[payload_start:frame_end])
        if second_byte & _MASKED:
            payload = apply_mask(payload, bytes(buffer[header_end:payload_start]))
        self._add_payload(first_byte, payload)
        return frame_end

    def _add_payload(self, first_byte: int, payload: bytes) -> None:
        """Add the payload of a WebSocket frame to its message. Call `on_message` if the message is complete,
        and `on_close` if the frame closes.

        Raises RemoteProtocolError if the frame is not allowed at this point, or if the message is too
        large."""
        opcode = first_byte & _OPCODE_BITS
        is_compressed = bool(first_byte & _RSV1)
        if (
            first_byte & _RESERVED
            or opcode not in _OPCODES
            or (is_compressed and opcode not in (_TEXT, _BINARY))
        ):
            raise RemoteProtocolError("a frame with reserved bits or of an unknown kind")
        if opcode & _CONTROL:
            if opcode == _CLOSE:
                code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else NO_CODE
                self._on_close(code, payload[2:].decode(errors="replace"))
            return
        if (opcode == _CONT) is (self._message is None):
            raise RemoteProtocolError("a message within another one, or the rest of none")
        if self._message is None:
            self._message_opcode, self._message_is_compressed = opcode, is_compressed
            self._message = bytearray()
        self._message += payload
        if len(self._message) > LARGEST_MESSAGE:
            raise RemoteProtocolError("a message of too many frames is not followed")
        if first_byte & _FIN:
            message = bytes(self._message)
            self._message = None
            message = self._inflate_message(message) if self._message_is_compressed else message
            self._on_message(message.decode(errors="replace") if self._message_opcode == _TEXT else message)

    def _inflate_message(self, compressed: bytes) -> bytes:
        """Decompress a WebSocket message. Raises RemoteProtocolError if it is damaged or becomes too large,
        or if both sides agreed on no compression."""
        if self._inflater is None:
            raise RemoteProtocolError("a compressed message, and no compression was agreed on")
        try:
            message = self._inflater.decompress(compressed + _INFLATED_END, LARGEST_MESSAGE)
        except zlib.error as error:
            raise RemoteProtocolError(f"a compressed message that is damaged: {error}") from error
        if self._inflater.unconsumed_tail:
            raise RemoteProtocolError("a compressed message of too many bytes is not followed")
        if self._resets_after_message:
            self._inflater = zlib.decompressobj(_RAW_DEFLATE)
        return message
