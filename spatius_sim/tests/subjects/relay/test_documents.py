"""HTTP backends that answer a whole turn as one JSON document."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path

import pytest
from aiohttp import web

from spatius_sim.cli.doctor.diagnose_relay import diagnose
from spatius_sim.cli.doctor.findings_and_advice import relay_findings
from spatius_sim.engine.run_settings import Settings
from spatius_sim.engine.trial.judge_rules import Trial
from spatius_sim.files.wire_file import find_wire
from spatius_sim.miniatures.relay.honest_relays import PLAYS_CLIPS
from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.miniatures.relay.wrong_relays import LosesAudio, LosesLastPayload
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.background_loop import BackgroundLoop
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.ports_and_hosts import LOOPBACK, free_port
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import PLAN_SAMPLE_RATE, Plan
from spatius_sim.plans.plans_for_rules import exercise_of
from spatius_sim.protocol.console_api import CONSOLE_ROOT, INGRESS_ROOT
from spatius_sim.protocol.errors import UsageError
from spatius_sim.rules.catalogue import rules_for
from spatius_sim.rules.findings import Verdict
from spatius_sim.subjects.relay.http_client import HttpRelayClient
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.subject_base import Patience, Subject, canary_key
from spatius_sim.tests.running_miniature import SEED
from spatius_sim.trace.events import Closed, Lane, Received, TraceHeader
from spatius_sim.wires.events import NotUnderstood
from spatius_sim.wires.optional_features import DATA_PACKETS, STREAMING

EXAMPLES = 2
IN_REAL_TIME = frozenset({"U-RETRY", "R-RECOVER", "U-HANGUP"})
"""They wait for ten seconds and more, and look upstream: judged in virtual time."""


class DocumentRelay(MiniatureRelay):
    """Gathers all that its brain tells of a turn, and answers with it."""

    async def answer(self, request: web.Request) -> web.Response:
        client = f"c{next(self._numbers)}"
        outbox = self._clients[client] = asyncio.Queue()
        self._hangs_up = True
        self._carry_out(self._brain.on_client_connected(client))
        self._carry_out(
            self._brain.on_client_action(client, self._wire.read_client_frame(await request.text()))
        )
        parts = []
        while (told := await outbox.get()) is not None:
            parts.append(json.loads(told[1]))
        self._carry_out(self._brain.on_client_disconnected(client))
        audio = b"".join(b64decode(part.get("audio_base64", "")) for part in parts)
        motion = [payload for part in parts for payload in part.get("animation_messages_base64", [])]
        document = {"audio_base64": b64encode(audio).decode(), "animation_messages_base64": motion}
        return web.json_response(document, headers={"X-Key": getattr(self._brain, "told", "")})


class DemandsCredentials(DocumentRelay):
    """Serves whoever sends a session key of Spatius, and nobody else."""

    async def answer(self, request: web.Request) -> web.Response:
        if "X-Session-Key" not in request.headers:
            return web.Response(status=401, text="a session key is needed")
        return await super().answer(request)


class AsksForARate(DocumentRelay):
    """Is asked as the Server SDK's own HTTP example is: for a clip, by its sample rate and nothing else."""

    async def answer(self, request: web.Request) -> web.Response:
        rate = (await request.json()).get("sample_rate")
        if rate is None:
            return web.json_response({"error": "missing_sample_rate"}, status=400)
        if int(rate) != PLAN_SAMPLE_RATE:
            return web.json_response({"error": "unsupported_sample_rate"}, status=404)
        return await super().answer(request)


class TellsInAHeader(PlainRelay):
    @property
    def told(self) -> str:
        return self.api_key


@asynccontextmanager
async def serving(handler: object) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/turn", handler)  # type: ignore[arg-type]
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    try:
        yield f"http://{LOOPBACK}:{runner.addresses[0][1]}/turn"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def document_relay(
    brain: type[PlainRelay], server_of: type[DocumentRelay] = DocumentRelay
) -> AsyncIterator[Subject[Plan]]:
    wire, recorder = find_wire("http-document"), RealTimeRecorder()
    async with SocketMotionServer(seed=SEED, sink=recorder) as server:
        numbers = count(1)
        made = brain(canary_key(SEED), lambda: f"request-{next(numbers)}")
        relay = server_of(made, wire, server.console_endpoint, server.ingress_endpoint)
        async with serving(relay.answer) as url:
            yield RelaySubject(RelayAddress(url), wire, recorder, SEED, Patience(), server)


@pytest.fixture(scope="module")
def loop() -> Iterator[BackgroundLoop]:
    loop = BackgroundLoop()
    yield loop
    loop.stop()


@pytest.fixture
def stack(loop: BackgroundLoop) -> Iterator[AsyncExitStack]:
    stack = AsyncExitStack()
    yield stack
    loop.run(stack.aclose(), 10.0)


