"""Probes a Motion Server under test: by special sessions, and by mistakes on purpose."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from http import HTTPStatus
from itertools import cycle
from urllib.parse import urlsplit

from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.plans.opus_speech import damage, ogg_opus_speech
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, TurnPlan
from spatius_sim.plans.server_probes import (
    ClipProbe,
    Departure,
    DepartureMoment,
    EgressProbe,
    ExpiryProbe,
    HandshakeProbe,
    InterruptedRequest,
    InterruptMoment,
    InterruptProbe,
    LateInterruptProbe,
    LeavingProbe,
    LongProbe,
    ManySessionsProbe,
    OpusProbe,
    PauseProbe,
    PiecesProbe,
    Probe,
    RepeatedClipProbe,
    SharedIdProbe,
    TokenProbe,
    UpgradeProbe,
)
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, PCM_SAMPLE_RATES
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import UpgradeRefusedError, session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioFormat,
    AudioInput,
    ConfigureSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
    MotionResponse,
    Pause,
    Resume,
)
from spatius_sim.protocol.ogg import OPUS_HZ, SAMPLES_PER_PACKET
from spatius_sim.subjects.server_access import OpenSession
from spatius_sim.subjects.server_sessions import (
    TOKEN_LIFE_SECONDS,
    ServerAddress,
    ServerSessions,
    SpeechToSend,
)
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.subjects.wait_for_events import MessageWatch, chunks, loop_time, wait_until
from spatius_sim.trace.events import (
    Awaited,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Refused,
    TokenRequested,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.optional_features import EGRESS

_SHORT_TOKEN_LIFE_SECONDS = 2
_AFTER_EXPIRY_SECONDS = 0.5
_CLOCKS_DIFFER_SECONDS = 10.0
"""How much longer a token may live if the server's clock differs from this machine's."""

_LATE_SECONDS = 1.2
"""Motion of an interrupted request may come for one second; this is a little more."""

_SOON_SECONDS = 1.0
"""A server that answers some seconds of speech within this time makes no motion in real time."""

_TURN_CHUNK_BYTES = 3200
_PIECE_BYTES = 6400
_GAP_SECONDS = 0.3
_LONG_GAP_MS = 2600
"""For so long synthesised speech may stop in mid-sentence."""
_SHORT_SAMPLES = PLAN_SAMPLE_RATE // 2
UNKNOWN_KEY_SEED = -1
"""No run has this seed, so no server knows the key that is made from it."""

_TRACEPARENT = "00-{0:032x}-{0:016x}-{1:02x}"
"""A trace context of the W3C, as sdk-py 1.1 sends it with the first audio of a request. The last byte says
whether the trace is sampled."""

_STREAM_PACKETS = 103, 13
"""Packets of 20 ms in streams of Ogg Opus: 2.06 s, of which the motion has two segments, and 0.26 s. Both end
in the middle of a keyframe, so that it does not matter whether the pre-skip counts."""

_STREAM_CHUNK_BYTES = 333
"""No page of Ogg is as long, or ends there."""

_UNSUPPORTED_RATE = 11025
_WRONG_FIRST_FRAMES: dict[Provocation, str | bytes] = {
    Provocation.WRONG_MESSAGE: encode(AudioInput("too-early", bytes(320))),
    Provocation.TEXT: "hello",
    Provocation.UNDECODABLE: b"\xff" * 16,
    Provocation.UNSUPPORTED_RATE: encode(ConfigureSession(_UNSUPPORTED_RATE)),
}
LIVEKIT_CONFIGURATION = ConfigureSession(
    PLAN_SAMPLE_RATE,
    egress_type=EgressType.LIVEKIT,
    livekit_egress=LiveKitEgress("wss://room.invalid", "key", "secret", "", "room", "avatar"),
)
_EGRESS_CONFIGURATIONS = {
    EgressType.LIVEKIT: LIVEKIT_CONFIGURATION,
    EgressType.AGORA: ConfigureSession(
        PLAN_SAMPLE_RATE,
        egress_type=EgressType.AGORA,
        agora_egress=AgoraEgress("channel", "token", 7, "avatar"),
    ),
}


class ServerProbing(ServerSessions):
    """Runs the probes of a plan against one Motion Server under test."""

    async def _run_probe(self, session_name: str, probe: Probe) -> None:
        """Run one probe, a small test of one behaviour, against the Motion Server under test. Record
        everything under this name. An egress is left out if the server lacks it, and a probe that takes
        long, if the server has never answered a turn."""
        match probe:
            case TokenProbe(life_seconds, mistake):
                await self._request_token(session_name, life_seconds, mistake)
            case UpgradeProbe():
                await self._run_upgrade_probe(session_name, probe)
            case HandshakeProbe(mistake):
                await self._send_wrong_first_frame(session_name, mistake)
            case EgressProbe() if EGRESS not in self._lacks:
                await self._speak_beside_room(session_name, probe)
            case PiecesProbe() if EGRESS not in self._lacks:
                await self._speak_in_pieces(session_name, probe)
            case ExpiryProbe(sample_count):
                await self._speak_after_token_expired(session_name, sample_count)
            case SharedIdProbe(sample_count):
                await self._speak_under_shared_ids(session_name, sample_count)
            case ManySessionsProbe(session_count, sample_count):
                await self._speak_in_many_sessions(session_name, session_count, sample_count)
            case OpusProbe(sample_rates):
                await self._speak_ogg_opus(session_name, sample_rates)
            case LateInterruptProbe(sample_count):
                await self._interrupt_ended_request(session_name, sample_count)
            case InterruptProbe():
                await self._interrupt_requests(session_name, probe)
            case PauseProbe(sample_count):
                await self._pause_request(session_name, sample_count)
            case ClipProbe():
                await self._speak_long_clip(session_name, probe)
            case RepeatedClipProbe(sample_count):
                await self._repeat_clip(session_name, sample_count)
            case LeavingProbe() if self._may_take_long():
                await self._leave_and_speak(session_name, probe)
            case LongProbe(long, meanwhile) if self._may_take_long():
                await self._run_beside(session_name, long, meanwhile)

    def _may_take_long(self) -> bool:
        """Return whether a probe is worth its time that takes long: not if the server answered no turn."""
        return self._settling.fulfilled or not self._settling.is_shortened

    async def _run_beside(self, session_name: str, long: Probe, meanwhile: Sequence[Probe]) -> None:
        """Run a probe that takes long, and meanwhile the other probes, one by one."""
        running = asyncio.create_task(self._run_probe(f"{session_name}-long", long))
        try:
            for number, probe in enumerate(meanwhile, 1):
                await self._run_probe(f"{session_name}-{number}", probe)
            await running
        finally:
            running.cancel()

    async def _speak_beside_room(self, session_name: str, probe: EgressProbe) -> None:
        """Speak a turn in a session with an egress, and wait until motion could have come back."""
        configuration = _EGRESS_CONFIGURATIONS[probe.egress]
        async with self._open_configured_session(session_name, configuration) as session:
            if session is not None:
                await self._speak_turn(session_name, session, 0, _make_turn(probe.samples))

    async def _speak_in_pieces(self, session_name: str, probe: PiecesProbe) -> None:
        """Speak in a session with an egress, in pieces with short gaps, and with an idle time-out if the
        probe has one. Do not wait for an answer: none is owed on the socket."""
        configuration = _EGRESS_CONFIGURATIONS[probe.egress]
        if configuration.livekit_egress is not None:
            egress = replace(configuration.livekit_egress, idle_timeout=probe.idle_timeout)
            configuration = replace(configuration, livekit_egress=egress)
        async with self._open_configured_session(session_name, configuration) as session:
            if session is not None:
                req_id = self._make_req_id(session_name)
                turn = TurnPlan(probe.samples, _PIECE_BYTES)
                for chunk in turn.split_into_chunks(self._speech_of_turn(session_name, turn)):
                    await self._send(session_name, session, encode(AudioInput(req_id, chunk)))
                    await asyncio.sleep(_GAP_SECONDS)
                self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.SILENCE, complete=True))

    async def _request_token(
        self, session_name: str, life_seconds: int, mistake: Provocation | None = None
    ) -> str:
        """Ask the Motion Server under test for a session token that is valid for `life_seconds`, and record
        request and answer. Return the token, or "" if the server issued none. `mistake`: what the kit does
        wrong on purpose: it sends a wrong key or no key. None: it sends the right key."""
        key = self._address.api_key
        if mistake is not None:
            key = canary_key(UNKNOWN_KEY_SEED) if mistake is Provocation.WRONG_KEY else ""
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
            Provocation.INVENTED_TOKEN: f"invented-{canary_key(UNKNOWN_KEY_SEED)}",
            Provocation.MISSING_TOKEN: "",
        }.get(probe.intent)
        if token is None:
            token = await self._request_token(f"{session_name}-token", TOKEN_LIFE_SECONDS)
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
        try:
            async with self._open_session() as session, self._record_session(session_name, session):
                await self._send_first_frame(session_name, session, _WRONG_FIRST_FRAMES[mistake])
        except UpgradeRefusedError as error:
            self._record_refusal(session_name, error)

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
        used = Provocation.USED_TOKEN
        try:
            async with (
                self._access.open_session(session_token, address.app_id, address.avatar_id) as session,
                self._record_session(session_name, session),
            ):
                configuration = ConfigureSession(PLAN_SAMPLE_RATE)
                if not await self._configure_session(session_name, session, configuration):
                    return
                await asyncio.sleep(surely_expired_at - loop_time())
                self._recorder.emit(Lane.KIT, session_name, Provoked(Provocation.OUTLIVED_TOKEN))
                await self._speak_turn(session_name, session, 0, _make_turn(sample_count))
                await self._try_wrong_upgrade(f"{session_name}-beside", address, session_token, used)
        except UpgradeRefusedError as error:
            self._record_refusal(session_name, error)
            return
        for token, mistake in ((unused_token, Provocation.EXPIRED_TOKEN), (session_token, used)):
            for place, in_query in (("headers", False), ("query", True)):
                attempt_name = f"{session_name}-{mistake}-{place}"
                await self._try_wrong_upgrade(attempt_name, address, token, mistake, token_in_query=in_query)

    async def _interrupt_requests(self, session_name: str, probe: InterruptProbe) -> None:
        """Send requests to the Motion Server under test in one session, and interrupt each. Listen for 1.2 s
        after the last interrupt, because no more motion may come after 1 s. Then speak a turn as long as the
        probe says and, if that was answered, a short one. Do nothing if the session is not confirmed."""
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is None:
                return
            for number, request in enumerate(probe.interrupted):
                await self._interrupt_request(session_name, session, number, request, probe.chunk_pause_ms)
            # Nothing is said meanwhile: a server that answers in order would answer that after late motion.
            await asyncio.sleep(_LATE_SECONDS)
            self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.SILENCE, complete=True))
            long_turn = TurnPlan(probe.samples, _PIECE_BYTES, chunk_pause_ms=probe.chunk_pause_ms)
            await self._speak_turn(session_name, session, 0, long_turn)
            if self._has_answered(session_name):
                await self._speak_turn(session_name, session, 1, _make_turn(_SHORT_SAMPLES))

    async def _interrupt_request(
        self,
        session_name: str,
        session: OpenSession,
        number: int,
        request: InterruptedRequest,
        chunk_pause_ms: int,
    ) -> None:
        """Send the audio of one request to the Motion Server under test, up to the moment of its interrupt,
        and interrupt it. After each chunk wait `chunk_pause_ms` milliseconds."""
        label = f"{session_name}/interrupted-{number}"
        req_id, turn = self._make_req_id(label), TurnPlan(request.samples, _PIECE_BYTES)
        chunks = turn.split_into_chunks(self._speech_of_turn(label, turn))
        if request.at is InterruptMoment.IN_SPEECH:
            chunks = chunks[: -(-len(chunks) // 2)]
        first_motion = MessageWatch(
            self._recorder, session_name, lambda message: _is_response_to(message, req_id)
        )
        for chunk in chunks:
            await self._send(session_name, session, encode(AudioInput(req_id, chunk)))
            await asyncio.sleep(chunk_pause_ms / 1000)
        if request.at in (InterruptMoment.AFTER_END, InterruptMoment.AT_FIRST_MOTION):
            await self._send(session_name, session, encode(AudioInput(req_id, end=True)))
        if request.at is InterruptMoment.AT_FIRST_MOTION:
            await wait_until(self._recorder, first_motion.has_arrived, self._settling)
        await self._send(session_name, session, encode(Interrupt(req_id)))

    async def _speak_long_clip(self, session_name: str, probe: ClipProbe) -> None:
        """Speak a turn to the Motion Server under test and, if it was answered soon, a long clip in a session
        of its own. Do not speak the clip if the turn was not answered, or took longer than a second."""
        configuration, rate = ConfigureSession(probe.sample_rate), probe.sample_rate
        async with self._open_configured_session(session_name, configuration) as session:
            if session is None:
                return
            trial = TurnPlan(probe.trial_samples, _PIECE_BYTES)
            started = loop_time()
            await self._speak_turn(session_name, session, 0, trial, rate)
            if loop_time() - started > _SOON_SECONDS or not self._has_answered(session_name):
                return
        clip_name = f"{session_name}-clip"
        self._recorder.emit(Lane.KIT, clip_name, Provoked(Provocation.LONG_CLIP))
        async with self._open_configured_session(clip_name, configuration) as session:
            if session is not None:
                clip = TurnPlan(probe.samples, probe.samples * BYTES_PER_SAMPLE)
                await self._speak_turn(clip_name, session, 0, clip, rate)

    async def _leave_and_speak(self, session_name: str, probe: LeavingProbe) -> None:
        """Leave sessions with the Motion Server under test before their motion is complete. Then speak a
        short turn in as many new sessions, one after the other, up to the first that is not answered. A
        server may make the motion of those who left to its end, so these turns are waited for longer."""
        for number, departure in enumerate(probe.departures, 1):
            await self._leave_in_mid_motion(f"{session_name}-left-{number}", departure, probe.samples)
        waits_in_vain, backlog_seconds = self._settling.waits_in_vain, probe.samples / PLAN_SAMPLE_RATE
        for number in range(1, len(probe.departures) + 1):
            name, turn = f"{session_name}-after-{number}", _make_turn(probe.short_samples)
            async with self._open_configured_session(name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
                if session is not None:
                    await self._speak_turn(name, session, 0, turn, backlog_seconds=backlog_seconds)
            if self._settling.waits_in_vain > waits_in_vain:
                return

    async def _leave_in_mid_motion(self, session_name: str, departure: Departure, sample_count: int) -> None:
        """Open a session with the Motion Server under test, say so many samples at once, and leave as this
        `departure` says; in mid-speech, after a third of them. Do nothing if the session is not confirmed."""
        close_code = ABNORMAL_CLOSE if departure.by_reset else NORMAL_CLOSE
        configuration, req_id = ConfigureSession(PLAN_SAMPLE_RATE), self._make_req_id(session_name)
        async with self._open_configured_session(session_name, configuration, close_code) as session:
            if session is None:
                return
            first_motion = MessageWatch(
                self._recorder, session_name, lambda message: _is_response_to(message, req_id)
            )
            turn = TurnPlan(sample_count, _PIECE_BYTES)
            chunks = turn.split_into_chunks(self._speech_of_turn(session_name, turn))
            in_speech = departure.at is DepartureMoment.IN_SPEECH
            for chunk in chunks[: len(chunks) // 3] if in_speech else chunks:
                await self._send(session_name, session, encode(AudioInput(req_id, chunk)))
            if not in_speech:
                await self._send(session_name, session, encode(AudioInput(req_id, end=True)))
            if departure.at is DepartureMoment.AT_FIRST_MOTION:
                await wait_until(self._recorder, first_motion.has_arrived, self._settling)

    async def _repeat_clip(self, session_name: str, sample_count: int) -> None:
        """Say a clip to the Motion Server under test. If it is answered, say the same clip again, and right
        after it another one, and wait for both. All are said in one session. Do nothing if the session is
        not confirmed."""
        seconds = sample_count / PLAN_SAMPLE_RATE
        clip, other_clip = (
            self._speech_of_turn(f"{session_name}/{which}", _make_turn(sample_count))
            for which in ("clip", "other clip")
        )
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is None:
                return

            async def speak(number: int, pcm: bytes) -> None:
                """Say a clip in one message, as the turn of this number, and wait until it is answered."""
                self._recorder.emit(Lane.KIT, session_name, TurnStarted(number, pcm, PLAN_SAMPLE_RATE))
                req_id = self._make_req_id(f"{session_name}/{number}")
                backlog_seconds = number * seconds
                traceparent = _TRACEPARENT.format(number + 1, number % 2)
                speech = SpeechToSend([pcm], seconds, 0.0, backlog_seconds, traceparent)
                await self._send_speech(session_name, session, number, req_id, speech)

            await speak(0, clip)
            if self._has_answered(session_name):
                await asyncio.gather(speak(1, clip), speak(2, other_clip))

    async def _pause_request(self, session_name: str, sample_count: int) -> None:
        """Speak a turn in a session without a room. Before its audio ends, pause the request and let it go
        on. Then speak another turn, if this one was answered: half of it, and the rest after a gap, as when
        synthesised speech comes late. Do nothing if the session is not confirmed."""
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is not None:
                turn, req_id = _make_turn(sample_count), self._make_req_id(f"{session_name}/paused")

                async def pause() -> None:
                    """Pause the request, and let it go on."""
                    for message in (Pause(req_id), Resume(req_id)):
                        await self._send(session_name, session, encode(message))

                await self._speak_turn(session_name, session, 0, turn, req_id=req_id, before_end=pause)
                if self._has_answered(session_name):
                    half_bytes = sample_count * BYTES_PER_SAMPLE // 2
                    with_gap = TurnPlan(sample_count, half_bytes, chunk_pause_ms=_LONG_GAP_MS)
                    await self._speak_turn(session_name, session, 1, with_gap)

    def _has_answered(self, session_name: str) -> bool:
        """Return whether the newest wait of the kit in this session brought what it was for. A server that
        has not answered one turn need not be waited for again."""
        contents = (
            event.content for event in reversed(self._recorder.events) if event.connection == session_name
        )
        return next(content for content in contents if isinstance(content, WaitEnded)).complete

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

    async def _speak_in_many_sessions(self, session_name: str, session_count: int, sample_count: int) -> None:
        """Open so many sessions with the Motion Server under test, and configure them, at two rates in turn.
        When all are answered, speak a turn in each that was confirmed, at the same time. A refused session
        may be closed by then."""
        all_answered = asyncio.Barrier(session_count)

        async def speak_in_one(name: str, sample_rate: int) -> None:
            """Open the session of this name, wait for the others, and speak in it if it was confirmed."""
            try:
                configuration = ConfigureSession(sample_rate)
                async with self._open_configured_session(name, configuration) as session:
                    await all_answered.wait()
                    if session is not None:
                        await self._speak_turn(name, session, 0, _make_turn(sample_count), sample_rate)
            except UnreachableError:
                await all_answered.abort()
                raise

        rates = cycle((PLAN_SAMPLE_RATE, PCM_SAMPLE_RATES[-1]))
        await asyncio.gather(
            *(
                speak_in_one(f"{session_name}-{number}", rate)
                for number, rate in zip(range(1, session_count + 1), rates, strict=False)
            )
        )

    async def _speak_ogg_opus(self, session_name: str, sample_rates: Sequence[int]) -> None:
        """Speak turns of Ogg Opus to the Motion Server under test, in a session at the first of these rates.
        If that session is confirmed, speak in a session at each of the other rates, and send damaged Ogg Opus
        in a last one. If it is not, do no more: a server may take no Ogg Opus."""
        first_rate, *other_rates = sample_rates
        if await self._speak_streams(f"{session_name}-{first_rate}", first_rate, _STREAM_PACKETS):
            for rate in other_rates:
                await self._speak_streams(f"{session_name}-{rate}", rate, _STREAM_PACKETS[-1:])
            damaged_name = f"{session_name}-damaged"
            self._recorder.emit(Lane.KIT, damaged_name, Provoked(Provocation.DAMAGED_OPUS))
            await self._speak_streams(damaged_name, first_rate, _STREAM_PACKETS[:1], spoil=damage)

    async def _speak_streams(
        self,
        session_name: str,
        sample_rate: int,
        packet_counts: Sequence[int],
        spoil: Callable[[bytes], bytes] = bytes,
    ) -> bool:
        """Speak a turn for each of these numbers of packets of Ogg Opus, in one session at this rate, and
        return whether the Motion Server under test confirmed the session. `spoil` changes each stream before
        it is sent. The first stream comes in small chunks, the others in one message each."""
        configuration = ConfigureSession(sample_rate, audio_format=AudioFormat.OGG_OPUS)
        async with self._open_configured_session(session_name, configuration) as session:
            if session is None:
                return False
            for number, packet_count in enumerate(packet_counts):
                label = f"{session_name}/{number}"
                stream = spoil(ogg_opus_speech(f"{self._seed}/{self._run_count}/{label}", packet_count))
                # The samples of Ogg Opus are not seen, so no rate tells how long the bytes last.
                self._recorder.emit(Lane.KIT, session_name, TurnStarted(number, stream, 0))
                seconds = packet_count * SAMPLES_PER_PACKET / OPUS_HZ
                size = len(stream) if number else _STREAM_CHUNK_BYTES
                speech = SpeechToSend(chunks(stream, size), seconds)
                await self._send_speech(session_name, session, number, self._make_req_id(label), speech)
        return True


def _is_response_to(message: object, req_id: str) -> bool:
    """Return whether a message of the Motion Server under test is motion for this request."""
    return isinstance(message, MotionResponse) and message.req_id == req_id


def _make_turn(sample_count: int) -> TurnPlan:
    """Return a plain turn of so many samples."""
    return TurnPlan(sample_count, _TURN_CHUNK_BYTES)
