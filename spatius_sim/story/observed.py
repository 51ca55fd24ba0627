"""Turns of a trace whose kit planned none: a proxy saw requests come and be answered, or a client of somebody
else's wrote down what it said and heard. Neither tells an intent."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.story.utterances import WAIT_NS, utterances
from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, Trace, TurnStarted, WaitEnded


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


def with_speech(trace: Trace) -> Trace:
    """A trace whose relay chose what is spoken: what went up from the start of a turn to that of the next is
    what the turn says. Where several clients spoke nobody can tell whose it is, and nothing is said."""
    started = [event for event in trace.events if isinstance(event.what, TurnStarted)]
    if len({event.connection for event in started}) != 1:
        return trace
    speech, rates = _speech(trace), _rates(trace)
    first_seqs = _first_audio(trace)
    filled: dict[int, TurnStarted] = {}
    for event, until in zip(started, [*started[1:], None], strict=True):
        own = [
            key for key, seq in first_seqs.items() if event.seq < seq and (until is None or seq < until.seq)
        ]
        if isinstance(event.what, TurnStarted) and own:
            pcm = b"".join(bytes(speech[key]) for key in own)
            filled[event.seq] = replace(event.what, pcm=pcm, sample_rate=rates.get(own[0][0], 0))
    events = tuple(
        replace(event, what=filled[event.seq]) if event.seq in filled else event for event in trace.events
    )
    return replace(trace, events=events)


def _rates(trace: Trace) -> dict[str, int]:
    configured = ((event.connection, event.what) for event in trace.on(Lane.UPSTREAM))
    return {
        connection: what.value.sample_rate
        for connection, what in configured
        if isinstance(what, Received) and isinstance(what.value, ConfigureSession)
    }


def _first_audio(trace: Trace) -> dict[tuple[str, str], int]:
    first: dict[tuple[str, str], int] = {}
    for event in trace.on(Lane.UPSTREAM):
        if isinstance(event.what, Received) and isinstance(event.what.value, AudioInput):
            first.setdefault((event.connection, event.what.value.req_id), event.seq)
    return first


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