@pytest.mark.long
def test_an_honest_backend_passes_all_that_a_document_can_break(
    loop: BackgroundLoop, stack: AsyncExitStack, tmp_path: Path
) -> None:
    subject = loop.run(stack.enter_async_context(document_relay(PlainRelay)), 10.0)
    trial = Trial(subject, loop, SEED, tmp_path, EXAMPLES)
    lacks = find_wire("http-document").lacks | {DATA_PACKETS}
    assert STREAMING in lacks
    for rule in rules_for("relay"):
        if rule.id in IN_REAL_TIME:
            continue
        outcome = trial.judge(rule.id, *exercise_of(rule.id, patient=False))
        expected = Verdict.NOT_APPLICABLE if rule.explain_not_applicable(lacks) else Verdict.PASSED
        assert outcome.verdict is expected, outcome


@pytest.mark.parametrize(
    ("brain", "rule_id"),
    [
        (LosesLastPayload, "R-MOTION-COMPLETE"),
        (LosesAudio, "R-AUDIO-COMPLETE"),
        (TellsInAHeader, "R-SECRETS"),
    ],
)
def test_a_wrong_backend_is_named(
    brain: type[PlainRelay], rule_id: str, loop: BackgroundLoop, stack: AsyncExitStack, tmp_path: Path
) -> None:
    subject = loop.run(stack.enter_async_context(document_relay(brain)), 10.0)
    trial = Trial(subject, loop, SEED, tmp_path, EXAMPLES, shrink_seconds=0.0)
    assert trial.judge(rule_id, *exercise_of(rule_id)).verdict is Verdict.FAILED
    assert trial.broken_so_far().keys() == {rule_id}


def test_a_backend_that_wants_a_session_key_of_its_clients_is_named(
    loop: BackgroundLoop, stack: AsyncExitStack, tmp_path: Path
) -> None:
    demanding = document_relay(PlainRelay, DemandsCredentials)
    subject = loop.run(stack.enter_async_context(demanding), 10.0)
    trial = Trial(subject, loop, SEED, tmp_path, EXAMPLES, shrink_seconds=0.0)
    outcome = trial.judge("R-TOKENLESS", *exercise_of("R-TOKENLESS"))
    assert outcome.verdict is Verdict.FAILED


def test_doctor_finds_out_how_the_sdk_s_http_example_is_asked(
    loop: BackgroundLoop, stack: AsyncExitStack
) -> None:
    port, wire, numbers = free_port(), find_wire("http-document"), count(1)
    brain = PlainRelay(canary_key(SEED), lambda: f"request-{next(numbers)}", policy=PLAYS_CLIPS)
    ours = f"127.0.0.1:{port}"
    relay = AsksForARate(brain, wire, f"http://{ours}{CONSOLE_ROOT}", f"ws://{ours}{INGRESS_ROOT}")
    url = loop.run(stack.enter_async_context(serving(relay.answer)), 10.0)
    patience = Patience(settle=0.5)
    settings = Settings(target=url, wire=wire.name, motion_port=port, seed=SEED, patience=patience)
    diagnosis = diagnose(settings)
    assert (diagnosis.turn_option, diagnosis.has_whole_turn) == ("clip:16000", True)
    findings = list(relay_findings(diagnosis, settings))
    assert all(finding.is_ok for finding in findings)
    assert "a turn is started by --turn clip:16000" in [finding.observation for finding in findings]


async def test_an_answer_that_is_none_and_one_that_breaks_off() -> None:
    async def refuses(request: web.Request) -> web.Response:
        return web.Response(status=500, text="Internal Server Error")

    async def breaks_off(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    recorder, wire = RealTimeRecorder(), find_wire("http-document")
    recorder.wire = wire
    recorder.start(TraceHeader("relay", wire.name, 1, "", ""))
    for handler in (refuses, breaks_off):
        async with (
            serving(handler) as url,
            HttpRelayClient(RelayAddress(url), wire, recorder, "ann") as client,
        ):
            await client.send('{"audio_base64": ""}')
            assert client._posting is not None
            await client._posting
    whats = [event.content for event in recorder.finish().on_lane(Lane.DOWNSTREAM)]
    [answer] = [what for what in whats if isinstance(what, Received)]
    assert isinstance(answer.value, NotUnderstood)
    assert Closed(by_kit=False, code=1006) in whats


@pytest.mark.parametrize(
    ("target", "wire"), [("http://a/b", "json-envelope"), ("http://a/b", ""), ("ws://a/b", "http-document")]
)
def test_documents_come_over_http_and_nothing_else_does(target: str, wire: str) -> None:
    with pytest.raises(UsageError, match="--target"):
        Settings(target=target, wire=wire).check()


def test_a_document_s_target_is_a_url() -> None:
    Settings(target="http://127.0.0.1:8000/turn", wire="http-document").check()
