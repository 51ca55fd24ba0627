"""Opens sessions with a Motion Server under test, speaks in them as a Server SDK does, and records it."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, TurnPlan
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, SEGMENT_KEYFRAMES
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import UpgradeRefusedError, session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.ids import NANOID_LENGTH, make_log_id
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    MotionResponse,
    ServerError,
)
from spatius_sim.rules.server.session import CLOSE_SECONDS, ROOM_SECONDS, tells_of_too_many_sessions
from spatius_sim.subjects.server_access import OpenSession, ServerAccess, ServerOverSockets
from spatius_sim.subjects.subject_base import Patience
from spatius_sim.subjects.wait_for_events import (
    TIMER_TOLERANCE_SECONDS,
    AdaptiveTimeout,
    MessageWatch,
    loop_time,
    shows_subject_works,
    wait_until,
)
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Refused,
    Sent,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_secrets

TOKEN_LIFE_SECONDS = 3600

PIECE_BYTES = 6400
"""Speech of 200 ms at the rate of most plans."""

_TURN_CHUNK_BYTES = 3200

_QUERY_EVERY = 3
"""So many sessions of a run it takes until one has its credentials in the query, not in headers."""

_ANSWERS_TO_UPGRADES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS,
)

_LATE_CLOSE_SECONDS = 0.3
"""How much longer the kit waits for a close than a server may take."""

_LONGEST_SEGMENT_SECONDS = SEGMENT_KEYFRAMES / KEYFRAMES_PER_SECOND
"""How long a server that answers in real time is silent between two responses, without a fault."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """The endpoints of a Motion Server, and the key and ids that the kit uses there.

    `lacks`: the features that the server is declared to lack. `find_lacks`: whether the kit finds out, when
    it attaches, if the server accepts every key or refuses every egress, as a mock may."""

    console: str
    ingress: str
    api_key: str
    app_id: str = APP_ID
    avatar_id: str = AVATAR_ID
    lacks: tuple[str, ...] = ()
    find_lacks: bool = True


class SpeechToSend(NamedTuple):
    """What is spoken in a turn: its bytes in the chunks in which they are sent, its length, and the pause
    after each chunk, both in seconds. Earlier speech may keep the server busy for `backlog_seconds`. The
    first message carries `traceparent`, if it is not ""."""

    chunks: Sequence[bytes]
    seconds: float
    pause_seconds: float = 0.0
    backlog_seconds: float = 0.0
    traceparent: str = ""


class ServerSessions:
    """The sessions of one subject, a Motion Server."""

    def __init__(
        self,
        address: ServerAddress,
        recorder: RealTimeRecorder,
        seed: int,
        patience: Patience,
        access: ServerAccess | None = None,
    ) -> None:
        """Prepare sessions with the Motion Server under test at `address`; connect to nothing yet. `access`
        reaches the server; None: over sockets. `seed` decides what is spoken. `patience` says how long the
        kit waits for answers."""
        self.target = url_without_secrets(address.ingress)
        self._address = address
        self._access: ServerAccess = access or ServerOverSockets(address.console, address.ingress)
        self._lacks = address.lacks
        self._recorder, self._seed, self._patience = recorder, seed, patience
        self._silence_timeout = AdaptiveTimeout(patience.settle)
        self._run_count = 0
        self._probe_count = 0
        self._session_count = 0
        """How many sessions were asked for in this run."""
        self._open_names: set[str] = set()
        """The sessions that are open now."""
        self._may_wait_for_free_session = False
        """Whether this run may still wait until a server that has too many sessions can take another one."""
        self._waits_for_free_session = 0
        """How often any run has waited for that."""

    @asynccontextmanager
    async def _open_session(self, *, token_in_query: bool = False) -> AsyncIterator[OpenSession]:
        """Open one of the sessions with the Motion Server under test, with a new token; yield the session,
        and close it afterwards. If `token_in_query`, the token and the ids are sent in the URL, not in
        headers. Record nothing: the caller records the session if it is part of a run. Raises
        UnreachableError if the session cannot be opened."""
        token = await self._fetch_token()
        address = self._address
        async with self._access.open_session(
            token, address.app_id, address.avatar_id, token_in_query=token_in_query
        ) as session:
            yield session

    async def _fetch_token(self) -> str:
        """Ask the Motion Server under test for a session token that is valid for an hour, and return it.
        Raises UnreachableError if the server issues none."""
        expire_at = self._unix_time_in(TOKEN_LIFE_SECONDS)
        answer = await self._access.ask_for_token(self._address.api_key, expire_at)
        if answer.status != HTTPStatus.OK:
            raise UnreachableError(f"the token was refused: HTTP {answer.status} {answer.body}")
        token = session_token_in(answer)
        if not token:
            raise UnreachableError(f"{self._address.console} answered without a sessionToken")
        return token

    def _unix_time_in(self, seconds: int) -> int:
        """Return the unix time that it will be in so many seconds."""
        return int(self._access.unix_time()) + seconds

    @asynccontextmanager
    async def _record_session(
        self, session_name: str, session: OpenSession, close_code: int = NORMAL_CLOSE
    ) -> AsyncIterator[None]:
        """While this context is open, record a session with the Motion Server under test: its opening, all
        frames that come from the server, and its closing, by the server or by the kit. The kit leaves with
        this `close_code`; with 1006, it resets the connection."""
        self._recorder.emit(
            Lane.UPSTREAM, session_name, Opened("", self._address.app_id, self._address.avatar_id)
        )
        self._open_names.add(session_name)
        listening = asyncio.create_task(record_frames(self._recorder, session_name, session))
        try:
            yield
            if not listening.done():
                self._recorder.emit(Lane.UPSTREAM, session_name, Closed(by_kit=True, code=close_code))
        finally:
            listening.cancel()
            self._open_names.discard(session_name)
            if close_code == ABNORMAL_CLOSE:
                await session.reset()

    @asynccontextmanager
    async def _open_configured_session(
        self, session_name: str, configuration: ConfigureSession, close_code: int = NORMAL_CLOSE
    ) -> AsyncIterator[OpenSession | None]:
        """Open and configure a session with the Motion Server under test, record it under this name, and
        yield it. Yield None if the server did not confirm the configuration, or refused the upgrade. Close
        the session at the end, with this code; 1006: by a reset of its connection. If the server has too many
        sessions although the kit has no other, open one more some seconds later, only to record whether the
        server takes it then."""
        async with self._attempt_session(session_name, configuration, close_code) as session:
            yield session
        if self._may_wait_for_free_session and self._is_refused_alone(session_name):
            self._may_wait_for_free_session = False
            self._waits_for_free_session += 1
            await asyncio.sleep(ROOM_SECONDS + _LATE_CLOSE_SECONDS)
            async with self._attempt_session(f"{session_name}-again", configuration, NORMAL_CLOSE):
                pass

    @asynccontextmanager
    async def _attempt_session(
        self, session_name: str, configuration: ConfigureSession, close_code: int
    ) -> AsyncIterator[OpenSession | None]:
        """Make one attempt to open, configure and record a session. Yield the session, or None if the server
        refused the upgrade or did not confirm the configuration."""
        self._session_count += 1
        in_query = not self._session_count % _QUERY_EVERY
        if in_query:
            self._recorder.emit(Lane.KIT, session_name, Provoked(Provocation.TOKEN_IN_QUERY))
        async with AsyncExitStack() as exits:
            try:
                session = await exits.enter_async_context(self._open_session(token_in_query=in_query))
            except UpgradeRefusedError as error:
                self._record_refusal(session_name, error)
                yield None
                return
            await exits.enter_async_context(self._record_session(session_name, session, close_code))
            confirmed = await self._configure_session(session_name, session, configuration)
            yield session if confirmed else None

    @asynccontextmanager
    async def _open_silent_session(self, session_name: str) -> AsyncIterator[None]:
        """While this context is open, be connected with the Motion Server under test, and send nothing. Do
        not insist if the server refuses the upgrade."""
        async with AsyncExitStack() as exits:
            try:
                session = await exits.enter_async_context(self._open_session())
            except UpgradeRefusedError as error:
                self._record_refusal(session_name, error)
            else:
                await exits.enter_async_context(self._record_session(session_name, session))
            yield

    def _record_refusal(self, session_name: str, error: UpgradeRefusedError) -> None:
        """Record that the Motion Server under test refused a session: it answered the WebSocket upgrade, in
        which nothing was wrong, with an HTTP error. Raises the error again if its status tells neither of a
        mistake in the upgrade nor of too many requests."""
        if error.answer.status not in _ANSWERS_TO_UPGRADES:
            raise error
        refused = Refused(error.answer.status, error.answer.body)
        self._recorder.emit(Lane.UPSTREAM, session_name, refused)

    def _is_refused_alone(self, session_name: str) -> bool:
        """Return whether the Motion Server under test refused this session because there are too many, though
        the kit has no other one open now."""
        contents = [event.content for event in self._recorder.events if event.connection == session_name]
        return not self._open_names and any(map(tells_of_too_many_sessions, contents))

    async def _configure_session(
        self, session_name: str, session: OpenSession, configuration: ConfigureSession
    ) -> bool:
        """Send the configuration of a session to the Motion Server under test, wait for the answer, and
        return whether the server confirmed the session."""
        confirmation = MessageWatch(
            self._recorder, session_name, lambda message: isinstance(message, ConfirmSession)
        )
        await self._send_first_frame(session_name, session, encode(configuration))
        return confirmation.has_arrived()

    async def _send_first_frame(self, session_name: str, session: OpenSession, frame: str | bytes) -> None:
        """Begin a session with the Motion Server under test: send the first frame of the session (as a rule,
        its configuration), wait for an answer, and record whether an answer came. If the answer is an error,
        wait also until the server closes the session."""
        any_answer = MessageWatch(self._recorder, session_name, lambda message: True)
        error = MessageWatch(self._recorder, session_name, lambda message: isinstance(message, ServerError))
        await self._send(session_name, session, frame)
        answered = await wait_until(self._recorder, any_answer.has_arrived, self._silence_timeout)
        self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.HANDSHAKE, answered))
        if error.has_arrived():
            await self._wait_for_close(session_name)

    async def _speak_turns(
        self, session_name: str, turns: Sequence[TurnPlan], sample_rate: int, req_ids: Sequence[str] = ()
    ) -> None:
        """Speak these turns one after the other to the Motion Server under test, in one session. Do nothing
        if the server does not confirm the session. `sample_rate` is in Hz. `req_ids` are those of the turns;
        if it is empty, each turn gets a new one."""
        async with self._open_configured_session(session_name, ConfigureSession(sample_rate)) as session:
            if session is not None:
                for number, turn in enumerate(turns):
                    req_id = req_ids[number] if req_ids else ""
                    await self._speak_turn(session_name, session, number, turn, sample_rate, req_id=req_id)

    async def _speak_turn(
        self,
        session_name: str,
        session: OpenSession,
        number: int,
        turn: TurnPlan,
        sample_rate: int = PLAN_SAMPLE_RATE,
        *,
        req_id: str = "",
        before_end: Callable[[], Awaitable[None]] | None = None,
        backlog_seconds: float = 0.0,
    ) -> str:
        """Send the audio of one turn as a request in an open session with the Motion Server under test, wait
        until the request ends, and record whether it did. Return its req_id: `req_id`, or a new one if that
        is "". `before_end` is called before the audio is marked as ended. Earlier speech may keep the server
        busy for `backlog_seconds`; the kit waits so much longer, unless its waits are shortened."""
        req_id = req_id or self._make_req_id(f"{session_name}/{number}")
        pcm = self._speech_of_turn(f"{session_name}/{number}", turn)
        self._recorder.emit(Lane.KIT, session_name, TurnStarted(number, pcm, sample_rate))
        speech = SpeechToSend(
            turn.split_into_chunks(pcm),
            turn.samples / sample_rate,
            turn.chunk_pause_ms / 1000,
            backlog_seconds,
        )
        await self._send_speech(session_name, session, number, req_id, speech, before_end)
        return req_id

    async def _send_speech(
        self,
        session_name: str,
        session: OpenSession,
        number: int,
        req_id: str,
        speech: SpeechToSend,
        before_end: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Send this speech, the turn `number` of a session, to the Motion Server under test under this
        req_id. Wait until the request ends, and record whether it did. `before_end` is called before the
        audio is marked as ended."""
        end_of_request = MessageWatch(
            self._recorder, session_name, lambda message: _ends_request(message, req_id)
        )
        chunks = list(speech.chunks)
        # A whole turn in one message has its end mark, as a vendor's clip does; else the end mark comes in a
        # message of its own.
        last = chunks.pop() if len(chunks) == 1 else b""
        traceparent = speech.traceparent
        for chunk in chunks:
            await self._send(session_name, session, encode(AudioInput(req_id, chunk, False, traceparent)))
            await asyncio.sleep(speech.pause_seconds)
            traceparent = ""
        if before_end is not None:
            await before_end()
        await self._send(session_name, session, encode(AudioInput(req_id, last, True, traceparent)))
        # A server that answers in real time has shown that in its first waits: shortened ones need no grace.
        shortened = self._silence_timeout.is_shortened
        grace = 0.0 if shortened else min(_LONGEST_SEGMENT_SECONDS, speech.seconds) + speech.backlog_seconds
        is_sign = _is_from_server if shortened else shows_subject_works
        complete = await wait_until(
            self._recorder, end_of_request.has_arrived, self._silence_timeout, grace=grace, is_sign=is_sign
        )
        self._silence_timeout.fulfilled |= complete
        self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.TURN, complete, number))

    async def _send(self, session_name: str, session: OpenSession, frame: str | bytes) -> None:
        """Record a frame, and send it."""
        self._recorder.record_sent(Lane.UPSTREAM, session_name, frame)
        await session.send(frame)

    def _speech_of_turn(self, label: str, turn: TurnPlan) -> bytes:
        """Return the speech of a turn for the Motion Server under test, which differs in each run, but is the
        same for the same seed."""
        return turn.pcm(f"{self._seed}/{self._run_count}/{label}")

    def _make_req_id(self, label: str) -> str:
        """Make a new req_id, the id of one request to the Motion Server under test. It holds the present
        time, and bytes that depend on the seed, the number of the run and `label` alone."""
        seed_text = f"{self._seed}/{self._run_count}/{label}".encode()
        id_bytes = hashlib.blake2b(seed_text, digest_size=NANOID_LENGTH).digest()
        return make_log_id(self._access.unix_time(), id_bytes)

    async def _wait_for_close(self, session_name: str) -> None:
        """Wait until a session is closed by the Motion Server under test, because the server has answered the
        first frame of the session with an error. Record whether it closed the session in time."""
        deadline = loop_time() + CLOSE_SECONDS + _LATE_CLOSE_SECONDS

        def is_closed() -> bool:
            """Return whether the close of this session has been recorded by now."""
            events = self._recorder.events
            return any(
                event.connection == session_name and isinstance(event.content, Closed) for event in events
            )

        while not is_closed() and (seconds_left := deadline - loop_time()) > TIMER_TOLERANCE_SECONDS:
            self._recorder.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._recorder.changed.wait(), seconds_left)
        self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.CLOSE, is_closed()))

    def _has_answered(self, session_name: str) -> bool:
        """Return whether the newest wait of the kit in this session ended because the expected answer came. A
        server that has not answered one turn need not be waited for again."""
        contents = (
            event.content for event in reversed(self._recorder.events) if event.connection == session_name
        )
        return next(content for content in contents if isinstance(content, WaitEnded)).complete


