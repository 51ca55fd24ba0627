"""E rules on what is seen and heard in a room."""

from collections.abc import Iterator
from statistics import median

import numpy as np

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.protocol.room_packet import PacketFlag
from spatius_sim.rules.excuse_room_losses import (
    excuse_if_disturbed,
    excuse_if_late,
    excuse_if_lost,
    find_missing_keyframes,
)
from spatius_sim.rules.findings import Broken, Kept, Unsure
from spatius_sim.rules.rule import Advice, Level, Outcome, Provenance, rule
from spatius_sim.story.room_story import (
    WINDOW_SECONDS,
    RoomSession,
    RoomSpeech,
    SeenPacket,
    find_loud_windows,
)
from spatius_sim.trace.room_events import SoundHeard
from spatius_sim.wires.optional_features import UPSTREAM

SYNC_SECONDS = 0.08
_NOT_WHOLE = "keyframes of the conversation did not come, so the others say too little"
_SOUND_SHARE = 0.8
"""The share of the loud windows that must be heard: an encoder blurs the ends of a sound."""


@rule(
    "E-SOUND",
    Level.MUST,
    "what was spoken MUST be heard: marks in the speech come through, in order",
    "plugin",
    Provenance.OBSERVED,
    presumes=("E-LEAVE", "E-TRACKS"),
    advice=Advice(
        "the face moves and nothing is heard, or words are missing",
        "sound is lost between the rates of the session and of the room, or it is cut off",
        "publish all of the audio, resampled to the rate of the track, at the pace at which it is spoken",
    ),
)
def check_sound(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each complete speech (the audio of one request): the room must hear its sound in as many bursts
    as were spoken, and about as long. Yield Unsure if the kit was late, or may have lost something."""
    for room, speech in _list_complete_speeches(rooms):
        wanted_windows = find_loud_windows(bytes(speech.pcm), speech.sample_rate)
        if not any(wanted_windows):
            continue
        heard_windows = _find_loud_windows_heard(room.sounds_of(speech))
        burst_count, loud_count = _count_bursts(heard_windows), sum(heard_windows)
        if burst_count == _count_bursts(wanted_windows) and loud_count >= _SOUND_SHARE * sum(wanted_windows):
            yield Kept()
        else:
            wanted_seconds = sum(wanted_windows) * WINDOW_SECONDS
            expected = f"{_count_bursts(wanted_windows)} bursts of sound, {wanted_seconds:.1f} s of it"
            actual = f"{burst_count} bursts, {loud_count * WINDOW_SECONDS:.1f} s"
            # On a busy machine, we heard less sound than a correct egress had sent (tried at load 15).
            yield excuse_if_late(room, speech.first_seq, Broken(expected, actual, (speech.first_seq,)))


@rule(
    "E-COUNT",
    Level.MUST,
    "a conversation MUST have one packet for each keyframe of its speech",
    "ios-rtc",
    Provenance.OBSERVED,
    presumes=("E-LEAVE", "E-TRACKS"),
    advice=Advice(
        "the mouth stops now and then, and runs apart from the voice",
        "frames are dropped, or only changes are sent",
        "send one video frame with one packet for each keyframe, 25 a second",
    ),
)
def check_keyframe_packets(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each complete speech (the audio of one request): its conversation in the room must have packets
    with as many different keyframes as belong to the speech. Yield Unsure if some may have been lost on our
    side."""
    for room, speech in _list_complete_speeches(rooms):
        packets = room.conversation_of(speech)
        shown_keyframes = len({seen.packet.frame_seq for seen in packets if seen.packet is not None})
        if shown_keyframes == speech.keyframes:
            yield Kept()
        else:
            events = (speech.first_seq, *(seen.seq for seen in packets[:1]))
            broken = Broken(f"{speech.keyframes} keyframes", f"{shown_keyframes}", events)
            yield excuse_if_lost(room, speech, broken)


@rule(
    "E-ORDER",
    Level.MUST,
    "frameSeq MUST count from 0 without gap or double",
    "ios-rtc",
    Provenance.OBSERVED,
    presumes=("E-COUNT",),
    advice=Advice(
        "the mouth jumps, because the client sorts keyframes by their number",
        "frameSeq goes on from the last conversation, begins with 1, or a packet is sent twice",
        "count frameSeq from 0 in each conversation, once for each keyframe",
    ),
)
def check_frame_order(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each complete speech (the audio of one request): the packets in the room must have the frame
    numbers 0, 1, 2 and so on, in this order. Unsure if keyframes are missing."""
    for room, speech in _list_complete_speeches(rooms):
        if find_missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        packets = room.conversation_of(speech)
        numbers = _list_frame_numbers(packets)
        wrong_index = next((index for index, number in enumerate(numbers) if index != number), None)
        if wrong_index is None:
            yield Kept()
        else:
            yield Broken(f"frameSeq {wrong_index}", f"{numbers[wrong_index]}", (packets[wrong_index].seq,))


@rule(
    "E-MARKS",
    Level.MUST,
    "a conversation MUST begin with START and end with END, with idle packets before and after it",
    "ios-rtc",
    Provenance.OBSERVED,
    presumes=("E-COUNT", "E-ORDER"),
    advice=Advice(
        "the face never comes back to rest, or does so in the middle of a sentence",
        "START or END is missing or stands on more than one packet, or nothing is sent in idle time",
        "set START on the first keyframe, END on the last, and send idle packets before and after",
    ),
)
def check_start_and_end(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check the packets of each complete speech (the audio of one request) in the room. The flag START must
    be on the first keyframe only, and END on the last only. Idle packets must come before and after. Unsure
    if keyframes are missing."""
    for room, speech in _list_complete_speeches(rooms):
        if find_missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        packets = room.conversation_of(speech)
        if not packets:
            continue
        start_seqs = [seen.seq for seen in packets if seen.packet and seen.packet.flags & PacketFlag.START]
        end_seqs = [seen.seq for seen in packets if seen.packet and seen.packet.flags & PacketFlag.END]
        idle_seqs = [seen.seq for seen in room.packets if seen.packet and seen.packet.flags & PacketFlag.IDLE]
        first_seq, last_seq = packets[0].seq, packets[-1].seq
        if start_seqs != [first_seq]:
            yield Broken(
                "START on the first keyframe alone", f"{len(start_seqs)} of them", (first_seq, *start_seqs)
            )
        elif end_seqs != [last_seq]:
            yield Broken("END on the last keyframe alone", f"{len(end_seqs)} of them", (last_seq, *end_seqs))
        elif not any(seq < first_seq for seq in idle_seqs) or not any(seq > last_seq for seq in idle_seqs):
            broken = Broken("idle packets before and after a conversation", "none", (first_seq, last_seq))
            yield excuse_if_disturbed(room, speech.first_seq, broken)
        else:
            yield Kept()


@rule(
    "E-VERBATIM",
    Level.MUST,
    "the keyframes in the packets MUST be those that Motion Server made",
    "ios-rtc",
    Provenance.OBSERVED,
    presumes=("E-COUNT", "E-ORDER"),
    needs=(UPSTREAM,),
    advice=Advice(
        "another face than the one that was made for the voice",
        "keyframes are rounded, mixed or made a second time on the way to the room",
        "put the keyframes into the packets as they were made",
    ),
)
def check_keyframes_unchanged(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each complete speech (the audio of one request). Every keyframe that came through the room must
    be the one that Motion Server made. Nothing is judged if the kit did not see that motion; Unsure if
    keyframes are missing."""
    for room, speech in _list_complete_speeches(rooms):
        if not speech.motion:
            continue
        if find_missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        made_keyframes = np.concatenate([response.keyframes for response in speech.motion])
        for number, seen in enumerate(room.conversation_of(speech)):
            # E-ORDER holds, so the place of a packet is its frameSeq.
            if not _shows_keyframe(seen.message, made_keyframes[number : number + 1]):
                yield Broken(f"keyframe {number} as it was made", "another one", (seen.seq,))
                break
        else:
            yield Kept()


@rule(
    "E-SYNC",
    Level.SHOULD,
    "a keyframe SHOULD be shown within 80 ms of its sound",
    "our reading: ios-rtc delays both by 80 ms",
    Provenance.ASSUMED,
    presumes=("E-SOUND", "E-COUNT", "E-ORDER"),
    unit="s",
    advice=Advice(
        "the lips are before or behind the voice",
        "sound and frames wait in queues of different length",
        "send a keyframe in the tick in which its 40 ms of sound are sent",
    ),
)
def check_sync(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Check each complete speech (the audio of one request): the median delay between a keyframe and its
    sound must be within the limit. Unsure if keyframes are missing, or if the kit was late."""
    for room, speech in _list_complete_speeches(rooms):
        wanted_windows = find_loud_windows(bytes(speech.pcm), speech.sample_rate)
        first_loud_ns = _find_first_loud_ns(room.sounds_of(speech))
        packets = room.conversation_of(speech)
        if not any(wanted_windows) or first_loud_ns is None or not packets:
            continue
        if find_missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        sound_began_seconds = first_loud_ns / 1e9 - wanted_windows.index(True) * WINDOW_SECONDS
        delays_seconds = [
            seen.at_ns / 1e9 - sound_began_seconds - place / KEYFRAMES_PER_SECOND
            for place, seen in enumerate(packets)
        ]
        delay_seconds = median(delays_seconds)
        if abs(delay_seconds) <= SYNC_SECONDS + WINDOW_SECONDS:
            yield Kept(abs(delay_seconds))
        else:
            actual = f"{abs(delay_seconds) * 1000:.0f} ms {'after' if delay_seconds > 0 else 'before'} it"
            broken = Broken("keyframes within 80 ms of their sound", actual, (packets[0].seq,))
            yield excuse_if_late(room, speech.first_seq, broken)


def _list_complete_speeches(rooms: list[RoomSession]) -> Iterator[tuple[RoomSession, RoomSpeech]]:
    """Yield each complete speech (the audio of one request) whose publisher was in the room, with its
    session: only there picture and sound can be judged."""
    for room in rooms:
        if room.joined is not None:
            yield from ((room, speech) for speech in room.complete_speeches)


def _list_frame_numbers(packets: list[SeenPacket]) -> list[int]:
    """Return the frameSeq of each packet of motion in the picture."""
    return [seen.packet.frame_seq or 0 for seen in packets if seen.packet is not None]


def _find_loud_windows_heard(sounds: list[tuple[int, int, SoundHeard]]) -> list[bool]:
    """Return for each short window of the sound in the room whether it is loud."""
    return [loud for _, _, heard in sounds for loud in find_loud_windows(heard.pcm, heard.sample_rate)]


def _count_bursts(is_window_loud: list[bool]) -> int:
    """Count the bursts of sound. A burst is one or more loud windows; a gap of one quiet window does not end
    it. `is_window_loud` says for each window, in order, whether the sound is loud in it."""
    bursts, quiet_windows = 0, 2
    for is_loud in is_window_loud:
        if is_loud and quiet_windows >= 2:
            bursts += 1
        quiet_windows = 0 if is_loud else quiet_windows + 1
    return bursts


def _find_first_loud_ns(sounds: list[tuple[int, int, SoundHeard]]) -> int | None:
    """Return the time (ns) of the first loud sound in the room; None if there was none. Each of `sounds` is
    an event number, a time in nanoseconds, and what was heard."""
    loud_times_ns = (
        at_ns for _, at_ns, heard in sounds if any(find_loud_windows(heard.pcm, heard.sample_rate))
    )
    return next(loud_times_ns, None)


def _shows_keyframe(packet_message: bytes, keyframe: np.typing.NDArray[np.float32]) -> bool:
    """Return whether a packet in the room, with this message, shows exactly this keyframe. Return False if
    the message cannot be decoded, or is no motion."""
    try:
        value = decode(packet_message)
    except RemoteProtocolError:
        return False
    return isinstance(value, MotionResponse) and np.array_equal(value.keyframes, keyframe, equal_nan=True)
