"""R rules on the turn in which Motion Server refuses, fails or goes silent, on the turn after, and on the
death of a relay."""

from collections.abc import Iterator

from spatius_sim.protocol.audio import BYTES_PER_SAMPLE, KEYFRAMES_PER_SECOND, is_same_speech
from spatius_sim.rules.findings import Broken, Kept, Late, Owed
from spatius_sim.rules.rule import Advice, Half, Level, Provenance, Speech, rule
from spatius_sim.rules.subtract_kit_stalls import judge_time_limit
from spatius_sim.rules.turn_losses import AUDIO_LOST, MOTION_LOST, NEVER_ENDED, find_loss
from spatius_sim.story.decoder_input import yield_decoder_input
from spatius_sim.story.turn_story import Story, Turn
from spatius_sim.story.wrong_uploads import find_old_speech
from spatius_sim.trace.event_text import describe_fault
from spatius_sim.trace.events import Closed, Injected, Lane, Sent
from spatius_sim.wires.events import Failed, Motion
from spatius_sim.wires.optional_features import AUDIO, CLIENT_CHOOSES_SPEECH, ERRORS, PCM

_ORDINARY_CLOSES = (1000, 1001, 1005)
"""Close codes from which a client learns of no failure; 1005 means that the close had no code."""
_BREAKS_OFF = ("close", "reset", "server-dies")
"""The faults by which Motion Server ends a session that was open."""
_SECONDS_TO_NOTICE = 1
_NS_PER_SECOND = 1_000_000_000
_REPEATED_BYTES = 1280
"""A keyframe of speech at 16 kHz."""


@rule(
    "R-RECOVER",
    Level.MUST,
    "after an upstream failure the next turn MUST work again, on the same or a new connection",
    "docs:state-events",
    Provenance.DOCUMENTED,
    advice=Advice(
        "after one failure of Motion Server a still or silent face, until the relay is restarted",
        "the relay keeps the dead session, or a task, lock or flag of the failed turn",
        "when a session fails, forget it and all that belongs to its turn, and open a new one for the "
        "next turn",
    ),
)
def check_recovery(story: Story) -> Iterator[Kept | Broken]:
    """Check each turn after one that lost its motion by a failure of Motion Server, or after a pause in which
    Motion Server broke a session off. Some of its audio and some of its motion must come to the client. Other
    rules judge the rest. A relay that had lost audio or motion before the failure is not judged."""
    for previous_turn, turn in _list_pairs_of_turns(story):
        failed_in_turn = previous_turn.has_lost_motion and not turn.failures
        if not turn.calm or not (failed_in_turn or _failed_only_in_pause(story, turn)):
            continue
        failed_turn = previous_turn if failed_in_turn else turn
        blamed_rules_by_medium: dict[str, tuple[str, ...]] = {}
        if not turn.audio_down:
            blamed_rules_by_medium["audio"] = AUDIO_LOST
        if not any(
            delivery.client == turn.client for payload in turn.payloads for delivery in payload.deliveries
        ):
            old_speech = ("U-AUDIO-COMPLETE",) if find_old_speech(story, turn) else ()
            blamed_rules_by_medium["motion"] = ("U-AUDIO-END", "R-CONVERSATION", *MOTION_LOST, *old_speech)
        if not blamed_rules_by_medium:
            yield Kept()
        elif not _had_lost_anything_before(story, failed_turn):
            events = (failed_turn.failures[0].seq, turn.started_seq)
            place = "in the one before" if failed_in_turn else "in the pause before it"
            expected = f"{turn.name} works again after {_describe_first_fault(failed_turn)} {place}"
            follows_from = tuple(rule_id for rules in blamed_rules_by_medium.values() for rule_id in rules)
            owed = tuple(
                Owed(f"{medium} of {turn.name}", turn.client, turn.started_seq)
                for medium in blamed_rules_by_medium
            )
            yield Broken(
                expected,
                f"no {' and no '.join(blamed_rules_by_medium)} of it came",
                events,
                follows_from,
                owed,
            )


@rule(
    "R-ALIVE",
    Level.MUST,
    "a relay that has completed a turn MUST go on answering: it neither ends nor hangs for good",
    "a relay that is dead serves nobody; no document says it in words",
    Provenance.SAFETY,
    seen_in=Half.DOWNSTREAM,
    speech=Speech.NOT_COMPARED,
    advice=Advice(
        "a silent and still face for everybody, until the relay is restarted",
        "an exception ended the process, or a lock or a blocking call holds all of it; its last output "
        "says more",
        "look at what the scenario did last; catch errors for each connection, and block nowhere in the "
        "event loop",
    ),
)
def check_signs_of_life(story: Story) -> Iterator[Kept | Broken]:
    """Yield Broken if the relay gave no sign of life any more. If it stopped after a failure of Motion
    Server, R-RECOVER judges that instead. If it lives, yield Kept for each turn for which it sent something
    to Motion Server or to the client."""
    if story.lost:
        if not any(isinstance(outcome, Broken) for outcome in check_recovery.check(story)):
            last = len(story.trace.events) - 1
            yield Broken("the relay goes on answering", "it gave no sign of life any more", (last,))
        return
    for turn in story.turns:
        if turn.requests or turn.conversations:
            yield Kept()


