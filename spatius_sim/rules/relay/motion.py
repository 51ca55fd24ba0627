"""R rules on motion: it arrives verbatim, complete and in order."""

from collections.abc import Iterator
from itertools import pairwise

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.rules.findings import Broken, Kept, Late, Owed
from spatius_sim.rules.rule import Advice, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import lag_seconds
from spatius_sim.story.join_turns import ORDINARY_BYTES, Delivery, SentPayload, Story, Turn, UpstreamRequest
from spatius_sim.trace.events import Closed, Lane
from spatius_sim.wires.optional_features import AUDIO, END_MARKS, LATE_MOTION, MOTION_END, STREAMING


@rule(
    "R-MOTION-VERBATIM",
    Level.MUST,
    "every motion payload MUST arrive byte for byte as Motion Server sent it",
    "seed:002, seed:004",
    Provenance.DOCUMENTED,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the voice plays and the face is still: the client cannot decode the motion",
        "the relay decodes payloads and encodes them again, takes bytes for text, unwraps the envelope, or "
        "cuts or joins payloads",
        "pass on the bytes that Motion Server sent (transport_frames gives them) as they are, each "
        "payload whole",
    ),
)
def motion_verbatim(story: Story) -> Iterator[Kept | Broken]:
    """Look at each motion payload that arrived: Motion Server sent a payload of the same bytes."""
    for delivery in story.deliveries:
        if delivery.sent is not None:
            yield Kept()
        elif not _in_a_large_turn(story, delivery):
            yield Broken(
                "the bytes of a payload that Motion Server sent",
                f"{delivery.client} got {len(delivery.raw)} bytes that Motion Server never sent",
                (delivery.seq,),
            )


def _in_a_large_turn(story: Story, delivery: Delivery) -> bool:
    """Return whether this motion came in a turn with larger payloads than usual. The rules on motion leave
    such a turn to R-LARGE and R-HUGE (large payloads arrive once)."""
    return any(
        turn.client == delivery.client
        and turn.started_seq < delivery.seq < turn.until_seq
        and turn.largest > ORDINARY_BYTES
        for turn in story.turns
    )


@rule(
    "R-MOTION-COMPLETE",
    Level.MUST,
    "in a clean turn no motion payload MUST be lost and none doubled",
    "seed:001",
    Provenance.DOCUMENTED,
    presumes=("E-LIMIT", "R-RECOVER", "R-MOTION-VERBATIM", "R-MOTION-ORDER"),
    speech=Speech.TELLS_TURNS_APART,
    advice=Advice(
        "the face is still for some seconds in mid-sentence, or does the same twice",
        "a full queue drops payloads, a filter takes equal ones for doubles, the turn is ended before its "
        "last motion, or it goes to another client",
        "pass each payload on once; wait when a queue is full, and wait for end=true before you end the turn",
    ),
)
def motion_complete(story: Story) -> Iterator[Kept | Broken | Late]:
    """Look at each motion payload that Motion Server sent for a clean turn: the payload arrived at the client
    exactly once. The rule is also broken if the relay had ended a turn's audio, and then interrupted the turn
    or closed the session before Motion Server had sent all motion of the turn, while its client was there and
    had not gone on to its next turn. A relay that asked for the same motion again and got it is excused."""
    for turn in story.clean_turns:
        payloads = turn.payloads
        for request in turn.requests:
            if (
                request.given_up_seq is not None
                and request.given_up_seq < _find_departure(story, turn)
                and _is_due(request)
                and not _asked_again(request, turn)
            ):
                broken = Broken(
                    f"all motion of {turn.name}, until Motion Server says end=true",
                    f"the relay gave the motion up: payloads that had come by then: {len(request.payloads)}",
                    (request.ends[0], request.given_up_seq),
                    owed=(Owed(f"the rest of the motion of {turn.name}", turn.client, request.given_up_seq),),
                )
                stalled = lag_seconds(story.trace, request.ends[0], request.given_up_seq)
                yield Late(stalled) if stalled else broken
        for number, payload in enumerate(payloads, 1):
            arrived = [delivery for delivery in payload.deliveries if delivery.client == turn.client]
            if len(arrived) == 1:
                yield Kept()
                continue
            elsewhere = [delivery for delivery in payload.deliveries if delivery not in arrived]
            arrival = f"arrived {len(arrived)} times" if arrived else "never arrived"
            if elsewhere and not arrived:
                arrival = f"came to {elsewhere[0].client} instead"
            yield Broken(
                f"each of the {len(payloads)} payloads of {turn.name} once",
                f"payload {number} of {len(payloads)} {arrival}",
                (payload.seq, *(delivery.seq for delivery in arrived or elsewhere)),
                ("E-LIMIT", "R-MOTION-ORDER", "R-STALE", *(("R-ISOLATION",) if elsewhere else ())),
                () if arrived else (Owed(f"payload {number} of {turn.name}", turn.client, payload.seq),),
            )


