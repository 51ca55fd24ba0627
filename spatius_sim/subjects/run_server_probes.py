"""Runs the probes of a Motion Server under test: small tests of one behaviour each."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import cycle

from spatius_sim.plans.opus_speech import damage, ogg_opus_speech
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, TurnPlan
from spatius_sim.plans.server_probes import (
    ClipProbe,
    EgressProbe,
    ExpiryProbe,
    HandshakeProbe,
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
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import (
    AgoraEgress,
    AudioFormat,
    AudioInput,
    ConfigureSession,
    EgressType,
    Interrupt,
    LiveKitEgress,
)
from spatius_sim.protocol.ogg import OPUS_HZ, SAMPLES_PER_PACKET
from spatius_sim.subjects.mistakes_on_purpose import ServerMistakes
from spatius_sim.subjects.server_interruptions import ServerInterruptions
from spatius_sim.subjects.server_sessions import PIECE_BYTES, SpeechToSend, make_plain_turn
from spatius_sim.subjects.wait_for_events import chunks, loop_time
from spatius_sim.trace.events import Awaited, Lane, Provocation, Provoked, TurnStarted, WaitEnded
from spatius_sim.wires.optional_features import EGRESS

_SOON_SECONDS = 1.0
"""A server that answers some seconds of speech within this time makes no motion in real time."""

_GAP_SECONDS = 0.3

_TRACEPARENT = "00-{0:032x}-{0:016x}-{1:02x}"
"""A trace context of the W3C, as sdk-py 1.1 sends it with the first audio of a request. The last byte says
whether the trace is sampled."""

_STREAM_PACKETS = 103, 13
"""Packets of 20 ms in streams of Ogg Opus: 2.06 s, of which the motion has two segments, and 0.26 s. Both end
in the middle of a keyframe, so that it does not matter whether the pre-skip counts."""

_STREAM_CHUNK_BYTES = 333
"""No page of Ogg is as long, or ends there."""

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


class ServerProbing(ServerMistakes, ServerInterruptions):
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
                await self._speak_in_session_with_egress(session_name, probe)
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
                await self._run_long_probe_with_others(session_name, long, meanwhile)

    def _may_take_long(self) -> bool:
        """Return whether a probe is worth its time that takes long: not if the server answered no turn."""
        return self._silence_timeout.fulfilled or not self._silence_timeout.is_shortened

    async def _run_long_probe_with_others(
        self, session_name: str, long: Probe, meanwhile: Sequence[Probe]
    ) -> None:
        """Run the probe `long`, which takes long, and `meanwhile` the other probes, one by one."""
        running = asyncio.create_task(self._run_probe(f"{session_name}-long", long))
        try:
            for number, probe in enumerate(meanwhile, 1):
                await self._run_probe(f"{session_name}-{number}", probe)
            await running
        finally:
            running.cancel()

    async def _speak_in_session_with_egress(self, session_name: str, probe: EgressProbe) -> None:
        """Speak a turn in a session with an egress, and wait until motion could have come back in it. It must
        not come there, because the server sends it to the room."""
        configuration = _EGRESS_CONFIGURATIONS[probe.egress]
        async with self._open_configured_session(session_name, configuration) as session:
            if session is not None:
                await self._speak_turn(session_name, session, 0, make_plain_turn(probe.samples))

    async def _speak_in_pieces(self, session_name: str, probe: PiecesProbe) -> None:
        """Speak in a session with an egress, in pieces with short gaps, and with an idle time-out if the
        probe has one. Do not wait for an answer: the server answers in the room, not in the session."""
        configuration = _EGRESS_CONFIGURATIONS[probe.egress]
        if configuration.livekit_egress is not None:
            egress = replace(configuration.livekit_egress, idle_timeout=probe.idle_timeout)
            configuration = replace(configuration, livekit_egress=egress)
        async with self._open_configured_session(session_name, configuration) as session:
            if session is not None:
                req_id = self._make_req_id(session_name)
                turn = TurnPlan(probe.samples, PIECE_BYTES)
                for chunk in turn.split_into_chunks(self._speech_of_turn(session_name, turn)):
                    await self._send(session_name, session, encode(AudioInput(req_id, chunk)))
                    await asyncio.sleep(_GAP_SECONDS)
                self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.SILENCE, complete=True))

    async def _speak_long_clip(self, session_name: str, probe: ClipProbe) -> None:
        """Speak a short turn to the Motion Server under test and, if it was answered within a second, a long
        clip in a session of its own. A slower server may make motion in real time: it would need too long for
        the clip."""
        configuration, rate = ConfigureSession(probe.sample_rate), probe.sample_rate
        async with self._open_configured_session(session_name, configuration) as session:
            if session is None:
                return
            short_turn = TurnPlan(probe.trial_samples, PIECE_BYTES)
            started = loop_time()
            await self._speak_turn(session_name, session, 0, short_turn, rate)
            if loop_time() - started > _SOON_SECONDS or not self._has_answered(session_name):
                return
        clip_name = f"{session_name}-clip"
        self._recorder.emit(Lane.KIT, clip_name, Provoked(Provocation.LONG_CLIP))
        async with self._open_configured_session(clip_name, configuration) as session:
            if session is not None:
                clip = TurnPlan(probe.samples, probe.samples * BYTES_PER_SAMPLE)
                await self._speak_turn(clip_name, session, 0, clip, rate)

    async def _repeat_clip(self, session_name: str, sample_count: int) -> None:
        """Speak a clip to the Motion Server under test. If it is answered, speak the same clip again, and
        right after it another one, and wait for both, in the same session. A server with a cache may answer
        the same clip under the old req_id. Do nothing if the session is not confirmed."""
        seconds = sample_count / PLAN_SAMPLE_RATE
        clip, other_clip = (
            self._speech_of_turn(f"{session_name}/{which}", make_plain_turn(sample_count))
            for which in ("clip", "other clip")
        )
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is None:
                return

            async def speak(number: int, pcm: bytes) -> None:
                """Speak a clip in one message, as the turn of this number, and wait until it is answered."""
                self._recorder.emit(Lane.KIT, session_name, TurnStarted(number, pcm, PLAN_SAMPLE_RATE))
                req_id = self._make_req_id(f"{session_name}/{number}")
                # The server may still be busy with the clips before this one.
                backlog_seconds = number * seconds
                traceparent = _TRACEPARENT.format(number + 1, number % 2)
                speech = SpeechToSend([pcm], seconds, 0.0, backlog_seconds, traceparent)
                await self._send_speech(session_name, session, number, req_id, speech)

            await speak(0, clip)
            if self._has_answered(session_name):
                await asyncio.gather(speak(1, clip), speak(2, other_clip))

    async def _speak_under_shared_ids(self, session_name: str, sample_count: int) -> None:
        """Use three req_ids on two sessions with the Motion Server under test at the same time. While the
        first session speaks, the second one speaks a whole turn, interrupts a turn, and leaves in a turn.
        Then a third session speaks under all three req_ids. Stop early if a session is not confirmed."""
        turn = make_plain_turn(sample_count)
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
        """Open `session_count` sessions with the Motion Server under test, and configure them, alternately
        with two sample rates. When all are answered, speak a turn in each that was confirmed, at the same
        time. A refused session may be closed by then. One more client is connected meanwhile, and says
        nothing."""
        all_answered = asyncio.Barrier(session_count)

        async def speak_in_session(name: str, sample_rate: int) -> None:
            """Run one of the sessions of this probe: open it under this name, wait until the server has
            answered all other sessions of the probe, and speak in it if the server confirmed it."""
            try:
                configuration = ConfigureSession(sample_rate)
                async with self._open_configured_session(name, configuration) as session:
                    await all_answered.wait()
                    if session is not None:
                        await self._speak_turn(name, session, 0, make_plain_turn(sample_count), sample_rate)
            except UnreachableError:
                await all_answered.abort()
                raise

        rates = cycle((PLAN_SAMPLE_RATE, PCM_SAMPLE_RATES[-1]))
        async with self._open_silent_session(f"{session_name}-silent"):
            await asyncio.gather(
                *(
                    speak_in_session(f"{session_name}-{number}", rate)
                    for number, rate in zip(range(1, session_count + 1), rates, strict=False)
                )
            )

    async def _speak_ogg_opus(self, session_name: str, sample_rates: Sequence[int]) -> None:
        """Speak turns of Ogg Opus to the Motion Server under test, in a session at the first of these rates.
        If that session is confirmed, speak in a session at each of the other rates, and send damaged Ogg Opus
        in a last one. If it is not, do no more: a server need not accept Ogg Opus."""
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
        """Speak a turn for each of these numbers of packets of Ogg Opus, in one session at this rate. Return
        whether the Motion Server under test confirmed the session, however it answered the turns. `spoil`
        changes each stream before it is sent. The first stream comes in small chunks, the others in one
        message each."""
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
