"""Drives a Motion Server under test as a Server SDK does, and makes mistakes on purpose."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
    TokenProbe,
    UpgradeProbe,
)
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, SEGMENT_KEYFRAMES
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import UpgradeRefusedError, session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.ids import NANOID_LENGTH, log_id
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
_FIRST_FRAMES: dict[Provocation, str | bytes] = {
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
        """Prepare to run plans against the Motion Server under test at `address`; nothing is attached yet.
        `access` reaches the server; None: over sockets. `patience` says how long its answers are waited
        for."""
        self.target = url_without_logins(address.ingress)
        self._address = address
        self._access: ServerAccess = access or ServerOverSockets(address.console, address.ingress)
        self._lacks = address.lacks
        self._recorder, self._seed, self._patience = recorder, seed, patience
        self._settling = AdaptiveTimeout(patience.settle)
        self._runs = 0
        self._probe_count = 0

    async def attach(self) -> None:
        """Wait until the Motion Server under test takes a session, then find out which features the server
        lacks, if the address says so. Raises UnreachableError if no session can be opened in time."""
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
            lacks = [KEYS] if session_token_in(answer) else []
            lacks += [] if await self._accepts_egress() else [EGRESS]
            self._lacks = tuple(dict.fromkeys([*self._lacks, *lacks]))

    @property
    def cut_a_wait_short(self) -> bool:
        """Whether the last run shortened a wait."""
        return self._settling.cut_short

    async def run(self, plan: Plan, *, patient: bool = False) -> Trace:
        """Run the probes of a plan against the Motion Server under test, one by one, then all sessions of the
        plan at once, and return the trace."""
        self._runs += 1
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
                sessions = (
                    self._speak_turns(f"session-{number}", turns, plan.sample_rate)
                    for number, turns in enumerate(plan.clients, 1)
                )
                await asyncio.gather(*sessions)
        finally:
            trace = self._recorder.finish()
        return trace

    async def detach(self) -> None:
        """Do nothing: no connection is held between runs."""

    # Probes.

    async def _run_probe(self, name: str, probe: Probe) -> None:
        """Run one probe against the Motion Server under test, and record everything under this name."""
        match probe:
            case TokenProbe(life, intent):
                await self._request_token(name, life, intent)
            case UpgradeProbe():
                await self._probe_upgrade(name, probe)
            case HandshakeProbe(intent):
                await self._send_wrong_first_frame(name, intent)
            case EgressProbe(egress, samples):
                async with self._open_configured(name, _EGRESSES[egress]) as session:
                    if session is not None:
                        await self._speak_turn(name, session, 0, _make_turn(samples))
            case ExpiryProbe(samples):
                await self._outlive_token(name, samples)
            case InterruptProbe(samples, late=True):
                await self._interrupt_late(name, samples)
            case InterruptProbe(samples):
                await self._interrupt_request(name, samples)

    async def _request_token(self, name: str, life: int, intent: Provocation | None = None) -> str:
        """Ask the Motion Server under test for a session token that is valid for `life` seconds, and record
        the exchange. Return the token, or "" if no token came. `intent`: the mistake that the kit makes on
        purpose, a wrong key or no key."""
        key = self._address.api_key
        if intent is not None:
            key = canary_key(_UNKNOWN_KEY_SEED) if intent is Provocation.WRONG_KEY else ""
            self._recorder.emit(Lane.KIT, name, Provoked(intent))
        now, expire_at = self._access.unix_time(), self._unix_time_in(life)
        answer = await self._access.ask_for_token(key, expire_at)
        token = session_token_in(answer) if answer.status == HTTPStatus.OK else ""
        key_reference = self._recorder.secret_reference("key", key)
        token_reference = self._recorder.secret_reference("token", token)
        request = TokenRequested(key_reference, expire_at, now, answer.status, token_reference)
        self._recorder.emit(Lane.CONSOLE, name, request)
        if not token:
            self._recorder.emit(Lane.CONSOLE, name, Refused(answer.status, answer.body))
        return token

    async def _probe_upgrade(self, name: str, probe: UpgradeProbe) -> None:
        """Try an upgrade at the Motion Server under test with a wrong token or avatar, as the probe says, and
        record the answer."""
        token = {
            Provocation.INVENTED_TOKEN: f"invented-{canary_key(_UNKNOWN_KEY_SEED)}",
            Provocation.MISSING_TOKEN: "",
        }.get(probe.intent)
        if token is None:
            token = await self._request_token(f"{name}-token", _TOKEN_LIFE_SECONDS)
        avatar = "missing-avatar" if probe.intent is Provocation.UNKNOWN_AVATAR else self._address.avatar_id
        address = replace(self._address, avatar_id=avatar)
        await self._try_upgrade(name, address, token, probe.intent, token_in_query=probe.token_in_query)

    async def _try_upgrade(
        self,
        name: str,
        address: ServerAddress,
        token: str,
        intent: Provocation,
        *,
        token_in_query: bool = False,
    ) -> None:
        """Try to open a session with the Motion Server under test in a wrong way, which `intent` names (for
        example with a wrong token), and record whether the server accepts or refuses the upgrade."""
        self._recorder.emit(Lane.KIT, name, Provoked(intent))
        try:
            async with self._access.open_session(
                token, address.app_id, address.avatar_id, token_in_query=token_in_query
            ):
                self._recorder.emit(Lane.UPSTREAM, name, Opened("", address.app_id, address.avatar_id))
        except UpgradeRefusedError as refused:
            answer = refused.answer
            self._recorder.emit(Lane.UPSTREAM, name, Refused(answer.status, answer.body))

    async def _send_wrong_first_frame(self, name: str, intent: Provocation) -> None:
        """Open a session with the Motion Server under test, send a wrong first frame, and wait for the
        answer; if this is an error, wait for the close, too."""
        self._recorder.emit(Lane.KIT, name, Provoked(intent))
        async with self._open_session() as session, self._record_session(name, session):
            refusal = MessageWatch(self._recorder, name, lambda message: isinstance(message, ServerError))
            await self._send_first_frame(name, session, _FIRST_FRAMES[intent])
            if refusal.has_arrived():
                await self._await_close(name)

    async def _await_close(self, name: str) -> None:
        """Wait until the Motion Server under test has closed the session `name`, which it refused. Record
        whether the session was closed in time."""
        deadline = loop_time() + CLOSE_SECONDS + _LATE_CLOSE_SECONDS

        def is_closed() -> bool:
            """Return whether the close of this session has been recorded by now."""
            events = self._recorder.events
            return any(event.connection == name and isinstance(event.content, Closed) for event in events)

        while not is_closed() and (seconds_left := deadline - loop_time()) > NO_TIME:
            self._recorder.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._recorder.changed.wait(), seconds_left)
        self._recorder.emit(Lane.KIT, name, WaitEnded(Awaited.CLOSE, is_closed()))

    async def _outlive_token(self, name: str, samples: int) -> None:
        """Speak in a session whose token has expired since it was opened, then try an upgrade with an expired
        token. Do nothing if the Motion Server under test issues no token."""
        address = self._address
        session_token, unused_token = [
            await self._request_token(f"{name}-token", _SHORT_TOKEN_LIFE_SECONDS) for _ in range(2)
        ]
        clock_difference = 0.0 if urlsplit(address.console).hostname == LOOPBACK else _CLOCKS_DIFFER_SECONDS
        expired_at = loop_time() + _SHORT_TOKEN_LIFE_SECONDS + _AFTER_EXPIRY_SECONDS + clock_difference
        if not (session_token and unused_token):
            return
        async with (
            self._access.open_session(session_token, address.app_id, address.avatar_id) as session,
            self._record_session(name, session),
        ):
            if not await self._configure_session(name, session, ConfigureSession(PLAN_SAMPLE_RATE)):
                return
            await asyncio.sleep(expired_at - loop_time())
            self._recorder.emit(Lane.KIT, name, Provoked(Provocation.OUTLIVED_TOKEN))
            await self._speak_turn(name, session, 0, _make_turn(samples))
        await self._try_upgrade(f"{name}-late", address, unused_token, Provocation.EXPIRED_TOKEN)

    async def _interrupt_request(self, name: str, samples: int) -> None:
        """Interrupt a request at the Motion Server under test before its audio has ended, wait for motion
        that comes too late, then speak another turn."""
        async with self._open_configured(name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is None:
                return
            turn = _make_turn(samples)
            req_id = self._new_req_id(f"{name}/interrupted")
            for chunk in turn.chunks_of(self._speech_of_turn(f"{name}/interrupted", turn)):
                await self._send(name, session, encode(AudioInput(req_id, chunk)))
            await self._send(name, session, encode(Interrupt(req_id)))
            await asyncio.sleep(_LATE_SECONDS)
            self._recorder.emit(Lane.KIT, name, WaitEnded(Awaited.SILENCE, complete=True))
            await self._speak_turn(name, session, 0, turn)

    async def _interrupt_late(self, name: str, samples: int) -> None:
        """Probe the Motion Server under test with an interrupt that comes too late: speak two turns, and
        while the second is spoken, interrupt the first, which has ended."""
        async with self._open_configured(name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is not None:
                turn = _make_turn(samples)
                ended_req_id = await self._speak_turn(name, session, 0, turn)
                await self._speak_turn(name, session, 1, turn, in_between=encode(Interrupt(ended_req_id)))

    async def _accepts_egress(self) -> bool:
        """Return whether the Motion Server under test accepts a session that asks for an egress (motion into
        a LiveKit room): whether it confirms the session within the time that the subject waits for answers.
        The events of this attempt are not kept."""
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
        """Open a session with the Motion Server under test, yield the session, and close it afterwards.
        Nothing is recorded."""
        token = await self._fetch_token()
        address = self._address
        async with self._access.open_session(token, address.app_id, address.avatar_id) as session:
            yield session

    async def _fetch_token(self) -> str:
        """Ask the Motion Server under test for a session token and return it. Raises UnreachableError if the
        server issues none."""
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
    async def _record_session(self, name: str, session: OpenSession) -> AsyncIterator[None]:
        """Record, while the context is open, all frames that a session with the Motion Server under test
        receives, and the opening and closing of the session."""
        self._recorder.emit(Lane.UPSTREAM, name, Opened("", self._address.app_id, self._address.avatar_id))
        listening = asyncio.create_task(_record_frames(self._recorder, name, session))
        try:
            yield
            if not listening.done():
                self._recorder.emit(Lane.UPSTREAM, name, Closed(by_kit=True, code=1000))
        finally:
            listening.cancel()

    @asynccontextmanager
    async def _open_configured(
        self, name: str, configuration: ConfigureSession
    ) -> AsyncIterator[OpenSession | None]:
        """Open and configure a session with the Motion Server under test, and yield the session; yield None
        if the server did not confirm it."""
        async with self._open_session() as session, self._record_session(name, session):
            confirmed = await self._configure_session(name, session, configuration)
            yield session if confirmed else None

    async def _configure_session(
        self, name: str, session: OpenSession, configuration: ConfigureSession
    ) -> bool:
        """Send the configuration of a session to the Motion Server under test, and return whether the server
        confirmed it."""
        confirmation = MessageWatch(self._recorder, name, lambda message: isinstance(message, ConfirmSession))
        await self._send_first_frame(name, session, encode(configuration))
        return confirmation.has_arrived()

    async def _send_first_frame(self, name: str, session: OpenSession, frame: str | bytes) -> None:
        """Send the first frame of a session to the Motion Server under test, wait for an answer, and record
        whether an answer came."""
        any_answer = MessageWatch(self._recorder, name, lambda message: True)
        await self._send(name, session, frame)
        answered = await wait_until(self._recorder, any_answer.has_arrived, self._settling)
        self._recorder.emit(Lane.KIT, name, WaitEnded(Awaited.HANDSHAKE, answered))

    async def _speak_turns(self, name: str, turns: Sequence[TurnPlan], sample_rate: int) -> None:
        """Speak the turns of one client to the Motion Server under test, in one session; do nothing if the
        session is not confirmed."""
        async with self._open_configured(name, ConfigureSession(sample_rate)) as session:
            if session is not None:
                for number, turn in enumerate(turns):
                    await self._speak_turn(name, session, number, turn, sample_rate)

    async def _speak_turn(
        self,
        name: str,
        session: OpenSession,
        number: int,
        turn: TurnPlan,
        sample_rate: int = PLAN_SAMPLE_RATE,
        in_between: bytes = b"",
    ) -> str:
        """Send the audio of one turn to the Motion Server under test as a request, wait until the request
        ends, and record whether it did. Return its req_id. The frame `in_between` is sent before the end of
        the audio."""
        req_id = self._new_req_id(f"{name}/{number}")
        pcm = self._speech_of_turn(f"{name}/{number}", turn)
        self._recorder.emit(Lane.KIT, name, TurnStarted(number, pcm, sample_rate))
        end_of_request = MessageWatch(self._recorder, name, lambda message: _ends_request(message, req_id))
        chunks = turn.chunks_of(pcm)
        # A whole turn in one message has its end mark, as a vendor's clip does; else the end comes on its
        # own.
        last = chunks.pop() if len(chunks) == 1 else b""
        for chunk in chunks:
            await self._send(name, session, encode(AudioInput(req_id, chunk)))
            await asyncio.sleep(turn.chunk_pause_ms / 1000)
        if in_between:
            await self._send(name, session, in_between)
        await self._send(name, session, encode(AudioInput(req_id, last, end=True)))
        speech_seconds = turn.samples / sample_rate
        # A server that answers in real time has shown that in its first waits: shortened ones need no grace.
        shortened = self._settling.current_seconds < self._settling.full_seconds
        grace = 0.0 if shortened else min(_LONGEST_SEGMENT_SECONDS, speech_seconds)
        complete = await wait_until(self._recorder, end_of_request.has_arrived, self._settling, grace=grace)
        self._recorder.emit(Lane.KIT, name, WaitEnded(Awaited.TURN, complete, number))
        return req_id

    async def _send(self, name: str, session: OpenSession, frame: str | bytes) -> None:
        """Record a frame, and send it."""
        self._recorder.record_sent(Lane.UPSTREAM, name, frame)
        await session.send(frame)

    def _speech_of_turn(self, label: str, turn: TurnPlan) -> bytes:
        """Return the speech of a turn for the Motion Server under test, which differs in each run, but is the
        same for the same seed."""
        return turn.pcm(f"{self._seed}/{self._runs}/{label}")

    def _new_req_id(self, label: str) -> str:
        """Return a new req_id for a request to the Motion Server under test. It holds the present time; its
        random part depends on the seed, the run and the label alone."""
        seed_text = f"{self._seed}/{self._runs}/{label}".encode()
        return log_id(
            self._access.unix_time(), hashlib.blake2b(seed_text, digest_size=NANOID_LENGTH).digest()
        )


async def _record_frames(recorder: RealTimeRecorder, name: str, session: OpenSession) -> None:
    """Record everything that comes in a session with the Motion Server under test: each frame of the server,
    and at last that the server has closed the session."""
    async for raw in session.frames():
        recorder.record_received(Lane.UPSTREAM, name, raw)
    recorder.emit(Lane.UPSTREAM, name, Closed(by_kit=False, code=session.close_code))


def _ends_request(message: object, req_id: str) -> bool:
    """Return whether a message of the Motion Server under test ends this request: the end of its motion, or
    an error for the request or the whole session."""
    match message:
        case MotionResponse(req_id=ended_id, end=True):
            return ended_id == req_id
        case ServerError(req_id=failed_id):
            return failed_id in ("", req_id)
    return False


def _make_turn(samples: int) -> TurnPlan:
    """Return a plain turn of so many samples."""
    return TurnPlan(samples, _TURN_CHUNK_BYTES)
