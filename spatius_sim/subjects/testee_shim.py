"""The Python shim: attaches any object with the methods to the C suite (conformance/client/).

    from spatius_sim.subjects.testee_shim import serve_stdio
    serve_stdio(lambda sample_rate, mode: MyClient(sample_rate, mode))

The object may have these; what it lacks is answered "unimplemented", or left out of `observe`:

    yield_audio_data(audio, end) -> str         state: "idle", "playing" or "paused"
    yield_frames_data(frames, id)               samples_played: int
    interrupt(), pause(), resume()              stalled: bool
    advance(ms): sets a virtual clock forward   take_rendered() -> [translation[0], ...]
    get_current_conversation_id() -> str | None

Without `advance` it runs in real time. Its class may name its `modes`.
"""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from spatius_sim.wires.testee import PROTOCOL, TesteeAnswer, TesteeRequest, read_request, write_answer

Factory = Callable[[int, str], Any]
"""Makes a fresh client, from a sample rate in Hz and a mode."""

_MEMBERS = {"state": "state", "samplesPlayed": "samples_played", "stalled": "stalled"}
_CALLED_MEMBERS = {"conversationId": "get_current_conversation_id", "keyframesRendered": "take_rendered"}


class Shim:
    """Answers requests with what a client does."""

    def __init__(self, make: Factory, name: str = "a Python client") -> None:
        self._make = make
        self._name = name
        self._client: Any = make(16000, "audioIndependent")

    def answer(self, line: str | bytes) -> str:
        """The answer to one line; raises RemoteProtocolError where it is no request."""
        request = read_request(line)
        try:
            result = self._do(request)
        except Exception as error:
            return write_answer(TesteeAnswer(request.id, error=f"{type(error).__name__}: {error}"))
        if result is None:
            return write_answer(TesteeAnswer(request.id, unimplemented=True))
        return write_answer(TesteeAnswer(request.id, result))

    def _do(self, request: TesteeRequest) -> dict[str, Any] | None:
        client = self._client
        match request.do:
            case "hello":
                clock = "virtual" if hasattr(client, "advance") else "real"
                modes = [str(mode) for mode in getattr(client, "modes", ())]
                return {"protocol": PROTOCOL, "name": self._name, "clock": clock, "modes": modes}
            case "reset":
                self._client = self._make(request.sample_rate, request.mode)
                return {}
            case "yieldAudioData" if hasattr(client, "yield_audio_data"):
                return {"conversationId": client.yield_audio_data(request.audio, request.end)}
            case "yieldFramesData" if hasattr(client, "yield_frames_data"):
                frames = None if request.frames is None else list(request.frames)
                client.yield_frames_data(frames, request.conversation_id)
                return {}
            case "interrupt" | "pause" | "resume" if hasattr(client, request.do):
                getattr(client, request.do)()
                return {}
            case "advance":
                if hasattr(client, "advance"):
                    client.advance(request.ms)
                else:
                    time.sleep(request.ms / 1000)
                return {}
            case "observe":
                return self._observe(client)
        return None

    def _observe(self, client: Any) -> dict[str, Any]:
        seen = {told: getattr(client, name) for told, name in _MEMBERS.items() if hasattr(client, name)}
        called = {told: getattr(client, name, None) for told, name in _CALLED_MEMBERS.items()}
        return seen | {told: method() for told, method in called.items() if method}


def serve_stdio(make: Factory, name: str = "a Python client") -> None:
    """Answer on stdout what is asked on stdin, until stdin ends. What the client prints goes to stderr."""
    answers = sys.stdout
    with redirect_stdout(sys.stderr):
        shim = Shim(make, name)
        for line in sys.stdin:
            answers.write(shim.answer(line) + "\n")
            answers.flush()


def serve_websocket(url: str, make: Factory, name: str = "a Python client") -> None:
    """The same over a WebSocket: connects to the address where the kit listens."""
    from websockets.sync.client import connect

    shim = Shim(make, name)
    with connect(url, max_size=None) as socket:
        for line in socket:
            socket.send(shim.answer(line))
