"""Reads Agora's tokens, versions 006 and 007 (Agora's published token builders), and says what is wrong."""

import binascii
import hashlib
import hmac
import struct
import zlib
from base64 import b64decode
from dataclasses import dataclass, field

from spatius_sim.protocol.errors import RemoteProtocolError

JOIN_CHANNEL, PUBLISH_AUDIO, PUBLISH_VIDEO, PUBLISH_DATA = 1, 2, 3, 4
"""The privileges of a token for a channel."""

NEEDED = {JOIN_CHANNEL: "join the channel", PUBLISH_AUDIO: "publish sound", PUBLISH_VIDEO: "publish video"}
"""The privileges that an egress needs. ASSUMED: no document lists them."""

MAX_TOKEN_CHARACTERS = 4096
MAX_TOKEN_BYTES = 16_384
_APP_ID_CHARACTERS = 32
_RTC_SERVICE = 1
_TEXTS_AFTER_PRIVILEGES = {_RTC_SERVICE: 2, 2: 1, 4: 0, 5: 1, 7: 2}
"""How many texts follow the privileges of a service, by its type."""


@dataclass(frozen=True, slots=True)
class AgoraToken:
    """The content of an Agora token. `privileges` maps each to the unix time until which it holds, 0 for
    ever. Version 006 holds only `checksums` of channel and uid."""

    version: str
    app_id: str
    expires_at: int
    privileges: dict[int, int]
    signature: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    channel: str = ""
    uid: str = ""
    checksums: tuple[int, int] = (0, 0)
    issued: int = 0
    salt: int = 0

    @property
    def usable_until(self) -> int:
        """The unix time at which the Agora token ends, or the first right of it that an egress needs; 0:
        never."""
        end_times = (self.expires_at, *(self.privileges.get(name, 0) for name in NEEDED))
        return min(filter(None, end_times), default=0)

    def is_for(self, channel: str, uid: str) -> tuple[bool, bool]:
        """Return whether the Agora token is for this channel, and whether it is for this user; a token
        without a user is for everybody."""
        if self.version == "006":
            expected_checksums = zlib.crc32(channel.encode()), zlib.crc32(uid.encode())
            is_for_everybody = self.checksums[1] in (zlib.crc32(b""), zlib.crc32(b"0"))
            return expected_checksums[0] == self.checksums[0], is_for_everybody or expected_checksums[
                1
            ] == self.checksums[1]
        return channel == self.channel, self.uid in ("", "0", uid)

    def is_signed_by(self, certificate: str, channel: str, uid: str) -> bool:
        """Return whether the certificate of the app signed this Agora token."""
        if self.version == "006":
            signed = self.app_id.encode() + channel.encode() + uid.encode() + self.signed
            expected = hmac.digest(certificate.encode(), signed, hashlib.sha256)
        else:
            key = hmac.digest(struct.pack("<I", self.issued), certificate.encode(), hashlib.sha256)
            key = hmac.digest(struct.pack("<I", self.salt), key, hashlib.sha256)
            expected = hmac.digest(key, self.signed, hashlib.sha256)
        return hmac.compare_digest(expected, self.signature)


class _TokenBytes:
    """Reads little-endian numbers and texts from the bytes of an Agora token. Raises RemoteProtocolError at
    their end."""

    def __init__(self, raw: bytes) -> None:
        """Begin to read at the first byte."""
        self._raw, self._at = raw, 0

    def take(self, count: int) -> bytes:
        """Return so many next bytes of the Agora token. Raises RemoteProtocolError if there are fewer."""
        if self._at + count > len(self._raw):
            raise RemoteProtocolError("the Agora token is cut off")
        self._at += count
        return self._raw[self._at - count : self._at]

    def number(self, count: int) -> int:
        """Return the number in so many next bytes of the Agora token."""
        return int.from_bytes(self.take(count), "little")

    def text(self) -> bytes:
        """Return the bytes of the next text of the Agora token; its length stands before it."""
        return self.take(self.number(2))

    def privileges(self) -> dict[int, int]:
        """Return the next table of privileges in the Agora token."""
        return {self.number(2): self.number(4) for _ in range(self.number(2))}

    def rest(self) -> bytes:
        """Return all bytes of the Agora token that are not read yet."""
        return self._raw[self._at :]


