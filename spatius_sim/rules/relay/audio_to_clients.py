"""R rules on audio to clients: it is complete, comes before the motion, and is marked at its end."""

from collections.abc import Iterator
from itertools import pairwise

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.rules.findings import Broken, Kept, Owed
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import kit_stall_seconds
from spatius_sim.story.turn_story import Conversation, Story, Turn
from spatius_sim.story.undisturbed_turns import find_first_misbehaviour_seq
from spatius_sim.trace.events import Lane, Sent
from spatius_sim.wires.events import Speak, SpeakEnd
from spatius_sim.wires.optional_features import (
    AUDIO,
    CLIENT_CHOOSES_SPEECH,
    PCM,
    SPEECH_END,
    STREAMING,
    TURN_IDS,
)

_NS_PER_SECOND = 1e9
_AHEAD_SECONDS = 0.08
"""A relay that sends at real-time pace may be so far ahead of the playback (ASSUMED): two keyframes."""


@rule(
    "R-AUDIO-COMPLETE",
    Level.MUST,
    "in a clean turn the audio delivered MUST equal the audio sent up: byte for byte if format "
    "and rate agree, else in length to 40 ms",
    "seed:001",
    Provenance.DOCUMENTED,
    presumes=("R-RECOVER", "R-END-AUDIO", "U-AUDIO-ALIGNED", "U-RATE"),
    needs=(AUDIO, PCM),
    advice=Advice(
        "words are missing, or sound like noise",
        "chunks are dropped at the start or the end of a turn, or the audio is played back at another "
        "rate than it has",
        "send the client the same audio that goes up, all of it, and name its rate",
    ),
)
def check_audio_delivered(story: Story) -> Iterator[Kept | Broken]:
    """Check each clean (undisturbed) turn: all PCM audio that the relay sent to Motion Server must also come
    to the client. Less than 40 ms of silence at the end may be missing. Ogg Opus is not judged, because its
    bytes do not show how long it lasts."""
    for turn in story.clean_turns:
        requests = [request for request in turn.requests if not request.stopped_early]
        if not requests or requests[0].configured.audio_format != AudioFormat.PCM_S16LE:
            continue
        rate_up = requests[0].sample_rate
        client_rate = story.output_rates.get(turn.client, rate_up)
        audio_up = turn.join_audio_sent_up(requests)
        client_audio = turn.audio_down
        same_rate = rate_up == client_rate
        if (
            turn.is_same_speech(audio_up, client_audio, rate_up)
            if same_rate
            else _does_audio_to_client_last_as_long(client_audio, client_rate, audio_up, rate_up)
        ):
            yield Kept()
        else:
            up_in_words, down_in_words = f"{len(audio_up)} bytes", f"{len(client_audio)} bytes"
            if not same_rate and min(rate_up, client_rate) > 0:  # As many bytes do not last as long then.
                up_in_words = f"{len(audio_up) / BYTES_PER_SAMPLE / rate_up:.2f} s ({up_in_words})"
                down_seconds = len(client_audio) / BYTES_PER_SAMPLE / client_rate
                down_in_words = f"{down_seconds:.2f} s ({down_in_words})"
            # The client got what was spoken: then it is what went up that differs, or its rate.
            got_what_was_spoken = turn.is_same_speech(turn.pcm, client_audio, client_rate)
            follows_from: tuple[str, ...] = ("U-AUDIO-COMPLETE", "U-RATE") if got_what_was_spoken else ()
            if CLIENT_CHOOSES_SPEECH in story.trace.header.lacks and _does_motion_come_to_others(turn):
                # Whose turn a request is shows then in who gets its motion.
                follows_from += ("R-ISOLATION",)
            yield Broken(
                f"all {up_in_words} of audio of {turn.name} that went up ({rate_up} Hz)",
                f"{down_in_words} came down ({client_rate} Hz{', as the relay announced' * (not same_rate)})"
                + _describe_first_difference(audio_up, client_audio, client_rate - rate_up),
                _list_first_seqs(turn),
                follows_from,
            )


def _does_motion_come_to_others(turn: Turn) -> bool:
    """Return whether motion of this turn's requests came to another client, too."""
    payloads = (payload for request in turn.requests for payload in request.payloads)
    return any(delivery.client != turn.client for payload in payloads for delivery in payload.deliveries)


