"""Drives a Motion Server under test as a Server SDK does, and with mistakes on purpose."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from spatius_sim import __version__
from spatius_sim.model.scenario.meaningful_ids import APP_ID, AVATAR_ID
from spatius_sim.net.client.motion_server import UpgradeRefusedError, UpstreamClient, ask_for_token, token_in
from spatius_sim.net.kit_stalls import lag_marked
from spatius_sim.net.listening import LOOPBACK
from spatius_sim.net.live_recorder import LiveRecorder
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, Sound, TurnPlan, speech
from spatius_sim.plans.probes import (
    EgressProbe,
    ExpiryProbe,
    HandshakeProbe,
    InterruptProbe,
    Probe,
    TokenProbe,
    UpgradeProbe,
)
from spatius_sim.plans.token import token_of
from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND, SEGMENT_KEYFRAMES
from spatius_sim.protocol.codec import encode
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
from spatius_sim.subjects.subject import Patience, canary_key
from spatius_sim.subjects.waiting import AdaptiveTimeout, MessageWatch, chunks, wait_until
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
from spatius_sim.trace.logins import shown_url
from spatius_sim.wires.features import EGRESS, KEYS

_RETRY_SECONDS = 0.2
_TOKEN_LIFE_SECONDS = 3600
_EXPIRING_SECONDS = 2
_PAST_EXPIRY_SECONDS = 0.5
_CLOCKS_DIFFER_SECONDS = 10.0
"""How much longer a token may seem to live if the server's clock is not this machine's."""

_LATE_SECONDS = 1.2
"""Motion of an interrupted request may come for one second; this is a little more."""

_LONGEST_SEGMENT_SECONDS = SEGMENT_KEYFRAMES / KEYFRAMES_PER_SECOND
"""A server that answers in real time is silent for so long between two responses; nothing is missing then."""

_TURN_CHUNK_BYTES = 3200
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
    """Where a Motion Server is, and with which key and ids the kit asks it. `lacks` names the features that
    it is declared to lack. A mock may accept every key or refuse every egress: with `find_lacks` the kit
    finds out both when it attaches."""

    console: str
    ingress: str
    api_key: str
    app_id: str = APP_ID
    avatar_id: str = AVATAR_ID
    lacks: tuple[str, ...] = ()
    find_lacks: bool = True


class ServerSubject:
    """Runs plans against a Motion Server: every client of a plan is a session, every turn a request."""

    kind = "server"
    wire = ""

    def __init__(self, place: ServerAddress, recorder: LiveRecorder, seed: int, patience: Patience) -> None:
        self.target = shown_url(place.ingress)
        self._place = place
        self._lacks = place.lacks
        self._recorder, self._seed, self._patience = recorder, seed, patience
        self._settling = AdaptiveTimeout(patience.settle)
        self._runs = 0
        self._probed = 0

    async def attach(self) -> None:
        """Open and close one session, and find out what a mock lacks. Raises UnreachableError."""
        deadline = time.monotonic() + self._patience.attach
        while True:
            try:
                async with self._open_session():
                    break
            except UnreachableError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)
        if self._place.find_lacks:
            wrong = await ask_for_token(self._place.console, canary_key(-1), _unix_in(_TOKEN_LIFE_SECONDS))
            lacks = [KEYS] if token_in(wrong) else []
            lacks += [] if await self._accepts_egress() else [EGRESS]
            self._lacks = tuple(dict.fromkeys([*self._lacks, *lacks]))

    @property
    def was_hasty(self) -> bool:
        """Whether the last run cut a wait short."""
        return self._settling.cut_short

    async def run(self, plan: Plan, *, patient: bool = False) -> Trace:
        """Run the probes of a plan, then its sessions."""
        self._runs += 1
        self._settling.begin_run(patient=patient)
        header = TraceHeader(
            "server", "", self._seed, str(plan), __version__, self._lacks, plan_token=token_of(plan)
        )
        self._recorder.start(header)
        try:
            async with lag_marked(self._recorder):
                for probe in plan.probes:
                    self._probed += 1
                    await self._probe(f"probe-{self._probed}", probe)
                speaking = (
                    self._speak_turns(f"session-{number}", turns)
                    for number, turns in enumerate(plan.clients, 1)
                )
                await asyncio.gather(*speaking)
        finally:
            trace = self._recorder.finish()
        return trace

    async def detach(self) -> None:
        """Do nothing: no connection is held between runs."""

    # Probes.

    async def _probe(self, name: str, probe: Probe) -> None:
        """Run one probe."""
        match probe:
            case TokenProbe(life, intent):
                await self._request_token(name, life, intent)
            case UpgradeProbe():
                await self._probe_upgrade(name, probe)
            case HandshakeProbe(intent):
                await self._greet_wrongly(name, intent)
            case EgressProbe(egress, samples):
                async with self._open_configured(name, _EGRESSES[egress]) as session:
                    if session is not None:
                        await self._speak(name, session, 0, _make_turn(samples))
            case ExpiryProbe(samples):
                await self._outlive_token(name, samples)
            case InterruptProbe(samples):
                await self._interrupt(name, samples)

    async def _request_token(self, name: str, life: int, intent: Provocation | None = None) -> str:
        """Ask for a session token and record the exchange; return the token, or "" if none came."""
        key = self._place.api_key
        if intent is not None:
            key = canary_key(-1) if intent is Provocation.WRONG_KEY else ""
            self._recorder.emit(Lane.KIT, name, Provoked(intent))
        now, expire_at = time.time(), _unix_in(life)
        answer = await ask_for_token(self._place.console, key, expire_at)
        token = token_in(answer) if answer.status == 200 else ""
        references = (
            self._recorder.secret_reference("key", key),
            self._recorder.secret_reference("token", token),
        )
        asked = TokenRequested(references[0], expire_at, now, answer.status, references[1])
        self._recorder.emit(Lane.CONSOLE, name, asked)
        if not token:
            self._recorder.emit(Lane.CONSOLE, name, self._refused(answer.status, answer.body))
        return token

    async def _probe_upgrade(self, name: str, probe: UpgradeProbe) -> None:
        """Try an upgrade with the wrong token or avatar that the probe names."""
        token = {
            Provocation.INVENTED_TOKEN: f"invented-{canary_key(-1)}",
            Provocation.MISSING_TOKEN: "",
        }.get(probe.intent)
        if token is None:
            token = await self._request_token(f"{name}-token", _TOKEN_LIFE_SECONDS)
        avatar = "missing-avatar" if probe.intent is Provocation.UNKNOWN_AVATAR else self._place.avatar_id
        place = replace(self._place, avatar_id=avatar)
        await self._try_upgrade(name, place, token, probe.intent, by_query=probe.by_query)

    async def _try_upgrade(
        self, name: str, place: ServerAddress, token: str, intent: Provocation, *, by_query: bool = False
    ) -> None:
        """Try an upgrade and record whether it was accepted or refused."""
        self._recorder.emit(Lane.KIT, name, Provoked(intent))
        try:
            async with _make_client(place, token, by_query=by_query):
                self._recorder.emit(Lane.UPSTREAM, name, Opened("", place.app_id, place.avatar_id))
        except UpgradeRefusedError as refused:
            answer = refused.answer
            self._recorder.emit(Lane.UPSTREAM, name, self._refused(answer.status, answer.body))

    async def _greet_wrongly(self, name: str, intent: Provocation) -> None:
        """Open a session and send a wrong first frame."""
        self._recorder.emit(Lane.KIT, name, Provoked(intent))
        async with self._open_session() as session, self._record_session(name, session):
            await self._send_first(name, session, _FIRST_FRAMES[intent])

    async def _outlive_token(self, name: str, samples: int) -> None:
        """Configure a session whose token expires, then speak; then try an upgrade with an expired token."""
        place = self._place
        used, unused = [await self._request_token(f"{name}-token", _EXPIRING_SECONDS) for _ in range(2)]
        clocks_differ = 0.0 if urlsplit(place.console).hostname == LOOPBACK else _CLOCKS_DIFFER_SECONDS
        expired_at = time.monotonic() + _EXPIRING_SECONDS + _PAST_EXPIRY_SECONDS + clocks_differ
        if not (used and unused):
            return
        async with _make_client(place, used) as session, self._record_session(name, session):
            if not await self._configure(name, session, ConfigureSession(PLAN_SAMPLE_RATE)):
                return
            await asyncio.sleep(expired_at - time.monotonic())
            self._recorder.emit(Lane.KIT, name, Provoked(Provocation.OUTLIVED_TOKEN))
            await self._speak(name, session, 0, _make_turn(samples))
        await self._try_upgrade(f"{name}-late", place, unused, Provocation.EXPIRED_TOKEN)

    async def _interrupt(self, name: str, samples: int) -> None:
        """Interrupt a request in its middle, wait for late motion, then speak another turn."""
        async with self._open_configured(name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is None:
                return
            pcm = self._pcm(f"{name}/interrupted", samples)
            req_id = self._req_id(f"{name}/interrupted")
            for chunk in chunks(pcm, _TURN_CHUNK_BYTES):
                await self._send(name, session, encode(AudioInput(req_id, chunk)))
            await self._send(name, session, encode(Interrupt(req_id)))
            await asyncio.sleep(_LATE_SECONDS)
            self._recorder.emit(Lane.KIT, name, WaitEnded(Awaited.SILENCE, True))
            await self._speak(name, session, 0, _make_turn(samples))

    async def _accepts_egress(self) -> bool:
        """Whether a session with an egress is confirmed."""
        async with self._open_session() as session:
            await session.send(encode(_EGRESSES[EgressType.LIVEKIT]))
            recorder = LiveRecorder()
            recorder.start(TraceHeader("server", "", self._seed, "", __version__))
            answered = MessageWatch(recorder, "", lambda message: True)
            confirmed = MessageWatch(recorder, "", lambda message: isinstance(message, ConfirmSession))
            listening = asyncio.create_task(_listen(recorder, "", session))
            try:
                await wait_until(recorder, answered.has_come, self._settling)
                return confirmed.has_come()
            finally:
                listening.cancel()

    # Sessions.

    @asynccontextmanager
    async def _open_session(self) -> AsyncIterator[UpstreamClient]:
        async with _make_client(self._place, None) as client:
            yield client

    @asynccontextmanager
    async def _record_session(self, name: str, session: UpstreamClient) -> AsyncIterator[None]:
        """Record what a session receives."""
        self._recorder.emit(Lane.UPSTREAM, name, Opened("", self._place.app_id, self._place.avatar_id))
        listening = asyncio.create_task(_listen(self._recorder, name, session))
        try:
            yield
            if not listening.done():
                self._recorder.emit(Lane.UPSTREAM, name, Closed(by_kit=True, code=1000))
        finally:
            listening.cancel()

    @asynccontextmanager
    async def _open_configured(
        self, name: str, configuration: ConfigureSession
    ) -> AsyncIterator[UpstreamClient | None]:
        """Open and configure a session; yield None if it was not confirmed."""
        async with self._open_session() as session, self._record_session(name, session):
            confirmed = await self._configure(name, session, configuration)
            yield session if confirmed else None

    async def _configure(self, name: str, session: UpstreamClient, configuration: ConfigureSession) -> bool:
        """Send the configuration and return whether it was confirmed."""
        confirmed = MessageWatch(self._recorder, name, lambda message: isinstance(message, ConfirmSession))
        await self._send_first(name, session, encode(configuration))
        return confirmed.has_come()

    async def _send_first(self, name: str, session: UpstreamClient, frame: str | bytes) -> None:
        """Send the first frame of a session and wait for an answer."""
        answered = MessageWatch(self._recorder, name, lambda message: True)
        await self._send(name, session, frame)
        complete = await wait_until(self._recorder, answered.has_come, self._settling)
        self._recorder.emit(Lane.KIT, name, WaitEnded(Awaited.HANDSHAKE, complete))

    async def _speak_turns(self, name: str, turns: Sequence[TurnPlan]) -> None:
        """Speak the turns of one client in one session."""
        async with self._open_configured(name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is not None:
                for number, turn in enumerate(turns):
                    await self._speak(name, session, number, turn)

    async def _speak(self, name: str, session: UpstreamClient, number: int, turn: TurnPlan) -> None:
        """Send the audio of one turn and wait for the end of its motion."""
        req_id = self._req_id(f"{name}/{number}")
        pcm = self._pcm(f"{name}/{number}", turn.samples, turn.sound)
        self._recorder.emit(Lane.KIT, name, TurnStarted(number, pcm, PLAN_SAMPLE_RATE))
        answered = MessageWatch(self._recorder, name, lambda message: _ends_request(message, req_id))
        for chunk in chunks(pcm, turn.chunk_bytes):
            await self._send(name, session, encode(AudioInput(req_id, chunk)))
        await self._send(name, session, encode(AudioInput(req_id, end=True)))
        spoken = turn.samples / PLAN_SAMPLE_RATE
        grace = min(_LONGEST_SEGMENT_SECONDS, spoken)
        complete = await wait_until(self._recorder, answered.has_come, self._settling, grace=grace)
        self._recorder.emit(Lane.KIT, name, WaitEnded(Awaited.TURN, complete, number))

    async def _send(self, name: str, session: UpstreamClient, frame: str | bytes) -> None:
        self._recorder.record_sent(Lane.UPSTREAM, name, frame)
        await session.send(frame)

    def _refused(self, status: int, body: str) -> Refused:
        return Refused(status, body)

    def _pcm(self, label: str, samples: int, sound: Sound = Sound.SPEECH) -> bytes:
        return speech(f"{self._seed}/{self._runs}/{label}", samples, sound)

    def _req_id(self, label: str) -> str:
        seeded = f"{self._seed}/{self._runs}/{label}".encode()
        return log_id(time.time(), hashlib.blake2b(seeded, digest_size=NANOID_LENGTH).digest())


def _make_client(place: ServerAddress, token: str | None, *, by_query: bool = False) -> UpstreamClient:
    """Make a client that connects to this Motion Server."""
    return UpstreamClient(
        place.console,
        place.ingress,
        api_key=place.api_key,
        app_id=place.app_id,
        avatar_id=place.avatar_id,
        expire_at=_unix_in(_TOKEN_LIFE_SECONDS),
        token=token,
        by_query=by_query,
    )


async def _listen(recorder: LiveRecorder, name: str, session: UpstreamClient) -> None:
    async for raw in session.frames():
        recorder.record_received(Lane.UPSTREAM, name, raw)
    recorder.emit(Lane.UPSTREAM, name, Closed(by_kit=False, code=session.close_code))


def _ends_request(message: object, req_id: str) -> bool:
    """Whether nothing more is to come for this request."""
    match message:
        case MotionResponse(req_id=answered, end=True):
            return answered == req_id
        case ServerError(req_id=failed):
            return failed in ("", req_id)
    return False


def _make_turn(samples: int) -> TurnPlan:
    return TurnPlan(samples, _TURN_CHUNK_BYTES)


def _unix_in(seconds: int) -> int:
    return int(time.time()) + seconds
