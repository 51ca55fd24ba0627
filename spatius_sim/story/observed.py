"""Finds the turns of a trace for which the kit planned none: a proxy recorded requests and their answers, or
somebody else's client recorded what it said and heard. Neither recorded what was intended."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.story.utterances import WAIT_NS, utterances
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Received,
    Sent,
    Trace,
    TurnStarted,
    WaitEnded,
)


@dataclass(slots=True)
class _OpenRequest:
    """A request whose motion is still waited for; `last_sign_ns` is when anything of it last came."""

    connection: str
    number: int
    ended: bool = False
    last_sign_ns: int = 0


def with_turns(trace: Trace) -> Trace:
    """Add turns to a trace that has none; a trace with planned turns stays as it is. Each request becomes a
    turn of its connection: it begins at its first audio, and the wait for it ends when its last motion came,
    or WAIT_NS after its last sign while its connection is open. If only a client was seen, each of its
    utterances becomes a turn (see `utterances`)."""
    if any(isinstance(event.what, TurnStarted) for event in trace.events):
        return trace
    found = utterances(trace) if trace.header.halves == "downstream" else _with_request_turns(trace)
    events = tuple(replace(event, seq=seq) for seq, event in enumerate(found))
    return replace(trace, events=events)


def with_speech(trace: Trace) -> Trace:
    """Fill in the speech of each turn, for a trace whose relay chose what is spoken: the audio that went up
    from the start of a turn to the start of the next. With several clients the trace stays as it is, because
    nobody can tell whose audio went up."""
    started = [event for event in trace.events if isinstance(event.what, TurnStarted)]
    if len({event.connection for event in started}) != 1:
        return trace
    speech, rates = _speech_of_requests(trace), _configured_rates(trace)
    first_seqs = _first_audio_seqs(trace)
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


def _configured_rates(trace: Trace) -> dict[str, int]:
    """Map each upstream connection to the sample rate that it configured, in Hz."""
    configured = ((event.connection, event.what) for event in trace.on_lane(Lane.UPSTREAM))
    return {
        connection: what.value.sample_rate
        for connection, what in configured
        if isinstance(what, Received) and isinstance(what.value, ConfigureSession)
    }


def _first_audio_seqs(trace: Trace) -> dict[tuple[str, str], int]:
    """Map each request (connection, req_id) to the event that brought its first audio."""
    first: dict[tuple[str, str], int] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        if isinstance(event.what, Received) and isinstance(event.what.value, AudioInput):
            first.setdefault((event.connection, event.what.value.req_id), event.seq)
    return first


def _with_request_turns(trace: Trace) -> Iterator[Event]:
    """Yield the events of the trace with a turn around each request. Sequence numbers of added events are
    0."""
    speech = _speech_of_requests(trace)
    rates: dict[str, int] = {}
    numbers: dict[str, int] = {}
    waiting: dict[tuple[str, str], _OpenRequest] = {}
    for event in trace.events:
        for key, late in list(waiting.items()):
            if late.ended and event.at_ns > late.last_sign_ns + WAIT_NS:
                yield _note_by_kit(
                    late.last_sign_ns + WAIT_NS, late, WaitEnded(Awaited.TURN, False, late.number)
                )
                del waiting[key]
        message = event.what.value if isinstance(event.what, Sent | Received) else None
        over: _OpenRequest | None = None
        match message:
            case ConfigureSession(sample_rate=rate):
                rates[event.connection] = rate
            case AudioInput(req_id, _, end):
                key = (event.connection, req_id)
                if key in speech:
                    number = numbers[event.connection] = numbers.get(event.connection, -1) + 1
                    waiting[key] = _OpenRequest(event.connection, number)
                    rate = rates.get(event.connection, 0)
                    started = TurnStarted(number, bytes(speech.pop(key)), rate)
                    yield _note_by_kit(event.at_ns, waiting[key], started)
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
            yield _note_by_kit(event.at_ns, over, WaitEnded(Awaited.TURN, True, over.number))


def _speech_of_requests(trace: Trace) -> dict[tuple[str, str], bytearray]:
    """Map each request (connection, req_id) to all the audio that went up under it."""
    speech: dict[tuple[str, str], bytearray] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        message = event.what.value if isinstance(event.what, Sent | Received) else None
        if isinstance(message, AudioInput):
            speech.setdefault((event.connection, message.req_id), bytearray()).extend(message.audio)
    return speech


def _note_by_kit(at_ns: int, request: _OpenRequest, what: TurnStarted | WaitEnded) -> Event:
    return Event(0, at_ns, Lane.KIT, request.connection, what)
