"""The control interface of the simulator: HTTP and JSON under one prefix, beside the protocol.

control_openapi.json describes it. The interface answers only on the loopback interface, and only to requests
whose Host, and Origin if there is one, name this machine: so no web page can reach it. If the server listens
for other machines too, whoever has the token of the page's URL is answered as well."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from aiohttp import web

from spatius_sim.mock_server.session_pages import Handler, Route, SessionPages, answer_json
from spatius_sim.model.scenario.scenario import NO_FAULTS, Scenario
from spatius_sim.net.server.one_port_server import read_body
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.protocol.errors import UsageError

OPENAPI = Path(__file__).with_name("control_openapi.json")


class Control(SessionPages):
    """Answers the requests to the mock server's control interface."""

    def __init__(self, server: SocketMotionServer, token: str = "", *, plays: bool = True) -> None:
        """Prepare the control interface of this mock server. `token` lets other machines ask; "" lets none.
        `plays`: whether scenarios and reset are allowed."""
        super().__init__(server.journal, token, plays=plays)
        self._server = server

    def routes(self) -> list[Route]:
        """Return the HTTP routes of the mock server's control interface: the method, path and handler of
        each. They show sessions, rooms and scenarios. They also set the scenario and reset the server, unless
        a run judges a relay with it."""
        return [
            *super().routes(),
            ("GET", "/openapi.json", self._answer_openapi),
            ("GET", "/rooms", self._list_rooms),
            ("GET", "/scenarios", self._list_scenarios),
            ("GET", "/scenario", self._answer_scenario),
            ("PUT", "/scenario", self._unless_judging(self._play_scenario)),
            ("DELETE", "/scenario", self._unless_judging(self._play_no_faults)),
            ("POST", "/reset", self._unless_judging(self._reset_server)),
        ]

    def _unless_judging(self, handler: Handler) -> Handler:
        """Return this handler if pages may change what the mock server plays. While a run judges a relay with
        the server, return a handler that answers 409 instead."""
        return handler if self.plays else _refuse_while_judging

    async def _answer_openapi(self, request: web.Request) -> web.StreamResponse:
        """Answer with the OpenAPI description of the control interface."""
        return web.Response(text=OPENAPI.read_text(), content_type="application/json")

    async def _list_rooms(self, request: web.Request) -> web.StreamResponse:
        """Answer with all rooms of the mock server, by name."""
        return answer_json({name: asdict(room) for name, room in self._server.rooms.by_name.items()})

    async def _list_scenarios(self, request: web.Request) -> web.StreamResponse:
        """Answer with all scenarios that the mock server can play by name."""
        from spatius_sim.files.scenario_file import shipped_scenarios  # Loads YAML.

        return answer_json([_describe_scenario(scenario) for scenario in (NO_FAULTS, *shipped_scenarios())])

    async def _answer_scenario(self, request: web.Request) -> web.StreamResponse:
        """Answer with the scenario that the mock server plays now."""
        return answer_json(_describe_scenario(self._server.scenario))

    async def _play_scenario(self, request: web.Request) -> web.StreamResponse:
        """Answer an HTTP request that names or holds a scenario: let the mock server play the scenario, and
        answer with it. Answer 400 if there is no such scenario."""
        try:
            self._server.play(_read_requested_scenario(await read_body(request)))
        except UsageError as error:
            return answer_json({"error": str(error)}, 400)
        return await self._answer_scenario(request)

    async def _play_no_faults(self, request: web.Request) -> web.StreamResponse:
        """Let the mock server play no faults from now on, and answer with this scenario."""
        self._server.play(NO_FAULTS)
        return await self._answer_scenario(request)

    async def _reset_server(self, request: web.Request) -> web.StreamResponse:
        """Reset the mock server, and answer with the scenario that it plays then."""
        await self._server.reset()
        return await self._answer_scenario(request)


def _read_requested_scenario(body: bytes) -> Scenario:
    """Return the scenario for which the JSON body of an HTTP request asks: `{"name": ...}` names a scenario,
    and `{"yaml": ...}` holds one as YAML. Raises UsageError if the body is anything else, or if the scenario
    is unknown or malformed."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is not JSON") from error
    from spatius_sim.files.scenario_file import parse_scenario, shipped_scenario  # Loads YAML.

    match document:
        case {"name": str(name)} if len(document) == 1:
            return NO_FAULTS if name == NO_FAULTS.name else shipped_scenario(name)
        case {"yaml": str(text)} if len(document) == 1:
            return parse_scenario(text.encode(errors="replace"), "yaml", "from the control interface")
        case _:
            raise UsageError('the body must be {"name": ...} or {"yaml": ...}')


async def _refuse_while_judging(request: web.Request) -> web.StreamResponse:
    """Answer an HTTP request to the control interface with 409. A run judges a relay with this mock server
    now, so only the run may choose the scenario."""
    return answer_json(
        {"error": "a run judges a relay with this server, and says itself what goes wrong"}, 409
    )


def _describe_scenario(scenario: Scenario) -> dict[str, Any]:
    """Return what the control interface tells about a scenario: its name, its description and the number of
    its faults."""
    return {"name": scenario.name, "about": scenario.about, "faults": len(scenario.faults)}
