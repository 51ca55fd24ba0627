"""Joins the upstream events of a trace into requests (what went up and came back under each req_id), and the
requests to turns. Also says what was spoken in each request, and which client got its motion."""

from spatius_sim.protocol.messages import AudioInput, ConfigureSession, Interrupt, MotionResponse, ServerError
from spatius_sim.story.speech_index import SpeechIndex
from spatius_sim.story.turn_story import (
    SentPayload,
    Turn,
    UpstreamRequest,
    find_latest_turn,
)
from spatius_sim.trace.events import (
    Closed,
    Event,
    Lane,
    Received,
    Sent,
    Trace,
)
from spatius_sim.wires.events import Motion

_NOT_CONFIGURED = ConfigureSession(0)


def join_requests(trace: Trace) -> list[UpstreamRequest]:
    """Return the requests that turns are joined with: what went up and came back under each req_id of each
    upstream connection."""
    found: list[UpstreamRequest] = []
    requests: dict[tuple[str, str], UpstreamRequest] = {}
    configured: dict[str, ConfigureSession] = {}
    is_relay_judged = trace.header.subject == "relay"
    for event in trace.on_lane(Lane.UPSTREAM):
        message = event.content.value if isinstance(event.content, Sent | Received) else None
        match message:
            case ConfigureSession():
                configured.setdefault(event.connection, message)
            case AudioInput(req_id, audio, end):
                key = (event.connection, req_id)
                known = requests.get(key)
                if known is None or (audio and (known.ends or known.interrupted_seq is not None)):
                    session = configured.get(event.connection, _NOT_CONFIGURED)
                    requests[key] = UpstreamRequest(*key, event.seq, session, reuses=known)
                    found.append(requests[key])
                requests[key].audio += audio
                requests[key].messages.append(audio)
                if end:
                    requests[key].ends.append(event.seq)
            case MotionResponse(req_id=req_id):
                answered = event.content.answers if isinstance(event.content, Sent) else ""
                owner = requests.get((event.connection, answered or req_id))
                if owner is not None:
                    owner.payloads.append(SentPayload(event.seq, _bytes_of(event), message, owner))
            case Interrupt(req_id) if (event.connection, req_id) in requests:
                interrupted = requests[event.connection, req_id]
                if interrupted.ends and not interrupted.answered and not interrupted.stopped_early:
                    interrupted.given_up_seq = event.seq
                interrupted.stopped_early, interrupted.interrupted_seq = True, event.seq
            case ServerError(req_id=req_id):
                for request in _incomplete_requests(requests, event.connection):
                    request.stopped_early = request.stopped_early or req_id in ("", request.req_id)
        if isinstance(event.content, Closed):
            for request in _incomplete_requests(requests, event.connection):
                if event.content.by_kit:
                    # If a relay is judged, this is Motion Server, which owed motion.
                    request.stopped_early = request.stopped_early or not request.ends or is_relay_judged
                elif request.ends and not request.stopped_early:
                    request.given_up_seq = event.seq
    return found


def find_turns_by_audio(
    requests: list[UpstreamRequest], index: SpeechIndex, *, silence_ends_speech: bool
) -> None:
    """Set `turn` and `found_by_audio` of each request: the turn in whose speech its audio is found, if this
    is certain. Mark turns whose speech the relay sent as one request as merged."""
    for request in requests:
        audio = bytes(request.audio)
        request.turn = (
            _mark_merged_turns(audio, index, silence_ends_speech)
            or index.find(audio)
            or _find_turn_by_messages(request, index)
        )
        request.found_by_audio = request.turn is not None


def join_requests_to_turns(requests: list[UpstreamRequest], turns: list[Turn], *, may_guess: bool) -> None:
    """Join each request to Motion Server with the turn to which it belongs. If the audio did not show the
    turn, take the latest turn that began before the request: a turn of the client that sent it, otherwise of
    the client that first got its motion.

    If there is no such turn, take the latest turn of any client, but only if there is one client, or if
    `may_guess` and no two clients have a turn that is not over. Otherwise the request belongs to no turn."""
    may_guess = may_guess or len({turn.client for turn in turns}) == 1
    for request in requests:
        if request.turn is None:
            deliveries = [delivery for payload in request.payloads for delivery in payload.deliveries]
            first_delivery = min(deliveries, key=lambda delivery: delivery.seq, default=None)
            turns_of_receiver = [
                turn for turn in turns if first_delivery is not None and turn.client == first_delivery.client
            ]
            turns_of_sender = [turn for turn in turns if turn.client == request.connection]
            request_seq = request.first_seq
            request.turn = (
                find_latest_turn(request_seq, turns_of_sender)
                or find_latest_turn(request_seq, turns_of_receiver)
                or (_guess_turn_of_request(request_seq, turns) if may_guess else None)
            )
        if request.turn is not None:
            request.turn.requests.append(request)


