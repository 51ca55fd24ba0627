"""Detects in the recorded events the end of a turn, also if an earlier turn, which was cut off or failed, has
not ended yet."""

from collections.abc import Sequence

from spatius_sim.protocol.messages import AudioInput, Interrupt, MotionResponse, ServerError
from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, TurnStarted
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Motion

_TAIL_BYTES = 640
"""So many bytes at the end of a turn's speech tell it from every other turn's: 20 ms of noise."""


def turn_is_surely_over(
    events: Sequence[Event], first: int, client: str, speech: bytes, *, audio: bool
) -> bool:
    """Return whether the turn of `client` that began with event number `first` is over, and no motion of an
    earlier turn can come any more: the motion of the turn has ended, its audio has ended (if the relay sends
    `audio`), and Motion Server has answered all earlier requests.

    Return False if this turn cannot be told from an earlier one: the `speech` ends in silence or comes back
    changed, a req_id was used before, or the upstream side is not seen."""
    new_ids, ids_owed = _requests_since(events, first)
    new_ids -= _find_ids_of_earlier_turns(events, first, client, speech)
    received = _messages_for(client, events, first)
    return (
        not ids_owed
        and _has_ended_motion(received, new_ids)
        and (not audio or _has_ended_audio(received, speech))
    )


def own_turn_has_ended(
    events: Sequence[Event], first: int, client: str, speech: bytes, *, audio: bool
) -> bool:
    """Return whether the client has heard the end of its own speech (`audio`: the relay sends audio), and the
    last motion of a request whose audio begins as this speech does. Only events from number `first` on count.
    Clients that all hear the same also hear the ends of turns of others."""
    beginnings = _find_beginnings(events, first)
    own_ids = {req_id for (_, req_id), begins in beginnings.items() if begins and speech.startswith(begins)}
    heard = _messages_for(client, events, first)
    return _has_ended_motion(heard, own_ids) and (not audio or _has_ended_audio(heard, speech))


def is_motion_of_earlier_turn(
    message: Motion, events: Sequence[Event], first: int, client: str, speech: bytes
) -> bool:
    """Return whether a message brings motion of earlier turns of `client` alone, and none of its turn with
    this `speech`, which began with event number `first`. A payload is of an earlier turn if its request began
    before, or if the request's audio begins as an earlier turn's speech. Return False if no payload can be
    read, or if the turns cannot be told apart because a req_id was used again."""
    began_before: set[str] = set()
    used_since: set[str] = set()
    for number, event in enumerate(events):
        match event.content:
            case Received(value=AudioInput(req_id)) if event.lane is Lane.UPSTREAM:
                (began_before if number < first else used_since).add(req_id)
    values = [read_upstream(payload) for payload in message.payloads]
    req_ids = {value.req_id for value in values if isinstance(value, MotionResponse)}
    earlier_ids = (began_before - used_since) | _find_ids_of_earlier_turns(events, first, client, speech)
    return bool(req_ids) and req_ids <= earlier_ids


def is_answered(events: Sequence[Event], first: int, speech: bytes) -> bool:
    """Return whether Motion Server has answered a turn completely: it has sent the last response to a request
    that began with event number `first` or later, and whose audio begins as this `speech` does. If no request
    has such audio, or the speech is unknown (b""), any request since then counts."""
    beginnings = _find_beginnings(events, first)
    answered = {
        (event.connection, event.content.answers or event.content.value.req_id)
        for event in events[first:]
        if isinstance(event.content, Sent)
        and isinstance(event.content.value, MotionResponse)
        and event.content.value.end
    }
    own = {request for request, audio in beginnings.items() if audio and speech.startswith(audio)}
    return bool((own or set(beginnings)) & answered)


