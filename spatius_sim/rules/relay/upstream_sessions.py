"""U rules on a relay's upstream sessions, as Motion Server and the Console API see them: tokens,
configuration, attempts after a refusal, and the close after a client hung up."""

from collections.abc import Iterator, Sequence

from spatius_sim.protocol.audio import OPUS_SAMPLE_RATES, PCM_SAMPLE_RATES
from spatius_sim.protocol.console_api import MAX_TOKEN_LIFE_SECONDS
from spatius_sim.protocol.messages import AudioFormat, ConfigureSession
from spatius_sim.rules.findings import Broken, Kept, Late
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import judge_time_limit
from spatius_sim.story.turn_story import Story
from spatius_sim.trace.events import (
    Awaited,
    Closed,
    Event,
    Lane,
    Opened,
    Received,
    Refused,
    TokenRequested,
    TurnStarted,
    Undecodable,
    WaitEnded,
)
from spatius_sim.wires.optional_features import OWN_STREAM, OWN_UPSTREAM, STREAMING

_BAD_TOKEN_STATUSES = (400, 401)
_NOT_WORTH_A_RETRY = (4001, 4003, 4010)
"""Close codes of Motion Server: no credits, too many sessions, no valid login. After 4002 (the session's time
is over) and 4503 (try again) a new connection is expected."""
_MAX_ATTEMPTS = 5
"""The most attempts for each client within _AFTER_REFUSAL_NS."""
_AFTER_REFUSAL_NS = 10_000_000_000
"""For how long after a refusal attempts are counted."""
_MAX_ATTEMPTS_OF_A_TURN = 3
"""The most further attempts for each turn that begins within this time."""

HANG_UP_SECONDS = 5.0
"""How long an upstream session may outlive its client."""
_HUNG_UP = Closed(by_kit=True, code=1000)


@rule(
    "U-TOKEN",
    Level.MUST,
    "the relay MUST ask the Console API for a token, with an expiry in the window, before it connects",
    "seed:000",
    Provenance.DOCUMENTED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face: Motion Server lets nobody in without a valid token",
        "expireAt is in milliseconds, in the past or too far ahead; or the relay connects with a token of"
        " its own making",
        "before each connection ask the Console API for a token, with expireAt in unix seconds, less than"
        " 24 h ahead",
    ),
)
def check_tokens(story: Story) -> Iterator[Kept | Broken]:
    """Check each token request of the relay: its expireAt must lie in the allowed window. Also check each
    connection to Motion Server: its token must have been issued by the Console API. Motion Server refuses any
    other."""
    for event in story.trace.events:
        match event.content:
            case TokenRequested(_, int(expire_at), now) if not now < expire_at < now + MAX_TOKEN_LIFE_SECONDS:
                life_seconds = expire_at - now
                actual = f"expireAt lay {life_seconds:.0f} s ahead"
                yield Broken("expireAt within the next 24 h", actual, (event.seq,))
            case TokenRequested(expire_at=None):
                yield Broken("a body with expireAt", "the body named no expireAt", (event.seq,))
            case Refused(status, reason, "") if status in _BAD_TOKEN_STATUSES:
                actual = f"it connected with something else and was refused: {reason}"
                yield Broken("a token that the Console API issued", actual, (event.seq,))
            case Opened() if event.lane is Lane.UPSTREAM:
                yield Kept()


@rule(
    "U-CONFIGURE",
    Level.MUST,
    "the relay's first message MUST configure a supported rate, mono s16le or Ogg Opus",
    "docs:audio",
    Provenance.DOCUMENTED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face: Motion Server refuses the session",
        "the rate is that of a microphone or a voice, and none of the supported ones; or something else "
        "is sent first",
        "send ClientConfigureSession first, with a supported rate (16000, 24000, 48000 Hz, ...) and mono;"
        " resample if you must",
    ),
)
def check_configuration(story: Story) -> Iterator[Kept | Broken]:
    """Check the first message on each connection to Motion Server: it must configure a supported sample rate
    and audio format."""
    judged_connections: set[str] = set()
    for event in story.trace.on_lane(Lane.UPSTREAM):
        if not isinstance(event.content, Received) or event.connection in judged_connections:
            continue
        judged_connections.add(event.connection)
        fault = _find_configuration_fault(event.content)
        if fault:
            expected = "first a ClientConfigureSession with a supported rate and format"
            yield Broken(expected, fault, (event.seq,))
        else:
            yield Kept()


