"""Tells what a proxy saw as events. Reading bytes costs more than passing them on, so it is done
afterwards."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import inf
from time import monotonic_ns, perf_counter

from spatius_sim.net.proxy.websocket_tap import WebSocketTap
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.protocol.codec import MessageReader
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import Message
from spatius_sim.trace.events import (
    Closed,
    Event,
    EventKind,
    Excuse,
    Injected,
    Lane,
    Opened,
    Received,
    SecretKnown,
    Sent,
    Undecodable,
)
from spatius_sim.trace.known_secrets import MOST_SECRETS, KnownSecrets
from spatius_sim.trace.logins import secrets_in_header, secrets_in_url
from spatius_sim.trace.reading import read_upstream
from spatius_sim.trace.secret_places import texts_without_secrets, without_secrets

_UPSTREAM = Lane.UPSTREAM
_BEHIND_SECONDS = 0.1
_AT_ONCE_SECONDS = 0.001
_MOMENT_SECONDS = 0.02
"""How long, in one turn of the event loop, facts may wait for bytes to be read before them."""
_MOST_WAITING_BYTES = 1_048_576
"""For each direction: while more bytes are still to be read, the peer that sends them is held."""


def _do_nothing() -> None:
    """Do nothing: the default hold and release of a direction."""


@dataclass(slots=True)
class ProxySession:
    """One WebSocket that is read along. `closed` is set as soon as one side sent a closing frame."""

    name: str
    closed: Closed | None = None


@dataclass(slots=True)
class Direction:
    """One direction of a session. `hold` and `release` stop and start the peer that sends in it."""

    session: ProxySession
    tap: WebSocketTap
    follows: bool = True
    waiting_bytes: int = 0
    hold: Callable[[], None] = _do_nothing
    release: Callable[[], None] = _do_nothing


@dataclass(frozen=True, slots=True)
class _PassedBytes:
    """Bytes that are still to be read."""

    at_ns: int
    line: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class _Fact:
    """An event that waits for its turn. If it ends a session, `ends` is that session, which may know better
    how it was closed."""

    at_ns: int
    lane: Lane
    connection: str
    what: EventKind
    ends: ProxySession | None = None


class ProxyRecorder:
    """Tells `on_event` of everything that happens, in order, each event with its own time."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._secrets = KnownSecrets(MOST_SECRETS)
        self._waiting: deque[_PassedBytes | _Fact] = deque()
        self._steps: Iterator[None] | None = None
        self._reader: asyncio.Handle | None = None
        self._allowance = _MOMENT_SECONDS
        self._now = 0

    def emit(self, lane: Lane, connection: str, what: EventKind) -> None:
        """Record that something happened now."""
        self._queue_fact(_Fact(monotonic_ns(), lane, connection, what))

    def secret_reference(self, kind: str, secret: str, holder: str = "") -> str:
        """Return the reference of a secret. A new secret is learnt, and remembered at least until the session
        `holder` ends."""
        new = not self._secrets.known_reference(secret)
        name = self._secrets.reference_for(kind, secret, holder)
        if name and new:
            self.emit(Lane.KIT, "", SecretKnown(name, len(secret)))
        return name

    def learn_logins(self, target: str, headers: Iterable[tuple[str, str]]) -> None:
        """Learn the logins of a request."""
        in_headers = (secrets_in_header(name, value) for name, value in headers)
        for secret in chain(secrets_in_url(target), *in_headers):
            self._secrets.hide(secret)

    def record_opening(self, name: str, opened: Opened, deflate: str) -> tuple[Direction, Direction]:
        """Record that a session was opened, and return its directions up and down. `deflate` is the header of
        its extensions."""
        self.emit(Lane.UPSTREAM, name, opened)
        session = ProxySession(name)
        return self._new_direction(session, deflate, up=True), self._new_direction(session, deflate, up=False)

    def add_bytes(self, line: Direction, data: bytes) -> None:
        """Note bytes that passed. If the direction is held afterwards, no more should pass until it is
        released."""
        self._waiting.append(_PassedBytes(monotonic_ns(), line, data))
        line.waiting_bytes += len(data)
        if line.waiting_bytes > _MOST_WAITING_BYTES and line.follows:
            line.hold()
            self._read_soon()
        elif self._reader is None:
            self._reader = asyncio.get_running_loop().call_later(_BEHIND_SECONDS, self._read_some)

    def record_loss(self, session: ProxySession, *, by_server: bool) -> None:
        """Record that a session is over. `by_server` counts only if neither side sent a closing frame."""
        closed = Closed(by_server, ABNORMAL_CLOSE)
        self._queue_fact(_Fact(monotonic_ns(), Lane.UPSTREAM, session.name, closed, session))

    def catch_up(self, seconds: float = inf) -> None:
        """Read all bytes that passed. What is left after `seconds` is not read any more, and this is
        recorded."""
        self._read_until(perf_counter() + seconds)
        while self._waiting:
            passed = self._waiting[0]
            if isinstance(passed, _PassedBytes):
                self._now = passed.at_ns
                self._stop_following(passed.line, "there was too much to read when it ended")
            self._read_first(0.0)

    def _new_direction(self, session: ProxySession, deflate: str, *, up: bool) -> Direction:
        """Make a direction whose tap records messages, and notes how the session was closed."""
        read = MessageReader().read

        def record_message(raw: str | bytes) -> None:
            self._record_frame(session.name, raw, read_upstream(raw, read), sent=not up)

        def note_close(code: int, reason: str) -> None:
            session.closed = session.closed or Closed(not up, code, reason)

        return Direction(session, WebSocketTap(record_message, note_close, deflate, from_client=up))

    def _queue_fact(self, fact: _Fact) -> None:
        """Queue a fact. It is told at once if all bytes that passed before can be read within a moment."""
        self._waiting.append(fact)
        begun = perf_counter()
        self._read_until(begun + self._allowance)
        if self._waiting:
            self._allowance -= perf_counter() - begun
            self._read_soon()

    def _read_soon(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        self._reader = asyncio.get_running_loop().call_soon(self._read_some)

    def _read_some(self) -> None:
        self._reader = None
        self._allowance = _MOMENT_SECONDS
        self._read_until(perf_counter() + _AT_ONCE_SECONDS)
        if self._waiting:
            self._read_soon()

    def _read_until(self, until: float) -> None:
        while self._waiting and perf_counter() < until:
            self._read_first(until)

    def _read_first(self, until: float) -> None:
        """Tell the first fact that waits, or read frames of the first bytes until this time, at least one."""
        first = self._waiting[0]
        self._now = first.at_ns
        if isinstance(first, _Fact):
            self._waiting.popleft()
            self._tell_fact(first)
        elif not first.line.follows or self._read_frames(first, until):
            self._waiting.popleft()
            self._steps = None
            first.line.waiting_bytes -= len(first.data)
            if first.line.waiting_bytes <= _MOST_WAITING_BYTES // 2:
                first.line.release()

    def _read_frames(self, passed: _PassedBytes, until: float) -> bool:
        """Read frames of these bytes until this time; return whether all are read."""
        if self._steps is None:
            self._steps = passed.line.tap.read(passed.data)
        try:
            for _ in self._steps:
                if perf_counter() >= until:
                    return False
        except RemoteProtocolError as error:
            self._stop_following(passed.line, str(error))
        return True

    def _stop_following(self, line: Direction, why: str) -> None:
        if line.follows:
            line.follows = False
            what = Injected("proxy-lost-track", Excuse.FAILURE, detail=why)
            self._emit_event(self._now, Lane.KIT, line.session.name, what)

    def _tell_fact(self, fact: _Fact) -> None:
        """Tell of a fact, and forget the secrets of the session that it ends."""
        what = fact.what
        if fact.ends is not None:
            what = fact.ends.closed or what
        self._emit_event(fact.at_ns, fact.lane, fact.connection, what)
        if fact.ends is not None:
            self._secrets.let_go(fact.ends.name)

    def _record_frame(self, name: str, raw: str | bytes, value: Message | Undecodable, *, sent: bool) -> None:
        """Tell of a frame, without its secrets."""
        if isinstance(raw, str):
            hidden: str | bytes = self._secrets.text(raw)
        else:
            hidden = without_secrets(raw, value, self._secrets, name)
        if hidden != raw:
            value = read_upstream(hidden)
        self._emit_event(self._now, _UPSTREAM, name, Sent(hidden, value) if sent else Received(hidden, value))

    def _emit_event(self, at_ns: int, lane: Lane, connection: str, what: EventKind) -> None:
        if not isinstance(what, Sent | Received):
            what = texts_without_secrets(what, self._secrets)
        self._on_event(Event(0, at_ns, lane, connection, what))
