"""Records what passes through a proxy as events.

Reading bytes takes longer than passing them on, so they are queued and read later."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import inf
from time import monotonic_ns, perf_counter

from spatius_sim.net.proxy.websocket_tap import WebSocketTap
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE
from spatius_sim.protocol.codec import MessageReader
from spatius_sim.protocol.console_api import TOKEN_PATHS, RequestRefusedError, read_token_request
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
    TokenRequested,
    Undecodable,
)
from spatius_sim.trace.known_secrets import MAX_SECRETS, KnownSecrets, redact_text_fields
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.trace.secrets_in_messages import redact_frame
from spatius_sim.trace.secrets_in_settings_and_urls import secrets_in_header, secrets_in_url

_UPSTREAM = Lane.UPSTREAM
_TOKEN_FIELDS = (*TOKEN_PATHS.values(), "sessionKey", "token")
"""The names under which a session token may stand in an answer of the Console API."""
_READ_AFTER_SECONDS = 0.1
"""How long after they passed bytes are read."""
_READ_AT_A_TIME_SECONDS = 0.001
"""How long bytes are read before the event loop does something else."""
_READ_FOR_EVENTS_SECONDS = 0.02
"""How long, between two such readings, bytes may be read at once so that an event need not wait for them."""
_MAX_WAITING_BYTES = 1_048_576
"""For each direction: while more bytes than this wait to be read, no more are taken from the peer that sends
them."""


def _do_nothing() -> None:
    """Do nothing. A direction starts with this as `pause_source` and `resume_source`."""


@dataclass(slots=True)
class ProxySession:
    """One WebSocket that the proxy records. `closed` is set as soon as one side has sent a close frame."""

    name: str
    closed: Closed | None = None


@dataclass(slots=True)
class Direction:
    """One direction of a session through the proxy, up or down.

    `pause_source` stops reading from the peer that sends in this direction, and `resume_source` reads again.
    `is_decoded` says whether the bytes are still decoded and recorded."""

    session: ProxySession
    tap: WebSocketTap
    is_decoded: bool = True
    waiting_bytes: int = 0
    pause_source: Callable[[], None] = _do_nothing
    resume_source: Callable[[], None] = _do_nothing


@dataclass(frozen=True, slots=True)
class _PassedBytes:
    """Bytes that have passed through the proxy in a direction, and wait for the recorder to read them."""

    at_ns: int
    direction: Direction
    data: bytes


@dataclass(frozen=True, slots=True)
class _WaitingEvent:
    """An event at the proxy that waits to be recorded until the bytes that came before it are read.

    If the event ends a session, `ended_session` is this session: a close frame among those bytes says better
    how it was closed."""

    at_ns: int
    lane: Lane
    connection: str
    content: EventKind
    ended_session: ProxySession | None = None


class ProxyRecorder:
    """Records what passes through the proxy: calls `on_event` for everything that happens, in order, with the
    time when it happened."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        """Make a recorder for a proxy, before any session is open. `on_event` is called with each recorded
        event."""
        self._on_event = on_event
        self._secrets = KnownSecrets(MAX_SECRETS)
        self._waiting: deque[_PassedBytes | _WaitingEvent] = deque()
        """The queue: bytes and events are read from it later, in order."""
        self._first_item_frames: Iterator[None] | None = None
        """Reads the bytes of the first item of the queue, one frame at each step; None before they are
        read."""
        self._planned_reading: asyncio.Handle | None = None
        """The call of `_read_queue_briefly` for which the event loop waits."""
        self._seconds_left_for_events = _READ_FOR_EVENTS_SECONDS
        """How long bytes may still be read at once because an event comes after them."""
        self._current_event_ns = 0

    def emit(self, lane: Lane, connection: str, content: EventKind) -> None:
        """Record an event that happens at the proxy now."""
        self._queue_event(_WaitingEvent(monotonic_ns(), lane, connection, content))

    def secret_reference(self, kind: str, secret: str, holder: str = "") -> str:
        """Return the reference that stands for a secret in what the proxy records, such as `token#1`; `kind`
        is the part before `#`. Return "" for an empty secret.

        A new secret is learnt, its reference recorded, and it is remembered at least until the session
        `holder` ends."""
        is_new = not self._secrets.known_reference(secret)
        reference = self._secrets.reference_for(kind, secret, holder)
        if reference and is_new:
            self.emit(Lane.KIT, "", SecretKnown(reference, len(secret)))
        return reference

    def learn_secrets(self, target: str, headers: Iterable[tuple[str, str]]) -> None:
        """Learn the secrets, such as passwords, in the target and the headers of a request that passes
        through the proxy. They are replaced by stars in all events that are recorded later."""
        header_secrets = (secrets_in_header(name, value) for name, value in headers)
        for secret in chain(secrets_in_url(target), *header_secrets):
            self._secrets.hide(secret)

    def record_token_request(
        self, key_reference: str, request_body: bytes, answer_status: int, answer_body: bytes
    ) -> None:
        """Record a token request that the relay sent through the proxy, and how it was answered. References,
        such as token#1, stand for the API key and for the token that was issued."""
        token = _find_issued_token(answer_body) if answer_status == 200 else ""
        token_reference = self.secret_reference("token", token)
        try:
            expire_at: int | None = read_token_request(request_body).expire_at
        except RequestRefusedError:
            expire_at = None
        event = TokenRequested(key_reference, expire_at, time.time(), answer_status, token_reference)
        self.emit(Lane.CONSOLE, "", event)

    def record_opening(
        self, session_name: str, opened: Opened, extensions_header: str
    ) -> tuple[Direction, Direction]:
        """Record that a WebSocket session through the proxy was opened. Return its two directions: up to
        Motion Server, then down to the relay.

        `extensions_header` is the HTTP header with the WebSocket extensions that both sides use, such as
        compression."""
        self.emit(Lane.UPSTREAM, session_name, opened)
        session = ProxySession(session_name)
        up = self._make_direction(session, extensions_header, up=True)
        down = self._make_direction(session, extensions_header, up=False)
        return up, down

    def queue_bytes(self, direction: Direction, data: bytes) -> None:
        """Queue bytes that have passed through the proxy in this direction; they are read and recorded later.
        If too many bytes wait, take no more from their source until enough of them are read."""
        self._waiting.append(_PassedBytes(monotonic_ns(), direction, data))
        direction.waiting_bytes += len(data)
        if direction.waiting_bytes > _MAX_WAITING_BYTES and direction.is_decoded:
            direction.pause_source()
            self._plan_reading_now()
        elif self._planned_reading is None:
            loop = asyncio.get_running_loop()
            self._planned_reading = loop.call_later(_READ_AFTER_SECONDS, self._read_queue_briefly)

    def record_loss(self, session: ProxySession, *, by_server: bool) -> None:
        """Record that a session through the proxy is over. `by_server` is used only if neither side has sent
        a close frame."""
        closed = Closed(by_server, ABNORMAL_CLOSE)
        self._queue_event(_WaitingEvent(monotonic_ns(), Lane.UPSTREAM, session.name, closed, session))

    def record_waiting_items(self, max_seconds: float = inf) -> None:
        """Record everything that has passed through the proxy and still waits.

        If this takes longer than `max_seconds`, drop the bytes that still wait, and record that they were
        dropped. Events that wait are recorded all the same."""
        self._read_until(perf_counter() + max_seconds)
        while self._waiting:
            passed = self._waiting[0]
            if isinstance(passed, _PassedBytes):
                self._current_event_ns = passed.at_ns
                self._stop_decoding(passed.direction, "there was too much to read when it ended")
            self._record_first_item(0.0)

    def _make_direction(self, session: ProxySession, extensions_header: str, *, up: bool) -> Direction:
        """Return one direction of a session through the proxy: to the upstream if `up`, otherwise back to the
        relay. The WebSocket messages in its bytes are recorded. Its close frame is noted in the session,
        unless the other direction had a close frame before."""
        read_message = MessageReader().read

        def record_message(raw: str | bytes) -> None:
            """Record a WebSocket message that has passed in this direction."""
            self._record_frame(session.name, raw, read_upstream(raw, read_message), sent=not up)

        def note_close(code: int, reason: str) -> None:
            """Note how the session was closed, unless a close frame came before."""
            session.closed = session.closed or Closed(not up, code, reason)

        return Direction(session, WebSocketTap(record_message, note_close, extensions_header, from_client=up))

    def _queue_event(self, event: _WaitingEvent) -> None:
        """Queue an event at the proxy after the bytes that came before it. Read these bytes and record the
        event at once, if that takes at most `_seconds_left_for_events`; otherwise do the rest later, so that
        the traffic is not delayed."""
        self._waiting.append(event)
        started_at = perf_counter()
        self._read_until(started_at + self._seconds_left_for_events)
        if self._waiting:
            self._seconds_left_for_events -= perf_counter() - started_at
            self._plan_reading_now()

    def _plan_reading_now(self) -> None:
        """Let the event loop continue the recorder's reading in its next turn."""
        if self._planned_reading is not None:
            self._planned_reading.cancel()
        self._planned_reading = asyncio.get_running_loop().call_soon(self._read_queue_briefly)

    def _read_queue_briefly(self) -> None:
        """Read and record what waits in the proxy recorder's queue, but only for a millisecond, because the
        event loop has other work. If something still waits, plan the next reading. Until then, events may
        take _READ_FOR_EVENTS_SECONDS again."""
        self._planned_reading = None
        self._seconds_left_for_events = _READ_FOR_EVENTS_SECONDS
        self._read_until(perf_counter() + _READ_AT_A_TIME_SECONDS)
        if self._waiting:
            self._plan_reading_now()

    def _read_until(self, deadline: float) -> None:
        """Read bytes that passed through the proxy, and record the waiting events, in order. Stop when none
        wait, or at the time `deadline` (of `perf_counter`)."""
        while self._waiting and perf_counter() < deadline:
            self._record_first_item(deadline)

    def _record_first_item(self, deadline: float) -> None:
        """Record the first item of the recorder's queue. An event is recorded at once. Bytes that passed are
        decoded frame by frame, at least one frame, until the time `deadline` (of `perf_counter`).

        Finished items leave the queue. If few bytes of a direction still wait, its source is read again."""
        first_item = self._waiting[0]
        self._current_event_ns = first_item.at_ns
        if isinstance(first_item, _WaitingEvent):
            self._waiting.popleft()
            self._record_waiting_event(first_item)
        elif not first_item.direction.is_decoded or self._read_frames(first_item, deadline):
            self._waiting.popleft()
            self._first_item_frames = None
            first_item.direction.waiting_bytes -= len(first_item.data)
            if first_item.direction.waiting_bytes <= _MAX_WAITING_BYTES // 2:
                first_item.direction.resume_source()

    def _read_frames(self, passed: _PassedBytes, deadline: float) -> bool:
        """Record the WebSocket frames in bytes that passed through the proxy. Return True if the bytes are
        finished, and False if the time `deadline` (of `perf_counter`) came first. The next call then goes on
        with the same bytes.

        If the bytes cannot be decoded, count them as finished, and record no more of this direction."""
        if self._first_item_frames is None:
            self._first_item_frames = passed.direction.tap.read(passed.data)
        try:
            for _ in self._first_item_frames:
                if perf_counter() >= deadline:
                    return False
        except RemoteProtocolError as error:
            self._stop_decoding(passed.direction, str(error))
        return True

    def _stop_decoding(self, direction: Direction, reason: str) -> None:
        """Record no more frames of this direction through the proxy. At the first call, also record why."""
        if direction.is_decoded:
            direction.is_decoded = False
            lost_track = Injected("proxy-lost-track", Excuse.FAILURE, detail=reason)
            self._emit_event(self._current_event_ns, Lane.KIT, direction.session.name, lost_track)

    def _record_waiting_event(self, event: _WaitingEvent) -> None:
        """Record an event that waited in the recorder's queue. If it ends a session, and a close frame was
        seen, record this close frame as the end instead. After that, the session's secrets may be
        forgotten."""
        content = event.content
        if event.ended_session is not None:
            content = event.ended_session.closed or content
        self._emit_event(event.at_ns, event.lane, event.connection, content)
        if event.ended_session is not None:
            self._secrets.release_holder(event.ended_session.name)

    def _record_frame(
        self, session_name: str, raw: str | bytes, decoded: Message | Undecodable, *, sent: bool
    ) -> None:
        """Record a frame that passed through the proxy in this session, with stars in place of its secrets.
        `decoded` is the decoded frame. `sent` is true if Motion Server sent it, and false if Motion Server
        received it."""
        if isinstance(raw, str):
            safe_raw: str | bytes = self._secrets.redact_text(raw)
        else:
            safe_raw = redact_frame(raw, decoded, self._secrets, session_name)
        if safe_raw is not raw and safe_raw != raw:
            decoded = read_upstream(safe_raw)
        content = Sent(safe_raw, decoded) if sent else Received(safe_raw, decoded)
        self._on_event(Event(0, self._current_event_ns, _UPSTREAM, session_name, content))

    def _emit_event(self, at_ns: int, lane: Lane, connection: str, content: EventKind) -> None:
        """Call `on_event` for an event at the proxy that is not a frame, without its secrets."""
        self._on_event(Event(0, at_ns, lane, connection, redact_text_fields(content, self._secrets)))


def _find_issued_token(answer_body: bytes) -> str:
    """Return the session token in the body of the Console API's answer; "" if there is none. The token may
    stand under several names, in the JSON object itself or in its member `data`; all are searched."""
    try:
        document = json.loads(answer_body)
    except (ValueError, RecursionError):
        return ""
    inner_document = document.get("data") if isinstance(document, dict) else None
    for token_fields in (document, inner_document):
        if isinstance(token_fields, dict):
            for field_name in _TOKEN_FIELDS:
                if isinstance(token_fields.get(field_name), str):
                    return str(token_fields[field_name])
    return ""
