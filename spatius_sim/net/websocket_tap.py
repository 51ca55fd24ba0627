"""Reads along with one direction of a WebSocket whose bytes somebody else passes on. No I/O."""

import zlib
from collections.abc import Callable

from websockets.frames import Opcode

from spatius_sim.protocol.errors import RemoteProtocolError

try:
    from websockets.speedups import apply_mask
except ImportError:
    from websockets.utils import apply_mask

LARGEST_MESSAGE = 16 * 1_048_576
"""Bytes. Larger messages still pass; they are not told."""

_FIN, _RSV1, _MASKED = 0x80, 0x40, 0x80
_CONT, _TEXT, _BINARY, _CLOSE = map(int, (Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.CLOSE))
_INFLATED_END = b"\x00\x00\xff\xff"


class WebSocketTap:
    """`feed` it the bytes; whole messages go to `on_message`, the code and reason of a close to
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
        self._parts: list[bytes] = []
        self._opcode = 0
        self._compressed = False
        side = "client" if from_client else "server"
        self._forgets = f"{side}_no_context_takeover" in deflate
        self._inflate = zlib.decompressobj(-15) if "permessage-deflate" in deflate else None

    def feed(self, data: bytes) -> None:
        """The next bytes; raises RemoteProtocolError where they are no WebSocket frames."""
        waiting = self._buffer
        if waiting:
            waiting += data
            del waiting[: self._frames(waiting)]
        else:
            waiting += data[self._frames(data) :]

    def _frames(self, buffer: bytes | bytearray) -> int:
        """Take all whole frames; where the first that is not whole begins."""
        begin = 0
        while len(buffer) >= begin + 2:
            second = buffer[begin + 1]
            length, place = second & 0x7F, begin + 2
            if length > 125:
                place += 2 if length == 126 else 8
                if len(buffer) < place:
                    break
                length = int.from_bytes(buffer[begin + 2 : place], "big")
            if length > LARGEST_MESSAGE:
                raise RemoteProtocolError(f"a frame of {length} bytes is not followed")
            start = place + 4 if second & _MASKED else place
            end = start + length
            if len(buffer) < end:
                break
            payload = bytes(buffer[start:end])
            if second & _MASKED:
                payload = apply_mask(payload, bytes(buffer[place:start]))
            first = buffer[begin]
            if first == _FIN | _BINARY and not self._parts:  # Nearly all frames are a message each.
                self._opcode, self._compressed = _BINARY, False
                self._on_message(payload)
            else:
                self._take(first, payload)
            begin = end
        return begin

    def _take(self, first: int, payload: bytes) -> None:
        opcode = first & 0x0F
        if opcode == _CLOSE:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
            self._on_close(code, payload[2:].decode(errors="replace"))
        if opcode > _BINARY:
            return
        if opcode != _CONT:
            self._opcode, self._parts = opcode, []
            self._compressed = bool(first & _RSV1)
        self._parts.append(payload)
        if sum(map(len, self._parts)) > LARGEST_MESSAGE:
            raise RemoteProtocolError("a message of too many frames is not followed")
        if first & _FIN:
            whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts = []
            whole = self._inflated(whole) if self._compressed else whole
            self._on_message(whole.decode(errors="replace") if self._opcode == _TEXT else whole)

    def _inflated(self, payload: bytes) -> bytes:
        if self._inflate is None:
            raise RemoteProtocolError("a compressed message, and no compression was agreed on")
        try:
            whole = self._inflate.decompress(payload + _INFLATED_END, LARGEST_MESSAGE)
        except zlib.error as error:
            raise RemoteProtocolError(f"a compressed message that is damaged: {error}") from error
        if self._inflate.unconsumed_tail:
            raise RemoteProtocolError("a compressed message of too many bytes is not followed")
        if self._forgets:
            self._inflate = zlib.decompressobj(-15)
        return whole