@rule(
    "R-AUDIO-FIRST",
    Level.MUST,
    "some non-empty audio of a conversation MUST arrive before its first motion",
    "seed:002",
    Provenance.DOCUMENTED,
    presumes=("R-MOTION-VERBATIM", "R-AUDIO-COMPLETE"),
    needs=(AUDIO, STREAMING),
    seen_in=Half.DOWNSTREAM,
    speech=Speech.TELLS_TURNS_APART,
    advice=Advice(
        "the face starts late, or is still: the client drops motion that comes before the turn's first audio",
        "the audio waits for the motion, or goes another and slower way",
        "send audio to the client first and then up, and motion after it on the same connection",
    ),
)
def check_audio_before_motion(story: Story) -> Iterator[Kept | Broken]:
    """Check each clean (undisturbed) turn with motion: some audio of the turn must come to the client before
    its motion. If the trace does not show Motion Server's side, only a client's first turn is judged. Motion
    before the audio of a later turn may belong to the turn before."""
    for turn in story.turns:
        motion_seqs = [
            delivery.seq
            for payload in turn.payloads
            for delivery in payload.deliveries
            if delivery.client == turn.client
        ]
        if story.upstream_unseen and turn.number == 0:
            motion_seqs = [delivery.seq for delivery in story.deliveries_during(turn)]
        first_audio_seqs = [
            conversation.first_audio_seq
            for conversation in turn.conversations
            if conversation.first_audio_seq is not None
        ]
        if not motion_seqs or not turn.clean:
            continue
        if first_audio_seqs and min(first_audio_seqs) < min(motion_seqs):
            yield Kept()
        else:
            yield Broken(
                f"audio of {turn.name} before its first motion",
                f"motion came as event {min(motion_seqs)}, "
                + (
                    f"the first audio as event {min(first_audio_seqs)}"
                    if first_audio_seqs
                    else "and no audio at all"
                ),
                (min(motion_seqs), *first_audio_seqs[:1]),
            )


@rule(
    "R-END-AUDIO",
    Level.MUST,
    "the last audio of a turn MUST be marked as last, once",
    "docs:audio-io",
    Provenance.DOCUMENTED,
    needs=(AUDIO,),
    seen_in=Half.DOWNSTREAM,
    speech=Speech.TELLS_TURNS_APART,
    advice=Advice(
        "the avatar never comes to rest: for the client the answer is not over; or its end is cut off",
        "the mark is never sent, is sent with every chunk, or comes before the last audio; or the next turn "
        "has the id of one that was cut off",
        "mark the last audio of each turn once, or an empty audio message if the end shows only later; give "
        "each turn an id of its own",
    ),
)
def check_audio_end_mark(story: Story) -> Iterator[Kept | Broken]:
    """Check each conversation of a clean (undisturbed) turn. Exactly one end mark must come, with or after
    its last audio, and not while the client still speaks.

    A turn may come as several conversations, one for each sentence. Without turn ids, the next one "cuts off
    what is still playing" (docs:audio-io). So it must not begin before the audio of the one before can be
    over. Marks after a client misbehaved are ignored if there are earlier ones: R-BADINPUT judges them."""
    until_seq = find_first_misbehaviour_seq(story.trace)
    has_turn_ids = TURN_IDS not in story.trace.header.lacks
    for turn in story.clean_turns:
        if turn.swallowed_by is not None:
            under = "under the id of an earlier turn" if turn.swallowed_by.labelled else "in a conversation"
            yield _make_breach(
                turn, f"its audio came {under} that had not been marked as ended", turn.swallowed_by
            )
        with_audio = [conversation for conversation in turn.conversations if conversation.pieces]
        without_audio = [conversation for conversation in turn.conversations if not conversation.pieces]
        last_spoken_seq = _find_last_spoken_seq(story, turn)
        unlabelled = [
            conversation
            for conversation in with_audio
            if not conversation.labelled and any(piece.turn in (None, turn) for piece in conversation.pieces)
        ]
        all_marked = all(conversation.marks for conversation in unlabelled)
        cut_off = _find_conversation_with_cut_off_audio(story, turn, unlabelled) if all_marked else None
        if cut_off is not None:
            yield _make_breach(turn, "a mark came within its audio, and the rest cuts it off", cut_off)
            continue
        for conversation in with_audio:
            # Without turn ids, a mark after the next turn began may be that of the next turn.
            before_seq = until_seq if has_turn_ids else min(until_seq, turn.until_seq)
            marks = [mark for mark in conversation.marks if mark < before_seq] or conversation.marks
            last_audio_seq = max(
                (piece.seq for piece in conversation.pieces if piece.turn in (None, turn)), default=0
            )
            if len(marks) != 1:
                actual = f"it was marked {len(marks)} times" if marks else "it was never marked"
                yield _make_breach(turn, actual, conversation)
            elif marks[0] < last_audio_seq:
                yield _make_breach(turn, "audio came after the mark", conversation)
            elif marks[0] < last_spoken_seq:
                yield _make_breach(turn, "it was marked while its client still spoke", conversation)
            elif without_audio:
                yield _make_breach(turn, "a mark without audio came as well", without_audio[0])
            else:
                yield Kept()


