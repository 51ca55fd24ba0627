"""R rules on motion to clients: it arrives verbatim, complete and in order."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, keyframe_count
from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.rules.findings import Broken, Kept, Late, Owed
from spatius_sim.rules.rule import Advice, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import kit_stall_seconds
from spatius_sim.story.faults_of_turns import LONGEST_BORNE_DELAY
from spatius_sim.story.speech_index import find_audible_piece
from spatius_sim.story.turn_story import ORDINARY_BYTES, Delivery, SentPayload, Story, Turn, UpstreamRequest
from spatius_sim.story.wrong_uploads import find_garbled_message
from spatius_sim.trace.events import Closed, Lane
from spatius_sim.wires.optional_features import (
    AUDIO,
    CLIENT_CHOOSES_SPEECH,
    END_MARKS,
    LATE_MOTION,
    MOTION_END,
    STREAMING,
)

_NS_PER_SECOND = 1e9


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
def check_payload_bytes(story: Story) -> Iterator[Kept | Broken]:
    """Check each motion payload that arrived at a client: Motion Server must have sent a payload of the same
    bytes. If it did not, and the turn has larger payloads than usual, R-LARGE and R-HUGE judge that."""
    for delivery in story.deliveries:
        if delivery.sent is not None:
            yield Kept()
        elif not _is_in_large_turn(story, delivery):
            yield Broken(
                "the bytes of a payload that Motion Server sent",
                f"{delivery.client} got {len(delivery.raw)} bytes that Motion Server never sent",
                (delivery.seq,),
            )


def _is_in_large_turn(story: Story, delivery: Delivery) -> bool:
    """Return whether this motion came in a turn with larger payloads than usual. Such a turn is judged by
    R-LARGE and R-HUGE alone."""
    return any(
        turn.client == delivery.client
        and turn.started_seq < delivery.seq < turn.until_seq
        and turn.largest > ORDINARY_BYTES
        for turn in story.turns
    )


@rule(
    "R-MOTION-COMPLETE",
    Level.MUST,
    "in a clean turn no motion payload MUST be lost, and in any turn none doubled",
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
def check_all_motion_arrives(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each motion payload that Motion Server sent for a clean (undisturbed) turn: it must arrive at the
    client exactly once.

    The rule is also broken if the relay gave up motion that was due. That is: it ended a turn's audio, and
    then interrupted the turn or closed the session before all motion had been sent. It is excused if its
    client was gone or in its next turn, or if it asked for the same motion again and got it.

    In any turn the rule is broken by motion that is passed on again, because the relay asked for it again
    after the client had a part: the conversation then has more motion than audio. If the relay chooses what
    is spoken, this is not judged: two turns may hold the same clip."""
    for turn in story.turns if CLIENT_CHOOSES_SPEECH not in story.trace.header.lacks else ():
        yield from _judge_motion_passed_on_again(turn)
    for turn in story.clean_turns:
        payloads = turn.payloads
        for request in turn.requests:
            if (
                request.given_up_seq is not None
                and request.given_up_seq < _find_departure_seq(story, turn)
                and _is_motion_due(request)
                and not _did_relay_ask_again(request, turn)
            ):
                broken = Broken(
                    f"all motion of {turn.name}, until Motion Server says end=true",
                    f"the relay gave the motion up: payloads that had come by then: {len(request.payloads)}",
                    (request.ends[0], request.given_up_seq),
                    ("U-RATE",) if request.sample_rate != turn.sample_rate else (),
                    owed=(Owed(f"the rest of the motion of {turn.name}", turn.client, request.given_up_seq),),
                )
                yield _judge_given_up(story, request, request.given_up_seq, broken)
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
                f"each payload of {turn.name} once, {len(payloads)} in all",
                f"payload {number} of {len(payloads)} {arrival}",
                (payload.seq, *(delivery.seq for delivery in arrived or elsewhere)),
                (
                    *("E-LIMIT", "R-MOTION-ORDER", "R-STALE"),
                    *(("R-ISOLATION",) if elsewhere else ()),
                    *(("U-AUDIO-COMPLETE",) if find_garbled_message(story, turn) else ()),
                ),
                () if arrived else (Owed(f"payload {number} of {turn.name}", turn.client, payload.seq),),
            )