def _find_beginnings(events: Sequence[Event], first: int) -> dict[tuple[str, str], bytes]:
    """Return how the audio of each request begins, of which audio went up as event number `first` or later.
    The keys are connection and req_id."""
    beginnings: dict[tuple[str, str], bytes] = {}
    for event in events[first:]:
        match event.content:
            case Received(value=AudioInput(req_id, audio)) if event.lane is Lane.UPSTREAM:
                request = event.connection, req_id
                beginnings[request] = beginnings.get(request) or audio[:_TAIL_BYTES]
    return beginnings


def _find_ids_of_earlier_turns(events: Sequence[Event], first: int, client: str, speech: bytes) -> set[str]:
    """Return the req_ids whose audio begins as the speech of a turn of `client` that began before event
    number `first`, and not as this `speech`. A relay may begin such a request after that: it had not come
    further with the earlier turn. Return nothing if the `speech` is unknown (b"")."""
    if not speech:
        return set()
    earlier_speeches = [
        event.content.pcm
        for event in events[:first]
        if isinstance(event.content, TurnStarted) and event.connection == client
    ]
    beginnings_by_id: dict[str, list[bytes]] = {}
    for (_, req_id), begins in _find_beginnings(events, 0).items():
        beginnings_by_id.setdefault(req_id, []).append(begins)
    return {
        req_id
        for req_id, beginnings in beginnings_by_id.items()
        if all(
            begins
            and not speech.startswith(begins)
            and any(pcm.startswith(begins) for pcm in earlier_speeches)
            for begins in beginnings
        )
    }


def _messages_for(client: str, events: Sequence[Event], first: int) -> list[object]:
    """Return the messages that a client has received from the relay in its present turn, which began with
    event number `first`."""
    return [
        event.content.value
        for event in events[first:]
        if event.connection == client and isinstance(event.content, Received)
    ]


def _requests_since(events: Sequence[Event], first: int) -> tuple[set[str], set[tuple[str, str]]]:
    """Divide the requests at Motion Server into new and old ones. Return the req_ids of those that began with
    event number `first` or later. Return also the older requests, as connection and req_id, for which Motion
    Server may still send motion."""
    began: dict[tuple[str, str], int] = {}
    owed: set[tuple[str, str]] = set()
    for number, event in enumerate(events):
        if event.lane is not Lane.UPSTREAM:
            continue
        match event.content:
            case Received(value=AudioInput(req_id)):
                began.setdefault((event.connection, req_id), number)
                owed.add((event.connection, req_id))
            case Received(value=Interrupt(req_id)):
                owed.discard((event.connection, req_id))
            case Sent(value=MotionResponse(req_id=req_id, end=True), answers=answers):
                owed.discard((event.connection, answers or req_id))
            case Sent(value=ServerError()) | Closed():
                owed = {request for request in owed if request[0] != event.connection}
    old_ids = {req_id for (_, req_id), number in began.items() if number < first}
    new_ids = {req_id for (_, req_id), number in began.items() if number >= first}
    return new_ids - old_ids, {request for request in owed if began[request] < first}


def _has_ended_motion(received: Sequence[object], req_ids: set[str]) -> bool:
    """Return whether the motion of a turn has ended for its client: whether the client has received the last
    motion of one of the turn's requests."""
    payloads = (
        payload for message in received if isinstance(message, Motion) for payload in message.payloads
    )
    responses = (value for value in map(read_upstream, payloads) if isinstance(value, MotionResponse))
    return any(response.end and response.req_id in req_ids for response in responses)


def _has_ended_audio(received: Sequence[object], speech: bytes) -> bool:
    """Return whether the audio of a turn has ended for its client: among the messages that the client
    received is a last audio message, and the audio up to it ends as the turn's speech does."""
    end_of_speech, newest_audio = speech[-_TAIL_BYTES:], b""
    if not any(end_of_speech):
        return False  # All speech may end in silence.
    for message in received:
        if isinstance(message, Audio):
            newest_audio = (newest_audio + message.pcm)[-_TAIL_BYTES:]
            if message.last and newest_audio.endswith(end_of_speech):
                return True
    return False
