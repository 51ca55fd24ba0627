"""The test bench of one run: the event loop, our Motion Server, and a trial for each kind of subject."""

import math
import time
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from spatius_sim.dialects.features import STREAMING
from spatius_sim.kit.attaching import Attachment, with_port
from spatius_sim.kit.background_loop import BackgroundLoop
from spatius_sim.kit.client_plans import ClientPlan
from spatius_sim.kit.client_subject import OUR_OWN, ClientSubject, InProcessTestee
from spatius_sim.kit.confidence import secrets_in, shown_subject
from spatius_sim.kit.embedded import relay_url, start_reference_relay
from spatius_sim.kit.plans import Plan
from spatius_sim.kit.profiles import DEFAULT_LEVEL, DEFAULT_PROFILE, Profile, judged_at, profile_named
from spatius_sim.kit.server_subject import Place, ServerSubject
from spatius_sim.kit.subjects import (
    Patience,
    RelaySubject,
    Subject,
    canary_key,
    relay_environment,
)
from spatius_sim.kit.trial import Trial, suite_header
from spatius_sim.kit.turn_starts import CLIENT_AUDIO_START, Hook, check_sayable, turn_start
from spatius_sim.model.known_secrets import KnownSecrets
from spatius_sim.model.logins import shown_url
from spatius_sim.model.meaningful_ids import APP_ID, AVATAR_ID
from spatius_sim.model.motion_server import Gate
from spatius_sim.model.trace import Trace
from spatius_sim.net.listening import free_port
from spatius_sim.net.motion_server import MotionServer
from spatius_sim.net.recorder import Recorder
from spatius_sim.net.relay_process import RelayProcess
from spatius_sim.net.testee import SocketTestee, StdioTestee, Testee
from spatius_sim.protocol.console import CONSOLE_ROOT, INGRESS_ROOT
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import EGRESS, FEATURES, UPSTREAM
from spatius_sim.tape.taping import Taping
from spatius_sim.tape.wire_file import find_wire
from spatius_sim.tape.writer import TapeWriter

T = TypeVar("T")

DEFAULT_MOTION_PORT = 8700
DEFAULT_WIRE = "json-envelope"
MOST_BYTES = 256_000_000
MOST_EVENTS = 300_000
"""What one scenario of a relay may come to; the largest planned one stays below a tenth of it."""

_SOCKET_SCHEMES = ("ws://", "wss://")
_START_SECONDS = 30.0
_LARGEST_PORT = 65535
_SERVICE_SETTLES_SECONDS = 15.0
"""What a service far away may need at least before its silence means anything. ASSUMED."""

