"""S rules on motion responses, in which Motion Server answers the audio of a request."""

from collections.abc import Iterator

import numpy as np

from spatius_sim.protocol.audio import (
    BYTES_PER_SAMPLE,
    KEYFRAMES_PER_SECOND,
    segment_end,
)
from spatius_sim.protocol.codec import MAX_MESSAGE_BYTES
from spatius_sim.protocol.keyframes import Keyframes
from spatius_sim.protocol.messages import (
    AudioInput,
    ConfirmSession,
    EgressType,
    MotionResponse,
    Pause,
    ServerError,
)
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.story.frames_and_closes_at_server import (
    class_of_frames_to_server,
    describe_close_by_server,
    find_close_by_server,
)
from spatius_sim.story.keyframes_of_audio import find_keyframes_of_audio, is_ogg_opus
from spatius_sim.story.turn_story import Story, UpstreamRequest
from spatius_sim.trace.events import Closed, Event, Lane, Provocation, Provoked, Received, Sent
from spatius_sim.wires.optional_features import IDS

_LOWEST, _HIGHEST = -32_767, 32_767
"""Samples of 16 bits at these values, or beyond, are clipped."""
_AUDIBLE_SECONDS = 1
"""How much sound a response must answer before anything is said of its movement."""
_MOVING_KEYFRAMES = 25
"""How many keyframes at least: fewer may be alike by chance."""

_UNAVAILABLE = 14
_LIMITS_FROM = 4000
"""The codes by which the service says that credits, time or sessions are used up (protocol.md)."""


@rule(
    "S-MOTION-IDS",
    Level.MUST,
    "every response MUST carry the connection's id and the req_id of its audio",
    "recording",
    Provenance.OBSERVED,
    presumes=("S-CONFIRM",),
    needs=(IDS,),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face, or the motion of another sentence: relays tell turns apart by the req_id",
        "one req_id is kept for the whole connection, or the server makes up its own",
        "copy the req_id of the audio and the connection_id of the confirmation into every response",
    ),
)
def check_response_ids(story: Story) -> Iterator[Kept | Broken]:
    """Check each response with motion: it must carry the id of its connection, and a req_id that was sent on
    this connection. No request may be answered under the id of an earlier request that is over."""
    yield from _find_answers_under_wrong_id(story)
    class_of_frames_up = class_of_frames_to_server(story.trace)
    connection_ids: dict[str, str] = {}
    sent_req_ids: dict[str, set[str]] = {}
    for event in story.trace.on_lane(Lane.UPSTREAM):
        if not isinstance(event.content, Sent | Received):
            continue
        match isinstance(event.content, class_of_frames_up), event.content.value:
            case True, AudioInput(req_id=req_id):
                sent_req_ids.setdefault(event.connection, set()).add(req_id)
            case False, ConfirmSession(connection_id):
                connection_ids.setdefault(event.connection, connection_id)
            case False, MotionResponse(connection_id, req_id):
                expected_id = connection_ids.get(event.connection, "")
                if connection_id != expected_id:
                    yield Broken(f"connection_id {expected_id!r}", f"{connection_id!r}", (event.seq,))
                elif req_id not in sent_req_ids.get(event.connection, ()):
                    expected = "a req_id that was sent on this connection"
                    yield Broken(expected, f"req_id {req_id!r}", (event.seq,))
                else:
                    yield Kept()


@rule(
    "S-MOTION-END",
    Level.MUST,
    "each req_id that was not interrupted, met no limit of the service and has no egress MUST get exactly "
    "one response with end=true, its last; damaged Ogg Opus may be answered with an error or a close",
    "recording, sdk-py",
    Provenance.OBSERVED,
    presumes=("S-MOTION-IDS",),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the turn is never over: relay and client wait for the last motion, and the next turn waits too",
        "end=true is never sent, is sent on every response, or only after more audio; or the request was "
        "refused",
        "send end=true on the last response for each req_id, and on no other",
    ),
)
def check_end_of_motion(story: Story) -> Iterator[Kept | Broken]:
    """Check each answered request: its last response must have end=true, and no other one. An ordinary
    request of the kit must get no error, unless the error reports a limit of the service. A request whose
    Ogg Opus is damaged must not be left without an answer."""
    yield from _find_refused_requests(story)
    yield from _judge_damaged_requests(story)
    for request in _list_requests_to_answer(story):
        end_seqs = [payload.seq for payload in request.payloads if payload.response.end]
        if len(end_seqs) == 1 and request.payloads[-1].response.end:
            yield Kept()
            continue
        actual = f"{len(end_seqs)} of its {len(request.payloads)} responses had end=true"
        if not end_seqs:
            waited_seq = (request.turn and request.turn.waited_seq) or 0
            actual += describe_close_by_server(story.trace, request.connection, waited_seq)
        expected = f"end=true on the last response for {request.req_id}, once"
        expected += _describe_requests_with_same_req_id(story, request)
        yield Broken(expected, actual, (request.first_seq, *end_seqs))


