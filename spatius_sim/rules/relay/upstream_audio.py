"""U rules on the audio that a relay sends to Motion Server."""

from collections.abc import Iterator

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, PCM_SAMPLE_RATES, is_same_speech
from spatius_sim.protocol.messages import AudioFormat, AudioInput
from spatius_sim.rules.findings import Broken, Kept, Owed
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.story.turn_story import Story, Turn, UpstreamRequest
from spatius_sim.story.wrong_uploads import find_garbled_message, find_old_speech
from spatius_sim.trace.events import (
    Closed,
    Event,
    Lane,
    Received,
)
from spatius_sim.wires.optional_features import CLIENT_CHOOSES_SPEECH

_MIN_SECONDS = 2.0
"""U-RATE judges only turns of at least this length."""
_NS_PER_SECOND = 1_000_000_000
_TOLERANCE = 0.05
"""The 5 % of U-RATE."""
_RATIO_TOLERANCE = 0.01
"""How well the length of resampled speech matches the ratio of two rates: part of a chunk may be missing."""


@rule(
    "U-AUDIO-ALIGNED",
    Level.MUST,
    "PCM sent under one req_id MUST be a whole number of 16-bit samples",
    "docs:audio",
    Provenance.DOCUMENTED,
    presumes=("U-TURN-ID",),
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "from the odd byte on the mouth moves to noise",
        "a chunk or an odd byte gets lost between two chunks, or a file goes up with its header",
        "pass every chunk on, however small, and keep an odd byte for the next one",
    ),
)
def check_whole_samples(story: Story) -> Iterator[Kept | Broken]:
    """Check each request with PCM audio that the relay sent to Motion Server to its end: the audio must be a
    whole number of samples. Nothing is judged after a client stopped in the middle of a sample: no document
    says what becomes of the half."""
    for request in story.requests:
        if not _is_pcm(request) or not request.ends or request.stopped_early or not request.audio:
            continue
        if request.turn is not None and request.turn.may_be_off_by_half_sample:
            continue
        if len(request.audio) % BYTES_PER_SAMPLE == 0:
            yield Kept()
        else:
            yield Broken(
                "a whole number of 16-bit samples under one req_id",
                f"{len(request.audio)} bytes under {request.req_id}",
                (request.first_seq, *request.ends),
            )


@rule(
    "U-TURN-ID",
    Level.MUST,
    "no audio MUST go up under a req_id after its end=true or its interrupt",
    "sdk-py",
    Provenance.OBSERVED,
    seen_in=Half.UPSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "the new sentence has no motion, or that of the sentence before",
        "one req_id serves the whole session, or audio goes on under it after the end or the interrupt",
        "take a new req_id after each end=true and after each interrupt",
    ),
)
def check_req_ids(story: Story) -> Iterator[Kept | Broken]:
    """Check the audio that the relay sent to Motion Server under each req_id: none may come after the req_id
    was ended or interrupted."""
    for request in story.requests:
        earlier_request = request.reuses
        if earlier_request is not None:
            ending = "its end=true" if earlier_request.ends else "its interrupt"
            ended_seq = (
                earlier_request.ends[-1]
                if earlier_request.ends
                else earlier_request.interrupted_seq or earlier_request.first_seq
            )
            yield Broken(
                f"no audio under {request.req_id} after {ending}",
                f"{len(request.audio)} bytes more",
                (ended_seq, request.first_seq),
            )
        elif request.ends or request.interrupted_seq is not None:
            yield Kept()


