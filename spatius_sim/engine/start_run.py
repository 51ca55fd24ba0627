"""Starts what one run needs: the event loop, our Motion Server, and a trial for each kind of subject."""

import math
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from spatius_sim.engine.hide_option_secrets import subject_without_secrets
from spatius_sim.engine.run_profiles import Profile, profile_named
from spatius_sim.engine.run_settings import SOCKET_SCHEMES, Settings
from spatius_sim.engine.tapes.run_tape_header import suite_header
from spatius_sim.engine.trial.judge_rules import Trial, cut_down_relay_plans
from spatius_sim.files.wire_file import find_wire
from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.model.server.access_control import AccessControl
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.net.client.relay_process import RelayProcess
from spatius_sim.net.client.testee_connection import SocketTestee, StdioTestee, Testee
from spatius_sim.net.ports_and_hosts import free_port
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.client_plan import ClientPlan
from spatius_sim.plans.plan import Plan
from spatius_sim.plans.room_plan import RoomPlan
from spatius_sim.protocol.environment_variables import API_KEY_VARIABLE
from spatius_sim.protocol.errors import UsageError
from spatius_sim.subjects.client_subject import OUR_OWN, ClientSubject, InProcessTestee
from spatius_sim.subjects.embed_reference_relay import embed_reference_relay, relay_url
from spatius_sim.subjects.livekit_agent import AgentSubject
from spatius_sim.subjects.livekit_server import import_room_watcher
from spatius_sim.subjects.relay.connect_to_relay import RelayAccess
from spatius_sim.subjects.relay.relay_options import with_port
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.relay.room_access import RelayInRoom
from spatius_sim.subjects.relay.start_turns import read_turn_start
from spatius_sim.subjects.room_subject import RoomSubject
from spatius_sim.subjects.server_access import ServerOverSockets
from spatius_sim.subjects.server_sessions import ServerAddress
from spatius_sim.subjects.server_subject import ServerSubject
from spatius_sim.subjects.subject_base import Subject, WorkLoop, canary_key, relay_environment
from spatius_sim.subjects.virtual_rooms import make_virtual_room_subject
from spatius_sim.tape.traces_on_tapes import TapeRecorder
from spatius_sim.tape.writer import TapeWriter
from spatius_sim.trace.events import Trace
from spatius_sim.trace.known_secrets import KnownSecrets
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets
from spatius_sim.virtual.virtual_loop import VirtualLoop
from spatius_sim.wires.optional_features import UPSTREAM

T = TypeVar("T")

DEFAULT_WIRE = "json-envelope"
MAX_BYTES = 256_000_000
MAX_EVENTS = 300_000
"""The most that one scenario of a relay may record; the largest planned one stays below a tenth of this."""

OUR_ROOM = "our Motion Server in a room in virtual time"
_KINDS_OF_TURNS = ("relay", "server")
_START_SECONDS = 30.0
_SERVICE_SETTLES_SECONDS = 15.0
"""How long a real service, which is far away, may be silent before what is missing counts as missing.
ASSUMED."""


