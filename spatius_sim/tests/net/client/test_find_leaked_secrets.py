"""What a relay answers over HTTP is searched for secrets."""

from aiohttp import web

from spatius_sim.engine.messages_not_understood import find_reasons_not_understood
from spatius_sim.net.client.find_leaked_secrets import search_answer
from spatius_sim.net.client.relay_address import RelayAddress
from spatius_sim.net.ports_and_hosts import LOOPBACK
from spatius_sim.net.real_clock import RealTimeRecorder
from spatius_sim.rules.findings import Verdict
from spatius_sim.rules.judge_trace import judge
from spatius_sim.trace.events import SecretSeen, TraceHeader

KEY = "0123456789abcdef0123456789abcdef"


async def test_the_vendor_s_demo_hands_its_api_key_out() -> None:
    async def config(request: web.Request) -> web.Response:
        return web.json_response({"apiKey": KEY}, headers={"X-Login": request.headers.get("Login", "")})

    app = web.Application()
    app.router.add_get("/api/config", config)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    address = RelayAddress(f"ws://{LOOPBACK}:{runner.addresses[0][1]}/ws/agent", (("Login", KEY),))
    recorder = RealTimeRecorder()
    recorder.secret_reference("key", KEY)
    recorder.start(TraceHeader("relay", "json-envelope", 1, "", ""))
    try:
        assert await search_answer(address, "/api/config", recorder, "client-1")
        assert await search_answer(address, "/no-such-path", recorder, "client-1")
    finally:
        await runner.cleanup()
    assert not await search_answer(address, "/api/config", recorder, "client-1")
    trace = recorder.finish()
    seen = [event.content for event in trace.events if isinstance(event.content, SecretSeen)]
    assert seen == [
        SecretSeen("key#1", "in the answer to GET /api/config, plain"),
        SecretSeen("key#1", "in a header of the answer to GET /api/config, plain"),
    ]
    assert judge(trace)["R-SECRETS"].verdict is Verdict.FAILED


async def test_a_path_that_wants_another_method_is_asked_by_it() -> None:
    async def issue_token(request: web.Request) -> web.Response:
        return web.json_response({"token": KEY, "asked": await request.json()})

    app = web.Application()
    app.router.add_post("/api/session-token", issue_token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    address = RelayAddress(f"ws://{LOOPBACK}:{runner.addresses[0][1]}/ws/agent")
    recorder = RealTimeRecorder()
    recorder.secret_reference("token", KEY)
    recorder.start(TraceHeader("relay", "json-envelope", 1, "", ""))
    try:
        assert await search_answer(address, "POST /api/session-token", recorder, "client-1")
    finally:
        await runner.cleanup()
    seen = [event.content for event in recorder.finish().events if isinstance(event.content, SecretSeen)]
    assert seen == [SecretSeen("token#1", "in the answer to POST /api/session-token, plain")]


async def test_a_path_that_wants_another_method_than_the_wire_names_is_told() -> None:
    async def issue_token(request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/api/session-token", issue_token)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, LOOPBACK, 0).start()
    address = RelayAddress(f"ws://{LOOPBACK}:{runner.addresses[0][1]}/ws/agent")
    recorder = RealTimeRecorder()
    recorder.start(TraceHeader("relay", "json-envelope", 1, "", ""))
    try:
        assert not await search_answer(address, "/api/session-token", recorder, "client-1")
    finally:
        await runner.cleanup()
    (reason,) = find_reasons_not_understood(recorder.finish())
    assert reason.startswith("GET /api/session-token was answered by 405")
