"""Validates egress configurations as Motion Server does (protocol.md section 2, "ServerError codes").

The codes and the words that the SDKs look for are documented. Which field is checked first, and which fields
are optional, is ASSUMED."""

import binascii
import json
from base64 import urlsafe_b64decode
from dataclasses import dataclass

from spatius_sim.model.scenario.meaningful_ids import UNAUTHORIZED_ROOM, UNAVAILABLE_ROOM, first_word
from spatius_sim.protocol.messages import AgoraEgress, ConfigureSession, EgressType, LiveKitEgress

INVALID_ARGUMENT = 3
UNAVAILABLE = 14
UNAUTHENTICATED = 16


@dataclass(frozen=True, slots=True)
class Room:
    """The room to which an egress session sends audio and motion. `idle_timeout` in seconds, 0 for none (no
    document says what the service's default is)."""

    name: str
    publisher: str
    idle_timeout: int = 0


@dataclass(frozen=True, slots=True)
class EgressFault:
    """Why an egress configuration is refused."""

    code: int
    message: str


def read_egress(asked: ConfigureSession) -> Room | EgressFault | None:
    """Return the room that a configuration names, or why it is refused, or None if it asks for no egress."""
    livekit, agora = asked.livekit_egress, asked.agora_egress
    if livekit is not None and agora is not None:
        return _refuse_invalid("livekit_egress and agora_egress exclude each other")
    match asked.egress_type:
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


def _read_livekit(asked: LiveKitEgress) -> Room | EgressFault:
    """Return the room of a LiveKit configuration, or why it is refused."""
    if not asked.url.startswith(("ws://", "wss://", "http://", "https://")):
        return _refuse_invalid("livekit_egress.url must be a ws, wss, http or https URL")
    if not asked.room_name:
        return _refuse_invalid("livekit_egress.room_name is required")
    if asked.idle_timeout < 0:
        return _refuse_invalid("livekit_egress.idle_timeout must not be negative")
    if not asked.api_token and not (asked.api_key and asked.api_secret):
        return _refuse_invalid(
            "missing livekit credentials: provide api_token or both api_key and api_secret"
        )
    if asked.api_token and not _is_jwt(asked.api_token):
        return EgressFault(UNAUTHENTICATED, "unauthorized: livekit api_token is no JWT")
    room = Room(asked.room_name, asked.publisher_id, asked.idle_timeout)
    return _enter_room(room)


def _read_agora(asked: AgoraEgress) -> Room | EgressFault:
    if not asked.channel_name:
        return _refuse_invalid("agora_egress.channel_name is required")
    return _enter_room(Room(asked.channel_name, asked.publisher_id or str(asked.uid)))


def _enter_room(room: Room) -> Room | EgressFault:
    """Return the room, or why it is refused: the names of some rooms ask for that."""
    meant = first_word(room.name)
    if meant == UNAUTHORIZED_ROOM:
        return EgressFault(UNAUTHENTICATED, f"unauthorized: no permission to join {room.name}")
    if meant == UNAVAILABLE_ROOM:
        return EgressFault(UNAVAILABLE, f"failed to create egress connection: {room.name}")
    return room


def _is_jwt(token: str) -> bool:
    """Whether a token has three parts in base64url, of which the first two are JSON objects. The signature is
    not checked."""
    parts = token.split(".")
    if len(parts) != 3 or not parts[2]:
        return False
    try:
        claims = [json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2]]
    except (binascii.Error, ValueError, RecursionError):
        return False
    return all(isinstance(claim, dict) for claim in claims)


def _refuse_invalid(message: str) -> EgressFault:
    return EgressFault(INVALID_ARGUMENT, message)
