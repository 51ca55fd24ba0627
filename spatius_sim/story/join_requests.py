"""Joins the upstream events of a trace into requests: what went up and came back under each req_id."""

from spatius_sim.protocol.messages import AudioInput, ConfigureSession, Interrupt, MotionResponse, ServerError
from spatius_sim.story.turn_story import (
    SentPayload,
    UpstreamRequest,
)
from spatius_sim.trace.events import (
    Closed,
    Event,
    Lane,
    Received,
    Sent,
    Trace,
)

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
