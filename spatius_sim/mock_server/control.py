"""The control interface of the simulator: HTTP and JSON under one prefix, beside the protocol.

It is described in control_openapi.json. It answers on the loopback interface only, and only to requests
whose Host, and whose Origin where there is one, are this machine's: no web page can reach it.
"""

import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from aiohttp import web

from spatius_sim.files.scenario_file import parse_scenario, shipped_scenario, shipped_scenarios
from spatius_sim.model.scenario.scenario import NO_FAULTS, Scenario
from spatius_sim.net.server.motion_server import MotionServerShell
from spatius_sim.net.server.one_port import body_of
from spatius_sim.net.server.session_log import Entry, SessionRecord
from spatius_sim.protocol.errors import UsageError
from spatius_sim.trace.events import Lane
from spatius_sim.trace.reading import read_upstream
from spatius_sim.trace.secret_places import texts_without_secrets

PREFIX = "/_sim"
OPENAPI = Path(__file__).with_name("control_openapi.json")

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The handlers."""

    def __init__(self, server: MotionServerShell) -> None:
        self._server = server

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Put them under the prefix."""
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/openapi.json", self._openapi),
            ("GET", "/sessions", self._sessions),
            ("GET", "/sessions/{session}", self._session),
            ("GET", "/sessions/{session}/trace", self._trace),
            ("GET", "/rooms", self._rooms),
            ("GET", "/scenarios", self._scenarios),
            ("GET", "/scenario", self._scenario),
            ("PUT", "/scenario", self._play),
            ("DELETE", "/scenario", self._play_nothing),
            ("POST", "/reset", self._reset),
        ]
        for method, path, handler in routes:
            router.add_route(method, PREFIX + path, _guarded(handler))

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=OPENAPI.read_text(), content_type="application/json")

    async def _sessions(self, request: web.Request) -> web.StreamResponse:
        journal = self._server.journal
        return _answer(
            {
                "open": [self._told(record) for record in journal.open.values()],
                "past": [self._told(record) for record in journal.past],
            }
        )

    async def _session(self, request: web.Request) -> web.StreamResponse:
        record = self._server.journal.session(request.match_info["session"])
        return _unknown("session") if record is None else _answer(self._told(record))

    def _told(self, record: SessionRecord) -> dict[str, Any]:
        return asdict(texts_without_secrets(record, self._server.journal.secrets))

    async def _trace(self, request: web.Request) -> web.StreamResponse:
        journal = self._server.journal
        record = journal.session(request.match_info["session"])
        if record is None:
            return _unknown("session")
        raw = request.query.get("raw") == "1"
        events = [_event(entry, raw=raw) for entry in journal.trace(record.name)]
        return _answer({"session": record.name, "whole": journal.is_whole(record.name), "events": events})

    async def _rooms(self, request: web.Request) -> web.StreamResponse:
        return _answer({name: asdict(room) for name, room in self._server.rooms.by_name.items()})

    async def _scenarios(self, request: web.Request) -> web.StreamResponse:
        return _answer([_brief(scenario) for scenario in (NO_FAULTS, *shipped_scenarios())])

    async def _scenario(self, request: web.Request) -> web.StreamResponse:
        return _answer(_brief(self._server.scenario))

    async def _play(self, request: web.Request) -> web.StreamResponse:
        try:
            self._server.play(_asked_scenario(await body_of(request)))
        except UsageError as error:
            return _answer({"error": str(error)}, 400)
        return await self._scenario(request)

    async def _play_nothing(self, request: web.Request) -> web.StreamResponse:
        self._server.play(NO_FAULTS)
        return await self._scenario(request)

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        await self._server.reset()
        return await self._scenario(request)


def _asked_scenario(body: bytes) -> Scenario:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is not JSON") from error
    match asked:
        case {"name": str(name)} if len(asked) == 1:
            return NO_FAULTS if name == NO_FAULTS.name else shipped_scenario(name)
        case {"yaml": str(text)} if len(asked) == 1:
            return parse_scenario(text.encode(errors="replace"), "yaml", "from the control interface")
        case _:
            raise UsageError('the body must be {"name": ...} or {"yaml": ...}')


def _guarded(handler: Handler) -> Handler:
    async def checked(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        hosts = [f"//{request.headers.get('Host', '')}", *([origin] if origin is not None else [])]
        if not all(_is_loopback(host) for host in hosts):
            return _answer({"error": "only this machine may ask: Host or Origin is another's"}, 403)
        return await handler(request)

    return checked


def _is_loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _LOOPBACK_NAMES
    except ValueError:
        return False


def _brief(scenario: Scenario) -> dict[str, Any]:
    return {"name": scenario.name, "about": scenario.about, "faults": len(scenario.faults)}


def _event(entry: Entry, *, raw: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"at_ns": entry.at_ns, "lane": str(entry.lane)}
    if isinstance(entry.what, str | bytes):
        data = entry.what.encode() if isinstance(entry.what, str) else entry.what
        told |= {
            "event": "sent" if entry.sent else "received",
            "bytes": len(data),
            "message": _plain(read_upstream(entry.what)),
        }
    else:
        data = getattr(entry.what, "raw", b"") if entry.lane is Lane.EGRESS else b""
        told |= {"event": type(entry.what).__name__.lower(), **_plain(entry.what)}
    return told | {"raw": b64encode(data).decode()} if raw and data else told


def _plain(value: Any) -> Any:
    """As JSON can say it: bytes and keyframes by their number, a message by its type and its fields."""
    match value:
        case bytes():
            return f"{len(value)} bytes"
        case np.ndarray():
            return f"{len(value)} keyframes"
        case Enum():
            return value.value
        case tuple():
            return [_plain(part) for part in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            inside = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
            return {"type": type(value).__name__} | inside
        case _:
            return value


def _unknown(kind: str) -> web.Response:
    return _answer({"error": f"no such {kind}"}, 404)


def _answer(value: Any, status: int = 200) -> web.Response:
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})
