"""Reads one direction of a WebSocket whose bytes somebody else passes on. No I/O."""

import zlib
from collections.abc import Callable, Iterator

from websockets.frames import Opcode

from spatius_sim.protocol.errors import RemoteProtocolError

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

LARGEST_MESSAGE = 16 * 1_048_576
"""The most bytes of a message that is read. Larger messages still pass, but nobody is told of them."""

_FIN, _RSV1, _RESERVED, _CONTROL, _MASKED = 0x80, 0x40, 0x30, 0x08, 0x80
_CONT, _TEXT, _BINARY, _CLOSE = map(int, (Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE))
_OPCODES = frozenset(map(int, Opcode))
_INFLATED_END = b"\x00\x00\xff\xff"


class WebSocketTap:
    """Takes bytes by `feed`, and gives whole messages to `on_message`, the code and reason of a close to
    `on_close`. `deflate` is the extension header that both sides agreed on."""

    def __init__(
        self,
        on_message: Callable[[str | bytes], None],
        on_close: Callable[[int, str], None],
        deflate: str = "",
        *,
        from_client: bool = False,
    ) -> None:
        self._on_message, self._on_close = on_message, on_close
        self._buffer = bytearray()
        self._message: bytearray | None = None
        self._opcode = 0
        self._compressed = False
        side = "client" if from_client else "server"
        self._forgets = f"{side}_no_context_takeover" in deflate
        self._inflater = zlib.decompressobj(-15) if "permessage-deflate" in deflate else None

    def feed(self, data: bytes) -> None:
        """Take the next bytes; raises RemoteProtocolError for what is no WebSocket frame."""
        for _ in self.read(data):
            pass

    def read(self, data: bytes) -> Iterator[None]:
        """Take the next bytes, as `feed` does, but in steps of one frame each, for callers with little time.
        All steps must be taken before the next bytes are read."""
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        begin = 0
        while (end := self._take_frame(buffer, begin)) > begin:
            begin = end
            yield
        if buffer is data:
            self._buffer += data[begin:]
        else:
            del self._buffer[:begin]

    def _take_frame(self, buffer: bytes | bytearray, begin: int) -> int:
        """Take the frame that begins at `begin`; return its end, or `begin` if the frame is not whole."""
        if len(buffer) < begin + 2:
            return begin
        first, second = buffer[begin], buffer[begin + 1]
        length, place = second & 0x7F, begin + 2
        if first & _CONTROL and (length > 125 or not first & _FIN):
            raise RemoteProtocolError("a control frame that is long, or in pieces")
        if length > 125:
            place += 2 if length == 126 else 8
            if len(buffer) < place:
                return begin
            length = int.from_bytes(buffer[begin + 2 : place], "big")
        if length > LARGEST_MESSAGE:
            raise RemoteProtocolError(f"a frame of {length} bytes is not followed")
        start = place + 4 if second & _MASKED else place
        end = start + length
        if len(buffer) < end:
            return begin
        payload = bytes(buffer[start:end])
        if second & _MASKED:
            payload = apply_mask(payload, bytes(buffer[place:start]))
        if first == _FIN | _BINARY and self._message is None:  # Nearly all frames are a message each.
            self._on_message(payload)
        else:
            self._take_payload(first, payload)
        return end

    def _take_payload(self, first: int, payload: bytes) -> None:
        """Add a frame's payload to its message; `first` is the frame's first byte. Tell of what is whole."""
        opcode = first & 0x0F
        if first & _RESERVED or opcode not in _OPCODES or (first & _RSV1 and opcode not in (_TEXT, _BINARY)):
            raise RemoteProtocolError("a frame with reserved bits or of an unknown kind")
        if opcode & _CONTROL:
            if opcode == _CLOSE:
                code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                self._on_close(code, payload[2:].decode(errors="replace"))
            return
        if (opcode == _CONT) is (self._message is None):
            raise RemoteProtocolError("a message within another one, or the rest of none")
        if self._message is None:
            self._opcode, self._compressed = opcode, bool(first & _RSV1)
            self._message = bytearray()
        self._message += payload
        if len(self._message) > LARGEST_MESSAGE:
            raise RemoteProtocolError("a message of too many frames is not followed")
        if first & _FIN:
            whole = bytes(self._message)
            self._message = None
            whole = self._inflate_message(whole) if self._compressed else whole
            self._on_message(whole.decode(errors="replace") if self._opcode == _TEXT else whole)

    def _inflate_message(self, payload: bytes) -> bytes:
        """Decompress a message; raises RemoteProtocolError if it is damaged or too large."""
        if self._inflater is None:
            raise RemoteProtocolError("a compressed message, and no compression was agreed on")
        try:
            whole = self._inflater.decompress(payload + _INFLATED_END, LARGEST_MESSAGE)
        except zlib.error as error:
            raise RemoteProtocolError(f"a compressed message that is damaged: {error}") from error
        if self._inflater.unconsumed_tail:
            raise RemoteProtocolError("a compressed message of too many bytes is not followed")
        if self._forgets:
            self._inflater = zlib.decompressobj(-15)
        return whole