@dataclass(slots=True)
class Run:
    """Everything that one run starts: call `open` before the first trial, and `close` at the end. If a relay
    is judged, our Motion Server listens from `open` on, because relays connect when they like."""

    settings: Settings
    unwritten: list[str] = field(default_factory=list)
    """Why each tape could not be written, if any; this costs no verdict."""
    shows_pictures: bool = False
    """Whether a report is written in which failures can be looked at."""
    plan_is_named: bool = False
    """Whether the user named the one plan to be run. It is not cut down then."""
    _loop: BackgroundLoop = field(default_factory=BackgroundLoop)
    _recorder: RealTimeRecorder = field(
        default_factory=lambda: RealTimeRecorder(max_bytes=MAX_BYTES, max_events=MAX_EVENTS)
    )
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _motion_server: MotionServer | None = None
    _trials: dict[str, Trial[Any]] = field(default_factory=dict)
    _writer: TapeWriter | None = None
    """Writes the run's tape; None if the user asked for no tape, or if the tape could not be written."""
    _taping: TapeRecorder | None = None
    """Records traces by the writer; None if there is no writer."""
    _deadline: float = math.inf

    def __post_init__(self) -> None:
        for secret in self.settings.secrets():
            self.secrets.hide(secret)

    @property
    def secrets(self) -> KnownSecrets:
        """The secrets that must not stand in anything that the run shows or writes."""
        return self._recorder.secrets

    def open(self) -> dict[str, str]:
        """Start the run: start what it needs before its first trial. That is the tape, if the user asked for
        one, and our Motion Server, if a relay connects to it. Return the environment variables that point a
        relay at this server; none if it was not started. If the relay talks to another Motion Server than
        ours, the user's own API key is a secret that the run looks for.

        Raises UsageError if the port is in use, or if the tape cannot be written."""
        settings = self.settings
        if settings.save_tape:
            header = suite_header(settings.seed)
            self._writer = TapeWriter(Path(settings.save_tape), header)
            self._taping = TapeRecorder(self._writer, header)
        port = settings.motion_server_port
        if UPSTREAM in settings.lacks:
            self._recorder.secret_reference("key", settings.environment.get(API_KEY_VARIABLE, ""))
        return {} if port is None else self._wait_for(self._start_motion_server(port))

    @property
    def profile(self) -> Profile:
        """How thorough the run is."""
        return profile_named(self.settings.profile)

    @property
    def unknown_path(self) -> str:
        """Method and path of the first request in this run that asked our Motion Server for a path that it
        does not have; "" if there was none."""
        unknown_requests = self._motion_server.unknown_paths if self._motion_server is not None else []
        return unknown_requests[0] if unknown_requests else ""

    @property
    def inspector_url(self) -> str:
        """The URL of the page that shows the sessions of our Motion Server, with its token if other machines
        can reach the port; "" if it does not listen."""
        return self._motion_server.inspector_url if self._motion_server is not None else ""

    def trial_for(self, kind: str) -> Trial[Any]:
        """Return the trial of this kind of subject: `relay`, `server`, `client` or `room`. The first call
        starts or attaches the subject; raises UsageError if that fails."""
        if kind not in self._trials:
            settings = self.settings
            subject: Subject[Any]
            loop: WorkLoop = self._loop
            match kind:
                case "relay":
                    subject = self._wait_for(self._make_relay())
                case "server":
                    subject = self._wait_for(self._make_server())
                case "room":
                    subject, loop = self._make_room_subject()
                case _:
                    subject = self._wait_for(self._make_client())
            if math.isinf(self._deadline):
                self._deadline = time.monotonic() + settings.time_budget
            trial: Trial[Any] = Trial(
                subject,
                loop,
                settings.seed,
                settings.traces,
                self.profile.plans,
                self.profile.shrink_seconds,
                deadline=self._deadline,
                unwritten=self.unwritten,
            )
            if kind == "client":
                trial.examples = self.profile.client_plans
                if not self.plan_is_named:
                    trial.list_shorter = ClientPlan.shorter_plans
            elif kind == "relay" and not self.plan_is_named:
                cut_down_relay_plans(trial)
            if self.shows_pictures:
                trial.make_longer = Plan.with_ordinary_length if kind in _KINDS_OF_TURNS else _nothing_longer
            trial.secrets = self.secrets
            trial.on_trace = self._record_trace if self._taping is not None else None
            self._trials[kind] = trial
        return self._trials[kind]

    def close(self) -> None:
        """End everything that this run has started: its subjects, its Motion Server, its event loop and its
        tape. If the tape cannot be finished, do not raise, but append the reason to `unwritten`."""
        self._wait_for(self._stack.aclose())
        self._loop.stop()
        if self._writer is not None:
            try:
                self._writer.close()
            except UsageError as error:
                self.unwritten.append(str(error))

    def _record_trace(self, trace: Trace) -> None:
        """Write a trace onto the tape that this run started, if there is one. If that fails, append the error
        to `unwritten`, and close the tape: later traces are not written."""
        if self._taping is None or self._writer is None:
            return
        try:
            self._taping.record_trace(trace)
        except UsageError as error:
            self.unwritten.append(str(error))
            self._writer.abandon()
            self._writer = self._taping = None

    async def _start_motion_server(self, port: int) -> dict[str, str]:
        """Start our Motion Server for this run at this port (0 is any free port). Return the environment
        variables that give a relay its URLs and its API key, which the kit makes up to notice if it leaks."""
        server = MotionServer(
            port=port,
            host=self.settings.motion_host,
            seed=self.settings.seed,
            sink=self._recorder,
            judges=True,
        )
        self._motion_server = await self._stack.enter_async_context(server)
        return relay_environment(server, canary_key(self.settings.seed))

    async def _make_relay(self) -> Subject[Plan]:
        """Return the relay that the settings of the run name, not attached yet; if they name none, start
        the reference relay."""
        settings = self.settings
        url = settings.target
        # The wire of the embedded relay is known, and another's is found out if it is not named.
        wire = settings.wire or ("" if url else DEFAULT_WIRE)
        spoken_wire = find_wire(wire) if wire else None
        if not url:
            await self._start_motion_server(0)
            assert self._motion_server is not None
            relay = await embed_reference_relay(self._motion_server, canary_key(settings.seed))
            self._stack.push_async_callback(relay.wait_closed)
            self._stack.callback(relay.close)
            url = relay_url(relay)
        process, turn = None, settings.turn
        if settings.relay_start.command:
            port = free_port()
            url, turn = with_port(url, port), with_port(turn, port)
            process = self._make_relay_process(port)
            self._stack.push_async_callback(process.stop)
        return RelaySubject(
            settings.relay_start.address(url),
            spoken_wire,
            self._recorder,
            settings.seed,
            settings.patience,
            self._motion_server,
            settings.lacks,
            process,
            read_turn_start(turn, settings.turn_hook),
            self._make_room_access(),
        )

    def _make_room_access(self) -> RelayAccess | None:
        """Return how clients reach the relay under test if it publishes audio and motion into a LiveKit room.
        Return None if the relay is not in a room. Raises UsageError if the room has no name, or if the
        settings for LiveKit are wrong."""
        room_target = self.settings.room_target
        if room_target is None:
            return None
        import_room_watcher()  # Raises UsageError if the packages for rooms are not installed.
        return RelayInRoom(self.settings.livekit_access(), *room_target)

    def _make_relay_process(self, port: int) -> RelayProcess:
        """Return the process that this run will start for the relay under test: the user's command, with
        `{port}` in it filled in. Its environment variables point the relay at our Motion Server and at its
        LiveKit room, if the run has these."""
        settings = self.settings
        variables = dict(settings.environment)
        if self._motion_server is not None:
            variables |= relay_environment(self._motion_server, canary_key(settings.seed))
        if settings.room_target is not None:
            livekit = settings.livekit_access()
            variables |= livekit.environment_variables | {"LIVEKIT_ROOM": settings.room_target[1]}
        environment = settings.relay_start.process_environment(variables, port)
        return RelayProcess(with_port(settings.relay_start.command, port), environment)

    async def _make_client(self) -> Subject[ClientPlan]:
        """Return the client under test as a subject: our own client, or the one that the settings name. That
        is a command to start, or a ws:// address where the client connects to us; we listen there from now
        on."""
        settings = self.settings
        testee: Testee
        if not settings.client:
            testee = InProcessTestee()
        elif settings.client.startswith(SOCKET_SCHEMES):
            testee = SocketTestee(settings.client)
            await testee.listen()
            self._stack.push_async_callback(testee.stop)
        else:
            testee = StdioTestee(settings.client)
        self._stack.push_async_callback(testee.close)
        target = subject_without_secrets(settings.client) or OUR_OWN
        return ClientSubject(testee, target, settings.seed, settings.patience.attach)

    async def _make_server(self) -> Subject[Plan]:
        """Return the Motion Server under test as a subject: the server that the settings name, or our own
        mock. The mock is started here, and stopped at the end of the run. A real service, which is no mock,
        may stay silent for longer."""
        settings = self.settings
        if settings.server:
            address = settings.server_address()
        else:
            key = canary_key(settings.seed)
            server = SocketMotionServer(seed=settings.seed, access=AccessControl(frozenset({key})))
            await self._stack.enter_async_context(server)
            address = ServerAddress(
                server.console_endpoint, server.ingress_endpoint, key, lacks=settings.lacks
            )
        patience = settings.patience
        if not address.find_lacks:
            patience = replace(patience, settle=max(patience.settle, _SERVICE_SETTLES_SECONDS))
        return ServerSubject(address, RealTimeRecorder(secrets=self.secrets), settings.seed, patience)

    def _make_room_subject(self) -> tuple[Subject[RoomPlan], WorkLoop]:
        """Return the subject in a room, and the loop that runs it: the agent or the Motion Server that the
        settings of the run name, in real rooms; if they name none, our own server in rooms in virtual time.
        """
        settings = self.settings
        if not (settings.server or settings.agent_cmd):
            loop = VirtualLoop()
            self._stack.callback(loop.stop)
            return make_virtual_room_subject(loop, OUR_ROOM, settings.seed, secrets=self.secrets), loop
        livekit = settings.livekit_access()
        recorder = RealTimeRecorder(secrets=self.secrets, max_bytes=MAX_BYTES, max_events=MAX_EVENTS)
        if settings.agent_cmd:
            key = canary_key(settings.seed)
            subject: Subject[RoomPlan] = AgentSubject(
                settings.agent_cmd, livekit, recorder, key, seed=settings.seed, lacks=settings.lacks
            )
            return subject, self._loop
        address = settings.server_address()
        subject = RoomSubject(
            url_without_secrets(address.ingress),
            ServerOverSockets(address.console, address.ingress),
            import_room_watcher().LiveRoomWatch(recorder, livekit.key, livekit.secret),
            recorder,
            livekit.configure_new_room,
            address.api_key,
            (address.app_id, address.avatar_id),
            lacks=tuple(dict.fromkeys((*settings.lacks, UPSTREAM))),
            seed=settings.seed,
            attach_seconds=settings.patience.attach,
        )
        return subject, self._loop

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Run the work in the event loop of this run, and return its result."""
        return self._loop.run(work, _START_SECONDS)


def _nothing_longer(plan: object) -> None:
    """Return None: no longer plan shows a failure of a client or in a room. The first failing calls of a
    client are shown beside the fewest, and speech in a room has ordinary length already."""
