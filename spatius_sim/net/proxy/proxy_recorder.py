"""Records what passes through a proxy as events.

Reading bytes takes longer than passing them on, so they are queued and read later."""

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
from spatius_sim.trace.known_secrets import MAX_SECRETS, KnownSecrets
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.secrets_in_messages import texts_without_secrets, without_secrets
from spatius_sim.trace.secrets_in_settings_and_urls import secrets_in_header, secrets_in_url

_UPSTREAM = Lane.UPSTREAM
_READ_AFTER_SECONDS = 0.1
"""How long after they passed bytes are read."""
_READ_AT_A_TIME_SECONDS = 0.001
"""How long bytes are read before the event loop does something else."""
_READ_FOR_FACTS_SECONDS = 0.02
"""How long, between two such readings, bytes may be read at once so that an event need not wait for them."""
_MAX_WAITING_BYTES = 1_048_576
"""For each direction: if more bytes than this wait to be read, the peer that sends them is held."""


def _do_nothing() -> None:
    """Do nothing: the default hold and release of a direction through the proxy."""


@dataclass(slots=True)
class ProxySession:
    """One WebSocket that the proxy records. `closed` is set as soon as one side has sent a close frame."""

    name: str
    closed: Closed | None = None


@dataclass(slots=True)
class Direction:
    """One direction of a session through the proxy, up or down.

    `hold` stops reading from the peer that sends in this direction, and `release` reads again. `follows` says
    whether the bytes are still understood and recorded."""

    session: ProxySession
    tap: WebSocketTap
    follows: bool = True
    waiting_bytes: int = 0
    hold: Callable[[], None] = _do_nothing
    release: Callable[[], None] = _do_nothing


@dataclass(frozen=True, slots=True)
class _PassedBytes:
    """Bytes that have passed through the proxy in a direction, and wait for the recorder to read them."""

    at_ns: int
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class _WaitingEvent:
    """An event at the proxy that waits to be recorded until the bytes that came before it are read.

    If the event ends a session, `ends` is this session: a close frame among those bytes says better how it
    was closed."""

    at_ns: int
    lane: Lane
    connection: str
    content: EventKind
    ends: ProxySession | None = None


