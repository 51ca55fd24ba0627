"""Writes a tape as HAR 1.2, which the developer tools of browsers open.

A token request is an entry, and so is each WebSocket, with its messages as Chrome writes them
(`_webSocketMessages`). A tape holds no addresses: the hosts of the URLs end in `.invalid`.
"""

from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from spatius_sim.trace.events import (
    Closed,
    Event,
    Lane,
    Opened,
    Received,
    Refused,
    Sent,
    TokenRequested,
    Trace,
)

_SERVER = "motion-server.invalid"
_RELAY = "relay.invalid"
_SWITCHING_PROTOCOLS = 101
_TEXT, _BINARY = 1, 2
_STATUS_TEXTS = {101: "Switching Protocols", 200: "OK"}
_Sockets = dict[tuple[Lane, str], tuple[int, dict[str, Any]]]
"""The open WebSockets: when each began, in nanoseconds, and its entry."""
_LAST_MS = 253_402_300_799_000
"""The end of the year 9999: HAR's dates go no further."""
_UNKNOWN = -1
"""HAR's number for a size or a time that is not known."""


def make_har(traces: Iterable[Trace], start_unix_ms: int, kit_version: str) -> dict[str, Any]:
    """Make an HTTP archive (HAR 1.2) from the traces of a tape, one for each run, and return it as values for
    JSON. `start_unix_ms` is the time (Unix, in ms) at which the clock of the traces begins. `kit_version` is
    the version of this program, named as the archive's creator. The entries stand in the order of their
    times."""
    writer = _HarWriter(start_unix_ms)
    for trace in traces:
        writer.add_run(trace)
    creator = {"name": "spatius-sim", "version": kit_version}
    entries = sorted(writer.entries, key=lambda entry: str(entry["startedDateTime"]))
    return {"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries}}


class _HarWriter:
    """Collects the HAR entries of all runs of a tape."""

    def __init__(self, start_unix_ms: int) -> None:
        """Begin an HTTP archive (HAR file) without entries. `start_unix_ms` is the time 0 of the tape."""
        self._start_ms = start_unix_ms
        self.entries: list[dict[str, Any]] = []

    def add_run(self, trace: Trace) -> None:
        """Add the entries of one run of a tape to the HTTP archive (HAR): one for each token request, each
        refused upgrade to a WebSocket, and each WebSocket."""
        open_sockets: _Sockets = {}
        for event in trace.events:
            match event.content:
                case TokenRequested(status=status):
                    url = f"http://{_SERVER}/v1/console/session-tokens"
                    self.entries.append(self._make_entry(event.at_ns, "POST", url, status))
                case Refused(status):
                    self.entries.append(self._make_entry(event.at_ns, "GET", _make_url(event), status))
                case Opened() | Closed() | Sent() | Received():
                    self._add_socket_event(event, open_sockets)

    def _add_socket_event(self, event: Event, open_sockets: _Sockets) -> None:
        """Add an event of a WebSocket to the socket's HAR entry. An unknown socket gets an entry first, also
        if its opening is not on the tape; but the close of an unknown socket is ignored. A frame becomes a
        message of the entry. The entry lasts until its latest event."""
        socket_key = event.lane, event.connection
        if socket_key not in open_sockets and not isinstance(event.content, Closed):
            entry = self._make_entry(event.at_ns, "GET", _make_url(event), _SWITCHING_PROTOCOLS)
            entry |= {"_resourceType": "websocket", "_webSocketMessages": []}
            open_sockets[socket_key] = event.at_ns, entry
            self.entries.append(entry)
        if socket_key not in open_sockets:
            return
        opened_at_ns, entry = open_sockets[socket_key]
        entry["time"] = max(entry["time"], (event.at_ns - opened_at_ns) / 1e6)
        entry["timings"]["receive"] = entry["time"]
        if isinstance(event.content, Closed):
            del open_sockets[socket_key]
        elif isinstance(event.content, Sent) or (
            # A frame with several parts is one message, but has an event for each part.
            isinstance(event.content, Received) and event.content.part == 0
        ):
            entry["_webSocketMessages"].append(self._make_websocket_message(event, event.content.raw))

    def _make_websocket_message(self, event: Event, raw: str | bytes) -> dict[str, Any]:
        """Return a frame as a WebSocket message of an HTTP archive (HAR), in Chrome's form. Its type is
        `send` if the WebSocket's client sent the frame, else `receive`. Downstream, the kit is the client of
        a relay; on every other lane, it is the server."""
        sent_by_client = isinstance(event.content, Sent) == (event.lane is Lane.DOWNSTREAM)
        is_text = isinstance(raw, str)
        return {
            "type": "send" if sent_by_client else "receive",
            "time": self._start_ms / 1000 + event.at_ns / 1e9,
            "opcode": _TEXT if is_text else _BINARY,
            "data": raw if isinstance(raw, str) else b64encode(raw).decode(),
        }

    def _make_entry(self, at_ns: int, method: str, url: str, status: int) -> dict[str, Any]:
        """Return an entry of the HAR file for one HTTP exchange, with every member that HAR requires. Members
        of which a tape says nothing are empty, 0 or -1. `at_ns` is the time of the exchange on the trace's
        clock."""
        unix_ms = min(_LAST_MS, max(0, self._start_ms + at_ns // 1_000_000))
        started_at = datetime.fromtimestamp(unix_ms / 1000, UTC)
        not_known = {"cookies": [], "headers": [], "headersSize": _UNKNOWN, "bodySize": _UNKNOWN}
        request = {
            "method": method,
            "url": url,
            "httpVersion": "HTTP/1.1",
            "queryString": [],
            **not_known,
        }
        response = {
            "status": status,
            "statusText": _STATUS_TEXTS.get(status, ""),
            "httpVersion": "HTTP/1.1",
            "content": {"size": 0, "mimeType": "x-unknown"},
            "redirectURL": "",
            **not_known,
        }
        return {
            "startedDateTime": started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "time": 0,
            "request": request,
            "response": response,
            "cache": {},
            "timings": {"send": 0, "wait": 0, "receive": 0},
        }


def _make_url(event: Event) -> str:
    """Make a URL for the HAR entry of an event's WebSocket: a connection to Motion Server or to the relay.
    Tapes hold no addresses, so its host is invented."""
    if event.lane is Lane.UPSTREAM:
        avatar_id = quote(getattr(event.content, "avatar_id", ""), safe="")
        return f"ws://{_SERVER}/v2/driveningress/websocket?id={avatar_id}#{quote(event.connection, safe='')}"
    return f"ws://{_RELAY}/{quote(event.connection, safe='')}"
