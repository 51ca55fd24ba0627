"""The mock Motion Server as a library: it knows scenarios and paces by name, and has the control interface.

async with MotionServer(scenario="credits-exhausted") as server:
    connect_your_relay_to(server.console_endpoint, server.ingress_endpoint)
"""

import secrets
from collections.abc import Callable
from typing import Any

from aiohttp import web

from spatius_sim.mock_server.control_over_http import Control
from spatius_sim.mock_server.session_pages import PREFIX
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.model.scenario.scenario import NO_FAULTS, Scenario
from spatius_sim.model.server.response_pace import PACES, Pace
from spatius_sim.net.egress_publisher import NewPublisher
from spatius_sim.net.ports_and_hosts import LOOPBACK, host_for_urls, is_loopback_address
from spatius_sim.net.server import socket_motion_server
from spatius_sim.protocol.did_you_mean import suggest_names
from spatius_sim.protocol.environment_variables import credential_variables, endpoint_variables
from spatius_sim.protocol.errors import UsageError
from spatius_sim.protocol.video_container import Container


class MotionServer(socket_motion_server.SocketMotionServer):
    """`async with MotionServer(...) as server:` serves on 127.0.0.1 until the block ends.

    `scenario` is the name of a shipped scenario, the path of a .yaml file, or a Scenario; `pace` is `fast`,
    `realtime`, or a Pace. With `livekit`, the egress of a session joins its real LiveKit room (the extra
    `livekit` is needed) with motion in `container`, `h264-sei` or `vp8`. `judges`: whether a run
    judges a relay with this server, so that no page may play a scenario. All other keywords are
    those of SocketMotionServer (spatius_sim.net.server.socket_motion_server), such as
    `port` (0 takes a free port),
    `host`, `seed` and `access`. Raises UsageError if there is no such scenario, pace or container, or if
    the extra is missing.
    """

    def __init__(
        self,
        *,
        scenario: str | Scenario = NO_FAULTS,
        pace: str | Pace = "fast",
        livekit: bool = False,
        container: str = Container.H264_SEI,
        judges: bool = False,
        **others: Any,
    ) -> None:
        """Prepare a mock Motion Server with a control interface over HTTP; `async with` lets it listen.
        `scenario` says what goes wrong, and `pace` how fast it answers. With `livekit`, motion goes into real
        LiveKit rooms, as video of this `container`. `judges`: whether a run judges a relay with this mock
        server. Raises UsageError if no scenario, pace or container has the given name."""
        if isinstance(pace, str) and pace not in PACES:
            raise UsageError(f"no pace is named {pace!r}: {suggest_names(pace, PACES)}")
        self._judges = judges
        is_open_to_others = not is_loopback_address(others.get("host", LOOPBACK))
        self._token = secrets.token_urlsafe(16) if is_open_to_others else ""
        super().__init__(
            scenario=_find_scenario(scenario),
            pace=PACES[pace] if isinstance(pace, str) else pace,
            new_publisher=_load_publisher_factory(container, others.get("on_note")) if livekit else None,
            **others,
        )

    @property
    def control_endpoint(self) -> str:
        """The URL of the mock server's control interface."""
        return f"http://{host_for_urls(self.host)}:{self.port}{PREFIX}"

    @property
    def inspector_url(self) -> str:
        """The URL of the mock server's page that shows the sessions; with a token if other machines can reach
        the port."""
        return f"{self.control_endpoint}/" + (f"?token={self._token}" if self._token else "")

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which a relay finds the mock server."""
        return endpoint_variables(self.console_endpoint, self.ingress_endpoint)

    def relay_environment(self, api_key: str) -> dict[str, str]:
        """Return all environment variables that our reference relay reads to reach the mock server.

        Their app id and avatar id cause no faults."""
        return self.environment | credential_variables(api_key, APP_ID, AVATAR_ID)

    def play_named(self, scenario: str | Scenario) -> None:
        """Let the mock server play a scenario for all sessions that open from now on. `scenario` is the name
        of a shipped scenario, the path of a .yaml file, or a Scenario. Raises UsageError if there is no such
        scenario."""
        self.play(_find_scenario(scenario))

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the mock server's routes: those of the protocol and of the control interface."""
        super().add_routes(router)
        Control(self, self._token, plays=not self._judges).add_routes(router)


def _load_publisher_factory(container: str, on_note: Callable[[str], None] | None) -> NewPublisher:
    """Return a function that makes publishers for the mock Motion Server: a publisher sends motion into a
    real LiveKit room, in video of this `container`. `on_note` is called with a line for each thing that goes
    wrong in a room; None: nobody is told. Raises UsageError if the container is unknown, or if the extra
    `livekit` is not installed."""
    if container not in list(Container):
        raise UsageError(f"no container is named {container!r}: there are {', '.join(Container)}")
    try:
        from spatius_sim.net.room.room_publisher import make_publisher_factory
    except ImportError as error:
        error_text = f"real LiveKit rooms need more packages ({error}): pip install 'spatius-sim[livekit]'"
        raise UsageError(error_text) from error
    return make_publisher_factory(Container(container), on_note or _ignore_note)


def _ignore_note(note: str) -> None:
    """Ignore a note of the mock server: its user gave no `on_note`."""


def _find_scenario(scenario: str | Scenario) -> Scenario:
    """Return the scenario that `scenario` names or is: the name of a shipped scenario, the path of a .yaml
    file, or a Scenario itself. Raises UsageError if there is no such scenario."""
    if isinstance(scenario, Scenario):
        return scenario
    if scenario == NO_FAULTS.name:
        return NO_FAULTS
    from spatius_sim.files.scenario_file import find_scenario  # Loads YAML, which most servers never need.

    return find_scenario(scenario)