_CREDENTIALS = {
    "api_key": "SPATIUS_API_KEY",
    "app_id": "SPATIUS_APP_ID",
    "avatar_id": "SPATIUS_AVATAR_ID",
}
"""The environment variables that say who asks a Motion Server."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. `target` is a relay's URL, `server` a Motion Server's, or the two of one
    that is no mock, `console=URL,ingress=URL`, `client` the command of a client's testee or the ws:// address
    where it is to find us; where all are "" the embedded subjects are judged. `lacks` names features that the
    subject is declared to lack, `environment` holds the credentials. `time_budget`: seconds
    from the first rule on. `wire` is found out where it is "", and `turn` says who starts a turn."""

    target: str = ""
    server: str = ""
    client: str = ""
    wire: str = ""
    turn: str = CLIENT_AUDIO_START
    turn_hook: Hook | None = None
    motion_port: int | None = None
    seed: int = 1
    patience: Patience = field(default_factory=Patience)
    traces: Path = Path("reports")
    level: str = DEFAULT_LEVEL
    profile: str = DEFAULT_PROFILE
    time_budget: float = math.inf
    lacks: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    save_tape: str = ""
    attachment: Attachment = field(default_factory=Attachment)

    @property
    def listens_at(self) -> int | None:
        """Where our Motion Server waits for the relay that was named, 0 for any free port; None where it does
        not."""
        if not self.target or UPSTREAM in self.lacks:
            return None
        # A relay that we start is told where we are; another one looks for us at a fixed place.
        usual = 0 if self.attachment.command else DEFAULT_MOTION_PORT
        return usual if self.motion_port is None else self.motion_port

    def secrets(self) -> Iterator[str]:
        """What was told in confidence."""
        attachment = self.attachment
        told = {"target": self.target, "server": self.server, "client": self.client}
        told_lists = {"target-env": attachment.environment, "target-header": attachment.headers}
        return secrets_in({**told, **told_lists}, self.environment)

    def check(self) -> None:
        """Raises UsageError for what cannot be."""
        try:
            wire = find_wire(self.wire) if self.wire else None
        except UsageError as error:
            raise UsageError(f"--wire {self.wire}: {error}") from error
        starts = turn_start(self.turn, self.turn_hook)
        if wire is not None:
            check_sayable(starts, wire)
        profile_named(self.profile)
        judged_at(self.level)
        if not self.time_budget > 0:
            raise UsageError(f"--time-budget {self.time_budget}: a number of seconds is needed")
        if not 0 <= (self.motion_port or 0) <= _LARGEST_PORT:
            raise UsageError(f"--motion-port {self.motion_port}: a port is a number up to {_LARGEST_PORT}")
        self.attachment.check()
        if self.attachment.command and with_port(self.target, 1) == self.target:
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
        documents = wire is not None and STREAMING in wire.lacks
        schemes = ("http", "https") if documents else ("ws", "wss")
        _check_url("--target", with_port(self.target, 1), schemes)
        if self.server:
            self.place()
        if self.client.startswith(_SOCKET_SCHEMES):
            _check_url("--client", self.client, ("ws",))
        for feature in self.lacks:
            if feature not in FEATURES:
                raise UsageError(
                    f"--lacks {feature}: no feature is named so; there are {', '.join(FEATURES)}"
                )

    def place(self) -> Place:
        """Where the Motion Server under test is, and with which credentials it is asked.

        Raises UsageError for URLs that are none, and for a server that is no mock without credentials.
        """
        given = {field: self.environment.get(name, "") for field, name in _CREDENTIALS.items()}
        key, app_id, avatar_id = given.values()
        if "=" not in self.server.split("://")[0]:
            _check_url("--server", self.server, ("http", "https"))
            at = urlsplit(self.server).netloc
            secure = "s" if urlsplit(self.server).scheme == "https" else ""
            return Place(
                f"http{secure}://{at}{CONSOLE_ROOT}",
                f"ws{secure}://{at}{INGRESS_ROOT}",
                key or canary_key(self.seed),
                app_id or APP_ID,
                avatar_id or AVATAR_ID,
                lacks=self.lacks,
            )
        urls = dict(part.partition("=")[::2] for part in self.server.split(","))
        shown = shown_url(self.server)
        if set(urls) != {"console", "ingress"}:
            raise UsageError(f"--server {shown!r}: console=URL,ingress=URL is needed, or one URL")
        _check_url("--server console", urls["console"], ("http", "https"))
        _check_url("--server ingress", urls["ingress"], ("ws", "wss", "http", "https"))
        missing = [name for field, name in _CREDENTIALS.items() if not given[field]]
        if missing:
            raise UsageError(f"--server {shown!r} needs credentials: set {', '.join(missing)}")
        console, ingress = urls["console"], urls["ingress"]
        ingress = ingress.replace("http", "ws", 1) if ingress.startswith("http") else ingress
        # The kit has no room of its own to name to a server that is no mock.
        lacks = (*self.lacks, EGRESS)
        return Place(console, ingress, key, app_id, avatar_id, lacks=lacks, find_lacks=False)


