"""Detects the end of a turn in recorded events and messages: that its audio or motion has ended, or that no
motion will come. It does so even if an earlier turn, which was cut off or failed, has not ended yet."""

from collections.abc import Sequence

from spatius_sim.protocol.messages import AudioInput, Interrupt, MotionResponse, ServerError
from spatius_sim.trace.events import Closed, Event, Lane, Received, Sent, TurnStarted
from spatius_sim.trace.read_frames import read_upstream
from spatius_sim.wires.events import Audio, Failed, Motion

_COMPARED_BYTES = 640
"""So many bytes at the beginning or end of a turn's speech distinguish it from every other turn's: 20 ms of
noise."""


def is_turn_surely_over(
    events: Sequence[Event], first_index: int, client_name: str, speech: bytes, *, sends_audio: bool
) -> bool:
    """Return whether the events show that a client's turn, which began with event `first_index`, is over, and
    no motion of an earlier turn can come any more: its motion has ended, its audio too (if the relay
    `sends_audio`), and Motion Server owes no motion to an older request.

    Return False if the turn cannot be distinguished from an earlier turn: its `speech` ends in silence or
    comes back changed, a req_id was used before, or what the relay sends to Motion Server is not seen."""
    own_req_ids, old_requests_owed = _divide_requests(events, first_index)
    own_req_ids -= _find_req_ids_of_earlier_turns(events, first_index, client_name, speech)
    received = _messages_received_by(client_name, events, first_index)
    return (
        not old_requests_owed
        and _is_motion_end_among(received, own_req_ids)
        and (not sends_audio or _is_audio_end_among(received, speech))
    )


def has_own_motion_ended(events: Sequence[Event], first_index: int, client_name: str, speech: bytes) -> bool:
    """Detect whether the motion of a client's own turn has ended if the relay sends each turn to all clients:
    the client has received the last motion of a request whose audio begins as its own `speech` does. Only
    events from number `first_index` on count."""
    own_req_ids = {
        req_id
        for (_, req_id), first_audio in _find_first_audio(events, first_index).items()
        if first_audio and speech.startswith(first_audio)
    }
    return _is_motion_end_among(_messages_received_by(client_name, events, first_index), own_req_ids)


def has_own_audio_ended(
    events: Sequence[Event], first_index: int, client_name: str, speech: bytes, *, with_end_mark: bool
) -> bool:
    """Detect whether the audio of a client's own turn has ended if the relay sends each turn to all clients:
    the client has received audio that ends as its own `speech` does. If `with_end_mark`, the end mark must
    have come with this audio or right after it. Only events from number `first_index` on count."""
    received = _messages_received_by(client_name, events, first_index)
    return _is_audio_end_among(received, speech, with_end_mark=with_end_mark)


def is_motion_of_earlier_turn(
    message: Motion, events: Sequence[Event], first_index: int, client_name: str, speech: bytes
) -> bool:
    """Detect in the recorded events whether all motion in a message belongs to earlier turns of a client. The
    client's present turn began with event `first_index` and has this `speech`. Motion belongs to an earlier
    turn if the audio of its request was sent to Motion Server only before, or begins as an earlier turn's
    speech does.

    Return False if no payload of the message can be read, or if one req_id was used for both turns."""
    used_before: set[str] = set()
    used_since: set[str] = set()
    for number, event in enumerate(events):
        match event.content:
            case Received(value=AudioInput(req_id)) if event.lane is Lane.UPSTREAM:
                (used_before if number < first_index else used_since).add(req_id)
    responses = [read_upstream(payload) for payload in message.payloads]
    req_ids = {response.req_id for response in responses if isinstance(response, MotionResponse)}
    ids_by_speech = _find_req_ids_of_earlier_turns(events, first_index, client_name, speech)
    earlier_req_ids = (used_before - used_since) | ids_by_speech
    return bool(req_ids) and req_ids <= earlier_req_ids


def is_turn_answered(events: Sequence[Event], first_index: int, speech: bytes) -> bool:
    """Return whether Motion Server has sent its last response to a turn, which began with event
    `first_index`. The turn's request is the one whose audio begins as this `speech` does. If there is none,
    or the speech is unknown (b""), any request whose audio went up since then counts."""
    first_audio_by_request = _find_first_audio(events, first_index)
    answered_requests = {
        (event.connection, event.content.answers or event.content.value.req_id)
        for event in events[first_index:]
        if isinstance(event.content, Sent)
        and isinstance(event.content.value, MotionResponse)
        and event.content.value.end
    }
    own_requests = {
        request
        for request, first_audio in first_audio_by_request.items()
        if first_audio and speech.startswith(first_audio)
    }
    return bool((own_requests or set(first_audio_by_request)) & answered_requests)


