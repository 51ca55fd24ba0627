"""E rules on what the agent is told, and on its interrupts."""

from collections.abc import Iterator

from spatius_sim.rules.excuse_room_losses import excuse_if_late
from spatius_sim.rules.findings import Broken, Kept
from spatius_sim.rules.rule import Advice, Level, Outcome, Provenance, rule
from spatius_sim.story.room_story import RoomSession, RoomSpeech, find_loud_windows
from spatius_sim.wires.optional_features import INTERRUPTS

POSITION_SECONDS = 0.25
"""By how much a position may differ from the length of the speech (ASSUMED)."""

LISTENING_SECONDS = 0.3
"""Sound may reach a listener so much later than the news of its end: he buffers it (ASSUMED)."""

INTERRUPT_SECONDS = 0.2


@rule(
    "E-PLAYBACK",
    Level.MUST,
    "the agent MUST be told once that a playback began and once that it is over, after the last sound, "
    "with its position",
    "plugin",
    Provenance.OBSERVED,
    presumes=("E-LEAVE", "E-TRACKS"),
    advice=Advice(
        "the agent speaks over itself, or waits for ever for the end of its sentence",
        "the RPCs go to another identity, come too early, or their payload has another form",
        "tell the agent once that playback began, and once after the last sound that it is over, and where",
    ),
)
def check_playback_reports(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each complete speech (the audio of one request): its agent must be told once that the playback
    began, and once that it is over and at which position. Unsure if the kit was late, or may have lost
    something."""
    for room in rooms:
        if room.joined is None:
            continue
        for speech in room.complete_speeches:
            judged = _judge_playback_reports(room, speech)
            yield excuse_if_late(room, speech.first_seq, judged) if isinstance(judged, Broken) else judged


@rule(
    "E-INTERRUPT",
    Level.MUST,
    "after an interrupt nothing of the speech MUST be heard or shown for longer than 200 ms, and the agent "
    "is told that it was interrupted, and where",
    "docs:python-sdk, plugin",
    Provenance.DOCUMENTED,
    presumes=("E-PLAYBACK",),
    needs=(INTERRUPTS,),
    advice=Advice(
        "the avatar goes on talking after the user has interrupted it",
        "what waits to be played is not thrown away",
        "empty the queues of sound and frames at an interrupt, then tell the agent how far it was heard",
    ),
)
def check_interrupts(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each interrupted speech after which the kit waited: picture and sound must stop, and the agent
    must be told at which position of the speech. Unsure if the kit was late, or may have lost something."""
    for room in rooms:
        for speech in room.speeches:
            if room.joined is None or speech.interrupted is None or speech.waited_seq is None:
                continue
            judged = _judge_after_interrupt(room, speech)
            yield excuse_if_late(room, speech.first_seq, judged) if isinstance(judged, Broken) else judged


def _judge_playback_reports(room: RoomSession, speech: RoomSpeech) -> Kept | Broken:
    """Judge what the agent was told about the playback of one complete speech: exactly once that it began,
    and exactly once that it is over. The second must come after the last sound, with the right position."""
    reports = room.playback_reports_of(speech)
    faults = [report for report in reports if report.fault]
    started = [report for report in reports if report.position is None]
    finished = [report for report in reports if report.position is not None]
    events = (speech.first_seq, *(report.seq for report in reports))
    if faults:
        return Broken("a payload with playback_position and interrupted", faults[0].fault, events)
    if len(started) != 1 or len(finished) != 1:
        actual = f"{len(started)} times that it began, {len(finished)} times that it is over"
        return Broken("told once that it began, and once that it is over", actual, events)
    loud_sounds = [
        (at_ns, seq)
        for seq, at_ns, heard in room.sounds_of(speech)
        if any(find_loud_windows(heard.pcm, heard.sample_rate))
    ]
    last_sound_ns, last_sound_seq = loud_sounds[-1] if loud_sounds else (0, speech.first_seq)
    position = finished[0].position or 0.0
    is_early = finished[0].at_ns < last_sound_ns - int(LISTENING_SECONDS * 1e9)
    if finished[0].seq < started[0].seq or is_early:
        return Broken(
            "told after the last sound that it is over", "told before it", (*events, last_sound_seq)
        )
    if finished[0].interrupted or abs(position - speech.seconds) > POSITION_SECONDS:
        actual = f"{position:.2f} s{', interrupted' * finished[0].interrupted}"
        return Broken(f"the position {speech.seconds:.2f} s, not interrupted", actual, events)
    return Kept()


def _judge_after_interrupt(room: RoomSession, speech: RoomSpeech) -> Kept | Broken:
    """Judge what came more than 200 ms after the interrupt of one speech: no keyframes and no sound in the
    room. The agent must be told that it was interrupted, and at which position."""
    assert speech.interrupted is not None
    interrupt_seq = speech.interrupted.seq
    until_ns = speech.interrupted.at_ns + int(INTERRUPT_SECONDS * 1e9)
    late_packet_seqs = [seen.seq for seen in room.conversation_of(speech) if seen.at_ns > until_ns]
    late_sound_seqs = [
        sound_seq
        for sound_seq, at_ns, sound in room.sounds_of(speech)
        if at_ns > until_ns and any(find_loud_windows(sound.pcm, sound.sample_rate))
    ]
    if late_packet_seqs or late_sound_seqs:
        actual = f"{len(late_packet_seqs)} keyframes and {len(late_sound_seqs)} pieces of sound"
        return Broken(
            "nothing later than 200 ms after the interrupt",
            actual,
            (interrupt_seq, *late_packet_seqs[:1], *late_sound_seqs[:1]),
        )
    if any(report.on_socket for report in room.playback_reports):
        return Kept()  # An agent that is told on the socket has forgotten the request by now.
    finished = [report for report in room.playback_reports_of(speech) if report.position is not None]
    if not finished:
        return Broken("told that it was interrupted, and where", "told nothing", (interrupt_seq,))
    position = finished[0].position or 0.0
    if not finished[0].interrupted or not 0 <= position <= speech.seconds:
        actual = f"{position:.2f} s, {'' if finished[0].interrupted else 'not '}interrupted"
        return Broken("told that it was interrupted, and where", actual, (interrupt_seq, finished[0].seq))
    return Kept()
