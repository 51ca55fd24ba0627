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
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.secrets_in_messages import redact_texts

PREFIX = "/_sim"

MAX_LISTED = 100
"""So many sessions are on a page; the search finds the others."""

_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Route = tuple[str, str, Handler]
"""Method, path after PREFIX, and who answers."""


class SessionPages:
    """Answers the requests for the pages of sessions. `plays`: whether the page has buttons for scenarios and
    reset."""

    def __init__(self, journal: SessionLog, token: str = "", *, plays: bool = False) -> None:
        """Prepare the pages of the sessions in `journal`. `token` lets other machines ask; "" lets none."""
        self.journal, self._token, self.plays = journal, token, plays

    def routes(self) -> list[Route]:
        """Return the routes of the session pages, each with its HTTP method, path and handler."""
        return [
            ("GET", "/", self._answer_inspector),
            ("GET", "/page", self._answer_listed),
            ("GET", "/sessions", self._list_sessions),
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
        """Answer with one of the session pages, the inspector, which shows the sessions while they happen.
        The browser lets this page ask no other server than this one."""
        from spatius_sim.reporting.player.write_player_page import inspector_page

        page, policy = inspector_page()
        headers = {
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Frame-Options": "DENY",
            "Cache-Control": "no-store",
        }
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _answer_listed(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of the inspector's page with the list of sessions that the page shows: the newest
        ones in which the text `search` occurs."""
        cpu_began = time.thread_time()
        listed = list_sessions(self.journal, request.query.get("search", ""))
        return answer_json(listed | {"server": {"plays": self.plays}, "cost": _cost_since(cpu_began)})

    async def _answer_player(self, request: web.Request) -> web.StreamResponse:
        """Answer with the player's data of the session that the path names, or 404."""
        from spatius_sim.mock_server.session_player_and_tape import live_player

        journal = self.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        cpu_began = time.thread_time()
        values = live_player(journal.session_events(record.name), time.monotonic_ns())
        return answer_json(values | {"cost": _cost_since(cpu_began)})

    async def _answer_tape(self, request: web.Request) -> web.StreamResponse:
        """Answer a request on the session pages for a tape of one session, which the browser saves as a file;
        answer 404 if there is no such session."""
        from spatius_sim.mock_server.session_player_and_tape import tape_of

        journal = self.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        headers = {
            "Cache-Control": "no-store",
            "Content-Disposition": f"attachment; filename={record.name}.tape",
        }
        tape = tape_of(journal.session_events(record.name))
        return web.Response(body=tape, content_type="application/octet-stream", headers=headers)

    async def _list_sessions(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for the list of sessions, open and past, as JSON."""
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
        return asdict(redact_texts(record, self.journal.secrets))

    async def _answer_events(self, request: web.Request) -> web.StreamResponse:
        """Answer with the events of the session that the page's path names, as JSON. With `raw=1`, each event
        has its bytes, too. Answer 404 if no session has this name."""
        journal = self.journal
        record = journal.find_session(request.match_info["session"])
        if record is None:
            return _answer_unknown("session")
        raw = request.query.get("raw") == "1"
        events = [_event_to_json(entry, raw=raw) for entry in journal.session_events(record.name)]
        return answer_json({"session": record.name, "whole": journal.is_whole(record.name), "events": events})


class PagesAlone(OnePort):
    """Serves the session pages on a port of their own, for this machine alone."""

    def __init__(self, journal: SessionLog) -> None:
        """Prepare the pages of the sessions in `journal`."""
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


def list_sessions(journal: SessionLog, search: str) -> dict[str, Any]:
    """Return what the session page lists: the newest sessions in which the text `search` occurs (in upper or
    lower case), open sessions first, at most MAX_LISTED, and how many sessions there are. Secrets are hidden
    before the search."""
    records = [*reversed(journal.open_sessions.values()), *reversed(journal.past_sessions)]
    wanted_text = search.lower()
    found = len(records)
    if wanted_text:
        records = [record for record in records if wanted_text in _searched_text(record, journal)]
        found = len(records)
    listed = [asdict(redact_texts(record, journal.secrets)) for record in records[:MAX_LISTED]]
    return {
        "sessions": listed,
        "open": len(journal.open_sessions),
        "past": len(journal.past_sessions),
        "found": found,
    }


def _searched_text(record: SessionRecord, journal: SessionLog) -> str:
    """Return the texts of a session in which the session page searches, in lower case and without secrets."""
    clean = redact_texts(record, journal.secrets)
    state = f"closed with {clean.close_code}" if clean.closed_at else "open"
    return f"{clean.name} {clean.connection_id} {clean.app_id} {clean.avatar_id} {state}".lower()


def _guard_handler(handler: Handler, token: str) -> Handler:
    """Return a handler for the session pages that answers only requests from this machine, and not from web
    pages of other machines. With the `token`, other machines are answered too; if it is "", nobody has the
    token."""

    async def guarded(request: web.Request) -> web.StreamResponse:
        """Answer a request for a session page if it has the token or comes from this machine. Answer 403 if
        it comes from another machine, or if its Host or Origin names another."""
        origin = request.headers.get("Origin")
        host = f"//{request.headers.get('Host', '')}"
        given_token = request.query.get("token", "")
        if token and secrets.compare_digest(given_token.encode(errors="replace"), token.encode()):
            if origin is None or f"//{origin.partition('//')[2]}" == host:
                return await handler(request)
            return answer_json({"error": "no other web page may ask"}, 403)
        if not is_loopback_address(request.remote or ""):
            return answer_json({"error": "only this machine may ask"}, 403)
        if not all(map(_is_loopback, [host] if origin is None else [host, origin])):
            return answer_json({"error": "only this machine may ask: Host or Origin is another's"}, 403)
        return await handler(request)

    return guarded


def _is_loopback(url: str) -> bool:
    """Return whether the host of this URL is this machine: session pages answer no other host. False for a
    malformed URL."""
    try:
        return urlsplit(url).hostname in _LOOPBACK_NAMES
    except ValueError:
        return False


def _event_to_json(entry: LogEntry, *, raw: bool) -> dict[str, Any]:
    """Return an event of a session as JSON values for its page; with `raw` also the event's bytes, in
    base64."""
    values: dict[str, Any] = {"at_ns": entry.at_ns, "lane": str(entry.lane)}
    if isinstance(entry.content, str | bytes):
        data = entry.content.encode() if isinstance(entry.content, str) else entry.content
        values |= {
            "event": "sent" if entry.sent else "received",
            "bytes": len(data),
            "message": _to_json(read_upstream(entry.content)),
        }
    else:
        data = getattr(entry.content, "raw", b"") if entry.lane is Lane.EGRESS else b""
        values |= {"event": type(entry.content).__name__.lower(), **_to_json(entry.content)}
    return values | {"raw": b64encode(data).decode()} if raw and data else values


def _to_json(value: Any) -> Any:
    """Return a value of an event as JSON values for a session page.

    Bytes and keyframes become only their number. A dataclass becomes its type and its fields."""
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
    """Return a 404 of the session pages: no thing of this kind has the name in the path."""
    return answer_json({"error": f"no such {kind}"}, 404)


def answer_json(value: Any, status: int = 200) -> web.Response:
    """Return a value as a JSON response of the session pages, which no client may cache."""
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})