@rule(
    "U-RATE",
    Level.MUST,
    "the seconds that go up under the configured rate MUST be the seconds that were spoken, within 5 %",
    "docs:audio (no resampling is done for you)",
    Provenance.DOCUMENTED,
    presumes=("U-TURN-ID", "U-AUDIO-ALIGNED"),
    needs=(CLIENT_CHOOSES_SPEECH,),
    seen_in=Half.BOTH,
    advice=Advice(
        "the mouth moves too slowly or too fast, and does not stop with the voice",
        "the session is configured for another rate than the audio has, and nothing resamples",
        "configure the rate that the audio has, or resample it before it goes up",
    ),
)
def check_sample_rate(story: Story) -> Iterator[Kept | Broken]:
    """Check each clean (undisturbed) turn of at least two seconds. At the configured sample rate, the audio
    sent to Motion Server must last as long as the speech. A wrong length is a breach only if the bytes are
    those of the speech, or if the ratio is that of two known rates. Otherwise audio was lost, merged or cut
    off: other rules judge that. Silence after the speech does not count if the client gets it, too."""
    for turn in story.clean_turns:
        requests = turn.requests
        spoken_seconds = _seconds_of_pcm(len(turn.pcm), turn.sample_rate)
        if spoken_seconds < _MIN_SECONDS or not requests:
            continue
        if any(request.stopped_early or not request.ends or not _is_pcm(request) for request in requests):
            continue
        sent_up = turn.join_audio_sent_up(requests)
        sent_up_seconds = sum(
            _seconds_of_pcm(len(request.audio), request.sample_rate) for request in requests
        )
        has_silence_after = _is_followed_by_silence(turn, sent_up)
        if has_silence_after:
            sent_up_seconds -= _seconds_of_pcm(len(sent_up) - len(turn.pcm), requests[-1].sample_rate)
        is_right_length = abs(sent_up_seconds / spoken_seconds - 1) <= _TOLERANCE
        is_resampled = any(request.sample_rate != turn.sample_rate for request in requests)
        is_unchanged = has_silence_after or is_same_speech(sent_up, turn.pcm, turn.sample_rate)
        if is_right_length and (is_resampled or is_unchanged):
            yield Kept()
        elif not is_right_length and (
            is_unchanged or (is_resampled and _is_ratio_of_rates(sent_up_seconds / spoken_seconds))
        ):
            rates = ", ".join(f"{request.sample_rate} Hz" for request in requests)
            yield Broken(
                f"{spoken_seconds:.1f} s of speech in {turn.name} go up as {spoken_seconds:.1f} s",
                f"{len(sent_up)} bytes went up, which are {sent_up_seconds:.1f} s at the configured {rates}",
                tuple(request.first_seq for request in requests),
            )


@rule(
    "U-AUDIO-COMPLETE",
    Level.SHOULD,
    "what a client speaks SHOULD go up whole, byte for byte, if the relay passes it on at the same rate",
    "no document says it in words: what neither goes up nor comes down is lost to both",
    Provenance.ASSUMED,
    presumes=("U-TURN-ID", "U-AUDIO-ALIGNED", "U-RATE"),
    needs=(CLIENT_CHOOSES_SPEECH,),
    seen_in=Half.BOTH,
    advice=Advice(
        "the mouth rests while the voice speaks, and from there on is late or early",
        "chunks are lost while a session opens, or left over for the next turn; a time limit ends the turn; "
        "or a length is written wrongly",
        "keep what is said until the session is confirmed, then send it all; give each turn its own queue; "
        "count time limits from its end",
    ),
)
def check_audio_sent_up(story: Story) -> Iterator[Kept | Broken]:
    """Check each clean (undisturbed) turn whose audio the relay sent to Motion Server as PCM, at the rate of
    the speech: all bytes must go up. Less than 40 ms of silence at the end may be missing or be too many.
    More silence may follow only if the client gets it, too: then nothing is lost. A turn is not judged if the
    relay sent other audio than its client spoke. The rule is also broken if Motion Server could not decode a
    message that the relay sent in the turn's session, or if the audio of an earlier turn went up in place of
    the turn's own."""
    for turn in story.clean_turns:
        if garbled := find_garbled_message(story, turn):
            yield Broken(
                f"all {len(turn.pcm)} bytes that were spoken in {turn.name}, in messages that can be decoded",
                f"a message of {garbled.size} bytes went up: {garbled.reason}",
                (garbled.seq,),
            )
            continue
        if (old := find_old_speech(story, turn)) and old.turn is not None:
            actual = f"what went up was spoken in {old.turn.name}"
            yield Broken(f"what was spoken in {turn.name}", actual, (old.first_seq,))
            continue
        requests = [request for request in turn.requests if not request.stopped_early]
        if not requests or not all(
            _is_pcm(request) and request.found_by_audio and request.sample_rate == turn.sample_rate
            for request in requests
        ):
            continue
        sent_up = turn.join_audio_sent_up(requests)
        if turn.is_same_speech(sent_up, turn.pcm, turn.sample_rate) or _is_followed_by_silence(turn, sent_up):
            yield Kept()
        else:
            first_difference = _find_first_difference(sent_up, turn.pcm)
            closing = _find_close_before_end_of_audio(story, requests)
            closed = ""
            if closing is not None:
                seconds = (closing.at_ns - story.trace.events[turn.started_seq].at_ns) / _NS_PER_SECOND
                closed = f"; then the relay closed the session, {seconds:.1f} s after the turn began"
            yield Broken(
                f"all {len(turn.pcm)} bytes that were spoken in {turn.name}, as they were spoken",
                f"{len(sent_up)} bytes went up; the first difference is at byte {first_difference}{closed}",
                (*(request.first_seq for request in requests), *([closing.seq] if closing else [])),
            )


