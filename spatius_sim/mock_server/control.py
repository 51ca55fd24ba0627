"""The control interface of the simulator: HTTP and JSON under one prefix, beside the protocol.

control_openapi.json describes it. The interface answers only on the loopback interface, and only to requests
whose Host, and Origin if there is one, name this machine: so no web page can reach it. If the server listens
for other machines too, whoever has the token of the page's URL is answered as well."""

import json
import secrets
import time
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
from spatius_sim.net.listening import is_this_machine
from spatius_sim.net.server.motion_server import MotionServerShell
from spatius_sim.net.server.one_port import body_of, refuse_expectation
from spatius_sim.net.server.session_log import Entry, SessionLog, SessionRecord
from spatius_sim.protocol.errors import UsageError
from spatius_sim.trace.events import Lane
from spatius_sim.trace.reading import read_upstream
from spatius_sim.trace.secret_places import texts_without_secrets

PREFIX = "/_sim"
OPENAPI = Path(__file__).with_name("control_openapi.json")
MAX_LISTED = 100
"""So many sessions are on a page; the search finds the others."""

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """Answers the requests of the control interface."""

    def __init__(self, server: MotionServerShell, token: str = "", *, plays: bool = True) -> None:
        """`token` lets other machines ask; "" lets none. `plays`: whether scenarios and reset are allowed."""
        self._server, self._token, self._plays = server, token, plays

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of the control interface, all under PREFIX."""
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/", self._inspector),
            ("GET", "/openapi.json", self._openapi),
            ("GET", "/page", self._page),
            ("GET", "/sessions", self._list_sessions),
            ("GET", "/sessions/{session}", self._get_session),
            ("GET", "/sessions/{session}/trace", self._trace),
            ("GET", "/sessions/{session}/player", self._player),
            ("GET", "/sessions/{session}/tape", self._tape),
            ("GET", "/rooms", self._list_rooms),
            ("GET", "/scenarios", self._scenarios),
            ("GET", "/scenario", self._scenario),
            ("PUT", "/scenario", self._unless_judging(self._play)),
            ("DELETE", "/scenario", self._unless_judging(self._play_nothing)),
            ("POST", "/reset", self._unless_judging(self._reset)),
        ]
        for method, path, handler in routes:
            guarded = _guard(handler, self._token)
            router.add_route(method, PREFIX + path, guarded, expect_handler=refuse_expectation)

    def _unless_judging(self, handler: Handler) -> Handler:
        """Return a handler that answers 409 while a run judges a relay with this server: the run alone says
        what goes wrong."""
        return handler if self._plays else _refuse_while_judging

    async def _inspector(self, request: web.Request) -> web.StreamResponse:
        """Answer with a page that shows the sessions while they happen. It may ask this server only."""
        from spatius_sim.reporting.player.page import inspector_page

        page, policy = inspector_page()
        headers = {
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
        }
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """Answer with what the page lists: the newest sessions in which the text `search` occurs."""
        listed = list_sessions(self._server.journal, request.query.get("search", ""))
        return _answer_json(listed | {"server": {"plays": self._plays}})

    async def _player(self, request: web.Request) -> web.StreamResponse:
        """Answer with the data of the player of the session that the path names."""
        from spatius_sim.mock_server.session_views import live_player

        journal = self._server.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        return _answer_json(live_player(journal.trace(record.name), time.monotonic_ns()))

    async def _tape(self, request: web.Request) -> web.StreamResponse:
        """Answer with the tape of the session that the path names."""
        from spatius_sim.mock_server.session_views import tape_of

        journal = self._server.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f"attachment; filename={record.name}.tape",
        }
        tape = tape_of(journal.trace(record.name))
        return web.Response(body=tape, content_type="application/octet-stream", headers=headers)

    async def _openapi(self, request: web.Request) -> web.StreamResponse:
        """Answer with the OpenAPI description of this interface."""
        return web.Response(text=OPENAPI.read_text(), content_type="application/json")

    async def _list_sessions(self, request: web.Request) -> web.StreamResponse:
        """Answer with the open and the past sessions."""
        journal = self._server.journal
        return _answer_json(
            {
                "open": [self._describe_session(record) for record in journal.open.values()],
                "past": [self._describe_session(record) for record in journal.past],
            }
        )

    async def _get_session(self, request: web.Request) -> web.StreamResponse:
        """Answer with the session that the path names, or 404."""
        record = self._server.journal.find_session(request.match_info["session"])
        return _answer_unknown("session") if record is None else _answer_json(self._describe_session(record))

    def _describe_session(self, record: SessionRecord) -> dict[str, Any]:
        """Return the fields of a session, without secrets."""
        return asdict(texts_without_secrets(record, self._server.journal.secrets))

    async def _trace(self, request: web.Request) -> web.StreamResponse:
        """Answer with the events of the session that the path names; with `raw=1` also their bytes."""
        journal = self._server.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        raw = request.query.get("raw") == "1"
        events = [_event_to_json(entry, raw=raw) for entry in journal.trace(record.name)]
        return _answer_json(
            {"session": record.name, "whole": journal.is_whole(record.name), "events": events}
        )

    async def _list_rooms(self, request: web.Request) -> web.StreamResponse:
        """Answer with all rooms by name."""
        return _answer_json({name: asdict(room) for name, room in self._server.rooms.by_name.items()})

    async def _scenarios(self, request: web.Request) -> web.StreamResponse:
        """Answer with all scenarios that can be played by name."""
        return _answer_json([_describe_scenario(scenario) for scenario in (NO_FAULTS, *shipped_scenarios())])

    async def _scenario(self, request: web.Request) -> web.StreamResponse:
        """Answer with the scenario that is played now."""
        return _answer_json(_describe_scenario(self._server.scenario))

    async def _play(self, request: web.Request) -> web.StreamResponse:
        """Play the scenario that the body names or holds, and answer with it; 400 if there is none."""
        try:
            self._server.play(_read_scenario(await body_of(request)))
        except UsageError as error:
            return _answer_json({"error": str(error)}, 400)
        return await self._scenario(request)

    async def _play_nothing(self, request: web.Request) -> web.StreamResponse:
        """Play no faults from now on, and answer with this scenario."""
        self._server.play(NO_FAULTS)
        return await self._scenario(request)

    async def _reset(self, request: web.Request) -> web.StreamResponse:
        """Reset the server, and answer with the scenario that it plays then."""
        await self._server.reset()
        return await self._scenario(request)


def list_sessions(journal: SessionLog, search: str) -> dict[str, Any]:
    """Return the newest sessions, open ones first, in which a text occurs (any case), at most MAX_LISTED; and
    how many there are. Secrets are hidden before the search."""
    records = [*reversed(journal.open.values()), *reversed(journal.past)]
    wanted = search.lower()
    found = len(records)
    if wanted:
        records = [record for record in records if wanted in _searchable(record, journal)]
        found = len(records)
    shown = [asdict(texts_without_secrets(record, journal.secrets)) for record in records[:MAX_LISTED]]
    return {"sessions": shown, "open": len(journal.open), "past": len(journal.past), "found": found}


def _searchable(record: SessionRecord, journal: SessionLog) -> str:
    """Return the texts of a session in lower case, without secrets."""
    clean = texts_without_secrets(record, journal.secrets)
    state = f"closed with {clean.close_code}" if clean.closed_at else "open"
    return f"{clean.name} {clean.connection_id} {clean.app_id} {clean.avatar_id} {state}".lower()


def _read_scenario(body: bytes) -> Scenario:
    """Return the scenario that a body names or holds. Raises UsageError if there is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError("the body is not JSON") from error
    match document:
        case {"name": str(name)} if len(document) == 1:
            return NO_FAULTS if name == NO_FAULTS.name else shipped_scenario(name)
        case {"yaml": str(text)} if len(document) == 1:
            return parse_scenario(text.encode(errors="replace"), "yaml", "from the control interface")
        case _:
            raise UsageError('the body must be {"name": ...} or {"yaml": ...}')


