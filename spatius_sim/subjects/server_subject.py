"""Drives a Motion Server under test as a Server SDK does, and makes mistakes on purpose."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import urlsplit

from spatius_sim import __version__
from spatius_sim.model.scenario.faults_by_id import APP_ID, AVATAR_ID
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.real_time_recorder import RealTimeRecorder
from spatius_sim.net.record_kit_stalls import record_kit_stalls
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan
from spatius_sim.plans.plan_token import token_of
from spatius_sim.plans.server_probes import (
    EgressProbe,
    ExpiryProbe,
    HandshakeProbe,
    InterruptProbe,
    Probe,
    SharedIdProbe,
    TokenProbe,
    UpgradeProbe,
)
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, SEGMENT_KEYFRAMES
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import UpgradeRefusedError, session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.ids import NANOID_LENGTH, make_log_id
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
    ServerError,
)
from spatius_sim.rules.server.session import CLOSE_SECONDS
from spatius_sim.subjects.server_access import OpenSession, ServerAccess, ServerOverSockets
from spatius_sim.subjects.subject_base import Patience, canary_key
from spatius_sim.subjects.wait_for_events import NO_TIME, AdaptiveTimeout, MessageWatch, loop_time, wait_until
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Refused,
    TokenRequested,
    Trace,
    TraceHeader,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.trace.secrets_in_settings_and_urls import url_without_logins
from spatius_sim.wires.optional_features import EGRESS, KEYS

_RETRY_SECONDS = 0.2
_TOKEN_LIFE_SECONDS = 3600
_SHORT_TOKEN_LIFE_SECONDS = 2
_AFTER_EXPIRY_SECONDS = 0.5
_CLOCKS_DIFFER_SECONDS = 10.0
"""How much longer a token may live if the server's clock differs from this machine's."""

_LATE_CLOSE_SECONDS = 0.3
"""How much longer the kit waits for a close than a server may take."""

_LATE_SECONDS = 1.2
"""Motion of an interrupted request may come for one second; this is a little more."""

_LONGEST_SEGMENT_SECONDS = SEGMENT_KEYFRAMES / KEYFRAMES_PER_SECOND
"""How long a server that answers in real time is silent between two responses, without a fault."""

_TURN_CHUNK_BYTES = 3200
_UNKNOWN_KEY_SEED = -1
"""No run has this seed, so no server knows the key that is made from it."""

_UNSUPPORTED_RATE = 11025
_WRONG_FIRST_FRAMES: dict[Provocation, str | bytes] = {
    Provocation.WRONG_MESSAGE: encode(AudioInput("too-early", bytes(320))),
    Provocation.TEXT: "hello",
    Provocation.UNDECODABLE: b"\xff" * 16,
    Provocation.UNSUPPORTED_RATE: encode(ConfigureSession(_UNSUPPORTED_RATE)),
}
_EGRESSES = {
    EgressType.LIVEKIT: ConfigureSession(
        PLAN_SAMPLE_RATE,
        egress_type=EgressType.LIVEKIT,
        livekit_egress=LiveKitEgress("wss://room.invalid", "key", "secret", "", "room", "avatar"),
    ),
    EgressType.AGORA: ConfigureSession(
        PLAN_SAMPLE_RATE,
        egress_type=EgressType.AGORA,
        agora_egress=AgoraEgress("channel", "token", 7, "avatar"),
    ),
}


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


class ServerSubject:
    """Runs plans against a Motion Server: each client of a plan is one session, and each turn one request."""

    kind = "server"
    wire = ""

    def __init__(
        self,
        address: ServerAddress,
        recorder: RealTimeRecorder,
        seed: int,
        patience: Patience,
        access: ServerAccess | None = None,
    ) -> None:
        """Prepare to run plans against the Motion Server under test at `address`; connect to nothing yet.
        `access` reaches the server; None: over sockets. `seed` decides what is spoken. `patience` says how
        long the kit waits for answers."""
        self.target = url_without_logins(address.ingress)
        self._address = address
        self._access: ServerAccess = access or ServerOverSockets(address.console, address.ingress)
        self._lacks = address.lacks
        self._recorder, self._seed, self._patience = recorder, seed, patience
        self._settling = AdaptiveTimeout(patience.settle)
        self._run_count = 0
        self._probe_count = 0

    async def attach(self) -> None:
        """Wait until a session with the Motion Server under test can be opened. If the address says so, find
        out then whether the server lacks the checking of keys, or egress (publishing in a room). Raises
        UnreachableError if no session can be opened in time."""
        deadline = loop_time() + self._patience.attach
        while True:
            try:
                async with self._open_session():
                    break
            except UnreachableError:
                if loop_time() > deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)
        if self._address.find_lacks:
            answer = await self._access.ask_for_token(
                canary_key(_UNKNOWN_KEY_SEED), self._unix_time_in(_TOKEN_LIFE_SECONDS)
            )
            lacks_found = [KEYS] if session_token_in(answer) else []
            lacks_found += [] if await self._accepts_egress() else [EGRESS]
            self._lacks = tuple(dict.fromkeys([*self._lacks, *lacks_found]))

    @property
    def cut_a_wait_short(self) -> bool:
        """Whether the last run shortened a wait."""
        return self._settling.cut_short

    async def run(self, plan: Plan, *, patient: bool = False) -> Trace:
        """Run a plan against the Motion Server under test: its probes one by one, then all its sessions at
        once. Return the trace. A `patient` run shortens no wait."""
        self._run_count += 1
        self._settling.begin_run(patient=patient)
        header = TraceHeader(
            "server", "", self._seed, str(plan), __version__, self._lacks, plan_token=token_of(plan)
        )
        self._recorder.start(header)
        try:
            async with record_kit_stalls(self._recorder):
                for probe in plan.probes:
                    self._probe_count += 1
                    await self._run_probe(f"probe-{self._probe_count}", probe)
                speaking = (
                    self._speak_turns(f"session-{number}", turns, plan.sample_rate)
                    for number, turns in enumerate(plan.clients, 1)
                )
                await asyncio.gather(*speaking)
        finally:
            trace = self._recorder.finish()
        return trace

    async def detach(self) -> None:
        """Do nothing: no connection is held between runs."""

    # Probes.

    async def _run_probe(self, session_name: str, probe: Probe) -> None:
        """Run one probe, a small test of one behaviour, against the Motion Server under test. Record
        everything under this name."""
        match probe:
            case TokenProbe(life_seconds, mistake):
                await self._request_token(session_name, life_seconds, mistake)
            case UpgradeProbe():
                await self._run_upgrade_probe(session_name, probe)
            case HandshakeProbe(mistake):
                await self._send_wrong_first_frame(session_name, mistake)
            case EgressProbe(egress, sample_count):
                async with self._open_configured_session(session_name, _EGRESSES[egress]) as session:
                    if session is not None:
                        await self._speak_turn(session_name, session, 0, _make_turn(sample_count))
            case ExpiryProbe(sample_count):
                await self._speak_after_token_expired(session_name, sample_count)
            case SharedIdProbe(sample_count):
                await self._speak_under_shared_ids(session_name, sample_count)
            case InterruptProbe(sample_count, late=True):
                await self._interrupt_ended_request(session_name, sample_count)
            case InterruptProbe(sample_count):
                await self._interrupt_running_request(session_name, sample_count)

    async def _request_token(
        self, session_name: str, life_seconds: int, mistake: Provocation | None = None
    ) -> str:
        """Ask the Motion Server under test for a session token that is valid for `life_seconds`, and record
        request and answer. Return the token, or "" if the server issued none. `mistake`: what the kit does
        wrong on purpose: it sends a wrong key or no key. None: it sends the right key."""
        key = self._address.api_key
        if mistake is not None:
            key = canary_key(_UNKNOWN_KEY_SEED) if mistake is Provocation.WRONG_KEY else ""
            self._recorder.emit(Lane.KIT, session_name, Provoked(mistake))
        now, expire_at = self._access.unix_time(), self._unix_time_in(life_seconds)
        answer = await self._access.ask_for_token(key, expire_at)
        token = session_token_in(answer) if answer.status == HTTPStatus.OK else ""
        key_reference = self._recorder.secret_reference("key", key)
        token_reference = self._recorder.secret_reference("token", token)
        request = TokenRequested(key_reference, expire_at, now, answer.status, token_reference)
        self._recorder.emit(Lane.CONSOLE, session_name, request)
        if not token:
            self._recorder.emit(Lane.CONSOLE, session_name, Refused(answer.status, answer.body))
        return token

    async def _run_upgrade_probe(self, session_name: str, probe: UpgradeProbe) -> None:
        """Try to open a session with the Motion Server under test with an invented token, without a token, or
        with an unknown avatar, as the probe says. Record whether the server accepts or refuses this."""
        token = {
            Provocation.INVENTED_TOKEN: f"invented-{canary_key(_UNKNOWN_KEY_SEED)}",
            Provocation.MISSING_TOKEN: "",
        }.get(probe.intent)
        if token is None:
            token = await self._request_token(f"{session_name}-token", _TOKEN_LIFE_SECONDS)
        is_avatar_unknown = probe.intent is Provocation.UNKNOWN_AVATAR
        avatar_id = "missing-avatar" if is_avatar_unknown else self._address.avatar_id
        address = replace(self._address, avatar_id=avatar_id)
        await self._try_wrong_upgrade(
            session_name, address, token, probe.intent, token_in_query=probe.token_in_query
        )

    async def _try_wrong_upgrade(
        self,
        session_name: str,
        address: ServerAddress,
        token: str,
        mistake: Provocation,
        *,
        token_in_query: bool = False,
    ) -> None:
        """Try to open a session with the Motion Server under test, and make this `mistake` on purpose:
        `token` or the avatar of `address` is wrong. Record whether the server accepts or refuses the upgrade
        to WebSocket."""
        self._recorder.emit(Lane.KIT, session_name, Provoked(mistake))
        try:
            async with self._access.open_session(
                token, address.app_id, address.avatar_id, token_in_query=token_in_query
            ):
                self._recorder.emit(
                    Lane.UPSTREAM, session_name, Opened("", address.app_id, address.avatar_id)
                )
        except UpgradeRefusedError as error:
            answer = error.answer
            self._recorder.emit(Lane.UPSTREAM, session_name, Refused(answer.status, answer.body))

    async def _send_wrong_first_frame(self, session_name: str, mistake: Provocation) -> None:
        """Open a session with the Motion Server under test, send a first frame with this mistake, and wait
        for the answer. If the answer is an error, wait also until the server closes the session."""
        self._recorder.emit(Lane.KIT, session_name, Provoked(mistake))
        async with self._open_session() as session, self._record_session(session_name, session):
            error_message = MessageWatch(
                self._recorder, session_name, lambda message: isinstance(message, ServerError)
            )
            await self._send_first_frame(session_name, session, _WRONG_FIRST_FRAMES[mistake])
            if error_message.has_arrived():
                await self._wait_for_close(session_name)

    async def _wait_for_close(self, session_name: str) -> None:
        """Wait until the Motion Server under test has closed a session in which it has sent an error. Record
        whether it closed the session in time."""
        deadline = loop_time() + CLOSE_SECONDS + _LATE_CLOSE_SECONDS

        def is_closed() -> bool:
            """Return whether the close of this session has been recorded by now."""
            events = self._recorder.events
            return any(
                event.connection == session_name and isinstance(event.content, Closed) for event in events
            )

        while not is_closed() and (seconds_left := deadline - loop_time()) > NO_TIME:
            self._recorder.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._recorder.changed.wait(), seconds_left)
        self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.CLOSE, is_closed()))

    async def _speak_after_token_expired(self, session_name: str, sample_count: int) -> None:
        """Open a session with the Motion Server under test, wait until its token has expired, and speak a
        turn. Then try to open other sessions with this token, while its session is open and afterwards, and
        with an expired token that was never used. Stop early if the server issues no token or does not
        confirm the session."""
        address = self._address
        session_token, unused_token = [
            await self._request_token(f"{session_name}-token", _SHORT_TOKEN_LIFE_SECONDS) for _ in range(2)
        ]
        clock_difference = 0.0 if urlsplit(address.console).hostname == LOOPBACK else _CLOCKS_DIFFER_SECONDS
        surely_expired_at = loop_time() + _SHORT_TOKEN_LIFE_SECONDS + _AFTER_EXPIRY_SECONDS + clock_difference
        if not (session_token and unused_token):
            return
        async with (
            self._access.open_session(session_token, address.app_id, address.avatar_id) as session,
            self._record_session(session_name, session),
        ):
            if not await self._configure_session(session_name, session, ConfigureSession(PLAN_SAMPLE_RATE)):
                return
            await asyncio.sleep(surely_expired_at - loop_time())
            self._recorder.emit(Lane.KIT, session_name, Provoked(Provocation.OUTLIVED_TOKEN))
            await self._speak_turn(session_name, session, 0, _make_turn(sample_count))
            used = Provocation.USED_TOKEN
            await self._try_wrong_upgrade(f"{session_name}-beside", address, session_token, used)
        for token, mistake in ((unused_token, Provocation.EXPIRED_TOKEN), (session_token, used)):
            for place, in_query in (("headers", False), ("query", True)):
                attempt_name = f"{session_name}-{mistake}-{place}"
                await self._try_wrong_upgrade(attempt_name, address, token, mistake, token_in_query=in_query)

    async def _interrupt_running_request(self, session_name: str, sample_count: int) -> None:
        """Send the audio of a request to the Motion Server under test, and interrupt the request before its
        audio is marked as ended. Listen for 1.2 s, because no more motion may come after 1 s. Then speak
        another turn. Do nothing if the session is not confirmed."""
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is None:
                return
            turn = _make_turn(sample_count)
            req_id = self._make_req_id(f"{session_name}/interrupted")
            for chunk in turn.split_into_chunks(self._speech_of_turn(f"{session_name}/interrupted", turn)):
                await self._send(session_name, session, encode(AudioInput(req_id, chunk)))
            await self._send(session_name, session, encode(Interrupt(req_id)))
            await asyncio.sleep(_LATE_SECONDS)
            self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.SILENCE, complete=True))
            await self._speak_turn(session_name, session, 0, turn)

    async def _interrupt_ended_request(self, session_name: str, sample_count: int) -> None:
        """Send the Motion Server under test an interrupt that comes too late: speak a first turn to its end,
        and interrupt it while a second turn is spoken. Do nothing if the session is not confirmed."""
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is not None:
                turn = _make_turn(sample_count)
                ended_req_id = await self._speak_turn(session_name, session, 0, turn)

                async def interrupt() -> None:
                    """Interrupt the turn that has ended."""
                    await self._send(session_name, session, encode(Interrupt(ended_req_id)))

                await self._speak_turn(session_name, session, 1, turn, before_end=interrupt)

    async def _speak_under_shared_ids(self, session_name: str, sample_count: int) -> None:
        """Use three req_ids on two sessions with the Motion Server under test at the same time. While the
        first session speaks, the second one speaks a whole turn, interrupts a turn, and leaves in a turn.
        Then a third session speaks under all three req_ids. Stop early if a session is not confirmed."""
        turn = _make_turn(sample_count)
        req_ids = [self._make_req_id(f"{session_name}/shared-{number}") for number in range(3)]
        first, second, third = (f"{session_name}-{which}" for which in ("first", "second", "third"))
        configuration = ConfigureSession(PLAN_SAMPLE_RATE)
        async with self._open_configured_session(first, configuration) as session:
            async with AsyncExitStack() as exits:
                other = await exits.enter_async_context(self._open_configured_session(second, configuration))
                if session is None or other is None:
                    return

                async def begin_turn(number: int) -> None:
                    """Begin a turn on the second session, under the req_id of this number."""
                    for chunk in turn.split_into_chunks(self._speech_of_turn(f"{second}/{number}", turn)):
                        await self._send(second, other, encode(AudioInput(req_ids[number], chunk)))

                async def speak() -> None:
                    """Speak a whole turn on the second session."""
                    await self._speak_turn(second, other, 0, turn, req_id=req_ids[0])

                async def interrupt() -> None:
                    """Begin a turn on the second session, and interrupt it."""
                    await begin_turn(1)
                    await self._send(second, other, encode(Interrupt(req_ids[1])))

                async def leave() -> None:
                    """Begin a turn on the second session, and close the session."""
                    await begin_turn(2)
                    await exits.aclose()

                for number, meanwhile in enumerate((speak, interrupt, leave)):
                    await self._speak_turn(
                        first, session, number, turn, req_id=req_ids[number], before_end=meanwhile
                    )
            await self._speak_turns(third, (turn,) * len(req_ids), PLAN_SAMPLE_RATE, req_ids)

    async def _accepts_egress(self) -> bool:
        """Return whether the Motion Server under test confirms a session that asks for egress: the server
        shall publish the motion in a LiveKit room. False if it sends another answer first, or none in time.
        Nothing of this session comes into a trace."""
        async with self._open_session() as session:
            await session.send(encode(_EGRESSES[EgressType.LIVEKIT]))
            recorder = RealTimeRecorder()
            # A recorder needs a header; nobody reads this trace.
            recorder.start(TraceHeader("server", "", self._seed, "", __version__))
            any_answer = MessageWatch(recorder, "", lambda message: True)
            confirmation = MessageWatch(recorder, "", lambda message: isinstance(message, ConfirmSession))
            listening = asyncio.create_task(_record_frames(recorder, "", session))
            try:
                await wait_until(recorder, any_answer.has_arrived, self._settling)
                return confirmation.has_arrived()
            finally:
                listening.cancel()

    # Sessions.

    @asynccontextmanager
    async def _open_session(self) -> AsyncIterator[OpenSession]:
        """Open a session with the Motion Server under test, with a new token; yield the session, and close it
        afterwards. Record nothing. Raises UnreachableError if the session cannot be opened."""
        token = await self._fetch_token()
        address = self._address
        async with self._access.open_session(token, address.app_id, address.avatar_id) as session:
            yield session

    async def _fetch_token(self) -> str:
        """Ask the Motion Server under test for a session token that is valid for an hour, and return it.
        Raises UnreachableError if the server issues none."""
        expire_at = self._unix_time_in(_TOKEN_LIFE_SECONDS)
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
    async def _record_session(self, session_name: str, session: OpenSession) -> AsyncIterator[None]:
        """While this context is open, record a session with the Motion Server under test: its opening, all
        frames that come from the server, and its closing, by the server or by the kit."""
        self._recorder.emit(
            Lane.UPSTREAM, session_name, Opened("", self._address.app_id, self._address.avatar_id)
        )
        listening = asyncio.create_task(_record_frames(self._recorder, session_name, session))
        try:
            yield
            if not listening.done():
                self._recorder.emit(Lane.UPSTREAM, session_name, Closed(by_kit=True, code=1000))
        finally:
            listening.cancel()

    @asynccontextmanager
    async def _open_configured_session(
        self, session_name: str, configuration: ConfigureSession
    ) -> AsyncIterator[OpenSession | None]:
        """Open and configure a session with the Motion Server under test, record it under this name, and
        yield it. Yield None if the server did not confirm the configuration. Close the session at the end."""
        async with self._open_session() as session, self._record_session(session_name, session):
            confirmed = await self._configure_session(session_name, session, configuration)
            yield session if confirmed else None

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
        """Send the first frame of a session to the Motion Server under test, wait for an answer, and record
        whether an answer came."""
        any_answer = MessageWatch(self._recorder, session_name, lambda message: True)
        await self._send(session_name, session, frame)
        answered = await wait_until(self._recorder, any_answer.has_arrived, self._settling)
        self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.HANDSHAKE, answered))

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
    ) -> str:
        """Send the audio of one turn to the Motion Server under test as a request, wait until the request
        ends, and record whether it did. Return its req_id: `req_id`, or a new one if that is "".
        `before_end` is called before the audio is marked as ended."""
        req_id = req_id or self._make_req_id(f"{session_name}/{number}")
        pcm = self._speech_of_turn(f"{session_name}/{number}", turn)
        self._recorder.emit(Lane.KIT, session_name, TurnStarted(number, pcm, sample_rate))
        end_of_request = MessageWatch(
            self._recorder, session_name, lambda message: _ends_request(message, req_id)
        )
        chunks = turn.split_into_chunks(pcm)
        # A whole turn in one message has its end mark, as a vendor's clip does; else the end comes on its
        # own.
        last = chunks.pop() if len(chunks) == 1 else b""
        for chunk in chunks:
            await self._send(session_name, session, encode(AudioInput(req_id, chunk)))
            await asyncio.sleep(turn.chunk_pause_ms / 1000)
        if before_end is not None:
            await before_end()
        await self._send(session_name, session, encode(AudioInput(req_id, last, end=True)))
        speech_seconds = turn.samples / sample_rate
        # A server that answers in real time has shown that in its first waits: shortened ones need no grace.
        shortened = self._settling.current_seconds < self._settling.full_seconds
        grace = 0.0 if shortened else min(_LONGEST_SEGMENT_SECONDS, speech_seconds)
        complete = await wait_until(self._recorder, end_of_request.has_arrived, self._settling, grace=grace)
        self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.TURN, complete, number))
        return req_id

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


async def _record_frames(recorder: RealTimeRecorder, session_name: str, session: OpenSession) -> None:
    """Record, until a session is closed, each frame that comes from the Motion Server under test. At last,
    record that the server has closed the session, and by which code."""
    async for raw in session.frames():
        recorder.record_received(Lane.UPSTREAM, session_name, raw)
    recorder.emit(Lane.UPSTREAM, session_name, Closed(by_kit=False, code=session.close_code))


def _ends_request(message: object, req_id: str) -> bool:
    """Return whether a message of the Motion Server under test ends the request with this id: it is the last
    response to the request, or an error for this request or for the whole session."""
    match message:
        case MotionResponse(req_id=ended_id, end=True):
            return ended_id == req_id
        case ServerError(req_id=failed_id):
            return failed_id in ("", req_id)
    return False


def _make_turn(sample_count: int) -> TurnPlan:
    """Return a plain turn of so many samples."""
    return TurnPlan(sample_count, _TURN_CHUNK_BYTES)
