"""Validates egress configurations as Motion Server does (protocol.md section 2, "ServerError codes").

The codes and the words that the SDKs look for are documented. Which field is checked first, and which fields
are optional, is ASSUMED."""

import binascii
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field

from spatius_sim.model.scenario.faults_by_id import UNAUTHORIZED_ROOM, UNAVAILABLE_ROOM, first_word
from spatius_sim.protocol.agora_token import find_token_fault, read_agora_token
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import AgoraEgress, ConfigureSession, EgressType, LiveKitEgress

# The codes of a ServerError; they are gRPC's status codes.
INVALID_ARGUMENT = 3
UNAVAILABLE = 14
UNAUTHENTICATED = 16

_NOT_LET_IN = "failed to create connection: failed to connect to room: unauthorized: invalid token"
"""The text that goes with the code UNAUTHENTICATED (sdk-unit)."""
_MAX_UID = 2**32 - 1

AGENT_ATTRIBUTE = "livekit_agent_identity"
"""The extra attribute that names the agent (plugin)."""


@dataclass(frozen=True, slots=True)
class Room:
    """The room to which an egress session sends audio and motion. `idle_timeout` is in seconds; 0 means none
    (no document says what the service's default is). `expires_at` is the unix time at which an Agora token
    ends, or a right that it gives; 0: never, or not known."""

    name: str
    publisher: str
    idle_timeout: int = 0
    expires_at: int = 0
    livekit: LiveKitEgress | None = field(default=None, compare=False, repr=False)
    """The configuration of a LiveKit room, with its credentials."""

    @property
    def agent(self) -> str:
        """The participant of the room to whom Motion Server reports the playback by RPC, as the egress
        configuration names it; "" if the configuration names no participant."""
        attributes = self.livekit.extra_attributes if self.livekit is not None else ()
        return dict(attributes).get(AGENT_ATTRIBUTE, "")


@dataclass(frozen=True, slots=True)
class EgressFault:
    """Why an egress configuration is refused: code and text of the ServerError."""

    code: int
    message: str


def read_egress(
    configuration: ConfigureSession, unix_time: float = 0.0, agora_certificate: str = ""
) -> Room | EgressFault | None:
    """Return the room that a session's egress configuration names, or why Motion Server refuses this
    configuration; None if no egress is asked for. A token that expires by `unix_time` is refused. If
    `agora_certificate` is given, each Agora egress needs a token that it has signed."""
    livekit, agora = configuration.livekit_egress, configuration.agora_egress
    if livekit is not None and agora is not None:
        return _refuse_invalid("livekit_egress and agora_egress exclude each other")
    match configuration.egress_type:
        case EgressType.UNSPECIFIED:
            if livekit is not None or agora is not None:
                return _refuse_invalid("egress_type is missing beside an egress configuration")
            return None
        case EgressType.LIVEKIT:
            if livekit is None:
                return _refuse_invalid("livekit_egress is required")
            return _read_livekit(livekit, unix_time)
        case EgressType.AGORA:
            if agora is None:
                return _refuse_invalid("agora_egress is required")
            return _read_agora(agora, unix_time, agora_certificate)
        case unknown:
            return _refuse_invalid(f"unsupported egress_type {unknown}")


def _read_livekit(livekit: LiveKitEgress, unix_time: float) -> Room | EgressFault:
    """Return the room that the egress configuration of a session names at LiveKit, or the reason why Motion
    Server refuses this configuration."""
    if not livekit.url.startswith(("ws://", "wss://", "http://", "https://")):
        return _refuse_invalid("livekit_egress.url must be a ws, wss, http or https URL")
    if not livekit.room_name:
        return _refuse_invalid("livekit_egress.room_name is required")
    if livekit.idle_timeout < 0:
        return _refuse_invalid("livekit_egress.idle_timeout must not be negative")
    if not livekit.api_token and not (livekit.api_key and livekit.api_secret):
        return _refuse_invalid(
            "missing livekit credentials: provide api_token or both api_key and api_secret"
        )
    if livekit.api_token:
        fault = _find_livekit_token_fault(livekit, unix_time)
        if fault:
            return EgressFault(UNAUTHENTICATED, f"{_NOT_LET_IN}: {fault}")
    return _check_access(Room(livekit.room_name, livekit.publisher_id, livekit.idle_timeout, livekit=livekit))


def _read_agora(agora: AgoraEgress, unix_time: float, certificate: str) -> Room | EgressFault:
    """Return the room of an Agora egress configuration, or why Motion Server refuses this configuration. If
    the `certificate` is given, the token must be signed by it."""
    if not agora.channel_name:
        return _refuse_invalid("agora_egress.channel_name is required")
    if not 0 <= agora.uid <= _MAX_UID:
        return _refuse_invalid("agora_egress.uid must be a number of 32 bits")
    expires_at = 0
    if certificate or agora.token.startswith(("006", "007")):
        # Without a certificate any other token is let in: nobody could read it, and the cloud is not here.
        try:
            token = read_agora_token(agora.token)
        except RemoteProtocolError as error:
            return EgressFault(UNAUTHENTICATED, f"unauthorized: {error}")
        fault = find_token_fault(token, agora.channel_name, str(agora.uid), unix_time, certificate)
        if fault:
            return EgressFault(UNAUTHENTICATED, f"unauthorized: {fault}")
        expires_at = token.usable_until
    publisher = agora.publisher_id or str(agora.uid)
    return _check_access(Room(agora.channel_name, publisher, expires_at=expires_at))


def _check_access(room: Room) -> Room | EgressFault:
    """Return the room of a session's egress configuration, or the fault with which Motion Server refuses to
    enter it: the first word of the room's name can ask for such a fault."""
    word = first_word(room.name)
    if word == UNAUTHORIZED_ROOM:
        return EgressFault(UNAUTHENTICATED, _NOT_LET_IN)
    if word == UNAVAILABLE_ROOM:
        return EgressFault(UNAVAILABLE, f"failed to create egress connection: {room.name}")
    return room


def _find_livekit_token_fault(livekit: LiveKitEgress, unix_time: float) -> str:
    """Return what is wrong with the token of a LiveKit egress, as far as it can be read without the secret:
    its form, its expiry, and whether it lets its bearer join this room; "" if nothing is wrong."""
    claims = _read_token_claims(livekit.api_token)
    if claims is None:
        return "it is not a JWT"
    expiry, grants = claims.get("exp"), claims.get("video")
    if isinstance(expiry, int | float) and expiry <= unix_time:
        return "it has expired"
    if not isinstance(grants, dict) or grants.get("roomJoin") is not True:
        return "it does not grant roomJoin"
    if grants.get("room") not in (None, "", livekit.room_name):
        return "it is for another room"
    return ""


def _read_token_claims(token: str) -> dict[str, object] | None:
    """Return the claims of the LiveKit token in an egress configuration, or None if the token is not a JWT:
    header and claims, both JSON objects in base64url, and a signature. The signature is not checked."""
    parts = token.split(".")
    if len(parts) != 3 or not parts[2]:
        return None
    try:
        documents = [json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]]
    except (binascii.Error, ValueError, RecursionError):
        return None
    return documents[1] if all(isinstance(document, dict) for document in documents) else None


def _refuse_invalid(message: str) -> EgressFault:
    """Return a refusal with the code INVALID_ARGUMENT."""
    return EgressFault(INVALID_ARGUMENT, message)
