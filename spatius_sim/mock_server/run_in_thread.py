"""Runs the mock Motion Server in its own thread, for synchronous tests and for tests in any event loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from spatius_sim.mock_server.mock_motion_server import MotionServer
from spatius_sim.model.scenario.scenario import Scenario
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.net.server.session_log import SessionRecord

_LONGEST_CALL_SECONDS = 30.0


class RunningMotionServer:
    """The value of the fixture `motion_server`: the server's endpoints, and methods for tests."""

    def __init__(self, server: MotionServer, loop: BackgroundLoop) -> None:
        """Wrap a mock Motion Server for synchronous tests. The server runs in another thread, in the event
        loop `loop`."""
        self._server, self._loop = server, loop
        self.port = server.port
        self.console_endpoint = server.console_endpoint
        self.ingress_endpoint = server.ingress_endpoint
        self.control_endpoint = server.control_endpoint
        self.environment = server.environment
        """The environment variables by which a relay finds the endpoints."""

    def play(self, scenario: str | Scenario) -> None:
        """Let the mock server play a scenario for all sessions that open from now on.

        `scenario` is the name of a shipped scenario, the path of a .yaml file, or a Scenario. Raises
        UsageError if there is no such scenario."""

        async def play_in_server_thread() -> None:
            self._server.play_named(scenario)

        self._loop.run(play_in_server_thread(), _LONGEST_CALL_SECONDS)

    def sessions(self) -> list[SessionRecord]:
        """Return the records of all sessions of the mock server: first those that have ended, then those that
        are open."""

        async def list_sessions() -> list[SessionRecord]:
            return [*self._server.journal.past_sessions, *self._server.journal.open_sessions.values()]

        return self._loop.run(list_sessions(), _LONGEST_CALL_SECONDS)

    def die(self) -> None:
        """Abort every open connection of the mock server, as a crashing server would."""

        async def abort_connections() -> None:
            self._server.die()

        self._loop.run(abort_connections(), _LONGEST_CALL_SECONDS)

    def reset(self) -> None:
        """Close and forget all sessions of the running mock server, and play the first scenario again, as
        after the start."""
        self._loop.run(self._server.reset(), _LONGEST_CALL_SECONDS)


@contextmanager
def run_motion_server_in_thread(**options: Any) -> Iterator[RunningMotionServer]:
    """Run a mock Motion Server in a thread of its own while the context is open, and yield it. `options` are
    the keyword arguments of MotionServer. Raises UsageError if an option is wrong."""
    loop = BackgroundLoop()
    server = MotionServer(**options)
    try:
        loop.run(server.__aenter__(), _LONGEST_CALL_SECONDS)
        try:
            yield RunningMotionServer(server, loop)
        finally:
            loop.run(server.__aexit__(None, None, None), _LONGEST_CALL_SECONDS)
    finally:
        loop.stop()