@rule(
    "R-FALLBACK",
    Level.SHOULD,
    "when Motion Server refuses, fails or goes silent, the client SHOULD still get the audio once, marked as "
    "ended, within the fallback wait. The audio is all that the client said or, if it says nothing itself, "
    "what went up",
    "seed:002; the wait is our reading",
    Provenance.DOCUMENTED,
    presumes=("R-END-AUDIO", "R-AUDIO-COMPLETE", "R-AUDIO-FIRST"),
    needs=(AUDIO,),
    waits="a relay needs time to notice that Motion Server is silent",
    advice=Advice(
        "when Motion Server fails, the avatar falls silent too, or its answer never ends",
        "audio waits for motion, an exception ends the turn, or the relay waits for motion without a limit",
        "send the audio and its end mark whatever becomes of the motion, and stop waiting for motion "
        "after some seconds",
    ),
)
def check_audio_after_failure(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each turn that lost its motion by a failure of Motion Server. All its audio must still come to
    the client, and only once. It must be marked as ended in time. If the relay chooses the speech and no
    audio went up, it is enough that the turn ends or that the client gets an error. Audio that is longer than
    the wait may come at the pace at which it is heard."""
    for turn in _turns_without_motion(story):
        if turn.speech_begun and not turn.speech_ended and _find_closes_by_relay(story, turn):
            continue  # No document says what a relay owes that hangs up while its client speaks.
        audio_due, rate = _find_due_audio(story, turn)
        if not audio_due:
            yield from _judge_without_audio(story, turn)
            continue
        fault = _describe_first_fault(turn)
        audio_seconds = len(audio_due) / BYTES_PER_SAMPLE / rate if rate else 0.0
        limit_seconds = max(story.trace.header.fallback_wait, audio_seconds)
        expected = (
            f"the audio of {turn.name}, marked as ended, {limit_seconds:g} s after {fault} at the latest"
        )
        audio_received = turn.audio_down
        mark_seqs = [mark for conversation in turn.conversations for mark in conversation.marks]
        last_audio_seq = max(
            (conversation.last_audio_seq or 0 for conversation in turn.conversations), default=0
        )
        seqs_of_marks_after_audio = [mark for mark in mark_seqs if mark >= last_audio_seq]
        if not _has_all_due_audio(story, turn, audio_received, audio_due, rate):
            actual = f"{len(audio_received)} bytes of audio came, and {len(audio_due)} were owed"
            owed_rest = Owed(f"the rest of the audio of {turn.name}", turn.client, turn.failures[0].seq)
            broken = Broken(expected, actual, _list_evidence(turn), AUDIO_LOST, (owed_rest,))
            yield from _judge_absence(story, turn, broken)
        elif CLIENT_CHOOSES_SPEECH not in story.trace.header.lacks and _has_repeated_audio(
            audio_received, audio_due
        ):
            actual = (
                f"{len(audio_received)} bytes of audio came, and {len(audio_due)} were owed: some came twice"
            )
            yield Broken(
                f"the audio of {turn.name} once",
                actual,
                _list_evidence(turn),
                ("R-END-AUDIO", "R-AUDIO-COMPLETE"),
            )
        elif not seqs_of_marks_after_audio:
            owed_mark = Owed("the end mark of the audio", turn.client, turn.failures[0].seq)
            broken = Broken(
                expected, "its end was never marked", _list_evidence(turn), NEVER_ENDED, (owed_mark,)
            )
            yield from _judge_absence(story, turn, broken)
        else:
            since_seq, marked_seq = _find_wait_start_seq(story, turn), min(seqs_of_marks_after_audio)
            broken = Broken(expected, "the mark came later", (*_list_evidence(turn), marked_seq))
            yield judge_time_limit(story.trace, since_seq, marked_seq, limit_seconds, broken)


def _judge_without_audio(story: Story, turn: Turn) -> Iterator[Kept | Broken | Late]:
    """Judge a turn in which Motion Server failed before any audio was sent to it, and whose speech the relay
    itself chose. The relay must end the turn, or tell its client of an error. If neither came, and the
    client's wire can tell errors, R-ERROR-TOLD judges that."""
    has_end_mark = any(conversation.marks for conversation in turn.conversations)
    if has_end_mark or _find_failure_notice_seq(story, turn) is not None:
        yield Kept()
    elif ERRORS in story.trace.header.lacks:
        limit_seconds = story.trace.header.fallback_wait
        expected = (
            f"the end of {turn.name} {limit_seconds:g} s after {_describe_first_fault(turn)} at the latest"
        )
        broken = Broken(expected, "nothing came, and no audio had gone up", _list_evidence(turn))
        yield from _judge_absence(story, turn, broken)


@rule(
    "R-ERROR-TOLD",
    Level.SHOULD,
    "the client SHOULD be told, in the wire's own way, that motion failed",
    "docs:state-events",
    Provenance.DOCUMENTED,
    needs=(ERRORS,),
    waits="a relay needs time to notice that Motion Server is silent",
    advice=Advice(
        "a still face without a reason: the app cannot say what is wrong, or offer to try again",
        "the failure is only logged, or the relay waits for Motion Server without a limit",
        "when a session fails or stays silent, send the wire's error message or an empty list of motion",
    ),
)
def check_failure_is_told(story: Story) -> Iterator[Kept | Broken | Late]:
    """Check each turn that lost its motion by a failure: its client must be told in time. An error tells it,
    an empty list of motion (seed:002: go on with audio alone), or a close with an unusual code. An empty list
    with the end mark, after motion had come, does not: it says that the motion is whole."""
    limit_seconds = story.trace.header.fallback_wait
    for turn in _turns_without_motion(story):
        fault = _describe_first_fault(turn)
        expected = f"{turn.client} is told within {limit_seconds:g} s that motion failed, after {fault}"
        notice_seq = _find_failure_notice_seq(story, turn)
        if notice_seq is None:
            owed_news = Owed("the news that motion failed", turn.client, turn.failures[0].seq)
            # A relay that gives motion up too early in ordinary turns does not notice a failure either. One
            # that serves a client no more tells it nothing.
            has_given_up = any(request.given_up_seq is not None for request in turn.requests)
            follows_from = (
                *(("R-MOTION-COMPLETE",) if has_given_up else ()),
                *(() if turn.audio_down else ("R-CONVERSATION",)),
            )
            broken = Broken(expected, "nothing told it", _list_evidence(turn), follows_from, (owed_news,))
            yield from _judge_absence(story, turn, broken)
        else:
            broken = Broken(expected, "it was told later", (*_list_evidence(turn), notice_seq))
            yield judge_time_limit(
                story.trace, _find_wait_start_seq(story, turn), notice_seq, limit_seconds, broken
            )


def _failed_only_in_pause(story: Story, turn: Turn) -> bool:
    """Return whether Motion Server broke a session off in the pause before this turn, and did not fail in the
    turn itself. It must have done so a second or more before the turn began, so that the relay could notice.
    A session that was refused does not count."""
    started_ns = story.trace.events[turn.started_seq].at_ns
    return bool(turn.failures) and all(
        isinstance(failure.content, Injected)
        and failure.content.kind in _BREAKS_OFF
        and failure.at_ns <= started_ns - _SECONDS_TO_NOTICE * _NS_PER_SECOND
        for failure in turn.failures
    )


def _list_pairs_of_turns(story: Story) -> Iterator[tuple[Turn, Turn]]:
    """Return the pairs (turn before, turn) of each client."""
    return ((turn.before, turn) for turn in story.turns if turn.before is not None)


def _had_lost_anything_before(story: Story, failed_turn: Turn) -> bool:
    """Return whether the relay had lost anything before the failure: in an earlier clean (undisturbed) turn
    of the same client, some audio or motion was missing."""
    return any(
        not turn.complete or find_loss(story, turn, len(story.trace.events)) is not None
        for turn in story.clean_turns
        if turn.client == failed_turn.client and turn.number < failed_turn.number
    )


def _turns_without_motion(story: Story) -> Iterator[Turn]:
    """Return the turns that lost their motion by a failure, and whose client let them finish."""
    return (turn for turn in story.turns if turn.calm and turn.has_lost_motion)


def _find_due_audio(story: Story, turn: Turn) -> tuple[bytes, int]:
    """Return the audio that the client must still get after a failure of Motion Server, and its sample rate
    in Hz. This is what the client spoke. If clients send no audio on this wire, it is what the relay sent to
    Motion Server."""
    if CLIENT_CHOOSES_SPEECH not in story.trace.header.lacks:
        return turn.pcm, turn.sample_rate
    sent_up = turn.join_audio_sent_up(turn.requests)
    return sent_up, turn.requests[0].sample_rate if turn.requests else 0


def _has_all_due_audio(
    story: Story, turn: Turn, audio_received: bytes, audio_due: bytes, due_rate: int
) -> bool:
    """Return whether the client received all audio that was due in a turn in which Motion Server failed. If
    this relay always changes the audio (it resamples, for example), the bytes cannot be compared: then at
    most 40 ms may be missing."""
    if audio_due in audio_received or PCM in story.trace.header.lacks:
        return True
    clean_turns = [clean for clean in story.clean_turns if clean.client == turn.client]
    if any(is_same_speech(clean.audio_down, clean.pcm, clean.sample_rate) for clean in clean_turns):
        return False  # This relay passes audio on unchanged, so the bytes above are enough.
    down_rate = story.output_rates.get(turn.client, due_rate)
    # Both lengths are multiplied by both rates, so that they can be compared; a keyframe lasts 40 ms.
    missing_scaled = len(audio_due) * down_rate - len(audio_received) * due_rate
    return missing_scaled * KEYFRAMES_PER_SECOND <= BYTES_PER_SAMPLE * due_rate * down_rate


def _has_repeated_audio(audio_received: bytes, audio_due: bytes) -> bool:
    """Return whether the client received some of the audio twice in a turn in which Motion Server failed:
    before or after the whole audio that was due, at least 40 ms of the same audio came once more, and were
    not silence."""
    begin = audio_received.find(audio_due)
    if begin < 0 or not audio_due:
        return False
    surplus = (audio_received[:begin], audio_received[begin + len(audio_due) :])
    pieces = [part[:_REPEATED_BYTES] for part in surplus if len(part) >= _REPEATED_BYTES]
    return any(any(piece) and piece in audio_due for piece in pieces)


def _find_failure_notice_seq(story: Story, turn: Turn) -> int | None:
    """Return the number of the first event that told the client of this turn that Motion Server failed. This
    is an error, an empty list of motion, or a close with an unusual code. Return None if nothing told it."""
    since_seq, until_seq = turn.failures[0].seq, turn.until_seq
    end_marks = {mark for conversation in turn.conversations for mark in conversation.motion_marks}
    notice_seqs = [
        event.seq
        for event, relay_event in yield_decoder_input(story.trace, since_seq, until_seq)
        if event.connection == turn.client
        and event.seq not in end_marks
        and (
            isinstance(relay_event, Failed) or (isinstance(relay_event, Motion) and not relay_event.payloads)
        )
    ]
    return min(
        notice_seqs
        + [seq for seq, code in _find_closes_by_relay(story, turn) if code not in _ORDINARY_CLOSES],
        default=None,
    )


def _judge_absence(story: Story, turn: Turn, broken: Broken) -> Iterator[Broken | Late]:
    """Yield `broken`, because something that the relay owed its client after a failure of Motion Server never
    came. Yield Late instead if the kit was stalled too long, and nothing if the kit did not wait for as long
    as the relay may take. If the relay closed the connection, or has ended the motion of the turn, no wait is
    needed."""
    assert turn.waited_seq is not None
    ended_motion = turn.complete and any(request.answered for request in turn.requests)
    if ended_motion or _find_closes_by_relay(story, turn):
        yield broken
        return
    limit_seconds = story.trace.header.fallback_wait
    outcome = judge_time_limit(
        story.trace, _find_wait_start_seq(story, turn), turn.waited_seq, limit_seconds, broken
    )
    if not isinstance(outcome, Kept):
        yield outcome


def _find_closes_by_relay(story: Story, turn: Turn) -> list[tuple[int, int]]:
    """Return each close of the client's connection by the relay after the failure in this turn, as (number of
    the event, close code)."""
    return [
        (event.seq, event.content.code)
        for event in story.trace.events[turn.failures[0].seq : turn.until_seq]
        if event.lane is Lane.DOWNSTREAM
        and event.connection == turn.client
        and isinstance(event.content, Closed)
        and not event.content.by_kit
    ]


def _find_wait_start_seq(story: Story, turn: Turn) -> int:
    """Return the number of the event at which the relay's time to react to a failure of Motion Server begins.
    This is the failure, or the client's last message in the turn if that came later."""
    sent_seqs = (
        event.seq
        for event in story.trace.events[turn.started_seq : turn.waited_seq]
        if event.lane is Lane.DOWNSTREAM
        and event.connection == turn.client
        and isinstance(event.content, Sent)
    )
    return max(turn.failures[0].seq, *sent_seqs, turn.started_seq)


def _describe_first_fault(turn: Turn) -> str:
    """Return the first failure of the turn in words."""
    content = turn.failures[0].content
    return f"a fault ({describe_fault(content)})" if isinstance(content, Injected) else "a fault"


def _list_evidence(turn: Turn) -> tuple[int, ...]:
    """Return the numbers of the events that prove a breach after a failure: the failure and the start of the
    turn."""
    return turn.failures[0].seq, turn.started_seq
