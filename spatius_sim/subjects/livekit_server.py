"""The LiveKit server in whose rooms subjects are judged."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from spatius_sim.protocol.environment_variables import (
    LIVEKIT_KEY_VARIABLE,
    LIVEKIT_SECRET_VARIABLE,
    LIVEKIT_URL_VARIABLE,
)
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.livekit_token import RoomGrant, make_livekit_token
from spatius_sim.protocol.messages import LiveKitEgress

PUBLISHER = "sim-publisher"
AGENT = "sim-agent"
"""Who publishes in a room, and the agent that is told of the playback."""

_VARIABLE_BY_CREDENTIAL = {"key": LIVEKIT_KEY_VARIABLE, "secret": LIVEKIT_SECRET_VARIABLE}


@dataclass(frozen=True, slots=True)
class LiveKitAccess:
    """A LiveKit server at `url`, and the key and the secret by which tokens for its rooms are made."""

    url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def environment_variables(self) -> dict[str, str]:
        """The environment variables from which LiveKit's own tools read the URL, the key and the secret of
        this LiveKit server."""
        return {
            LIVEKIT_URL_VARIABLE: self.url,
            LIVEKIT_KEY_VARIABLE: self.key,
            LIVEKIT_SECRET_VARIABLE: self.secret,
        }

    def new_name(self) -> str:
        """Return the name of a room that nobody else has."""
        return f"spatius-sim-{uuid4().hex[:12]}"

    def configure_new_room(self) -> tuple[LiveKitEgress, LiveKitEgress]:
        """Return two configurations for a new room of this LiveKit server, in which Motion Server shall
        publish. The first has a valid token. The token of the second has a wrong signature, so that LiveKit
        refuses it."""
        room_name = self.new_name()
        grant = RoomGrant(room_name, PUBLISHER, "agent", can_subscribe=False)
        token = make_livekit_token(self.key, self.secret, grant, time.time())
        attributes = (("lk.publish_on_behalf", AGENT), ("livekit_agent_identity", AGENT))
        wrong_end = "AAAA" if not token.endswith("AAAA") else "BBBB"
        badly_signed = f"{token[: -len(wrong_end)]}{wrong_end}"
        egress = LiveKitEgress(
            self.url,
            api_token=token,
            room_name=room_name,
            publisher_id=PUBLISHER,
            extra_attributes=attributes,
        )
        return egress, replace(egress, api_token=badly_signed)


def find_livekit_server(url: str, environment: Mapping[str, str]) -> LiveKitAccess:
    """Return the address, key and secret of the LiveKit server at `url`. Key and secret may be in the URL
    (ws://KEY:SECRET@HOST:PORT). What the URL lacks is read from the variables of `environment`; the URL, too,
    if it is "". Raises UsageError if something is missing or the URL is malformed; the error shows no key or
    secret."""
    url = url or environment.get(LIVEKIT_URL_VARIABLE, "")
    if not url:
        raise UsageError("--room: which LiveKit server? Name it here, or set LIVEKIT_URL")
    try:
        url_parts = urlsplit(url)
        host_and_port = url_parts.netloc.rpartition("@")[2]
        is_usable = url_parts.scheme in ("ws", "wss") and bool(url_parts.hostname) and url_parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise UsageError("--room: a URL that begins with ws:// or wss:// is needed")
    credentials = {"key": unquote(url_parts.username or ""), "secret": unquote(url_parts.password or "")}
    for name, variable in _VARIABLE_BY_CREDENTIAL.items():
        credentials[name] = credentials[name] or environment.get(variable, "")
        if not credentials[name]:
            raise UsageError(f"--room: the {name} of the LiveKit server is needed: set {variable}")
    return LiveKitAccess(url_parts._replace(netloc=host_and_port).geturl(), **credentials)


def import_room_watcher() -> ModuleType:
    """Import the module that watches rooms on a real LiveKit server, and return it. Raises UsageError if the
    packages of the extra `livekit` are not installed."""
    try:
        from spatius_sim.net.room import room_watcher
    except ImportError as error:
        missing = f"real LiveKit rooms need more packages ({error}): pip install 'spatius-sim[livekit]'"
        raise UsageError(missing) from error
    return room_watcher
