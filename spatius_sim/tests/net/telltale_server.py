"""A Motion Server that repeats what it was told: in refusals, in errors and in close reasons."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web

from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import ServerError

_LONGEST_REASON = 123


@asynccontextmanager
async def telltale(token: str, told: Sequence[str]) -> AsyncIterator[str]:
    """Its base URL. Every text of `told` stands in the body of a refusal (avatar `refused`), in a ServerError
    and in a text frame; the n-th of them is the close reason of the session with avatar `n`."""

    async def issue(request: web.Request) -> web.Response:
        return web.json_response({"sessionToken": token})

    async def upgrade(request: web.Request) -> web.StreamResponse:
        avatar = request.query.get("id", "")
        if avatar == "refused":
            return web.Response(status=403, text="\n".join(told))
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.BINARY:
                continue
            await socket.send_bytes(encode(ServerError("connection", "", 16, "\n".join(told))))
            await socket.send_str("\n".join(told))
            reason = told[int(avatar)].encode() if avatar.isdigit() else b""
            await socket.close(code=4001, message=reason[:_LONGEST_REASON])
        return socket

    app = web.Application()
    app.router.add_post("/v1/console/session-tokens", issue)
    app.router.add_get("/v2/driveningress/websocket", upgrade)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