def join_speech_of_requests(trace: Trace) -> dict[tuple[str, str], bytearray]:
    """Return, for each request (connection, req_id) in the trace, all audio that was sent to Motion Server:
    the speech of the turns that are made of these requests."""
    speech: dict[tuple[str, str], bytearray] = {}
    for event in trace.on_lane(Lane.UPSTREAM):
        message = event.content.value if isinstance(event.content, Sent | Received) else None
        if isinstance(message, AudioInput):
            speech.setdefault((event.connection, message.req_id), bytearray()).extend(message.audio)
    return speech


def find_first_receivers(trace: Trace) -> dict[tuple[str, str], str]:
    """Return for each request (connection, req_id) the client that first got motion of this request, as the
    bytes of the payloads show. The request is taken for one of this client's turns. Requests whose motion no
    client got are left out."""
    request_by_payload: dict[bytes, tuple[str, str]] = {}
    client_by_request: dict[tuple[str, str], str] = {}
    for event in trace.events:
        match event.content:
            case Sent(raw=bytes(raw), value=MotionResponse(req_id=req_id)) if event.lane is Lane.UPSTREAM:
                request_by_payload[raw] = event.connection, req_id
            case Received(value=Motion(payloads)) if event.lane is Lane.DOWNSTREAM:
                known_payloads = (payload for payload in payloads if payload in request_by_payload)
                for request_key in {request_by_payload[payload] for payload in known_payloads}:
                    client_by_request.setdefault(request_key, event.connection)
    return client_by_request


def _mark_merged_turns(audio: bytes, index: SpeechIndex, silence_ends_speech: bool) -> Turn | None:
    """If a relay sent the speech of several turns of one client as one request, mark these turns as merged.
    Return the last of them. `audio` is the audio of the request. Return None if it holds the speech of one
    turn at most.

    A relay may merge turns if each turn but the last was left open (interrupted before its speech had ended),
    or if silence ends speech. If it may not, return None."""
    first_turn, last_turn = index.find_first(audio), index.find_last(audio)
    if (
        first_turn is None
        or last_turn is None
        or first_turn.client != last_turn.client
        or first_turn.number >= last_turn.number
    ):
        return None
    merged = [last_turn]
    while merged[-1] is not first_turn and merged[-1].before is not None:
        merged.append(merged[-1].before)
    if not all(turn.left_open or silence_ends_speech for turn in merged[1:]):
        return None
    for turn in merged:
        turn.merged = True
    return last_turn


def _find_turn_by_messages(request: UpstreamRequest, index: SpeechIndex) -> Turn | None:
    """Return the turn with which a request is joined if audio is missing between its messages: the turn of
    the first message whose audio shows a turn. None if no message shows one."""
    found = (index.find(message) for message in request.messages)
    return next((turn for turn in found if turn is not None), None)


def _guess_turn_of_request(request_seq: int, turns: list[Turn]) -> Turn | None:
    """Return the turn that began last before a request, which began at event number `request_seq`. Return
    None if the turns of several clients were not over then: nothing shows to which of them it belongs."""
    clients = {turn.client for turn in turns}
    latest = [
        find_latest_turn(request_seq, [turn for turn in turns if turn.client == client]) for client in clients
    ]
    begun = [turn for turn in latest if turn is not None]
    not_over = [turn for turn in begun if turn.waited_seq is None or turn.waited_seq > request_seq]
    return find_latest_turn(request_seq, not_over or begun) if len(not_over) <= 1 else None


def _incomplete_requests(
    requests: dict[tuple[str, str], UpstreamRequest], connection: str
) -> list[UpstreamRequest]:
    """Return the incomplete requests of one connection to Motion Server: their audio was not marked as ended,
    or Motion Server has not sent all their motion. `requests` holds the requests by connection and req_id."""
    return [
        request
        for request in requests.values()
        if request.connection == connection and not (request.ends and request.answered)
    ]


def _bytes_of(event: Event) -> bytes:
    """Return the bytes of a frame, also of a text frame; b"" for an event that is no frame."""
    raw = event.content.raw if isinstance(event.content, Sent | Received) else b""
    return raw if isinstance(raw, bytes) else raw.encode()
