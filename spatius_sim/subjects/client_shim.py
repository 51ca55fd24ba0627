"""The Python shim: connects a client under test, any Python object that has these methods, to the client
suite (conformance/client/). The program that runs the shim is the testee.

    from spatius_sim.subjects.client_shim import serve_stdio
    serve_stdio(lambda sample_rate, mode: MyClient(sample_rate, mode))

The object may have these members. A method that it lacks is answered "unimplemented"; a value that it lacks
is left out of `observe`:

    yield_audio_data(audio, end) -> str         state: "idle", "playing" or "paused"
    yield_frames_data(frames, id)               samples_played: int
    interrupt(), pause(), resume()              stalled: bool
    advance(ms): sets a virtual clock forward   take_rendered() -> [translation[0], ...]
    get_current_conversation_id() -> str | None

`samples_played` counts the current conversation's audio that has been played, and after its end still that
of the last one, until the next begins (after an interrupt: any number).

An object without `advance` runs in real time. Its class may list its modes in `modes`, its sample rates in
`sample_rates`, and in `lacks` what it lacks otherwise, such as "ids" or "stableIds" (testee-protocol.md)."""

import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from typing import Any

from spatius_sim.wires.testee_messages import (
    PROTOCOL,
    TesteeAnswer,
    TesteeRequest,
    read_request,
    write_answer,
)

Factory = Callable[[int, str], Any]
"""A function that makes a fresh client, from a sample rate in Hz and a mode."""

_ATTRIBUTE_BY_KEY = {"state": "state", "samplesPlayed": "samples_played", "stalled": "stalled"}
_METHOD_BY_KEY = {"conversationId": "get_current_conversation_id", "keyframesRendered": "take_rendered"}


class Shim:
    """Answers the requests of the testee protocol by calling a Python client."""

    def __init__(self, make_client: Factory, client_name: str = "a Python client") -> None:
        """Prepare to answer the test kit for a Python client. `make_client` makes each fresh client, from a
        sample rate in Hz and a mode; the first is made now. The kit learns the name `client_name`."""
        self._make_client = make_client
        self._client_name = client_name
        self._client: Any = make_client(16000, "audioIndependent")

    def answer(self, request_line: str | bytes) -> str:
        """Call the Python client as one request of the test kit asks, and return the answer, as one line of
        text.

        If the client raises an exception, the answer is an error. If the client lacks the method, the answer
        is `unimplemented`. Raises RemoteProtocolError if the line is no request."""
        request = read_request(request_line)
        try:
            result = self._call_client(request)
        except Exception as error:
            return write_answer(TesteeAnswer(request.id, error=f"{type(error).__name__}: {error}"))
        if result is None:
            return write_answer(TesteeAnswer(request.id, unimplemented=True))
        return write_answer(TesteeAnswer(request.id, result))

    def _call_client(self, request: TesteeRequest) -> dict[str, Any] | None:
        """Call the Python client as a request of the testee protocol asks, and return the result; None if the
        client lacks the method."""
        client = self._client
        match request.do:
            case "hello":
                clock = "virtual" if hasattr(client, "advance") else "real"
                modes = [str(mode) for mode in getattr(client, "modes", ())]
                declared = {"modes": modes, "lacks": list(getattr(client, "lacks", ()))}
                declared["sampleRates"] = list(getattr(client, "sample_rates", ()))
                return {"protocol": PROTOCOL, "name": self._client_name, "clock": clock, **declared}
            case "reset":
                self._client = self._make_client(request.sample_rate, request.mode)
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
                return self._observe_client(client)
        return None

    def _observe_client(self, client: Any) -> dict[str, Any]:
        """Return what the Python client shows of its state: attributes and results of methods, under the keys
        that they have in the shim's answer. What the client lacks is left out. Each rendered keyframe is
        returned only once, because the call takes it from the client."""
        values = {
            key: getattr(client, name) for key, name in _ATTRIBUTE_BY_KEY.items() if hasattr(client, name)
        }
        methods = {key: getattr(client, name, None) for key, name in _METHOD_BY_KEY.items()}
        return values | {key: method() for key, method in methods.items() if method}


def serve_stdio(make: Factory, name: str = "a Python client") -> None:
    """Connect a Python client to the test kit by stdin and stdout: answer each request, one in a line, until
    stdin ends. What the client itself prints goes to stderr. `make` makes each fresh client, from a sample
    rate in Hz and a mode. The kit learns the client's `name`."""
    answers = sys.stdout
    with redirect_stdout(sys.stderr):
        shim = Shim(make, name)
        for request_line in sys.stdin:
            answers.write(shim.answer(request_line) + "\n")
            answers.flush()


def serve_websocket(url: str, make: Factory, name: str = "a Python client") -> None:
    """Connect a Python client to the test kit, which listens at the WebSocket `url`, and answer each request
    until the kit closes the connection. `make` makes each fresh client, from a sample rate in Hz and a mode.
    The kit learns the client's `name`."""
    from websockets.sync.client import connect

    shim = Shim(make, name)
    with connect(url, max_size=None) as socket:
        for request_line in socket:
            socket.send(shim.answer(request_line))
