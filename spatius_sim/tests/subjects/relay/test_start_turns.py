"""Turns whose speech the relay chooses: what went up is what was said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count

import pytest
from aiohttp import web

from spatius_sim.files.wire_file import find_wire
from spatius_sim.miniatures.relay.serve_relay import MiniatureRelay
from spatius_sim.model.relay.commands import RelayCommand
from spatius_sim.model.relay.relay import PlainRelay
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.net.server.socket_motion_server import SocketMotionServer
from spatius_sim.plans.plan import Plan, TurnPlan, speech
from spatius_sim.protocol.errors import UnreachableError, UsageError
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.subjects.embed_reference_relay import embed_reference_relay, relay_url
from spatius_sim.subjects.relay.relay_subject import RelaySubject
from spatius_sim.subjects.relay.start_turns import (
    StartByHook,
    StartByHttp,
    StartByMessage,
    TurnStart,
    TurnToStart,
    read_turn_start,
)
from spatius_sim.subjects.subject_base import Patience, canary_key
from spatius_sim.tests.running_miniature import PATIENCE, SEED
from spatius_sim.trace.events import Trace, TurnStarted
from spatius_sim.wires.events import ClientAction, PlayClip, Say, Speak

TWO_TURNS = Plan(((TurnPlan(6400, 3200), TurnPlan(6400, 3200)),))
PCM = speech("what the relay says", 12_000)
NEEDS_SPEECH = (
    "R-MOTION-COMPLETE",
    "R-AUDIO-COMPLETE",
    "R-AUDIO-FIRST",
    "R-TURNS",
    "R-CONVERSATION",
    "U-AUDIO-END",
)


class SaysItsOwn(PlainRelay):
    """Asked to say anything, it says the same."""

    def on_client_action(self, client: str, action: ClientAction) -> list[RelayCommand]:
        asked = isinstance(action, Say | PlayClip)
        return super().on_client_action(client, Speak(PCM, last=True) if asked else action)


@asynccontextmanager
async def says_its_own(
    brain: type[PlainRelay] = SaysItsOwn,
) -> AsyncIterator[tuple[SocketMotionServer, MiniatureRelay, str, RealTimeRecorder]]:
    recorder = RealTimeRecorder()
    async with SocketMotionServer(seed=SEED, sink=recorder) as server:
        numbers = count(1)
        relay = MiniatureRelay(
            SaysItsOwn(canary_key(SEED), lambda: f"request-{next(numbers)}"),
            find_wire("json-envelope"),
            server.console_endpoint,
            server.ingress_endpoint,
        )
        async with await relay.listen() as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            yield server, relay, f"ws://{LOOPBACK}:{port}", recorder


async def two_turns(
    server: SocketMotionServer, url: str, recorder: RealTimeRecorder, starts: TurnStart
) -> Trace:
    subject = RelaySubject(
        RelayAddress(url), find_wire("json-envelope"), recorder, SEED, PATIENCE, server, starts=starts
    )
    await subject.attach()
    return await subject.run(TWO_TURNS)


def judged(trace: Trace) -> None:
    verdicts = {name: one.verdict for name, one in judge(trace).items()}
    assert Verdict.FAILED not in verdicts.values()
    assert {name: verdicts[name] for name in NEEDS_SPEECH} == dict.fromkeys(NEEDS_SPEECH, Verdict.PASSED)
    assert verdicts["R-ISOLATION"] is Verdict.UNEXERCISED


def spoken(trace: Trace) -> list[bytes]:
    return [event.content.pcm for event in trace.events if isinstance(event.content, TurnStarted)]


async def test_words_are_said_and_what_went_up_is_the_truth() -> None:
    async with says_its_own() as (server, _, url, recorder):
        trace = await two_turns(server, url, recorder, StartByMessage(Say("hello")))
    assert spoken(trace) == [PCM, PCM]
    judged(trace)


async def test_a_clip_is_played_by_the_reference_relay() -> None:
    recorder = RealTimeRecorder()
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(SocketMotionServer(seed=SEED, sink=recorder))
        relay = await embed_reference_relay(server, canary_key(SEED))
        stack.push_async_callback(relay.wait_closed)
        stack.callback(relay.close)
        trace = await two_turns(server, relay_url(relay), recorder, StartByMessage(PlayClip("hello")))
    first, second = spoken(trace)
    assert first == second
    assert len(first) > 100_000
    judged(trace)


async def test_a_request_starts_a_turn_of_the_session_that_it_names() -> None:
    async with says_its_own() as (server, relay, url, recorder), AsyncExitStack() as stack:

        async def speak(request: web.Request) -> web.Response:
            client = request.match_info["session"]
            relay._carry_out(relay._brain.on_client_action(client, Say("hello")))
            return web.Response()

        app = web.Application()
        app.router.add_post("/speak/{session}", speak)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        port = runner.addresses[0][1]
        start = f"http://{LOOPBACK}:{port}/speak/{{session}}"
        judged(await two_turns(server, url, recorder, StartByHttp(start)))
        with pytest.raises(UnreachableError, match="HTTP 404"):
            await two_turns(server, url, recorder, StartByHttp(start.replace("speak", "sing")))
    with pytest.raises(UnreachableError, match="the request that starts a turn failed"):
        await StartByHttp(f"http://{LOOPBACK}:1/").start(None, TurnToStart("c", 0, "", b"", 0))  # type: ignore[arg-type]


async def test_a_hook_is_told_the_turn_and_may_fail() -> None:
    turns: list[TurnToStart] = []
    async with says_its_own() as (server, relay, url, recorder):

        def hook(turn: TurnToStart) -> None:
            turns.append(turn)
            loop.call_soon_threadsafe(
                lambda: relay._carry_out(
                    relay._brain.on_client_action(turn.session_id, Speak(turn.pcm, True))
                )
            )

        loop = asyncio.get_running_loop()
        trace = await two_turns(server, url, recorder, StartByHook(hook))
    judged(trace)
    assert spoken(trace) == [turn.pcm for turn in turns]
    assert [(turn.client, turn.number, turn.sample_rate) for turn in turns] == [
        ("client-1", 0, 16000),
        ("client-1", 1, 16000),
    ]

    def fails(turn: TurnToStart) -> None:
        raise RuntimeError("no line")

    with pytest.raises(UsageError, match=r"pytest_spatius_start_turn raised RuntimeError\('no line'\)"):
        await StartByHook(fails).start(None, turns[0])  # type: ignore[arg-type]


async def test_several_clients_whose_speech_nobody_knows_are_not_taken_for_each_other() -> None:
    plan = Plan(((TurnPlan(6400, 3200),), (TurnPlan(6400, 3200),)))
    async with says_its_own() as (server, _, url, recorder):
        wire = find_wire("json-envelope")
        starts = StartByMessage(Say("hello"))
        subject = RelaySubject(RelayAddress(url), wire, recorder, SEED, PATIENCE, server, starts=starts)
        trace = await subject.run(plan)
    assert Verdict.FAILED not in {one.verdict for one in judge(trace).values()}


@pytest.mark.parametrize(
    "wanted", ["clip", "clip:", "text:", "http:nonsense", "hook:x", "client-audio:x", "", "sing"]
)
def test_what_no_turn_can_be_started_by(wanted: str) -> None:
    with pytest.raises(UsageError, match="client-audio, clip:NAME, text:WORDS"):
        read_turn_start(wanted, None)


def test_ways_to_start_a_turn() -> None:
    assert read_turn_start("client-audio", None) is None
    assert read_turn_start("clip:hello", None) == StartByMessage(PlayClip("hello"))
    assert read_turn_start("text:say: hi", None) == StartByMessage(Say("say: hi"))
    assert read_turn_start("http:https://a/b", None) == StartByHttp("https://a/b")
    assert read_turn_start("hook", print) == StartByHook(print)
    with pytest.raises(UsageError, match=r"no conftest\.py defines pytest_spatius_start_turn"):
        read_turn_start("hook", None)


def test_a_wire_without_clips_is_not_asked_for_one() -> None:
    with pytest.raises(UsageError, match="the wire binary-header has no message for it"):
        RelaySubject(
            RelayAddress("ws://127.0.0.1:1"),
            find_wire("binary-header"),
            RealTimeRecorder(),
            SEED,
            Patience(),
            None,
            starts=StartByMessage(PlayClip("hello")),
        )