def is_motion_of_other_requests_due(events: Sequence[Event], first_index: int, client_name: str) -> bool:
    """Detect in the recorded events whether motion of a client's turn is still to come, although some has
    ended: a relay may send each sentence of a turn in a request of its own. The turn began with event
    `first_index`. Motion is due for each request that began since then, until its last response has arrived.
    It is not due if the request was interrupted, or if its session ended before Motion Server had answered.

    If several clients have spoken, only those sessions count whose motion has come to this client: nothing
    else shows to which client a request belongs."""
    due: set[tuple[str, str]] = set()
    answered: set[tuple[str, str]] = set()
    for event in events[first_index:]:
        if event.lane is not Lane.UPSTREAM:
            continue
        match event.content:
            case Received(value=AudioInput(req_id)):
                due.add((event.connection, req_id))
            case Received(value=Interrupt(req_id)):
                due -= {(event.connection, req_id)} - answered
            case Sent(value=MotionResponse(req_id=req_id, end=True), answers=answers):
                answered.add((event.connection, answers or req_id))
            case Sent(value=ServerError()) | Closed():
                due = {request for request in due if request[0] != event.connection or request in answered}
    received = _messages_received_by(client_name, events, first_index)
    speakers = {event.connection for event in events if isinstance(event.content, TurnStarted)}
    if len(speakers) > 1:
        arrived_req_ids = {req_id for req_id, _ in _list_responses(received)}
        own_connections = {connection for connection, req_id in due if req_id in arrived_req_ids}
        due = {request for request in due if request[0] in own_connections}
    ended = {req_id for req_id, is_end in _list_responses(received) if is_end}
    return not all(req_id in ended for _, req_id in due)


def is_speech_in_one_request(events: Sequence[Event], first_index: int, speech: bytes) -> bool:
    """Detect in the recorded events whether one request has sent all of this `speech` to Motion Server since
    event `first_index`: its audio begins as the speech does, and is as long. True if the speech is unknown
    (b"")."""
    first_audio_by_request = _find_first_audio(events, first_index)
    size_by_request = dict.fromkeys(first_audio_by_request, 0)
    for event in events[first_index:]:
        match event.content:
            case Received(value=AudioInput(req_id, audio)) if event.lane is Lane.UPSTREAM:
                size_by_request[event.connection, req_id] += len(audio)
    return not speech or any(
        speech.startswith(audio) and size_by_request[request] >= len(speech)
        for request, audio in first_audio_by_request.items()
    )


def carries_audio(message: object) -> bool:
    """Return whether a message carries audio."""
    return isinstance(message, Audio) and bool(message.pcm)


def carries_motion(message: object) -> bool:
    """Return whether a message carries motion."""
    return isinstance(message, Motion) and bool(message.payloads)


def ends_audio(message: object) -> bool:
    """Return whether a message marks the end of the audio."""
    return isinstance(message, Audio) and message.last


def ends_motion(message: object) -> bool:
    """Return whether a message of the relay brings the last motion of a turn. It must carry motion. It also
    must have the relay's end mark, or hold a response of Motion Server with `end`."""
    if not isinstance(message, Motion) or not message.payloads:
        return False
    responses = map(read_upstream, message.payloads)
    return message.last or any(
        isinstance(response, MotionResponse) and response.end for response in responses
    )


def is_motion_mark(message: object) -> bool:
    """Return whether a message of the relay carries its end mark of motion."""
    return isinstance(message, Motion) and message.last


def is_motion_mark_alone(message: object) -> bool:
    """Return whether a message of the relay marks the end of the motion and carries no motion itself."""
    return isinstance(message, Motion) and message.last and not message.payloads


class FailureNotice:
    """Looks for the message that says that no motion will come: an error, or an empty list of motion
    (seed:002). An empty list that carries the end mark says nothing of this if motion has come."""

    def __init__(self) -> None:
        """Begin before the first message of a turn."""
        self._motion_has_come = False

    def says_no_motion_comes(self, message: object) -> bool:
        """Detect whether the next message of the relay says that the turn ends without motion, or without
        more of it: it is an error, or an empty list of motion. But an empty list with the end mark only ends
        the motion if some has come before. So call this with every message of the turn, in order."""
        self._motion_has_come |= carries_motion(message)
        if isinstance(message, Motion) and not message.payloads:
            return not (message.last and self._motion_has_come)
        return isinstance(message, Failed)


def _find_first_audio(events: Sequence[Event], first_index: int) -> dict[tuple[str, str], bytes]:
    """Return the first bytes of audio that each request has sent to Motion Server since event `first_index`:
    at most 640 bytes, and b"" if the request has sent no audio yet. The keys are connection and req_id."""
    first_audio_by_request: dict[tuple[str, str], bytes] = {}
    for event in events[first_index:]:
        match event.content:
            case Received(value=AudioInput(req_id, audio)) if event.lane is Lane.UPSTREAM:
                request = event.connection, req_id
                first_audio = first_audio_by_request.get(request) or audio[:_COMPARED_BYTES]
                first_audio_by_request[request] = first_audio
    return first_audio_by_request