def _find_departure(story: Story, turn: Turn) -> int:
    """Return the number of the event with which the client of this turn goes on to its next turn or closes
    the connection."""
    closes = (
        event.seq
        for event in story.trace.on_lane(Lane.DOWNSTREAM)
        if event.connection == turn.client
        and event.seq > turn.started_seq
        and isinstance(event.content, Closed)
        and event.content.by_kit
    )
    return min(turn.until_seq, next(closes, turn.until_seq))


def _is_due(request: UpstreamRequest) -> bool:
    """Return whether Motion Server owes motion for the audio of this request. It owes none for silence, and
    none for less than a keyframe of PCM (ASSUMED)."""
    if request.configured.audio_format != AudioFormat.PCM_S16LE:
        return bool(request.audio)
    samples = len(request.audio) // BYTES_PER_SAMPLE
    long_enough = request.sample_rate > 0 and keyframe_count(samples, request.sample_rate) > 0
    return long_enough and any(request.audio)


def _asked_again(given_up: UpstreamRequest, turn: Turn) -> bool:
    """Return whether a later request of this turn, which Motion Server answered to its end, holds the audio
    of a request that the relay had given up."""
    return any(
        request.answered and given_up.audio in request.audio
        for request in turn.requests
        if request.first_seq > given_up.first_seq
    )


@rule(
    "R-MOTION-ORDER",
    Level.MUST,
    "payloads of one conversation MUST arrive in the order in which they were sent",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=("R-MOTION-VERBATIM",),
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the face jumps back and forth",
        "each payload is sent by a task of its own, and one overtakes another",
        "send motion from one queue, in the order in which it came",
    ),
)
def motion_order(story: Story) -> Iterator[Kept | Broken]:
    """Look at each two neighbouring payloads of a conversation: they arrived in the order in which they were
    sent. Payloads of two requests may come in either order if their answers overlapped."""
    for arrived in _group_by_conversation(story).values():
        for (first_payload, first_delivery), (second_payload, second_delivery) in pairwise(arrived):
            request_began = first_payload.request.first_seq
            if first_payload.seq < second_payload.seq or request_began < second_payload.request.first_seq:
                yield Kept()
            else:
                yield Broken(
                    "payloads of one conversation in the order in which they were sent",
                    f"{second_delivery.client} got the payload sent as event {second_payload.seq} behind the "
                    f"one sent as event {first_payload.seq}",
                    (second_payload.seq, first_payload.seq, first_delivery.seq, second_delivery.seq),
                )


@rule(
    "R-END-MOTION",
    Level.SHOULD,
    "the last motion of a turn SHOULD be marked as last, if the wire can say so",
    "sdk-py",
    Provenance.OBSERVED,
    presumes=("R-CONVERSATION",),
    needs=(MOTION_END,),
    speech=Speech.TELLS_TURNS_APART,
    advice=Advice(
        "nothing with clients that go by the audio; others wait for motion that never comes",
        "the relay does not pass on end=true",
        "mark the last motion, as transport_frames says it by its second argument",
    ),
)
def end_motion(story: Story) -> Iterator[Kept | Broken]:
    """Look at each clean turn whose motion Motion Server has ended: the relay marked the last motion for the
    client as last. A mark without motion counts for the motion before it, and a mark on motion of another
    turn for that turn. Each request of the turn may have a mark."""
    for turn in story.clean_turns:
        arrived = [
            delivery
            for payload in turn.payloads
            for delivery in payload.deliveries
            if delivery.client == turn.client
        ]
        if not arrived or not any(payload.response.end for payload in turn.payloads):
            continue
        last = max(arrived, key=lambda delivery: delivery.seq)
        marks = _marks_of_turn(story, turn, last)
        early = [mark for mark in marks if _comes_too_early(mark, arrived)]
        if any(mark >= last.seq for mark in marks) and not early:
            yield Kept()
        else:
            actual = "motion came after the mark" if marks else "it was never marked"
            expected = f"the last motion of {turn.name} marked as last"
            mark = Owed("the end mark of the motion", turn.client, last.seq)
            owed = () if marks else (mark,)
            yield Broken(expected, actual, (*marks, last.seq), ("R-CONVERSATION",), owed)


