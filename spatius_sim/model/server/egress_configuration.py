"""Validates egress configurations as Motion Server does (protocol.md section 2, "ServerError codes").

The codes and the words that the SDKs look for are documented. Which field is checked first, and which fields
are optional, is ASSUMED."""

from dataclasses import dataclass, field

from spatius_sim.model.scenario.faults_by_id import UNAUTHORIZED_ROOM, UNAVAILABLE_ROOM, read_id_prefix
from spatius_sim.protocol.agora_token import find_agora_token_fault, read_agora_token
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.livekit_token import find_livekit_token_fault
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
    def agent_id(self) -> str:
        """The identity of the agent that the egress configuration of this room names: the participant to whom
        Motion Server reports the playback by RPC. "" if it names none."""
        attributes = self.livekit.extra_attributes if self.livekit is not None else ()
        return dict(attributes).get(AGENT_ATTRIBUTE, "")


@dataclass(frozen=True, slots=True)
class EgressFault:
    """Why an egress configuration is refused: code and text of the ServerError."""

    code: int
    message: str


def read_egress_room(
    configuration: ConfigureSession, unix_time: float = 0.0, agora_certificate: str = ""
) -> Room | EgressFault | None:
    """Return the room in which Motion Server shall publish audio and motion (the egress), as a session's
    configuration names it; None if the configuration asks for no egress. If Motion Server refuses the
    configuration, return the reason.

    A token that has expired at `unix_time` (unix seconds) is refused. If `agora_certificate` is given, it
    must have signed the token of an Agora egress."""
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
            return _read_livekit_room(livekit, unix_time)
        case EgressType.AGORA:
            if agora is None:
                return _refuse_invalid("agora_egress is required")
            return _read_agora_room(agora, unix_time, agora_certificate)
        case unknown:
            return _refuse_invalid(f"unsupported egress_type {unknown}")


def _read_livekit_room(livekit: LiveKitEgress, unix_time: float) -> Room | EgressFault:
    """Return the LiveKit room in which Motion Server shall publish, as a session's egress configuration names
    it. If Motion Server refuses the configuration, return the reason. `unix_time` is the time in unix seconds
    at which the token must still be valid."""
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
        fault = find_livekit_token_fault(livekit.api_token, livekit.room_name, unix_time)
        if fault:
            return EgressFault(UNAUTHENTICATED, f"{_NOT_LET_IN}: {fault}")
    return _check_room_name(
        Room(livekit.room_name, livekit.publisher_id, livekit.idle_timeout, livekit=livekit)
    )


def _read_agora_room(agora: AgoraEgress, unix_time: float, certificate: str) -> Room | EgressFault:
    """Return the Agora channel, as a room, in which Motion Server shall publish, as a session's egress
    configuration names it. If Motion Server refuses the configuration, return the reason. The token must be
    valid at `unix_time` (unix seconds); if the `certificate` is given, it must have signed the token."""
    if not agora.channel_name:
        return _refuse_invalid("agora_egress.channel_name is required")
    if not 0 <= agora.uid <= _MAX_UID:
        return _refuse_invalid("agora_egress.uid must be a number of 32 bits")
    expires_at = 0
    if certificate or agora.token.startswith(("006", "007")):
        # Without a certificate any other token is accepted, because only Agora's cloud could check it.
        try:
            token = read_agora_token(agora.token)
        except RemoteProtocolError as error:
            return EgressFault(UNAUTHENTICATED, f"unauthorized: {error}")
        fault = find_agora_token_fault(token, agora.channel_name, str(agora.uid), unix_time, certificate)
        if fault:
            return EgressFault(UNAUTHENTICATED, f"unauthorized: {fault}")
        expires_at = token.usable_until
    publisher = agora.publisher_id or str(agora.uid)
    return _check_room_name(Room(agora.channel_name, publisher, expires_at=expires_at))


def _check_room_name(room: Room) -> Room | EgressFault:
    """Return this room of an egress, unless its name asks for a simulated failure. If the first word of the
    name is UNAUTHORIZED_ROOM or UNAVAILABLE_ROOM, return the reason why Motion Server cannot enter."""
    prefix = read_id_prefix(room.name)
    if prefix == UNAUTHORIZED_ROOM:
        return EgressFault(UNAUTHENTICATED, _NOT_LET_IN)
    if prefix == UNAVAILABLE_ROOM:
        return EgressFault(UNAVAILABLE, f"failed to create egress connection: {room.name}")
    return room


def _refuse_invalid(message: str) -> EgressFault:
    """Return a refusal with the code INVALID_ARGUMENT."""
    return EgressFault(INVALID_ARGUMENT, message)
