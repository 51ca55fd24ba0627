"""Finds the speech of each turn if the relay chose it, and not the client: the audio that the relay sent up
in the turn's requests to Motion Server."""

from bisect import bisect
from collections.abc import Mapping
from dataclasses import replace

from spatius_sim.protocol.messages import AudioInput, ConfigureSession
from spatius_sim.story.join_requests import find_first_receivers, join_speech_of_requests
from spatius_sim.story.turn_story import sort_as_spoken
from spatius_sim.trace.events import (
    Awaited,
    Event,
    Lane,
    Received,
    Sent,
    Trace,
    TurnStarted,
    WaitEnded,
)
from spatius_sim.wires.events import Audio, Interrupted, InterruptTurn


def with_speech(trace: Trace) -> Trace:
    """Return the trace with the speech of each turn, if its relay chose what is spoken: the audio that went
    up for this client from the start of this turn to the start of its next. Several requests of one turn
    stand in the order in which the client heard them.

    If the upload broke off, the client may have heard more: then all that it heard is the speech.

    If the turn before was interrupted, what goes up until the relay confirms the interrupt, and is not heard
    later, is still speech of that turn. If no audio went up, the turn counts as asking for the same speech as
    the client's turn before, unless the client did not wait for that turn: the relay may then still have been
    busy."""
    started: dict[str, list[Event]] = {}
    for event in trace.events:
        if isinstance(event.content, TurnStarted):
            started.setdefault(event.connection, []).append(event)
    speech, rates = join_speech_of_requests(trace), _find_configured_rates(trace)
    ended_keys = _find_ended_requests(trace)
    first_seqs = _find_first_audio_seqs(trace)
    owners = (
        {key: next(iter(started)) for key in first_seqs} if len(started) == 1 else find_first_receivers(trace)
    )
    turns_with_speech: dict[int, TurnStarted] = {}
    for client, starts in started.items():
        pcm, rate = b"", 0
        own_first_seqs = {
            key: seq for key, seq in first_seqs.items() if owners.get(key) == client and speech[key]
        }
        keys_by_turn = _divide_requests_among_turns(trace, starts, own_first_seqs, speech)
        for event, next_start in zip(starts, [*starts[1:], None], strict=True):
            request_keys = keys_by_turn[event.seq]
            if not request_keys and not _is_latest_turn_over(trace, client, event.seq):
                pcm, rate = b"", 0
            if request_keys:
                end_seq = next_start.seq if next_start is not None else None
                heard = _join_audio_received(trace, client, event.seq, end_seq)
                pcm = b"".join(sort_as_spoken([bytes(speech[key]) for key in request_keys], heard))
                if ended_keys.isdisjoint(request_keys) and heard.startswith(pcm):
                    pcm = heard
                rate = rates.get(request_keys[0][0], 0)
            assert isinstance(event.content, TurnStarted)
            turns_with_speech[event.seq] = replace(event.content, pcm=pcm, sample_rate=rate)
    events = tuple(
        replace(event, content=turns_with_speech[event.seq]) if event.seq in turns_with_speech else event
        for event in trace.events
    )
    return replace(trace, events=events)


def _divide_requests_among_turns(
    trace: Trace,
    starts: list[Event],
    first_seqs: dict[tuple[str, str], int],
    speech: Mapping[tuple[str, str], bytes | bytearray],
) -> dict[int, list[tuple[str, str]]]:
    """Divide the requests in which a relay sent up the speech that it chose for a client among the turns of
    this client. `starts`: the events that began the turns. `first_seqs`: for each request (connection,
    req_id) the number of the event that brought its first audio. `speech`: all audio of each request. Return
    the requests of each turn, by the number of the event that began the turn.

    A request belongs to the turn in which it began. But a relay may learn of an interrupt late, and still
    send up speech of the turn that was interrupted. So a request belongs to the previous turn if it began
    before the relay confirmed the interrupt, and if the client did not receive its audio afterwards."""
    start_seqs = [event.seq for event in starts]
    confirmed_seqs = [_find_confirmed_interrupt(trace, event) for event in starts]
    received_since = [
        _join_audio_received(trace, start.connection, confirmed_seq, end_seq)
        for start, confirmed_seq, end_seq in zip(starts, confirmed_seqs, [*start_seqs[1:], None], strict=True)
    ]
    keys_by_turn: dict[int, list[tuple[str, str]]] = {seq: [] for seq in start_seqs}
    for key, seq in first_seqs.items():
        number = bisect(start_seqs, seq) - 1
        if number < 0:
            continue
        is_unconfirmed = number > 0 and seq < confirmed_seqs[number]
        is_of_previous = is_unconfirmed and bytes(speech[key]) not in received_since[number]
        keys_by_turn[start_seqs[number - is_of_previous]].append(key)
    return keys_by_turn


