"""What a proxy saw, as events. To read along costs more than to pass bytes on, so it is done behind it."""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic_ns, perf_counter

from spatius_sim.model.trace import (
    Closed,
    Event,
    Injected,
    Lane,
    Opened,
    Received,
    SecretKnown,
    Sent,
    Undecodable,
    What,
    read_upstream,
)
from spatius_sim.net.credentials import without_credentials
from spatius_sim.net.secrets_in_text import KnownSecrets
from spatius_sim.net.websocket_tap import WebSocketTap
from spatius_sim.protocol.codec import MessageReader
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import Message

MOST_SECRETS = 1000
"""Secrets of closed sessions that are remembered, those used last."""

_UPSTREAM = Lane.UPSTREAM
_BEHIND_SECONDS = 0.1
_AT_ONCE_SECONDS = 0.001
_MOST_WAITING_BYTES = 8 * 1_048_576
_ABNORMAL_CLOSE = 1006


@dataclass(slots=True)
class Session:
    """One WebSocket that is read along; `closed` as soon as one side said so."""

    name: str
    token: str
    closed: Closed | None = None


@dataclass(slots=True)
class Line:
    """One direction of a session."""

    session: Session
    tap: WebSocketTap
    follows: bool = True


class Book:
    """Tells `on_event` of everything in the order in which it happened, each event with its own time."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._secrets = KnownSecrets()
        self._used: OrderedDict[str, None] = OrderedDict()
        self._open: Counter[str] = Counter()
        self._waiting: deque[tuple[int, Line, bytes]] = deque()
        self._waiting_bytes = 0
        self._reader: asyncio.Handle | None = None

    def emit(self, lane: Lane, connection: str, what: What) -> None:
        """Something happened now."""
        self.catch_up()
        self._tell(monotonic_ns(), lane, connection, what)

    def secret(self, kind: str, secret: str) -> str:
        """The reference of a secret, which is learnt if it is new."""
        if not secret:
            return ""
        known = self._secrets.known(secret)
        if not known:
            known = self._secrets.reference(kind, secret)
            self.emit(Lane.KIT, "", SecretKnown(known, len(secret)))
        self._used[known] = None
        self._used.move_to_end(known)
        self._forget()
        return known

    def opened(self, name: str, opened: Opened, deflate: str) -> tuple[Line, Line]:
        """A session was opened: its lines up and down. `deflate` is the header of its extensions."""
        self.emit(Lane.UPSTREAM, name, opened)
        self._open[opened.token] += 1
        session = Session(name, opened.token)
        return self._line(session, deflate, up=True), self._line(session, deflate, up=False)

    def passed(self, line: Line, data: bytes) -> None:
        """Bytes went by."""
        self._waiting.append((monotonic_ns(), line, data))
        self._waiting_bytes += len(data)
        if self._waiting_bytes > _MOST_WAITING_BYTES:
            self.catch_up()
        elif self._reader is None:
            self._reader = asyncio.get_running_loop().call_later(_BEHIND_SECONDS, self._read_some)

    def lost(self, session: Session, *, by_server: bool) -> None:
        """A session is over; who hung up is believed where neither side said it."""
        self.catch_up()
        self.emit(Lane.UPSTREAM, session.name, session.closed or Closed(by_server, _ABNORMAL_CLOSE))
        self._open[session.token] -= 1
        self._open += Counter()
        self._forget()

    def catch_up(self) -> None:
        """Read all that went by."""
        while self._waiting:
            self._read_next()

    def _line(self, session: Session, deflate: str, *, up: bool) -> Line:
        read = MessageReader().read

        def said(raw: str | bytes) -> None:
            self._frame(session.name, raw, read_upstream(raw, read), sent=not up)

        def closed(code: int, reason: str) -> None:
            session.closed = session.closed or Closed(not up, code, reason)

        return Line(session, WebSocketTap(said, closed, deflate, from_client=up))

    def _read_some(self) -> None:
        until = perf_counter() + _AT_ONCE_SECONDS
        while self._waiting and perf_counter() < until:
            self._read_next()
        self._reader = asyncio.get_running_loop().call_soon(self._read_some) if self._waiting else None

    def _read_next(self) -> None:
        self._now, line, data = self._waiting.popleft()
        self._waiting_bytes -= len(data)
        if not line.follows:
            return
        try:
            line.tap.feed(data)
        except RemoteProtocolError as error:
            line.follows = False
            what = Injected(f"the proxy could not read along: {error}")
            self._tell(self._now, Lane.KIT, line.session.name, what)

    def _frame(self, name: str, raw: str | bytes, value: Message | Undecodable, *, sent: bool) -> None:
        if isinstance(raw, str):
            clean, found = self._secrets.redact(raw.encode())
            hidden: str | bytes = clean.decode(errors="replace") if found else raw
        else:
            hidden = without_credentials(raw, value, self._secrets)
        if hidden != raw:
            value = read_upstream(hidden)
        self._tell(self._now, _UPSTREAM, name, Sent(hidden, value) if sent else Received(hidden, value))

    def _tell(self, at_ns: int, lane: Lane, connection: str, what: What) -> None:
        self._on_event(Event(0, at_ns, lane, connection, what))

    def _forget(self) -> None:
        """Old secrets, but none of a session that is open: the proxy may run for months."""
        if len(self._used) > MOST_SECRETS + len(self._open):
            oldest = next(name for name in self._used if not self._open[name])
            del self._used[oldest]
            self._secrets.forget(oldest)
