"""S rules on a session: its handshake, its egress, its interrupts."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from spatius_sim.protocol.audio import OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES
from spatius_sim.protocol.messages import (
    AudioFormat,
    ConfigureSession,
    ConfirmSession,
    EgressType,
    MotionResponse,
    ServerError,
)
from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import judge_time_limit, kit_stall_seconds
from spatius_sim.story.frames_and_closes_at_server import class_of_frames_to_server, describe_close_by_server
from spatius_sim.story.keyframes_of_audio import is_answered_in_full, is_ogg_opus
from spatius_sim.story.turn_story import Story
from spatius_sim.trace.event_text import describe_provocation
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Opened,
    Provocation,
    Provoked,
    Received,
    Refused,
    Sent,
    WaitEnded,
)
from spatius_sim.wires.optional_features import EGRESS

_MAX_LAG_SECONDS = 0.2
"""Seconds that the kit waits beyond the one second of S-INTERRUPT. If the kit was blocked for longer, nobody
knows when late motion was sent."""

CLOSE_SECONDS = 5.0
"""How long a connection may stay open after its handshake was refused."""

ROOM_SECONDS = 5.0
"""How long after its last session the kit is surely no reason for a server to have too many. ASSUMED."""

_TOO_MANY_SESSIONS = 4003
_MISTAKEN_UPGRADE = (400, 401, 403, 404)
"""The statuses that say that something is wrong with an upgrade: the token, the app or the avatar."""
_NO_MISTAKES = (None, Provocation.OUTLIVED_TOKEN, Provocation.TOKEN_IN_QUERY, Provocation.LONG_CLIP)
_OWN_CLOSE_CODES = range(4000, 5000)
"""A ServerError with such a code ends a session for good, and is its close code, too (protocol.md)."""

_RATES_BY_FORMAT: dict[int, tuple[int, ...]] = {
    AudioFormat.PCM_S16LE: PCM_SAMPLE_RATES,
    AudioFormat.OGG_OPUS: OPUS_SAMPLE_RATES,
}

_NOT_A_CONFIGURATION = (
    "expected clientconfiguresession message",
    "clientconfiguresession message is nil",
    "unexpected message type",
    "failed to unmarshal initial message",
)
_KNOWN_TEXTS: dict[Provocation, tuple[str, ...]] = {
    Provocation.WRONG_MESSAGE: _NOT_A_CONFIGURATION,
    Provocation.TEXT: _NOT_A_CONFIGURATION,
    Provocation.UNDECODABLE: _NOT_A_CONFIGURATION,
    Provocation.UNSUPPORTED_RATE: ("unsupported sample rate",),
}
"""What the SDKs look for in a refused handshake, in small letters. If no configuration came, any of the four
texts may say so (sdk-py)."""


@dataclass(slots=True)
class _Session:
    """One connection: the client's first message, what was wrong on purpose (`intent`), the answers, and
    whether the kit waited for an answer to the end."""

    first_message: Event
    intent: Provocation | None
    answers: list[Event] = field(default_factory=list)
    waited: bool = False
    closed: tuple[int, int] | None = None
    """The event by which the connection was closed, and its code."""


@rule(
    "S-CONFIRM",
    Level.MUST,
    "a token that has not expired, in headers or in the query, MUST open a session, and a valid "
    "configuration be answered first with ServerConfirmSession and a non-empty connection_id, or with "
    "ServerError 4003 if the app has too many sessions; a server may take no Ogg Opus",
    "docs:auth, sdk-py",
    Provenance.OBSERVED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face: the Server SDK waits for the confirmation for 10 s, and gives up",
        "a good token is refused, or sessions are counted that are over; or something else is sent first, or "
        "nothing, or the connection_id is empty",
        "let each token in until it expires; count only what is open; answer the configuration first with "
        "ServerConfirmSession and its connection_id",
    ),
)
def check_confirmation(story: Story) -> Iterator[Kept | Broken]:
    """Check each upgrade in which nothing was wrong: the server must not refuse it as wrong. Check each
    session with a valid configuration: the first answer must confirm the session, with a connection_id.
    Error 4003 says that the app has too many sessions, but not if the kit had none for a while. A server that
    takes Ogg Opus, as an answered request shows, takes it at each rate that the documents name."""
    yield from _find_refused_sessions(story)
    expected = "first a ServerConfirmSession with a connection_id"
    takes_opus = any(is_ogg_opus(request) and is_answered_in_full(request) for request in story.requests)
    for session in _list_sessions(story):
        if session.intent not in _NO_MISTAKES or not _is_valid_configuration(session.first_message):
            continue
        answer = _find_first_answer(session)
        if isinstance(answer, ConfirmSession) and answer.connection_id:
            yield Kept()
        elif _is_refused_without_other_sessions(story, session):
            yield Broken(
                f"a session, because the kit has had none for {ROOM_SECONDS:.0f} s",
                _describe_message(answer),
                (session.first_message.seq, session.answers[0].seq),
            )
        elif isinstance(answer, ServerError) and (
            answer.code == _TOO_MANY_SESSIONS
            or (_find_audio_format(session.first_message) == AudioFormat.OGG_OPUS and not takes_opus)
        ):
            continue
        elif isinstance(session.first_message.content, Received) and not isinstance(answer, ConfirmSession):
            continue  # On a proxy's tape: the service may have had a reason, or the relay may have left.
        elif answer is not None:
            yield Broken(
                expected, _describe_message(answer), (session.first_message.seq, session.answers[0].seq)
            )
        elif session.waited:
            yield Broken(expected, _describe_silence(story, session), (session.first_message.seq,))


@rule(
    "S-HANDSHAKE-REFUSED",
    Level.MUST,
    "a wrong first message, text, undecodable bytes and an unsupported rate MUST be answered with a "
    "ServerError with the known text",
    "sdk-py",
    Provenance.OBSERVED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face, and an error that does not say what is wrong with the relay",
        "the server drops what it cannot read, or closes without a ServerError",
        "answer with a ServerError that has the text under Expected, and close",
    ),
)
def check_handshake_errors(story: Story) -> Iterator[Kept | Broken]:
    """Check each session in whose handshake the kit made a mistake on purpose: the server's first answer must
    be an error with a known text."""
    for session in _list_sessions(story):
        if session.intent not in _KNOWN_TEXTS:
            continue
        texts = _KNOWN_TEXTS[session.intent]
        expected = (
            f"{describe_provocation(session.intent)} answered with a ServerError that says {texts[0]!r}"
        )
        answer = _find_first_answer(session)
        if isinstance(answer, ServerError) and any(text in answer.message.lower() for text in texts):
            yield Kept()
        elif isinstance(answer, ServerError) and answer.code == _TOO_MANY_SESSIONS:
            continue  # S-CONFIRM says whether there may have been too many.
        elif answer is not None:
            yield Broken(
                expected, _describe_message(answer), (session.first_message.seq, session.answers[0].seq)
            )
        elif session.waited:
            yield Broken(expected, _describe_silence(story, session), (session.first_message.seq,))


@rule(
    "S-HANDSHAKE-CLOSED",
    Level.SHOULD,
    "after a refused handshake the connection SHOULD be closed within 5 s, with the code of its ServerError "
    "if that is 4000 or more",
    "sdk-py waits up to 20 s for it; the 5 s are our reading; the code: the contract of spatialreal",
    Provenance.ASSUMED,
    presumes=("S-HANDSHAKE-REFUSED",),
    waits="the server has five seconds to close",
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "an error that comes late: the Server SDK waits for the close for up to 20 s",
        "the session is marked as refused, and its connection is left open",
        "close the connection after the ServerError",
    ),
)
def check_close_after_refusal(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each session whose handshake the server answered with an error. The server must close the
    connection within the limit, while the kit waits for it. The close code of an error that ends a session
    for good is that of the error."""
    waits = {
        event.connection: event
        for event in story.trace.on_lane(Lane.KIT)
        if isinstance(event.content, WaitEnded) and event.content.what_for is Awaited.CLOSE
    }
    for session in _list_sessions(story):
        wait = waits.get(session.first_message.connection)
        refusal = _find_first_answer(session)
        if wait is None or not isinstance(refusal, ServerError):
            continue
        refusal_seq = session.answers[0].seq
        if wait.content == WaitEnded(Awaited.CLOSE, complete=True):
            close_seq, code = session.closed or (wait.seq, refusal.code)
            if refusal.code in _OWN_CLOSE_CODES and code != refusal.code:
                expected = f"the connection closed with the code of the error: {refusal.code}"
                yield Broken(expected, f"it was closed with {code}", (refusal_seq, close_seq))
            else:
                yield Kept()
            continue
        expected = f"the connection closed {CLOSE_SECONDS:.0f} s after the refusal at the latest"
        broken = Broken(expected, "it was still open", (refusal_seq, wait.seq))
        outcome = judge_time_limit(story.trace, refusal_seq, wait.seq, CLOSE_SECONDS, broken)
        # A wait that was cut short shows nothing.
        if not isinstance(outcome, Kept):
            yield outcome