class ProxyRecorder:
    """Records what passes through the proxy: calls `on_event` for everything that happens, in order, with the
    time when it happened."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        """Begin to record what passes through a proxy; no session has been opened yet. `on_event` is called
        with each event."""
        self._on_event = on_event
        self._secrets = KnownSecrets(MAX_SECRETS)
        self._waiting: deque[_PassedBytes | _WaitingEvent] = deque()
        self._frame_steps: Iterator[None] | None = None
        self._reader: asyncio.Handle | None = None
        self._seconds_for_events = _READ_FOR_FACTS_SECONDS
        self._event_ns = 0

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Record an event that happens at the proxy now."""
        self._queue_event(_WaitingEvent(monotonic_ns(), lane, connection, content))

    def secret_reference(self, kind: str, secret: str, holder: str = "") -> str:
        """Return the reference of a secret that the proxy has seen, and learn the secret if it is new.

        A new secret is recorded, and remembered at least until the session `holder` ends."""
        is_new = not self._secrets.known_reference(secret)
        reference = self._secrets.reference_for(kind, secret, holder)
        if reference and is_new:
            self.emit(Lane.KIT, "", SecretKnown(reference, len(secret)))
        return reference

    def learn_logins(self, target: str, headers: Iterable[tuple[str, str]]) -> None:
        """Learn the logins in the target and the headers of a request that passes through the proxy: they are
        hidden in all recorded events."""
        in_headers = (secrets_in_header(name, value) for name, value in headers)
        for secret in chain(secrets_in_url(target), *in_headers):
            self._secrets.hide(secret)

    def record_opening(self, name: str, opened: Opened, deflate: str) -> tuple[Direction, Direction]:
        """Record that a session through the recording proxy was opened, as the connection `name` of the
        trace. Return its two directions: up to Motion Server, then down to the relay.

        `deflate` is the HTTP header with the WebSocket's extensions, such as compression."""
        self.emit(Lane.UPSTREAM, name, opened)
        session = ProxySession(name)
        return self._new_direction(session, deflate, up=True), self._new_direction(session, deflate, up=False)

    def add_bytes(self, direction: Direction, data: bytes) -> None:
        """Queue bytes that have passed through the proxy in a direction, for the recorder to read soon.

        If too many bytes wait, hold the direction until enough of them are read."""
        self._waiting.append(_PassedBytes(monotonic_ns(), direction, data))
        direction.waiting_bytes += len(data)
        if direction.waiting_bytes > _MAX_WAITING_BYTES and direction.follows:
            direction.hold()
            self._read_soon()
        elif self._reader is None:
            self._reader = asyncio.get_running_loop().call_later(_READ_AFTER_SECONDS, self._read_some)

    def record_loss(self, session: ProxySession, *, by_server: bool) -> None:
        """Record that a session through the proxy is over. `by_server` is used only if neither side has sent
        a close frame."""
        closed = Closed(by_server, ABNORMAL_CLOSE)
        self._queue_event(_WaitingEvent(monotonic_ns(), Lane.UPSTREAM, session.name, closed, session))

    def catch_up(self, seconds: float = inf) -> None:
        """Record everything that has passed through the proxy and still waits to be recorded.

        If this takes longer than `seconds`, drop the bytes that still wait, and record that they were
        dropped."""
        self._read_until(perf_counter() + seconds)
        while self._waiting:
            passed = self._waiting[0]
            if isinstance(passed, _PassedBytes):
                self._event_ns = passed.at_ns
                self._stop_following(passed.direction, "there was too much to read when it ended")
            self._read_first(0.0)

    def _new_direction(self, session: ProxySession, deflate: str, *, up: bool) -> Direction:
        """Return one direction of a proxied session, to the upstream (`up`) or back: its tap reads the
        WebSocket messages, the proxy's recorder records each of them, and the session notes how it was
        closed."""
        read = MessageReader().read

        def record_message(raw: str | bytes) -> None:
            """Record a message that the tap has read."""
            self._record_frame(session.name, raw, read_upstream(raw, read), sent=not up)

        def note_close(code: int, reason: str) -> None:
            """Note how the session was closed, by the first close frame."""
            session.closed = session.closed or Closed(not up, code, reason)

        return Direction(session, WebSocketTap(record_message, note_close, deflate, from_client=up))

    def _queue_event(self, event: _WaitingEvent) -> None:
        """Queue an event at the proxy until the bytes that came before it are read and recorded; do so at
        once if that goes quickly enough."""
        self._waiting.append(event)
        started = perf_counter()
        self._read_until(started + self._seconds_for_events)
        if self._waiting:
            self._seconds_for_events -= perf_counter() - started
            self._read_soon()

    def _read_soon(self) -> None:
        """Let the event loop go on with the recorder's reading in its next turn."""
        if self._reader is not None:
            self._reader.cancel()
        self._reader = asyncio.get_running_loop().call_soon(self._read_some)

    def _read_some(self) -> None:
        """For a short time, read bytes that passed through the recording proxy and wait in the recorder's
        queue. If some still wait afterwards, plan the next reading."""
        self._reader = None
        self._seconds_for_events = _READ_FOR_FACTS_SECONDS
        self._read_until(perf_counter() + _READ_AT_A_TIME_SECONDS)
        if self._waiting:
            self._read_soon()

    def _read_until(self, deadline: float) -> None:
        """Read bytes that passed through the proxy, and record the waiting events, in order. Stop when none
        wait, or at the time `deadline` (of `perf_counter`)."""
        while self._waiting and perf_counter() < deadline:
            self._read_first(deadline)

    def _read_first(self, deadline: float) -> None:
        """Record what stands first in the recording proxy's queue. A waiting event (a request, an opening or
        a closing) is recorded at once. Of bytes that passed in one direction, read at least one frame, and
        more until the time `deadline`.

        Bytes that are read completely leave the queue, and more bytes may pass in their direction."""
        first = self._waiting[0]
        self._event_ns = first.at_ns
        if isinstance(first, _WaitingEvent):
            self._waiting.popleft()
            self._record_waiting_event(first)
        elif not first.direction.follows or self._read_frames(first, deadline):
            self._waiting.popleft()
            self._frame_steps = None
            first.direction.waiting_bytes -= len(first.data)
            if first.direction.waiting_bytes <= _MAX_WAITING_BYTES // 2:
                first.direction.release()

    def _read_frames(self, passed: _PassedBytes, deadline: float) -> bool:
        """Record the frames in bytes that passed through the proxy, until the time `deadline` (of
        `perf_counter`). Return True if the bytes are finished, and False if more of them must be read later.

        If the bytes cannot be understood, finish them, and record no more of what passes in their
        direction."""
        if self._frame_steps is None:
            self._frame_steps = passed.direction.tap.read(passed.data)
        try:
            for _ in self._frame_steps:
                if perf_counter() >= deadline:
                    return False
        except RemoteProtocolError as error:
            self._stop_following(passed.direction, str(error))
        return True

    def _stop_following(self, direction: Direction, reason: str) -> None:
        """Record no more frames of this direction through the proxy, and record the reason once."""
        if direction.follows:
            direction.follows = False
            lost_track = Injected("proxy-lost-track", Excuse.FAILURE, detail=reason)
            self._emit_event(self._event_ns, Lane.KIT, direction.session.name, lost_track)

    def _record_waiting_event(self, event: _WaitingEvent) -> None:
        """Record an event that has waited in the proxy's recorder. If the event ends a session, forget the
        secrets of this session."""
        content = event.content
        if event.ends is not None:
            content = event.ends.closed or content
        self._emit_event(event.at_ns, event.lane, event.connection, content)
        if event.ends is not None:
            self._secrets.release_holder(event.ends.name)

    def _record_frame(self, name: str, raw: str | bytes, value: Message | Undecodable, *, sent: bool) -> None:
        """Record a frame that has passed through the proxy in the session `name`, with stars in place of its
        secrets. `value` is the decoded frame; `sent`: Motion Server sent it."""
        if isinstance(raw, str):
            raw_without_secrets: str | bytes = self._secrets.redact_text(raw)
        else:
            raw_without_secrets = without_secrets(raw, value, self._secrets, name)
        if raw_without_secrets is not raw and raw_without_secrets != raw:
            value = read_upstream(raw_without_secrets)
        content = Sent(raw_without_secrets, value) if sent else Received(raw_without_secrets, value)
        self._on_event(Event(0, self._event_ns, _UPSTREAM, name, content))

    def _emit_event(self, at_ns: int, lane: Lane, connection: str, content: EventKind) -> None:
        """Call `on_event` for an event at the proxy that is not a frame, without its secrets."""
        self._on_event(Event(0, at_ns, lane, connection, texts_without_secrets(content, self._secrets)))