def _judge_motion_passed_on_again(turn: Turn) -> Iterator[Broken]:
    """Yield Broken if two requests of this turn hold the same audible speech from its beginning, and the same
    part of their motion came into one conversation of the client. The second request may only bring motion
    that the client does not have yet."""
    arrived = [(request, _list_arrivals(request, turn)) for request in turn.requests]
    for (first, first_arrivals), (second, second_arrivals) in pairwise(arrived):
        size = min(len(first.audio), len(second.audio))
        same = bool(find_audible_piece(bytes(first.audio))) and first.audio[:size] == second.audio[:size]
        doubled = [
            (first_arrival.delivery, repeated_arrival.delivery)
            for first_arrival in first_arrivals
            for repeated_arrival in second_arrivals
            if first_arrival.first_keyframe < repeated_arrival.end_keyframe
            and repeated_arrival.first_keyframe < first_arrival.end_keyframe
            if first_arrival.delivery.conversation is repeated_arrival.delivery.conversation is not None
        ]
        if same and doubled:
            first_delivery, repeated_delivery = doubled[0]
            yield Broken(
                f"the motion of {turn.name} once",
                f"after {len(first_arrivals)} payloads it was passed on again",
                (first_delivery.seq, repeated_delivery.seq),
            )


class _Arrival(NamedTuple):
    """Motion that arrived at its client: its keyframes in the motion of its request, from number
    `first_keyframe` to before number `end_keyframe`, and the delivery."""

    first_keyframe: int
    end_keyframe: int
    delivery: Delivery


def _list_arrivals(request: UpstreamRequest, turn: Turn) -> list[_Arrival]:
    """Return the motion of this request that arrived at the client of this turn, each with the number of its
    first keyframe in the request, and of the one after its last."""
    arrivals, first_keyframe = [], 0
    for payload in request.payloads:
        end_keyframe = first_keyframe + len(payload.response.keyframes)
        own = (delivery for delivery in payload.deliveries if delivery.client == turn.client)
        arrivals += [_Arrival(first_keyframe, end_keyframe, delivery) for delivery in own]
        first_keyframe = end_keyframe
    return arrivals


def _find_departure_seq(story: Story, turn: Turn) -> int:
    """Return the number of the event with which the client leaves this turn, after which no more of its
    motion is due: the client goes on to its next turn, or closes the connection."""
    closes = (
        event.seq
        for event in story.trace.on_lane(Lane.DOWNSTREAM)
        if event.connection == turn.client
        and event.seq > turn.started_seq
        and isinstance(event.content, Closed)
        and event.content.by_kit
    )
    return min(turn.until_seq, next(closes, turn.until_seq))


def _judge_given_up(
    story: Story, request: UpstreamRequest, given_up_seq: int, broken: Broken
) -> Broken | Late:
    """Return `broken` for a request that the relay gave up at event number `given_up_seq`. But return Late if
    Motion Server had been silent for longer than a relay must bear, and the kit itself was stalled then."""
    sent_seqs = [payload.seq for payload in request.payloads if payload.seq < given_up_seq]
    silent_since_seq = max(request.ends[0], max(sent_seqs, default=0))
    events = story.trace.events
    silent_seconds = (events[given_up_seq].at_ns - events[silent_since_seq].at_ns) / _NS_PER_SECOND
    stalled_seconds = kit_stall_seconds(story.trace, silent_since_seq, given_up_seq)
    return Late(stalled_seconds) if stalled_seconds and silent_seconds > LONGEST_BORNE_DELAY else broken


def _is_motion_due(request: UpstreamRequest) -> bool:
    """Return whether the relay can expect motion for the audio of this request, so that it must not give the
    request up before the motion has come. Motion Server owes none for silence, or for PCM that is shorter
    than a keyframe (ASSUMED)."""
    if request.configured.audio_format != AudioFormat.PCM_S16LE:
        return bool(request.audio)
    samples = len(request.audio) // BYTES_PER_SAMPLE
    long_enough = request.sample_rate > 0 and keyframe_count(samples, request.sample_rate) > 0
    return long_enough and any(request.audio)


