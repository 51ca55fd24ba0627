"""Runs a plan against a client under test, call by call, through its testee: the program that connects the
client to the kit."""

from dataclasses import replace

from spatius_sim import __version__
from spatius_sim.net.client.testee_connection import Testee, TesteeError
from spatius_sim.plans.client_plan import ClientPlan, mark_end_after_motion
from spatius_sim.plans.plan_token import token_of
from spatius_sim.plans.write_client_requests import RequestWriter
from spatius_sim.protocol.errors import RemoteProtocolError, UnreachableError
from spatius_sim.story.client_story import IDS
from spatius_sim.subjects.client_shim import Factory, Shim
from spatius_sim.subjects.decoder_as_client import OWN
from spatius_sim.subjects.wait_for_events import loop_time_ns
from spatius_sim.trace.events import Event, EventKind, Lane, Received, Sent, Trace, TraceHeader
from spatius_sim.wires.testee_messages import (
    PROTOCOL,
    TesteeAnswer,
    TesteeRequest,
    read_answer,
    write_request,
)

OUR_OWN = "our own decoder"
_ANSWER_SECONDS = 10.0
_OUTPUT_CHARACTERS_SHOWN = 600


class InProcessTestee:
    """Is the testee of a Python client that lives in this process: no other program is needed."""

    def __init__(self, make: Factory = OWN) -> None:
        """Prepare a client under test in this process; `make` makes each fresh client."""
        self._shim = Shim(make, OUR_OWN)

    async def open(self, seconds: float) -> None:
        """Do nothing: the client lives in this process."""

    async def ask(self, line: str, seconds: float) -> str | bytes:
        """Return the answer to one line at once: `seconds` is not needed."""
        return self._shim.answer(line)

    def last_output(self) -> str:
        """Return "": a client in this process has no output of its own."""
        return ""

    def last_errors(self) -> str:
        """Return "": a client in this process has no stderr of its own."""
        return ""

    async def close(self) -> None:
        """Do nothing: no process and no connection is held."""


