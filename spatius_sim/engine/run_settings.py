"""Makes the settings of a run from its options, with every default filled in, and checks them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spatius_sim.engine.hide_option_secrets import secrets_in
from spatius_sim.engine.option_table import DEFAULT_MOTION_PORT, check_url
from spatius_sim.engine.run_profiles import DEFAULT_LEVEL, DEFAULT_PROFILE, profile_named
from spatius_sim.engine.select_rules import levels_judged_at
from spatius_sim.files.wire_file import find_wire
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.protocol.console_api import CONSOLE_ROOT, INGRESS_ROOT
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.environment_variables import API_KEY_VARIABLE, APP_ID_VARIABLE, AVATAR_ID_VARIABLE
from spatius_sim.protocol.errors import UsageError
from spatius_sim.subjects.livekit_server import LiveKitAccess, find_livekit_server
from spatius_sim.subjects.relay.relay_options import START_SECONDS, RelayStart, with_port
from spatius_sim.subjects.relay.room_access import Carrier, read_room_target
from spatius_sim.subjects.relay.start_turns import CLIENT_AUDIO_START, Hook, check_sayable, read_turn_start
from spatius_sim.subjects.server_sessions import ServerAddress
from spatius_sim.subjects.subject_base import Patience, canary_key
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets
from spatius_sim.wires.events import Speak
from spatius_sim.wires.optional_features import EGRESS, FEATURES, STREAMING, UPSTREAM

SOCKET_SCHEMES = ("ws://", "wss://")

_LARGEST_PORT = 65535

_CREDENTIALS = {
    "api_key": API_KEY_VARIABLE,
    "app_id": APP_ID_VARIABLE,
    "avatar_id": AVATAR_ID_VARIABLE,
}
"""The environment variables with the credentials that a Motion Server asks for."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a run.

    `target` is the URL of a relay. `server` is the URL of a mock Motion Server; any other has two,
    `console=URL,ingress=URL`. `client` is the command of a testee, or the ws:// address at which we listen
    for one. `agent_cmd` starts a LiveKit agent. If all are "", the embedded subjects are judged. `room` is
    the LiveKit server in whose rooms the server or the agent is judged.

    `lacks` names features that the subject is declared to lack. `environment` holds the credentials.
    `time_budget` counts in seconds from the first rule on. A `wire` that is "" is found out. `turn` says how
    a turn is started.
    """

    target: str = ""
    server: str = ""
    client: str = ""
    room: str = ""
    agent_cmd: str = ""
    wire: str = ""
    turn: str = CLIENT_AUDIO_START
    turn_hook: Hook | None = None
    motion_port: int | None = None
    motion_host: str = LOOPBACK
    seed: int = 1
    patience: Patience = field(default_factory=Patience)
    traces: Path = Path("reports")
    level: str = DEFAULT_LEVEL
    profile: str = DEFAULT_PROFILE
    time_budget: float = math.inf
    lacks: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    save_tape: str = ""
    relay_start: RelayStart = field(default_factory=RelayStart)

    @property
    def motion_server_port(self) -> int | None:
        """Return the port at which our Motion Server waits for the relay under test; 0 means any free port.
        Return None if no relay is named, or if the relay does not connect to our server."""
        if not self.target or UPSTREAM in self.lacks:
            return None
        # A relay that we start is told our port; any other relay expects us at a fixed port.
        default_port = 0 if self.relay_start.command else DEFAULT_MOTION_PORT
        return default_port if self.motion_port is None else self.motion_port

    def secrets(self) -> Iterator[str]:
        """Yield every secret in the settings of a run: in the subjects, in the options that start the relay,
        and in the environment variables."""
        relay_start = self.relay_start
        subject_options = {
            "target": self.target,
            "server": self.server,
            "client": self.client,
            "room": self.room,
        }
        relay_options = {
            "target-env": relay_start.environment,
            "target-header": relay_start.headers,
            "target-cmd": relay_start.command,
        }
        return secrets_in({**subject_options, **relay_options}, self.environment)

    def check(self) -> None:
        """Raise UsageError for the first setting that is wrong: unknown names, numbers out of range, URLs
        that are none, settings that contradict each other."""
        try:
            wire = find_wire(self.wire) if self.wire else None
        except UsageError as error:
            raise UsageError(f"--wire {self.wire}: {error}") from error
        starts = read_turn_start(self.turn, self.turn_hook)
        if wire is not None:
            check_sayable(starts, wire)
            if starts is None and not wire.write_client_action(Speak(b"ab", last=True)):
                raise UsageError(
                    f"--turn: the wire {wire.name} carries no speech of a client: say how a turn is started, "
                    "such as clip:NAME"
                )
        profile_named(self.profile)
        levels_judged_at(self.level)
        if not self.time_budget > 0:
            raise UsageError(f"--time-budget {self.time_budget}: a number of seconds is needed")
        if not 0 <= (self.motion_port or 0) <= _LARGEST_PORT:
            raise UsageError(f"--motion-port {self.motion_port}: a port is a number up to {_LARGEST_PORT}")
        self.relay_start.check_options()
        if self.room_target and wire is None:
            raise UsageError(
                f"--target {self.target}: in a room the wire is not found out: name it by --wire"
            )
        if self.relay_start.command and not self.room_target and with_port(self.target, 1) == self.target:
            raise UsageError(
                "--target-cmd needs a --target that says where the relay then is, such as "
                "ws://127.0.0.1:{port}/ws/agent"
            )
        patience = self.patience
        for option, seconds in (
            ("--wait", patience.attach),
            ("--settle", patience.settle),
            ("--fallback-wait", patience.fallback),
        ):
            if not 0 <= seconds < math.inf:
                raise UsageError(f"{option} {seconds}: a number of seconds is needed")
        answers_by_documents = wire is not None and STREAMING in wire.lacks
        schemes = ("http", "https") if answers_by_documents else ("ws", "wss")
        is_document = wire is None and self.target.startswith(("http://", "https://"))
        hint = " (an HTTP backend: name its wire, --wire http-document)" if is_document else ""
        if not self.room_target:
            check_url("--target", with_port(self.target, 1), schemes, hint)
        if self.server:
            self.server_address()
        if self.room or self.agent_cmd or self.room_target:
            self.livekit_access()
        if self.client.startswith(SOCKET_SCHEMES):
            check_url("--client", self.client, ("ws",))
        for feature in self.lacks:
            if feature not in FEATURES:
                raise UsageError(
                    f"--lacks {feature}: no feature is named so; {suggest_names(feature, FEATURES)}"
                )

    @property
    def room_target(self) -> tuple[Carrier, str] | None:
        """The carrier and the room of a relay that publishes by itself; None if the target is another one.
        Raises UsageError if the room has no name."""
        return read_room_target(self.target)

    def livekit_access(self) -> LiveKitAccess:
        """Return the URL, key and secret of the LiveKit server in whose rooms the subject is judged, from the
        settings and the environment variables. Raises UsageError if the URL is wrong, if key or secret is
        missing, or if a room is named for a subject that needs none."""
        if self.room and not (self.server or self.agent_cmd or self.room_target):
            raise UsageError("--room goes with --server, --agent-cmd or --target packets:ROOM")
        return find_livekit_server(self.room, self.environment)

    def server_address(self) -> ServerAddress:
        """Return the URLs of the Motion Server under test, and the credentials that we send to it.

        Raises UsageError for a URL that is wrong, and for missing credentials if the server is not a mock.
        """
        credentials = {field: self.environment.get(name, "") for field, name in _CREDENTIALS.items()}
        key, app_id, avatar_id = credentials.values()
        if "=" not in self.server.split("://")[0]:
            check_url("--server", self.server, ("http", "https"))
            host_and_port = urlsplit(self.server).netloc
            secure = "s" if urlsplit(self.server).scheme == "https" else ""
            return ServerAddress(
                f"http{secure}://{host_and_port}{CONSOLE_ROOT}",
                f"ws{secure}://{host_and_port}{INGRESS_ROOT}",
                key or canary_key(self.seed),
                app_id or APP_ID,
                avatar_id or AVATAR_ID,
                lacks=self.lacks,
            )
        urls = dict(part.partition("=")[::2] for part in self.server.split(","))
        shown_server = url_without_secrets(self.server)
        if set(urls) != {"console", "ingress"}:
            raise UsageError(f"--server {shown_server!r}: console=URL,ingress=URL is needed, or one URL")
        check_url("--server console", urls["console"], ("http", "https"))
        check_url("--server ingress", urls["ingress"], ("ws", "wss", "http", "https"))
        missing = [name for field, name in _CREDENTIALS.items() if not credentials[field]]
        if missing:
            raise UsageError(f"--server {shown_server!r} needs credentials: set {', '.join(missing)}")
        console, ingress = urls["console"], urls["ingress"]
        ingress = ingress.replace("http", "ws", 1) if ingress.startswith("http") else ingress
        # The kit has no room of its own to name to a server that is not a mock.
        lacks = (*self.lacks, EGRESS)
        return ServerAddress(console, ingress, key, app_id, avatar_id, lacks=lacks, find_lacks=False)


def settings_of(values: Mapping[str, Any], environment: Mapping[str, str], seed: int) -> Settings:
    """Return the settings for these values, by option name. A value that is None or missing has its
    default."""

    def values_of(**names: str) -> dict[str, Any]:
        """Return the options that have a value, by field of the settings; `names` says the option of each
        field."""
        return {field: values[name] for field, name in names.items() if values.get(name) is not None}

    def list_of(name: str) -> tuple[str, ...]:
        """Return the values of a repeatable option; () if it is not set."""
        return tuple(values.get(name) or ())

    relay_start = RelayStart(
        environment=list_of("target-env"),
        headers=list_of("target-header"),
        subprotocols=list_of("target-subprotocol"),
        **values_of(command="target-cmd", ca="target-ca"),
    )
    # A process that ends is noticed at once, so one that has only just been started may take its time.
    patience = {"attach": START_SECONDS} if relay_start.command else {}
    folder = values.get("report-dir")
    return Settings(
        patience=Patience(**patience | values_of(attach="wait", settle="settle", fallback="fallback-wait")),
        relay_start=relay_start,
        lacks=list_of("lacks"),
        environment=environment,
        seed=seed,
        **values_of(target="target", server="server", client="client", wire="wire", turn="turn")
        | values_of(room="room", agent_cmd="agent-cmd")
        | values_of(motion_port="motion-port", motion_host="motion-host", save_tape="save-tape")
        | values_of(level="level", profile="profile", time_budget="time-budget")
        | ({"traces": Path(folder)} if folder else {}),
    )
