"""Validates egress configurations as Motion Server does (protocol.md section 2, "ServerError codes").

The codes and the words that the SDKs look for are documented. Which field is checked first, and which fields
are optional, is ASSUMED."""

import binascii
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass

from spatius_sim.model.scenario.meaningful_ids import UNAUTHORIZED_ROOM, UNAVAILABLE_ROOM, first_word
from spatius_sim.protocol.messages import AgoraEgress, ConfigureSession, EgressType, LiveKitEgress

# The codes of a ServerError; they are gRPC's status codes.
INVALID_ARGUMENT = 3
UNAVAILABLE = 14
UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Room:
    """The room to which an egress session sends audio and motion. `idle_timeout` is in seconds; 0 means none
    (no document says what the service's default is)."""

    name: str
    publisher: str
    idle_timeout: int = 0


@dataclass(frozen=True, slots=True)
class EgressFault:
    """Why an egress configuration is refused: code and text of the ServerError."""

    code: int
    message: str


def read_egress(configuration: ConfigureSession) -> Room | EgressFault | None:
    """Return the room that a configuration names, or why the configuration is refused; None if it asks for no
    egress."""
    livekit, agora = configuration.livekit_egress, configuration.agora_egress
    if livekit is not None and agora is not None:
        return _refuse_invalid("livekit_egress and agora_egress exclude each other")
    match configuration.egress_type:
        case EgressType.UNSPECIFIED:
            if livekit is not None or agora is not None:
                return _refuse_invalid("egress_type is missing beside an egress configuration")
            return None
        case EgressType.LIVEKIT:
            return (
                _refuse_invalid("livekit_egress is required") if livekit is None else _read_livekit(livekit)
            )
        case EgressType.AGORA:
            return _refuse_invalid("agora_egress is required") if agora is None else _read_agora(agora)
        case unknown:
            return _refuse_invalid(f"unsupported egress_type {unknown}")


def _read_livekit(livekit: LiveKitEgress) -> Room | EgressFault:
    """Return the room of a LiveKit configuration, or why the configuration is refused."""
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
    if livekit.api_token and not _is_jwt(livekit.api_token):
        return EgressFault(UNAUTHENTICATED, "unauthorized: livekit api_token is no JWT")
    return _check_access(Room(livekit.room_name, livekit.publisher_id, livekit.idle_timeout))


def _read_agora(agora: AgoraEgress) -> Room | EgressFault:
    """Return the room of an Agora configuration, or why the configuration is refused."""
    if not agora.channel_name:
        return _refuse_invalid("agora_egress.channel_name is required")
    return _check_access(Room(agora.channel_name, agora.publisher_id or str(agora.uid)))


def _check_access(room: Room) -> Room | EgressFault:
    """Return the room, or why nobody may enter: the first word of a room's name may ask for a refusal."""
    word = first_word(room.name)
    if word == UNAUTHORIZED_ROOM:
        return EgressFault(UNAUTHENTICATED, f"unauthorized: no permission to join {room.name}")
    if word == UNAVAILABLE_ROOM:
        return EgressFault(UNAVAILABLE, f"failed to create egress connection: {room.name}")
    return room


def _is_jwt(token: str) -> bool:
    """Whether a token looks like a JWT: a header and claims, both JSON objects in base64url, and a signature.
    The signature is not checked."""
    parts = token.split(".")
    if len(parts) != 3 or not parts[2]:
        return False
    try:
        documents = [json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]]
    except (binascii.Error, ValueError, RecursionError):
        return False
    return all(isinstance(document, dict) for document in documents)


def _refuse_invalid(message: str) -> EgressFault:
    """Return a refusal with the code INVALID_ARGUMENT."""
    return EgressFault(INVALID_ARGUMENT, message)