class ClientSubject:
    """Drives a client under test through its testee.

    The testee may take `answer_seconds` for each answer. For `advance` it may take the milliseconds of the
    request in addition."""

    kind = "client"
    wire = ""

    def __init__(
        self,
        testee: Testee,
        target: str,
        seed: int,
        start_seconds: float = 10.0,
        answer_seconds: float = _ANSWER_SECONDS,
    ) -> None:
        """Prepare to drive a client under test through its testee: the program that connects the client to
        the test kit. `attach` starts the testee. `target` names the client in reports, and `seed` is written
        into each trace. The testee may take `start_seconds` to start, and `answer_seconds` for each
        answer."""
        self.target = target
        self._testee, self._seed = testee, seed
        self._start_seconds, self._answer_seconds = start_seconds, answer_seconds
        self._last_request_id = 0
        self._hello_events: tuple[Event, ...] = ()
        self._events: list[Event] = []
        self._modes: tuple[str, ...] = ()
        self._sample_rates: tuple[int, ...] = ()
        self._lacking_commands: set[str] = set()
        self.real_clock = False

    @property
    def last_errors(self) -> str:
        """The last lines that the testee wrote to its stderr."""
        return self._testee.last_errors()

    async def attach(self) -> None:
        """Start the testee: the program that connects the client under test to the kit. Send it `hello`, and
        keep what it declares: modes, sample rates, commands that the client lacks, and the clock. Raises
        UnreachableError if the testee does not start, or its answer is wrong."""
        await self._testee.open(self._start_seconds)
        self._events = []
        try:
            answer = await self._ask_testee(TesteeRequest(self._next_request_id(), "hello"))
        except TesteeError as error:
            await self._testee.close()
            raise UnreachableError(f"{self.target} did not say hello: {error}".replace("\n", " | ")) from None
        result = answer.result
        modes, lacks, rates = (result.get(key, []) for key in ("modes", "lacks", "sampleRates"))
        are_lists = all(isinstance(declared, list) for declared in (modes, lacks, rates))
        if result.get("protocol") != PROTOCOL or not are_lists:
            await self._testee.close()
            problem = answer.error or result
            raise UnreachableError(f"{self.target} does not speak testee protocol {PROTOCOL}: {problem}")
        self._hello_events = tuple(self._events)
        self._modes = tuple(map(str, modes))
        self._lacking_commands = set(map(str, lacks))
        self._sample_rates = tuple(rate for rate in rates if isinstance(rate, int))
        self.real_clock = result.get("clock") == "real"

    @property
    def cut_a_wait_short(self) -> bool:
        """Return False: a client's waits are the same in every run."""
        return False

    async def run(self, plan: ClientPlan, *, patient: bool = False) -> Trace:
        """Make every call of the plan at the client under test, observe the client's state after each call,
        and return the trace. If the client lacks the mode or the sample rate of the plan, use the first that
        it declares. `patient` changes nothing: no wait for a client is ever shortened. If its testee (the
        program that makes the calls) fails, close it and raise TesteeError."""
        self._events = list(self._hello_events)
        mode = plan.mode if plan.mode in self._modes or not self._modes else self._modes[0]
        rates = self._sample_rates
        rate = plan.sample_rate if plan.sample_rate in rates or not rates else rates[0]
        request_writer = RequestWriter(replace(plan, sample_rate=rate))
        # Without conversation ids, motion must come before the audio's end mark.
        steps = mark_end_after_motion(plan.steps) if IDS in self._lacking_commands else plan.steps
        try:
            await self._reset_client(rate, mode)
            await self._ask_if_implemented(TesteeRequest(self._next_request_id(), "observe"))
            for step in steps:
                answer = await self._ask_if_implemented(
                    request_writer.make_request(self._next_request_id(), step)
                )
                request_writer.learn_id(answer.result.get("conversationId"))
                await self._ask_if_implemented(TesteeRequest(self._next_request_id(), "observe"))
        except TesteeError:
            await self._testee.close()
            raise
        header = TraceHeader("client", "", self._seed, str(plan), __version__, plan_token=token_of(plan))
        return Trace(header, tuple(self._events))

    async def detach(self) -> None:
        """End the testee."""
        await self._testee.close()

    async def _reset_client(self, sample_rate: int, mode: str) -> None:
        """Ask the testee (the program that runs the client under test) to make a fresh client, with this
        sample rate in Hz and this mode. Raises TesteeError if the testee makes none: without a client no rule
        can be judged."""
        request = TesteeRequest(self._next_request_id(), "reset", sample_rate=sample_rate, mode=mode)
        answer = await self._ask_testee(request)
        if answer.error is not None or answer.unimplemented:
            why = (answer.error or "unimplemented").splitlines()[0]  # A stack may follow.
            raise TesteeError(f"asked reset: it made no fresh client: {why}")

    async def _ask_if_implemented(self, request: TesteeRequest) -> TesteeAnswer:
        """Send a request to the testee of the client under test and return the answer.

        If the client is known to lack the command, send nothing, but return the answer `unimplemented`. If
        the testee answers `unimplemented` now, remember this."""
        if request.do in self._lacking_commands:
            return TesteeAnswer(request.id, unimplemented=True)
        answer = await self._ask_testee(request)
        if answer.unimplemented:
            self._lacking_commands.add(request.do)
        return answer

    async def _ask_testee(self, request: TesteeRequest) -> TesteeAnswer:
        """Send a request to the testee (the program that drives the client under test), record the request
        and its answer, and return the answer. Raises TesteeError if no answer to this request comes in time,
        or if it cannot be read; the error shows the testee's last output."""
        line = write_request(request)
        self._record_event(Sent(line, request))
        raw = b""
        try:
            reply = await self._testee.ask(line, self._answer_seconds + request.ms / 1000)
            raw = reply.encode() if isinstance(reply, str) else reply
            answer = read_answer(raw)
            if answer.id != request.id:
                raise TesteeError(f"it answered request {answer.id} when {request.id} was asked")
        except (RemoteProtocolError, TesteeError) as error:
            last_output = self._testee.last_output()[-_OUTPUT_CHARACTERS_SHOWN:]
            problem = f"asked {request.do}: {error}; its last output:\n{last_output or '(none)'}"
            raise TesteeError(problem) from None
        self._record_event(Received(raw.decode(errors="replace").rstrip("\n"), answer))
        return answer

    def _record_event(self, content: EventKind) -> None:
        """Add an event to the trace of the client under test, at the present time."""
        self._events.append(Event(len(self._events), loop_time_ns(), Lane.CLIENT, "client", content))

    def _next_request_id(self) -> int:
        """Return 1, 2, 3 and so on, a new number at each call."""
        self._last_request_id += 1
        return self._last_request_id