def _find_req_ids_of_earlier_turns(
    events: Sequence[Event], first_index: int, client_name: str, speech: bytes
) -> set[str]:
    """Detect which requests belong to earlier turns of a client, so that the end of their motion is not the
    end of the present turn. Return their req_ids. The audio of such a request has the same beginning as the
    speech of a turn before event `first_index`, and nowhere holds the beginning of `speech`, that of the
    present turn. The relay may send such a request late, in the present turn. Return an empty set if the
    speech is unknown (b"")."""
    if not speech:
        return set()
    earlier_speeches = [
        event.content.pcm
        for event in events[:first_index]
        if isinstance(event.content, TurnStarted) and event.connection == client_name
    ]
    audio_by_id: dict[str, bytearray] = {}
    for event in events:
        match event.content:
            case Received(value=AudioInput(req_id, audio)) if event.lane is Lane.UPSTREAM:
                audio_by_id.setdefault(req_id, bytearray()).extend(audio)
    # A relay that ends speech by silence may join two turns: the motion then belongs to both.
    return {
        req_id
        for req_id, audio in audio_by_id.items()
        if audio
        and speech[:_COMPARED_BYTES] not in audio
        and any(earlier.startswith(audio[:_COMPARED_BYTES]) for earlier in earlier_speeches)
    }


def _messages_received_by(client_name: str, events: Sequence[Event], first_index: int) -> list[object]:
    """Return the messages of the relay that a client has received since event number `first_index`, to look
    for the end of a turn in them."""
    return [
        event.content.value
        for event in events[first_index:]
        if event.connection == client_name and isinstance(event.content, Received)
    ]


def _divide_requests(events: Sequence[Event], first_index: int) -> tuple[set[str], set[tuple[str, str]]]:
    """Divide the requests at Motion Server into old ones, which began before event `first_index`, and new
    ones. Return two sets: the new req_ids, which no old request had; and the old requests that still wait for
    motion, each as connection and req_id."""
    began_index: dict[tuple[str, str], int] = {}
    owed: set[tuple[str, str]] = set()
    for index, event in enumerate(events):
        if event.lane is not Lane.UPSTREAM:
            continue
        match event.content:
            case Received(value=AudioInput(req_id)):
                began_index.setdefault((event.connection, req_id), index)
                owed.add((event.connection, req_id))
            case Received(value=Interrupt(req_id)):
                owed.discard((event.connection, req_id))
            case Sent(value=MotionResponse(req_id=req_id, end=True), answers=answers):
                owed.discard((event.connection, answers or req_id))
            case Sent(value=ServerError()) | Closed():
                owed = {request for request in owed if request[0] != event.connection}
    old_req_ids = {req_id for (_, req_id), index in began_index.items() if index < first_index}
    new_req_ids = {req_id for (_, req_id), index in began_index.items() if index >= first_index}
    old_requests_owed = {request for request in owed if began_index[request] < first_index}
    return new_req_ids - old_req_ids, old_requests_owed


def _is_motion_end_among(received: Sequence[object], req_ids: set[str]) -> bool:
    """Return whether the end of a turn's motion is among the messages that a client has received from the
    relay: the last response of Motion Server to one of the turn's requests, whose ids are `req_ids`."""
    return any(is_end and req_id in req_ids for req_id, is_end in _list_responses(received))


def _list_responses(received: Sequence[object]) -> list[tuple[str, bool]]:
    """Return the responses of Motion Server in the messages that a client has received: for each its req_id,
    and whether it is the last of its request."""
    payloads = (
        payload for message in received if isinstance(message, Motion) for payload in message.payloads
    )
    responses = (value for value in map(read_upstream, payloads) if isinstance(value, MotionResponse))
    return [(response.req_id, response.end) for response in responses]


def _is_audio_end_among(received: Sequence[object], speech: bytes, *, with_end_mark: bool = True) -> bool:
    """Return whether the end of a turn's audio is among the messages that a client has received from the
    relay: audio that ends as the turn's `speech` does, with the end mark if `with_end_mark`. False if the
    speech is unknown (b"") or ends in silence."""
    end_of_speech, newest_audio = speech[-_COMPARED_BYTES:], b""
    if not any(end_of_speech):
        return False  # Any speech may end in silence, so silence shows no end.
    for message in received:
        if isinstance(message, Audio):
            newest_audio = (newest_audio + message.pcm)[-_COMPARED_BYTES:]
            if (message.last or not with_end_mark) and newest_audio.endswith(end_of_speech):
                return True
    return False
