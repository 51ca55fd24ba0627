"""The pages of sessions under one prefix: the inspector, the sessions, their traces, players and tapes.

They answer only on the loopback interface, and only to requests whose Host, and Origin if there is one, name
this machine: so no web page can reach them. If the server listens for other machines too, whoever has the
token of the inspector's URL is answered as well."""

import secrets
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from aiohttp import web

from spatius_sim.net.ports_and_hosts import is_loopback_address
from spatius_sim.net.server.one_port_server import OnePort, handle_expect_header
from spatius_sim.net.server.session_log import LogEntry, SessionLog, SessionRecord
from spatius_sim.trace.events import Lane
from spatius_sim.trace.known_secrets import redact_text_fields
from spatius_sim.trace.read_frames import read_upstream

PREFIX = "/_sim"

MAX_LISTED = 100
"""So many sessions are on a page; the search finds the others."""

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]
"""Method, path after PREFIX, and who answers."""


class SessionPages:
    """Answers the requests for the pages of sessions. `journal` is the session log of a Motion Server.
    `plays`: whether the page has buttons for scenarios and reset."""

    def __init__(self, journal: SessionLog, token: str = "", *, plays: bool = False) -> None:
        """Prepare the pages of the sessions in `journal`, a session log. `token` lets other machines ask; ""
        lets none."""
        self.journal, self._token, self.plays = journal, token, plays

    def routes(self) -> list[Route]:
        """Return the routes of the web pages about sessions: the HTTP method, path and handler of each."""
        return [
            ("GET", "/", self._answer_inspector),
            ("GET", "/page", self._answer_search),
            ("GET", "/sessions", self._answer_all_sessions),
            ("GET", "/sessions/{session}", self._answer_session),
            ("GET", "/sessions/{session}/trace", self._answer_events),
            ("GET", "/sessions/{session}/player", self._answer_player),
            ("GET", "/sessions/{session}/tape", self._answer_tape),
        ]

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add all routes of the session pages under PREFIX, each with a guard against other machines."""
        for method, path, handler in self.routes():
            guarded = _guard_handler(handler, self._token)
            router.add_route(method, PREFIX + path, guarded, expect_handler=handle_expect_header)

    async def _answer_inspector(self, request: web.Request) -> web.StreamResponse:
        """Answer an HTTP request with the inspector: the web page that shows the sessions while they happen.
        Its Content-Security-Policy lets the page ask no other server."""
        from spatius_sim.reporting.player.write_player_page import inspector_page

        page, policy = inspector_page()
        headers = {
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
        }
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _answer_search(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of the inspector's page with the sessions in which the text `search` of its query
        occurs, as JSON. `plays` in the answer says whether the page has buttons for scenarios, and `cost` how
        many milliseconds of CPU the answer took."""
        cpu_began = time.thread_time()
        found_sessions = search_sessions(self.journal, request.query.get("search", ""))
        return answer_json(found_sessions | {"server": {"plays": self.plays}, "cost": _cost_since(cpu_began)})

    async def _answer_player(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to the session pages with the data of a session's player (the part of the page
        that shows its avatar and its events), as JSON. The path names the session; answer 404 if there is no
        such session."""
        from spatius_sim.mock_server.session_player_and_tape import make_live_player_data

        journal = self.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        cpu_began = time.thread_time()
        values = make_live_player_data(journal.session_events(record.name), time.monotonic_ns())
        return answer_json(values | {"cost": _cost_since(cpu_began)})

    async def _answer_tape(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to the session pages with a tape: a recording of the session that the path names,
        as a file to save. Answer 404 if there is no such session."""
        from spatius_sim.mock_server.session_player_and_tape import make_tape

        journal = self.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f"attachment; filename={record.name}.tape",
        }
        tape = make_tape(journal.session_events(record.name))
        return web.Response(body=tape, content_type="application/octet-stream", headers=headers)

    async def _answer_all_sessions(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to the session pages with all sessions, open and past, as JSON."""
        journal = self.journal
        return answer_json(
            {
                "open": [self._describe_session(record) for record in journal.open_sessions.values()],
                "past": [self._describe_session(record) for record in journal.past_sessions],
            }
        )

    async def _answer_session(self, request: web.Request) -> web.StreamResponse:
        """Answer with the session that the path names, or 404."""
        record = self.journal.find_session(request.match_info["session"])
        return _answer_unknown("session") if record is None else answer_json(self._describe_session(record))

    def _describe_session(self, record: SessionRecord) -> dict[str, Any]:
        """Return the fields of a session for its page, without secrets."""
        return asdict(redact_text_fields(record, self.journal.secrets))

    async def _answer_events(self, request: web.Request) -> web.StreamResponse:
        """Answer a request to the session pages with the events of the session that the path names, as JSON.
        `whole` says whether the session log still keeps all its events. With `raw=1` in the query, each event
        also has its bytes. Answer 404 if there is no such session."""
        journal = self.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        with_bytes = request.query.get("raw") == "1"
        events = [
            _event_to_json(entry, with_bytes=with_bytes) for entry in journal.session_events(record.name)
        ]
        return answer_json({"session": record.name, "whole": journal.is_whole(record.name), "events": events})


class PagesAlone(OnePort):
    """Serves the session pages on a port of their own, for this machine alone."""

    def __init__(self, journal: SessionLog) -> None:
        """Prepare the pages of the sessions in `journal`, a session log."""
        super().__init__()
        self._pages = SessionPages(journal)

    async def __aenter__(self) -> "PagesAlone":
        """Let the session pages listen on their port."""
        await self.listen()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Stop serving the session pages."""
        await self.stop()

    @property
    def url(self) -> str:
        """The URL of the inspector among the session pages."""
        return f"http://{self.host}:{self.port}{PREFIX}/"

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the routes of the session pages."""
        self._pages.add_routes(router)


def _cost_since(cpu_began: float) -> float:
    """Return how many milliseconds of CPU an answer to a session page has cost since `cpu_began`; the page
    rests in proportion."""
    return round((time.thread_time() - cpu_began) * 1000, 2)


def search_sessions(journal: SessionLog, search: str) -> dict[str, Any]:
    """Return the sessions in which the text `search` occurs, in upper or lower case, as JSON values. All
    sessions match if it is empty. At most MAX_LISTED are returned: open sessions before past ones, and in
    each group the newest first. Three counts follow: open, past and found sessions. Secrets are hidden before
    the search."""
    records = [*reversed(journal.open_sessions.values()), *reversed(journal.past_sessions)]
    wanted_text = search.lower()
    found_count = len(records)
    if wanted_text:
        records = [record for record in records if wanted_text in _searched_text(record, journal)]
        found_count = len(records)
    listed_sessions = [asdict(redact_text_fields(record, journal.secrets)) for record in records[:MAX_LISTED]]
    return {
        "sessions": listed_sessions,
        "open": len(journal.open_sessions),
        "past": len(journal.past_sessions),
        "found": found_count,
    }


def _searched_text(record: SessionRecord, journal: SessionLog) -> str:
    """Return the texts of a session in which the session page searches, in lower case and without secrets."""
    clean = redact_text_fields(record, journal.secrets)
    state = f"closed with {clean.close_code}" if clean.closed_at else "open"
    return f"{clean.name} {clean.connection_id} {clean.app_id} {clean.avatar_id} {state}".lower()


def _guard_handler(handler: Handler, token: str) -> Handler:
    """Return a handler for a route of the session pages, which calls `handler` only for requests from this
    machine. A request that a web page of another machine sends is refused. A request with the `token` may
    also come from other machines. If `token` is "", no request has it."""

    async def answer_if_allowed(request: web.Request) -> web.StreamResponse:
        """Answer a request to the session pages if it has the token, unless its Origin shows that a web page
        from elsewhere sends it. Without the token, answer it if it comes from this machine, and if its Host
        and Origin name this machine. Otherwise answer 403."""
        origin = request.headers.get("Origin")
        host = f"//{request.headers.get('Host', '')}"
        given_token = request.query.get("token", "")
        if token and secrets.compare_digest(given_token.encode(errors="replace"), token.encode()):
            is_own_page = origin is None or f"//{origin.partition('//')[2]}" == host
            if is_own_page:
                return await handler(request)
            return answer_json({"error": "no other web page may ask"}, 403)
        if not is_loopback_address(request.remote or ""):
            return answer_json({"error": "only this machine may ask"}, 403)
        if not all(map(_names_this_machine, [host] if origin is None else [host, origin])):
            return answer_json({"error": "only this machine may ask: Host or Origin is another's"}, 403)
        return await handler(request)

    return answer_if_allowed


def _names_this_machine(url: str) -> bool:
    """Return whether the host in this URL, made from the Host or the Origin of a request to the session
    pages, is this machine (127.0.0.1, ::1 or localhost). False if the URL is malformed."""
    try:
        return urlsplit(url).hostname in _LOOPBACK_NAMES
    except ValueError:
        return False


def _event_to_json(entry: LogEntry, *, with_bytes: bool) -> dict[str, Any]:
    """Return an event of a session as JSON values, for a web page. A message that was sent or received has
    its size and its decoded content. `with_bytes` adds the bytes of the event, in base64."""
    values: dict[str, Any] = {"at_ns": entry.at_ns, "lane": str(entry.lane)}
    if isinstance(entry.content, str | bytes):
        event_bytes = entry.content.encode() if isinstance(entry.content, str) else entry.content
        values |= {
            "event": "sent" if entry.sent else "received",
            "bytes": len(event_bytes),
            "message": _value_to_json(read_upstream(entry.content)),
        }
    else:
        event_bytes = getattr(entry.content, "raw", b"") if entry.lane is Lane.EGRESS else b""
        values |= {"event": type(entry.content).__name__.lower(), **_value_to_json(entry.content)}
    return values | {"raw": b64encode(event_bytes).decode()} if with_bytes and event_bytes else values


def _value_to_json(value: Any) -> Any:
    """Return a value in an event of a session as JSON values, for the answer of a session page.

    Bytes, and arrays of keyframes, become a text that tells how many there are. A tuple becomes a list. A
    dataclass becomes its type and its fields."""
    match value:
        case bytes():
            return f"{len(value)} bytes"
        case np.ndarray():
            return f"{len(value)} keyframes"
        case Enum():
            return value.value
        case tuple():
            return [_value_to_json(part) for part in value]
        case _ if is_dataclass(value) and not isinstance(value, type):
            members = {field.name: _value_to_json(getattr(value, field.name)) for field in fields(value)}
            return {"type": type(value).__name__} | members
        case _:
            return value


def _answer_unknown(kind: str) -> web.Response:
    """Return a 404 of the session pages: no thing of this kind has the name in the path."""
    return answer_json({"error": f"no such {kind}"}, 404)


def answer_json(value: Any, status: int = 200) -> web.Response:
    """Return a value as a JSON response of the session pages, which no client may cache."""
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})