def _find_confirmed_interrupt(trace: Trace, start: Event) -> int:
    """Return the number of the event by which the relay, which chooses the speech, confirmed the interrupt of
    the previous turn. Until then, the speech that it sends up may still be that of the previous turn.

    Only a late confirmation counts: it came after `start`, the event that began this turn, and the client had
    sent the interrupt before. If there is none, return the number of `start`."""
    of_client = [event for event in trace.events if event.connection == start.connection]
    interrupted = False
    for event in of_client:
        match event.content:
            case TurnStarted() | WaitEnded() if event.seq != start.seq:
                if event.seq > start.seq:
                    break
                interrupted = False
            case Sent(value=InterruptTurn()):
                if event.seq > start.seq:
                    break
                interrupted = True
            case Received(value=Interrupted()):
                if event.seq > start.seq and interrupted:
                    return event.seq
                interrupted = False
    return start.seq


def _join_audio_received(trace: Trace, client: str, first_seq: int, end_seq: int | None) -> bytes:
    """Return the audio that this client received in the trace, from event number `first_seq` to before event
    number `end_seq`. If `end_seq` is None, take all audio to the end of the trace. This shows which speech of
    the relay belongs to a turn, and in which order it was spoken."""
    return b"".join(
        event.content.value.pcm
        for event in trace.events[first_seq:end_seq]
        if event.connection == client
        and isinstance(event.content, Received)
        and isinstance(event.content.value, Audio)
    )


def _is_latest_turn_over(trace: Trace, client: str, seq: int) -> bool:
    """Return whether this client's latest turn was over before event number `seq`: the wait for its end had
    ended, or the client had interrupted it. If so, a next turn for which no audio goes up counts as asking
    the relay for the same speech again. False if the client had no turn."""
    for event in reversed(trace.events[:seq]):
        if event.connection == client:
            match event.content:
                case WaitEnded(Awaited.TURN) | Sent(value=InterruptTurn()):
                    return True
                case TurnStarted():
                    return False
    return False


def _find_configured_rates(trace: Trace) -> dict[str, int]:
    """Return the sample rate (Hz) of the speech that the relay chose, as it configured it for each of its
    connections to Motion Server."""
    contents = ((event.connection, event.content) for event in trace.on_lane(Lane.UPSTREAM))
    return {
        connection: content.value.sample_rate
        for connection, content in contents
        if isinstance(content, Received) and isinstance(content.value, ConfigureSession)
    }


def _find_ended_requests(trace: Trace) -> set[tuple[str, str]]:
    """Return the requests (connection, req_id) whose speech, which the relay chose, was sent up to its
    end."""
    messages = (
        (event.connection, event.content.value)
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.content, Received)
    )
    return {
        (connection, message.req_id)
        for connection, message in messages
        if isinstance(message, AudioInput) and message.end
    }


def _find_first_audio_seqs(trace: Trace) -> dict[tuple[str, str], int]:
    """Return, for each request (connection, req_id) with speech that the relay chose, the number of the event
    that brought its first audio."""
    first_seqs: dict[tuple[str, str], int] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        if isinstance(event.content, Received) and isinstance(event.content.value, AudioInput):
            first_seqs.setdefault((event.connection, event.content.value.req_id), event.seq)
    return first_seqs