def read_agora_token(text: str) -> AgoraToken:
    """Return the content of an Agora token. Raises RemoteProtocolError if the text is not such a token; the
    error does not quote the text."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise RemoteProtocolError(f"the Agora token is longer than {MAX_TOKEN_CHARACTERS} characters")
    try:
        if text.startswith("006"):
            start = 3 + _APP_ID_CHARACTERS
            return _read_006(text[3:start], b64decode(text[start:], validate=True))
        if text.startswith("007"):
            inflater = zlib.decompressobj()
            content = inflater.decompress(b64decode(text[3:], validate=True), MAX_TOKEN_BYTES)
            if inflater.unconsumed_tail:
                raise RemoteProtocolError(f"the Agora token inflates to more than {MAX_TOKEN_BYTES} bytes")
            return _read_007(content)
    except (binascii.Error, zlib.error, UnicodeDecodeError, ValueError) as error:
        raise RemoteProtocolError(f"the Agora token cannot be read: {type(error).__name__}") from error
    raise RemoteProtocolError("the Agora token is none of version 006 or 007")


def find_token_fault(token: AgoraToken, channel: str, uid: str, now: float, certificate: str = "") -> str:
    """Return why the Agora token does not allow this user to publish in this channel at `now` (unix seconds),
    "" if the token allows it. The signature is checked if a `certificate` is given."""
    right_channel, right_uid = token.is_for(channel, uid)
    if not right_channel:
        return "the Agora token is for another channel"
    if not right_uid:
        return "the Agora token is for another uid"
    if token.expires_at and token.expires_at <= now:
        return "the Agora token has expired"
    for privilege, words in NEEDED.items():
        ends_at = token.privileges.get(privilege)
        if ends_at is None:
            return f"the Agora token gives no right to {words}"
        if ends_at and ends_at <= now:
            return f"the right of the Agora token to {words} has expired"
    if certificate and not token.is_signed_by(certificate, channel, uid):
        return "the Agora token is not signed by the certificate of the app"
    return ""


def _read_006(app_id: str, content: bytes) -> AgoraToken:
    """Return the content of an Agora token of version 006. Raises RemoteProtocolError if the token is cut
    off."""
    if len(app_id) != _APP_ID_CHARACTERS:
        raise RemoteProtocolError("the Agora token is cut off")
    outer_bytes = _TokenBytes(content)
    signature, checksums = outer_bytes.text(), (outer_bytes.number(4), outer_bytes.number(4))
    signed = outer_bytes.text()
    signed_bytes = _TokenBytes(signed)
    salt, expires_at = signed_bytes.number(4), signed_bytes.number(4)
    privileges = signed_bytes.privileges()
    return AgoraToken(
        "006", app_id, expires_at, privileges, signature, signed, checksums=checksums, salt=salt
    )


def _read_007(content: bytes) -> AgoraToken:
    """Return the content of an Agora token of version 007. Raises RemoteProtocolError if the token is cut
    off, has an unknown service, or is for no channel."""
    outer_bytes = _TokenBytes(content)
    signature = outer_bytes.text()
    signed = outer_bytes.rest()
    signed_bytes = _TokenBytes(signed)
    app_id = signed_bytes.text().decode("ascii")
    issued, life_seconds, salt = signed_bytes.number(4), signed_bytes.number(4), signed_bytes.number(4)
    for _ in range(signed_bytes.number(2)):
        service_type = signed_bytes.number(2)
        privileges = {
            name: issued + seconds if seconds else 0 for name, seconds in signed_bytes.privileges().items()
        }
        if service_type not in _TEXTS_AFTER_PRIVILEGES:
            raise RemoteProtocolError(f"the Agora token has a service of the unknown type {service_type}")
        texts = [signed_bytes.text().decode() for _ in range(_TEXTS_AFTER_PRIVILEGES[service_type])]
        if service_type == _RTC_SERVICE:
            return AgoraToken(
                "007",
                app_id,
                issued + life_seconds,
                privileges,
                signature,
                signed,
                texts[0],
                texts[1],
                issued=issued,
                salt=salt,
            )
    raise RemoteProtocolError("the Agora token is for no channel")
