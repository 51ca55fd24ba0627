"""Interrupts and pauses requests to a Motion Server under test, and leaves its sessions too early."""

import asyncio

from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, TurnPlan
from spatius_sim.plans.server_probes import (
    Departure,
    DepartureMoment,
    InterruptedRequest,
    InterruptMoment,
    InterruptProbe,
    LeavingProbe,
)
from spatius_sim.protocol.audio import BYTES_PER_SAMPLE
from spatius_sim.protocol.close_codes import ABNORMAL_CLOSE, NORMAL_CLOSE
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    Interrupt,
    MotionResponse,
    Pause,
    Resume,
)
from spatius_sim.subjects.server_access import OpenSession
from spatius_sim.subjects.server_sessions import PIECE_BYTES, ServerSessions, make_plain_turn
from spatius_sim.subjects.wait_for_events import MessageWatch, wait_until
from spatius_sim.trace.events import Awaited, Lane, WaitEnded

_LATE_SECONDS = 1.2
"""Motion of an interrupted request may come for one second; this is a little more."""

_LONG_GAP_MS = 2600
"""For so long synthesised speech may stop in mid-sentence."""

_SHORT_SAMPLES = PLAN_SAMPLE_RATE // 2


class ServerInterruptions(ServerSessions):
    """Interrupts and pauses requests to a Motion Server under test, and leaves before its motion is complete.
    Speaks then, to see whether the server still answers."""

    async def _interrupt_requests(self, session_name: str, probe: InterruptProbe) -> None:
        """Send requests to the Motion Server under test in one session, and interrupt each. Listen for 1.2 s
        after the last interrupt, because no more motion may come after 1 s. Then speak a turn as long as the
        probe says and, if that was answered, a short one. Do nothing if the session is not confirmed."""
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is None:
                return
            for number, request in enumerate(probe.interrupted):
                await self._interrupt_request(session_name, session, number, request, probe.chunk_pause_ms)
            # Nothing is spoken meanwhile: a server that answers in order would answer a new request only
            # after the late motion.
            await asyncio.sleep(_LATE_SECONDS)
            self._recorder.emit(Lane.KIT, session_name, WaitEnded(Awaited.SILENCE, complete=True))
            long_turn = TurnPlan(probe.samples, PIECE_BYTES, chunk_pause_ms=probe.chunk_pause_ms)
            await self._speak_turn(session_name, session, 0, long_turn)
            if self._has_answered(session_name):
                await self._speak_turn(session_name, session, 1, make_plain_turn(_SHORT_SAMPLES))

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
        req_id, turn = self._make_req_id(label), TurnPlan(request.samples, PIECE_BYTES)
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
            await wait_until(self._recorder, first_motion.has_arrived, self._silence_timeout)
        await self._send(session_name, session, encode(Interrupt(req_id)))

    async def _interrupt_ended_request(self, session_name: str, sample_count: int) -> None:
        """Send the Motion Server under test an interrupt that comes too late: speak a first turn to its end,
        and interrupt it while a second turn is spoken. Do nothing if the session is not confirmed."""
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is not None:
                turn = make_plain_turn(sample_count)
                ended_req_id = await self._speak_turn(session_name, session, 0, turn)

                async def interrupt() -> None:
                    """Interrupt the turn that has ended."""
                    await self._send(session_name, session, encode(Interrupt(ended_req_id)))

                await self._speak_turn(session_name, session, 1, turn, before_end=interrupt)

    async def _pause_request(self, session_name: str, sample_count: int) -> None:
        """Speak a turn in a session without a room. Before its audio ends, pause the request and resume it.
        If this turn was answered, speak another turn: first a half, and after a gap the other half, as if
        synthesised speech came late. Do nothing if the session is not confirmed."""
        async with self._open_configured_session(session_name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
            if session is not None:
                turn, req_id = make_plain_turn(sample_count), self._make_req_id(f"{session_name}/paused")

                async def pause() -> None:
                    """Pause the request, and resume it."""
                    for message in (Pause(req_id), Resume(req_id)):
                        await self._send(session_name, session, encode(message))

                await self._speak_turn(session_name, session, 0, turn, req_id=req_id, before_end=pause)
                if self._has_answered(session_name):
                    half_bytes = sample_count * BYTES_PER_SAMPLE // 2
                    with_gap = TurnPlan(sample_count, half_bytes, chunk_pause_ms=_LONG_GAP_MS)
                    await self._speak_turn(session_name, session, 1, with_gap)

    async def _leave_and_speak(self, session_name: str, probe: LeavingProbe) -> None:
        """Leave sessions with the Motion Server under test before their motion is complete. Then speak a
        short turn in as many new sessions, one after the other, up to the first that is not answered. The
        server may still make all motion of the sessions that were left, so the kit waits longer for these
        turns."""
        for number, departure in enumerate(probe.departures, 1):
            await self._leave_in_mid_motion(f"{session_name}-left-{number}", departure, probe.samples)
        waits_in_vain, backlog_seconds = self._silence_timeout.waits_in_vain, probe.samples / PLAN_SAMPLE_RATE
        for number in range(1, len(probe.departures) + 1):
            name, turn = f"{session_name}-after-{number}", make_plain_turn(probe.short_samples)
            async with self._open_configured_session(name, ConfigureSession(PLAN_SAMPLE_RATE)) as session:
                if session is not None:
                    await self._speak_turn(name, session, 0, turn, backlog_seconds=backlog_seconds)
            if self._silence_timeout.waits_in_vain > waits_in_vain:
                return

    async def _leave_in_mid_motion(self, session_name: str, departure: Departure, sample_count: int) -> None:
        """Open a session with the Motion Server under test, speak `sample_count` samples at once (only a
        third of them if the departure is in mid-speech), and leave as this `departure` says. Do nothing if
        the session is not confirmed."""
        close_code = ABNORMAL_CLOSE if departure.by_reset else NORMAL_CLOSE
        configuration, req_id = ConfigureSession(PLAN_SAMPLE_RATE), self._make_req_id(session_name)
        async with self._open_configured_session(session_name, configuration, close_code) as session:
            if session is None:
                return
            first_motion = MessageWatch(
                self._recorder, session_name, lambda message: _is_response_to(message, req_id)
            )
            turn = TurnPlan(sample_count, PIECE_BYTES)
            chunks = turn.split_into_chunks(self._speech_of_turn(session_name, turn))
            in_speech = departure.at is DepartureMoment.IN_SPEECH
            for chunk in chunks[: len(chunks) // 3] if in_speech else chunks:
                await self._send(session_name, session, encode(AudioInput(req_id, chunk)))
            if not in_speech:
                await self._send(session_name, session, encode(AudioInput(req_id, end=True)))
            if departure.at is DepartureMoment.AT_FIRST_MOTION:
                await wait_until(self._recorder, first_motion.has_arrived, self._silence_timeout)


def _is_response_to(message: object, req_id: str) -> bool:
    """Return whether a message of the Motion Server under test is motion for this request."""
    return isinstance(message, MotionResponse) and message.req_id == req_id