def make_plain_turn(sample_count: int) -> TurnPlan:
    """Return a turn of so many samples, in chunks of 100 ms, as most clients speak."""
    return TurnPlan(sample_count, _TURN_CHUNK_BYTES)


async def record_frames(recorder: RealTimeRecorder, session_name: str, session: OpenSession) -> None:
    """Record, until a session is closed, each frame that comes from the Motion Server under test. At last,
    record that the server has closed the session, and by which code."""
    async for raw in session.frames():
        recorder.record_received(Lane.UPSTREAM, session_name, raw)
    recorder.emit(Lane.UPSTREAM, session_name, Closed(by_kit=False, code=session.close_code))


def _is_from_server(event: Event) -> bool:
    """Return whether an event comes from the Motion Server under test. What the kit says meanwhile in other
    sessions is no reason to wait for a server that has never ended a request."""
    return shows_subject_works(event) and not isinstance(event.content, Sent)


def _ends_request(message: object, req_id: str) -> bool:
    """Return whether a message of the Motion Server under test ends the request with this id: it is the last
    response to the request, or an error for this request or for the whole session."""
    match message:
        case MotionResponse(req_id=ended_id, end=True):
            return ended_id == req_id
        case ServerError(req_id=failed_id):
            return failed_id in ("", req_id)
    return False