def _find_conversation_with_cut_off_audio(
    story: Story, turn: Turn, conversations: list[Conversation]
) -> Conversation | None:
    """Return the first of these conversations of a turn whose audio the relay itself cuts off: the next
    conversation comes to the client before it can have played the audio of the first. Return None if there is
    none. Return None, too, if the client does not choose the speech or end it, or if the audio is not PCM,
    whose bytes show how long it is."""
    if {CLIENT_CHOOSES_SPEECH, SPEECH_END, PCM} & set(story.trace.header.lacks):
        return None
    rate = story.output_rates.get(turn.client, turn.sample_rate)
    for part, following in pairwise(conversations):
        start_seq, next_start_seq = part.pieces[0].seq, following.pieces[0].seq
        passed_ns = story.trace.events[next_start_seq].at_ns - story.trace.events[start_seq].at_ns
        # The kit may have been late to see the next conversation: the first may have had more time.
        passed_seconds = passed_ns / _NS_PER_SECOND + kit_stall_seconds(
            story.trace, turn.started_seq, next_start_seq
        )
        if passed_seconds + _AHEAD_SECONDS < len(part.audio) / BYTES_PER_SAMPLE / rate:
            return part
    return None


def _find_last_spoken_seq(story: Story, turn: Turn) -> int:
    """Return the number of the event with the last audio that the client spoke in this turn, up to the end of
    its speech. The relay must not mark the audio to the client as ended before that. Return 0 if the client
    sent no audio, or no end of speech, before the wait for the turn ended."""
    last_spoken = 0
    for event in story.trace.events[turn.started_seq : turn.waited_seq]:
        action = event.content.value if isinstance(event.content, Sent) else None
        if event.lane is not Lane.DOWNSTREAM or event.connection != turn.client:
            continue
        if isinstance(action, Speak) and action.pcm:
            last_spoken = event.seq
        if isinstance(action, SpeakEnd) or (isinstance(action, Speak) and action.last):
            return last_spoken
    return 0


def _make_breach(turn: Turn, actual: str, conversation: Conversation) -> Broken:
    """Return Broken for a conversation whose audio was marked as ended in a wrong way; `actual` says in
    which. Its end marks are evidence. If it has none, the breach says that the relay owed the mark."""
    expected = f"the last audio of {turn.name} marked as last, once"
    last_seq = conversation.last_audio_seq or conversation.first_seq
    mark = Owed("the end mark of the audio", turn.client, last_seq)
    owed = () if conversation.marks else (mark,)
    return Broken(expected, actual, (conversation.first_seq, *conversation.marks), owed=owed)


def _does_audio_to_client_last_as_long(
    client_audio: bytes, client_rate: int, audio_up: bytes, rate_up: int
) -> bool:
    """Return whether the audio that came to the client is complete, as far as its length shows: it must last
    as long as the audio that the relay sent up to Motion Server, to 40 ms (one keyframe). If the sample rates
    differ, the bytes cannot be compared. Whole numbers keep the comparison exact."""
    client_samples, samples_up = len(client_audio) // BYTES_PER_SAMPLE, len(audio_up) // BYTES_PER_SAMPLE
    difference = abs(samples_up * client_rate - client_samples * rate_up)
    return difference * KEYFRAMES_PER_SECOND <= rate_up * client_rate


def _describe_first_difference(audio_up: bytes, client_audio: bytes, rate_difference: int) -> str:
    """Return in words the first byte at which the audio that came to the client differs from the audio that
    the relay sent to Motion Server. Return "" if the sample rates differ, or if no audio came."""
    if rate_difference or not client_audio:
        return ""
    shorter_length = min(len(audio_up), len(client_audio))
    first_index = next(
        (index for index in range(shorter_length) if audio_up[index] != client_audio[index]),
        shorter_length,
    )
    return f"; the first difference is at byte {first_index}"


def _list_first_seqs(turn: Turn) -> tuple[int, ...]:
    """Return the number of the first event of each request and each conversation of the turn."""
    firsts = [request.first_seq for request in turn.requests]
    return (*firsts, *(conversation.first_seq for conversation in turn.conversations))
