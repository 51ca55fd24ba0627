"""The testee protocol's lines: what was written is read back, and nothing else passes for a message."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.trace.events import Lane, Undecodable
from spatius_sim.trace.read_frames import read_frame
from spatius_sim.wires.testee_messages import (
    TesteeAnswer,
    TesteeRequest,
    read_answer,
    read_request,
    write_answer,
    write_request,
)

REQUESTS = [
    TesteeRequest(1, "hello"),
    TesteeRequest(2, "reset", sample_rate=16000, mode="strictSync"),
    TesteeRequest(3, "yieldAudioData", audio=b"ab", end=True),
    TesteeRequest(4, "yieldFramesData", frames=(b"", b"\xff"), conversation_id='c"é'),
    TesteeRequest(5, "yieldFramesData", frames=None, conversation_id="c"),
    TesteeRequest(6, "yieldFramesData", frames=(), conversation_id=""),
    TesteeRequest(7, "advance", ms=40),
    *(TesteeRequest(8, call) for call in ("interrupt", "pause", "resume", "observe")),
]
ANSWERS = [
    TesteeAnswer(1, {"conversationId": "c"}),
    TesteeAnswer(2, {}),
    TesteeAnswer(3, unimplemented=True),
    TesteeAnswer(4, error="it threw"),
]


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_read_back(request_: TesteeRequest) -> None:
    line = write_request(request_)
    assert "\n" not in line
    assert read_request(line) == request_
    assert read_frame(Lane.CLIENT, line, sent_by_kit=True, wire=None) == request_


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_is_read_back(answer: TesteeAnswer) -> None:
    line = write_answer(answer)
    assert read_answer(line) == answer
    assert read_frame(Lane.CLIENT, line.encode(), sent_by_kit=False, wire=None) == answer


RUBBISH = [
    "",
    "hello",
    "1",
    "[]",
    "{}",
    '{"id":1}',
    '{"id":"1","result":{}}',
    '{"id":1,"result":[]}',
    b"\xff",
    "[" * 100_000,
]


@pytest.mark.parametrize("line", RUBBISH, ids=range(len(RUBBISH)))
def test_what_is_no_answer_is_said_to_be_none(line: str | bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not an answer"):
        read_answer(line)
    assert isinstance(read_frame(Lane.CLIENT, line, sent_by_kit=False, wire=None), Undecodable)


@pytest.mark.parametrize(
    "line", ["", "{}", '{"id":1,"do":"x","audio":"?"}', '{"id":1,"do":"x","frames":[1]}']
)
def test_what_is_no_request_is_said_to_be_none(line: str) -> None:
    with pytest.raises(RemoteProtocolError, match="not a request"):
        read_request(line)
    assert isinstance(read_frame(Lane.CLIENT, line, sent_by_kit=True, wire=None), Undecodable)


@given(st.binary())
def test_reading_never_fails_otherwise(line: bytes) -> None:
    for read in (read_answer, read_request):
        with suppress(RemoteProtocolError):
            read(line)


@pytest.mark.parametrize("rate", [0, -1, 2**40])
def test_a_client_is_reset_to_no_impossible_rate(rate: int) -> None:
    with pytest.raises(RemoteProtocolError, match="sample rate"):
        read_request(json.dumps({"id": 1, "do": "reset", "sampleRate": rate}))
