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

NEEDED_PRIVILEGES = {
    JOIN_CHANNEL: "join the channel",
    PUBLISH_AUDIO: "publish sound",
    PUBLISH_VIDEO: "publish video",
}
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
        """The unix time at which the Agora token ends. If a right that an egress needs to publish into the
        channel ends earlier, it is the time at which this right ends; 0 if nothing ends."""
        end_times = (self.expires_at, *(self.privileges.get(privilege, 0) for privilege in NEEDED_PRIVILEGES))
        return min(filter(None, end_times), default=0)

    def match_channel_and_uid(self, channel: str, uid: str) -> tuple[bool, bool]:
        """Return whether the Agora token is for this channel, and whether it is for this user. A token with
        an empty uid or the uid 0 is for every user. Version 006 holds only checksums of both."""
        if self.version == "006":
            channel_checksum, uid_checksum = self.checksums
            matching_checksums = (zlib.crc32(uid.encode()), zlib.crc32(b""), zlib.crc32(b"0"))
            return channel_checksum == zlib.crc32(channel.encode()), uid_checksum in matching_checksums
        return channel == self.channel, self.uid in ("", "0", uid)

    def is_signed_by(self, certificate: str, channel: str, uid: str) -> bool:
        """Return whether the Agora token is signed (HMAC-SHA256) with this certificate of the app. In version
        006 the signature also covers the channel and the uid."""
        if self.version == "006":
            signed_bytes = self.app_id.encode() + channel.encode() + uid.encode() + self.signed
            expected_signature = hmac.digest(certificate.encode(), signed_bytes, hashlib.sha256)
        else:
            key = hmac.digest(struct.pack("<I", self.issued), certificate.encode(), hashlib.sha256)
            key = hmac.digest(struct.pack("<I", self.salt), key, hashlib.sha256)
            expected_signature = hmac.digest(key, self.signed, hashlib.sha256)
        return hmac.compare_digest(expected_signature, self.signature)


class _TokenBytes:
    """Reads little-endian numbers and texts from the bytes of an Agora token. Raises RemoteProtocolError at
    their end."""

    def __init__(self, raw: bytes) -> None:
        """Begin to read at the first byte."""
        self._raw, self._position = raw, 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes of the Agora token. Raises RemoteProtocolError if there are fewer."""
        if self._position + count > len(self._raw):
            raise RemoteProtocolError("the Agora token is cut off")
        self._position += count
        return self._raw[self._position - count : self._position]

    def read_number(self, byte_count: int) -> int:
        """Return the next `byte_count` bytes of the Agora token as a number."""
        return int.from_bytes(self.take(byte_count), "little")

    def read_text(self) -> bytes:
        """Return the bytes of the next text of the Agora token; its length stands before it."""
        return self.take(self.read_number(2))

    def read_privileges(self) -> dict[int, int]:
        """Return the next table of privileges of the Agora token."""
        return {self.read_number(2): self.read_number(4) for _ in range(self.read_number(2))}

    def rest(self) -> bytes:
        """Return all bytes of the Agora token that are not read yet."""
        return self._raw[self._position :]


def read_agora_token(text: str) -> AgoraToken:
    """Return the content of an Agora token of version 006 or 007. Raises RemoteProtocolError if the text is
    not such a token; the error does not quote the text."""
    if len(text) > MAX_TOKEN_CHARACTERS:
        raise RemoteProtocolError(f"the Agora token is longer than {MAX_TOKEN_CHARACTERS} characters")
    try:
        if text.startswith("006"):
            content_start = 3 + _APP_ID_CHARACTERS
            return _read_006(text[3:content_start], b64decode(text[content_start:], validate=True))
        if text.startswith("007"):
            inflater = zlib.decompressobj()
            content = inflater.decompress(b64decode(text[3:], validate=True), MAX_TOKEN_BYTES)
            if inflater.unconsumed_tail:
                raise RemoteProtocolError(f"the Agora token inflates to more than {MAX_TOKEN_BYTES} bytes")
            return _read_007(content)
    except (binascii.Error, zlib.error, UnicodeDecodeError, ValueError) as error:
        raise RemoteProtocolError(f"the Agora token cannot be read: {type(error).__name__}") from error
    raise RemoteProtocolError("the Agora token is none of version 006 or 007")


def find_agora_token_fault(
    token: AgoraToken, channel: str, uid: str, now: float, certificate: str = ""
) -> str:
    """Return why the Agora token does not allow this user to publish in this channel at `now` (unix seconds),
    or "" if the token allows it. The signature is checked only if the app's `certificate` is given."""
    right_channel, right_uid = token.match_channel_and_uid(channel, uid)
    if not right_channel:
        return "the Agora token is for another channel"
    if not right_uid:
        return "the Agora token is for another uid"
    if token.expires_at and token.expires_at <= now:
        return "the Agora token has expired"
    for privilege, words in NEEDED_PRIVILEGES.items():
        ends_at = token.privileges.get(privilege)
        if ends_at is None:
            return f"the Agora token gives no right to {words}"
        if ends_at and ends_at <= now:
            return f"the right of the Agora token to {words} has expired"
    if certificate and not token.is_signed_by(certificate, channel, uid):
        return "the Agora token is not signed by the certificate of the app"
    return ""


def _read_006(app_id: str, content: bytes) -> AgoraToken:
    """Return the content of an Agora token of version 006. Raises RemoteProtocolError if the app id or the
    content is cut off."""
    if len(app_id) != _APP_ID_CHARACTERS:
        raise RemoteProtocolError("the Agora token is cut off")
    outer_reader = _TokenBytes(content)
    signature, checksums = (
        outer_reader.read_text(),
        (outer_reader.read_number(4), outer_reader.read_number(4)),
    )
    signed = outer_reader.read_text()
    signed_reader = _TokenBytes(signed)
    salt, expires_at = signed_reader.read_number(4), signed_reader.read_number(4)
    privileges = signed_reader.read_privileges()
    return AgoraToken(
        "006", app_id, expires_at, privileges, signature, signed, checksums=checksums, salt=salt
    )


def _read_007(content: bytes) -> AgoraToken:
    """Return the content of an Agora token of version 007: the privileges of its first service for a channel.
    Raises RemoteProtocolError if the token is cut off, has an unknown service, or is for no channel."""
    outer_reader = _TokenBytes(content)
    signature = outer_reader.read_text()
    signed = outer_reader.rest()
    signed_reader = _TokenBytes(signed)
    app_id = signed_reader.read_text().decode("ascii")
    issued_at, life_seconds, salt = (
        signed_reader.read_number(4),
        signed_reader.read_number(4),
        signed_reader.read_number(4),
    )
    for _ in range(signed_reader.read_number(2)):
        service_type = signed_reader.read_number(2)
        privileges = {
            privilege: issued_at + seconds if seconds else 0
            for privilege, seconds in signed_reader.read_privileges().items()
        }
        if service_type not in _TEXTS_AFTER_PRIVILEGES:
            raise RemoteProtocolError(f"the Agora token has a service of the unknown type {service_type}")
        texts = [signed_reader.read_text().decode() for _ in range(_TEXTS_AFTER_PRIVILEGES[service_type])]
        if service_type == _RTC_SERVICE:
            return AgoraToken(
                "007",
                app_id,
                issued_at + life_seconds,
                privileges,
                signature,
                signed,
                texts[0],
                texts[1],
                issued=issued_at,
                salt=salt,
            )
    raise RemoteProtocolError("the Agora token is for no channel")