@rule(
    "S-MOTION-COUNT",
    Level.MUST,
    "the keyframes of a req_id MUST be samples * 25 // rate, however the audio was cut; Ogg Opus counts at "
    "48 kHz",
    "recording",
    Provenance.OBSERVED,
    presumes=("S-MOTION-END",),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the face stops before the voice does, or goes on after it",
        "keyframes are rounded for each message instead of for the whole request, or the rate is a fixed one",
        "count the samples of the whole req_id: keyframes = samples * 25 // rate",
    ),
)
def check_keyframe_count(story: Story) -> Iterator[Kept | Broken]:
    """Check each answered request: the number of its keyframes must fit the length of its audio."""
    for request in _list_requests_to_answer(story):
        wanted_count = find_keyframes_of_audio(request)
        if wanted_count is None:
            continue
        actual_count = sum(len(payload.response.keyframes) for payload in request.payloads)
        if actual_count == wanted_count:
            yield Kept()
        else:
            samples = len(request.audio) // BYTES_PER_SAMPLE
            length = "this Ogg Opus" if is_ogg_opus(request) else f"{samples} samples"
            expected = f"{wanted_count} keyframes for {length} at {request.sample_rate} Hz"
            expected += _describe_requests_with_same_req_id(story, request)
            events = (request.first_seq, *(payload.seq for payload in request.payloads))
            yield Broken(expected, f"{actual_count} keyframes", events)


@rule(
    "S-MOTION-SEGMENTS",
    Level.SHOULD,
    "motion SHOULD come in segments of 50 keyframes first, then 100 each, the rest at the end; a "
    "closing response without keyframes is allowed",
    "recording",
    Provenance.OBSERVED,
    presumes=("S-MOTION-IDS",),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the face starts later than in production, or stalls elsewhere",
        "the server answers each message of audio by itself, or the whole request in one piece",
        "send 50 keyframes first, then 100 each, and the rest with end=true",
    ),
)
def check_segment_lengths(story: Story) -> Iterator[Kept | Broken]:
    """Check each request that was or should have been answered by several responses. Each must have as many
    keyframes as in the recording of the real service."""
    for request in _list_requests_to_answer(story):
        actual_counts = [len(payload.response.keyframes) for payload in request.payloads]
        wanted_counts = _split_into_recorded_segments(sum(actual_counts))
        if len(wanted_counts) < 2 and len(actual_counts) < 2:
            continue
        # A server that mixes up what came under one req_id breaks S-MOTION-COUNT or S-MOTION-END by that.
        if _find_requests_with_same_req_id(story, request):
            continue
        if actual_counts in (wanted_counts, [*wanted_counts, 0]):
            yield Kept()
        else:
            events = (request.first_seq, *(payload.seq for payload in request.payloads))
            yield Broken(
                f"segments of {_counts_in_words(wanted_counts)} keyframes",
                _counts_in_words(actual_counts),
                events,
            )