def _is_followed_by_silence(turn: Turn, sent_up: bytes) -> bool:
    """Return whether what went up is the speech of this turn and silence after it, and the client got the
    same."""
    is_silence = not any(sent_up[len(turn.pcm) :])
    return sent_up.startswith(turn.pcm) and is_silence and sent_up == turn.audio_down


def _find_close_before_end_of_audio(story: Story, requests: list[UpstreamRequest]) -> Event | None:
    """Return the event by which the relay closed a session of these requests before it had sent the end of
    the audio of any of them; None if it did not."""
    connections = {request.connection for request in requests}
    closings = (
        event
        for event in story.trace.on_lane(Lane.UPSTREAM)
        if event.connection in connections and isinstance(event.content, Closed) and not event.content.by_kit
    )
    return None if any(request.ends for request in requests) else next(closings, None)


def _seconds_of_pcm(size: int, sample_rate: int) -> float:
    """Return how many seconds `size` bytes of PCM last; 0 if the rate is not known."""
    return size / BYTES_PER_SAMPLE / sample_rate if sample_rate else 0.0


def _is_ratio_of_rates(ratio: float) -> bool:
    """Return whether `ratio`, of two lengths of audio, is that of two known sample rates: then the relay may
    have confused the two rates when it sent the audio up."""
    return any(
        right_rate != wrong_rate and abs(ratio * wrong_rate / right_rate - 1) <= _RATIO_TOLERANCE
        for right_rate in PCM_SAMPLE_RATES
        for wrong_rate in PCM_SAMPLE_RATES
    )


def _is_pcm(request: UpstreamRequest) -> bool:
    return request.configured.audio_format == AudioFormat.PCM_S16LE


def _find_first_difference(first: bytes, second: bytes) -> int:
    """Return the index of the first byte at which two pieces of audio differ. If one continues the other,
    this is the length of the shorter one."""
    shorter_length = min(len(first), len(second))
    return next((index for index in range(shorter_length) if first[index] != second[index]), shorter_length)


@rule(
    "U-AUDIO-END",
    Level.MUST,
    "each req_id that was not interrupted, hung up on or failed MUST carry exactly one end=true",
    "docs:audio-io, sdk-py",
    Provenance.DOCUMENTED,
    presumes=("U-TURN-ID",),
    seen_in=Half.UPSTREAM,
    speech=Speech.TELLS_TURNS_APART,
    advice=Advice(
        "the last words have no motion, and the turn never ends: Motion Server waits for more audio",
        "nothing is sent when the speech is over, or end=true is sent with every chunk",
        "send end=true once, with the last audio of each turn or with an empty message after it",
    ),
)
def check_end_of_audio(story: Story) -> Iterator[Kept | Broken]:
    """Check each request of a clean (undisturbed) turn that the relay did not stop early: among its messages
    to Motion Server, exactly one must have end=true."""
    for request in story.requests:
        turn = request.turn
        if turn is None or not turn.clean or request.stopped_early:
            continue
        if len(request.ends) == 1:
            yield Kept()
            continue
        # A relay that closes the session in mid-speech sends no end, either: lost audio is the first fault.
        is_closed_early = _find_close_before_end_of_audio(story, [request]) is not None
        end_count_in_words = "none" if not request.ends else str(len(request.ends))
        owed_end = Owed(f"end=true of {request.req_id}", "", _find_last_audio_seq(story, request))
        yield Broken(
            f"one end=true for {turn.name}",
            f"its req_id carried {end_count_in_words}",
            (request.first_seq, *request.ends),
            follows_from=("U-AUDIO-COMPLETE",) if is_closed_early else (),
            owed=() if request.ends else (owed_end,),
        )


def _find_last_audio_seq(story: Story, request: UpstreamRequest) -> int:
    """Return the number of the last event that brought audio of this request to Motion Server."""
    seqs = (
        event.seq
        for event in story.trace.on_lane(Lane.UPSTREAM)
        if event.connection == request.connection
        and isinstance(event.content, Received)
        and isinstance(event.content.value, AudioInput)
        and event.content.value.req_id == request.req_id
    )
    return max(seqs, default=request.first_seq)