@rule(
    "R-LATE-MARK",
    Level.SHOULD,
    "the last motion of a turn SHOULD come before the end mark of its audio, if the wire says that clients "
    "drop later motion",
    "demos",
    Provenance.OBSERVED,
    presumes=("R-MOTION-VERBATIM", "R-END-AUDIO", "R-TURNS"),
    needs=(AUDIO, STREAMING, END_MARKS),
    speech=Speech.TELLS_TURNS_APART,
    only_lacking=LATE_MOTION,
    advice=Advice(
        "the face is still at the end of each sentence: the client drops the motion that comes after the end "
        "mark",
        "the end mark is sent when the audio is over, though Motion Server still sends motion",
        "hold the end mark of the audio back until the motion with end=true has been sent, or has failed",
    ),
)
def late_mark(story: Story) -> Iterator[Kept | Broken]:
    """Look at each clean turn with an end mark: all motion that the client got of the turn came before the
    first end mark of the turn's audio, or with it."""
    for turn in story.clean_turns:
        arrived = [
            delivery.seq
            for payload in turn.payloads
            for delivery in payload.deliveries
            if delivery.client == turn.client
        ]
        marks = [mark for conversation in turn.conversations for mark in conversation.marks]
        if not arrived or not marks:
            continue
        late = [seq for seq in arrived if seq > min(marks)]
        if late:
            yield Broken(
                f"the end mark of the audio of {turn.name} after the last motion",
                f"the mark came, and then {len(late)} of {len(arrived)} payloads",
                (min(marks), *late),
            )
        else:
            yield Kept()


def _marks_of_turn(story: Story, turn: Turn, last: Delivery) -> list[int]:
    """Return the marks of motion, as numbers of events, in the conversation of the turn's `last` motion.
    Leave out those that came on motion of other turns alone: if such motion is stale, R-STALE judges it, and
    it may come before or after motion of this turn."""
    marks = last.conversation.motion_marks if last.conversation is not None else []
    turns_by_mark: dict[int, list[Turn | None]] = {mark: [] for mark in marks}
    for delivery in story.deliveries:
        if delivery.seq in turns_by_mark and delivery.sent is not None:
            turns_by_mark[delivery.seq].append(delivery.sent.request.turn)
    return [
        mark for mark, turns in turns_by_mark.items() if not turns or any(marked is turn for marked in turns)
    ]


def _comes_too_early(mark_seq: int, arrived: list[Delivery]) -> bool:
    """Return whether the client got the end mark of motion at event `mark_seq` too early: more motion of the
    same request came after the mark. The request is that of the newest payload which had arrived by then."""
    before = [delivery for delivery in arrived if delivery.seq <= mark_seq and delivery.sent is not None]
    marked = max(before, key=lambda delivery: delivery.seq, default=None)
    if marked is None or marked.sent is None:
        return False
    request = marked.sent.request
    return any(
        delivery.seq > mark_seq and delivery.sent is not None and delivery.sent.request is request
        for delivery in arrived
    )


def _group_by_conversation(story: Story) -> dict[tuple[str, int], list[tuple[SentPayload, Delivery]]]:
    """Group the motion payloads that the relay delivered by conversation: each as (sent by Motion Server,
    delivered to the client). Payloads that came twice, motion of another client, and motion of a turn that
    was cut off in the conversation of another turn are left out."""
    arrived: dict[tuple[str, int], list[tuple[SentPayload, Delivery]]] = {}
    for delivery in story.deliveries:
        if delivery.sent is None or delivery.doubled:
            continue
        turn = delivery.sent.request.turn
        joined_turn = delivery.conversation.turn if delivery.conversation else None
        if turn is not None and turn.abandoned and joined_turn is not None and joined_turn is not turn:
            continue  # R-STALE judges what is left of a turn that was cut off.
        if turn is None or turn.client == delivery.client:
            key = (delivery.client, id(delivery.conversation))
            arrived.setdefault(key, []).append((delivery.sent, delivery))
    return arrived