@rule(
    "S-EGRESS-SILENT",
    Level.MUST,
    "with an egress configured no motion MUST come back on the socket",
    "docs:python-sdk",
    Provenance.DOCUMENTED,
    presumes=("S-CONFIRM",),
    needs=(EGRESS,),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the face is driven twice, by the room and by the relay, and the two are not in step",
        "the session does not look at the egress of its configuration",
        "send motion to the room alone; an empty response may go to the socket",
    ),
)
def check_no_motion_beside_egress(story: Story) -> Iterator[Kept | Broken]:
    """Check each request in a session with an egress (Motion Server publishes into a room): no motion for it
    may come back on the socket. A response without keyframes only reports the playback, and is no motion."""
    for request in story.requests:
        if request.configured.egress_type == EgressType.UNSPECIFIED:
            continue
        payloads_with_motion = [
            payload
            for payload in request.payloads
            if len(payload.response.keyframes) or payload.response.shape_fault
        ]
        if payloads_with_motion:
            seqs = tuple(payload.seq for payload in payloads_with_motion)
            actual = f"{len(seqs)} responses with motion"
            yield Broken("no motion on the socket of an egress session", actual, seqs)
        elif request.turn is not None and request.turn.waited_seq is not None:
            yield Kept()


@rule(
    "S-INTERRUPT",
    Level.SHOULD,
    "without an egress, nothing SHOULD come for a req_id later than 1 s after its ClientInterrupt",
    "docs:python-sdk documents it for egress sessions only (E-INTERRUPT); the rest is our reading",
    Provenance.ASSUMED,
    presumes=("S-MOTION-IDS",),
    waits="late motion has a second to come",
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the mouth goes on with a sentence that was cut off",
        "the server sends all that it had computed or queued before the interrupt",
        "when ClientInterrupt comes, drop what is queued for its req_id",
    ),
)
def check_silence_after_interrupt(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each request without an egress that the kit interrupted: nothing may come for it after the second
    for which the kit waited. The kit sends no more audio for it, because no document says what a server does
    with that."""
    for request in story.requests:
        if request.interrupted_seq is None or request.configured.egress_type != EgressType.UNSPECIFIED:
            continue
        wait_seqs = [
            event.seq
            for event in story.trace.on_lane(Lane.KIT)
            if event.connection == request.connection
            and event.content == WaitEnded(Awaited.SILENCE, complete=True)
            and event.seq > request.interrupted_seq
        ]
        if not wait_seqs:
            continue
        late_responses = [payload.seq for payload in request.payloads if payload.seq > wait_seqs[0]]
        stalled_seconds = kit_stall_seconds(story.trace, request.interrupted_seq, wait_seqs[0])
        if late_responses and stalled_seconds > _MAX_LAG_SECONDS:
            yield Late(stalled_seconds)
        elif late_responses:
            expected = f"nothing for {request.req_id} later than 1 s after its interrupt"
            yield Broken(
                expected, f"{len(late_responses)} responses", (request.interrupted_seq, *late_responses)
            )
        else:
            yield Kept()


def tells_of_too_many_sessions(content: object) -> bool:
    """Return whether what happened is that a server refused a session because the app has too many."""
    value = content.value if isinstance(content, Received) else None
    return isinstance(value, ServerError) and value.code == _TOO_MANY_SESSIONS


def _find_refused_sessions(story: Story) -> Iterator[Broken]:
    """Yield Broken for each session that the kit could not open, because the server refused its WebSocket
    upgrade as wrong, with HTTP 400, 401, 403 or 404, although the kit had made no mistake in it. `intent` is
    what the kit did on purpose, to provoke the server. Yield nothing for a trace that a proxy recorded (it
    has no `plan_token`): nobody knows what was wrong in it."""
    provocations = _map_provocations(story)
    events = list(story.trace.on_lane(Lane.UPSTREAM)) if story.trace.header.plan_token else []
    for event in events:
        intent = provocations.get(event.connection)
        if not isinstance(event.content, Refused) or intent not in _NO_MISTAKES:
            continue
        status = event.content.status
        if status in _MISTAKEN_UPGRADE:
            place = "in the query" if intent is Provocation.TOKEN_IN_QUERY else "in headers"
            expected = f"a session for a token {place} that was given out just before"
            yield Broken(expected, f"HTTP {status} {event.content.reason}", (event.seq,))


def _is_refused_without_other_sessions(story: Story, session: _Session) -> bool:
    """Return whether the server refused this session because there are too many, although the kit has had no
    other session open in the seconds before, as this trace shows. Return False for a trace that a proxy
    recorded (it has no `plan_token`): others may have had sessions."""
    trace = story.trace
    if not (trace.header.plan_token and session.answers):
        return False
    refusal = session.answers[0]
    if not tells_of_too_many_sessions(refusal.content):
        return False
    since_ns = refusal.at_ns - int(ROOM_SECONDS * 1e9)
    own = session.first_message.connection
    ended_at = {
        event.connection: event.at_ns
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.content, Closed) and event.connection != own
    }
    opened = [
        event.connection
        for event in trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.content, Opened) and event.connection != own and event.seq < refusal.seq
    ]
    return bool(opened) and all(ended_at.get(name, refusal.at_ns) <= since_ns for name in opened)


def _map_provocations(story: Story) -> dict[str, Provocation]:
    """Return the provocation on each connection: what the kit did there on purpose to provoke the server, the
    newest if there is more than one."""
    return {
        event.connection: event.content.intent
        for event in story.trace.on_lane(Lane.KIT)
        if isinstance(event.content, Provoked)
    }


def _list_sessions(story: Story) -> list[_Session]:
    """Return the sessions with the server under test: each connection on which a client sent a message, with
    the server's answers, and whether the kit waited until the handshake or the session was over. The client
    is the kit, or a relay if a proxy recorded the trace."""
    class_of_frames_up = class_of_frames_to_server(story.trace)
    provocations = _map_provocations(story)
    sessions: dict[str, _Session] = {}
    for event in story.trace.events:
        session = sessions.get(event.connection)
        match event.content:
            case Sent() | Received() if event.lane is Lane.UPSTREAM:
                if session is None and isinstance(event.content, class_of_frames_up):
                    sessions[event.connection] = _Session(event, provocations.get(event.connection))
                elif session is not None and not isinstance(event.content, class_of_frames_up):
                    session.answers.append(event)
            case WaitEnded(Awaited.HANDSHAKE) if session is not None:
                session.waited = True
            case Closed(code=code) if session is not None:
                session.waited, session.closed = True, (event.seq, code)
    return list(sessions.values())


def _is_valid_configuration(message: Event) -> bool:
    """Return whether this message configures a session as the documents say, so that a server must confirm
    it. Return False if it asks for an egress: the service may refuse the egress itself."""
    match message.content:
        case (
            Sent(value=ConfigureSession() as configuration)
            | Received(value=ConfigureSession() as configuration)
        ):
            return (
                configuration.sample_rate in _RATES_BY_FORMAT.get(configuration.audio_format, ())
                and configuration.egress_type == EgressType.UNSPECIFIED
            )
    return False


def _find_audio_format(message: Event) -> int | None:
    """Return the audio format that this message configures; None if it configures nothing."""
    value = getattr(message.content, "value", None)
    return value.audio_format if isinstance(value, ConfigureSession) else None


def _find_first_answer(session: _Session) -> object:
    """Return the first message that came back on a session; None if nothing came."""
    content = session.answers[0].content if session.answers else None
    return content.value if isinstance(content, Sent | Received) else None


def _describe_silence(story: Story, session: _Session) -> str:
    """Return in words that nothing came back on a session, and whether the server closed it."""
    end_seq = len(story.trace.events)
    return f"nothing{describe_close_by_server(story.trace, session.first_message.connection, end_seq)}"


def _describe_message(message_value: object) -> str:
    """Return in words which message the server sent, to name it in a breach."""
    match message_value:
        case ServerError(code=code, message=message):
            return f"a ServerError {code} {message!r}"
        case ConfirmSession(connection_id):
            return f"a ServerConfirmSession with the connection_id {connection_id!r}"
        case MotionResponse():
            return "motion"
    return f"a {type(message_value).__name__}"