@rule(
    "U-TOKEN-FRESH",
    Level.SHOULD,
    "the relay SHOULD ask for a fresh token for each connection",
    "docs:auth",
    Provenance.DOCUMENTED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "nothing here; if the service refuses a token that was used before, a still face from the second "
        "connection on",
        "the relay keeps its first token for all connections",
        "ask the Console API for a token for each connection",
    ),
)
def check_tokens_are_fresh(story: Story) -> Iterator[Kept | Broken]:
    """Check each connection to Motion Server after the first: it must use a token that no earlier connection
    used."""
    seq_by_used_token: dict[str, int] = {}
    for event in story.trace.on_lane(Lane.UPSTREAM):
        if not isinstance(event.content, Opened) or not event.content.token:
            continue
        token = event.content.token
        if token in seq_by_used_token:
            actual = f"{token} opened this one and another one before"
            yield Broken(
                "a token of its own for each connection", actual, (seq_by_used_token[token], event.seq)
            )
        elif seq_by_used_token:
            yield Kept()
        seq_by_used_token[token] = event.seq


@rule(
    "U-RETRY",
    Level.SHOULD,
    "after a refusal that no retry mends (a 4xx, or a close with 4001, 4003 or 4010) a relay SHOULD make at "
    "most 5 attempts in 10 s for each client",
    "docs:state-events, docs:server-error; the figures are our reading",
    Provenance.ASSUMED,
    needs=(OWN_UPSTREAM,),
    waits="ten seconds have to pass after a refusal",
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face, whatever the relay tries; and the service is flooded with attempts that cannot "
        "succeed",
        "a loop tries again at once, and does not look at the status or the close code",
        "after a 4xx, 4001, 4003 or 4010 stop, tell the client, and try again with the next turn at the "
        "earliest",
    ),
)
def check_retries(story: Story) -> Iterator[Kept | Broken]:
    """Check the 10 s after each refusal that no retry can mend. The relay must make at most 5 attempts for
    each client without a session. Each turn that begins allows 3 more, because then a user has asked again.
    An attempt asks for a token, opens a session, or both. Nothing is judged if the trace has no client. No
    Kept is yielded if the trace ends within the 10 s."""
    events = story.trace.events
    clients = {event.connection for event in story.trace.on_lane(Lane.DOWNSTREAM)}
    for refusal in filter(_is_refusal, events if clients else ()):
        # A session that stays open serves a client, for which there is no reason to try again.
        refused_count = max(1, len(clients) - _count_sessions_that_stay_open(events, refusal))
        events_within = [
            event for event in events[refusal.seq + 1 :] if event.at_ns <= refusal.at_ns + _AFTER_REFUSAL_NS
        ]
        token_request_seqs = [
            event.seq for event in events_within if isinstance(event.content, TokenRequested)
        ]
        upgrade_seqs = [
            event.seq
            for event in events_within
            if event.lane is Lane.UPSTREAM and isinstance(event.content, Opened | Refused)
        ]
        turn_count = sum(isinstance(event.content, TurnStarted) for event in events_within)
        attempt_seqs = max(token_request_seqs, upgrade_seqs, key=len)
        allowed_count = _MAX_ATTEMPTS * refused_count + _MAX_ATTEMPTS_OF_A_TURN * turn_count
        if len(attempt_seqs) > allowed_count:
            expected = f"at most {_MAX_ATTEMPTS} attempts for each client in the 10 s after a refusal"
            turns_in_words = "a turn" if turn_count == 1 else f"{turn_count} turns"
            began = f", in which {turns_in_words} began" if turn_count else ""
            actual = f"{len(attempt_seqs)} for {refused_count}{began}"
            yield Broken(expected, actual, (refusal.seq, *attempt_seqs))
        elif len(events_within) < len(events) - refusal.seq - 1:
            yield Kept()


def _count_sessions_that_stay_open(events: Sequence[Event], refusal: Event) -> int:
    """Return how many sessions with Motion Server were opened before this refusal and are still open 10 s
    after it, or at the end of the trace."""
    until_ns = refusal.at_ns + _AFTER_REFUSAL_NS
    opened = {
        event.connection
        for event in events[: refusal.seq]
        if event.lane is Lane.UPSTREAM and isinstance(event.content, Opened)
    }
    closed = {
        event.connection
        for event in events
        if event.lane is Lane.UPSTREAM and isinstance(event.content, Closed) and event.at_ns <= until_ns
    }
    return len(opened - closed)


def _is_refusal(event: Event) -> bool:
    """Return whether this event refuses the relay a session with Motion Server, so that it must not try again
    to open it: the Console API or Motion Server answered with a 4xx, or Motion Server closed the session's
    connection with a code after which no retry helps."""
    match event.content:
        case TokenRequested(status=status) | Refused(status=status):
            return 400 <= status < 500
        case Closed(by_kit=True, code=code):
            return event.lane is Lane.UPSTREAM and code in _NOT_WORTH_A_RETRY
    return False


def _find_configuration_fault(first_message: Received) -> str:
    """Return in words what is wrong with the first message on a connection to Motion Server. Return "" if it
    configures a supported audio format and sample rate."""
    match first_message.value:
        case Undecodable(reason):
            return reason
        case ConfigureSession(sample_rate=rate, audio_format=AudioFormat.PCM_S16LE):
            return "" if rate in PCM_SAMPLE_RATES else f"{rate} Hz for PCM"
        case ConfigureSession(sample_rate=rate, audio_format=AudioFormat.OGG_OPUS):
            return "" if rate in OPUS_SAMPLE_RATES else f"{rate} Hz for Ogg Opus"
        case ConfigureSession(audio_format=number):
            return f"audio format {number}"
        case message:
            return f"first a {type(message).__name__}"