@dataclass(slots=True)
class Bench:
    """`open` before the first trial, `close` at the end. Our Motion Server listens from `open` on where a
    relay is under test, for relays connect when they like."""

    options: Options
    unwritten: list[str] = field(default_factory=list)
    """Of each tape that could not be written, why: that costs no verdict."""
    _loop: BackgroundLoop = field(default_factory=BackgroundLoop)
    _recorder: Recorder = field(
        default_factory=lambda: Recorder(most_bytes=MOST_BYTES, most_events=MOST_EVENTS)
    )
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _motion_server: MotionServer | None = None
    _trials: dict[str, Trial[Any]] = field(default_factory=dict)
    _writer: TapeWriter | None = None
    _taping: Taping | None = None
    _deadline: float = math.inf

    def __post_init__(self) -> None:
        for secret in self.options.secrets():
            self.secrets.hide(secret)

    @property
    def secrets(self) -> KnownSecrets:
        """What stands in nothing that the run tells."""
        return self._recorder.secrets

    def open(self) -> dict[str, str]:
        """Start Motion Server where a relay is named, and return the environment that points it here.

        Raises UsageError where the port is in use, and where the tape cannot be written.
        """
        if self.options.save_tape:
            header = suite_header(self.options.seed)
            self._writer = TapeWriter(Path(self.options.save_tape), header)
            self._taping = Taping(self._writer, header)
        options = self.options
        port = options.listens_at
        if UPSTREAM in options.lacks:
            self._recorder.secret("key", options.environment.get("SPATIUS_API_KEY", ""))
        return {} if port is None else self._run(self._serve(port))

    @property
    def profile(self) -> Profile:
        """How thorough the run is."""
        return profile_named(self.options.profile)

    def trial(self, kind: str) -> Trial[Any]:
        """The trial of the `relay`, `server` or `client`; raises UsageError where it cannot be had."""
        if kind not in self._trials:
            options = self.options
            subject: Subject[Any]
            match kind:
                case "relay":
                    subject = self._run(self._relay())
                case "server":
                    subject = self._run(self._server())
                case _:
                    subject = self._run(self._client())
            if math.isinf(self._deadline):
                self._deadline = time.monotonic() + options.time_budget
            trial: Trial[Any] = Trial(
                subject,
                self._loop,
                options.seed,
                options.traces,
                self.profile.plans,
                self.profile.shrink_seconds,
                self._deadline,
                unwritten=self.unwritten,
            )
            if kind == "client":
                trial.examples, trial.shorter = self.profile.client_plans, ClientPlan.shorter
            trial.secrets = self.secrets
            trial.on_trace = self._record if self._taping is not None else None
            self._trials[kind] = trial
        return self._trials[kind]

    def close(self) -> None:
        """End everything that was started."""
        self._run(self._stack.aclose())
        self._loop.stop()
        if self._writer is not None:
            try:
                self._writer.close()
            except UsageError as error:
                self.unwritten.append(str(error))

    def _record(self, trace: Trace) -> None:
        """Put a run onto the tape that was asked for, as long as there is room for it."""
        if self._taping is None or self._writer is None:
            return
        try:
            self._taping.whole(trace)
        except UsageError as error:
            self.unwritten.append(str(error))
            self._writer.abandon()
            self._writer = self._taping = None

    async def _serve(self, port: int) -> dict[str, str]:
        server = MotionServer(port=port, seed=self.options.seed, sink=self._recorder)
        self._motion_server = await self._stack.enter_async_context(server)
        return relay_environment(server, canary_key(self.options.seed))

    async def _relay(self) -> Subject[Plan]:
        options = self.options
        url = options.target
        # The wire of the embedded relay is known, and another's is found out where it is not named.
        wire = options.wire or ("" if url else DEFAULT_WIRE)
        dialect = find_wire(wire) if wire else None
        if not url:
            await self._serve(0)
            assert self._motion_server is not None
            relay = await start_reference_relay(self._motion_server, canary_key(options.seed))
            self._stack.push_async_callback(relay.wait_closed)
            self._stack.callback(relay.close)
            url = relay_url(relay)
        process = None
        if options.attachment.command:
            port = free_port()
            url = with_port(url, port)
            process = self._process(port)
            self._stack.push_async_callback(process.stop)
        return RelaySubject(
            options.attachment.address(url),
            dialect,
            self._recorder,
            options.seed,
            options.patience,
            self._motion_server,
            options.lacks,
            process,
            turn_start(options.turn, options.turn_hook),
        )

    def _process(self, port: int) -> RelayProcess:
        options = self.options
        ours = dict(options.environment)
        if self._motion_server is not None:
            ours |= relay_environment(self._motion_server, canary_key(options.seed))
        environment = options.attachment.process_environment(ours, port)
        return RelayProcess(with_port(options.attachment.command, port), environment)

    async def _client(self) -> Subject[ClientPlan]:
        options = self.options
        testee: Testee
        if not options.client:
            testee = InProcessTestee()
        elif options.client.startswith(_SOCKET_SCHEMES):
            testee = SocketTestee(options.client)
            await testee.listen()
            self._stack.push_async_callback(testee.stop)
        else:
            testee = StdioTestee(options.client)
        self._stack.push_async_callback(testee.close)
        target = shown_subject(options.client) or OUR_OWN
        return ClientSubject(testee, target, options.seed, options.patience.attach)

    async def _server(self) -> Subject[Plan]:
        options = self.options
        if options.server:
            place = options.place()
        else:
            key = canary_key(options.seed)
            server = MotionServer(seed=options.seed, gate=Gate(frozenset({key})))
            await self._stack.enter_async_context(server)
            place = Place(server.console_endpoint, server.ingress_endpoint, key, lacks=options.lacks)
        patience = options.patience
        if not place.find_lacks:
            patience = replace(patience, settle=max(patience.settle, _SERVICE_SETTLES_SECONDS))
        return ServerSubject(place, Recorder(secrets=self.secrets), options.seed, patience)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run(work, _START_SECONDS)


def _check_url(option: str, url: str, schemes: tuple[str, ...]) -> None:
    if not url:
        return
    try:
        parts = urlsplit(url)
        usable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        begins = " or ".join(f"{scheme}://" for scheme in schemes)
        raise UsageError(f"{option} {shown_url(url)!r}: a URL that begins with {begins} is needed")
