"""R rules on audio: it is complete, comes before the motion, and is marked at its end."""

from collections.abc import Iterator
from itertools import pairwise

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND
from spatius_sim.protocol.messages import AudioFormat
from spatius_sim.rules.findings import Broken, Kept, Owed
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import lag_seconds
from spatius_sim.story.join_turns import Conversation, Story, Turn
from spatius_sim.story.undisturbed_turns import find_first_misbehaviour_seq
from spatius_sim.trace.events import Lane, Sent
from spatius_sim.wires.events import Speak, SpeakEnd
from spatius_sim.wires.optional_features import AUDIO, CLIENT_AUDIO, PCM, SPEECH_END, STREAMING, TURN_IDS

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
def audio_complete(story: Story) -> Iterator[Kept | Broken]:
    """Look at each clean turn: all PCM audio that the relay sent to Motion Server also came to the client.
    Less than 40 ms of silence at the end may be missing. Ogg Opus is not judged, because its bytes do not
    show how long it lasts."""
    for turn in story.clean_turns:
        requests = [request for request in turn.requests if not request.stopped_early]
        if not requests or requests[0].configured.audio_format != AudioFormat.PCM_S16LE:
            continue
        up_rate = requests[0].sample_rate
        down_rate = story.output_rates.get(turn.client, up_rate)
        up = b"".join(bytes(request.audio) for request in requests)
        down = turn.audio_down
        same_rate = up_rate == down_rate
        if (
            turn.is_same_speech(up, down, up_rate)
            if same_rate
            else _equally_long_audio(up, up_rate, down, down_rate)
        ):
            yield Kept()
        else:
            went_up, came_down = f"{len(up)} bytes", f"{len(down)} bytes"
            if not same_rate and min(up_rate, down_rate) > 0:  # As many bytes do not last as long then.
                went_up = f"{len(up) / BYTES_PER_SAMPLE / up_rate:.2f} s ({went_up})"
                came_down = f"{len(down) / BYTES_PER_SAMPLE / down_rate:.2f} s ({came_down})"
            yield Broken(
                f"all {went_up} of audio of {turn.name} that went up ({up_rate} Hz)",
                f"{came_down} came down ({down_rate} Hz{', as the relay announced' * (not same_rate)})"
                + _first_difference(up, down, down_rate - up_rate),
                _first_events(turn),
                # The client got what was spoken: then it is the audio that went up that differs.
                ("U-AUDIO-COMPLETE",) if turn.is_same_speech(turn.pcm, down, down_rate) else (),
            )


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
def audio_first(story: Story) -> Iterator[Kept | Broken]:
    """Look at each clean turn with motion: some audio of the turn came to the client before its motion. If
    the trace does not show Motion Server's side, only a client's first turn is judged: motion before a later
    turn's audio may belong to the earlier turn."""
    for turn in story.turns:
        arrived = [
            delivery.seq
            for payload in turn.payloads
            for delivery in payload.deliveries
            if delivery.client == turn.client
        ]
        if story.upstream_unseen and turn.number == 0:
            arrived = [delivery.seq for delivery in story.deliveries_during(turn)]
        first_audio = [
            conversation.first_audio_seq
            for conversation in turn.conversations
            if conversation.first_audio_seq is not None
        ]
        if not arrived or not turn.clean:
            continue
        if first_audio and min(first_audio) < min(arrived):
            yield Kept()
        else:
            yield Broken(
                f"audio of {turn.name} before its first motion",
                f"motion came as event {min(arrived)}, "
                + (f"the first audio as event {min(first_audio)}" if first_audio else "and no audio at all"),
                (min(arrived), *first_audio[:1]),
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
def end_audio(story: Story) -> Iterator[Kept | Broken]:
    """Look at each conversation of a clean turn: one end mark comes, with or after the last audio, and not
    while the client still speaks. A turn may come as several conversations, one for each sentence. But the
    next audio "cuts off what is still playing" (docs:audio-io): without turn ids, which would let a client
    put one after the other, the next must not begin before the audio of the one before can be over. Marks
    after a client misbehaved are left out if there are earlier marks: R-BADINPUT judges what follows."""
    until = find_first_misbehaviour_seq(story.trace)
    named = TURN_IDS not in story.trace.header.lacks
    for turn in story.clean_turns:
        if turn.swallowed_by is not None:
            under = "under the id of an earlier turn" if turn.swallowed_by.labelled else "in a conversation"
            yield _wrongly_marked(
                turn, f"its audio came {under} that had not been marked as ended", turn.swallowed_by
            )
        with_audio = [conversation for conversation in turn.conversations if conversation.pieces]
        without_audio = [conversation for conversation in turn.conversations if not conversation.pieces]
        spoken_until = _last_spoken_seq(story, turn)
        parts = [
            conversation
            for conversation in with_audio
            if not conversation.labelled and any(piece.turn in (None, turn) for piece in conversation.pieces)
        ]
        all_marked = all(conversation.marks for conversation in parts)
        cut_off = _first_unplayed_conversation(story, turn, parts) if all_marked else None
        if cut_off is not None:
            yield _wrongly_marked(turn, "a mark came within its audio, and the rest cuts it off", cut_off)
            continue
        for conversation in with_audio:
            # Without turn ids, a mark after the next turn began may be that of the next turn.
            before = until if named else min(until, turn.until_seq)
            marks = [mark for mark in conversation.marks if mark < before] or conversation.marks
            last = max((piece.seq for piece in conversation.pieces if piece.turn in (None, turn)), default=0)
            if len(marks) != 1:
                actual = f"it was marked {len(marks)} times" if marks else "it was never marked"
                yield _wrongly_marked(turn, actual, conversation)
            elif marks[0] < last:
                yield _wrongly_marked(turn, "audio came after the mark", conversation)
            elif marks[0] < spoken_until:
                yield _wrongly_marked(turn, "it was marked while its client still spoke", conversation)
            elif without_audio:
                yield _wrongly_marked(turn, "a mark without audio came as well", without_audio[0])
            else:
                yield Kept()


def _first_unplayed_conversation(story: Story, turn: Turn, parts: list[Conversation]) -> Conversation | None:
    """Return the first of a turn's conversations that is cut off: the next conversation begins before the
    audio of this one can have been played. Return None if no conversation is cut off, or if the wire does not
    show how long the audio is."""
    if {CLIENT_AUDIO, SPEECH_END, PCM} & set(story.trace.header.lacks):
        return None
    rate = story.output_rates.get(turn.client, turn.sample_rate)
    for part, following in pairwise(parts):
        begun, next_begun = part.pieces[0].seq, following.pieces[0].seq
        passed_ns = story.trace.events[next_begun].at_ns - story.trace.events[begun].at_ns
        # The kit may have been late to see the next conversation: the first may have had more time.
        seconds = passed_ns / _NS_PER_SECOND + lag_seconds(story.trace, turn.started_seq, next_begun)
        if seconds + _AHEAD_SECONDS < len(part.audio) / BYTES_PER_SAMPLE / rate:
            return part
    return None


def _last_spoken_seq(story: Story, turn: Turn) -> int:
    """Return the number of the event in which the client sent its last audio before it marked the end of its
    speech; 0 if the client sent no audio or no end. The relay must not mark the end of its audio before
    that."""
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


def _wrongly_marked(turn: Turn, actual: str, conversation: Conversation) -> Broken:
    """Return Broken for a conversation whose audio was marked as ended in a wrong way, with its end marks
    as evidence."""
    expected = f"the last audio of {turn.name} marked as last, once"
    last_seq = conversation.last_audio_seq or conversation.first_seq
    mark = Owed("the end mark of the audio", turn.client, last_seq)
    owed = () if conversation.marks else (mark,)
    return Broken(expected, actual, (conversation.first_seq, *conversation.marks), owed=owed)


def _equally_long_audio(up: bytes, up_rate: int, down: bytes, down_rate: int) -> bool:
    """Return whether the relay's audio for the client (`down`) is as long as its audio for Motion Server
    (`up`), with a tolerance of 40 ms (one keyframe). The two sample rates may differ. Whole numbers keep the
    comparison exact."""
    up_samples, down_samples = len(up) // BYTES_PER_SAMPLE, len(down) // BYTES_PER_SAMPLE
    difference = abs(up_samples * down_rate - down_samples * up_rate)
    return difference * KEYFRAMES_PER_SECOND <= up_rate * down_rate


def _first_difference(up: bytes, down: bytes, rates_apart: int) -> str:
    """Return in words the first byte at which the audio that the relay delivered differs from the audio that
    it sent up. "" if the two have different sample rates, or if no audio was delivered."""
    if rates_apart or not down:
        return ""
    shorter = min(len(up), len(down))
    first = next((index for index in range(shorter) if up[index] != down[index]), shorter)
    return f"; the first difference is at byte {first}"


def _first_events(turn: Turn) -> tuple[int, ...]:
    """Return the first events of the turn's requests and conversations."""
    firsts = [request.first_seq for request in turn.requests]
    return (*firsts, *(conversation.first_seq for conversation in turn.conversations))