@rule(
    "U-HANGUP",
    Level.SHOULD,
    "after its client's closing handshake the upstream session SHOULD be closed within 5 s",
    "docs:lifecycle",
    Provenance.DOCUMENTED,
    presumes=(),
    needs=(OWN_UPSTREAM, STREAMING),
    waits="the relay has five seconds to hang up",
    seen_in=Half.UPSTREAM,
    advice=Advice(
        "nothing, but the session stays open, and connected time is paid for",
        "the relay does not notice that its client left, or keeps the session for the next one",
        "close the session when its client leaves; if you keep a pool on purpose: --lacks own-upstream",
    ),
)
def check_hang_ups(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each client that hung up: the relay must close the client's upstream sessions in time
    (`find_sessions_to_close`). If the relay sends the same to all clients, sessions may stay open while other
    clients stay."""
    all_hear_the_same = OWN_STREAM in story.trace.header.lacks
    waits = [
        event
        for event in story.trace.on_lane(Lane.KIT)
        if isinstance(event.content, WaitEnded) and event.content.what_for is Awaited.HANG_UP
    ]
    for wait in waits:
        hang_up_seq = _find_hang_up_seq(story, wait)
        if hang_up_seq is None or (all_hear_the_same and _does_another_client_stay(story, wait)):
            continue
        for session_connection in find_sessions_to_close(story, wait.connection):
            opened_seq, closed_seq = _find_open_and_close_seqs(story, session_connection)
            if closed_seq < hang_up_seq:
                continue
            judged_seq = min(closed_seq, wait.seq)
            broken = Broken(
                f"the upstream session of {wait.connection} closed within {HANG_UP_SECONDS:.0f} s of its "
                "hanging up (a relay that keeps a pool of them declares that it lacks own-upstream)",
                f"{session_connection} was still open",
                (hang_up_seq, judged_seq),
            )
            outcome = judge_time_limit(
                story.trace, max(hang_up_seq, opened_seq), judged_seq, HANG_UP_SECONDS, broken
            )
            # A wait that was cut short shows nothing.
            if judged_seq == closed_seq or not isinstance(outcome, Kept):
                yield outcome


def _does_another_client_stay(story: Story, wait: Event) -> bool:
    """Return whether another client was still connected when this wait for a hang-up ended."""
    connected: set[str] = set()
    for event in story.trace.on_lane(Lane.DOWNSTREAM):
        if event.seq < wait.seq and isinstance(event.content, Opened):
            connected.add(event.connection)
        elif event.seq < wait.seq and isinstance(event.content, Closed):
            connected.discard(event.connection)
    return bool(connected - {wait.connection})


def _find_hang_up_seq(story: Story, wait_ended: Event) -> int | None:
    """Return the number of the last event at which a client hung up before the kit stopped waiting for its
    upstream sessions to close (the event `wait_ended`). Return None if it did not hang up."""
    downstream = story.trace.on_lane(Lane.DOWNSTREAM)
    hang_ups = (
        event.seq
        for event in downstream
        if event.connection == wait_ended.connection and event.content == _HUNG_UP
    )
    return max((seq for seq in hang_ups if seq < wait_ended.seq), default=None)


def find_sessions_to_close(story: Story, client: str) -> list[str]:
    """Return the sessions, as connections to Motion Server, that a relay must close if this client hangs up:
    those that carried the client's audio. If it was the only client, also return all that were opened after
    it had connected."""
    session_connections = [
        request.connection
        for request in story.requests
        if request.turn is not None and request.turn.client == client
    ]
    client_openings = [
        event for event in story.trace.on_lane(Lane.DOWNSTREAM) if isinstance(event.content, Opened)
    ]
    if {event.connection for event in client_openings} == {client}:
        session_connections += [
            event.connection
            for event in story.trace.on_lane(Lane.UPSTREAM)
            if isinstance(event.content, Opened) and event.seq > client_openings[0].seq
        ]
    return list(dict.fromkeys(session_connections))


def _find_open_and_close_seqs(story: Story, session_connection: str) -> tuple[int, int]:
    """Return the numbers of the events at which a session with Motion Server was opened and closed. If it was
    never closed, the second is the number of events in the trace."""
    events = [event for event in story.trace.on_lane(Lane.UPSTREAM) if event.connection == session_connection]
    opened_seq = next((event.seq for event in events if isinstance(event.content, Opened)), 0)
    closed_seq = next(
        (event.seq for event in events if isinstance(event.content, Closed)), len(story.trace.events)
    )
    return opened_seq, closed_seq