@rule(
    "S-MOTION-SHAPE",
    Level.MUST,
    "every keyframe MUST have the seven fields in their sizes, all finite, and a message at most 1,048,576 "
    "bytes",
    "recording, sdk-py",
    Provenance.OBSERVED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the voice plays and the face does not move, or takes an impossible shape",
        "a field is missing or has another size, a division gave NaN or infinity, or a clip is answered "
        "in bulk",
        "fill all seven fields in their sizes, with finite numbers, and send long motion in segments",
    ),
)
def check_keyframe_shape(story: Story) -> Iterator[Kept | Broken]:
    """Check each message of the server: it must not be larger than an SDK takes. Check each response: every
    keyframe must have all fields in their sizes, and only finite values."""
    for event, size in _find_oversized_messages(story):
        expected = f"messages of at most {MAX_MESSAGE_BYTES:,} bytes, as SDKs take"
        yield Broken(expected, f"one of {size:,} bytes", (event.seq,))
    expected = "seven fields in their sizes in every keyframe, all finite"
    for request in story.requests:
        for payload in request.payloads:
            response = payload.response
            if response.shape_fault:
                yield Broken(expected, response.shape_fault, (payload.seq,))
            elif not np.isfinite(response.keyframes).all():
                row = int(np.argmin(np.isfinite(response.keyframes).all(axis=1)))
                yield Broken(expected, f"keyframe {row} is not finite", (payload.seq,))
            else:
                yield Kept()


