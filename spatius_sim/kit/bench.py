"""The test bench of one run: the event loop, our Motion Server, and a trial for each kind of subject."""

import shlex
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from spatius_sim.dialects import dialect_named
from spatius_sim.kit.background_loop import BackgroundLoop
from spatius_sim.kit.embedded import relay_url, start_reference_relay
from spatius_sim.kit.subjects import (
    Patience,
    RelaySubject,
    ServerSubject,
    Subject,
    canary_key,
    relay_environment,
)
from spatius_sim.kit.trial import PLANS_FOR_A_RULE, Trial, suite_header
from spatius_sim.net.motion_server import MotionServer
from spatius_sim.net.recorder import Recorder
from spatius_sim.protocol.console import CONSOLE_ROOT, INGRESS_ROOT
from spatius_sim.protocol.errors import UsageError
from spatius_sim.tape.taping import Taping
from spatius_sim.tape.writer import TapeWriter

T = TypeVar("T")

DEFAULT_MOTION_PORT = 8700
DEFAULT_WIRE = "json-envelope"
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for. `target` is a relay's URL, `server` a Motion Server's; where both are ""
    the embedded subjects are judged."""

    target: str = ""
    server: str = ""
    wire: str = DEFAULT_WIRE
    motion_port: int = DEFAULT_MOTION_PORT
    seed: int = 1
    patience: Patience = field(default_factory=Patience)
    traces: Path = Path("reports")
    examples: int = PLANS_FOR_A_RULE
    save_tape: str = ""

    def as_arguments(self) -> str:
        """The options of pytest that name the same subject and the same scenarios."""
        named = {"--target": self.target, "--server": self.server}
        arguments = [f"{option}={shlex.quote(url)}" for option, url in named.items() if url]
        if self.motion_port != DEFAULT_MOTION_PORT:
            arguments.append(f"--motion-port={self.motion_port}")
        if self.wire != DEFAULT_WIRE:
            arguments.append(f"--wire={shlex.quote(self.wire)}")
        return " ".join([*arguments, f"--seed={self.seed}"])

    def check(self) -> None:
        """Raises UsageError for what cannot be."""
        dialect_named(self.wire)
        _check_url("--target", self.target, ("ws", "wss"))
        _check_url("--server", self.server, ("http", "https"))
        if self.target and self.server:
            raise UsageError("--target and --server name two subjects: judge one in a run")


@dataclass(slots=True)
class Bench:
    """`open` before the first trial, `close` at the end. Our Motion Server listens from `open` on where a
    relay is under test, for relays connect when they like."""

    options: Options
    _loop: BackgroundLoop = field(default_factory=BackgroundLoop)
    _recorder: Recorder = field(default_factory=Recorder)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _motion_server: MotionServer | None = None
    _trials: dict[str, Trial] = field(default_factory=dict)
    _writer: TapeWriter | None = None
    _taping: Taping | None = None

    def open(self) -> dict[str, str]:
        """Start Motion Server where a relay is named, and return the environment that points it here.

        Raises UsageError where the port is in use, and where the tape cannot be written.
        """
        if self.options.save_tape:
            header = suite_header(self.options.seed)
            self._writer = TapeWriter(Path(self.options.save_tape), header)
            self._taping = Taping(self._writer, header)
        return self._run(self._serve(self.options.motion_port)) if self.options.target else {}

    def trial(self, kind: str) -> Trial:
        """The trial of the `relay` or of the `server`; raises UsageError where it cannot be had."""
        if kind not in self._trials:
            subject = self._run(self._relay() if kind == "relay" else self._server())
            options = self.options
            self._trials[kind] = Trial(subject, self._loop, options.seed, options.traces, options.examples)
            self._trials[kind].on_trace = self._taping.whole if self._taping is not None else None
        return self._trials[kind]

    def close(self) -> None:
        """End everything that was started."""
        self._run(self._stack.aclose())
        self._loop.stop()
        if self._writer is not None:
            self._writer.close()

    async def _serve(self, port: int) -> dict[str, str]:
        server = MotionServer(port=port, seed=self.options.seed, sink=self._recorder)
        self._motion_server = await self._stack.enter_async_context(server)
        return relay_environment(server, canary_key(self.options.seed))

    async def _relay(self) -> Subject:
        options = self.options
        dialect = dialect_named(options.wire)
        url = options.target
        if not url:
            await self._serve(0)
            assert self._motion_server is not None
            relay = await start_reference_relay(self._motion_server, canary_key(options.seed))
            self._stack.push_async_callback(relay.wait_closed)
            self._stack.callback(relay.close)
            url = relay_url(relay)
        self._recorder.dialect = dialect
        return RelaySubject(url, dialect, self._recorder, options.seed, options.patience)

    async def _server(self) -> Subject:
        options = self.options
        console, ingress = "", ""
        if options.server:
            place = urlsplit(options.server).netloc
            secure = "s" if urlsplit(options.server).scheme == "https" else ""
            console = f"http{secure}://{place}{CONSOLE_ROOT}"
            ingress = f"ws{secure}://{place}{INGRESS_ROOT}"
        else:
            server = await self._stack.enter_async_context(MotionServer(seed=options.seed))
            console, ingress = server.console_endpoint, server.ingress_endpoint
        return ServerSubject(console, ingress, Recorder(), options.seed, options.patience)

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
        raise UsageError(
            f"{option} {url!r}: a URL that begins with {' or '.join(f'{s}://' for s in schemes)} is needed"
        )
