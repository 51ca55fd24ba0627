"""The messages between the kit and a testee as frozen values, and as lines of JSON (conformance/client/).

A testee is the program that connects a client under test to the kit."""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import Any

from spatius_sim.protocol.errors import RemoteProtocolError

PROTOCOL = 1
"""The version of the testee protocol."""

HIGHEST_RATE = 192_000
"""Hz. No audio is sampled faster."""


@dataclass(frozen=True, slots=True)
class TesteeRequest:
    """One request to a testee. `do` says which of the other members matter: `audio` (mono s16le) and `end`
    for yieldAudioData, `frames` (None: no list) and `conversation_id` for yieldFramesData, `ms` for advance,
    `sample_rate` in Hz and `mode` for reset."""

    id: int
    do: str
    audio: bytes = b""
    end: bool = False
    frames: tuple[bytes, ...] | None = None
    conversation_id: str = ""
    ms: int = 0
    sample_rate: int = 0
    mode: str = ""


@dataclass(frozen=True, slots=True)
class TesteeAnswer:
    """One answer of a testee: a `result`, or `unimplemented`, or the `error` that its client threw."""

    id: int
    result: dict[str, Any] = field(default_factory=dict)
    unimplemented: bool = False
    error: str | None = None


def write_request(request: TesteeRequest) -> str:
    """Return a request to a testee (the program around a client under test) as one line of JSON, with the
    members that its command `do` needs."""
    line: dict[str, Any] = {"id": request.id, "do": request.do}
    match request.do:
        case "hello":
            line["protocol"] = PROTOCOL
        case "reset":
            line |= {"sampleRate": request.sample_rate, "mode": request.mode}
        case "yieldAudioData":
            line |= {"audio": b64encode(request.audio).decode(), "end": request.end}
        case "yieldFramesData":
            frames = request.frames
            encoded = None if frames is None else [b64encode(payload).decode() for payload in frames]
            line |= {"frames": encoded, "conversationId": request.conversation_id}
        case "advance":
            line["ms"] = request.ms
    return json.dumps(line, separators=(",", ":"))


def read_request(line: str | bytes) -> TesteeRequest:
    """Decode a line of JSON, and return the request to a testee (the program around a client under test) in
    it. Members that are missing get default values. Raises RemoteProtocolError if the line holds no
    request."""
    try:
        members = json.loads(line)
        frames = members.get("frames")
        return TesteeRequest(
            id=int(members["id"]),
            do=str(members["do"]),
            audio=b64decode(members.get("audio", ""), validate=True),
            end=bool(members.get("end", False)),
            frames=None if frames is None else tuple(b64decode(frame, validate=True) for frame in frames),
            conversation_id=str(members.get("conversationId", "")),
            ms=int(members.get("ms", 0)),
            sample_rate=_read_sample_rate(members),
            mode=str(members.get("mode", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise RemoteProtocolError(f"this is not a request: {error}") from error


def _read_sample_rate(members: dict[str, Any]) -> int:
    """Return the sample rate in Hz from the JSON members of a request to a testee; 0 if there is none. Raises
    ValueError if the request is `reset` and its rate is below 1 or above HIGHEST_RATE."""
    rate = int(members.get("sampleRate", 0))
    if members["do"] == "reset" and not 1 <= rate <= HIGHEST_RATE:
        raise ValueError(f"a sample rate of {rate} Hz")
    return rate


def write_answer(answer: TesteeAnswer) -> str:
    """Return an answer of a testee (the program around a client under test) as one line of JSON. It holds
    `unimplemented`, or else the `error`, or else the `result`."""
    line: dict[str, Any] = {"id": answer.id}
    if answer.unimplemented:
        line["unimplemented"] = True
    elif answer.error is not None:
        line["error"] = answer.error
    else:
        line["result"] = answer.result
    return json.dumps(line, separators=(",", ":"))


def read_answer(line: str | bytes) -> TesteeAnswer:
    """Decode a line of JSON, and return the answer of a testee (the program around a client under test) in
    it. Raises RemoteProtocolError if the line holds no answer."""
    try:
        members = json.loads(line)
        request_id = members["id"]
        if members.get("unimplemented") is True:
            return TesteeAnswer(request_id, unimplemented=True)
        if "error" in members:
            return TesteeAnswer(request_id, error=str(members["error"]))
        result = members["result"]
        if not isinstance(result, dict) or not isinstance(request_id, int):
            raise ValueError("id is an integer and result an object")
        return TesteeAnswer(request_id, result)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RemoteProtocolError(f"this is not an answer: {error!r}") from error
