"""One session with a Motion Server, for tests that want to see every frame."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from spatius_sim.net.client.own_server_sdk import UpstreamClient
from spatius_sim.protocol.codec import encode
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfigureSession,
    ConfirmSession,
    Message,
    MotionResponse,
)
from spatius_sim.trace.events import Undecodable
from spatius_sim.trace.read_frames import read_upstream

SECONDS = 20.0


class HasEndpoints(Protocol):
    """A Motion Server, in this process or in another one."""

    @property
    def console_endpoint(self) -> str: ...

    @property
    def ingress_endpoint(self) -> str: ...


@dataclass
class Talk:
    client: UpstreamClient
    heard: asyncio.Queue[Message | Undecodable | None] = field(default_factory=asyncio.Queue)

    async def say(self, *messages: Message) -> None:
        for message in messages:
            await self.client.send(encode(message))

    async def hear(self) -> Message | Undecodable | None:
        """The next message, None at the end of the connection."""
        return await asyncio.wait_for(self.heard.get(), SECONDS)

    async def hear_motion(self) -> list[MotionResponse]:
        """All responses up to the one with end=true."""
        responses: list[MotionResponse] = []
        while not responses or not responses[-1].end:
            message = await self.hear()
            assert isinstance(message, MotionResponse), message
            responses.append(message)
        return responses

    async def listen(self) -> None:
        async for frame in self.client.frames():
            self.heard.put_nowait(read_upstream(frame))
        self.heard.put_nowait(None)


@asynccontextmanager
async def talk(
    server: HasEndpoints, configure: ConfigureSession | None = None, *, avatar_id: str = "sim-avatar"
) -> AsyncIterator[Talk]:
    """A session that is confirmed already, unless `configure` asks for what is refused."""
    client = UpstreamClient(
        server.console_endpoint,
        server.ingress_endpoint,
        api_key="any",
        app_id="sim-app",
        avatar_id=avatar_id,
        expire_at=int(time.time()) + 600,
    )
    async with client:
        talking = Talk(client)
        listening = asyncio.create_task(talking.listen())
        try:
            if configure is None:
                await talking.say(ConfigureSession(16000))
                assert isinstance(await talking.hear(), ConfirmSession)
            else:
                await talking.say(configure)
            yield talking
        finally:
            listening.cancel()


def utterance(req_id: str, pcm: bytes) -> list[Message]:
    """One request in two messages."""
    return [AudioInput(req_id, pcm), AudioInput(req_id, b"", True)]
