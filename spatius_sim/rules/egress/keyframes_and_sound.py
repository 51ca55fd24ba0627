"""E rules on what is seen and heard in a room."""

from collections.abc import Iterator
from statistics import median

import numpy as np

from spatius_sim.protocol.audio import KEYFRAMES_PER_SECOND
from spatius_sim.protocol.codec import decode
from spatius_sim.protocol.errors import RemoteProtocolError
from spatius_sim.protocol.messages import MotionResponse
from spatius_sim.protocol.room_packet import PacketFlag
from spatius_sim.rules.excuse_room_losses import missing_keyframes, unless_disturbed, unless_late, unless_lost
from spatius_sim.rules.findings import Broken, Kept, Unsure
from spatius_sim.rules.rule import Advice, Level, Outcome, Provenance, rule
from spatius_sim.story.room_story import (
    WINDOW_SECONDS,
    RoomSession,
    RoomSpeech,
    SeenPacket,
    count_bursts,
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
def sound(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Look at each complete request: its bursts of sound are heard, as many and about as long."""
    for room, speech in _complete_requests(rooms):
        wanted = find_loud_windows(bytes(speech.pcm), speech.sample_rate)
        if not any(wanted):
            continue
        heard = _heard_windows(room.sounds_of(speech))
        bursts, loud = count_bursts(heard), sum(heard)
        if bursts == count_bursts(wanted) and loud >= _SOUND_SHARE * sum(wanted):
            yield Kept()
        else:
            expected = f"{count_bursts(wanted)} bursts of sound, {sum(wanted) * WINDOW_SECONDS:.1f} s of it"
            actual = f"{bursts} bursts, {loud * WINDOW_SECONDS:.1f} s"
            # On a busy machine, less of an honest egress was heard than was sent (tried at load 15).
            yield unless_late(room, speech.first_seq, Broken(expected, actual, (speech.first_seq,)))


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
def packet_for_each_keyframe(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Judge each complete request: the room shows packets with as many different keyframes as belong to the
    speech of the request."""
    for room, speech in _complete_requests(rooms):
        packets = room.conversation_of(speech)
        shown_keyframes = len({seen.packet.frame_seq for seen in packets if seen.packet is not None})
        if shown_keyframes == speech.keyframes:
            yield Kept()
        else:
            events = (speech.first_seq, *(seen.seq for seen in packets[:1]))
            broken = Broken(f"{speech.keyframes} keyframes", f"{shown_keyframes}", events)
            yield unless_lost(room, speech, broken)


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
def order(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Look at each complete request: the packets in its room have the frame numbers 0, 1, 2 and so on, in
    this order. Unsure if keyframes are missing."""
    for room, speech in _complete_requests(rooms):
        if missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        packets = room.conversation_of(speech)
        numbers = _frame_numbers(packets)
        wrong = next((index for index, number in enumerate(numbers) if index != number), None)
        if wrong is None:
            yield Kept()
        else:
            yield Broken(f"frameSeq {wrong}", f"{numbers[wrong]}", (packets[wrong].seq,))


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
def marks(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Look at the picture of each complete conversation in the room: START is on the first keyframe alone,
    END on the last alone, and idle packets come before and after. Unsure if keyframes are missing."""
    for room, speech in _complete_requests(rooms):
        if missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        packets = room.conversation_of(speech)
        if not packets:
            continue
        starts = [seen.seq for seen in packets if seen.packet and seen.packet.flags & PacketFlag.START]
        ends = [seen.seq for seen in packets if seen.packet and seen.packet.flags & PacketFlag.END]
        idle = [seen.seq for seen in room.packets if seen.packet and seen.packet.flags & PacketFlag.IDLE]
        first, last = packets[0].seq, packets[-1].seq
        if starts != [first]:
            yield Broken("START on the first keyframe alone", f"{len(starts)} of them", (first, *starts))
        elif ends != [last]:
            yield Broken("END on the last keyframe alone", f"{len(ends)} of them", (last, *ends))
        elif not any(seq < first for seq in idle) or not any(seq > last for seq in idle):
            broken = Broken("idle packets before and after a conversation", "none", (first, last))
            yield unless_disturbed(room, speech.first_seq, broken)
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
def verbatim(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Compare what was seen in the room with what was made: each keyframe in the picture of a complete
    request is the one that Motion Server made, if the kit saw that motion."""
    for room, speech in _complete_requests(rooms):
        if not speech.motion:
            continue
        if missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        made = np.concatenate([response.keyframes for response in speech.motion])
        for number, seen in enumerate(room.conversation_of(speech)):
            # E-ORDER holds, so the place of a packet is its frameSeq.
            if not _is_keyframe(seen.message, made[number : number + 1]):
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
def sync(rooms: list[RoomSession]) -> Iterator[Outcome]:
    """Compare the picture of each complete request with its sound: the median keyframe was shown within the
    allowed time of its sound."""
    for room, speech in _complete_requests(rooms):
        wanted = find_loud_windows(bytes(speech.pcm), speech.sample_rate)
        heard_ns = _first_loud_ns(room.sounds_of(speech))
        packets = room.conversation_of(speech)
        if not any(wanted) or heard_ns is None or not packets:
            continue
        if missing_keyframes(room, speech):
            yield Unsure(_NOT_WHOLE)
            continue
        sound_began = heard_ns / 1e9 - wanted.index(True) * WINDOW_SECONDS
        delays = [
            seen.at_ns / 1e9 - sound_began - place / KEYFRAMES_PER_SECOND
            for place, seen in enumerate(packets)
        ]
        off = median(delays)
        if abs(off) <= SYNC_SECONDS + WINDOW_SECONDS:
            yield Kept(abs(off))
        else:
            actual = f"{abs(off) * 1000:.0f} ms {'after' if off > 0 else 'before'} it"
            broken = Broken("keyframes within 80 ms of their sound", actual, (packets[0].seq,))
            yield unless_late(room, speech.first_seq, broken)


def _complete_requests(rooms: list[RoomSession]) -> Iterator[tuple[RoomSession, RoomSpeech]]:
    """Yield each complete request whose picture and sound can be judged, with its session: the publisher of
    the session is in its room."""
    for room in rooms:
        if room.joined is not None:
            yield from ((room, speech) for speech in room.complete_speeches)


def _frame_numbers(packets: list[SeenPacket]) -> list[int]:
    """Return the frameSeq of each packet of motion in the picture."""
    return [seen.packet.frame_seq or 0 for seen in packets if seen.packet is not None]


def _heard_windows(sounds: list[tuple[int, int, SoundHeard]]) -> list[bool]:
    """Return for each window of the sound in the room whether it is loud."""
    return [loud for _, _, heard in sounds for loud in find_loud_windows(heard.pcm, heard.sample_rate)]


def _first_loud_ns(sounds: list[tuple[int, int, SoundHeard]]) -> int | None:
    """Return when the first loud sound was heard in the room; None if none was."""
    loud = (at_ns for _, at_ns, heard in sounds if any(find_loud_windows(heard.pcm, heard.sample_rate)))
    return next(loud, None)


def _is_keyframe(message: bytes, keyframe: np.typing.NDArray[np.float32]) -> bool:
    """Return whether a packet in the room shows exactly this keyframe of the motion that was made; `message`
    is the packet's message. False if it cannot be decoded."""
    try:
        value = decode(message)
    except RemoteProtocolError:
        return False
    return isinstance(value, MotionResponse) and np.array_equal(value.keyframes, keyframe, equal_nan=True)
