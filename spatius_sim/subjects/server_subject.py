"""Drives a Motion Server under test as a Server SDK does, and makes mistakes on purpose."""

import asyncio

from spatius_sim import __version__
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.record_kit_stalls import record_kit_stalls
from spatius_sim.plans.plan import Plan
from spatius_sim.plans.plan_token import token_of
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.console_api import session_token_in
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.protocol.messages import ConfirmSession
from spatius_sim.subjects.mistakes_on_purpose import UNKNOWN_KEY_SEED
from spatius_sim.subjects.run_server_probes import LIVEKIT_CONFIGURATION, ServerProbing
from spatius_sim.subjects.server_sessions import TOKEN_LIFE_SECONDS, record_frames
from spatius_sim.subjects.subject_base import canary_key
from spatius_sim.subjects.wait_for_events import MessageWatch, loop_time, wait_until
from spatius_sim.trace.events import Trace, TraceHeader
from spatius_sim.wires.optional_features import EGRESS, KEYS

_RETRY_SECONDS = 0.2

_MOST_WAITS_FOR_FREE_SESSION = 3
"""If a server still has too many sessions after so many waits, only patient runs wait for it again."""


class ServerSubject(ServerProbing):
    """Runs plans against a Motion Server: each client of a plan is one session, and each turn one request."""

    kind = "server"
    wire = ""

    async def attach(self) -> None:
        """Wait until a session with the Motion Server under test can be opened. If `find_lacks` is set, find
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
                canary_key(UNKNOWN_KEY_SEED), self._unix_time_in(TOKEN_LIFE_SECONDS)
            )
            lacks_found = [KEYS] if session_token_in(answer) else []
            lacks_found += [] if await self._accepts_egress() else [EGRESS]
            self._lacks = tuple(dict.fromkeys([*self._lacks, *lacks_found]))

    @property
    def cut_a_wait_short(self) -> bool:
        """Whether the last run shortened a wait."""
        return self._silence_timeout.cut_short

    async def run(self, plan: Plan, *, patient: bool = False) -> Trace:
        """Run a plan against the Motion Server under test: its probes one by one, then all its sessions at
        once. Return the trace. If `patient`, every wait for an answer has its full length."""
        self._run_count += 1
        self._silence_timeout.begin_run(patient=patient)
        self._session_count = 0
        self._may_wait_for_free_session = (
            patient or self._waits_for_free_session < _MOST_WAITS_FOR_FREE_SESSION
        )
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
                    self._speak_turns(f"session-{number}", turns, rate)
                    for number, (turns, rate) in enumerate(
                        zip(plan.clients, plan.sample_rates, strict=True), 1
                    )
                )
                await asyncio.gather(*speaking)
        finally:
            trace = self._recorder.finish()
        return trace

    async def detach(self) -> None:
        """Do nothing: no connection is held between runs."""

    async def _accepts_egress(self) -> bool:
        """Find out, when the kit attaches the Motion Server under test, whether the server confirms a session
        that asks for egress, which is to publish the motion in a LiveKit room. Return False if it sends
        another answer first, or none in time. Nothing of this session comes into a trace."""
        async with self._open_session() as session:
            await session.send(encode(LIVEKIT_CONFIGURATION))
            recorder = RealTimeRecorder()
            # A recorder needs a header; nobody reads this trace.
            recorder.start(TraceHeader("server", "", self._seed, "", __version__))
            any_answer = MessageWatch(recorder, "", lambda message: True)
            confirmation = MessageWatch(recorder, "", lambda message: isinstance(message, ConfirmSession))
            listening = asyncio.create_task(record_frames(recorder, "", session))
            try:
                await wait_until(recorder, any_answer.has_arrived, self._silence_timeout)
                return confirmation.has_arrived()
            finally:
                listening.cancel()