@rule(
    "S-MOTION-MOVES",
    Level.SHOULD,
    "the motion of audible speech SHOULD move, and no response repeats an earlier one of its req_id",
    "recording",
    Provenance.OBSERVED,
    presumes=("S-MOTION-COUNT", "S-MOTION-SHAPE"),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a still face while the avatar speaks, or the same movement again and again",
        "a model that has lost its state, or a cache whose key is too small",
        "make the motion of each response from the audio that it answers",
    ),
)
def check_motion_varies(story: Story) -> Iterator[Kept | Broken]:
    """Check each response with at least a second of motion for at least a second of audible, not clipped
    speech (PCM alone shows that); shorter responses are taken together. The keyframes must not be all alike,
    and must not repeat earlier ones of the request."""
    expected = "motion that goes with what is said"
    for request in _list_requests_to_answer(story):
        if is_ogg_opus(request):
            continue
        pcm = np.frombuffer(request.audio[: len(request.audio) // BYTES_PER_SAMPLE * 2], "<i2")
        # Clipped speech may hold every mouth at its widest.
        audible = (pcm != 0) & (pcm > _LOWEST) & (pcm < _HIGHEST)
        seqs_by_keyframes: dict[bytes, tuple[int, ...]] = {}
        for first_keyframe, seqs, keyframes in _gather_seconds_of_motion(request):
            first_sample, last_sample = (
                number * request.sample_rate // KEYFRAMES_PER_SECOND
                for number in (first_keyframe, first_keyframe + len(keyframes))
            )
            if np.count_nonzero(audible[first_sample:last_sample]) < _AUDIBLE_SECONDS * request.sample_rate:
                continue
            same_seqs = seqs_by_keyframes.setdefault(keyframes.tobytes(), seqs)
            if (keyframes == keyframes[0]).all():
                where = "a response" if len(seqs) == 1 else f"{len(seqs)} responses"
                yield Broken(expected, f"all {len(keyframes)} keyframes of {where} are alike", seqs)
            elif same_seqs != seqs:
                yield Broken(expected, "the motion of an earlier response came again", (*same_seqs, *seqs))
            else:
                yield Kept()


def _gather_seconds_of_motion(
    request: UpstreamRequest,
) -> Iterator[tuple[int, tuple[int, ...], Keyframes]]:
    """Yield the motion of a request in pieces of at least a second: each response that is long enough, and
    shorter responses together, if no long one comes between them. Yield for each piece the number of its
    first keyframe, the events that brought it, and its keyframes. Shorter pieces are left out."""
    seqs: tuple[int, ...] = ()
    gathered: list[Keyframes] = []
    keyframe_count = 0
    for payload in request.payloads:
        keyframes = payload.response.keyframes
        keyframe_count += len(keyframes)
        if len(keyframes) >= _MOVING_KEYFRAMES:
            seqs, gathered = (), []
        if len(keyframes):
            seqs, gathered = (*seqs, payload.seq), [*gathered, keyframes]
        piece_count = sum(map(len, gathered))
        if piece_count >= _MOVING_KEYFRAMES:
            yield keyframe_count - piece_count, seqs, np.concatenate(gathered)
            seqs, gathered = (), []


def _find_answers_under_wrong_id(story: Story) -> Iterator[Broken]:
    """Yield Broken for each request that got no motion though the kit waited, if motion came in this time for
    an earlier request that was over. The server seems to have used the wrong id."""
    for request in story.requests:
        if request.payloads or not request.ends or request.turn is None or request.turn.waited_seq is None:
            continue
        if request.interrupted_seq is not None:
            continue  # Nothing is owed to it.
        for earlier in story.requests:
            if earlier.connection != request.connection or earlier.first_seq >= request.first_seq:
                continue
            end_seqs = [payload.seq for payload in earlier.payloads if payload.response.end]
            over_seq = min([*end_seqs, *filter(None, [earlier.interrupted_seq])], default=request.first_seq)
            late_seqs = [payload.seq for payload in earlier.payloads if payload.seq > request.first_seq]
            if over_seq < request.first_seq and late_seqs:
                actual = f"req_id {earlier.req_id!r}, which was over"
                yield Broken(f"req_id {request.req_id!r}", actual, (request.first_seq, late_seqs[0]))


def _find_requests_with_same_req_id(story: Story, request: UpstreamRequest) -> list[UpstreamRequest]:
    """Return the requests of other connections that have the same req_id as this request: the server may have
    mixed up its responses to them."""
    return [
        other
        for other in story.requests
        if other.req_id == request.req_id and other.connection != request.connection
    ]


def _describe_requests_with_same_req_id(story: Story, request: UpstreamRequest) -> str:
    """Return in words that another connection used the same req_id, which may explain wrong responses; "" if
    none did. The text begins with a comma, to be added to what was expected."""
    return (
        ", though another connection used this req_id too"
        if _find_requests_with_same_req_id(story, request)
        else ""
    )


def _split_into_recorded_segments(keyframe_total: int) -> list[int]:
    """Split a number of keyframes into segments, one for each motion response, as the real service did in the
    recording: the server under test should do the same. Return the number of keyframes of each segment."""
    segment_lengths: list[int] = []
    assigned = 0
    while assigned < keyframe_total:
        end = min(segment_end(len(segment_lengths)), keyframe_total)
        segment_lengths.append(end - assigned)
        assigned = end
    return segment_lengths


def _counts_in_words(counts: list[int]) -> str:
    """Return the counts of keyframes with commas between them; "no" if there are none."""
    return ", ".join(map(str, counts)) or "no"


def _find_provoked_connections(story: Story, intent: Provocation) -> set[str]:
    """Return the connections on which the kit did this on purpose."""
    return {event.connection for event in story.trace.on_lane(Lane.KIT) if event.content == Provoked(intent)}


def _find_connections_not_to_judge(story: Story) -> set[str]:
    """Return the connections whose requests are not judged as ordinary ones, which must be answered: those
    with damaged Ogg Opus; those on which the server sent a message that is too large, which S-MOTION-SHAPE
    judges; those that the server closed after their token had expired, which S-TOKEN-EXPIRY judges; and those
    on which the server refused a long clip, which no document forbids."""
    clips = _find_provoked_connections(story, Provocation.LONG_CLIP)
    may_be_closed = _find_provoked_connections(story, Provocation.OUTLIVED_TOKEN) | clips
    left_out = _find_provoked_connections(story, Provocation.DAMAGED_OPUS)
    left_out |= {event.connection for event, _ in _find_oversized_messages(story)}
    for event in story.trace.on_lane(Lane.UPSTREAM):
        match event.content:
            case Closed(by_kit=False) if event.connection in may_be_closed:
                left_out.add(event.connection)
            case Received(value=ServerError()) if event.connection in clips:
                left_out.add(event.connection)
    return left_out


def _find_oversized_messages(story: Story) -> list[tuple[Event, int]]:
    """Return the events with a response, or another message from Motion Server, that is larger than the SDKs
    take, each with its size in bytes. Messages to Motion Server do not count."""
    class_of_frames_up = class_of_frames_to_server(story.trace)
    return [
        (event, len(event.content.raw))
        for event in story.trace.on_lane(Lane.UPSTREAM)
        if isinstance(event.content, Sent | Received)
        and not isinstance(event.content, class_of_frames_up)
        and len(event.content.raw) > MAX_MESSAGE_BYTES
    ]


def _judge_damaged_requests(story: Story) -> Iterator[Kept | Broken]:
    """Judge whether the server left no request with damaged Ogg Opus without a response while the kit waited.
    The end of its motion, an error and the close of its connection are all right: no document says which of
    them must come."""
    connections = _find_provoked_connections(story, Provocation.DAMAGED_OPUS)
    for request in story.requests:
        waited_seq = request.turn.waited_seq if request.turn is not None else None
        if request.connection not in connections or waited_seq is None:
            continue
        close_code = find_close_by_server(story.trace, request.connection, waited_seq)
        if request.answered or request.stopped_early or close_code is not None:
            yield Kept()
        else:
            expected = f"end=true, an error or a close for {request.req_id}, whose Ogg Opus is damaged"
            actual = f"none of them after {len(request.payloads)} responses"
            yield Broken(expected, actual, (request.first_seq, waited_seq))


def _find_refused_requests(story: Story) -> Iterator[Broken]:
    """Yield Broken for each ordinary request of the kit that the server answered with an error instead of
    motion. Codes from 4000 on, and UNAVAILABLE, report limits of the service and are no breach. Requests with
    an egress, an expired token or damaged audio are left out, and those that were paused: a server may refuse
    that. So are those whose req_id another connection used before: no document says that a server must take
    it again.

    Yield nothing for a trace that a proxy recorded: nobody knows which of its requests were ordinary."""
    left_out_connections = _find_connections_not_to_judge(story)
    requests = {
        (request.connection, request.req_id): request
        for request in story.requests
        if request.configured.egress_type == EgressType.UNSPECIFIED
        and request.connection not in left_out_connections
    }
    events = list(story.trace.on_lane(Lane.UPSTREAM)) if story.trace.header.plan_token else []
    paused = {
        (event.connection, event.content.value.req_id)
        for event in events
        if isinstance(event.content, Sent) and isinstance(event.content.value, Pause)
    }
    for event in events:
        error = event.content.value if isinstance(event.content, Received) else None
        if not isinstance(error, ServerError) or _is_limit(error.code):
            continue
        request = requests.get((event.connection, error.req_id))
        if request is None or request.interrupted_seq is not None or request.turn is None:
            continue
        if (event.connection, error.req_id) in paused:
            continue
        if any(
            other.first_seq < request.first_seq for other in _find_requests_with_same_req_id(story, request)
        ):
            continue
        expected = f"motion for {request.req_id}, up to end=true"
        yield Broken(expected, f"ServerError {error.code} {error.message!r}", (request.first_seq, event.seq))


def _map_sessions_ended_by_limit(story: Story) -> dict[str, int]:
    """Return the connections on which the server reported that a limit of the service ends the session, each
    with the number of this event. The server need not send motion for later requests."""
    seq_by_connection: dict[str, int] = {}
    for event in story.trace.on_lane(Lane.UPSTREAM):
        match event.content:
            case Received(value=ServerError(req_id="", code=code)) if _is_limit(code):
                seq_by_connection.setdefault(event.connection, event.seq)
    return seq_by_connection


def _is_limit(code: int) -> bool:
    """Return whether an error with this code reports a limit of the service, or that it is unavailable."""
    return code == _UNAVAILABLE or code >= _LIMITS_FROM


def _list_requests_to_answer(story: Story) -> list[UpstreamRequest]:
    """Return the requests that the server must answer with all their motion on the socket. The client sent
    their audio to its end. They were not stopped early, have no egress, and have a known sample rate. They
    began before any limit of the service ended the session, and the kit must have waited for the answer.
    Requests of silence count only if they were answered: a server may ignore them (ASSUMED). Left out are
    connections that must not be judged."""
    left_out_connections = _find_connections_not_to_judge(story)
    ended_by_limit = _map_sessions_ended_by_limit(story)
    return [
        request
        for request in story.requests
        if request.ends
        and request.first_seq < ended_by_limit.get(request.connection, request.first_seq + 1)
        and request.connection not in left_out_connections
        and request.sample_rate > 0
        and request.configured.egress_type == EgressType.UNSPECIFIED
        and not request.stopped_early
        and (request.payloads or any(request.audio))
        and request.turn is not None
        and request.turn.waited_seq is not None
    ]
