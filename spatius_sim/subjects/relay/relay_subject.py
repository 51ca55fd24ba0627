"""Attaches a relay under test, and runs plans against it."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import repeat
from typing import Protocol

from spatius_sim import __version__
from spatius_sim.model.scenario.fault_events import longest_delay
from spatius_sim.model.scenario.faults_by_id import APP_ID
from spatius_sim.model.scenario.scenario import NO_FAULTS, Scenario
from spatius_sim.model.server.session_tokens import SessionToken, issue_token
from spatius_sim.net.client.relay_address import RelayAddress, add_credentials
from spatius_sim.net.client.relay_process import RelayProcess
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.record_kit_stalls import record_kit_stalls
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan, TurnPlan, limit_chunk_bytes
from spatius_sim.plans.plan_token import token_of
from spatius_sim.plans.turn_behaviour import Behaviour
from spatius_sim.protocol.errors import UnreachableError
from spatius_sim.story.speech_chosen_by_relay import with_speech
from spatius_sim.subjects.relay.connect_to_relay import RelayAccess, RelayOverSockets
from spatius_sim.subjects.relay.detect_end_of_turn import is_motion_mark
from spatius_sim.subjects.relay.detect_wire import WireNotFoundError, find_out_wire
from spatius_sim.subjects.relay.hang_ups import watch_hang_ups
from spatius_sim.subjects.relay.http_client import HttpRelayClient
from spatius_sim.subjects.relay.kit_client import RelayClient
from spatius_sim.subjects.relay.speaker import Speaker
from spatius_sim.subjects.relay.start_turns import TurnStart, check_sayable
from spatius_sim.subjects.relay.watch_turns import least_fallback_seconds, make_fallback_timeout
from spatius_sim.subjects.subject_base import Patience
from spatius_sim.subjects.wait_for_events import AdaptiveTimeout, is_never_true, loop_time, wait_until
from spatius_sim.trace.events import Lane, Opened, Received, Trace, TraceHeader
from spatius_sim.wires import Wire, published_wire
from spatius_sim.wires.events import Failed, NotUnderstood, Ready, Start
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH, DATA_PACKETS, OWN_STREAM

_LIKELIEST_WIRE = "json-envelope"
_NO_GREETING_SECONDS = 0.3
_GREETING_IN_A_ROOM_SECONDS = 5.0
"""How long a greeting may take that the wire does not promise. In a room the first packet has to make its way
(tried: 1.8 s)."""
_GRACE_SECONDS = 1.0
_RETRY_SECONDS = 0.2
_LINGER_SECONDS = 0.05
"""For so long the kit listens on after the last event of a scenario."""
_MIN_SILENCE_SECONDS = 0.3
"""If a relay has been waited for in vain, and answers at once, it is waited for only so long. What is broken
then is confirmed with the whole patience."""
_NS_PER_SECOND = 1e9
_TOKEN_LIFE_SECONDS = 3600
_MAX_CHUNK_BYTES = 32_000
"""A client in a room sends no larger chunk: as base64 it fits into a data packet."""

_LEAD_SECONDS = 0.8
"""How long the relay must be silent, because the buffers to a client that reads nothing are full, before the
other clients start."""
_LONGEST_LEAD_SECONDS = 5.0
"""They start after this time also if the relay goes on, as one that plays at its own pace does."""
_LISTENS_SECONDS = 0.5
"""Longer than the motion of the client that left is late."""


class PlaysScenarios(Protocol):
    """Our Motion Server, over sockets or in virtual time, as far as a subject needs it."""

    def play(self, scenario: Scenario, *, also_open: bool = False) -> None:
        """Play this scenario from its beginning. With `also_open`, sessions that are open already meet its
        faults, too."""


class RelaySubject:
    """Runs plans against a relay. Its upstream is our `motion_server`, or a foreign one if this is None.

    Our Motion Server must write to the same recorder. `process` is the relay's process if the kit starts it.
    `starts` starts each turn if the relay chooses the speech, or is None.
    """

    kind = "relay"

    def __init__(
        self,
        address: RelayAddress,
        wire: Wire | None,
        recorder: RealTimeRecorder,
        seed: int,
        patience: Patience,
        motion_server: PlaysScenarios | None,
        lacks: tuple[str, ...] = (),
        process: RelayProcess | None = None,
        starts: TurnStart | None = None,
        access: RelayAccess | None = None,
    ) -> None:
        """Prepare to run plans against a relay under test; nothing is attached yet. The parameters are those
        of the class."""
        self.target, self._declared_lacks = address.url_without_secrets, lacks
        self._address, self._process, self._turn_start = address, process, starts
        self._recorder, self._seed = recorder, seed
        self._access: RelayAccess = access or RelayOverSockets()
        self._wire_known = wire is not None
        self._use_wire(wire or published_wire(_LIKELIEST_WIRE))
        self._motion_server = motion_server
        self._patience = patience
        self._silence_timeout = AdaptiveTimeout(
            patience.settle, least_seconds=_MIN_SILENCE_SECONDS, patient_waits=2, longest_wait=patience.turn
        )
        self._silence_timeout_without_motion = AdaptiveTimeout(
            patience.settle, least_seconds=_MIN_SILENCE_SECONDS, patient_waits=0
        )
        self._silence_timeout_after_failure = AdaptiveTimeout(
            patience.fallback, least_seconds=_MIN_SILENCE_SECONDS, patient_waits=1
        )
        self._fallback_timeout = make_fallback_timeout(patience.fallback)
        self._run_count = 0
        self._relay_greets, self._sample_rate = False, PLAN_SAMPLE_RATE
        self._marks_motion = False
        self.last_trace: Trace | None = None
        """The trace of the last run, even if the relay was lost in it."""

    async def attach(self) -> None:
        """Start the relay's process if the kit shall start it, wait until the relay answers, and read its
        greeting. If the user named no wire (message format), find out first which one the relay speaks.
        Raises UnreachableError if the relay does not answer in time, and WireNotFoundError if its wire is not
        understood."""
        if self._process is not None:
            await self._process.start()
        deadline = loop_time() + self._patience.attach
        while True:
            try:
                if not self._wire_known:
                    self._use_wire(
                        await find_out_wire(self._address, self._patience.attach, self._recorder.secrets)
                    )
                    self._wire_known = True
                async with self._make_client("greeting", open_seconds=self._patience.attach) as client:
                    await self._read_greeting(client)
                    return
            except WireNotFoundError:
                raise
            except UnreachableError:
                await self._raise_if_process_ended()
                if loop_time() > deadline:
                    raise
            await asyncio.sleep(_RETRY_SECONDS)

    @property
    def cut_a_wait_short(self) -> bool:
        """Whether the kit waited for the relay shorter than its whole patience in the last run."""
        return any(timeout.cut_short for timeout in self._all_timeouts)

    @property
    def _all_timeouts(self) -> tuple[AdaptiveTimeout, ...]:
        """All timeouts of this subject, by which the kit waits for the relay: in a turn with motion, in a
        turn without motion, in a turn after a failure, and, when Motion Server has failed, until the relay
        goes on with audio alone."""
        return (
            self._silence_timeout,
            self._silence_timeout_without_motion,
            self._silence_timeout_after_failure,
            self._fallback_timeout,
        )

    async def run(self, plan: Plan, *, patient: bool = False) -> Trace:
        """Run a plan against the relay under test: let every client of the plan speak its turns, and return
        the trace. Raises UnreachableError if the relay takes no connection, ends, or floods its clients."""
        self._run_count += 1
        if not self._wire_says_rate:
            plan = replace(plan, sample_rate=PLAN_SAMPLE_RATE)
        if {OWN_STREAM, CLIENT_CHOOSES_SPEECH}.issubset(self._lacks):
            # All clients hear what the relay chooses: nothing shows whose turn it is, if several ask for one.
            plan = replace(plan, clients=plan.clients[:1], bears_credentials=False)
        if self._access.data_packets:
            plan = limit_chunk_bytes(plan, _MAX_CHUNK_BYTES)
        # What other turns took tells how long the answer to a turn without speech may take, if one comes.
        self._silence_timeout_without_motion.note_response_time(self._silence_timeout.longest_response)
        self._fallback_timeout.least_seconds = least_fallback_seconds(plan.motion_server)
        # A relay that completes no ordinary turn completes none after a failure.
        self._silence_timeout_after_failure.patient_waits = int(self._silence_timeout.fulfilled)
        for timeout in self._all_timeouts:
            timeout.begin_run(patient=patient or self._run_count == 1)
        header = TraceHeader(
            "relay",
            self._wire.name,
            self._seed,
            str(plan),
            __version__,
            self._lacks,
            "downstream" if self._motion_server is None else "both",
            # The same value decides how long the kit waits, and what the rules count as absent.
            fallback_wait=self._fallback_timeout.current_seconds,
            declaration=self._wire.declaration,
            plan_token=token_of(plan),
        )
        self._recorder.start(header)
        self._play(plan.motion_server)
        try:
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(record_kit_stalls(self._recorder))
                clients = [
                    await stack.enter_async_context(
                        self._make_client(
                            f"client-{number}",
                            bears_credentials=plan.bears_credentials and number == len(plan.clients),
                            narrow=not all(turn.reads for turn in turns),
                        )
                    )
                    for number, turns in enumerate(plan.clients, 1)
                ]
                fault_delay_seconds = longest_delay(plan.motion_server)
                rates = plan.sample_rates if self._wire_says_rate else repeat(self._sample_rate)
                speakers = [
                    self._make_speaker(client, fault_delay_seconds, rate)
                    for client, rate in zip(clients, rates, strict=False)
                ]
                await asyncio.gather(*(speaker.begin() for speaker in speakers))
                await asyncio.gather(self._run_speakers(plan, speakers), self._search_http_answers())
                await self._linger()
                self._raise_if_flooded()
                self._raise_if_greeted_late()
                hung_up = [
                    client.name
                    for client, turns in zip(clients, plan.clients, strict=True)
                    if turns[-1].act is Behaviour.HANG_UP
                ]
                if hung_up:
                    await watch_hang_ups(self._recorder, header, hung_up)
            await self._raise_if_process_ended()
        except UnreachableError:
            await self._raise_if_process_ended(_GRACE_SECONDS)
            raise
        finally:
            self._play(NO_FAULTS)
            trace = self._recorder.finish()
            self._marks_motion |= any(
                isinstance(event.content, Received) and is_motion_mark(event.content.value)
                for event in trace.on_lane(Lane.DOWNSTREAM)
            )
            self.last_trace = trace if self._turn_start is None else with_speech(trace)
        return self.last_trace

    async def _linger(self) -> None:
        """Listen on for a moment after the last thing that was said or done, for what comes late."""
        outside = (event.at_ns for event in reversed(self._recorder.events) if event.lane is not Lane.KIT)
        seconds_since = loop_time() - next(outside, 0) / _NS_PER_SECOND
        await asyncio.sleep(max(0.0, _LINGER_SECONDS - seconds_since))

    def _raise_if_flooded(self) -> None:
        """Raise UnreachableError if the relay under test has sent more messages or bytes in this run than the
        recorder keeps."""
        if self._recorder.flooded:
            event_limit, byte_limit = self._recorder.max_events, self._recorder.max_bytes
            amount = f"more than {event_limit:,.0f} messages or {byte_limit / 1e6:,.0f} MB in one scenario"
            raise UnreachableError(f"{self.target} floods: {amount}")

    def _raise_if_greeted_late(self) -> None:
        """Raise UnreachableError if the relay sent its greeting (`Ready`) for the first time on a connection
        only after a failure message. Such a relay was not ready yet: the kit should have waited for its
        greeting longer."""
        opened_at_ns: dict[str, int] = {}
        clients_with_failure: set[str] = set()
        greeted_clients: set[str] = set()
        for event in self._recorder.events:
            if event.lane is not Lane.DOWNSTREAM:
                continue
            match event.content:
                case Opened():
                    opened_at_ns[event.connection] = event.at_ns
                    clients_with_failure.discard(event.connection)
                    greeted_clients.discard(event.connection)
                case Received(value=Failed()):
                    clients_with_failure.add(event.connection)
                case Received(value=Ready()) if event.connection not in clients_with_failure:
                    greeted_clients.add(event.connection)
                case Received(value=Ready()) if event.connection not in greeted_clients:
                    seconds = (event.at_ns - opened_at_ns[event.connection]) / _NS_PER_SECOND
                    raise UnreachableError(
                        f"{self.target} greeted only {seconds:.1f} s after it had been connected to, and "
                        "refused what came before: --wait says how long it is waited for"
                    )

    async def detach(self) -> None:
        """End the relay's process if the kit started it."""
        if self._process is not None:
            await self._process.stop()

    @property
    def wire(self) -> str:
        """The name of the wire that the kit speaks to the relay."""
        return self._wire.name

    def _use_wire(self, wire: Wire) -> None:
        """Speak this wire (message format) to the relay from now on, and note which features the relay lacks:
        those that it is declared to lack, and those that this wire or this connection cannot offer. Raises
        UsageError if the wire has no message that starts the turns as the user wants."""
        self._wire = self._recorder.wire = wire
        lacks_of_turn_start = {CLIENT_CHOOSES_SPEECH} if self._turn_start is not None else set()
        lacks_of_connection = set() if self._access.data_packets else {DATA_PACKETS}
        self._lacks = tuple(
            sorted({*self._declared_lacks, *wire.lacks, *lacks_of_turn_start, *lacks_of_connection})
        )
        self._http_paths = list(wire.http_paths)
        check_sayable(self._turn_start, wire)

    async def _search_http_answers(self) -> None:
        """Send the relay a request for each HTTP path that its wire (message format) names, and search the
        answers for secrets. A path that is not answered is never asked for again."""
        for path in list(self._http_paths):
            if not await self._access.search_answer(self._address, path, self._recorder, "client-1"):
                self._http_paths.remove(path)

    def _play(self, scenario: Scenario) -> None:
        """Let Motion Server play this scenario, in open sessions too; do nothing if it is not our own."""
        if self._motion_server is not None:
            self._motion_server.play(scenario, also_open=True)

    @property
    def last_output(self) -> str:
        """The last output lines of the relay's process; "" if the kit did not start it."""
        return self._process.last_output() if self._process is not None else ""

    async def _raise_if_process_ended(self, wait_seconds: float = 0.0) -> None:
        """Raise UnreachableError if the process of the relay, the subject under test, has ended, or ends
        within `wait_seconds`. Do nothing if the kit did not start the relay."""
        description_of_end = await self._process.describe_death(wait_seconds) if self._process else ""
        if description_of_end:
            raise UnreachableError(description_of_end)

    @property
    def _wire_says_rate(self) -> bool:
        """Whether a client can tell the relay the sample rate of its speech."""
        return self._wire.write_client_action(Start(1)) != self._wire.write_client_action(Start(2))

    def _make_speaker(self, client: RelayClient, fault_delay_seconds: float, sample_rate: int) -> Speaker:
        """Return the object that speaks the turns of this client to the relay under test, at this sample rate
        in Hz. A planned fault may delay Motion Server by `fault_delay_seconds`."""
        return Speaker(
            client.name,
            client,
            self._wire,
            self._recorder,
            self._silence_timeout,
            self._silence_timeout_without_motion,
            self._silence_timeout_after_failure,
            lacks=frozenset(self._lacks),
            greeting_seconds=self._patience.attach if self._relay_greets else 0.0,
            sample_rate=sample_rate,
            fallback_timeout=self._fallback_timeout,
            fault_delay_seconds=fault_delay_seconds,
            turn_start=self._turn_start,
            marks_motion=self._marks_motion,
        )

    def _make_client(
        self,
        name: str,
        open_seconds: float = 10.0,
        *,
        bears_credentials: bool = False,
        narrow: bool = False,
    ) -> RelayClient:
        """Return a new client of the relay under test, not connected yet: for HTTP if the relay's address
        begins so, else for WebSocket. Connecting may take `open_seconds`. With `bears_credentials` the client
        sends a session token. With `narrow` its connection takes little data before the relay must wait."""
        address = self._address
        if bears_credentials:
            expire_at = int(self._access.unix_time()) + _TOKEN_LIFE_SECONDS
            address = add_credentials(address, APP_ID, issue_token(SessionToken(expire_at, APP_ID), name))
        address = replace(address, narrow=narrow)
        if self.target.startswith("http"):
            return HttpRelayClient(address, self._wire, self._recorder, name, open_seconds, self._access.dial)
        packets = self._access.data_packets
        wire, recorder, dial = self._wire, self._recorder, self._access.dial
        return RelayClient(address, wire, recorder, name, open_seconds, dial, data_packets=packets)

    async def _read_greeting(self, client: RelayClient) -> None:
        """Wait for the relay's greeting, its first message (`Ready`), which may also not come. Note whether
        the relay greets, and at which sample rate it takes audio. Raises WireNotFoundError if the relay's
        answer is not understood in this wire (message format)."""
        unsure_seconds = _GREETING_IN_A_ROOM_SECONDS if self._access.in_room else _NO_GREETING_SECONDS
        wait_seconds = self._patience.attach if self._wire.greets else unsure_seconds
        greeting = await client.start(PLAN_SAMPLE_RATE, wait_seconds)
        if isinstance(greeting, Ready):
            self._relay_greets, self._sample_rate = True, greeting.input_sample_rate or PLAN_SAMPLE_RATE
        if isinstance(greeting, NotUnderstood):
            raise WireNotFoundError(
                f"{self.target} speaks another wire than {self._wire.name}: {greeting.reason}"
            )

    async def _run_speakers(self, plan: Plan, speakers: Sequence[Speaker]) -> None:
        """Let all clients of the plan speak their turns to the relay under test, each by its speaker. Each
        goes on at its own pace; but with `plan.step`, all begin each turn at the same time. With
        `plan.last_comes_later`, the last client speaks only after the others: it connects again, and listens
        for a moment first. Those of the others who stay speak their last turn at the same time."""
        if plan.last_comes_later:
            others = list(zip(speakers[:-1], plan.clients[:-1], strict=True))
            staying = [
                (speaker, turns) for speaker, turns in others if turns[-1].act is not Behaviour.HANG_UP
            ]
            await asyncio.gather(
                *(self._speak_turns(*other) for other in others if other not in staying),
                *(self._speak_turns(speaker, turns[:-1]) for speaker, turns in staying),
            )
            await speakers[-1].client.reconnect()
            await speakers[-1].begin()
            await asyncio.sleep(_LISTENS_SECONDS)
            await asyncio.gather(
                self._speak_turns(speakers[-1], plan.clients[-1]),
                *(self._speak_turns(speaker, turns[-1:], len(turns) - 1) for speaker, turns in staying),
            )
            return
        if not plan.step:
            turns_by_speaker = zip(speakers, plan.clients, strict=True)
            await asyncio.gather(*(self._speak_turns(speaker, turns) for speaker, turns in turns_by_speaker))
            return
        for number in range(max(map(len, plan.clients))):
            turns_in_step = [
                (speaker, turns[number])
                for speaker, turns in zip(speakers, plan.clients, strict=True)
                if number < len(turns)
            ]
            await self._speak_in_step(number, turns_in_step)

    async def _speak_turns(self, speaker: Speaker, turns: Sequence[TurnPlan], first_number: int = 0) -> None:
        """Let one client speak these turns to the relay under test, one after the other. `first_number` is
        the number of the first of them among all turns of the client."""
        for number, turn in enumerate(turns, first_number):
            await speaker.speak(number, turn, self._speech_of_turn(speaker, number, turn))

    async def _speak_in_step(self, number: int, turns_in_step: Sequence[tuple[Speaker, TurnPlan]]) -> None:
        """Let all clients of the relay speak turn `number` of the plan at the same time. But clients that do
        not read what the relay sends start first. The others start when the relay has fallen silent, or after
        5 s. When these have finished, all clients read."""
        readers_finished = asyncio.Event()

        def make_speaking_coroutines(reads_at_once: bool) -> list[Coroutine[None, None, None]]:
            """Return coroutines that speak this turn to the relay. If `reads_at_once`, for the clients that
            read at once what the relay sends; else for those that read only when the others have
            finished."""
            return [
                speaker.speak(
                    number,
                    turn,
                    self._speech_of_turn(speaker, number, turn),
                    None if reads_at_once else readers_finished,
                )
                for speaker, turn in turns_in_step
                if turn.reads is reads_at_once
            ]

        unread_turns = make_speaking_coroutines(reads_at_once=False)
        speaking_unread = asyncio.gather(*unread_turns)
        try:
            if unread_turns:
                silence = AdaptiveTimeout(_LEAD_SECONDS, longest_wait=_LONGEST_LEAD_SECONDS)
                await wait_until(self._recorder, is_never_true, silence)
            await asyncio.gather(*make_speaking_coroutines(reads_at_once=True))
        finally:
            readers_finished.set()
        await speaking_unread

    def _speech_of_turn(self, speaker: Speaker, number: int, turn: TurnPlan) -> bytes:
        """Return the speech of a client's turn, which differs in each run against the relay, but is the same
        for the same seed."""
        return turn.pcm(f"{self._seed}/{self._run_count}/{speaker.name}/{number}")
