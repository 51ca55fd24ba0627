"""Adds turns to a trace without planned turns: the recording of a proxy, or of a client that is not the
kit's."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from spatius_sim.protocol.messages import AudioInput, ConfigureSession, MotionResponse
from spatius_sim.story.find_unplanned_turns import WAIT_NS, utterances
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
from spatius_sim.wires.events import InterruptTurn, Motion


@dataclass(slots=True)
class _OpenRequest:
    """A request with motion still to come. `last_sign_ns` is the time of its latest event."""

    connection: str
    number: int
    ended: bool = False
    last_sign_ns: int = 0


def with_turns(trace: Trace) -> Trace:
    """Return the trace with a turn for each request that was observed in it. A trace in which the kit itself
    began turns stays as it is.

    A turn begins at the first audio of its request. The wait for the turn ends with its last motion, or
    WAIT_NS after its latest event while its connection is open. If only a client was seen, `utterances` finds
    the turns."""
    if any(isinstance(event.content, TurnStarted) for event in trace.events):
        return trace
    events_with_turns = (
        utterances(trace) if trace.header.halves == "downstream" else _with_request_turns(trace)
    )
    events = tuple(replace(event, seq=seq) for seq, event in enumerate(events_with_turns))
    return replace(trace, events=events)


def with_speech(trace: Trace) -> Trace:
    """Return the trace with the speech of each turn, if its relay chose what is spoken: the audio that went
    up for this client from the start of this turn to the start of its next. If nothing went up, the turn
    counts as asking for the same speech as the client's turn before, unless the client did not wait for
    that turn: the relay may then still have been busy."""
    started: dict[str, list[Event]] = {}
    for event in trace.events:
        if isinstance(event.content, TurnStarted):
            started.setdefault(event.connection, []).append(event)
    speech, rates = _speech_of_requests(trace), _find_configured_rates(trace)
    first_seqs = _first_audio_seqs(trace)
    owners = (
        {key: next(iter(started)) for key in first_seqs}
        if len(started) == 1
        else _clients_that_got_motion(trace)
    )
    turns_with_speech: dict[int, TurnStarted] = {}
    for client, starts in started.items():
        pcm, rate = b"", 0
        for event, next_start in zip(starts, [*starts[1:], None], strict=True):
            request_keys = [
                key
                for key, seq in first_seqs.items()
                if owners.get(key) == client
                and event.seq < seq
                and (next_start is None or seq < next_start.seq)
            ]
            if not request_keys and not _latest_turn_is_over(trace, client, event.seq):
                pcm, rate = b"", 0
            if request_keys:
                pcm = b"".join(bytes(speech[key]) for key in request_keys)
                rate = rates.get(request_keys[0][0], 0)
            assert isinstance(event.content, TurnStarted)
            turns_with_speech[event.seq] = replace(event.content, pcm=pcm, sample_rate=rate)
    events = tuple(
        replace(event, content=turns_with_speech[event.seq]) if event.seq in turns_with_speech else event
        for event in trace.events
    )
    return replace(trace, events=events)


def _latest_turn_is_over(trace: Trace, client: str, seq: int) -> bool:
    """Return whether the latest turn observed at this client was over before event number `seq`: the wait for
    the turn's end had ended, or the client had interrupted the turn."""
    for event in reversed(trace.events[:seq]):
        if event.connection == client:
            match event.content:
                case WaitEnded(Awaited.TURN) | Sent(value=InterruptTurn()):
                    return True
                case TurnStarted():
                    return False
    return False


def _clients_that_got_motion(trace: Trace) -> dict[tuple[str, str], str]:
    """Return which client was observed to get motion of a request first, for each request (connection,
    req_id): the turn of the request belongs to this client."""
    senders: dict[bytes, tuple[str, str]] = {}
    receivers: dict[tuple[str, str], str] = {}
    for event in trace.events:
        match event.content:
            case Sent(raw=bytes(raw), value=MotionResponse(req_id=req_id)) if event.lane is Lane.UPSTREAM:
                senders[raw] = event.connection, req_id
            case Received(value=Motion(payloads)) if event.lane is Lane.DOWNSTREAM:
                for key in {senders[payload] for payload in payloads if payload in senders}:
                    receivers.setdefault(key, event.connection)
    return receivers


def _find_configured_rates(trace: Trace) -> dict[str, int]:
    """Return the sample rate (Hz) of the speech in the observed turns: for each upstream connection of the
    trace, the rate that the relay configured there."""
    configured = ((event.connection, event.content) for event in trace.on_lane(Lane.UPSTREAM))
    return {
        connection: content.value.sample_rate
        for connection, content in configured
        if isinstance(content, Received) and isinstance(content.value, ConfigureSession)
    }


def _first_audio_seqs(trace: Trace) -> dict[tuple[str, str], int]:
    """Return for each observed request (connection, req_id) the number of the event that brought its first
    audio."""
    first_seqs: dict[tuple[str, str], int] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        if isinstance(event.content, Received) and isinstance(event.content.value, AudioInput):
            first_seqs.setdefault((event.connection, event.content.value.req_id), event.seq)
    return first_seqs


def _with_request_turns(trace: Trace) -> Iterator[Event]:
    """Yield the events of the trace, with the start and the end of a turn around each request. The added
    events have the sequence number 0."""
    speech = _speech_of_requests(trace)
    rates: dict[str, int] = {}
    numbers: dict[str, int] = {}
    waiting: dict[tuple[str, str], _OpenRequest] = {}
    for event in trace.events:
        for key, late in list(waiting.items()):
            if late.ended and event.at_ns > late.last_sign_ns + WAIT_NS:
                yield _turn_event(
                    late.last_sign_ns + WAIT_NS,
                    late,
                    WaitEnded(Awaited.TURN, complete=False, turn=late.number),
                )
                del waiting[key]
        message = event.content.value if isinstance(event.content, Sent | Received) else None
        finished: _OpenRequest | None = None
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
                    yield _turn_event(event.at_ns, waiting[key], started)
                if key in waiting:
                    waiting[key].ended |= end
                    waiting[key].last_sign_ns = event.at_ns
            case MotionResponse(req_id=req_id, end=end) if (event.connection, req_id) in waiting:
                key = (event.connection, req_id)
                waiting[key].last_sign_ns = event.at_ns
                finished = waiting.pop(key) if end and waiting[key].ended else None
        if isinstance(event.content, Closed):
            waiting = {key: request for key, request in waiting.items() if key[0] != event.connection}
        yield event
        if finished is not None:
            yield _turn_event(
                event.at_ns, finished, WaitEnded(Awaited.TURN, complete=True, turn=finished.number)
            )


def _speech_of_requests(trace: Trace) -> dict[tuple[str, str], bytearray]:
    """Return the audio of each observed request, all that was sent to Motion Server for it, by connection and
    req_id."""
    speech: dict[tuple[str, str], bytearray] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        message = event.content.value if isinstance(event.content, Sent | Received) else None
        if isinstance(message, AudioInput):
            speech.setdefault((event.connection, message.req_id), bytearray()).extend(message.audio)
    return speech


def _turn_event(at_ns: int, request: _OpenRequest, content: TurnStarted | WaitEnded) -> Event:
    """Return an event of the kit that starts or ends the observed turn of a request; `with_turns` numbers
    it later."""
    return Event(0, at_ns, Lane.KIT, request.connection, content)
