"""Turns of a trace whose kit planned none: a proxy saw requests come and be answered, or a client of somebody
else's wrote down what it said and heard. Neither tells an intent."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spatius_sim.model.trace import (
    Closed,
    Event,
    Lane,
    Received,
    Sent,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.rules.utterances import WAIT_NS, utterances


@dataclass(slots=True)
class _Request:
    connection: str
    number: int
    ended: bool = False
    last_sign_ns: int = 0


def with_turns(trace: Trace) -> Trace:
    """Each request as a turn of its connection, begun at its first audio and waited for until its last motion
    came, or for WAIT_NS while its connection was open. Where only a client was seen, each of its utterances,
    begun as `utterances` has it. A trace with planned turns stays as it is."""
    if any(isinstance(event.what, TurnStarted) for event in trace.events):
        return trace
    told = utterances(trace) if trace.header.halves == "downstream" else _told(trace)
    events = tuple(replace(event, seq=seq) for seq, event in enumerate(told))
    return replace(trace, events=events)


def _told(trace: Trace) -> Iterator[Event]:
    speech = _speech(trace)
    rates: dict[str, int] = {}
    numbers: dict[str, int] = {}
    waiting: dict[tuple[str, str], _Request] = {}
    for event in trace.events:
        for key, late in list(waiting.items()):
            if late.ended and event.at_ns > late.last_sign_ns + WAIT_NS:
                yield _kit(late.last_sign_ns + WAIT_NS, late, WaitEnded(late.number, False))
                del waiting[key]
        message = event.what.value if isinstance(event.what, Sent | Received) else None
        over: _Request | None = None
        match message:
            case ConfigureSession(sample_rate=rate):
                rates[event.connection] = rate
            case AudioInput(req_id, _, end):
                key = (event.connection, req_id)
                if key in speech:
                    number = numbers[event.connection] = numbers.get(event.connection, -1) + 1
                    waiting[key] = _Request(event.connection, number)
                    rate = rates.get(event.connection, 0)
                    started = TurnStarted(number, bytes(speech.pop(key)), rate)
                    yield _kit(event.at_ns, waiting[key], started)
                if key in waiting:
                    waiting[key].ended |= end
                    waiting[key].last_sign_ns = event.at_ns
            case MotionResponse(req_id=req_id, end=end) if (event.connection, req_id) in waiting:
                key = (event.connection, req_id)
                waiting[key].last_sign_ns = event.at_ns
                over = waiting.pop(key) if end and waiting[key].ended else None
        if isinstance(event.what, Closed):
            waiting = {key: one for key, one in waiting.items() if key[0] != event.connection}
        yield event
        if over is not None:
            yield _kit(event.at_ns, over, WaitEnded(over.number, True))


def _speech(trace: Trace) -> dict[tuple[str, str], bytearray]:
    speech: dict[tuple[str, str], bytearray] = {}
    for event in trace.on(Lane.UPSTREAM):
        message = event.what.value if isinstance(event.what, Sent | Received) else None
        if isinstance(message, AudioInput):
            speech.setdefault((event.connection, message.req_id), bytearray()).extend(message.audio)
    return speech


def _kit(at_ns: int, request: _Request, what: TurnStarted | WaitEnded) -> Event:
    return Event(0, at_ns, Lane.KIT, request.connection, what)