def _guard(handler: Handler, token: str) -> Handler:
    """Return a handler that refuses requests from other machines and their web pages. Who has the `token` may
    ask from anywhere, but for other web pages; "" is nobody's token."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        """Answer 403 if the request comes from another machine, or if its Host or Origin is one."""
        origin = request.headers.get("Origin")
        host = f"//{request.headers.get('Host', '')}"
        shown = request.query.get("token", "")
        if token and secrets.compare_digest(shown.encode(errors="replace"), token.encode()):
            if origin is None or f"//{origin.partition('//')[2]}" == host:
                return await handler(request)
            return _answer_json({"error": "no other web page may ask"}, 403)
        if not is_this_machine(request.remote or ""):
            return _answer_json({"error": "only this machine may ask"}, 403)
        if not all(map(_is_loopback, [host] if origin is None else [host, origin])):
            return _answer_json({"error": "only this machine may ask: Host or Origin is another's"}, 403)
        return await handler(request)

    return guarded


async def _refuse_while_judging(request: web.Request) -> web.StreamResponse:
    """Answer 409: the run says what this server plays."""
    return _answer_json(
        {"error": "a run judges a relay with this server, and says itself what goes wrong"}, 409
    )


def _is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine."""
    try:
        return urlsplit(url).hostname in _LOOPBACK_NAMES
    except ValueError:
        return False


def _describe_scenario(scenario: Scenario) -> dict[str, Any]:
    """Return what this interface tells of a scenario."""
    return {"name": scenario.name, "about": scenario.about, "faults": len(scenario.faults)}


def _event_to_json(entry: Entry, *, raw: bool) -> dict[str, Any]:
    """Return an event as JSON values; with `raw` also its bytes, in base64."""
    values: dict[str, Any] = {"at_ns": entry.at_ns, "lane": str(entry.lane)}
    if isinstance(entry.what, str | bytes):
        data = entry.what.encode() if isinstance(entry.what, str) else entry.what
        values |= {
            "event": "sent" if entry.sent else "received",
            "bytes": len(data),
            "message": _to_json(read_upstream(entry.what)),
        }
    else:
        data = getattr(entry.what, "raw", b"") if entry.lane is Lane.EGRESS else b""
        values |= {"event": type(entry.what).__name__.lower(), **_to_json(entry.what)}
    return values | {"raw": b64encode(data).decode()} if raw and data else values


def _to_json(value: Any) -> Any:
    """Return a value as JSON values.

    Of bytes and keyframes only the number is told. A dataclass becomes its type and its fields."""
    match value:
        case bytes():
            return f"{len(value)} bytes"
        case np.ndarray():
            return f"{len(value)} keyframes"
        case Enum():
            return value.value
        case tuple():
            return [_to_json(part) for part in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            members = {field.name: _to_json(getattr(value, field.name)) for field in fields(value)}
            return {"type": type(value).__name__} | members
        case _:
            return value


def _answer_unknown(kind: str) -> web.Response:
    """Return a 404: no thing of this kind has the name."""
    return _answer_json({"error": f"no such {kind}"}, 404)


def _answer_json(value: Any, status: int = 200) -> web.Response:
    """Return a value as a JSON response that nobody may cache."""
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})