def _did_relay_ask_again(given_up_request: UpstreamRequest, turn: Turn) -> bool:
    """Return whether the relay asked again for the motion of a request that it had given up (interrupted or
    closed) before all of it was sent. A later request of this turn then holds the same audio, and was
    answered to its end."""
    return any(
        request.answered and given_up_request.audio in request.audio
        for request in turn.requests
        if request.first_seq > given_up_request.first_seq
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
def check_payload_order(story: Story) -> Iterator[Kept | Broken]:
    """Check each two neighbouring motion payloads of a conversation: they must arrive in the order in which
    they were sent. Payloads of two requests may come in either order if their answers overlapped. But if the
    requests hold two sentences of one turn, their motion must come in the order of the sentences."""
    for payloads in _group_by_conversation(story).values():
        for (first_payload, first_delivery), (second_payload, second_delivery) in pairwise(payloads):
            first, second = first_payload.request, second_payload.request
            in_order = first_payload.seq < second_payload.seq or first.first_seq < second.first_seq
            sentences_in_order = None if first is second else _are_sentences_in_order(first, second)
            if in_order if sentences_in_order is None else sentences_in_order:
                yield Kept()
            elif sentences_in_order is False:
                yield Broken(
                    "motion of one conversation in the order of its speech",
                    f"{second_delivery.client} got motion of a sentence behind that of a later one",
                    (second.first_seq, first.first_seq, first_delivery.seq, second_delivery.seq),
                )
            else:
                yield Broken(
                    "payloads of one conversation in the order in which they were sent",
                    f"{second_delivery.client} got the payload sent as event {second_payload.seq} behind the "
                    f"one sent as event {first_payload.seq}",
                    (second_payload.seq, first_payload.seq, first_delivery.seq, second_delivery.seq),
                )


def _are_sentences_in_order(first: UpstreamRequest, second: UpstreamRequest) -> bool | None:
    """Return whether the audio of the first request was spoken before that of the second, in one turn, so
    that their motion is in order. Return None if the turn's speech does not show that they are two sentences
    of it, one after the other.

    Speech may hold the same audio more than once: take the earliest place of the first, and the latest of the
    second. If one is silent, or is not found in the speech, nothing shows which of them was spoken first.
    Then return True if each had a session of its own."""
    turn = first.turn
    if turn is None or turn is not second.turn:
        return None
    earliest_of_first, latest_of_second = turn.pcm.find(first.audio), turn.pcm.rfind(second.audio)
    audible = all(find_audible_piece(bytes(request.audio)) for request in (first, second))
    if not audible or -1 in (earliest_of_first, latest_of_second):
        return True if first.connection != second.connection else None
    if earliest_of_first + len(first.audio) <= latest_of_second:
        return True
    return False if latest_of_second + len(second.audio) <= earliest_of_first else None


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
def check_motion_end_mark(story: Story) -> Iterator[Kept | Broken]:
    """Check each clean (undisturbed) turn whose motion Motion Server has ended: the relay must mark the last
    motion for the client as last. A mark without motion counts for the motion before it. A mark on motion of
    another turn counts for that turn. Each request of the turn may have a mark."""
    for turn in story.clean_turns:
        deliveries = [
            delivery
            for payload in turn.payloads
            for delivery in payload.deliveries
            if delivery.client == turn.client
        ]
        if not deliveries or not any(payload.response.end for payload in turn.payloads):
            continue
        last_delivery = max(deliveries, key=lambda delivery: delivery.seq)
        mark_seqs = _find_end_marks(story, turn, last_delivery)
        early_marks = [owed_mark for owed_mark in mark_seqs if _is_mark_too_early(owed_mark, deliveries)]
        if any(owed_mark >= last_delivery.seq for owed_mark in mark_seqs) and not early_marks:
            yield Kept()
        else:
            actual = "motion came after the mark" if mark_seqs else "it was never marked"
            expected = f"the last motion of {turn.name} marked as last"
            owed_mark = Owed("the end mark of the motion", turn.client, last_delivery.seq)
            owed = () if mark_seqs else (owed_mark,)
            causes = () if early_marks else ("R-CONVERSATION",)
            yield Broken(expected, actual, (*mark_seqs, last_delivery.seq), causes, owed)


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
def check_motion_before_audio_end(story: Story) -> Iterator[Kept | Broken]:
    """Check each clean (undisturbed) turn with an end mark. All motion of the turn that the client got must
    come before the first end mark of the turn's audio, or with it. Nothing is judged if the relay chooses the
    speech, and the client did not wait for its turn before: the mark may be that turn's."""
    relay_chooses_speech = CLIENT_CHOOSES_SPEECH in story.trace.header.lacks
    for turn in story.clean_turns:
        if relay_chooses_speech and turn.before is not None and turn.before.waited_seq is None:
            continue
        motion_seqs = [
            delivery.seq
            for payload in turn.payloads
            for delivery in payload.deliveries
            if delivery.client == turn.client
        ]
        mark_seqs = [mark for conversation in turn.conversations for mark in conversation.marks]
        if not motion_seqs or not mark_seqs:
            continue
        late_seqs = [seq for seq in motion_seqs if seq > min(mark_seqs)]
        if late_seqs:
            yield Broken(
                f"the end mark of the audio of {turn.name} after the last motion",
                f"the mark came, and then {len(late_seqs)} of {len(motion_seqs)} payloads",
                (min(mark_seqs), *late_seqs),
            )
        else:
            yield Kept()


def _find_end_marks(story: Story, turn: Turn, last_delivery: Delivery) -> list[int]:
    """Return the numbers of the events that brought an end mark of motion to the conversation in which the
    turn's last motion arrived. Marks that came only on motion of other turns are left out: R-STALE judges
    such motion."""
    mark_seqs = last_delivery.conversation.motion_marks if last_delivery.conversation is not None else []
    turns_by_mark: dict[int, list[Turn | None]] = {mark: [] for mark in mark_seqs}
    for delivery in story.deliveries:
        if delivery.seq in turns_by_mark and delivery.sent is not None:
            turns_by_mark[delivery.seq].append(delivery.sent.request.turn)
    return [
        mark
        for mark, turns in turns_by_mark.items()
        if not turns or any(marked_turn is turn for marked_turn in turns)
    ]


def _is_mark_too_early(mark_seq: int, deliveries: list[Delivery]) -> bool:
    """Return whether the end mark of motion at event `mark_seq` came too early: more motion of the same
    request came after it. The request is that of the newest payload that had arrived by then."""
    deliveries_before = [
        delivery for delivery in deliveries if delivery.seq <= mark_seq and delivery.sent is not None
    ]
    newest_before = max(deliveries_before, key=lambda delivery: delivery.seq, default=None)
    if newest_before is None or newest_before.sent is None:
        return False
    request = newest_before.sent.request
    return any(
        delivery.seq > mark_seq and delivery.sent is not None and delivery.sent.request is request
        for delivery in deliveries
    )


def _group_by_conversation(story: Story) -> dict[tuple[str, int], list[tuple[SentPayload, Delivery]]]:
    """Return the motion payloads that arrived, grouped by conversation, each as (payload sent by Motion
    Server, delivery to the client). Left out are payloads that came twice, and motion of another client. Left
    out, too, is motion of a turn that was cut off, if it arrived in the conversation of another turn."""
    payloads_by_conversation: dict[tuple[str, int], list[tuple[SentPayload, Delivery]]] = {}
    for delivery in story.deliveries:
        if delivery.sent is None or delivery.doubled:
            continue
        turn = delivery.sent.request.turn
        turn_of_conversation = delivery.conversation.turn if delivery.conversation else None
        if (
            turn is not None
            and turn.abandoned
            and turn_of_conversation is not None
            and turn_of_conversation is not turn
        ):
            continue  # R-STALE judges what is left of a turn that was cut off.
        if turn is None or turn.client == delivery.client:
            key = (delivery.client, id(delivery.conversation))
            payloads_by_conversation.setdefault(key, []).append((delivery.sent, delivery))
    return payloads_by_conversation
