"""A dialogue with the reference client, written by hand: however it is attached, this is what it must say."""

import json
from base64 import b64encode
from typing import Any

from spatius_sim.net.client import testee_connection as attached
from spatius_sim.tests.client_js.running import SECONDS
from spatius_sim.tests.protocol.handmade import chunk, number, packed

RATE = 16000


def payload(*names: int) -> str:
    """One envelope whose keyframes are told by these numbers."""
    keyframes = b"".join(chunk(1, packed(1, (name, 0, 0))) for name in names)
    return b64encode(number(1, 5) + chunk(6, chunk(4, keyframes))).decode()


def audio(milliseconds: int) -> str:
    return b64encode(bytes(2 * RATE * milliseconds // 1000)).decode()


class Asker:
    """Numbers the requests, and checks that each is answered."""

    def __init__(self, testee: attached.Testee) -> None:
        self._testee = testee
        self._id = 0

    async def __call__(self, request: str, **arguments: Any) -> dict[str, Any]:
        self._id += 1
        line = json.dumps({"id": self._id, "do": request} | arguments)
        answer: dict[str, Any] = json.loads(await self._testee.ask(line, SECONDS))
        assert answer.pop("id") == self._id
        return answer

    async def result(self, request: str, **arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = (await self(request, **arguments))["result"]
        return result


async def converse(testee: attached.Testee) -> None:
    """On a virtual clock: one second, played to its end, and what must not be taken for motion of it."""
    ask = Asker(testee)
    hello = await ask.result("hello", protocol=1)
    assert (hello["protocol"], hello["clock"]) == (1, "virtual")
    assert await ask("fly") == {"unimplemented": True}
    await ask.result("reset", sampleRate=RATE, mode="audioIndependent")
    said = await ask.result("yieldAudioData", audio=audio(1000), end=True)
    await ask.result("yieldFramesData", frames=[payload(9)], conversationId=said["conversationId"] + "0")
    await ask.result("yieldFramesData", frames=[payload(*range(100, 125))], **said)
    await ask.result("advance", ms=520)
    half = await ask.result("observe")
    assert half == said | {
        "state": "playing",
        "samplesPlayed": 8320,
        "keyframesRendered": list(range(100, 114)),
        "stalled": False,
    }
    await ask.result("yieldFramesData", frames=None, **said)
    await ask.result("advance", ms=480)
    over = await ask.result("observe")
    assert (over["state"], over["samplesPlayed"], over["keyframesRendered"]) == ("idle", RATE, [])
    again = await ask.result("yieldAudioData", audio=audio(1000), end=True)
    assert again["conversationId"] not in ("", None, said["conversationId"])


async def converse_in_real_time(testee: attached.Testee) -> None:
    """A short conversation: to advance is to wait, and a little later its audio is over."""
    ask = Asker(testee)
    assert (await ask.result("hello", protocol=1))["clock"] == "real"
    await ask.result("reset", sampleRate=RATE, mode="audioIndependent")
    said = await ask.result("yieldAudioData", audio=audio(200), end=True)
    await ask.result("yieldFramesData", frames=[payload(1, 2, 3, 4, 5)], **said)
    await ask.result("advance", ms=210)
    over = await ask.result("observe")
    assert (over["state"], over["samplesPlayed"]) == ("idle", 3200)
    # A machine that is late between the two calls may have skipped the first ones.
    assert over["keyframesRendered"] in [list(range(first, 6)) for first in range(1, 6)] + [[]]
